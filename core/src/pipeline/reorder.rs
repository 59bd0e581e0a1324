//! Results in any order in, results in submission order out.

use core::fmt;

/// Why a result was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Why {
    /// A result with this number is already here; it stays.
    Duplicate,
    /// A result with this number was here and has been taken out.
    Late,
    /// The number is beyond the window: take results out first, or lend more places.
    BeyondWindow,
}

/// A result that was not taken, given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Refused<T> {
    /// Why.
    pub why: Why,
    /// The result.
    pub value: T,
}

impl<T> fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.why {
            Why::Duplicate => "a result with this number is already here",
            Why::Late => "a result with this number was already taken out",
            Why::BeyondWindow => "the number is beyond the window",
        })
    }
}

impl<T: fmt::Debug> core::error::Error for Refused<T> {}

/// Puts results into submission order over places the caller lends: a window of as many results as there are places,
/// which moves on as they are taken out. With a place for every command it is a plain scatter, read at the end or as
/// a growing prefix; with eight places a batch of a million passes through, eight at a time.
///
/// A result is anything small that finds the bytes again (a range of a receive buffer, an index); nothing is copied
/// but that. Every call costs O(1), amortized over the results.
#[derive(Clone, Debug)]
pub struct Reorder<S> {
    places: S,
    /// Number of the next result to be taken out.
    base: u64,
    /// The place of result `base`; below the number of places, or 0.
    head: usize,
    /// Results here that are known to follow `base` without a gap: `ready <= held <= places`.
    ready: usize,
    held: usize,
}

impl<S> Reorder<S> {
    /// Over places that are all `None`; what is in them is overwritten unseen otherwise, see [`clear`](Self::clear).
    #[must_use]
    pub const fn new(places: S) -> Self {
        Self { places, base: 0, head: 0, ready: 0, held: 0 }
    }

    /// How many results are here, in order or not.
    #[must_use]
    pub const fn held(&self) -> usize {
        self.held
    }

    /// How many results were taken out, which is the number of the next one.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.base
    }
}

impl<S> Reorder<S> {
    /// Empties all places and starts again at number 0.
    pub fn clear<T>(&mut self)
    where
        S: AsMut<[Option<T>]>,
    {
        for place in self.places.as_mut() {
            *place = None;
        }
        (self.base, self.head, self.ready, self.held) = (0, 0, 0, 0);
    }

    /// Puts in result `number`, counted from 0 in submission order.
    ///
    /// # Errors
    /// [`Refused`] with the value; what is here stays as it is.
    pub fn put<T>(&mut self, number: u64, value: T) -> Result<(), Refused<T>>
    where
        S: AsMut<[Option<T>]>,
    {
        let places = self.places.as_mut();
        let Some(ahead) = number.checked_sub(self.base) else { return Err(Refused { why: Why::Late, value }) };
        let ahead = usize::try_from(ahead).unwrap_or(usize::MAX);
        if ahead >= places.len() {
            return Err(Refused { why: Why::BeyondWindow, value });
        }
        let at = wrap(self.head, ahead, places.len());
        match places.get_mut(at) {
            Some(place @ None) => *place = Some(value),
            Some(Some(_)) => return Err(Refused { why: Why::Duplicate, value }),
            None => return Err(Refused { why: Why::BeyondWindow, value }),
        }
        self.held += 1;
        Ok(())
    }

    /// How many results can be taken out now. Looks only at those that came since it was last asked.
    pub fn ready<T>(&mut self) -> usize
    where
        S: AsRef<[Option<T>]>,
    {
        let places = self.places.as_ref();
        let mut at = wrap(self.head, self.ready, places.len());
        while self.ready < self.held && places.get(at).is_some_and(Option::is_some) {
            self.ready += 1;
            at = wrap(at, 1, places.len());
        }
        self.ready
    }

    /// The number of the first result that is missing; everything before it is here or was taken out.
    pub fn first_missing<T>(&mut self) -> u64
    where
        S: AsRef<[Option<T>]>,
    {
        let ready = self.ready();
        self.base.saturating_add(ready as u64)
    }

    /// Takes the next result out, with its number.
    pub fn take_next<T>(&mut self) -> Option<(u64, T)>
    where
        S: AsMut<[Option<T>]>,
    {
        let places = self.places.as_mut();
        let value = places.get_mut(self.head)?.take()?;
        let number = self.base;
        self.head = wrap(self.head, 1, places.len());
        self.base = self.base.saturating_add(1);
        self.ready = self.ready.saturating_sub(1);
        self.held = self.held.saturating_sub(1);
        Some((number, value))
    }

    /// The results that are ready, in order, left in place.
    pub fn prefix<'s, T: 's>(&'s self) -> impl Iterator<Item = &'s T>
    where
        S: AsRef<[Option<T>]>,
    {
        let (front, back) = self.places.as_ref().split_at_checked(self.head).unwrap_or_default();
        back.iter().chain(front).map_while(Option::as_ref)
    }

    /// Result `number`, if it is here.
    #[must_use]
    pub fn get<T>(&self, number: u64) -> Option<&T>
    where
        S: AsRef<[Option<T>]>,
    {
        let places = self.places.as_ref();
        let ahead = usize::try_from(number.checked_sub(self.base)?).ok()?;
        if ahead >= places.len() {
            return None;
        }
        places.get(wrap(self.head, ahead, places.len()))?.as_ref()
    }
}

/// `at + ahead` in a ring of `len` places, where both are below `len`.
const fn wrap(at: usize, ahead: usize, len: usize) -> usize {
    let room = len.saturating_sub(at);
    if ahead < room { at + ahead } else { ahead - room }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::collections::btree_map::Entry;
    use std::vec;
    use std::vec::Vec;

    #[derive(Clone, Debug)]
    enum Op {
        Put(u64),
        Next,
        Clear,
    }

    fn op() -> impl Strategy<Value = Op> {
        // Relative to what was taken out, a little behind to a little beyond the window.
        prop_oneof![12 => (0..14_u64).prop_map(Op::Put), 6 => Just(Op::Next), 1 => Just(Op::Clear)]
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(window in 0..9_usize, ops in proptest::collection::vec(op(), 0..300)) {
            let mut reorder = Reorder::new(vec![None; window]);
            let mut model = BTreeMap::new();
            let (mut taken, mut stamp) = (0_u64, 0_u32);
            for op in ops {
                match op {
                    Op::Put(ahead) => {
                        let number = (taken + ahead).saturating_sub(3);
                        stamp += 1;
                        let expected = if number < taken {
                            Err(Why::Late)
                        } else if number >= taken + window as u64 {
                            Err(Why::BeyondWindow)
                        } else {
                            match model.entry(number) {
                                Entry::Occupied(_) => Err(Why::Duplicate),
                                Entry::Vacant(place) => {
                                    place.insert(stamp);
                                    Ok(())
                                }
                            }
                        };
                        let got = reorder.put(number, stamp);
                        prop_assert_eq!(got, expected.map_err(|why| Refused { why, value: stamp }));
                    }
                    Op::Next => {
                        let expected = model.remove(&taken).map(|value| (taken, value));
                        prop_assert_eq!(reorder.take_next(), expected);
                        taken += u64::from(expected.is_some());
                    }
                    Op::Clear => {
                        reorder.clear();
                        model.clear();
                        taken = 0;
                    }
                }
                let prefix: Vec<u32> = (taken..).map_while(|n| model.get(&n).copied()).collect();
                prop_assert_eq!(reorder.ready(), prefix.len());
                prop_assert_eq!(reorder.held(), model.len());
                prop_assert_eq!(reorder.taken(), taken);
                prop_assert_eq!(reorder.first_missing(), taken + prefix.len() as u64);
                prop_assert!(reorder.prefix().copied().eq(prefix));
                for number in taken.saturating_sub(2)..taken + 12 {
                    prop_assert_eq!(reorder.get(number), model.get(&number));
                }
            }
        }
    }

    #[test]
    fn a_million_results_through_eight_places() {
        let mut places = [None; 8];
        let mut reorder = Reorder::new(&mut places[..]);
        let mut out = 0_u64;
        for block in 0..125_000_u64 {
            for i in [3, 1, 0, 2, 7, 5, 6, 4] {
                let number = block * 8 + i;
                reorder.put(number, number ^ 0x5555).unwrap();
                while let Some((n, value)) = reorder.take_next() {
                    assert_eq!((n, value), (out, out ^ 0x5555));
                    out += 1;
                }
            }
        }
        assert_eq!((out, reorder.held()), (1_000_000, 0));
    }

    #[test]
    fn values_that_cannot_be_copied_are_given_back() {
        let mut reorder = Reorder::new([const { None }; 2]);
        reorder.put(1, std::string::String::from("first")).unwrap();
        let refused = reorder.put(1, std::string::String::from("second")).unwrap_err();
        assert_eq!((refused.why, refused.value.as_str()), (Why::Duplicate, "second"));
        assert_eq!(reorder.get(1).map(std::string::String::as_str), Some("first"));
        assert_eq!(reorder.put(u64::MAX, std::string::String::new()).unwrap_err().why, Why::BeyondWindow);
    }
}

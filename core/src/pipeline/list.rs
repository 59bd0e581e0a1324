//! Intrusive doubly linked lists over a lent slice: O(1) push, pop and removal from the middle, no allocation.

/// No place: the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// An index is kept in as many bits as the target's memory can make use of.
#[cfg(target_pointer_width = "64")]
type Kept = u32;
#[cfg(not(target_pointer_width = "64"))]
type Kept = u16;

#[cfg(target_pointer_width = "64")]
const fn wide(kept: Kept) -> u32 {
    kept
}

#[cfg(not(target_pointer_width = "64"))]
const fn wide(kept: Kept) -> u32 {
    kept as u32
}

/// An index as tables keep it: 4 bytes where pointers have 64 bits, else 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ix(Kept);

impl Ix {
    /// No place.
    pub(crate) const NONE: Self = Self(Kept::MAX);
    /// Indices are below this: 2^32 - 1, or 65,535 where pointers have 32 bits.
    pub(crate) const LIMIT: u32 = wide(Kept::MAX);

    /// From an index, or from [`NONE`].
    pub(crate) const fn new(index: u32) -> Self {
        if index < Self::LIMIT { Self(index as Kept) } else { Self::NONE }
    }

    /// The index, or [`NONE`].
    pub(crate) const fn get(self) -> u32 {
        if self.0 == Kept::MAX { NONE } else { wide(self.0) }
    }

    /// The index, if there is one.
    pub(crate) const fn place(self) -> Option<u32> {
        match self.get() {
            NONE => None,
            index => Some(index),
        }
    }
}

/// The links an element carries. An element is on at most one list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    next: Ix,
    prev: Ix,
}

impl Link {
    /// On no list.
    pub(crate) const FREE: Self = Self { next: Ix::NONE, prev: Ix::NONE };
}

/// An element that can stand on a [`List`].
pub(crate) trait Linked {
    /// Its links.
    fn link(&self) -> Link;
    /// Its links, to change.
    fn link_mut(&mut self) -> &mut Link;
}

/// Head, tail and length of a list whose elements live in a slice kept elsewhere. The same slice must be given to
/// every call; indices that are not in it are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct List {
    head: Ix,
    tail: Ix,
    len: Kept,
}

impl Default for List {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl List {
    /// A list without elements.
    pub(crate) const EMPTY: Self = Self { head: Ix::NONE, tail: Ix::NONE, len: 0 };

    /// How many elements it has.
    #[must_use]
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has none.
    #[must_use]
    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first element's index.
    #[must_use]
    pub(crate) const fn front(&self) -> Option<u32> {
        self.head.place()
    }

    /// The index after `index`.
    #[must_use]
    pub(crate) fn after<T: Linked>(&self, slice: &[T], index: u32) -> Option<u32> {
        slice.get(index as usize)?.link().next.place()
    }

    /// Appends the element at `index`, which must be on no list.
    pub(crate) fn push_back<T: Linked>(&mut self, slice: &mut [T], index: u32) {
        let tail = self.tail;
        let Some(element) = slice.get_mut(index as usize) else { return };
        debug_assert_eq!(element.link(), Link::FREE, "pushed an element that is on a list");
        *element.link_mut() = Link { next: Ix::NONE, prev: tail };
        match slice.get_mut(tail.get() as usize) {
            Some(last) => last.link_mut().next = Ix::new(index),
            None => self.head = Ix::new(index),
        }
        self.tail = Ix::new(index);
        self.len = self.len.saturating_add(1);
    }

    /// Puts the element at `index`, which must be on no list, in front.
    pub(crate) fn push_front<T: Linked>(&mut self, slice: &mut [T], index: u32) {
        let head = self.head;
        let Some(element) = slice.get_mut(index as usize) else { return };
        debug_assert_eq!(element.link(), Link::FREE, "pushed an element that is on a list");
        *element.link_mut() = Link { next: head, prev: Ix::NONE };
        match slice.get_mut(head.get() as usize) {
            Some(first) => first.link_mut().prev = Ix::new(index),
            None => self.tail = Ix::new(index),
        }
        self.head = Ix::new(index);
        self.len = self.len.saturating_add(1);
    }

    /// Takes the element at `index` off this list, on which it must be.
    pub(crate) fn remove<T: Linked>(&mut self, slice: &mut [T], index: u32) {
        let Some(element) = slice.get_mut(index as usize) else { return };
        let Link { next, prev } = element.link();
        *element.link_mut() = Link::FREE;
        match slice.get_mut(prev.get() as usize) {
            Some(before) => before.link_mut().next = next,
            None => self.head = next,
        }
        match slice.get_mut(next.get() as usize) {
            Some(behind) => behind.link_mut().prev = prev,
            None => self.tail = prev,
        }
        self.len = self.len.saturating_sub(1);
    }

    /// Takes the first element off and gives its index.
    pub(crate) fn pop_front<T: Linked>(&mut self, slice: &mut [T]) -> Option<u32> {
        let index = self.front()?;
        self.remove(slice, index);
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec::Vec;

    #[derive(Clone, Copy)]
    struct Cell(Link);

    impl Linked for Cell {
        fn link(&self) -> Link {
            self.0
        }
        fn link_mut(&mut self) -> &mut Link {
            &mut self.0
        }
    }

    fn collect(list: &List, cells: &[Cell]) -> Vec<u32> {
        let mut out = Vec::new();
        let mut at = list.front();
        while let Some(index) = at {
            out.push(index);
            at = list.after(cells, index);
        }
        out
    }

    #[test]
    fn indices_are_kept_up_to_their_limit() {
        for index in [0, 1, 2, 300, Ix::LIMIT - 1] {
            assert_eq!((Ix::new(index).get(), Ix::new(index).place()), (index, Some(index)));
        }
        for none in [Ix::LIMIT, NONE] {
            assert_eq!((Ix::new(none), Ix::new(none).get(), Ix::new(none).place()), (Ix::NONE, NONE, None));
        }
    }

    proptest! {
        #[test]
        fn behaves_like_a_deque(steps in proptest::collection::vec((0_u8..4, 0_u32..16), 0..200)) {
            let mut cells = [Cell(Link::FREE); 16];
            let mut list = List::EMPTY;
            let mut model: VecDeque<u32> = VecDeque::new();
            for (what, index) in steps {
                match what {
                    0 if !model.contains(&index) => { list.push_back(&mut cells, index); model.push_back(index); }
                    1 if !model.contains(&index) => { list.push_front(&mut cells, index); model.push_front(index); }
                    2 => prop_assert_eq!(list.pop_front(&mut cells), model.pop_front()),
                    3 if model.contains(&index) => { list.remove(&mut cells, index); model.retain(|i| *i != index); }
                    _ => {}
                }
                prop_assert_eq!(collect(&list, &cells), model.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(list.len(), model.len());
                prop_assert_eq!(list.is_empty(), model.is_empty());
            }
        }
    }
}

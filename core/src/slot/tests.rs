//! Tests of the room: published values, naive models, exhaustive loops.

use std::collections::BTreeSet;
use std::string::ToString;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// CRC16/XMODEM one bit at a time, as the specification's polynomial says.
fn bitwise(bytes: &[u8]) -> u16 {
    let mut crc = 0_u16;
    for &byte in bytes {
        crc ^= u16::from(byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
        }
    }
    crc
}

/// The hash-tag rule in the words of the specification.
fn naive_tag(key: &[u8]) -> &[u8] {
    if let Some(open) = key.iter().position(|&b| b == b'{')
        && let Some(close) = key[open + 1..].iter().position(|&b| b == b'}')
        && close > 0
    {
        return &key[open + 1..open + 1 + close];
    }
    key
}

#[test]
fn published_check_value() {
    assert_eq!(crc16(b"123456789"), 0x31C3);
    assert_eq!(crc16(b""), 0);
    assert_eq!(Slot::of_key(b"123456789").get(), 12739);
}

#[test]
fn tag_for_every_slot() {
    for slot in SlotRange::ALL {
        let tag = tag_for(slot);
        assert!(tag.iter().all(u8::is_ascii_alphanumeric), "{slot}");
        assert_eq!(Slot::of_key(&tag), slot);
        let key = [b"0-{".as_slice(), &tag, b"}-0"].concat();
        assert_eq!(Slot::of_key(&key), slot);
    }
}

#[test]
fn slot_bounds() {
    assert_eq!(Slot::new(16384), None);
    assert_eq!(Slot::new(16383), Some(Slot::LAST));
    assert_eq!(Slot::LAST.next(), None);
    assert_eq!(Slot::masked(u16::MAX), Slot::LAST);
    assert_eq!(Slot::masked(16384), Slot::FIRST);
}

#[test]
fn range_basics() {
    let slot = |n| Slot::new(n).unwrap();
    assert_eq!(SlotRange::new(slot(2), slot(1)), None);
    let range = SlotRange::new(slot(16380), slot(16383)).unwrap();
    assert_eq!(range.len(), 4);
    assert_eq!(range.iter().len(), 4);
    assert_eq!(range.iter().map(Slot::get).collect::<Vec<_>>(), [16380, 16381, 16382, 16383]);
    assert_eq!(range.to_string(), "16380-16383");
    assert_eq!(SlotRange::one(slot(7)).to_string(), "7");
    assert_eq!(SlotRange::ALL.len(), Slot::COUNT);
    assert!(range.overlaps(SlotRange::one(slot(16383))));
    assert!(!range.overlaps(SlotRange::one(slot(16379))));
}

#[test]
fn full_and_empty_sets() {
    assert_eq!(SlotSet::FULL.len(), Slot::COUNT);
    assert_eq!(SlotSet::FULL.ranges().collect::<Vec<_>>(), [SlotRange::ALL]);
    assert_eq!(SlotSet::EMPTY.ranges().next(), None);
    assert_eq!(SlotSet::from(SlotRange::ALL), SlotSet::FULL);
    assert_eq!(SlotSet::FULL.next_absent(Slot::FIRST), None);
    assert_eq!(size_of::<SlotSet>(), 2048);
    assert_eq!(std::format!("{:?}", SlotSet::from(SlotRange::one(Slot::LAST))), "{16383}");
}

fn braces() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => Just(b'{'), 3 => Just(b'}'), 4 => any::<u8>()];
    prop::collection::vec(byte, 0..40)
}

fn any_range() -> impl Strategy<Value = SlotRange> {
    (0..Slot::COUNT, 0..Slot::COUNT)
        .prop_map(|(a, b)| SlotRange::new(Slot::masked(a.min(b)), Slot::masked(a.max(b))).unwrap())
}

proptest! {
    #[test]
    fn crc_is_the_bitwise_one(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(crc16::small::crc16(&bytes), bitwise(&bytes));
        prop_assert_eq!(crc16::fast::crc16(&bytes), bitwise(&bytes));
    }

    #[test]
    fn tag_is_the_naive_one(key in braces()) {
        prop_assert_eq!(hash_tag(&key), naive_tag(&key));
    }

    #[test]
    fn slot_ignores_what_is_outside_the_tag(tag in "[a-z]{1,12}", before in "[a-z]{0,9}", after in "[a-z{}]{0,9}") {
        let key = std::format!("{before}{{{tag}}}{after}");
        prop_assert_eq!(Slot::of_key(key.as_bytes()), Slot::of_key(tag.as_bytes()));
    }

    #[test]
    fn set_is_a_set(ops in prop::collection::vec((any::<bool>(), any_range()), 0..12), probe in 0..Slot::COUNT) {
        let mut set = SlotSet::new();
        let mut model = BTreeSet::new();
        for (add, range) in ops {
            if add {
                set.insert_range(range);
                model.extend(range);
            } else {
                set.remove_range(range);
                model.retain(|&slot| !range.contains(slot));
            }
        }
        let probe = Slot::masked(probe);
        prop_assert_eq!(usize::from(set.len()), model.len());
        prop_assert_eq!(set.is_empty(), model.is_empty());
        prop_assert_eq!(set.contains(probe), model.contains(&probe));
        prop_assert_eq!(set.next_from(probe), model.range(probe..).next().copied());
        prop_assert_eq!(set.first(), model.first().copied());
        prop_assert!(set.iter().eq(model.iter().copied()));
        let ranges: Vec<_> = set.ranges().collect();
        prop_assert!(ranges.windows(2).all(|pair| pair[0].last().get() + 1 < pair[1].first().get()));
        prop_assert!(ranges.iter().all(|&range| set.contains_range(range)));
        prop_assert_eq!(set.insert(probe), !model.contains(&probe));
        prop_assert!(set.remove(probe) && !set.remove(probe));
    }

    #[test]
    fn set_algebra(a in prop::collection::vec(any_range(), 0..5), b in prop::collection::vec(any_range(), 0..5)) {
        let collect = |ranges: &[SlotRange]| ranges.iter().flat_map(|range| range.iter()).collect::<SlotSet>();
        let (a, b) = (collect(&a), collect(&b));
        let mut union = a.clone();
        union.union(&b);
        let mut common = a.clone();
        common.intersect(&b);
        let mut rest = a.clone();
        rest.subtract(&b);
        prop_assert_eq!(a.intersects(&b), !common.is_empty());
        prop_assert_eq!(union.len() + common.len(), a.len() + b.len());
        prop_assert_eq!(rest.len() + common.len(), a.len());
        for slot in SlotRange::ALL.iter().step_by(37) {
            prop_assert_eq!(union.contains(slot), a.contains(slot) || b.contains(slot));
            prop_assert_eq!(rest.contains(slot), a.contains(slot) && !b.contains(slot));
        }
        prop_assert_eq!(SlotSet::from_words(*a.as_words()), a);
    }

    #[test]
    fn set_by_ranges(
        a in prop::collection::vec(any_range(), 0..5),
        b in prop::collection::vec(any_range(), 0..5),
        range in any_range(),
        n in 0..Slot::COUNT,
    ) {
        let collect = |ranges: &[SlotRange]| ranges.iter().flat_map(|range| range.iter()).collect::<SlotSet>();
        let (a, b) = (collect(&a), collect(&b));
        let inside = b.iter().filter(|&slot| range.contains(slot)).count();
        prop_assert_eq!(usize::from(b.count_in(range)), inside);
        prop_assert_eq!(a.nth(n), a.iter().nth(usize::from(n)));
        let (mut more, mut less) = (a.clone(), a.clone());
        more.insert_from(&b, range);
        less.remove_from(&b, range);
        for slot in SlotRange::ALL.iter().step_by(41).chain([range.first(), range.last()]) {
            let taken = b.contains(slot) && range.contains(slot);
            prop_assert_eq!(more.contains(slot), a.contains(slot) || taken);
            prop_assert_eq!(less.contains(slot), a.contains(slot) && !taken);
        }
        for other in a.ranges() {
            let shared: Vec<_> = range.iter().filter(|&slot| other.contains(slot)).collect();
            let ends = range.intersection(other).map(|shared| (shared.first(), shared.last()));
            prop_assert_eq!(ends, shared.first().copied().zip(shared.last().copied()));
        }
    }
}

#[test]
fn the_small_methods_of_a_set() {
    let slot = |n| Slot::new(n).unwrap();
    let range = |first, last| SlotRange::new(slot(first), slot(last)).unwrap();
    let mut set: SlotSet = range(60, 130).iter().collect();
    assert_eq!(set.len(), 71);
    set.extend([slot(200), slot(16383)]);
    assert_eq!(std::format!("{set:?}"), "{60-130, 200, 16383}");
    assert!(set.contains_range(range(60, 130)) && set.contains_range(range(64, 127)));
    assert!(!set.contains_range(range(59, 130)) && !set.contains_range(range(60, 131)));
    assert!(set.contains_range(SlotRange::one(slot(200))) && !set.contains_range(SlotRange::one(slot(131))));
    assert_eq!(set.next_absent(slot(60)), Some(slot(131)));

    assert!(SlotSet::FULL.is_full() && !SlotSet::EMPTY.is_full() && !set.is_full());
    let mut nearly = SlotSet::FULL;
    nearly.remove(slot(9000));
    assert!(!nearly.is_full());
    set.clear();
    assert!(set.is_empty() && set == SlotSet::EMPTY);
    assert_eq!(u16::from(slot(7777)), 7777);
}

#[test]
fn tags_end_at_the_first_brace_of_many_alike() {
    // The same place in each eight bytes, where two marks could cancel each other.
    for at in 0..8 {
        for words in 1..12 {
            let mut word = [b'x'; 8];
            word[at] = b'}';
            let key = [b"{".as_slice(), &word.repeat(words)].concat();
            assert_eq!(hash_tag(&key), naive_tag(&key), "{at} {words}");
            let open = [word.map(|byte| if byte == b'}' { b'{' } else { byte }).repeat(words), b"a}".to_vec()].concat();
            assert_eq!(hash_tag(&open), naive_tag(&open), "{at} {words}");
        }
    }
}

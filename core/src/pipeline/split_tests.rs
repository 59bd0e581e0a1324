use super::*;
use crate::command::ResponsePolicy;
use proptest::prelude::*;
use std::collections::HashMap;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

fn tables(keys: usize) -> (Vec<KeyPlace>, Vec<Part>) {
    (vec![KeyPlace::EMPTY; keys], vec![Part::EMPTY; keys.min(16_384)])
}

fn command(name: &str, keys: &[String], pairs: bool) -> Vec<String> {
    let mut args = vec![String::from(name)];
    for (i, key) in keys.iter().enumerate() {
        args.push(key.clone());
        if pairs {
            args.push(format!("value {i}"));
        }
    }
    args
}

/// Slots in order of first appearance, with the positions of their keys.
fn model(keys: &[String]) -> Vec<(Slot, Vec<usize>)> {
    let mut index = HashMap::new();
    let mut parts: Vec<(Slot, Vec<usize>)> = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        let slot = Slot::of_key(key.as_bytes());
        let at = *index.entry(slot).or_insert_with(|| {
            parts.push((slot, Vec::new()));
            parts.len() - 1
        });
        parts[at].1.push(position);
    }
    parts
}

fn check(name: &str, keys: &[String]) {
    let pairs = name.eq_ignore_ascii_case("MSET");
    let args = command(name, keys, pairs);
    let expected = model(keys);
    let mut places = vec![KeyPlace { part: 7, order: 7 }; keys.len() + 3];
    // Exactly as many entries as there are slots, and filled with rubbish.
    let mut parts = vec![Part { bucket: 1, chain: 1, count: 9, ..Part::EMPTY }; expected.len()];
    let split = split(args.as_slice(), &mut places, &mut parts).unwrap();
    assert_eq!((split.len(), split.keys()), (expected.len(), keys.len()));
    for (i, (view, (slot, positions))) in split.parts().zip(&expected).enumerate() {
        assert_eq!(view.slot(), *slot);
        assert_eq!(&view.positions().collect::<Vec<_>>(), positions);
        let wanted: Vec<String> = positions.iter().map(|p| keys[*p].clone()).collect();
        let mut words = vec![String::from(name)];
        for (p, key) in positions.iter().zip(wanted) {
            words.push(key);
            if pairs {
                words.push(format!("value {p}"));
            }
        }
        assert_eq!(view.count(), words.len());
        for (n, word) in words.iter().enumerate() {
            assert_eq!(view.arg(n), Some(word.as_bytes()));
        }
        assert_eq!(view.arg(words.len()), None);
        for (nth, position) in positions.iter().enumerate() {
            assert_eq!(split.position(i, nth), Some(*position));
        }
        assert_eq!(split.position(i, positions.len()), None);
    }
    assert!(split.part(expected.len()).is_none());
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        keys in proptest::collection::vec(prop_oneof!["[ab]{0,3}", "\\{[a-e]\\}[xy]", "[a-z]{1,8}"], 1..80),
        name in prop_oneof![Just("MGET"), Just("mset"), Just("MSET"), Just("Del"), Just("TOUCH")],
    ) {
        check(name, &keys);
    }
}

#[test]
fn many_keys_over_all_slots() {
    let keys: Vec<String> = (0..40_000).map(|i| format!("key:{i}")).collect();
    check("UNLINK", &keys);
    check("MSET", &keys);
}

#[test]
fn the_layout_outlives_the_borrows() {
    let args = ["EXISTS", "a", "b", "a"];
    let (mut keys, mut parts) = tables(3);
    let layout = split(&args, &mut keys, &mut parts).unwrap().layout();
    assert_eq!(layout.shape.merge(), ResponsePolicy::AggSum);
    let split = layout.view(&args, &keys, &parts);
    assert_eq!(split.part(0).unwrap().positions().collect::<Vec<_>>(), [0, 2]);
    // Tables that are too small lose parts, they do not panic.
    assert!(layout.view(&args, &[], &parts).part(0).is_none());
    assert!(layout.view(&args, &keys, &[]).part(0).is_none());
}

#[test]
fn refusals() {
    let (mut keys, mut parts) = tables(3);
    let mut run = |args: &[&str]| split(args, &mut keys, &mut parts).map(|s| s.len());
    for args in [&[][..], &["GET", "a"], &["MSETNX", "a", "1", "b", "2"], &["MSETEX", "1", "a", "1"], &["MGETS", "a"]] {
        assert_eq!(run(args), Err(SplitError::NotSplittable), "{args:?}");
    }
    for args in [&["MGET"][..], &["MSET"], &["MSET", "a"], &["MSET", "a", "1", "b"]] {
        assert_eq!(run(args), Err(SplitError::Arity), "{args:?}");
    }
    assert_eq!(run(&["MGET", "a", "b", "c", "d"]), Err(SplitError::TooManyKeys { needed: 4 }));
    assert_eq!(run(&["MGET", "a", "b", "c"]), Ok(3));
    let mut few = [Part::EMPTY; 2];
    assert_eq!(split(&["MGET", "a", "b", "c"], &mut keys, &mut few).map(|s| s.len()), Err(SplitError::TooManyParts));
    assert_eq!(split(&["MGET", "a", "b", "a"], &mut keys, &mut few).map(|s| s.len()), Ok(2));
    assert_eq!(split(&["MGET", "a"], &mut keys, &mut []).map(|s| s.len()), Err(SplitError::TooManyParts));
}

#[test]
fn buckets_are_even_and_in_range() {
    for room in [1, 2, 3, 7, 100, 1_000, 16_383, 16_384] {
        let mut load = vec![0_u32; room];
        for n in 0..Slot::COUNT {
            load[bucket(Slot::masked(n), room)] += 1;
        }
        let most = 16_384_u32.div_ceil(load.len() as u32);
        assert!(load.iter().all(|n| *n <= most), "{room}");
    }
}

#[test]
fn table_entries_stay_small() {
    assert_eq!((size_of::<KeyPlace>(), size_of::<Part>()), (8, 16));
}

//! What the larger tests do not look at alone: words of errors, what is harmless, replies read twice, odd options.

use std::borrow::ToOwned;
use std::collections::BTreeSet;
use std::format;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use super::hash::hash;
use super::pack::Packed;
use super::table::VACANT;
use super::*;
use crate::limits::Limits;
use crate::resp::{Frame, Status};

fn key_text(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    keys(&FULL, words.as_slice()).unwrap().map(|key| words[key.index]).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_error_has_a_text_of_its_own() {
    let shared = [
        Unshared::Session,
        Unshared::Replies,
        Unshared::Stream,
        Unshared::Transaction,
        Unshared::About,
        Unshared::Subscriptions,
    ];
    let others = [
        CommandError::Empty,
        CommandError::Unknown,
        CommandError::Arity,
        CommandError::CrossSlot,
        CommandError::Unguarded,
        CommandError::NotSingle,
    ];
    let texts: BTreeSet<String> = others.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), others.len());
    let texts: BTreeSet<String> =
        texts.into_iter().chain(shared.map(|why| CommandError::NotShared(why).to_string())).collect();
    // Three kinds of the six are about the state of the connection.
    assert_eq!(texts.len(), others.len() + 4, "{texts:?}");
    assert!(texts.iter().all(|text| text.len() > 10));
}

#[test]
fn only_what_asks_for_nothing_is_harmless() {
    for (line, harmless) in [
        ("PING", true),
        ("ping", true),
        ("ECHO x", true),
        ("TIME", true),
        ("INFO", true),
        ("INCR k", false),
        ("SET k v", false),
        ("PUBLISH c m", false),
        ("SCRIPT LOAD x", false),
        ("EVAL x 0", false),
        ("CLUSTER INFO", false),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let spec = analyse(&FULL, words.as_slice()).unwrap().spec_for(Target::AnyNode, 10);
        assert_eq!(spec.retry == RetryPermission::Always, harmless, "{line}");
    }
    assert!(!FULL.is_empty() && FULL.len() > 300);
}

#[test]
fn values_of_options_are_no_options() {
    for (line, found) in [
        ("SORT k ASC STORE d", "k d"),
        // Words of the length of an option are not therefore options.
        ("SORT k XX STORE d", "k d"),
        ("SORT k XXX STORE d", "k d"),
        ("SORT k XXXXX STORE d", "k d"),
        ("XREAD XXXXXXX STREAMS a 0", "a"),
        ("XREAD XXXXX STREAMS a 0", "a"),
        ("MIGRATE h 1  0 5 XXXX KEYS a b", "a b"),
        ("MIGRATE h 1  0 5 XXXXX KEYS a b", "a b"),
        ("SORT k GET STORE STORE d", "k d"),
        ("SORT k BY STORE STORE d", "k d"),
        ("SORT k LIMIT 0 STORE STORE d", "k d"),
        ("GEORADIUS k 0 0 1 km STORE d", "k d"),
        ("GEORADIUS k 0 0 1 km STORE", "k"),
        ("GEORADIUS k 0 0 1 km STORE d STORE", "k d"),
        ("GEORADIUSBYMEMBER k m 1 km STOREDIST", "k"),
        ("SORT k STORE d STORE", "k d"),
        ("GEORADIUS k 0 0 1 km STORE STOREDIST COUNT 3", "k STOREDIST"),
        ("GEORADIUS k 0 0 1 km COUNT STORE d", "k"),
        ("GEORADIUS k 0 0 1 km COUNT 3 STOREDIST d", "k d"),
        ("GEORADIUSBYMEMBER k m 1 km STOREDIST STORE ASC", "k STORE"),
    ] {
        assert_eq!(key_text(line), found, "{line}");
    }
}

/// A look-up costs as little as the hash spreads well: chance would let a name stand 0.36 places behind its own.
#[test]
fn names_are_spread_over_the_buckets() {
    let mask = FULL.buckets.len() - 1;
    let steps = FULL.buckets.iter().enumerate().filter(|(_, index)| **index != VACANT).map(|(at, index)| {
        let entry = &FULL.entries[usize::from(*index)];
        at.wrapping_sub(hash(entry.parent, FULL.name_of(entry).as_bytes()) as usize) & mask
    });
    let steps: Vec<usize> = steps.collect();
    assert_eq!(steps.len(), FULL.len());
    assert!(100 * steps.iter().sum::<usize>() < 42 * steps.len(), "{steps:?}");
}

#[test]
fn a_packed_table_has_room_in_its_buckets() {
    for wanted in [&["GET"][..], &["GET", "SET"], &["GET", "SET", "DEL", "CLUSTER"]] {
        let (rows, buckets) = (Packed::<0, 0, 0>::rows(wanted), Packed::<0, 0, 0>::buckets(wanted));
        assert!(buckets.is_power_of_two() && buckets > 2 * rows && buckets <= 4 * rows + 2, "{rows} {buckets}");
    }
}

#[test]
fn a_name_that_no_command_has_fails_the_build() {
    for name in ["GE", "GETT", "NOPE", "CLUSTER NOPE", "CLUSTER.SLOTS", "CLUSTERSSLOTS", "GE|", ""] {
        let packed = std::panic::catch_unwind(|| Packed::<0, 0, 0>::rows(&["SET", name]));
        assert!(packed.is_err(), "{name}");
    }
}

#[test]
fn names_take_no_more_room_than_they_need() {
    assert_eq!(Packed::<0, 0, 0>::bytes(&["GET", "CLUSTER SLOTS"]), "GETCLUSTERSLOTS".len());
    let (entries, specs) = (size_of_val(FULL.entries), size_of_val(FULL.specs));
    assert_eq!(FULL.size(), FULL.names.len() + entries + 2 * FULL.buckets.len() + specs);
    assert_eq!(FULL.names.len(), FULL.entries.iter().map(|entry| usize::from(entry.name_len)).sum());
}

/// An entry of a COMMAND reply as servers before 7.0 sent it, with the positions of its keys.
fn legacy(name: &str, [first, last, step]: [i8; 3], subcommands: &str) -> String {
    let name = format!("${}\r\n{name}\r\n", name.len());
    format!("*10\r\n{name}:-2\r\n*0\r\n:{first}\r\n:{last}\r\n:{step}\r\n*0\r\n*0\r\n*0\r\n{subcommands}")
}

/// How many were added and left out after each reading of the replies, and the keys of a line at the end.
fn read(replies: &[String], line: &str) -> (Vec<(usize, usize)>, String) {
    let (mut names, mut entries) = (vec![0; 64], vec![Entry::EMPTY; 4]);
    let (mut buckets, mut specs) = (vec![0; 8], vec![KeySpec::EMPTY; 4]);
    let storage =
        ExtensionStorage { names: &mut names, entries: &mut entries, buckets: &mut buckets, specs: &mut specs };
    let mut extension = Extension::new(storage, &FULL);
    let mut counts = vec![];
    for reply in replies {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(reply.as_bytes(), &Limits::DEFAULT) else {
            panic!("{reply}")
        };
        extension.read(&frame);
        counts.push((extension.added(), extension.left_out()));
    }
    let table = extension.finish();
    let words: Vec<&str> = line.split(' ').collect();
    let found = keys(&table, words.as_slice());
    let text = found.map(|found| found.map(|key| words[key.index]).collect::<Vec<_>>().join(" "));
    (counts, text.unwrap_or_else(|why| why.name().to_owned()))
}

#[test]
fn positions_of_keys_before_specifications() {
    for (range, keys) in [
        ([1, 1, 1], "a"),
        ([1, -1, 1], "a b c d"),
        ([1, -2, 1], "a b c"),
        ([2, 3, 1], "b c"),
        ([1, -1, 2], "a c"),
        // The last before the first: nothing is understood of it.
        ([2, 0, 1], "unknown_command"),
        ([2, 1, 1], "unknown_command"),
    ] {
        let reply = format!("*1\r\n{}", legacy("mod.x", range, "*0\r\n"));
        let known = usize::from(keys != "unknown_command");
        assert_eq!(read(&[reply], "mod.x a b c d"), (vec![(known, 1 - known)], keys.to_owned()), "{range:?}");
    }
}

#[test]
fn a_reply_that_is_read_twice_adds_nothing() {
    let subs = |list: &[&str]| {
        let subs: String = list.iter().map(|name| legacy(name, [0, 0, 0], "*0\r\n")).collect();
        format!("*{}\r\n{subs}", list.len())
    };
    let reply = format!(
        "*3\r\n{}{}{}",
        legacy("mod.x", [1, 1, 1], "*0\r\n"),
        legacy("cluster", [0, 0, 0], &subs(&["cluster|slots", "cluster|weather"])),
        // Nothing new in it.
        legacy("config", [0, 0, 0], &subs(&["config|get"])),
    );
    let (counts, keys) = read(&[reply.clone(), reply], "mod.x a");
    assert_eq!((counts, keys.as_str()), (vec![(3, 0), (3, 0)], "a"));
}

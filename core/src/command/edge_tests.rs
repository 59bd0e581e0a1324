//! Single bits and words: flags of keys, words of COMMAND replies, options that look like others.

use std::borrow::ToOwned;
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::limits::Limits;
use crate::resp::{Frame, Status};
use crate::slot::Slot;

fn analysed(line: &str) -> Analysis<'static> {
    let words: Vec<&str> = line.split(' ').collect();
    analyse(&FULL, words.as_slice()).unwrap_or_else(|why| panic!("{line}: {why}"))
}

fn key_text(table: &Table<'_>, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    keys(table, words.as_slice()).unwrap().map(|key| words[key.index]).collect::<Vec<_>>().join(" ")
}

/// The flags of a command's first key, as words.
fn flag_words(table: &Table<'_>, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let found = table.find(words.as_slice()).unwrap();
    let flags = found.routed(words.as_slice()).unwrap().next().unwrap().flags;
    let mut text = match flags.kind() {
        KeyAccess::ReadOnly => "RO",
        KeyAccess::ReadWrite => "RW",
        KeyAccess::Overwrite => "OW",
        KeyAccess::Remove => "RM",
    }
    .to_owned();
    assert_eq!(flags.writes(), flags.kind() != KeyAccess::ReadOnly, "{line}");
    for (set, word) in [
        (flags.accesses(), "access"),
        (flags.updates(), "update"),
        (flags.inserts(), "insert"),
        (flags.deletes(), "delete"),
        (!flags.is_key(), "not_key"),
        (flags.variable(), "variable"),
    ] {
        if set {
            text.push(' ');
            text.push_str(word);
        }
    }
    text
}

#[test]
fn flags_of_keys() {
    for (line, words) in [
        ("GET a", "RO access"),
        ("EXISTS a", "RO"),
        ("SET a 1", "RW access update variable"),
        ("DEL a", "RM delete"),
        ("LPUSH a 1", "RW insert"),
        ("LPOP a", "RW access delete"),
        ("APPEND a x", "RW insert"),
        ("BITOP AND a b", "OW update"),
        ("SPUBLISH a x", "RO not_key"),
    ] {
        assert_eq!(flag_words(&FULL, line), words, "{line}");
    }
}

#[test]
fn options_are_passed_with_their_values() {
    for (line, expected) in [
        ("SORT k ALPHA d", "k"),
        ("SORT k LIMIT 0 STORE d", "k"),
        ("SORT k GET STORE d", "k"),
        ("SORT k BY STORE d", "k"),
        ("SORT k STORE d ALPHA e", "k d"),
        ("XREADGROUP GROUP g c COUNT STREAMS STREAMS a 0", "a"),
        ("XREADGROUP GROUP g c CLAIM STREAMS STREAMS a 0", "a"),
        ("XREADGROUP GROUP g c NOACK STREAMS a 0", "a"),
    ] {
        assert_eq!(key_text(&FULL, line), expected, "{line}");
    }
    assert!(!analysed("XREAD CLAIM BLOCK STREAMS a 0").blocking());
    assert_eq!(analysed("MGET {a}1 {a}2 {a}3").key_count(), 3);
    assert_eq!(analysed("PING").key_count(), 0);
    let slot = Some(Slot::of_key(b"a"));
    assert_eq!((analysed("GET {a}1").slot(), analysed("GET {a}1").spec(9).unwrap().target.slot()), (slot, slot));
    assert_eq!((analysed("ECHO x").slot(), analysed("ECHO x").spec(9).unwrap().target.slot()), (None, None));
}

#[test]
fn what_a_table_says_of_itself() {
    assert!((4_000..=12 * 1024).contains(&FULL.size()), "{}", FULL.size());
    for (line, arity) in [("GET a", 2), ("MGET a", -2), ("PING", -1), ("SET a 1", -3)] {
        assert_eq!(analysed(line).command().arity(), arity, "{line}");
        assert_eq!(analysed(line).name(), line.split(' ').next().unwrap_or_default());
    }
    assert_eq!(ResponsePolicy::DefaultKeyed.name(), "default");
    assert_eq!(RequestPolicy::Default.name(), "default");
}

#[test]
fn the_subscribe_family() {
    use ChannelKind::{Pattern, Plain, Sharded};
    for (line, class) in [
        ("SUBSCRIBE a", SubscribeClass::Subscribe(Plain)),
        ("PSUBSCRIBE a", SubscribeClass::Subscribe(Pattern)),
        ("SSUBSCRIBE a", SubscribeClass::Subscribe(Sharded)),
        ("UNSUBSCRIBE a", SubscribeClass::Unsubscribe(Plain)),
        ("PUNSUBSCRIBE a", SubscribeClass::Unsubscribe(Pattern)),
        ("SUNSUBSCRIBE a", SubscribeClass::Unsubscribe(Sharded)),
    ] {
        assert_eq!(analysed(line).subscribe_class(), Some(class), "{line}");
    }
    assert_eq!(analysed("GET a").subscribe_class(), None);
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn list(words: &[&str]) -> String {
    format!("*{}\r\n{}", words.len(), words.iter().map(|word| bulk(word)).collect::<String>())
}

/// An entry of a server before 7.0: name, arity, flags, first, last and step of the keys.
fn legacy(name: &str, flags: &[&str], keys: [i64; 3]) -> String {
    let [first, last, step] = keys;
    format!("*6\r\n{}:-2\r\n{}:{first}\r\n:{last}\r\n:{step}\r\n", bulk(name), list(flags))
}

/// An entry of a newer server, with one key specification at index 1.
fn modern(name: &str, flags: &[&str], tips: &[&str], key_flags: &[&str]) -> String {
    let range = "*6\r\n+lastkey\r\n:0\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n";
    let spec = format!(
        "*6\r\n+flags\r\n{}+begin_search\r\n*4\r\n+type\r\n+index\r\n+spec\r\n*2\r\n+index\r\n:1\r\n\
         +find_keys\r\n*4\r\n+type\r\n+range\r\n+spec\r\n{range}",
        list(key_flags)
    );
    format!("*10\r\n{}:-2\r\n{}:1\r\n:1\r\n:1\r\n*0\r\n{}*1\r\n{spec}*0\r\n", bulk(name), list(flags), list(tips))
}

/// A table over nothing but these entries.
fn read<T>(entries: &[String], then: impl FnOnce(&Table<'_>) -> T) -> T {
    let reply = format!("*{}\r\n{}", entries.len(), entries.concat());
    let frame = match Frame::new_checked(reply.as_bytes(), &Limits::DEFAULT) {
        Ok(Status::Complete((frame, _))) => frame,
        other => panic!("{other:?}"),
    };
    let (mut names, mut entries_of) = (vec![0; 400], vec![Entry::EMPTY; 24]);
    let (mut buckets, mut specs) = (vec![0; 64], vec![KeySpec::EMPTY; 24]);
    let storage =
        ExtensionStorage { names: &mut names, entries: &mut entries_of, buckets: &mut buckets, specs: &mut specs };
    let mut extension = Extension::new(storage, &FULL);
    extension.read(&frame);
    assert_eq!((extension.added(), extension.left_out()), (entries.len(), 0));
    then(&extension.finish())
}

#[test]
fn words_of_a_server_for_keys() {
    let words = ["RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "variable_flags"];
    let entries: Vec<String> =
        words.iter().enumerate().map(|(n, word)| modern(&format!("mod.{n}"), &[], &[], &["RO", word])).collect();
    read(&entries, |table| {
        for (n, word) in words.iter().enumerate() {
            let expected = match *word {
                "RW" | "OW" | "RM" => (*word).to_owned(),
                "variable_flags" => "RO variable".to_owned(),
                other => format!("RO {other}"),
            };
            assert_eq!(flag_words(table, &format!("mod.{n} key")), expected);
        }
    });
}

#[test]
fn words_of_a_server_for_policies_and_flags() {
    let requests = [
        ("all_nodes", RequestPolicy::AllNodes),
        ("all_shards", RequestPolicy::AllShards),
        ("multi_shard", RequestPolicy::MultiShard),
        ("special", RequestPolicy::Special),
    ];
    let responses = [
        ("one_succeeded", ResponsePolicy::OneSucceeded),
        ("all_succeeded", ResponsePolicy::AllSucceeded),
        ("agg_logical_and", ResponsePolicy::AggLogicalAnd),
        ("agg_logical_or", ResponsePolicy::AggLogicalOr),
        ("agg_min", ResponsePolicy::AggMin),
        ("agg_max", ResponsePolicy::AggMax),
        ("agg_sum", ResponsePolicy::AggSum),
        ("special", ResponsePolicy::Special),
    ];
    let mut entries = Vec::new();
    for (word, _) in &requests {
        entries.push(modern(&format!("req.{word}"), &[], &[&format!("request_policy:{word}"), "other"], &[]));
    }
    for (word, _) in &responses {
        entries.push(modern(&format!("res.{word}"), &[], &[&format!("response_policy:{word}")], &[]));
    }
    for flag in ["readonly", "write", "blocking", "module", "no_multi"] {
        entries.push(modern(&format!("flag.{flag}"), &[flag], &[], &[]));
    }
    read(&entries, |table| {
        for (word, policy) in &requests {
            let found = table.find(&[format!("req.{word}"), "key".to_owned()]).unwrap();
            assert_eq!(found.request_policy(), *policy, "{word}");
            assert_eq!(policy.name(), *word);
        }
        for (word, policy) in &responses {
            let found = table.find(&[format!("res.{word}"), "key".to_owned()]).unwrap();
            assert_eq!(found.response_policy(true), *policy, "{word}");
            assert_eq!(policy.name(), *word);
        }
        for flag in ["readonly", "write", "blocking", "module", "no_multi"] {
            let found = table.find(&[format!("flag.{flag}"), "key".to_owned()]).unwrap();
            assert_eq!(found.read_only(), flag == "readonly", "{flag}");
            assert_eq!(found.writes(), flag == "write", "{flag}");
            assert_eq!(found.may_block(), flag == "blocking", "{flag}");
            assert_eq!(found.script_like(), flag == "module", "{flag}");
            assert_eq!(found.allowed_in_multi(), flag != "no_multi", "{flag}");
        }
    });
}

#[test]
fn keys_of_servers_before_the_specifications() {
    let entries = [
        legacy("old.one", &["readonly"], [1, 1, 1]),
        legacy("old.all", &["write"], [1, -1, 1]),
        legacy("old.pairs", &["write"], [1, -1, 2]),
        legacy("old.two", &["write"], [2, 3, 1]),
        legacy("old.but", &["write"], [1, -2, 1]),
        legacy("old.none", &[], [0, 0, 0]),
    ];
    read(&entries, |table| {
        for (line, expected) in [
            ("old.one a b c", "a"),
            ("old.all a b c", "a b c"),
            ("old.pairs a 1 b 2", "a b"),
            ("old.two x a b c", "a b"),
            ("old.but a b c", "a b"),
            ("old.none a b", ""),
        ] {
            assert_eq!(key_text(table, line), expected, "{line}");
        }
    });
}

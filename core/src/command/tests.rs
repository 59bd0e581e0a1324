//! Tests of the room against hand-written expectations; the comparison with live servers is in the tests package.

use std::collections::BTreeSet;
use std::string::{String, ToString};
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::slot::Slot;

fn words(line: &str) -> Vec<&str> {
    line.split(' ').map(|word| if word == "''" { "" } else { word }).collect()
}

fn analysed(line: &str) -> Analysis<'static> {
    analyse(&FULL, words(line).as_slice()).unwrap_or_else(|why| panic!("{line}: {why}"))
}

fn refused(line: &str) -> CommandError {
    analyse(&FULL, words(line).as_slice()).map(|found| found.route()).expect_err(line)
}

fn key_text(line: &str) -> String {
    let words = words(line);
    let keys = keys(&FULL, words.as_slice()).unwrap_or_else(|why| panic!("{line}: {why}"));
    assert_eq!(keys.len(), keys.count(), "{line}");
    keys.map(|key| words[key.index]).collect::<Vec<_>>().join(" ")
}

#[test]
fn table_is_small_and_complete() {
    assert!(FULL.size() <= 12 * 1024, "{} bytes", FULL.size());
    assert_eq!(FULL.len(), 426);
    let names: BTreeSet<_> = FULL.commands().map(|command| command.to_string()).collect();
    assert_eq!(names.len(), 426);
    for command in FULL.commands() {
        let both: Vec<_> = [Some(command.name()), command.subcommand()].into_iter().flatten().collect();
        for args in [
            both.iter().map(|s| s.to_lowercase()).collect::<Vec<_>>(),
            both.iter().copied().map(String::from).collect(),
        ] {
            match FULL.find(args.as_slice()) {
                Ok(found) => assert_eq!(found.to_string(), command.to_string()),
                Err(why) => assert_eq!((why, command.subcommand()), (CommandError::Arity, None), "{command}"),
            }
        }
    }
}

#[test]
fn unknown_is_not_guessed() {
    for line in ["FOO k", "G", "GETT k", "XGROUP FOO k", "CLUSTER SLOT", "JSON.GET k", "HELP", "CREATE k", "\u{ff}"] {
        assert_eq!(refused(line), CommandError::Unknown, "{line}");
    }
    assert_eq!(analyse::<[&str]>(&FULL, &[]).unwrap_err(), CommandError::Empty);
    assert_eq!(refused("''"), CommandError::Unknown);
    let long = "G".repeat(100_000);
    assert_eq!(refused(&long), CommandError::Unknown);
}

#[test]
fn arity() {
    for line in ["GET", "GET a b", "XGROUP", "CONFIG", "MSET a", "MSET a 1 b", "MSETNX a 1 b", "EVAL s", "SUBSCRIBE"] {
        assert_eq!(refused(line), CommandError::Arity, "{line}");
    }
    for line in ["COMMAND", "PING", "PING x", "INFO", "SUNSUBSCRIBE", "GET a"] {
        analysed(line);
    }
}

#[test]
fn keys_of_every_shape() {
    for (line, expected) in [
        ("GET a", "a"),
        ("get a", "a"),
        ("MGET a b a", "a b a"),
        ("MSET a 1 b 2", "a b"),
        ("MSETEX 2 a 1 b 2 EX 10", "a b"),
        ("BLPOP a b 0", "a b"),
        ("BITOP AND d a b", "d a b"),
        ("LCS a b LEN", "a b"),
        ("PFMERGE d", "d"),
        ("PFMERGE d a b", "d a b"),
        ("OBJECT ENCODING k", "k"),
        ("object freq k", "k"),
        ("MEMORY USAGE k SAMPLES 5", "k"),
        ("XINFO STREAM k FULL", "k"),
        ("XGROUP CREATE k g $", "k"),
        ("LMPOP 2 a b LEFT", "a b"),
        ("BLMPOP 0 2 a b LEFT", "a b"),
        ("ZUNIONSTORE d 2 a b WEIGHTS 1 2", "d a b"),
        ("SINTERCARD 2 a b LIMIT 3", "a b"),
        ("EVAL s 2 a b c", "a b"),
        ("EVAL s 0 a", ""),
        ("EVAL s x a", ""),
        ("EVAL s -1 a", ""),
        ("EVAL s 3 a b", ""),
        ("EVAL s 99999999999999999999 a", ""),
        ("EVAL s 4294967295 a", ""),
        ("FCALL f 1 k x", "k"),
        ("SORT k", "k"),
        ("SORT k BY w_* GET o_* STORE d", "k d"),
        ("SORT k BY store GET store ASC", "k"),
        ("sort k limit 0 10 store d store e", "k e"),
        ("SORT k STORE", "k"),
        ("SORT_RO k BY w_* GET #", "k"),
        ("GEORADIUS k 1 2 3 m STORE d", "k d"),
        ("GEORADIUS k 1 2 3 m COUNT 3 STOREDIST e STORE d", "k d e"),
        ("GEORADIUS k 1 2 3 m STORE storedist", "k storedist"),
        ("GEORADIUSBYMEMBER k m 1 km storedist e", "k e"),
        ("XREAD STREAMS a b 0 0", "a b"),
        ("XREAD COUNT 1 BLOCK 0 STREAMS streams 0", "streams"),
        ("XREADGROUP GROUP STREAMS c STREAMS a >", "a"),
        ("XREADGROUP GROUP g streams COUNT 1 NOACK STREAMS a b > >", "a b"),
        ("XREADGROUP COUNT 1 GROUP STREAMS c STREAMS k >", "k"),
        ("XREAD COUNT 1 BLOCK 0", ""),
        ("XREAD COUNT 1 BLOCK STREAMS", ""),
        ("MIGRATE h 1 k 0 5", "k"),
        ("MIGRATE h 1 '' 0 5 KEYS a b", "a b"),
        ("MIGRATE h 1 '' 0 5 COPY AUTH2 keys keys keys a b", "a b"),
        ("MIGRATE h 1 '' 0 5 AUTH keys KEYS a", "a"),
        ("MIGRATE h 1 k 0 5 KEYS a", "k"),
        ("MIGRATE h 1 '' 0 5 REPLACE", ""),
        ("COPY a b DB 1", "a b"),
        ("SPUBLISH c m", ""),
        ("SSUBSCRIBE c d", ""),
        ("CLUSTERSCAN 0", ""),
        ("PUBLISH c m", ""),
        ("WATCH a b", "a b"),
        ("PING", ""),
    ] {
        assert_eq!(key_text(line), expected, "{line}");
    }
}

#[test]
fn routes() {
    for (line, route) in [
        ("GET a", "slot"),
        ("MGET {t}a {t}b", "slot"),
        ("MGET a b", "split"),
        ("MSET a 1 b 2", "split"),
        ("DEL a b", "split"),
        ("UNLINK a b", "split"),
        ("EXISTS a b", "split"),
        ("TOUCH a b", "split"),
        ("MSETEX 2 {t}a 1 {t}b 2", "slot"),
        ("SPUBLISH c m", "slot"),
        ("SSUBSCRIBE {c}1 {c}2", "slot"),
        ("SUNSUBSCRIBE c", "slot"),
        ("SUNSUBSCRIBE", "connection"),
        ("UNSUBSCRIBE", "connection"),
        ("UNSUBSCRIBE c", "connection"),
        ("SUBSCRIBE c", "any_node"),
        ("PUBLISH c m", "any_node"),
        ("CLUSTERSCAN 0-{06S}-0", "slot"),
        ("SCAN 0", "any_node"),
        ("EVAL s 0", "any_node"),
        ("EVAL s nonsense", "any_node"),
        ("FCALL f 0", "any_node"),
        ("WAIT 1 0", "connection"),
        ("WAITAOF 1 1 0", "connection"),
        ("SELECT 0", "connection"),
        ("CLIENT SETNAME x", "connection"),
        ("CLIENT LIST", "any_node"),
        ("MULTI", "connection"),
        ("WATCH a", "slot"),
        ("UNWATCH", "connection"),
        ("MONITOR", "connection"),
        ("PING", "all_primaries"),
        ("DBSIZE", "all_primaries"),
        ("KEYS *", "all_primaries"),
        ("FLUSHALL", "all_primaries"),
        ("RANDOMKEY", "all_primaries"),
        ("FUNCTION LOAD x", "all_primaries"),
        ("SCRIPT EXISTS a", "all_primaries"),
        ("SCRIPT LOAD s", "all_nodes"),
        ("CONFIG SET a b", "all_nodes"),
        ("CONFIG GET a", "any_node"),
        ("SLOWLOG LEN", "all_nodes"),
        ("SWAPDB 0 1", "any_primary"),
        ("CLUSTER SLOTS", "any_node"),
        ("TIME", "any_node"),
        ("MIGRATE h 1 '' 0 5 KEYS {t}a {t}b", "slot"),
    ] {
        assert_eq!(analysed(line).route().name(), route, "{line}");
    }
    assert_eq!(analysed("SPUBLISH foo m").route(), Route::Slot(Slot::of_key(b"foo")));
    for line in [
        "MSETNX a 1 b 2",
        "MSETEX 2 a 1 b 2",
        "RENAME a b",
        "SSUBSCRIBE a b",
        "EVAL s 2 a b",
        "SUNION a b",
        "WATCH a b",
    ] {
        assert_eq!(refused(line), CommandError::CrossSlot, "{line}");
    }
}

#[test]
fn flags() {
    for line in [
        "BLPOP a 0",
        "BLMOVE {t}a {t}b LEFT RIGHT 0",
        "WAIT 1 0",
        "XREAD BLOCK 0 STREAMS a 0",
        "xread block 0 streams a 0",
    ] {
        assert!(analysed(line).blocking(), "{line}");
    }
    for line in ["XREAD STREAMS a 0", "XREAD STREAMS block 0", "XREADGROUP GROUP block block STREAMS a >", "GET a"] {
        assert!(!analysed(line).blocking(), "{line}");
    }
    for (line, script) in [("EVAL s 0", true), ("FCALL_RO f 0", true), ("VADD k VALUES 1 1 e", true), ("GET a", false)]
    {
        assert_eq!(analysed(line).script_like(), script, "{line}");
    }
    for (line, read) in [
        ("GET a", true),
        ("EVAL_RO s 0", true),
        ("GETEX a", false),
        ("PING", false),
        ("SORT a", false),
        ("XREAD STREAMS a 0", true),
    ] {
        assert_eq!(analysed(line).read_only(), read, "{line}");
    }
    assert!(analysed("MSETEX 1 a 1").needs_guard());
    assert!(!analysed("MSET a 1").needs_guard());
    for line in ["SUBSCRIBE a", "SUNSUBSCRIBE", "HELLO", "RESET", "MONITOR", "CLIENT REPLY ON", "MULTI"] {
        assert!(!analysed(line).allowed_in_multi(), "{line}");
    }
    assert!(analysed("EXEC").allowed_in_multi());
    assert_eq!(analysed("PSUBSCRIBE a*").subscribe_class(), Some(SubscribeClass::Subscribe(ChannelKind::Pattern)));
    assert_eq!(analysed("SUNSUBSCRIBE a").subscribe_class(), Some(SubscribeClass::Unsubscribe(ChannelKind::Sharded)));
}

#[test]
fn merges() {
    for (line, merge) in [
        ("MGET a b", ResponsePolicy::DefaultKeyed),
        ("MSET a 1 b 2", ResponsePolicy::AllSucceeded),
        ("DEL a b", ResponsePolicy::AggSum),
        ("KEYS *", ResponsePolicy::DefaultKeyless),
        ("SCRIPT EXISTS x", ResponsePolicy::AggLogicalAnd),
        ("SCRIPT KILL", ResponsePolicy::OneSucceeded),
        ("INFO", ResponsePolicy::Special),
        ("DBSIZE", ResponsePolicy::AggSum),
        ("WAIT 1 1", ResponsePolicy::AggMin),
    ] {
        assert_eq!(analysed(line).merge(), merge, "{line}");
    }
}

#[test]
fn specs_for_the_engine() {
    let spec = analysed("BLPOP a 0").spec(23).unwrap().with_tag(7);
    assert_eq!((spec.target, spec.len, spec.blocking, spec.tag), (Target::Slot(Slot::of_key(b"a")), 23, true, 7));
    assert_eq!(spec.access, Access::Write);
    assert!(analysed("SSUBSCRIBE a").spec(1).unwrap().subscribe);
    assert!(analysed("EVAL s 1 a").spec(1).unwrap().script_like);
    for (line, error) in [
        ("MGET a b", CommandError::NotSingle),
        ("DBSIZE", CommandError::NotSingle),
        ("MSETEX 1 a 1", CommandError::Unguarded),
        ("MONITOR", CommandError::NotShared(Unshared::Stream)),
        ("CLIENT REPLY OFF", CommandError::NotShared(Unshared::Replies)),
        ("HELLO 3", CommandError::NotShared(Unshared::Session)),
        ("WATCH a", CommandError::NotShared(Unshared::Transaction)),
        ("WAIT 1 1", CommandError::NotShared(Unshared::About)),
        ("SUNSUBSCRIBE", CommandError::NotShared(Unshared::Subscriptions)),
    ] {
        assert_eq!(analysed(line).spec(1), Err(error), "{line}");
    }
    assert!(analysed("SUNSUBSCRIBE a").spec(1).is_ok());
}

crate::command_table! {
    static SOME = ["GET", "set", "XGROUP CREATE", "OBJECT"];
}

#[test]
fn subset() {
    let names: BTreeSet<_> = SOME.commands().map(|command| command.to_string()).collect();
    let expected = [
        "GET",
        "SET",
        "XGROUP",
        "XGROUP CREATE",
        "OBJECT",
        "OBJECT ENCODING",
        "OBJECT FREQ",
        "OBJECT HELP",
        "OBJECT IDLETIME",
        "OBJECT REFCOUNT",
    ];
    assert_eq!(names, expected.map(String::from).into());
    assert!(SOME.size() < 1400, "{}", SOME.size());
    let keys = keys(&SOME, &["xgroup", "create", "k", "g", "$"]).unwrap();
    assert!(keys.map(|key| key.index).eq([2]));
    assert_eq!(SOME.find(&["XGROUP", "DESTROY", "k", "g"]).unwrap_err(), CommandError::Unknown);
}

proptest! {
    /// Whatever the arguments: the keys are arguments behind the name, ascending where one run gives them, and the
    /// route agrees with them.
    #[test]
    fn keys_are_arguments(
        pick in 0..426_usize,
        tail in prop::collection::vec(prop_oneof![
            Just("STORE".to_string()), Just("STREAMS".to_string()), Just("KEYS".to_string()), Just("BLOCK".to_string()),
            Just("".to_string()), Just("2".to_string()), "-?[0-9]{1,20}", "[a-c{}]{0,4}"
        ], 0..12),
    ) {
        let command = FULL.commands().nth(pick).unwrap();
        let mut args: Vec<String> = [command.name()].into_iter().chain(command.subcommand()).map(str::to_lowercase).collect();
        args.extend(tail);
        let Ok(found) = FULL.find(args.as_slice()) else { return Ok(()) };
        let keys = found.routed(args.as_slice());
        prop_assert_eq!(keys.is_ok(), found.takes(args.len()));
        let Ok(keys) = keys else { return Ok(()) };
        prop_assert_eq!(keys.len(), keys.count());
        let indices: Vec<_> = keys.map(|key| key.index).collect();
        prop_assert!(indices.iter().all(|&index| 0 < index && index < args.len()), "{:?} {:?}", args, indices);
        let slots: BTreeSet<_> = indices.iter().map(|&index| Slot::of_key(args[index].as_bytes())).collect();
        match found.analyse(args.as_slice()) {
            Ok(analysis) => match analysis.route() {
                Route::Slot(slot) => prop_assert_eq!(slots.iter().copied().collect::<Vec<_>>(), [slot]),
                Route::Split => prop_assert!(slots.len() > 1),
                _ => prop_assert!(slots.is_empty()),
            },
            Err(CommandError::CrossSlot) => prop_assert!(slots.len() > 1),
            Err(why) => prop_assert_eq!(why, CommandError::Arity),
        }
    }
}

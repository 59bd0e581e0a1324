//! Extensions read from replies written here; replies of live servers are read in the tests package.

use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::limits::Limits;
use crate::resp::{Frame, Status};

fn frame(reply: &[u8]) -> Frame<'_> {
    match Frame::new_checked(reply, &Limits::DEFAULT) {
        Ok(Status::Complete((frame, _))) => frame,
        other => panic!("{other:?}"),
    }
}

fn with<T>(sizes: [usize; 4], reply: &[u8], then: impl FnOnce(usize, usize, Table<'_>) -> T) -> T {
    let [names, entries, buckets, specs] = sizes;
    let (mut names, mut entries) = (vec![0; names], vec![Entry::EMPTY; entries]);
    let (mut buckets, mut specs) = (vec![0; buckets], vec![KeySpec::EMPTY; specs]);
    let storage =
        ExtensionStorage { names: &mut names, entries: &mut entries, buckets: &mut buckets, specs: &mut specs };
    let mut extension = Extension::new(storage, &FULL);
    extension.read(&frame(reply));
    then(extension.added(), extension.left_out(), extension.finish())
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

/// A RESP3 entry of ten elements.
fn entry(name: &str, flags: &[&str], tips: &[&str], specs: &[String], subcommands: &[String]) -> String {
    let words =
        |list: &[&str]| format!("~{}\r\n{}", list.len(), list.iter().map(|word| bulk(word)).collect::<String>());
    format!(
        "*10\r\n{}:-2\r\n{}:0\r\n:0\r\n:0\r\n~0\r\n{}*{}\r\n{}*{}\r\n{}",
        bulk(name),
        words(flags),
        words(tips),
        specs.len(),
        specs.concat(),
        subcommands.len(),
        subcommands.concat()
    )
}

fn keyword_spec(word: &str, from: i32, flag: &str) -> String {
    format!(
        "%3\r\n+flags\r\n~1\r\n+{flag}\r\n+begin_search\r\n%2\r\n+type\r\n+keyword\r\n+spec\r\n%2\r\n+keyword\r\n{}+startfrom\r\n:{from}\r\n\
         +find_keys\r\n%2\r\n+type\r\n+range\r\n+spec\r\n%3\r\n+lastkey\r\n:-1\r\n+keystep\r\n:1\r\n+limit\r\n:0\r\n",
        bulk(word)
    )
}

fn key_text(table: &Table<'_>, line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    keys(table, words.as_slice()).unwrap().map(|key| words[key.index]).collect::<Vec<_>>().join(" ")
}

#[test]
fn key_words_forwards_and_backwards() {
    let reply = format!(
        "*3\r\n{}{}{}",
        entry("mod.a", &["write", "module"], &[], &[keyword_spec("INTO", 2, "OW")], &[]),
        entry("mod.b", &["readonly"], &["request_policy:all_shards", "response_policy:agg_max"], &[], &[]),
        entry("mod.c", &[], &[], &[keyword_spec("from", -2, "RO")], &[]),
    );
    with([64, 4, 8, 4], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (3, 0));
        assert_eq!(key_text(&table, "mod.a into x into a b"), "a b");
        assert_eq!(key_text(&table, "mod.a x y"), "");
        assert_eq!(key_text(&table, "mod.a x into"), "");
        assert_eq!(key_text(&table, "mod.c FROM a b from c"), "c");
        assert_eq!(key_text(&table, "mod.c from a from"), "a from");
        assert_eq!(key_text(&table, "mod.c x y"), "");
        let found = analyse(&table, &["MOD.B", "x"]).unwrap();
        assert_eq!((found.route(), found.merge()), (Route::AllPrimaries, ResponsePolicy::AggMax));
        assert!(analyse(&table, &["MOD.A", "x", "into", "k"]).unwrap().script_like());
        assert_eq!(table.find(&["mod.d"]).unwrap_err(), CommandError::Unknown);
    });
}

#[test]
fn a_number_of_keys() {
    let spec = "%3\r\n+flags\r\n~1\r\n+RO\r\n+begin_search\r\n%2\r\n+type\r\n+index\r\n+spec\r\n%1\r\n+index\r\n:2\r\n\
        +find_keys\r\n%2\r\n+type\r\n+keynum\r\n+spec\r\n%3\r\n+keynumidx\r\n:0\r\n+firstkey\r\n:2\r\n+keystep\r\n:3\r\n";
    let reply = format!("*1\r\n{}", entry("mod.n", &[], &[], &[spec.into()], &[]));
    with([64, 4, 8, 4], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (1, 0));
        assert_eq!(key_text(&table, "mod.n x 2 y a 1 2 b 3 4"), "a b");
        assert_eq!(key_text(&table, "mod.n x 1 y a 1 2"), "a");
        assert_eq!(key_text(&table, "mod.n x 3 y a 1 2 b 3 4"), "");
    });
}

/// The name counts as an argument, so that nothing fits an arity of 0.
#[test]
fn an_arity_that_cannot_be() {
    let old = |name: &str, arity: i8| format!("*6\r\n{}:{arity}\r\n*0\r\n:0\r\n:0\r\n:0\r\n", bulk(name));
    let reply = format!("*3\r\n{}{}{}", old("none", 0), old("one", 1), old("any", -1));
    with([64, 4, 8, 4], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (3, 0));
        for (name, takes) in [("none", [false; 2]), ("one", [true, false]), ("any", [true; 2])] {
            let taken = [analyse(&table, &[name]).is_ok(), analyse(&table, &[name, "x"]).is_ok()];
            assert_eq!(taken, takes, "{name}");
        }
    });
}

#[test]
fn what_is_not_understood_is_left_out() {
    let reply = format!(
        "*5\r\n{}{}{}_\r\n{}",
        entry("mod.a", &["movablekeys"], &[], &[], &[]),
        entry("mod.b", &[], &[], &[keyword_spec("K", 1, "incomplete")], &[]),
        entry("mod.c", &[], &["request_policy:new"], &[], &[]),
        entry("get", &["write"], &[], &[], &[]),
    );
    with([64, 4, 8, 4], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (0, 3));
        assert!(analyse(&table, &["GET", "k"]).unwrap().read_only(), "the base is not overruled");
    });
    with([64, 4, 8, 4], b"-ERR unknown command\r\n", |added, left_out, table| {
        assert_eq!((added, left_out, table.is_empty()), (0, 0, true));
    });
}

#[test]
fn new_subcommands_of_a_known_command() {
    let subs = [entry("cluster|slots", &[], &[], &[], &[]), entry("cluster|weather", &[], &[], &[], &[])];
    let reply = format!("*1\r\n{}", entry("cluster", &[], &[], &[], &subs));
    with([64, 4, 8, 4], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (2, 0));
        assert_eq!(table.find(&["cluster", "Weather"]).unwrap().subcommand(), Some("WEATHER"));
        assert_eq!(table.find(&["CLUSTER", "slots"]).unwrap().subcommand(), Some("SLOTS"));
        assert_eq!(table.find(&["CLUSTER", "rain"]).unwrap_err(), CommandError::Unknown);
        assert_eq!(table.find(&["CLUSTER"]).unwrap_err(), CommandError::Arity);
    });
}

/// More key specifications than can be numbered: commands that need one more are left out, and no others.
#[test]
fn a_full_list_of_specifications() {
    let old = |name: &str, first: u8, step: u8| {
        format!("*6\r\n{}:-2\r\n*0\r\n:{first}\r\n:{first}\r\n:{step}\r\n", bulk(name))
    };
    let mut commands: Vec<String> =
        (0..256_u16).map(|n| old(&format!("m{n}"), n as u8 / 2 + 1, n as u8 % 2 + 1)).collect();
    commands.extend([old("none", 0, 0), old("again", 7, 1), old("more", 200, 1)]);
    let reply = format!("*{}\r\n{}", commands.len(), commands.concat());
    with([2_000, 300, 1_024, 300], reply.as_bytes(), |added, left_out, table| {
        assert_eq!((added, left_out), (258, 1));
        assert_eq!(key_text(&table, "none a b"), "");
        assert_eq!(key_text(&table, "again 1 2 3 4 5 6 7 8"), "7");
        assert_eq!(key_text(&table, "m255 x"), "");
        assert_eq!(table.find(&["more"]).unwrap_err(), CommandError::Unknown);
    });
}

proptest! {
    /// Whatever room there is: what does not fit is counted, and the base still answers.
    #[test]
    fn any_room(names in 0..40_usize, entries in 0..6_usize, buckets in 0..9_usize, specs in 0..4_usize) {
        let commands: String = (0..5)
            .map(|n| entry(&format!("mod.{n}"), &[], &[], &[keyword_spec(&format!("W{n}"), n, "RO")], &[]))
            .collect();
        with([names, entries, buckets, specs], format!("*5\r\n{commands}").as_bytes(), |added, left_out, table| {
            assert_eq!(added + left_out, 5);
            assert_eq!(table.len(), added);
            assert!(added <= entries && added <= specs.max(1) * 5);
            assert!(table.find(&["GET", "k"]).is_ok());
            for command in table.commands() {
                assert_eq!(table.find(&[command.name()]).unwrap().name(), command.name());
            }
        });
    }
}

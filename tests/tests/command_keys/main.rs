//! The keys of every command in the fact files, against `COMMAND GETKEYS` of real servers.
//!
//! Each command and subcommand of both files gets several argument lists, made from its key specifications by code that
//! shares nothing with the core; where keys stand is known from the making. The core must find exactly these, and so
//! must each server that knows the command, apart from the exceptions listed with their reasons in [`exceptions`].
//! `SLOTWISE_KEY_TABLE=FILE` writes one line for each command.

mod cases;
mod exceptions;
mod report;
mod routes;

use std::collections::BTreeMap;
use std::path::Path;

use cases::{Case, Expect, Maker};
use report::{Line, Report};
use serde_json::Value as Json;
use slotwise::command::{CommandError, FULL, keys};
use slotwise_tests::real::{Cluster, Conn, ServerKind, Value};

const FACTS: [&str; 2] = ["commands-redis-8.6.3.json", "commands-valkey-9.1.2.json"];

#[test]
fn keys_are_those_of_the_servers() {
    let cases = all_cases();
    let mut report = Report::default();
    for (name, cases) in &cases {
        let line = report.line(name);
        line.lists = cases.len();
        for case in cases {
            if let Err(why) = check_core(case) {
                line.wrong.push(format!("{}: {why}", case.text()));
            }
        }
    }
    for kind in ServerKind::ALL {
        if let Some(cluster) = Cluster::start(kind, 1, 0) {
            let mut conn = cluster.connect(0);
            for (name, cases) in &cases {
                ask_server(&mut conn, kind, cases, report.line(name));
            }
        }
    }
    report.print();
    if let Some(path) = std::env::var_os("SLOTWISE_KEY_TABLE") {
        std::fs::write(path, report.table()).unwrap();
    }
    assert_eq!(report.wrong(), Vec::<String>::new());
    assert_eq!(exceptions::unused(&report), Vec::<&str>::new(), "exceptions that no server needed");
}

/// Every command of both files under its name, with distinct argument lists.
fn all_cases() -> BTreeMap<String, Vec<Case>> {
    let mut all: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for file in FACTS {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("facts").join(file);
        let dump: Json = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut maker = Maker::new();
        collect(&dump, &mut maker, &mut all);
    }
    for cases in all.values_mut() {
        // Too many for one server may be enough for the other: the core takes what either takes.
        let arities: Vec<i64> = cases.iter().map(|case| case.arity).collect();
        let takes = |count: i64| arities.iter().any(|&arity| if arity < 0 { count >= -arity } else { count == arity });
        cases.retain(|case| case.expect != Expect::Arity || !takes(case.args.len() as i64));
    }
    assert!(all.len() >= 426, "only {} commands in the fact files", all.len());
    all
}

fn collect(list: &Json, maker: &mut Maker, all: &mut BTreeMap<String, Vec<Case>>) {
    for entry in list.as_array().unwrap() {
        let name = entry["name"].as_str().unwrap().to_uppercase();
        let known = all.entry(name.clone()).or_default();
        for case in maker.cases(&name, entry) {
            if !known.iter().any(|other| other.args == case.args) {
                known.push(case);
            }
        }
        collect(&entry["subcommands"], maker, all);
    }
}

/// The core against what the maker knows.
fn check_core(case: &Case) -> Result<(), String> {
    let found = keys(&FULL, case.args.as_slice());
    match (&case.expect, found) {
        (Expect::Arity, Err(CommandError::Arity)) => Ok(()),
        (Expect::Arity, other) => Err(format!("expected an arity error, got {other:?}")),
        (_, Err(why)) => Err(why.to_string()),
        (Expect::Keys { keys, routed }, Ok(found)) => {
            let found: Vec<_> = found.map(|key| key.index).collect();
            if &found != keys {
                return Err(format!("expected keys at {keys:?}, got {found:?}"));
            }
            let all = FULL.find(case.args.as_slice()).and_then(|command| command.routed(case.args.as_slice()));
            let all: Vec<_> = all.map_err(|why| why.to_string())?.map(|key| key.index).collect();
            if &all == routed { Ok(()) } else { Err(format!("expected to route by {routed:?}, got {all:?}")) }
        }
    }
}

/// The server against the same.
fn ask_server(conn: &mut Conn, kind: ServerKind, cases: &[Case], line: &mut Line) {
    let questions: Vec<Vec<Vec<u8>>> = cases
        .iter()
        .map(|case| [b"COMMAND".to_vec(), b"GETKEYS".to_vec()].into_iter().chain(case.args.iter().cloned()).collect())
        .collect();
    for (case, answer) in cases.iter().zip(conn.pipeline(&questions).unwrap()) {
        let said = match &answer {
            Value::Array(found) => Said::Keys(found.iter().map(|key| key.bytes().unwrap().to_vec()).collect()),
            other => match other.text().as_str() {
                "ERR Invalid command specified" => continue,
                // Redis 7.0 wants an argument behind the command.
                "ERR wrong number of arguments for 'command|getkeys' command" if case.args.len() == 1 => continue,
                "ERR The command has no key arguments" => Said::Keys(Vec::new()),
                "ERR Invalid number of arguments specified for command" => Said::Arity,
                "ERR Invalid arguments specified for command" => Said::Refused,
                text => panic!("{kind:?}: {}: {text}", case.text()),
            },
        };
        line.asked(kind);
        if let (Expect::Keys { keys, routed }, Said::Keys(found)) = (&case.expect, &said)
            && keys.is_empty()
            && found.is_empty()
            && !routed.is_empty()
        {
            line.excepted.push(exceptions::NOT_KEY);
            continue;
        }
        let right = match (&case.expect, &said) {
            (Expect::Arity, Said::Arity) => true,
            // Asked first whether the command has keys at all, and only then for their number.
            (Expect::Arity, Said::Keys(found)) => found.is_empty(),
            // A server that refuses the form finds no keys; nor may the core.
            (Expect::Keys { keys, .. }, Said::Refused) => keys.is_empty(),
            (Expect::Keys { keys, .. }, Said::Keys(found)) => keys.iter().map(|&at| &case.args[at]).eq(found),
            _ => false,
        };
        if right {
            line.agreed += 1;
        } else if let Some(exception) = exceptions::find(kind, case) {
            line.excepted.push(exception);
        } else {
            line.wrong.push(format!("{kind:?} of {}: expected {:?}, server {said:?}", case.text(), case.expect));
        }
    }
}

#[derive(Debug)]
enum Said {
    Keys(Vec<Vec<u8>>),
    Arity,
    Refused,
}

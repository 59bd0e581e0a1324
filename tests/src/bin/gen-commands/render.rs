//! The rows as Rust source.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::facts::{Row, Spec};
use crate::knowledge;

const HEAD: &str = "\
//! Every command of Redis 8.6.3 and Valkey 9.1.2, read off live servers.
//!
//! Written by `cargo run -p slotwise-tests --bin gen-commands -- --write`; a test proves that nobody else wrote here.

use super::entry::{Class, Flags, Policy};
use super::key_spec::{Begin, Find, KeyFlags, KeySpec};
use super::pack::Row;
use super::route::{RequestPolicy, ResponsePolicy};

use Class::{
    About, PatternSubscribe, PatternUnsubscribe, Plain, Replies, Session, ShardSubscribe, ShardUnsubscribe, Stream,
    Subscribe, Transaction, Unsubscribe,
};

use Begin::{GeoStore, GeoStoreDist, Index, Migrate, SortStore, Streams};
use Find::{Number, Range};

const RO: u8 = KeyFlags::RO;
const RW: u8 = KeyFlags::RW;
const OW: u8 = KeyFlags::OW;
const RM: u8 = KeyFlags::RM;
const ACCESS: u8 = KeyFlags::ACCESS;
const UPDATE: u8 = KeyFlags::UPDATE;
const INSERT: u8 = KeyFlags::INSERT;
const DELETE: u8 = KeyFlags::DELETE;
const NOT_KEY: u8 = KeyFlags::NOT_KEY;
const VARIABLE: u8 = KeyFlags::VARIABLE;

const READ: u8 = Flags::READ;
const WRITE: u8 = Flags::WRITE;
const BLOCKING: u8 = Flags::BLOCKING;
const SCRIPT: u8 = Flags::SCRIPT;
const CONTAINER: u8 = Flags::CONTAINER;
const GUARD: u8 = Flags::GUARD;
const NO_MULTI: u8 = Flags::NO_MULTI;

const fn key(begin: Begin, find: Find, flags: u8) -> KeySpec {
    KeySpec { begin, find, flags: KeyFlags(flags) }
}

const fn row(name: &'static str, arity: i8, flags: u8, policy: Policy, class: Class, specs: (u8, u8)) -> Row {
    Row { name, arity, flags, policy, class, specs }
}

";

pub(crate) fn render(rows: &[Row]) -> String {
    let mut lists: Vec<&[Spec]> = Vec::new();
    for row in rows {
        if !row.specs.is_empty() && !lists.contains(&row.specs.as_slice()) {
            lists.push(&row.specs);
        }
    }
    let mut out = HEAD.to_owned();
    policies(&mut out, rows);
    let total: usize = lists.iter().map(|list| list.len()).sum();
    out += "/// The distinct lists of key specifications, one behind the other.\n#[rustfmt::skip]\n";
    writeln!(out, "pub(super) static SPECS: [KeySpec; {total}] = [").unwrap();
    for (at, spec) in lists.iter().copied().flatten().enumerate() {
        let flags = if spec.flags.is_empty() { String::new() } else { bits(&spec.flags) };
        writeln!(out, "    /* {at:>2} */ key({}, {}, {flags}),", spec.begin, spec.find).unwrap();
    }
    out += "];\n\n/// The commands by name. Last column: where the command's key specifications begin, and how many.\n";
    out += "#[rustfmt::skip]\n";
    writeln!(out, "pub(super) const ROWS: [Row; {}] = [", rows.len()).unwrap();
    let mut line = String::new();
    for row in rows {
        let at = lists.iter().position(|&list| list == row.specs.as_slice());
        let specs = at.map_or((0, 0), |at| (lists.iter().take(at).map(|list| list.len()).sum(), row.specs.len()));
        let policy = policy_name(row.request.as_deref(), row.response.as_deref());
        let (flags, class) = (flags(row), knowledge::class(&row.name));
        let item = format!("row({:?}, {}, {flags}, {policy}, {class}, {specs:?}),", row.name, row.arity);
        if 4 + line.len() + 1 + item.len() > 120 {
            writeln!(out, "   {line}").unwrap();
            line.clear();
        }
        write!(line, " {item}").unwrap();
    }
    writeln!(out, "   {line}").unwrap();
    out += "];\n";
    out
}

fn flags(row: &Row) -> String {
    let has = |flag: &str| row.flags.contains(flag);
    let mut set = Vec::new();
    let mut put = |name: &'static str, on: bool| set.extend(on.then_some(name));
    put("READ", has("readonly"));
    put("WRITE", has("write"));
    put("BLOCKING", has("blocking"));
    put("SCRIPT", has("module") || knowledge::script_like(&row.name));
    put("CONTAINER", row.container);
    put("GUARD", knowledge::unguarded(&row.name));
    put("NO_MULTI", has("no_multi") || knowledge::no_multi(&row.name));
    if set.is_empty() { "0".to_owned() } else { set.join(" | ") }
}

fn bits(flags: &BTreeSet<String>) -> String {
    let order = ["RO", "RW", "OW", "RM", "access", "update", "insert", "delete", "not_key", "variable_flags"];
    let words: Vec<_> = order
        .into_iter()
        .filter(|&flag| flags.contains(flag))
        .map(|flag| if flag == "variable_flags" { "VARIABLE".to_owned() } else { flag.to_uppercase() })
        .collect();
    words.join(" | ")
}

fn policy_name(request: Option<&str>, response: Option<&str>) -> String {
    match (request, response) {
        (None, None) => "NONE".to_owned(),
        (request, response) => {
            let word = |tip: Option<&str>| tip.unwrap_or("default").to_uppercase();
            format!("{}__{}", word(request), word(response))
        }
    }
}

fn policies(out: &mut String, rows: &[Row]) {
    let pairs: BTreeSet<_> = rows
        .iter()
        .map(|row| (row.request.as_deref(), row.response.as_deref()))
        .filter(|pair| *pair != (None, None))
        .collect();
    for (request, response) in pairs {
        let variant = request.map_or("Default".to_owned(), camel);
        let answer =
            response.map_or("None".to_owned(), |response| format!("Some(ResponsePolicy::{})", camel(response)));
        let name = policy_name(request, response);
        writeln!(out, "const {name}: Policy = Policy::new(RequestPolicy::{variant}, {answer});").unwrap();
    }
    out.push_str("const NONE: Policy = Policy::NONE;\n\n");
}

fn camel(word: &str) -> String {
    word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

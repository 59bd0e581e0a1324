//! What COMMAND replies do not say: grammars that servers have only as code, and what a command means for its
//! connection.

use serde_json::Value;

use crate::facts::{Spec, strings};

/// A key specification of a dump in the words of the core. Most translate one to one; a few commands have a grammar
/// of their own, because a mere search for a word would take values for options.
pub(crate) fn translate(name: &str, index: usize, spec: &Value) -> Result<Option<Spec>, String> {
    let begin = &spec["begin_search"]["spec"];
    let find = &spec["find_keys"]["spec"];
    let flags = strings(&spec["flags"]).into_iter().collect();
    let number = |value: &Value, key: &str| {
        value[key].as_i64().ok_or_else(|| format!("{name}: key specification {index} lacks {key}"))
    };
    let one = || "Range { last: 0, step: 1, limit: 0 }".to_owned();
    let (begin_text, find_text) = match (name, index) {
        // Servers mark these two as unknown: the patterns behind BY and GET, which are no keys, and STORE.
        ("SORT" | "SORT_RO", 1) => return Ok(None),
        ("SORT", 2) => ("SortStore".to_owned(), one()),
        // The options may hold values that look like the word.
        ("GEORADIUS" | "GEORADIUSBYMEMBER", 1 | 2) => {
            let kind = if begin["keyword"] == "STORE" { "GeoStore" } else { "GeoStoreDist" };
            (format!("{kind}({})", number(begin, "startfrom")?), one())
        }
        ("XREAD" | "XREADGROUP", 0) => ("Streams".to_owned(), range(find, &number)?),
        // Two specifications, of which one holds: the key, or when that is empty what stands behind KEYS.
        ("MIGRATE", 0) => ("Migrate".to_owned(), one()),
        ("MIGRATE", 1) => return Ok(None),
        _ => {
            if spec["begin_search"]["type"] != "index" {
                return Err(format!("{name}: a keyword specification that needs a grammar"));
            }
            let text = match spec["find_keys"]["type"].as_str() {
                Some("range") => range(find, &number)?,
                Some("keynum") => format!(
                    "Number {{ count: {}, first: {}, step: {} }}",
                    number(find, "keynumidx")?,
                    number(find, "firstkey")?,
                    number(find, "keystep")?
                ),
                other => return Err(format!("{name}: key specification of kind {other:?}")),
            };
            (format!("Index({})", number(begin, "index")?), text)
        }
    };
    Ok(Some(Spec { begin: begin_text, find: find_text, flags }))
}

fn range(find: &Value, number: &dyn Fn(&Value, &str) -> Result<i64, String>) -> Result<String, String> {
    let (last, step, limit) = (number(find, "lastkey")?, number(find, "keystep")?, number(find, "limit")?);
    Ok(format!("Range {{ last: {last}, step: {step}, limit: {limit} }}"))
}

/// What the command means for the connection it is sent on.
pub(crate) fn class(name: &str) -> &'static str {
    match name {
        "AUTH"
        | "HELLO"
        | "SELECT"
        | "QUIT"
        | "RESET"
        | "ASKING"
        | "READONLY"
        | "READWRITE"
        | "REPLCONF"
        | "SCRIPT|DEBUG"
        | "CLIENT|CACHING"
        | "CLIENT|CAPA"
        | "CLIENT|IMPORT-SOURCE"
        | "CLIENT|NO-EVICT"
        | "CLIENT|NO-TOUCH"
        | "CLIENT|SETINFO"
        | "CLIENT|SETNAME"
        | "CLIENT|TRACKING" => "Session",
        "CLIENT|REPLY" => "Replies",
        "MONITOR" | "SYNC" | "PSYNC" | "CLUSTER|SYNCSLOTS" => "Stream",
        "MULTI" | "EXEC" | "DISCARD" | "WATCH" | "UNWATCH" => "Transaction",
        "WAIT"
        | "WAITAOF"
        | "CLIENT|ID"
        | "CLIENT|INFO"
        | "CLIENT|GETNAME"
        | "CLIENT|GETREDIR"
        | "CLIENT|TRACKINGINFO" => "About",
        "SUBSCRIBE" => "Subscribe",
        "PSUBSCRIBE" => "PatternSubscribe",
        "SSUBSCRIBE" => "ShardSubscribe",
        "UNSUBSCRIBE" => "Unsubscribe",
        "PUNSUBSCRIBE" => "PatternUnsubscribe",
        "SUNSUBSCRIBE" => "ShardUnsubscribe",
        _ => "Plain",
    }
}

/// Runs code whose error replies can say anything: scripts, functions, modules.
pub(crate) fn script_like(name: &str) -> bool {
    matches!(name, "EVAL" | "EVAL_RO" | "EVALSHA" | "EVALSHA_RO" | "FCALL" | "FCALL_RO")
}

/// Some server does not check its slot: Valkey 9.1 writes MSETEX wherever it arrives.
pub(crate) fn unguarded(name: &str) -> bool {
    name == "MSETEX"
}

/// Breaks the reply of EXEC or the session when it stands inside MULTI, beyond what servers flag `no_multi`.
pub(crate) fn no_multi(name: &str) -> bool {
    class(name).contains("ubscribe") || matches!(name, "HELLO" | "RESET" | "MONITOR" | "CLIENT|REPLY")
}

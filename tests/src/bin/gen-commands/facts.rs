//! Reads the dumps and joins them: one row for each command either server has.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::knowledge;

/// One command or subcommand, joined over the servers that have it.
pub(crate) struct Row {
    /// Upper case; a subcommand as `CONTAINER|SUB`.
    pub(crate) name: String,
    pub(crate) arity: i64,
    pub(crate) flags: BTreeSet<String>,
    pub(crate) request: Option<String>,
    pub(crate) response: Option<String>,
    pub(crate) container: bool,
    pub(crate) specs: Vec<Spec>,
}

/// A key specification in the words of the core.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Spec {
    pub(crate) begin: String,
    pub(crate) find: String,
    pub(crate) flags: BTreeSet<String>,
}

pub(crate) fn load(paths: &[impl AsRef<Path>]) -> Result<Vec<Row>, String> {
    let mut rows = BTreeMap::new();
    for path in paths {
        let path = path.as_ref();
        let fail = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
        let text = fs::read_to_string(path).map_err(|why| fail(&why))?;
        let dump: Value = serde_json::from_str(&text).map_err(|why| fail(&why))?;
        add_all(&mut rows, &dump).map_err(|why| fail(&why))?;
    }
    Ok(rows.into_values().collect())
}

fn add_all(rows: &mut BTreeMap<String, Row>, list: &Value) -> Result<(), String> {
    for entry in list.as_array().ok_or("not a list of commands")? {
        let row = read(entry)?;
        match rows.remove(&row.name) {
            None => rows.insert(row.name.clone(), row),
            Some(other) => rows.insert(row.name.clone(), join(other, row)?),
        };
        add_all(rows, &entry["subcommands"])?;
    }
    Ok(())
}

fn read(entry: &Value) -> Result<Row, String> {
    let name = entry["name"].as_str().ok_or("a command without a name")?.to_uppercase();
    let tip = |key: &str| strings(&entry["tips"]).into_iter().find_map(|tip| tip.strip_prefix(key).map(str::to_owned));
    let mut specs = Vec::new();
    for (index, spec) in entry["key_specs"].as_array().into_iter().flatten().enumerate() {
        specs.extend(knowledge::translate(&name, index, spec)?);
    }
    Ok(Row {
        arity: entry["arity"].as_i64().ok_or("a command without arity")?,
        flags: strings(&entry["flags"]).into_iter().collect(),
        request: tip("request_policy:"),
        response: tip("response_policy:"),
        container: entry["subcommands"].as_array().is_some_and(|subs| !subs.is_empty()),
        specs,
        name,
    })
}

pub(crate) fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Where servers differ, the side that knows more wins; where that cannot be told, the generator stops.
fn join(mut a: Row, b: Row) -> Result<Row, String> {
    let differ = |what: &str| Err(format!("{}: servers differ in {what}", a.name));
    for flag in ["readonly", "write", "movablekeys"] {
        if a.flags.contains(flag) != b.flags.contains(flag) {
            return differ(flag);
        }
    }
    if a.specs.len() != b.specs.len() {
        return differ("the number of key specifications");
    }
    if a.specs.iter().zip(&b.specs).any(|(a, b)| (&a.begin, &a.find) != (&b.begin, &b.find)) {
        return differ("key specifications");
    }
    a.arity = match (a.arity, b.arity) {
        (x, y) if x == y => x,
        (x, y) => -x.abs().min(y.abs()), // the looser one
    };
    if (a.request.is_some() && b.request.is_some() && a.request != b.request)
        || (a.response.is_some() && b.response.is_some() && a.response != b.response)
    {
        return differ("tips");
    }
    a.request = a.request.or(b.request);
    a.response = a.response.or(b.response);
    a.flags.extend(b.flags);
    a.container |= b.container;
    for (spec, other) in a.specs.iter_mut().zip(b.specs) {
        spec.flags.extend(other.flags);
        if spec.flags.iter().filter(|flag| ["RO", "RW", "OW", "RM"].contains(&flag.as_str())).count() > 1 {
            return Err(format!("{}: servers differ in the kind of access", a.name));
        }
    }
    Ok(a)
}

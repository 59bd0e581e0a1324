//! Replies as text in which what differs between any two clusters has gone: addresses and ids are numbers of nodes, what has no
//! order is sorted.

use slotwise_tests::real::Value;

/// Port and id of each node of a cluster.
pub(crate) struct Names(pub(crate) Vec<(u16, String)>);

impl Names {
    /// The text of a reply to the command.
    pub(crate) fn common(&self, value: Value, words: &[String]) -> String {
        let command = words.join(" ").to_ascii_uppercase();
        let unordered = ["KEYS", "CLUSTER GETKEYSINSLOT", "SMEMBERS", "ACL USERS"];
        let value = match value {
            Value::Array(mut items) if unordered.iter().any(|name| command.starts_with(name)) => {
                items.sort_by_key(|item| format!("{item:?}"));
                Value::Array(items)
            }
            Value::Set(mut items) => {
                items.sort_by_key(|item| format!("{item:?}"));
                Value::Set(items)
            }
            // Arrays of two: a cursor, which is each server's own, and keys in an order of its own.
            Value::Array(items) if command.starts_with("SCAN") && items.len() == 2 => {
                let cursor = if items[0].text() == "0" { "0" } else { "cursor" }.to_owned();
                Value::Array(scan_page(items, cursor))
            }
            Value::Array(items) if command.starts_with("CLUSTERSCAN") && items.len() == 2 => {
                let cursor = items[0].text();
                let slot = slotwise::slot::Slot::of_key(cursor.as_bytes()).get();
                let cursor = match cursor.as_str() {
                    "0" => cursor,
                    text if text.starts_with("0-") && text.ends_with("-0") => format!("start of {slot}"),
                    _ => format!("inside of {slot}"),
                };
                Value::Array(scan_page(items, cursor))
            }
            Value::Array(mut items) if command.starts_with("CLUSTER SHARDS") => {
                // Neither shards nor their fields and nodes have a fixed order.
                items.iter_mut().for_each(sort_shard);
                items.sort_by_key(|item| self.name_nodes(&show(item)));
                Value::Array(items)
            }
            Value::Array(mut items) if command.starts_with("CLUSTER SLOTS") => {
                items.iter_mut().for_each(sort_replicas);
                Value::Array(items)
            }
            Value::Array(items) if command == "EXEC" => Value::Array(items.into_iter().map(in_exec).collect()),
            text @ (Value::Bulk(_) | Value::Verbatim(_)) if command.starts_with("CLUSTER NODES") => {
                let kind = if matches!(text, Value::Bulk(_)) { "bulk" } else { "verbatim" };
                return format!("{kind} {}", self.node_lines(&text.text()));
            }
            Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, v)| hide(k, v)).collect()),
            Value::Array(items) if command.starts_with("HELLO") => {
                let pairs = items.chunks_exact(2).map(|pair| hide(pair[0].clone(), pair[1].clone()));
                Value::Array(pairs.flat_map(|(k, v)| [k, v]).collect())
            }
            Value::Int(_) if command.starts_with("CLIENT ID") => Value::Int(0),
            // A few milliseconds pass between the writing and the reading.
            Value::Int(left) if command.starts_with("PTTL") && left > 0 => Value::Int(left.saturating_add(999) / 1000),
            other => other,
        };
        self.name_nodes(&show(&value))
    }

    fn name_nodes(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (node, (port, id)) in self.0.iter().enumerate() {
            text = text.replace(&format!("127.0.0.1:{port}"), &format!("addr{node}"));
            text = text.replace(id.as_str(), &format!("id{node}"));
            text = text.replace(&format!(":{port} "), &format!(":port{node} "));
        }
        text
    }

    /// CLUSTER NODES without what differs between any two runs: bus ports, extra fields, times, epochs.
    fn node_lines(&self, text: &str) -> String {
        let mut lines: Vec<String> = text
            .lines()
            .map(|line| {
                let words: Vec<&str> = line.split(' ').collect();
                let address = words[1].split('@').next().unwrap_or_default();
                let (flags, rest) = (words[2], words.get(8..).unwrap_or_default().join(" "));
                self.name_nodes(&format!("{} {address} {flags} {} {} {rest}", words[0], words[3], words[7]))
            })
            .collect();
        lines.sort();
        lines.join(" | ")
    }
}

/// A reply inside of EXEC, where it does not say what command it is of.
fn in_exec(value: Value) -> Value {
    let of_keys =
        |value: &Value| value.items().iter().all(|item| item.bytes().is_some_and(|key| key.starts_with(b"{")));
    match value {
        Value::Array(items)
            if items.len() == 2 && items[0].bytes().is_some() && matches!(items[1], Value::Array(_)) =>
        {
            Value::Array(scan_page(items, "cursor or end".to_owned()))
        }
        keys @ Value::Array(_) if of_keys(&keys) => {
            let mut items = keys.items().to_vec();
            items.sort_by_key(|item| format!("{item:?}"));
            Value::Array(items)
        }
        Value::Map(pairs) => Value::Map(pairs.into_iter().map(|(k, v)| hide(k, v)).collect()),
        Value::Array(items) if items.first().is_some_and(|item| item.text() == "server") => {
            let pairs = items.chunks_exact(2).map(|pair| hide(pair[0].clone(), pair[1].clone()));
            Value::Array(pairs.flat_map(|(k, v)| [k, v]).collect())
        }
        other => other,
    }
}

fn scan_page(mut items: Vec<Value>, cursor: String) -> Vec<Value> {
    let cursor = Value::Bulk(cursor.into_bytes());
    let mut keys = items[1].items().to_vec();
    keys.sort_by_key(|item| format!("{item:?}"));
    items[0] = cursor;
    items[1] = Value::Array(keys);
    items
}

fn hide(key: Value, value: Value) -> (Value, Value) {
    let hidden = match key.text().as_str() {
        "id" if value.int().is_some() => Value::Int(0),
        // Which of the patches of a version it is does not matter.
        "version" => Value::Bulk(value.text().split('.').take(2).collect::<Vec<_>>().join(".").into_bytes()),
        // What is loaded into a server is not the model's business.
        "modules" => Value::Array(Vec::new()),
        _ => value,
    };
    (key, hidden)
}

/// Replicas of one line of CLUSTER SLOTS in order of their ports.
fn sort_replicas(line: &mut Value) {
    if let Value::Array(items) = line
        && items.len() > 3
    {
        items[3..].sort_by_key(|node| node.items().get(1).and_then(Value::int));
    }
}

fn sort_shard(shard: &mut Value) {
    let pairs: Vec<(Value, Value)> = match shard {
        Value::Map(pairs) => std::mem::take(pairs),
        Value::Array(items) => items.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect(),
        _ => return,
    };
    let has_slots = pairs.iter().any(|(key, _)| key.text() == "slots");
    let mut fields = Vec::new();
    for (key, mut value) in pairs {
        match key.text().as_str() {
            // A shard's own id, and offsets, are what they are.
            "replication-offset" => continue,
            "id" if has_slots => continue,
            "nodes" => {
                if let Value::Array(nodes) = &mut value {
                    nodes.iter_mut().for_each(sort_shard);
                    nodes.sort_by_key(|node| show(node).contains("replica"));
                }
            }
            _ => {}
        }
        fields.push((key, value));
    }
    fields.sort_by_key(|(key, _)| key.text());
    *shard = Value::Map(fields);
}

/// A compact form in which types stay apart, on one line.
pub(crate) fn show(value: &Value) -> String {
    let list = |items: &[Value]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match value {
        Value::Simple(b) => format!("+{}", text(b)),
        Value::Error(b) => format!("-{}", text(b)),
        Value::Int(n) => format!(":{n} "),
        Value::Bulk(b) => format!("\"{}\"", text(b)),
        Value::Verbatim(b) => format!("={}", text(b)),
        Value::Array(items) => format!("[{}]", list(items)),
        Value::Set(items) => format!("~[{}]", list(items)),
        Value::Push(items) => format!(">[{}]", list(items)),
        Value::Map(pairs) => {
            format!(
                "{{{}}}",
                pairs.iter().map(|(k, v)| format!("{}={}", show(k), show(v))).collect::<Vec<_>>().join(" ")
            )
        }
        other => format!("{other:?}"),
    }
}

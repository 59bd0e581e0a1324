//! A slot map as JSON and as a table.

use std::fmt::Write;

use serde_json::{Value, json};
use slotwise::ids::NodeId;
use slotwise::slot::SlotRange;
use slotwise::topology::{Direction, Health, Map, Mark, Node, NodeIndex};

/// `host:port` as servers write it.
fn address(map: &Map<'_>, index: NodeIndex) -> Option<String> {
    map.endpoint(index).map(|addr| format!("{}:{}", addr.host(), addr.port()))
}

fn pair(range: SlotRange) -> Value {
    json!([range.first().get(), range.last().get()])
}

fn uncovered(map: &Map<'_>) -> Vec<Value> {
    map.uncovered().map(pair).collect()
}

/// The form for CLUSTER SLOTS and CLUSTER SHARDS.
pub(crate) fn ranges_json(map: &Map<'_>) -> Value {
    let ranges: Vec<Value> = map
        .ranges()
        .map(|(range, primary)| {
            json!({
                "start": range.first().get(),
                "end": range.last().get(),
                "primary": address(map, primary),
                "replicas": map.replicas(primary).map(|replica| address(map, replica)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "ranges": ranges, "uncovered": uncovered(map) })
}

/// The form for CLUSTER NODES.
pub(crate) fn nodes_json(map: &Map<'_>, marks: &[Mark]) -> Value {
    let mut slots = vec![Vec::new(); map.node_count()];
    for (range, owner) in map.ranges() {
        if let Some(slots) = slots.get_mut(owner.index()) {
            slots.push(pair(range));
        }
    }
    let nodes: Vec<Value> = map
        .nodes()
        .zip(slots)
        .map(|((index, node), slots)| {
            let marked = |direction: Direction| -> Vec<Value> {
                let own = marks.iter().filter(|mark| mark.node == node.id() && mark.direction == direction);
                own.map(|mark| json!([mark.slot.get(), mark.peer.to_string()])).collect()
            };
            json!({
                "id": node.id().to_string(),
                "addr": address(map, index),
                "role": node.role().name(),
                "slots": slots,
                "migrating": marked(Direction::Migrating),
                "importing": marked(Direction::Importing),
                "epoch": node.epoch(),
            })
        })
        .collect();
    json!({ "uncovered": uncovered(map), "nodes": nodes })
}

/// The form for a running cluster: the ranges, and the nodes beside them.
pub(crate) fn both_json(map: &Map<'_>, marks: &[Mark]) -> Value {
    let (mut ranges, mut nodes) = (ranges_json(map), nodes_json(map, marks));
    if let (Some(both), Some(nodes)) = (ranges.as_object_mut(), nodes.as_object_mut()) {
        both.append(nodes);
    }
    ranges
}

/// One line per shard, then what is not as it should be.
pub(crate) fn table(map: &Map<'_>, marks: &[Mark]) -> String {
    const HEAD: [&str; 5] = ["SHARD", "SLOTS", "PRIMARY", "REPLICAS", "HEALTH"];
    let mut slots = vec![Vec::new(); map.node_count()];
    for (range, owner) in map.ranges() {
        if let Some(slots) = slots.get_mut(owner.index()) {
            slots.push(range);
        }
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    let mut primaries: Vec<NodeIndex> = map.shards().map(|shard| shard.primary()).collect();
    // By first slot; those without slots last, in the order of the reply.
    primaries.sort_by_key(|primary| {
        slots
            .get(primary.index())
            .and_then(|slots: &Vec<SlotRange>| slots.first())
            .map_or(u16::MAX, |range| range.first().get())
    });
    for primary in primaries {
        let replicas: Vec<NodeIndex> = map.all_replicas(primary).collect();
        let slots = slots.get(primary.index()).map_or(&[][..], Vec::as_slice);
        rows.push([
            rows.len().to_string(),
            slots_text(slots),
            address(map, primary).unwrap_or_else(|| "?".to_owned()),
            join(replicas.iter().map(|index| address(map, *index).unwrap_or_else(|| "?".to_owned()))),
            health(map, primary, &replicas),
        ]);
    }
    let mut text = columns(&rows);
    let gaps: Vec<SlotRange> = map.uncovered().collect();
    if !gaps.is_empty() {
        let _ = writeln!(text, "not served: {}", slots_text(&gaps));
    }
    let name = |id: &NodeId| map.find(id).and_then(|index| address(map, index)).unwrap_or_else(|| id.to_string());
    for mark in marks {
        let (from, to) = match mark.direction {
            Direction::Migrating => (&mark.node, &mark.peer),
            Direction::Importing => (&mark.peer, &mark.node),
        };
        let _ = writeln!(text, "slot {} is moving from {} to {}", mark.slot.get(), name(from), name(to));
    }
    text
}

fn join(parts: impl Iterator<Item = String>) -> String {
    let text = parts.collect::<Vec<_>>().join(" ");
    if text.is_empty() { "-".to_owned() } else { text }
}

/// The first few ranges and how many slots they are in all: a fragmented shard has hundreds.
fn slots_text(ranges: &[SlotRange]) -> String {
    const SHOWN: usize = 4;
    let one = |range: &SlotRange| match (range.first().get(), range.last().get()) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    };
    let total: usize = ranges.iter().map(|range| usize::from(range.len())).sum();
    let mut text = join(ranges.iter().take(SHOWN).map(one));
    if ranges.len() > SHOWN {
        let _ = write!(text, " +{} ranges", ranges.len() - SHOWN);
    }
    if total > 0 {
        let _ = write!(text, " ({total})");
    }
    text
}

/// `ok`, or which node is what: the primary by that word, replicas by their address.
fn health(map: &Map<'_>, primary: NodeIndex, replicas: &[NodeIndex]) -> String {
    let state = |index: NodeIndex| map.node(index).map_or(Health::Unknown, Node::health);
    let mut parts = Vec::new();
    if state(primary) != Health::Online {
        parts.push(format!("primary {}", state(primary).name()));
    }
    for index in replicas.iter().copied().filter(|index| state(*index) != Health::Online) {
        parts.push(format!("{} {}", address(map, index).unwrap_or_else(|| "?".to_owned()), state(index).name()));
    }
    if parts.is_empty() { "ok".to_owned() } else { parts.join(", ") }
}

fn columns(rows: &[[String; 5]]) -> String {
    let mut text = String::new();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: [usize; 5] = std::array::from_fn(width);
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

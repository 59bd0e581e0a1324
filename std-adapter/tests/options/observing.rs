//! Notices and counters of a client whose cluster moves slots, refuses and breaks connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use slotwise::cluster::RedirectKind;
use slotwise::slot::Slot;
use slotwise::topology::MapChange;
use slotwise_std::{Batch, Client, NodeCounters, Notice};

use super::{cluster, quiet};

/// Texts, and how many of each name.
type Told = (Vec<String>, BTreeMap<&'static str, u64>);

/// What an observer was told, as text and counted by name.
#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<Told>>);

impl Seen {
    fn observer(&self) -> impl Fn(&Notice<'_>) + Send + Sync + 'static {
        let seen = self.clone();
        move |notice| {
            let mut seen = seen.0.lock().unwrap();
            *seen.1.entry(notice.name()).or_default() += 1;
            let changes: Vec<MapChange> = match notice {
                Notice::MapChanged { diff, .. } => diff.changes().collect(),
                _ => Vec::new(),
            };
            seen.0.push(format!("{notice:?} {changes:?}"));
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.0.lock().unwrap().1.get(name).copied().unwrap_or(0)
    }

    fn text(&self) -> String {
        self.0.lock().unwrap().0.join("\n")
    }
}

/// All counts of a client at rest agree with each other and with what its observer was told.
#[track_caller]
fn add_up(client: &Client, seen: &Seen) {
    let all = client.counters();
    assert_eq!(all.submitted, all.answered + all.confirmed + all.failed);
    assert_eq!(all.pending, 0);
    let mut sum = client.other_counters();
    for (id, node) in client.node_counters() {
        let back = node.replies + node.confirmed + node.moved + node.asked + node.refused + node.lost + node.discarded;
        assert_eq!(node.commands, back, "{id}: {node:?}");
        assert_eq!((node.in_flight(), client.node_load(&id).queued), (0, 0));
        sum.add(&node);
    }
    assert_eq!((all.dials, all.connections, all.closed), (sum.dials, sum.connections, sum.closed));
    assert_eq!((all.commands, all.resent, all.errors), (sum.commands, sum.resent, sum.errors));
    assert_eq!((all.bytes_in, all.bytes_out), (sum.bytes_in, sum.bytes_out));
    assert_eq!(client.sent_to().map(|(_, count)| count).sum::<u64>(), sum.commands);
    for (name, count) in [
        ("submitted", all.submitted),
        ("answered", all.answered),
        ("dropped", all.failed),
        ("connecting", all.dials),
        ("ready", all.connections),
        ("lost", all.closed),
        ("sent", all.commands),
        ("redirected", all.moved + all.asked),
        ("retried", all.retries),
        ("refresh_started", all.refreshes_started),
        ("refresh_failed", all.refreshes_failed),
        ("discarded", sum.discarded),
    ] {
        assert_eq!(seen.count(name), count, "{name}");
    }
}

fn nodes(client: &Client) -> BTreeMap<String, NodeCounters> {
    client.node_counters().map(|(id, counters)| (id.to_string(), counters)).collect()
}

#[test]
fn notices_and_counters_tell_what_happened_at_each_node() {
    let (mini, url) = cluster();
    let seen = Seen::default();
    let mut client = Client::builder(&url).unwrap().observe(seen.observer()).connect().unwrap();
    let mut batch = Batch::new();
    for key in 0..300 {
        batch.push(&["SET", &format!("c4nary{key}"), "c4nary"]);
    }
    client.run(&batch).unwrap();
    let before = nodes(&client);
    assert_eq!(before.len(), 3);
    assert_eq!(before.values().map(|counters| counters.replies).sum::<u64>(), 300);
    assert!(before.values().all(|counters| counters.commands > 50 && counters.failed == 0), "{before:?}");
    add_up(&client, &seen);
    mini.disconnect_clients(None);
    client.run(&batch).unwrap();
    assert!(client.counters().closed >= 3, "{:?}", client.counters());
    add_up(&client, &seen);
    quiet(&seen.text());
}

#[test]
fn a_slot_that_moves_is_told_from_ask_to_moved() {
    let (mini, url) = cluster();
    let seen = Seen::default();
    let mut client = Client::builder(&url).unwrap().observe(seen.observer()).connect().unwrap();
    let slot = Slot::of_key(b"{tag}").get();
    let from = mini.owner(slot).unwrap();
    let to = (from + 1) % 3;
    client.command(&["SET", "{tag}1", "c4nary"]).unwrap();
    mini.begin_move(slot, to).unwrap();
    // Not there (yet), so the new owner is asked; then two keys, of which each side has one.
    client.command(&["SET", "{tag}2", "c4nary"]).unwrap();
    let asked = client.counters().asked;
    assert!(asked >= 1, "{:?}", client.counters());
    add_up(&client, &seen);
    while mini.move_keys(slot, 100).unwrap() > 0 {}
    mini.finish_move(slot).unwrap();
    let mut batch = Batch::new();
    for n in 0..20 {
        batch.push(&["INCR", &format!("{{tag}}count{n}")]);
    }
    client.run(&batch).unwrap();
    let all = client.counters();
    assert!(all.moved >= 1 && all.resent > asked, "{all:?}");
    // An answer that is an error, and a command that never was sent.
    client.command(&["INCR", "{tag}1"]).unwrap_err();
    assert_eq!(client.counters().errors, all.errors + 1);
    add_up(&client, &seen);

    let text = seen.text();
    let slots = format!("range: SlotRange {{ first: Slot({slot}), last: Slot({slot}) }}");
    for part in [
        "Redirected { id: CommandId".to_owned(),
        format!("slot: Slot({slot}), kind: {:?}", RedirectKind::Ask),
        format!("slot: Slot({slot}), kind: {:?}", RedirectKind::Moved),
        slots,
        "RefreshStarted".to_owned(),
    ] {
        assert!(text.contains(&part), "no {part} in {text}");
    }
    assert!(seen.count("map_changed") >= 2 && seen.count("identified") >= 1);
    quiet(&text);
}

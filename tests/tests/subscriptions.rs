//! Subscriptions on real clusters: through slot moves, failovers and lost connections, in RESP3 and RESP2.

use std::time::{Duration, Instant};

use slotwise::pubsub::Kind;
use slotwise::slot::Slot;
use slotwise::topology::Owner;
use slotwise_std::{Client, Event, Subscriber};
use slotwise_tests::real::{Cluster, ServerKind};

const PATIENCE: Duration = Duration::from_secs(20);

fn url(cluster: &Cluster) -> String {
    format!("redis://{}", cluster.seeds().join(","))
}

/// An event as a short text.
fn line(event: &Event) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match event {
        Event::Message(message) => format!("{} {}", text(&message.channel), text(&message.payload)),
        Event::Subscribed { channel, .. } => format!("+{}", text(channel)),
        Event::Unsubscribed { channel, .. } => format!("-{}", text(channel)),
        Event::Interrupted { channel, .. } => format!("!{}", text(channel)),
        Event::Gap { channel, .. } => format!("gap {}", text(channel)),
        other => panic!("{other:?}"),
    }
}

/// Events up to the first that `is` the one.
fn until(subscriber: &mut Subscriber, is: impl Fn(&str) -> bool) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while Instant::now() < end {
        let Some(event) = subscriber.next(Duration::from_millis(100)).expect("the loop works") else { continue };
        seen.push(line(&event));
        if seen.last().is_some_and(|line| is(line)) {
            return seen;
        }
    }
    panic!("not seen in time; seen: {seen:?}");
}

/// Publishes until one of the messages is handed out: what came before it. A count of receivers proves nothing here: a
/// publisher with an old map reaches the demoted primary, whose subscribers may be on their way to the new one.
fn heard(subscriber: &mut Subscriber, client: &mut Client, channel: &str, message: &str) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    let wanted = format!("{channel} {message}");
    while !seen.contains(&wanted) {
        assert!(Instant::now() < end, "nobody hears {channel}; seen: {seen:?}");
        // A node that is gone fails it; the next one goes where the map then says.
        let _ = client.spublish(channel.as_bytes(), message.as_bytes());
        while !seen.contains(&wanted)
            && let Some(event) = subscriber.next(Duration::from_millis(20)).expect("the loop works")
        {
            seen.push(line(&event));
        }
    }
    seen
}

/// Until every channel is subscribed and the slot's are known to be at that node. A replica takes subscriptions too,
/// and goes on serving them when it is promoted: then nothing is lost, and no gap is due.
fn settle_at(subscriber: &mut Subscriber, slot: u16, id: &str) {
    let end = Instant::now() + PATIENCE;
    let slot = Slot::new(slot).expect("a slot");
    loop {
        let map = subscriber.map();
        let owner = match map.owner(slot) {
            Owner::Node(at) => map.node(at).map(|node| node.id().to_string()),
            _ => None,
        };
        if owner.as_deref() == Some(id) && subscriber.is_settled() {
            return;
        }
        assert!(Instant::now() < end, "the owner is {owner:?}, not {id}");
        subscriber.next(Duration::from_millis(20)).expect("the loop works");
    }
}

fn gap_before_message(seen: &[String], channel: &str) {
    let gap = format!("gap {channel}");
    assert!(seen.contains(&gap), "a gap before the message: {seen:?}");
}

fn exercise(kind: ServerKind, resp2: bool) {
    let Some(mut cluster) = Cluster::start(kind, 3, 1) else { return };
    let mut client = Client::connect(&url(&cluster)).expect("a client");
    let mut builder = Client::builder(&url(&cluster)).expect("a URL");
    if resp2 {
        builder = builder.resp2();
    }
    let mut subscriber = Subscriber::with(builder).expect("a subscriber");

    // Three kinds side by side; several slots.
    for channel in ["{a}1", "{a}2", "{b}1", "{c}1"] {
        subscriber.ssubscribe(channel);
    }
    subscriber.subscribe("news");
    subscriber.psubscribe("n*s");
    let mut confirmed = Vec::new();
    while confirmed.len() < 6 {
        confirmed.extend(until(&mut subscriber, |line| line.starts_with('+')));
    }
    assert!(subscriber.is_settled());
    assert_eq!(client.spublish(b"{a}2", b"hi").expect("published"), 1);
    assert_eq!(until(&mut subscriber, |_| true), ["{a}2 hi"]);
    client.publish(b"news", b"all").expect("published");
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        if let Some(Event::Message(message)) = subscriber.next(Duration::from_millis(100)).expect("the loop works") {
            assert_eq!((&message.channel[..], &message.payload[..]), (&b"news"[..], &b"all"[..]));
            kinds.push((message.kind, message.pattern));
        }
    }
    kinds.sort_by_key(|(kind, _)| *kind == Kind::Pattern);
    assert_eq!(kinds, [(Kind::Plain, None), (Kind::Pattern, Some(b"n*s".to_vec()))]);

    // The slot of two channels moves.
    let slot = Slot::of_key(b"{a}").get();
    let from = cluster.owner(slot).expect("owned");
    cluster.move_slot(slot, (from + 1) % 3).expect("moved");
    gap_before_message(&heard(&mut subscriber, &mut client, "{a}1", "moved"), "{a}1");

    // A failover of the shard of another.
    let slot = Slot::of_key(b"{b}").get();
    let old = cluster.owner(slot).expect("owned");
    let replica = cluster.replicas_of(old)[0];
    cluster.failover(replica).expect("failed over");
    gap_before_message(&heard(&mut subscriber, &mut client, "{b}1", "promoted"), "{b}1");

    // Every connection is cut.
    for node in 0..6 {
        cluster.ask(node, &["CLIENT", "KILL", "TYPE", "pubsub"]).expect("cut");
    }
    gap_before_message(&heard(&mut subscriber, &mut client, "{c}1", "again"), "{c}1");

    // Given up means silence.
    subscriber.sunsubscribe("{c}1");
    until(&mut subscriber, |line| line == "-{c}1");
    assert_eq!(client.spublish(b"{c}1", b"nobody").expect("published"), 0);

    // A primary dies, its replica takes over.
    cluster.wait_agreed().expect("one opinion");
    let slot = Slot::of_key(b"{a}").get();
    let owner = cluster.owner(slot).expect("owned");
    let shard = cluster.shard_of(owner);
    let heir = std::iter::once(shard).chain(cluster.replicas_of(shard)).find(|node| *node != owner).expect("an heir");
    settle_at(&mut subscriber, slot, &cluster.nodes()[owner].id);
    assert!(cluster.is_primary(owner) && !cluster.is_primary(heir), "{owner} is the primary, {heir} is not");
    cluster.kill(owner);
    cluster.takeover(heir).expect("taken over");
    gap_before_message(&heard(&mut subscriber, &mut client, "{a}2", "survived"), "{a}2");
}

#[test]
fn redis7() {
    exercise(ServerKind::Redis7, false);
}

#[test]
fn redis7_resp2() {
    exercise(ServerKind::Redis7, true);
}

#[test]
fn valkey9() {
    exercise(ServerKind::Valkey9, false);
}

#[test]
fn valkey9_resp2() {
    exercise(ServerKind::Valkey9, true);
}

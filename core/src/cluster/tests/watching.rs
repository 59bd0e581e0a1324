//! What an observer is told, and that counts add up: after every step of every test of this room.

use super::*;
use crate::pipeline::{Flag, Kind, Place};
use crate::topology::MapChange;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

/// Notices as text, traffic left out, and all of them counted.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Seen {
    counters: Counters<8>,
    lines: Vec<String>,
}

/// The first letter of a test node's id.
fn name(node: Option<NodeId>) -> String {
    node.map_or("?".to_string(), |node| node.to_string()[..1].to_string())
}

fn change(change: MapChange) -> String {
    match change {
        MapChange::NodeNew(id) => format!("+{}", name(Some(id))),
        MapChange::NodeGone(id) => format!("-{}", name(Some(id))),
        MapChange::Slots { range, from, to } => {
            format!("{}-{}:{}>{}", range.first().get(), range.last().get(), name(from), name(to))
        }
    }
}

impl Observe for Seen {
    fn observe(&mut self, now: Instant, notice: &Notice<'_>) {
        self.counters.observe(now, notice);
        let node = name(notice.node());
        let what = match notice {
            Notice::Submitted { .. } | Notice::Written { .. } | Notice::Received { .. } => return,
            Notice::Lost { reason, in_flight, .. } => format!("{node} {} {in_flight}", reason.name()),
            Notice::Answered { tag, error, resent, .. } => format!("{node} {tag} error={error} resent={resent}"),
            Notice::Sent { tag, .. } | Notice::Confirmed { tag, .. } => format!("{node} {tag}"),
            Notice::Redirected { tag, slot, kind, to, .. } => {
                format!("{tag} {} {} {node}>{}", kind.name(), slot.get(), name(*to))
            }
            Notice::Retried { tag, why, attempt, .. } => format!("{node} {tag} {why:?} #{attempt}"),
            Notice::Dropped { tag, failure, .. } => {
                format!("{node} {tag} {} {}", failure.outcome.name(), failure.reason.name())
            }
            Notice::RefreshFailed { reason, .. } => format!("{node} {}", reason.name()),
            Notice::Refreshed { changed, .. } => format!("{node} changed={changed}"),
            Notice::MapChanged { diff, .. } => {
                let changes: Vec<String> = diff.changes().map(change).collect();
                assert_eq!(diff.changes().count(), changes.len());
                format!("{} cut={}", changes.join(" "), diff.is_cut())
            }
            _ => node,
        };
        self.lines.push(format!("{} {what}", notice.name()));
    }
}

/// Every count that is kept against what the tables hold.
#[track_caller]
pub(in crate::cluster) fn add_up(cluster: &mut Cluster<TestTables>) {
    let pending = {
        let commands = cluster.storage.tables().commands;
        commands.iter().filter(|e| e.place() != Place::Free && e.kind() == Kind::User && !e.has(Flag::FAILED)).count()
    };
    let conns = cluster.storage.tables().conns.to_vec();
    let mut flying = BTreeMap::<Option<NodeId>, u64>::new();
    for conn in &conns {
        let commands = cluster.storage.tables().commands;
        let mut next = conn.in_flight.front();
        while let Some(index) = next {
            let kind = commands[index as usize].kind();
            *flying.entry(conn.node).or_default() += u64::from(matches!(kind, Kind::User | Kind::Tombstone));
            next = conn.in_flight.after(commands, index);
        }
    }
    let open = conns.iter().filter(|conn| conn.has_socket()).count() as u64;
    let asked = u64::from(cluster.state.refresh.in_flight());
    let counters = &cluster.observer().counters;
    let (engine, total) = (counters.engine(), counters.total());
    assert_eq!(engine.pending(), pending as u64, "{engine:?}");
    assert_eq!(engine.submitted, engine.answered + engine.confirmed + engine.dropped + engine.pending());
    assert_eq!(engine.answered, total.replies);
    assert_eq!(engine.confirmed, total.confirmed);
    assert_eq!(engine.dropped, total.failed);
    assert_eq!(engine.refreshes_started, engine.refreshes + engine.refreshes_failed + asked, "{engine:?}");
    assert_eq!(total.dials, total.closed + open, "{total:?}");
    assert!(total.connections <= total.dials && total.errors <= total.replies && total.resent <= total.replies);
    for (id, node) in counters.nodes() {
        let back = node.replies + node.confirmed + node.moved + node.asked + node.refused + node.lost + node.discarded;
        assert!(back <= node.commands, "{node:?}");
        assert_eq!(node.in_flight(), flying.get(&Some(id)).copied().unwrap_or(0), "{id}: {node:?}");
    }
    assert_eq!(counters.elsewhere().in_flight(), flying.get(&None).copied().unwrap_or(0));
}

impl World {
    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.cluster.observer_mut().lines)
    }

    /// What was told but for the names given.
    fn told_but(&mut self, left_out: &[&str]) -> Vec<String> {
        let left = |line: &String| left_out.iter().any(|name| line.split(' ').next() == Some(name));
        self.told().into_iter().filter(|line| !left(line)).collect()
    }

    fn counted(&self, letter: char) -> NodeCounters {
        let counters = &self.cluster.observer().counters;
        let id = NodeId::parse(letter.to_string().repeat(40).as_bytes()).unwrap();
        counters.node(&id).copied().unwrap_or_default()
    }
}

#[test]
fn the_start_is_told() {
    let mut world = World::ready();
    assert_eq!(
        world.told(),
        [
            "refresh_started ?",
            "connecting ?",
            "ready ?",
            "identified a",
            "refreshed a changed=true",
            "map_changed +a +b 0-8191:?>a 8192-16383:?>b cut=false",
            "connecting b",
            "ready b",
            "sent b 1",
            "answered b 1 error=false resent=false",
        ]
    );
    let b = world.counted('b');
    assert_eq!((b.dials, b.connections, b.commands, b.replies), (1, 1, 1, 1));
    // HELLO 3 and the command with its name; the answers to both.
    assert_eq!(b.bytes_out as usize, "*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n".len() + "*1\r\n$4\r\ncmd1\r\n".len());
    assert_eq!(b.bytes_in as usize, HELLO.len() + "+x\r\n".len());
    let elsewhere = *world.cluster.observer().counters.elsewhere();
    assert_eq!((elsewhere.dials, elsewhere.connections), (1, 1), "a seed that had not said who it is");
    assert_eq!(world.counted('a').bytes_in as usize, "$40\r\n\r\n".len() + 40 + SLOTS.len());
}

#[test]
fn moved_is_told_with_what_it_changed() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.told();
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(
        world.told_but(&["refresh_started"]),
        ["map_changed 5-5:a>b cut=false".to_string(), format!("redirected {tag} moved 5 a>b"), format!("sent b {tag}")]
    );
    world.feed(B, "-WRONGTYPE no\r\n");
    assert_eq!(world.told(), [format!("answered b {tag} error=true resent=true")]);
    assert_eq!((world.counted('a').moved, world.counted('b').errors, world.counted('b').resent), (1, 1, 1));
}

#[test]
fn ask_is_told_and_changes_no_map() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.told();
    world.feed(A, "-ASK 5 127.0.0.1:7002\r\n");
    assert_eq!(world.told(), [format!("redirected {tag} ask 5 a>b"), format!("sent b {tag}")]);
    world.feed(B, "+OK\r\n:1\r\n");
    assert_eq!(world.told(), [format!("answered b {tag} error=false resent=true")]);
    assert_eq!((world.counted('a').asked, world.counted('a').moved), (1, 0));
}

#[test]
fn a_redirect_to_a_node_nobody_knows_is_a_retry() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.told();
    world.feed(A, "-ASK 5 6.6.6.6:6\r\n");
    let told = world.told_but(&["refresh_started"]);
    assert_eq!(told, [format!("redirected {tag} ask 5 a>?"), format!("retried a {tag} UnknownTarget #1")]);
    assert_eq!(world.counted('a').retries, 1);
}

#[test]
fn refusals_are_told_with_their_kind() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.told();
    for attempt in 1..3 {
        world.feed(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
        assert_eq!(world.told(), [format!("retried a {tag} Refused(TryAgain) #{attempt}")]);
        world.wait(Duration::from_millis(500));
        assert_eq!(world.told(), [format!("sent a {tag}")]);
    }
    assert_eq!((world.counted('a').refused, world.counted('a').retries), (2, 2));
}

#[test]
fn a_groups_redirects_are_told_once() {
    let mut world = World::quiet();
    let group = CommandSpec { replies: 3, ..World::spec(5, Access::Write) };
    let tag = world.submit(group);
    world.told();
    world.feed(A, "+OK\r\n-MOVED 5 127.0.0.1:7002\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    let told = world.told_but(&["refresh_started", "map_changed"]);
    assert_eq!(told, [format!("redirected {tag} moved 5 a>b"), format!("sent b {tag}")]);
    world.feed(B, "+OK\r\n-ASK 5 127.0.0.1:7001\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_eq!(world.told(), [format!("redirected {tag} ask 5 b>a"), format!("sent a {tag}")]);
    world.feed(A, "+OK\r\n+OK\r\n-TRYAGAIN later\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_eq!(world.told(), [format!("retried a {tag} Refused(ExecAbort) #1")]);
    let other = world.submit(CommandSpec { replies: 1, ..World::spec(9_000, Access::Write) });
    world.feed(B, "+OK\r\n");
    assert!(world.told().contains(&format!("answered b {other} error=false resent=false")));
}

#[test]
fn a_lost_connection_tells_what_was_on_it() {
    let mut world = World::quiet();
    let (write, read) = (world.set(5), world.get(5));
    world.told();
    world.lose(A);
    assert_eq!(
        world.told_but(&["refresh_started"]),
        [
            "lost a disconnected 2".to_string(),
            format!("dropped a {write} maybe_executed connection_lost"),
            format!("retried a {read} ReplyMissing #1"),
        ]
    );
    let a = world.counted('a');
    assert_eq!((a.lost, a.failed, a.retries, a.closed, a.in_flight()), (2, 1, 1, 1, 0));
}

#[test]
fn what_never_left_is_told_so() {
    let mut world = World::quiet();
    let conn = world.conns[&world.at(A)].0;
    let spec = CommandSpec { tag: 900, len: 10, ..World::spec(5, Access::Write) };
    world.cluster.submit(world.now, spec).unwrap();
    let _ = World::env(None, |env| world.cluster.poll_transmit(world.now, conn, env));
    world.told();
    world.lose(A);
    let told = world.told_but(&["refresh_started"]);
    assert_eq!(told, ["lost a disconnected 1", "retried a 900 NotWritten #0"]);
}

#[test]
fn replies_nobody_waits_for_are_told() {
    let mut world = World::quiet_with(|config| config.command_timeout = Duration::from_secs(1));
    let tag = world.set(5);
    world.told();
    world.wait(Duration::from_millis(1_002));
    assert_eq!(world.told(), [format!("dropped a {tag} maybe_executed timed_out")]);
    assert_eq!((world.counted('a').in_flight(), world.counted('a').timeouts), (1, 1));
    world.feed(A, "+late\r\n");
    assert_eq!(world.told(), ["discarded a"]);
    // A reply that nests too deeply ends its command, and is thrown away.
    let tag = world.set(5);
    world.told();
    world.feed(A, &"*1\r\n".repeat(12));
    world.feed(A, ":1\r\n");
    let mut told = world.told();
    told.sort();
    assert_eq!(told, ["discarded a".to_string(), format!("dropped a {tag} reply_lost reply_too_deep")]);
}

#[test]
fn streamed_replies_and_subscriptions_are_told() {
    let mut world = World::quiet();
    let tag = world.submit(CommandSpec { streamed: true, ..World::spec(5, Access::Read) });
    world.told();
    world.feed(A, "*2\r\n:1\r\n");
    assert_eq!(world.told(), Vec::<String>::new());
    world.feed(A, ":2\r\n");
    assert_eq!(world.told(), [format!("answered a {tag} error=false resent=false")]);
    let tag = world.submit(CommandSpec { subscribe: true, ..World::spec(5, Access::Write) });
    world.join(A);
    world.told();
    world.feed(A, "$8\r\n{nonce}\r\n");
    assert_eq!(world.told(), [format!("confirmed a {tag}")]);
}

#[test]
fn refreshes_are_told_from_start_to_end() {
    let mut world = World::ready();
    world.told();
    world.cluster.refresh(world.now);
    world.wait(Duration::from_millis(1));
    let told = world.told();
    let node = told[0].strip_prefix("refresh_started ").unwrap().to_string();
    let (asked, other) = if node == "a" { (A, B) } else { (B, A) };
    let other_node = if node == "a" { "b" } else { "a" };
    world.feed(asked, "-ERR unknown command 'CLUSTER'\r\n");
    assert_eq!(world.told(), [format!("refresh_failed {node} refused"), format!("refresh_started {other_node}")]);
    world.lose(other);
    let told = world.told_but(&["lost", "connecting"]);
    assert_eq!(told[0], format!("refresh_failed {other_node} connection_lost"));
    // The seed is asked next, and says nothing.
    assert_eq!(told[1], "refresh_started ?");
    world.wait(Duration::from_secs(3));
    assert!(world.told().iter().any(|line| line.starts_with("refresh_failed") && line.ends_with(" timed_out")));
}

#[test]
fn a_reply_that_may_be_old_is_told() {
    let mut world = World::quiet_with(|config| config.refresh.burst = 2);
    let tag = world.set(5);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    world.wait(Duration::from_millis(1));
    world.told();
    // The node it led to is asked. It says what was known before, and that some slots are nobody's.
    world.feed(B, &SLOTS.replace(":8191", ":8100"));
    world.feed(B, "+OK\r\n");
    let told = world.told_but(&["refresh_started"]);
    assert_eq!(told, ["refresh_failed b unconfirmed".to_string(), format!("answered b {tag} error=false resent=true")]);
}

#[test]
fn a_reply_that_is_behind_a_redirect_serves_but_for_its_slot() {
    let mut world = World::quiet_with(|config| config.refresh.burst = 2);
    world.set(5);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    world.wait(Duration::from_millis(1));
    world.told();
    world.feed(B, SLOTS);
    assert_eq!(world.told_but(&["refresh_started"]), ["refreshed b changed=false"]);
    world.feed(B, "+OK\r\n");
    world.take_out();
    world.sent.clear();
    let tag = world.set(5);
    world.expect(B, &[&format!("cmd{tag}")]);
}

#[test]
fn load_is_read_off_the_tables() {
    let mut world = World::quiet_with(|config| config.window = 1);
    let id = NodeId::parse("a".repeat(40).as_bytes()).unwrap();
    world.set(5);
    world.set(6);
    world.set(7);
    assert_eq!(world.cluster.load(Some(&id)), NodeLoad { connections: 1, queued: 2, in_flight: 1 });
    assert_eq!(world.cluster.load(None), NodeLoad::default());
    assert_eq!(world.cluster.waiting(), 0);
    world.feed(A, "-TRYAGAIN later\r\n");
    assert_eq!(world.cluster.waiting(), 1);
    assert_eq!(world.cluster.load(Some(&id)), NodeLoad { connections: 1, queued: 1, in_flight: 1 });
}

#[test]
fn what_finds_no_room_is_counted_together() {
    let mut counters = Counters::<1>::new();
    let node = |n: u8| Some(NodeId::from_bytes([n; 20]));
    for n in [1, 2, 3, 2] {
        counters.observe(Instant::EPOCH, &Notice::Discarded { node: node(n) });
    }
    counters.observe(Instant::EPOCH, &Notice::Discarded { node: None });
    assert_eq!(counters.nodes().count(), 1);
    assert_eq!(counters.node(&node(1).unwrap()).unwrap().discarded, 1);
    assert_eq!(counters.node(&node(2).unwrap()), None);
    assert_eq!((counters.elsewhere().discarded, counters.total().discarded), (4, 5));
    assert_eq!(counters.total().in_flight(), 0, "more came back than was sent: still no wrap");
}

//! What a configuration asks for beyond the usual: zones, strict order, resending, bounds.

use super::*;
use crate::command::{FULL, RetryPermission, analyse};
use crate::connection::Zone;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

/// Commands written to `addr` since the last look.
fn commands(world: &mut World, addr: &str) -> Vec<String> {
    if !world.is_connected(addr) {
        return Vec::new();
    }
    let at = world.at(addr);
    let sent = core::mem::take(world.sent.entry(at).or_default());
    sent.into_iter().filter(|line| line.contains("cmd")).collect()
}

// ---- zones ----

/// One shard: a primary and two replicas, with these zones (empty for none).
fn shard(zones: [&str; 3]) -> String {
    let node = |port: u16, id: char, zone: &str| {
        let id: String = std::iter::repeat_n(id, 40).collect();
        let meta = match zone {
            "" => "*0\r\n".to_string(),
            zone => format!("*2\r\n$17\r\navailability-zone\r\n${}\r\n{zone}\r\n", zone.len()),
        };
        format!("*4\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$40\r\n{id}\r\n{meta}")
    };
    let [a, b, c] = zones;
    format!("*1\r\n*5\r\n:0\r\n:16383\r\n{}{}{}", node(7001, 'a', a), node(7002, 'b', b), node(7003, 'c', c))
}

/// The ports that four reads go to, in zone `z1`.
fn readers(zones: [&str; 3]) -> Vec<String> {
    let mut world = World::new(|config| config.read_from = ReadFrom::SameZone(Zone::of(b"z1")));
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    world.feed(A, &shard(zones));
    let tags: Vec<u64> = (0..4).map(|_| world.get(5)).collect();
    for addr in world.dials.clone().into_iter().skip(1) {
        world.join(&addr);
        // READONLY, which replicas are told.
        world.feed(&addr, "+OK\r\n");
    }
    let mut went: Vec<(u64, String)> = Vec::new();
    for (at, (_, addr)) in world.conns.clone() {
        let of = |tag: &u64| world.sent[&at].contains(&cmd(*tag));
        went.extend(tags.iter().filter(|tag| of(tag)).map(|tag| (*tag, addr.clone())));
    }
    went.sort();
    went.into_iter().map(|(_, addr)| addr.rsplit(':').next().unwrap().to_string()).collect()
}

#[test]
fn reads_stay_in_the_zone_while_it_has_a_node_of_the_slot() {
    assert_eq!(readers(["z2", "z1", "z2"]), ["7002"; 4], "the replica there");
    assert_eq!(readers(["z1", "z1", "z1"]), ["7002", "7003", "7002", "7003"], "replicas there, in turn");
    assert_eq!(readers(["z1", "z2", "z3"]), ["7001"; 4], "the primary there");
    assert_eq!(readers(["z2", "z2", "z3"]), ["7002", "7003", "7002", "7003"], "nobody there: any replica");
    assert_eq!(readers(["", "", ""]), ["7002", "7003", "7002", "7003"], "no zones are known");
}

// ---- strict order ----

fn strict() -> World {
    World::quiet_with(|config| config.strict_order = true)
}

#[test]
fn in_strict_order_a_command_waits_for_the_one_before_it() {
    let mut world = strict();
    commands(&mut world, A);
    let first = world.set(5);
    let second = world.set(5);
    let other = world.set(6);
    assert_eq!(commands(&mut world, A), [cmd(first), cmd(other)]);
    world.feed(A, "+1\r\n");
    assert_eq!(commands(&mut world, A), [cmd(second)]);
    world.feed(A, "+2\r\n+3\r\n");
    assert_eq!(world.take_out(), [reply(first, "+1"), reply(other, "+2"), reply(second, "+3")]);
}

#[test]
fn in_strict_order_those_that_wait_go_one_at_a_time() {
    let mut world = strict();
    commands(&mut world, A);
    let tags: Vec<u64> = (0..4).map(|_| world.set(5)).collect();
    for tag in tags {
        assert_eq!(commands(&mut world, A), [cmd(tag)]);
        world.feed(A, "+OK\r\n");
        assert_eq!(world.take_out(), [reply(tag, "+OK")]);
    }
}

#[test]
fn in_strict_order_nothing_overtakes_what_is_refused_or_redirected() {
    let mut world = strict();
    commands(&mut world, A);
    let first = world.set(5);
    let second = world.set(5);
    // Held up, then sent again: the second still waits.
    world.feed(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert_eq!(commands(&mut world, A), [cmd(first)]);
    world.wait(Duration::from_millis(200));
    assert_eq!(commands(&mut world, A), [cmd(first)]);
    // Asked elsewhere, where the answer takes its time.
    world.feed(A, "-ASK 5 127.0.0.1:7002\r\n");
    assert_eq!(commands(&mut world, B), [format!("ASKING+{}", cmd(first))]);
    assert!(commands(&mut world, A).is_empty());
    world.feed(B, "+OK\r\n+1\r\n");
    assert_eq!(commands(&mut world, A), [cmd(second)]);
    // The map changes: the one behind goes by the new one.
    let third = world.set(5);
    assert!(commands(&mut world, A).is_empty());
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(commands(&mut world, B), [cmd(second)]);
    world.feed(B, "+2\r\n");
    assert_eq!(commands(&mut world, B), [cmd(third)]);
}

#[test]
fn in_strict_order_what_blocks_holds_nobody_up() {
    let mut world = strict();
    world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    commands(&mut world, A);
    let shared = world.conns.iter().find(|(_, (_, addr))| addr == A).unwrap();
    let (at, tag) = (*shared.0, world.set(5));
    assert!(world.sent[&at].contains(&cmd(tag)), "{:?}", world.sent);
}

#[test]
fn in_strict_order_the_next_goes_when_the_one_before_it_fails() {
    let mut world = World::quiet_with(|config| {
        config.strict_order = true;
        config.command_timeout = Duration::from_secs(30);
    });
    commands(&mut world, A);
    let first = world.set(5);
    let second = world.set(5);
    world.lose(A);
    let ended = world.take_out();
    assert!(matches!(ended[..], [Out::Failed(tag, _)] if tag == first), "{ended:?}");
    world.wait(Duration::from_secs(3));
    world.join(A);
    assert_eq!(commands(&mut world, A), [cmd(second)]);
}

// ---- sending again ----

#[test]
fn a_client_may_allow_what_may_have_run_to_be_sent_again() {
    let mut world = World::quiet_with(|config| config.resend_unsure = true);
    let write = world.set(5);
    let never = world.submit(CommandSpec { retry: RetryPermission::IfNotExecuted, ..World::spec(5, Access::Read) });
    world.lose(A);
    let ended = world.take_out();
    assert!(matches!(ended[..], [Out::Failed(tag, _)] if tag == never), "{ended:?}");
    world.wait(Duration::from_secs(3));
    world.join(A);
    assert!(commands(&mut world, A).contains(&cmd(write)));
}

#[test]
fn questions_without_side_effects_are_sent_again() {
    for (words, again) in [
        (&["PING"][..], true),
        (&["ECHO", "x"], true),
        (&["TIME"], true),
        (&["PUBLISH", "c", "m"], false),
        (&["CLIENT", "LIST"], false),
    ] {
        let spec = analyse(&FULL, words).unwrap().spec_for(Target::AnyNode, 1);
        assert_eq!(crate::pipeline::may_resend(&spec), again, "{words:?}");
    }
}

#[test]
fn any_node_means_one_that_answers() {
    let mut world = World::ready();
    commands(&mut world, A);
    commands(&mut world, B);
    // A owes a reply and has been quiet for more than a second.
    world.set(5);
    world.wait(Duration::from_millis(1_500));
    commands(&mut world, A);
    let tags: Vec<u64> = (0..4).map(|_| world.submit(CommandSpec::new(Target::AnyNode, Access::Read, 0))).collect();
    let wanted: Vec<String> = tags.into_iter().map(cmd).collect();
    assert_eq!(commands(&mut world, B), wanted);
}

// ---- bounds ----

#[test]
fn bytes_under_way_are_bounded() {
    let mut world = World::ready_with(|config| config.max_bytes = 100);
    let spec = |len| CommandSpec { len, ..World::spec(5, Access::Write) };
    // One alone is taken whatever its size.
    let big = world.submit(spec(0));
    world.feed(A, "+OK\r\n");
    world.take_out();
    let _ = big;
    world.cluster.submit(world.now, spec(60)).unwrap();
    assert_eq!(world.cluster.submit(world.now, spec(41)), Err(SubmitError::FullBytes));
    let id = world.cluster.submit(world.now, spec(40)).unwrap();
    assert_eq!(world.cluster.submit(world.now, spec(1)), Err(SubmitError::FullBytes));
    // An end makes room.
    assert_eq!(world.cluster.cancel(world.now, id), CancelStage::NotSent);
    while world.cluster.poll_event().is_some() {}
    world.cluster.submit(world.now, spec(40)).unwrap();
}

#[test]
fn one_large_command_is_taken_when_nothing_else_is_under_way() {
    let mut world = World::ready_with(|config| config.max_bytes = 100);
    let spec = CommandSpec { len: 1_000, ..World::spec(5, Access::Write) };
    world.cluster.submit(world.now, spec).unwrap();
    assert_eq!(world.cluster.submit(world.now, spec), Err(SubmitError::FullBytes));
}

#[test]
fn a_queue_is_bounded_and_others_go_on() {
    let mut world = World::ready_with(|config| {
        config.window = 1;
        config.max_queue = 2;
    });
    let tags: Vec<u64> = (0..4).map(|_| world.set(5)).collect();
    let failed = Out::Failed(tags[3], Failure { outcome: Outcome::NotSent, reason: Reason::QueueFull, node: None });
    assert_eq!(world.take_out(), [failed]);
    let other = world.set(9_000);
    world.feed(B, "+OK\r\n");
    assert_eq!(world.take_out(), [reply(other, "+OK")]);
}

//! What goes wrong only when two things happen at once.

use super::*;
use crate::command::RetryPermission;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

fn outcomes(out: &[Out]) -> Vec<(u64, Outcome)> {
    let failed = |out: &Out| match out {
        Out::Failed(tag, failure) => Some((*tag, failure.outcome)),
        _ => None,
    };
    out.iter().filter_map(failed).collect()
}

#[test]
fn a_repeated_command_that_then_ends_may_have_run() {
    let mut world = World::quiet();
    let read = world.get(5);
    world.lose(A);
    // Sent once, waiting for the next dial, and the time is up: "rejected" would be a lie.
    world.wait(Duration::from_secs(16));
    assert_eq!(outcomes(&world.take_out()), [(read, Outcome::MaybeExecuted)]);

    let mut world = World::quiet();
    let gone = World::spec(5, Access::Read).with_retry(RetryPermission::Always);
    let tag = world.submit(gone);
    world.lose(A);
    world.cluster.shutdown(world.now);
    world.pump();
    assert_eq!(outcomes(&world.take_out()), [(tag, Outcome::MaybeExecuted)]);
}

#[test]
fn an_unsent_command_does_not_overtake_the_refused_one_before_it() {
    let mut world = World::quiet_with(|config| config.window = 1);
    let (first, second) = (world.set(5), world.set(5));
    world.expect(A, &[&cmd(first)]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    world.expect(B, &[&cmd(first)]);
    world.feed(B, "+1\r\n");
    world.expect(B, &[&cmd(second)]);
}

#[test]
fn an_unknown_target_costs_no_hops() {
    let mut world = World::quiet();
    let tag = world.get(5);
    for _ in 0..12 {
        world.feed(A, "-MOVED 5 127.0.0.1:7099\r\n");
        world.wait(Duration::from_millis(400));
    }
    assert_eq!(world.take_out(), [], "it waits for a map that knows the node");
    world.feed(A, "+x\r\n");
    assert_eq!(world.take_out(), [reply(tag, "+x")]);
}

#[test]
fn a_refused_lease_is_dialled_with_back_off() {
    let mut world = World::quiet();
    let blocking = CommandSpec { blocking: true, ..World::spec(5, Access::Write) };
    let start = world.dials.len();
    let tag = world.submit(blocking);
    for _ in 0..2_000 {
        let leases: Vec<(usize, ConnId)> = world.conns.iter().map(|(at, (conn, _))| (*at, *conn)).collect();
        for (at, conn) in leases {
            if world.cluster.storage().shared().conns[at].state == ConnState::Dialing {
                world.conns.remove(&at);
                world.cluster.handle_connect_failed(world.now, conn);
            }
        }
        world.pump();
        world.wait(Duration::from_millis(5));
    }
    let dials = world.dials.len() - start;
    assert!((3..60).contains(&dials), "{dials} dials in 10 s");
    world.wait(Duration::from_secs(10));
    assert_eq!(outcomes(&world.take_out()), [(tag, Outcome::NotSent)]);
}

#[test]
fn an_unused_lease_makes_room_for_another_node() {
    let mut world = World::ready_with(|config| config.max_leases = 1);
    let blocking = |slot| CommandSpec { blocking: true, ..World::spec(slot, Access::Write) };
    let lease = |world: &mut World, name: &str| {
        let at = world.conns.keys().copied().max().unwrap();
        world.cluster.handle_connected(world.now, world.conns[&at].0);
        world.pump();
        world.conns.get_mut(&at).unwrap().1 = name.to_string();
        world.feed(name, HELLO);
    };
    let first = world.submit(blocking(5));
    lease(&mut world, "first");
    let second = world.submit(blocking(9_000));
    world.wait(Duration::from_secs(1));
    assert!(world.is_connected("first"), "it is used");
    world.feed("first", "*0\r\n");
    assert_eq!(world.take_out(), [reply(first, "*0")]);
    world.wait(Duration::from_millis(250));
    assert!(world.is_connected("first"), "it may be used again at once");
    world.wait(Duration::from_millis(150));
    assert!(!world.is_connected("first"), "the other node needs its place");
    lease(&mut world, "second");
    world.feed("second", "*0\r\n");
    assert_eq!(world.take_out(), [reply(second, "*0")]);
}

#[test]
fn a_cancelled_blocking_command_takes_its_connection_along() {
    let mut world = World::quiet();
    let blocking = CommandSpec { blocking: true, ..World::spec(5, Access::Write) };
    let tag = world.submit(blocking);
    let at = world.conns.keys().copied().max().unwrap();
    let conn = world.conns[&at].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    world.conns.get_mut(&at).unwrap().1 = "lease".to_string();
    world.feed("lease", HELLO);
    assert!(world.sent[&at].contains(&cmd(tag)));
    world.wait(Duration::from_secs(16));
    assert_eq!(outcomes(&world.take_out()), [(tag, Outcome::MaybeExecuted)]);
    assert!(!world.is_connected("lease"), "the server still blocks for nobody");
    world.wait(Duration::from_secs(30));
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn what_a_group_was_told_is_told_once() {
    let mut world = World::quiet();
    let spec = CommandSpec { replies: 4, ..World::spec(5, Access::Write).with_retry(RetryPermission::Always) };
    let tag = world.submit(spec);
    world.feed(A, "+OK\r\n-ERR unknown command\r\n");
    assert_eq!(world.take_out(), [reply(tag, "-ERR unknown command")]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n-EXECABORT because of previous errors.\r\n");
    assert_eq!(world.take_out(), [reply(tag, "-EXECABORT because of previous errors.")]);
    assert_eq!(world.cluster.commands_live(), 0);

    let tag = world.submit(CommandSpec { target: Target::Slot(Slot::masked(9)), ..spec });
    world.feed(A, "+OK\r\n-ERR unknown command\r\n");
    world.take_out();
    world.lose(A);
    assert_eq!(outcomes(&world.take_out()), [(tag, Outcome::MaybeExecuted)]);
}

#[test]
fn a_fence_may_be_answered_as_an_array_or_behind_an_attribute() {
    for answer in ["*2\r\n$4\r\npong\r\n$8\r\n{nonce}\r\n", "|1\r\n+a\r\n+b\r\n$8\r\n{nonce}\r\n"] {
        let mut world = World::quiet();
        let tag = world.submit(CommandSpec { subscribe: true, ..World::spec(5, Access::Read) });
        let at = world.conns.keys().copied().max().unwrap();
        let conn = world.conns[&at].0;
        world.cluster.handle_connected(world.now, conn);
        world.pump();
        world.conns.get_mut(&at).unwrap().1 = "sub".to_string();
        world.feed("sub", HELLO);
        world.feed("sub", ">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n");
        world.feed("sub", answer);
        let out = world.take_out();
        assert_eq!(out.last(), Some(&Out::Confirmed(tag)), "{out:?}");
        assert_eq!(world.cluster.commands_live(), 0, "the fence itself is answered too");
    }
}

#[test]
fn a_seed_connection_takes_over_from_one_that_cannot_be_dialled() {
    // Every node has a new address: the map's are dead, the seed's name leads to the new ones.
    let mut world = World::ready_with(|config| config.refresh.interval = Duration::from_millis(10));
    world.get(5);
    world.get(9_000);
    world.lose(A);
    world.lose(B);
    world.take_out();
    let mut asked = false;
    for _ in 0..200 {
        let conns: Vec<(usize, ConnId)> = world.conns.iter().map(|(at, (conn, _))| (*at, *conn)).collect();
        for (at, conn) in conns {
            let entry = &world.cluster.storage().shared().conns[at];
            match (entry.state, entry.node.is_some()) {
                (ConnState::Dialing, true) => {
                    world.conns.remove(&at);
                    world.cluster.handle_connect_failed(world.now, conn);
                    world.pump();
                }
                (ConnState::Dialing, false) => {
                    world.conns.get_mut(&at).unwrap().1 = "seed".to_string();
                    world.cluster.handle_connected(world.now, conn);
                    world.pump();
                    world.feed("seed", HELLO);
                    // The two answers come one by one.
                    world.feed("seed", "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
                    asked = true;
                    assert!(world.is_connected("seed"), "closed before its answer: {:?}", world.closed);
                }
                _ => {}
            }
        }
        if asked {
            break;
        }
        world.wait(Duration::from_millis(50));
    }
    assert!(asked);
    let sent = world.sent[&world.at("seed")].clone();
    assert!(sent.contains(&"CLUSTER SLOTS".to_string()), "{sent:?}");
    assert!(sent.iter().any(|line| line.starts_with("cmd")), "the waiting command came over: {sent:?}");
    let map = SLOTS.replace("7001", "7101").replace("7002", "7102");
    let before = world.cluster.refreshes();
    world.feed("seed", &map);
    assert_eq!(world.cluster.refreshes(), before + 1);
}

#[test]
#[cfg(feature = "nodes-reply")]
fn a_denied_question_is_replaced_by_the_other() {
    let mut world = World::ready_with(|config| config.refresh.interval = Duration::from_millis(10));
    let tag = world.get(5);
    let mut asked = Vec::new();
    for _ in 0..400 {
        world.wait(Duration::from_millis(20));
        for addr in [A, B] {
            let at = world.at(addr);
            for line in core::mem::take(world.sent.get_mut(&at).unwrap()) {
                match line.as_str() {
                    "CLUSTER NODES" => world.feed(addr, "-NOPERM no\r\n"),
                    "CLUSTER SLOTS" => world.feed(addr, SLOTS),
                    "PING" => world.feed(addr, "$8\r\n{nonce}\r\n"),
                    _ if line == cmd(tag) => world.feed(addr, "-ASK 5 127.0.0.1:7099\r\n"),
                    _ => continue,
                }
                asked.push(line);
            }
        }
    }
    assert!(asked.contains(&"CLUSTER NODES".to_string()));
    assert!(asked.contains(&"CLUSTER SLOTS".to_string()), "the map is never renewed");
}

#[test]
fn the_answer_to_asking_does_not_confirm_a_subscription() {
    let mut world = World::quiet();
    let tag = world.submit(CommandSpec { subscribe: true, ..World::spec(5, Access::Read) });
    world.join(A);
    world.feed(A, "-ASK 5 127.0.0.1:7002\r\n$8\r\n{nonce}\r\n");
    world.join(B);
    world.expect(B, &[&format!("ASKING+{}", cmd(tag)), "PING"]);
    world.feed(B, "+OK\r\n");
    assert_eq!(world.take_out(), []);
    world.feed(B, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n$8\r\n{nonce}\r\n");
    assert_eq!(world.take_out().last(), Some(&Out::Confirmed(tag)));
    assert_eq!(world.cluster.commands_live(), 0);
    assert!(world.closed.is_empty(), "{:?}", world.closed);
}

#[test]
fn a_streamed_script_that_says_moved_in_pieces_is_read_whole() {
    let mut world = World::quiet();
    let spec = CommandSpec { script_like: true, ..World::spec(5, Access::Write).with_streamed(true) };
    world.submit(spec);
    for piece in ["-", "MOVED 5 127.0.0.1:7002\r", "\n"] {
        world.feed(A, piece);
    }
    assert_eq!(world.take_out(), [], "a topology reply is awaited that shows whether it is true");
    world.wait(Duration::from_secs(2));
    assert_eq!(world.take_out().len(), 1, "none came: it is the caller's");
    assert!(world.closed.is_empty(), "{:?}", world.closed);
}

#[test]
fn a_seed_that_turns_out_to_be_a_known_node_does_not_take_its_place() {
    let mut world = World::ready();
    // The first node leaves the cluster, and its entry in the table of connections is free.
    let all = "*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\n\
        bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n*0\r\n";
    world.cluster.refresh(world.now);
    world.wait(Duration::from_millis(200));
    let asked = if world.sent[&world.at("127.0.0.1:7001")].is_empty() { "127.0.0.1:7002" } else { "127.0.0.1:7001" };
    world.feed(asked, all);
    assert!(!world.is_connected("127.0.0.1:7001"));
    // The other connection is lost, so that a seed is asked.
    world.lose("127.0.0.1:7002");
    let first = world.set(9_000);
    world.wait(Duration::from_millis(300));
    let seed = if world.is_connected("127.0.0.1:7001") { "127.0.0.1:7001" } else { "127.0.0.1:7009" };
    world.join(seed);
    world.expect(seed, &["CLUSTER MYID", "CLUSTER SLOTS"]);
    world.join("127.0.0.1:7002");
    assert!(world.sent[&world.at("127.0.0.1:7002")].contains(&format!("cmd{first}")));
    world.feed(seed, "$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n");
    world.feed(seed, all);
    let second = world.set(9_000);
    let sent = &world.sent[&world.at("127.0.0.1:7002")];
    assert!(sent.contains(&format!("cmd{second}")), "{sent:?}");
}

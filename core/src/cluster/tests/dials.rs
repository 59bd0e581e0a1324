//! Who dials a node that no connection reaches.

use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

/// How many connections are being made to A, by what the adapter was asked for.
fn dials_of_a(world: &World) -> usize {
    world.dials.iter().filter(|addr| *addr == A).count()
}

fn fail_dial(world: &mut World) {
    let conn = world.conns.remove(&world.at(A)).unwrap().0;
    world.cluster.handle_connect_failed(world.now, conn);
    world.pump();
}

/// A world whose node A has died: a command, two blocking ones and a subscription wait for it.
fn all_wait_for_a() -> (World, [u64; 4]) {
    let mut world = World::quiet_with(|config| config.refresh.idle = None);
    world.lose(A);
    world.dials.clear();
    let blocking = CommandSpec { blocking: true, ..World::spec(5, Access::Write) };
    let tags = [
        world.submit(CommandSpec { subscribe: true, ..World::spec(5, Access::Write) }),
        world.submit(blocking),
        world.set(5),
        world.submit(blocking),
    ];
    (world, tags)
}

#[test]
fn a_dead_node_is_dialled_by_one_connection_at_a_time() {
    let (mut world, _) = all_wait_for_a();
    let mut dials = 0;
    let start = world.now;
    while world.now.since(start) < Duration::from_secs(30) {
        world.wait(Duration::from_millis(1));
        let open = world.conns.values().filter(|(_, addr)| addr == A).count();
        assert!(open <= 1, "{open} dials at once");
        if open == 1 {
            dials += 1;
            // A dial takes its time, and none other begins meanwhile.
            world.wait(Duration::from_millis(300));
            assert_eq!(dials_of_a(&world), dials);
            fail_dial(&mut world);
        }
    }
    assert!((5..60).contains(&dials), "{dials} dials");
}

#[test]
fn a_node_that_is_back_is_dialled_by_all_who_waited() {
    let (mut world, [subscribe, first, set, second]) = all_wait_for_a();
    world.wait(Duration::from_secs(1));
    assert_eq!(dials_of_a(&world), 1);
    fail_dial(&mut world);
    // All go by the back-off of the one that failed, whoever dials next.
    for _ in 0..200 {
        if dials_of_a(&world) == 2 {
            break;
        }
        world.wait(Duration::from_millis(1));
    }
    assert_eq!(dials_of_a(&world), 2);
    world.wait(Duration::from_millis(100));
    assert_eq!(dials_of_a(&world), 2, "its result is waited for");
    let at = world.at(A);
    let conn = world.conns[&at].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    assert_eq!(dials_of_a(&world), 2, "and that of its handshake");
    world.feed(A, HELLO);
    assert_eq!(dials_of_a(&world), 5, "now the others dial, all at once");
    // Each gets a connection of its own.
    world.conns.get_mut(&at).unwrap().1 = "first".to_string();
    let mut sent = world.sent[&at].clone();
    for _ in 0..3 {
        let at = world.at(A);
        world.join(A);
        world.conns.get_mut(&at).unwrap().1 = "next".to_string();
        sent.extend(world.sent[&at].clone());
    }
    for tag in [subscribe, first, set, second] {
        assert_eq!(sent.iter().filter(|line| **line == cmd(tag)).count(), 1, "{tag}: {sent:?}");
    }
}

#[test]
fn a_node_that_one_connection_reaches_is_dialled_by_all_at_once() {
    let mut world = World::quiet_with(|config| config.refresh.idle = None);
    world.dials.clear();
    let blocking = CommandSpec { blocking: true, ..World::spec(5, Access::Write) };
    world.submit(blocking);
    world.submit(blocking);
    world.submit(CommandSpec { subscribe: true, ..World::spec(5, Access::Write) });
    assert_eq!(dials_of_a(&world), 3);
}

#[test]
fn who_waits_for_a_dial_follows_the_map_meanwhile() {
    let mut world = World::ready();
    world.lose(A);
    world.set(5);
    let blocking = world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    world.wait(Duration::from_millis(200));
    // The dial leads nowhere, and the slot goes to the other node.
    let b = "*3\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n";
    let rest = SLOTS.strip_prefix("*2\r\n").unwrap().replace(":8191", ":4");
    world.feed(B, &format!("*3\r\n*3\r\n:5\r\n:8191\r\n{b}{rest}"));
    let lease = world.conns.iter().filter(|(_, (_, addr))| addr == B).map(|(at, _)| *at).collect::<Vec<_>>();
    assert_eq!(lease.len(), 2, "{:?}", world.conns);
    for at in lease {
        let conn = world.conns[&at].0;
        world.cluster.handle_connected(world.now, conn);
        world.pump();
        if world.sent[&at].iter().any(|line| line.starts_with("HELLO")) {
            world.conns.get_mut(&at).unwrap().1 = "lease".to_string();
        }
    }
    world.feed("lease", HELLO);
    assert!(world.sent[&world.at("lease")].contains(&cmd(blocking)), "{:?}", world.sent);
}

#[test]
fn a_node_that_moved_is_dialled_at_its_new_place_at_once() {
    for failed in [0, 6] {
        let mut world = World::ready();
        world.lose(A);
        let tag = world.set(5);
        for _ in 0..failed {
            while !world.conns.values().any(|(_, addr)| addr == A) {
                world.wait(Duration::from_millis(10));
            }
            fail_dial(&mut world);
        }
        // The back-off is long by now, or a dial of the old place is under way.
        if failed == 0 {
            world.wait(Duration::from_millis(300));
            assert!(world.conns.values().any(|(_, addr)| addr == A));
        }
        world.cluster.refresh(world.now);
        while !world.sent[&world.at(B)].contains(&"CLUSTER SLOTS".to_string()) {
            world.wait(Duration::from_millis(5));
        }
        world.dials.clear();
        world.feed(B, &SLOTS.replace(":7001", ":7005"));
        world.wait(Duration::from_millis(3));
        assert_eq!(world.dials, ["127.0.0.1:7005"], "after {failed} dials");
        world.join("127.0.0.1:7005");
        assert!(world.sent[&world.at("127.0.0.1:7005")].contains(&cmd(tag)));
        assert!(!world.conns.values().any(|(_, addr)| addr == A));
    }
}

#[test]
fn a_question_that_waits_for_the_dial_of_a_seed_is_asked_of_a_node_that_is_ready_first() {
    let mut world = World::ready();
    world.dials.clear();
    world.lose(A);
    world.lose(B);
    // Nobody can be asked but a seed, and that one does not answer the dial.
    world.wait(Duration::from_millis(200));
    let seeds = world.dials.len();
    assert_eq!(seeds, 1, "{:?}", world.dials);
    let tag = world.get(9_000);
    assert_eq!(&world.dials[seeds..], [B]);
    world.join(B);
    world.expect(B, &["CLUSTER SLOTS", &cmd(tag)]);
    world.feed(B, SLOTS);
    world.feed(B, "$1\r\nb\r\n");
    assert_eq!(world.take_out(), [reply(tag, "$1\r\nb")]);
    // The seed has nothing to answer any more but who it is.
    let seed = world.dials[0].clone();
    world.join(&seed);
    world.expect(&seed, &["CLUSTER MYID"]);
}

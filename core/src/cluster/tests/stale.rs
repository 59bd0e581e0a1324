//! What is late: calls for a connection of before, and commands that waited on the way.

use super::*;

const A: &str = "127.0.0.1:7001";

/// A world whose connection to A is the second in its place; the id of the first.
fn replaced() -> (World, ConnId) {
    let mut world = World::quiet();
    let old = world.conns[&world.at(A)].0;
    world.lose(A);
    let late = world.submit(World::spec(5, Access::Write));
    world.wait(Duration::from_secs(2));
    let at = world.at(A);
    let new = world.conns[&at].0;
    assert!(new != old && new.index() == old.index(), "{new:?} took the place of {old:?}");
    world.join(A);
    world.expect(A, &[&format!("cmd{late}")]);
    assert_eq!(world.take_out(), []);
    (world, old)
}

#[test]
fn bytes_of_a_connection_of_before_answer_nothing() {
    let (mut world, old) = replaced();
    let now = world.now;
    let bytes = b"+late\r\n";
    let progress = World::env(None, |env| {
        let progress = world.cluster.handle_input(now, old, env, bytes, true).unwrap();
        (progress.consumed, progress.output.is_some())
    });
    assert_eq!(progress, (bytes.len(), false), "dropped, and handed to nobody");
    world.pump();
    assert_eq!(world.take_out(), []);
    world.feed(A, "+own\r\n");
    assert!(matches!(&world.take_out()[..], [Out::Reply(_, text)] if text == "+own"));
}

#[test]
fn the_end_of_a_connection_of_before_ends_nothing() {
    let (mut world, old) = replaced();
    let closed = world.closed.len();
    world.cluster.handle_disconnected(world.now, old);
    world.cluster.handle_connect_failed(world.now, old);
    world.cluster.handle_connected(world.now, old);
    world.pump();
    assert_eq!(world.closed.len(), closed);
    world.feed(A, "+own\r\n");
    assert!(matches!(&world.take_out()[..], [Out::Reply(_, text)] if text == "+own"));
}

#[test]
fn bytes_written_before_are_not_taken_for_those_of_now() {
    let (mut world, old) = replaced();
    let at = world.at(A);
    let new = world.conns[&at].0;
    world.feed(A, "+own\r\n");
    world.take_out();
    // Handed to the transport, which has taken nothing of it yet.
    let spec = CommandSpec { tag: 77, len: 10, ..World::spec(5, Access::Write) };
    world.cluster.submit(world.now, spec).unwrap();
    let now = world.now;
    let handed = World::env(None, |env| world.cluster.poll_transmit(now, new, env).is_some());
    assert!(handed);
    world.cluster.handle_written(world.now, old, 10);
    world.cluster.shutdown(world.now);
    world.cluster.handle_disconnected(world.now, new);
    world.conns.remove(&at);
    world.pump();
    let failed = world.take_out();
    assert!(
        matches!(&failed[..], [Out::Failed(77, failure)] if failure.outcome == Outcome::NotSent),
        "none of its bytes was written: {failed:?}"
    );
}

#[test]
fn a_command_that_waited_for_a_connection_says_so() {
    let mut world = World::quiet_with(|config| config.max_leases = 1);
    let blocking = CommandSpec { blocking: true, ..World::spec(5, Access::Write) };
    let first = world.submit(blocking);
    let at = world.conns.keys().copied().max().unwrap();
    let conn = world.conns[&at].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    world.conns.get_mut(&at).unwrap().1 = "lease".to_string();
    world.feed("lease", HELLO);
    // There is one lease, and it is taken: this one waits, and others of its slot need not.
    let second = world.submit(blocking);
    let mut told = Vec::new();
    for _ in 0..2 {
        let now = world.now;
        World::env(None, |env| {
            let progress = world.cluster.handle_input(now, conn, env, b"+x\r\n", true).unwrap();
            assert_eq!(progress.consumed, 4);
            if let Some(Output::Reply { tag, resent, .. }) = progress.output {
                told.push((tag, resent));
            }
        });
        world.wait(Duration::from_millis(40));
    }
    assert_eq!(told, [(first, false), (second, true)]);
}

/// Asks for the topology; where.
fn asked(world: &mut World) -> String {
    world.cluster.refresh(world.now);
    world.wait(Duration::from_secs(2));
    let (at, _) = world.sent.iter().find(|(_, lines)| lines.contains(&"CLUSTER SLOTS".to_string())).unwrap();
    world.conns[at].1.clone()
}

#[test]
fn attributes_may_stand_before_a_topology_reply() {
    let attribute = "|1\r\n+key-popularity\r\n%1\r\n$1\r\na\r\n,0.19\r\n";
    let whole = format!("{attribute}{SLOTS}");
    for cut in [0, attribute.len(), attribute.len() + 9] {
        let mut world = World::ready();
        let before = world.cluster.refreshes();
        let addr = asked(&mut world);
        if cut == 0 {
            world.feed(&addr, &whole);
        } else {
            // The buffer has no room for the whole of it.
            world.feed_cut(&addr, &whole[..cut], &whole[cut..]);
        }
        assert_eq!(world.cluster.refreshes(), before.wrapping_add(1), "cut at {cut}");
        assert_eq!(world.unread(&addr), 0);
    }
}

#[test]
fn a_push_behind_an_attribute_is_not_the_topology() {
    let attribute = "|1\r\n+ttl\r\n:3600\r\n";
    let pushes = [">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n", ">0\r\n"];
    for (cut, push) in [(0, pushes[0]), (0, pushes[1]), (attribute.len(), pushes[0]), (attribute.len(), pushes[1])] {
        let mut world = World::ready();
        let before = world.cluster.refreshes();
        let addr = asked(&mut world);
        let front = format!("{attribute}{push}");
        if cut == 0 {
            world.feed(&addr, &front);
        } else {
            world.feed_cut(&addr, &front[..cut], &front[cut..]);
        }
        assert_eq!(world.cluster.refreshes(), before, "cut at {cut}");
        world.feed(&addr, SLOTS);
        assert_eq!(world.cluster.refreshes(), before.wrapping_add(1), "cut at {cut}");
        assert_eq!(world.unread(&addr), 0);
    }
}

#[test]
fn a_question_that_could_not_be_written_is_not_asked_late() {
    let mut world = World::ready();
    world.shut = true;
    world.cluster.refresh(world.now);
    for _ in 0..30 {
        world.wait(Duration::from_millis(500));
    }
    world.shut = false;
    world.pump();
    let asked = world.sent.values().flatten().filter(|line| *line == "CLUSTER SLOTS").count();
    assert_eq!(asked, 1, "one at a time");
}

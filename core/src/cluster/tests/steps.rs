//! Replies that do not belong to their commands any more, and shutdowns that end whatever the peer does.

use super::*;

const A: &str = "127.0.0.1:7001";

/// A quiet world whose engine has just asked A for a sign of life, with a command in flight there.
fn probed(spec: CommandSpec) -> (World, u64) {
    let mut world = World::quiet();
    let tag = world.submit(spec);
    world.wait(Duration::from_millis(5_001));
    world.expect(A, &[&format!("cmd{tag}"), "PING"]);
    (world, tag)
}

#[test]
fn the_answer_to_a_probe_is_no_other_commands_reply() {
    for streamed in [false, true] {
        // However it is cut.
        for pieces in
            [&["$8\r\n{nonce}\r\n"][..], &["$", "8", "\r", "\n", "{nonce}", "\r", "\n"], &["$8\r\n{nonce}", "\r\n"]]
        {
            let (mut world, tag) = probed(World::spec(5, Access::Write).with_streamed(streamed));
            let (last, first) = pieces.split_last().unwrap();
            for piece in first {
                world.feed(A, piece);
                assert!(world.closed.is_empty(), "{piece:?}");
            }
            world.feed(A, last);
            assert_eq!(world.closed, [CloseReason::OutOfStep]);
            let [Out::Failed(ended, failure)] = world.take_out()[..] else { panic!("handed out") };
            assert_eq!((ended, failure.outcome), (tag, Outcome::MaybeExecuted));
        }
    }
}

#[test]
fn eight_digits_can_be_a_value() {
    let (mut world, tag) = probed(World::spec(5, Access::Write));
    world.feed(A, "$8\r\n00000007\r\n$8\r\n{nonce}\r\n");
    assert_eq!(world.take_out(), [reply(tag, "$8\r\n00000007")]);
    assert!(world.closed.is_empty());
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn a_probe_has_to_be_answered_with_its_number() {
    for wrong in ["+PONG\r\n", "$8\r\n00000007\r\n", ":1\r\n", "*2\r\n$4\r\npong\r\n$1\r\n7\r\n", "_\r\n"] {
        let (mut world, tag) = probed(World::spec(5, Access::Write));
        world.feed(A, ":1\r\n");
        assert_eq!(world.take_out(), [reply(tag, ":1")]);
        world.feed(A, wrong);
        assert_eq!(world.closed, [CloseReason::OutOfStep], "{wrong}");
    }
    // It refuses everything, and is there.
    let (mut world, _) = probed(World::spec(5, Access::Write));
    world.feed(A, ":1\r\n-LOADING Redis is loading the dataset in memory\r\n");
    assert!(world.closed.is_empty());
    assert_eq!(world.cluster.commands_live(), 0);
}

/// The reply of a command that timed out never comes: its tombstone goes with the connection.
#[test]
fn a_swallowed_reply_does_not_wait_for_ever() {
    let mut world = World::quiet();
    let spec = CommandSpec { timeout: Some(Duration::from_secs(1)), ..World::spec(5, Access::Write) };
    world.submit(spec);
    world.wait(Duration::from_millis(5_001));
    assert_eq!(world.take_out().len(), 1, "it timed out");
    world.feed(A, "$8\r\n{nonce}\r\n");
    assert_eq!(world.closed, [CloseReason::OutOfStep]);
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn a_shutdown_ends_though_the_peer_goes_on_talking() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.cluster.shutdown(world.now);
    world.pump();
    assert!(!world.cluster.is_drained(), "its reply may come");
    for _ in 0..160 {
        if world.is_connected(A) {
            world.feed(A, ">2\r\n+invalidate\r\n_\r\n");
        }
        world.wait(Duration::from_millis(100));
    }
    let failed =
        |out: &Out| matches!(out, Out::Failed(ended, failure) if *ended == tag && failure.reason == Reason::TimedOut);
    assert!(world.take_out().iter().any(failed));
    assert!(world.cluster.is_drained(), "{:?}", world.closed);
    assert_eq!(world.closed.last(), Some(&CloseReason::Shutdown));
}

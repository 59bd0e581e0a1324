use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

#[test]
fn a_seed_becomes_its_node() {
    let mut world = World::ready();
    assert_eq!(world.dials, [A, B], "one connection for each node, the seed's included");
    let first = world.get(5);
    let second = world.get(9_000);
    world.expect(A, &[&std::format!("cmd{first}")]);
    world.expect(B, &[&std::format!("cmd{second}")]);
    world.feed(B, "$1\r\nb\r\n");
    world.feed(A, "$1\r\na\r\n");
    assert_eq!(world.take_out(), [reply(second, "$1\r\nb"), reply(first, "$1\r\na")]);
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn commands_wait_for_the_first_map() {
    let mut world = World::new(|_| {});
    let tag = world.get(5);
    world.join(A);
    world.expect(A, &["CLUSTER MYID", "CLUSTER SLOTS"]);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    world.feed(A, SLOTS);
    world.expect(A, &[&std::format!("cmd{tag}")]);
}

#[test]
fn replies_are_matched_however_the_bytes_are_cut() {
    let mut world = World::ready();
    let tags: Vec<u64> = (0..4).map(|_| world.get(5)).collect();
    for byte in "+one\r\n:2\r\n*2\r\n$1\r\nx\r\n_\r\n-ERR no\r\n".split_inclusive(|_| true) {
        world.feed(A, byte);
    }
    let want =
        [reply(tags[0], "+one"), reply(tags[1], ":2"), reply(tags[2], "*2\r\n$1\r\nx\r\n_"), reply(tags[3], "-ERR no")];
    assert_eq!(world.take_out(), want);
}

#[test]
fn pushes_stand_between_replies() {
    let mut world = World::ready();
    let tag = world.get(5);
    world.feed(A, ">2\r\n$10\r\ninvalidate\r\n_\r\n+x\r\n");
    assert_eq!(world.take_out(), [Out::Push(">2\r\n$10\r\ninvalidate\r\n_".to_string()), reply(tag, "+x")]);
}

#[test]
fn a_reply_nobody_waits_for_ends_the_connection() {
    let mut world = World::ready();
    world.feed(A, "+surplus\r\n");
    assert_eq!(world.take_out(), []);
    assert_eq!(world.closed, [CloseReason::UnexpectedReply]);
}

#[test]
fn a_cancelled_command_eats_its_reply() {
    let mut world = World::ready();
    let first = world.get(5);
    let second = world.get(5);
    let id = CommandId::new(0, 0);
    let ids: Vec<CommandId> = (0..64).flat_map(|i| (0..64).map(move |g| CommandId::new(i, g))).collect();
    let _ = id;
    let stage = ids.into_iter().map(|id| world.cluster.cancel(world.now, id)).find(|s| *s != CancelStage::Unknown);
    assert_eq!(stage, Some(CancelStage::InFlight));
    world.pump();
    world.feed(A, "+late\r\n+mine\r\n");
    let out = world.take_out();
    let cancelled = match &out[0] {
        Out::Failed(tag, failure) => {
            assert_eq!((failure.outcome, failure.reason), (Outcome::MaybeExecuted, Reason::Cancelled));
            *tag
        }
        other => panic!("{other:?}"),
    };
    let (kept, text) = if cancelled == first { (second, "+mine") } else { (first, "+late") };
    assert_eq!(out[1..], [reply(kept, text)]);
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn a_large_reply_comes_as_tokens_when_the_buffer_cannot_grow() {
    let mut world = World::ready();
    world.can_grow = false;
    let tag = world.get(5);
    world.feed(A, "*3\r\n:1\r\n");
    world.feed(A, ":2\r\n");
    world.feed(A, ":3\r\n");
    let out = world.take_out();
    let want = ["Array(3) false", "Integer(1) false", "Integer(2) false", "Integer(3) true"];
    assert_eq!(out, want.map(|text| reply(tag, text)));
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn a_subscribe_is_confirmed_by_its_fence() {
    let mut world = World::ready();
    let spec = CommandSpec { subscribe: true, ..World::spec(5, Access::Write) };
    let tag = world.submit(spec);
    let conn = world.at(A);
    world.join(A);
    assert_ne!(world.conns.len(), 2, "a connection of its own, beside the shared one ({conn})");
    world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
    world.feed(A, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
    assert_eq!(world.take_out().len(), 1);
    world.feed(A, "$8\r\n00000000\r\n");
    assert_eq!(world.take_out(), [Out::Confirmed(tag)]);
    assert_eq!(world.cluster.commands_live(), 0);
}

#[test]
fn a_blocking_command_has_a_connection_of_its_own() {
    let mut world = World::ready();
    let blocking = world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    world.join(A);
    world.expect(A, &[&std::format!("cmd{blocking}")]);
    assert_eq!(world.dials, [A, B, A]);
    let other = world.get(5);
    let shared = *world.conns.iter().find(|(_, (_, addr))| addr == A).unwrap().0;
    assert_eq!(world.sent[&shared].last(), Some(&std::format!("cmd{other}")));
}

#[test]
fn the_table_says_when_it_is_full() {
    let mut world = World::ready();
    let mut taken = 0;
    let spec = CommandSpec { len: 10, ..World::spec(5, Access::Read) };
    let refused = loop {
        match world.cluster.submit(world.now, spec) {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(refused, SubmitError::Full);
    assert_eq!(taken, 62, "two entries are kept for the engine's own frames");
}

//! What a node refuses for a while, and where the command goes then.

use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

/// Commands written to `addr` since the last look.
fn commands(world: &mut World, addr: &str) -> Vec<String> {
    let at = world.at(addr);
    let sent = core::mem::take(world.sent.entry(at).or_default());
    sent.into_iter().filter(|line| line.contains("cmd")).collect()
}

/// A world with a blocking command in flight on a connection of its own, called `lease`.
fn blocked() -> (World, u64) {
    let mut world = World::quiet_with(|config| config.retry_delay = Duration::from_millis(10));
    let tag = world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    lease(&mut world, "lease");
    assert_eq!(commands(&mut world, "lease"), [cmd(tag)]);
    (world, tag)
}

/// The newest dial succeeds; its connection gets this name.
fn lease(world: &mut World, name: &str) {
    let at = *world
        .conns
        .iter()
        .find(|(at, _)| world.cluster.storage().shared().conns[**at].state == ConnState::Dialing)
        .unwrap()
        .0;
    world.cluster.handle_connected(world.now, world.conns[&at].0);
    world.pump();
    world.conns.get_mut(&at).unwrap().1 = name.to_string();
    world.feed(name, HELLO);
}

#[test]
fn a_demoted_nodes_connection_is_not_used_again() {
    let (mut world, tag) = blocked();
    let dials = world.dials.len();
    world.feed(
        "lease",
        "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n",
    );
    // The end of the connection is on its way: what went out on it meanwhile might have run or not.
    world.wait(Duration::from_millis(100));
    assert!(!world.is_connected("lease"));
    assert_eq!(world.closed.last(), Some(&CloseReason::Retired));
    assert_eq!(world.dials[dials..], [A.to_string()]);
    lease(&mut world, "second");
    assert_eq!(commands(&mut world, "second"), [cmd(tag)]);
    world.feed("second", "-MOVED 5 127.0.0.1:7002\r\n");
    lease(&mut world, "third");
    assert_eq!(commands(&mut world, "third"), [cmd(tag)]);
    world.feed("third", "*0\r\n");
    assert_eq!(world.take_out(), [reply(tag, "*0")]);
}

#[test]
fn who_is_unblocked_by_somebody_keeps_the_connection() {
    let (mut world, tag) = blocked();
    world.feed("lease", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    assert_eq!(world.take_out(), [reply(tag, "-UNBLOCKED client unblocked via CLIENT UNBLOCK")]);
    let next = world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    assert_eq!(commands(&mut world, "lease"), [cmd(next)]);
}

/// A world with one shard, whose replica B answers reads.
fn shard() -> World {
    let mut world = World::new(|config| {
        config.read_from = ReadFrom::PreferReplica;
        config.refresh.burst = 1;
        config.refresh.interval = Duration::from_secs(3_600);
    });
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    let node = |port: u16, id: &str| format!("*4\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$40\r\n{}\r\n*0\r\n", id.repeat(40));
    world.feed(A, &format!("*1\r\n*4\r\n:0\r\n:16383\r\n{}{}", node(7001, "a"), node(7002, "b")));
    let first = world.get(5);
    world.join(B);
    world.feed(B, "+OK\r\n");
    world.feed(B, "+x\r\n");
    assert_eq!(world.take_out(), [reply(first, "+x")]);
    commands(&mut world, A);
    commands(&mut world, B);
    world
}

#[test]
fn a_read_that_one_node_of_the_shard_refuses_goes_to_another() {
    for refusal in [
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
    ] {
        let mut world = shard();
        let tag = world.get(5);
        assert_eq!(commands(&mut world, B), [cmd(tag)]);
        world.feed(B, refusal);
        world.wait(Duration::from_millis(200));
        assert_eq!(commands(&mut world, A), [cmd(tag)], "the primary may well serve it");
        world.feed(A, "-LOADING Redis is loading the dataset in memory\r\n");
        world.wait(Duration::from_millis(200));
        assert_eq!(commands(&mut world, B), [cmd(tag)], "and if not, the replica may by now");
        world.feed(B, "+y\r\n");
        assert_eq!(world.take_out(), [reply(tag, "+y")]);
    }
}

#[test]
fn a_read_that_a_replica_did_not_answer_goes_to_the_primary() {
    let mut world = shard();
    let tag = world.get(5);
    world.lose(B);
    assert_eq!(commands(&mut world, A), [cmd(tag)]);
}

#[test]
fn a_replica_named_by_the_caller_says_that_it_takes_no_writes() {
    let mut world = shard();
    let read_only = "-READONLY You can't write against a read only replica.";
    let there = world.cluster.map().nodes().find(|(_, node)| !node.is_primary()).unwrap().1.id();
    let tag = world.submit(CommandSpec::new(Target::Node(there), Access::Write, 0));
    world.feed(B, &format!("{read_only}\r\n"));
    assert_eq!(world.take_out(), [reply(tag, read_only)]);
    // One for any primary is tried again.
    commands(&mut world, A);
    let tag = world.submit(CommandSpec::new(Target::AnyPrimary, Access::Write, 0));
    world.feed(A, &format!("{read_only}\r\n"));
    assert_eq!(world.take_out(), []);
    assert_eq!(commands(&mut world, A), [cmd(tag)]);
    world.wait(Duration::from_millis(200));
    assert_eq!(commands(&mut world, A), [cmd(tag)]);
}

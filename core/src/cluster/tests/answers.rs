//! What the engine does with each error that servers answer, for a write of a slot: a row each.

use super::*;

const A: &str = "127.0.0.1:7001";

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// The error is its reply.
    Told,
    /// It goes to the other node, by the map from then on.
    Moved,
    /// It goes to the other node once, behind ASKING.
    Asked,
    /// It is sent again after a pause.
    Later,
    /// The same, on a new connection: the node closes this one.
    Anew,
}

/// An error, what becomes of its command, and whether the topology is asked for.
const ROWS: [(&str, Then, bool); 36] = [
    ("MOVED 5 127.0.0.1:7002", Then::Moved, true),
    ("MOVED 5 :7002", Then::Moved, true),
    ("MOVED 6 127.0.0.1:7002", Then::Told, false),
    ("MOVED 5 6.6.6.6:6", Then::Later, true),
    ("MOVED 5 127.0.0.1:0", Then::Told, true),
    ("ASK 5 127.0.0.1:7002", Then::Asked, false),
    ("ASK 5 6.6.6.6:6", Then::Later, true),
    ("TRYAGAIN Multiple keys request during rehashing of slot", Then::Later, false),
    ("TRYAGAIN Slot is being trimmed", Then::Later, false),
    ("CLUSTERDOWN The cluster is down", Then::Later, true),
    ("CLUSTERDOWN The cluster is down and only accepts read commands", Then::Later, true),
    ("CLUSTERDOWN Hash slot not served", Then::Later, true),
    ("CROSSSLOT Keys in request don't hash to the same slot", Then::Told, false),
    ("READONLY You can't write against a read only replica.", Then::Later, true),
    ("READONLY You can't write against a read only replica. script: abc, on @user_script:1.", Then::Told, true),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Then::Later, true),
    ("LOADING Redis is loading the dataset in memory", Then::Later, false),
    ("BUSY Redis is busy running a script.", Then::Later, false),
    ("NOREPLICAS Not enough good replicas to write.", Then::Told, false),
    ("OOM command not allowed when used memory > 'maxmemory'.", Then::Told, false),
    ("MISCONF Errors writing to the AOF file: No space left on device", Then::Told, false),
    ("UNBLOCKED client unblocked via CLIENT UNBLOCK", Then::Told, false),
    ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)", Then::Anew, true),
    ("UNBLOCKED force unblock from blocking operation, instance state changed (master -> slave?)", Then::Anew, true),
    ("EXECABORT Transaction discarded because of previous errors.", Then::Told, false),
    ("EXECABORT Transaction discarded because of: OOM command not allowed", Then::Told, false),
    ("NOSCRIPT No matching script.", Then::Told, false),
    ("NOAUTH Authentication required.", Then::Told, false),
    ("WRONGPASS invalid username-password pair or user is disabled.", Then::Told, false),
    ("NOPERM User default has no permissions to run the 'set' command", Then::Told, false),
    ("NOGROUP No such key 'k' or consumer group 'g'", Then::Told, false),
    ("WRONGTYPE Operation against a key holding the wrong kind of value", Then::Told, false),
    ("BUSYGROUP Consumer Group name already exists", Then::Told, false),
    ("BUSYKEY Target key name already exists.", Then::Told, false),
    ("IOERR error or timeout writing to target instance", Then::Told, false),
    ("ERR unknown command 'nosuch'", Then::Told, false),
];

/// A ready world whose next topology question can go out at once.
fn world() -> World {
    let mut world = World::ready_with(|config| config.refresh.idle = None);
    for sent in world.sent.values_mut() {
        sent.clear();
    }
    world
}

fn asked_for_topology(world: &World) -> bool {
    world.sent.values().flatten().any(|line| line == "CLUSTER SLOTS" || line == "CLUSTER NODES")
}

#[test]
fn errors_are_dealt_with_row_by_row() {
    for (line, then, refresh) in ROWS {
        let mut world = world();
        let tag = world.set(5);
        let (a, b) = (world.at(A), world.at("127.0.0.1:7002"));
        world.sent.get_mut(&a).unwrap().clear();
        world.feed(A, &format!("-{line}\r\n"));
        let told = world.take_out();
        assert_eq!(told == [reply(tag, &format!("-{line}"))], then == Then::Told, "{line}: {told:?}");
        assert!(told.is_empty() || then == Then::Told, "{line}: {told:?}");
        let name = format!("cmd{tag}");
        assert_eq!(world.sent[&b].contains(&name), then == Then::Moved, "{line}: {:?}", world.sent);
        assert_eq!(world.sent[&b].contains(&format!("ASKING+{name}")), then == Then::Asked, "{line}");
        assert!(!world.sent[&a].contains(&name), "{line}: sent again without a pause");
        assert_eq!(world.is_connected(A), then != Then::Anew, "{line}: {:?}", world.closed);
        world.wait(Duration::from_millis(100));
        if then == Then::Anew {
            world.wait(Duration::from_secs(1));
            world.join(A);
        }
        assert_eq!(
            world.sent[&a].contains(&name),
            matches!(then, Then::Later | Then::Anew),
            "{line}: {:?}",
            world.sent
        );
        assert_eq!(asked_for_topology(&world), refresh, "{line}: {:?}", world.sent);
    }
}

/// A script can say all of this by itself: nothing but a redirect that the map confirms sends it again.
#[test]
fn a_scripts_errors_are_its_reply() {
    for (line, then, _) in ROWS {
        if matches!(then, Then::Moved) || line.starts_with("MOVED 5 6.") {
            continue;
        }
        let mut world = world();
        let tag = world.submit(CommandSpec { script_like: true, ..World::spec(5, Access::Write) });
        world.feed(A, &format!("-{line}\r\n"));
        assert_eq!(world.take_out(), [reply(tag, &format!("-{line}"))], "{line}");
    }
}

/// A watched key whose slot left before EXEC, and one that changed: EXEC answers null, which is the group's reply.
#[test]
fn a_transaction_that_was_given_up_answers_null() {
    for null in ["*-1", "_"] {
        let mut world = world();
        let tag = world.submit(CommandSpec { replies: 3, ..World::spec(5, Access::Write) });
        world.feed(A, &format!("+OK\r\n+QUEUED\r\n{null}\r\n"));
        assert_eq!(world.take_out(), [reply(tag, null)]);
    }
}

/// A demoted primary ends a blocking command and the connection behind it: the command starts anew elsewhere.
#[test]
fn a_blocking_command_survives_the_demotion_of_its_node() {
    let mut world = world();
    let tag = world.submit(CommandSpec { blocking: true, ..World::spec(5, Access::Write) });
    world.join(A);
    world.feed(A, "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n");
    assert_eq!(world.closed, [CloseReason::Retired]);
    assert_eq!(world.take_out(), []);
    world.wait(Duration::from_secs(3));
    world.join(A);
    let sent = world.sent[&world.at(A)].clone();
    assert!(sent.contains(&format!("cmd{tag}")), "{sent:?}");
}

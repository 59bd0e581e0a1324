//! MULTI ... EXEC as one group: what is answered while queueing and at EXEC, a row each, and what ends a command early.

use super::*;
use crate::command::RetryPermission;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

const ABORT: &str = "-EXECABORT Transaction discarded because of previous errors.";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

/// MULTI, one command, EXEC.
fn group(world: &mut World) -> u64 {
    world.submit(CommandSpec { replies: 3, ..World::spec(5, Access::Write) })
}

/// Where the whole group goes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    /// To its caller: the errors that were handed out, and the end.
    Told(usize),
    /// To the other node, at once.
    Moved,
    /// To the other node, at once, with ASKING in front of MULTI.
    Asked,
    /// To the same node, after a pause.
    Later,
}

#[test]
fn a_group_runs_again_as_a_whole_or_not_at_all() {
    let queued = [
        ("-MOVED 5 127.0.0.1:7002", Then::Moved),
        ("-ASK 5 127.0.0.1:7002", Then::Asked),
        ("-MOVED 5 6.6.6.6:6", Then::Later),
        ("-TRYAGAIN Multiple keys request during rehashing of slot", Then::Later),
        ("-CLUSTERDOWN Hash slot not served", Then::Later),
        ("-READONLY You can't write against a read only replica.", Then::Later),
        ("-LOADING Redis is loading the dataset in memory", Then::Later),
        ("-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", Then::Later),
        ("-NOREPLICAS Not enough good replicas to write.", Then::Told(2)),
        ("-OOM command not allowed when used memory > 'maxmemory'.", Then::Told(2)),
        ("-ERR unknown command 'nosuch'", Then::Told(2)),
        ("-MOVED 6 127.0.0.1:7002", Then::Told(2)),
    ];
    // Refused while queueing: EXEC says that it gave up.
    let mut rows: Vec<(String, Then)> =
        queued.iter().map(|(line, then)| (format!("+OK\r\n{line}\r\n{ABORT}\r\n"), *then)).collect();
    // Refused at EXEC: nothing was said before.
    rows.extend(queued.iter().map(|(line, then)| {
        let then = if let Then::Told(_) = then { Then::Told(1) } else { *then };
        (format!("+OK\r\n+QUEUED\r\n{line}\r\n"), then)
    }));
    // MULTI itself is refused, and what was to be queued ran alone or not: EXEC without MULTI shows it.
    rows.push(("+OK\r\n+QUEUED\r\n*1\r\n-MOVED 5 127.0.0.1:7002\r\n".into(), Then::Told(1)));
    rows.push(("+OK\r\n+QUEUED\r\n*-1\r\n".into(), Then::Told(1)));
    for (answers, then) in rows {
        let mut world = World::quiet();
        let tag = group(&mut world);
        world.expect(A, &[&cmd(tag)]);
        world.sent.values_mut().for_each(Vec::clear);
        world.feed(A, &answers);
        let told = world.take_out().len();
        assert_eq!(told, if let Then::Told(told) = then { told } else { 0 }, "{answers:?}");
        let sent = |world: &World, at: &str, line: &str| world.sent[&world.at(at)].iter().any(|sent| sent == line);
        assert_eq!(sent(&world, B, &cmd(tag)), then == Then::Moved, "{answers:?}");
        assert_eq!(sent(&world, B, &format!("ASKING+{}", cmd(tag))), then == Then::Asked, "{answers:?}");
        assert!(!sent(&world, A, &cmd(tag)), "{answers:?}: without a pause");
        world.wait(Duration::from_millis(100));
        assert_eq!(sent(&world, A, &cmd(tag)), then == Then::Later, "{answers:?}");
        if let Then::Told(_) = then {
            assert_eq!(world.cluster.commands_live(), 0, "{answers:?}");
        }
    }
}

#[test]
fn a_groups_redirects_are_handed_out_when_not_followed() {
    for answers in ["+OK\r\n-MOVED 5 127.0.0.1:7002\r\n", "+OK\r\n-ASK 5 127.0.0.1:7002\r\n"] {
        let mut world = World::quiet_with(|config| config.follow_redirects = false);
        let tag = group(&mut world);
        world.feed(A, answers);
        world.feed(A, &format!("{ABORT}\r\n"));
        let line = answers.split("\r\n").nth(1).unwrap();
        assert_eq!(world.take_out(), [reply(tag, line), reply(tag, ABORT)]);
        assert_eq!(world.cluster.commands_live(), 0);
    }
}

/// Every redirect and every pause counts against the one deadline.
#[test]
fn one_deadline_covers_all_that_is_tried() {
    let refusals = [
        ("TRYAGAIN Multiple keys request during rehashing of slot", Outcome::Rejected),
        ("CLUSTERDOWN Hash slot not served", Outcome::Rejected),
        ("LOADING Redis is loading the dataset in memory", Outcome::Rejected),
        ("MOVED 5 6.6.6.6:6", Outcome::Rejected),
    ];
    for (line, outcome) in refusals {
        let mut world = World::quiet_with(|config| config.max_attempts = u8::MAX);
        let start = world.now;
        let spec = CommandSpec { timeout: Some(Duration::from_secs(1)), ..World::spec(5, Access::Write) };
        let tag = world.submit(spec);
        let mut sends = 0;
        for _ in 0..400 {
            let at = world.at(A);
            let sent = world.sent.insert(at, Vec::new()).unwrap_or_default();
            if sent.contains(&"CLUSTER MYID".to_string()) {
                world.feed(A, &format!("$40\r\n{}\r\n", "a".repeat(40)));
            }
            if sent.contains(&cmd(tag)) {
                sends += 1;
                world.feed(A, &format!("-{line}\r\n"));
            }
            world.wait(Duration::from_millis(5));
            if !world.out.is_empty() {
                break;
            }
        }
        let [Out::Failed(ended, failure)] = world.take_out()[..] else { panic!("{line}: no end") };
        assert_eq!((ended, failure.outcome, failure.reason), (tag, outcome, Reason::TimedOut), "{line}");
        let took = world.now.since(start);
        assert!(took >= Duration::from_secs(1) && took < Duration::from_millis(1_010), "{line}: {took:?}");
        assert!((2..40).contains(&sends), "{line}: {sends} times");
        assert_eq!(world.cluster.commands_live(), 0, "{line}");
    }
}

fn failure(world: &mut World) -> (u64, Outcome, Reason) {
    let [Out::Failed(tag, failure)] = world.take_out()[..] else { panic!("no end") };
    (tag, failure.outcome, failure.reason)
}

/// Cancelled at each stage: what is known of it is told, at once and once.
#[test]
fn a_command_can_be_given_up_at_every_stage() {
    let give_up = |world: &mut World, tag: u64| {
        let id = world.ids[&tag];
        let stage = world.cluster.cancel(world.now, id);
        assert_eq!(world.cluster.cancel(world.now, id), CancelStage::Unknown, "twice");
        world.pump();
        stage
    };
    let cancelled = |world: &mut World, tag, outcome| {
        assert_eq!(failure(world), (tag, outcome, Reason::Cancelled));
    };

    // Before there is a map.
    let mut world = World::new(|_| {});
    let tag = world.set(5);
    assert_eq!(give_up(&mut world, tag), CancelStage::NotSent);
    cancelled(&mut world, tag, Outcome::NotSent);
    assert_eq!(world.cluster.commands_live(), 0);

    // In the queue, behind a full window.
    let mut world = World::quiet_with(|config| config.window = 1);
    let (first, tag) = (world.set(5), world.set(5));
    assert_eq!(give_up(&mut world, tag), CancelStage::NotSent);
    cancelled(&mut world, tag, Outcome::NotSent);

    // Held back for the first one, whose slot moved; then waiting to try again.
    let held = world.set(5);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(give_up(&mut world, held), CancelStage::NotSent);
    cancelled(&mut world, held, Outcome::NotSent);
    world.feed(B, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert_eq!(give_up(&mut world, first), CancelStage::NotSent);
    cancelled(&mut world, first, Outcome::Rejected);
    assert_eq!(world.cluster.commands_live(), 0);

    // Written: its reply is eaten, a redirect too.
    for late in ["+late\r\n", "-MOVED 5 127.0.0.1:7002\r\n", "-TRYAGAIN later\r\n"] {
        let mut world = World::quiet();
        let (tag, next) = (world.set(5), world.set(5));
        assert_eq!(give_up(&mut world, tag), CancelStage::InFlight);
        cancelled(&mut world, tag, Outcome::MaybeExecuted);
        world.feed(A, &format!("{late}+next\r\n"));
        assert_eq!(world.take_out(), [reply(next, "+next")], "{late}");
        assert_eq!(world.cluster.commands_live(), 0, "{late}");
    }

    // Part of its reply was read.
    let mut world = World::quiet();
    let tag = world.submit(World::spec(5, Access::Read).with_streamed(true));
    world.feed(A, "*2\r\n:1\r\n");
    assert_eq!(world.take_out().len(), 2);
    assert_eq!(give_up(&mut world, tag), CancelStage::InFlight);
    cancelled(&mut world, tag, Outcome::ReplyLost);
    let next = world.set(5);
    world.feed(A, ":2\r\n+next\r\n");
    assert_eq!(world.take_out(), [reply(next, "+next")]);

    // Sent twice already: it may have run the first time.
    let mut world = World::quiet();
    let tag = world.submit(World::spec(5, Access::Write).with_retry(RetryPermission::Always));
    world.lose(A);
    assert_eq!(give_up(&mut world, tag), CancelStage::NotSent);
    cancelled(&mut world, tag, Outcome::MaybeExecuted);
}

use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

fn outcomes(out: &[Out]) -> Vec<(u64, Outcome, Reason)> {
    out.iter()
        .filter_map(|out| match out {
            Out::Failed(tag, failure) => Some((*tag, failure.outcome, failure.reason)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_lost_connection_fails_writes_and_repeats_reads() {
    let mut world = World::ready();
    let write = world.set(5);
    let read = world.get(5);
    world.lose(A);
    assert_eq!(outcomes(&world.take_out()), [(write, Outcome::MaybeExecuted, Reason::ConnectionLost)]);
    world.wait(Duration::from_secs(1));
    world.join(A);
    let sent = world.sent[&world.at(A)].clone();
    assert!(sent.contains(&cmd(read)) && !sent.contains(&cmd(write)), "{sent:?}");
}

#[test]
fn what_was_not_written_is_sent_again() {
    let mut world = World::ready();
    let conn = world.conns[&world.at(A)].0;
    let spec = CommandSpec { tag: 900, len: 10, ..World::spec(5, Access::Write) };
    world.commands.insert(900, ("cmd900".to_string(), spec));
    world.cluster.submit(world.now, spec).unwrap();
    // The adapter takes it, and the transport takes nothing of it.
    let transmit = World::env(None, |env| world.cluster.poll_transmit(world.now, conn, env));
    assert!(matches!(transmit, Some(Transmit::Command { tag: 900, .. })));
    world.lose(A);
    assert_eq!(outcomes(&world.take_out()), []);
    world.wait(Duration::from_secs(1));
    world.join(A);
    assert!(world.sent[&world.at(A)].contains(&"cmd900".to_string()));
}

#[test]
fn one_byte_written_is_enough_to_be_unsure() {
    let mut world = World::ready();
    let conn = world.conns[&world.at(A)].0;
    let spec = CommandSpec { tag: 900, len: 10, ..World::spec(5, Access::Write) };
    world.cluster.submit(world.now, spec).unwrap();
    let _ = World::env(None, |env| world.cluster.poll_transmit(world.now, conn, env));
    world.cluster.handle_written(world.now, conn, 1);
    world.lose(A);
    assert_eq!(outcomes(&world.take_out()), [(900, Outcome::MaybeExecuted, Reason::ConnectionLost)]);
}

#[test]
fn permission_to_repeat_is_the_callers() {
    let mut world = World::ready();
    let spec = World::spec(5, Access::Write).with_retry(crate::command::RetryPermission::Always);
    let tag = world.submit(spec);
    world.lose(A);
    assert_eq!(outcomes(&world.take_out()), []);
    world.wait(Duration::from_secs(1));
    world.join(A);
    assert!(world.sent[&world.at(A)].contains(&cmd(tag)));
}

#[test]
fn dials_of_a_dead_node_are_spaced_out() {
    let mut world = World::quiet();
    world.lose(A);
    world.get(5);
    let start = world.dials.len();
    for _ in 0..400 {
        world.wait(Duration::from_millis(50));
        while world.is_connected(A) {
            let conn = world.conns.remove(&world.at(A)).unwrap().0;
            world.cluster.handle_connect_failed(world.now, conn);
            world.pump();
        }
    }
    let dials = world.dials[start..].iter().filter(|addr| *addr == A).count();
    assert!((2..40).contains(&dials), "{dials} dials in 20 s");
}

#[test]
fn a_deadline_ends_a_command_wherever_it_is() {
    let mut world = World::ready_with(|config| config.timeouts.response = Duration::from_secs(100));
    let flying = world.set(5);
    world.wait(Duration::from_secs(16));
    assert_eq!(outcomes(&world.take_out()), [(flying, Outcome::MaybeExecuted, Reason::TimedOut)]);
    // Its late reply is eaten; the next command gets its own.
    let next = world.set(5);
    world.feed(A, "+late\r\n+next\r\n");
    assert_eq!(world.take_out(), [reply(next, "+next")]);

    world.lose(B);
    let queued = world.set(9_000);
    world.wait(Duration::from_secs(16));
    assert_eq!(outcomes(&world.take_out()), [(queued, Outcome::NotSent, Reason::TimedOut)]);
}

#[test]
fn a_silent_connection_is_probed_and_closed() {
    let mut world = World::ready();
    let tag = world.set(5);
    world.expect(A, &[&cmd(tag)]);
    world.wait(Duration::from_millis(5_100));
    world.expect(A, &["PING"]);
    assert_eq!(world.closed, []);
    world.wait(Duration::from_millis(2_100));
    assert_eq!(world.closed, [CloseReason::Silent]);
    assert_eq!(outcomes(&world.take_out()), [(tag, Outcome::MaybeExecuted, Reason::ConnectionLost)]);
}

#[test]
fn a_handshake_that_does_not_end_is_given_up() {
    let mut world = World::new(|_| {});
    world.get(5);
    let conn = world.conns[&world.at(A)].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    world.wait(Duration::from_secs(6));
    assert_eq!(world.closed.first(), Some(&CloseReason::Handshake));
    assert!(world.dials.len() > 1, "the next seed is tried: {:?}", world.dials);
    assert_eq!(world.dials[1], "127.0.0.1:7009");
}

#[test]
fn a_refused_topology_reply_keeps_the_map() {
    let mut world = World::quiet_with(|config| config.refresh.burst = 2);
    let version = world.cluster.map().version();
    world.cluster.refresh(world.now);
    world.wait(Duration::from_millis(1));
    let asked: Vec<usize> = world
        .sent
        .iter()
        .filter(|(_, lines)| lines.contains(&"CLUSTER SLOTS".to_string()))
        .map(|(at, _)| *at)
        .collect();
    assert_eq!(asked.len(), 1, "{:?}", world.sent);
    let addr = world.conns[&asked[0]].1.clone();
    world.feed(&addr, "*0\r\n");
    assert_eq!(world.cluster.map().version(), version);
    assert_eq!(world.cluster.map().node_count(), 2);
}

#[test]
fn shutdown_answers_everybody() {
    let mut world = World::ready();
    let flying = world.set(5);
    world.lose(B);
    let queued = world.set(9_000);
    world.cluster.shutdown(world.now);
    world.pump();
    assert_eq!(outcomes(&world.take_out()), [(queued, Outcome::NotSent, Reason::ShuttingDown)]);
    world.feed(A, "+OK\r\n");
    assert_eq!(world.take_out(), [reply(flying, "+OK")]);
    world.wait(Duration::from_millis(1));
    assert!(world.cluster.is_drained());
    let spec = CommandSpec { len: 10, ..World::spec(5, Access::Read) };
    assert_eq!(world.cluster.submit(world.now, spec), Err(SubmitError::ShuttingDown));
}

#[test]
fn a_node_that_cannot_be_reached_is_asked_about() {
    let mut world = World::ready();
    world.lose(A);
    let waiting = world.set(5);
    // The others still believe in the dead node for a while; the question is asked again at each failed dial.
    let mut asked = 0;
    for _ in 0..100 {
        world.wait(Duration::from_millis(100));
        while world.is_connected(A) {
            let conn = world.conns.remove(&world.at(A)).unwrap().0;
            world.cluster.handle_connect_failed(world.now, conn);
            world.pump();
        }
        let at = world.at(B);
        if core::mem::take(world.sent.get_mut(&at).unwrap()).contains(&"CLUSTER SLOTS".to_string()) {
            asked += 1;
            if asked < 4 {
                world.feed(B, SLOTS);
            } else {
                world.feed(B, &SLOTS.replace(":7001", ":7002").replace('a', "b"));
                break;
            }
        }
    }
    assert_eq!(asked, 4);
    world.wait(Duration::from_millis(100));
    assert!(world.sent[&world.at(B)].contains(&cmd(waiting)), "{:?}", world.sent);
}

#[test]
fn a_node_that_greets_and_closes_is_dialled_ever_more_seldom() {
    const ID: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let map = format!("*1\r\n*3\r\n:0\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\n{ID}\r\n*0\r\n");
    let mut world = World::new(|_| {});
    world.cluster.connect(world.now);
    world.pump();
    let end = world.now + Duration::from_secs(10);
    while world.now < end {
        if world.cluster.commands_live() < 8 {
            world.set(5);
        }
        // Whether it was dialled as itself or as a seed, it says who it is and what it has, and is gone.
        while let Some(addr) = world.conns.values().next().map(|(_, addr)| addr.clone()) {
            world.join(&addr);
            for (question, answer) in [("CLUSTER MYID", &format!("${}\r\n{ID}\r\n", ID.len())), ("CLUSTER SLOTS", &map)]
            {
                let asked = world.sent[&world.at(&addr)].contains(&question.to_string());
                if asked {
                    world.feed(&addr, answer);
                }
            }
            world.lose(&addr);
        }
        world.wait(Duration::from_millis(5));
    }
    // Nine delays of up to 50 ms, 100 ms and so on, and the rounds of questions, which have a rate of their own.
    assert!(world.dials.len() < 30, "{} dials", world.dials.len());
}

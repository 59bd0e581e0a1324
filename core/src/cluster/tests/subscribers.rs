use super::*;

const A: &str = "127.0.0.1:7001";

fn subscribe(world: &mut World) -> u64 {
    let spec = CommandSpec { subscribe: true, ..World::spec(5, Access::Write) };
    world.submit(spec)
}

/// A world with a subscriber connection to A, all of whose requests are done.
fn subscribed() -> World {
    let mut world = World::quiet_with(|config| config.refresh.idle = None);
    let tag = subscribe(&mut world);
    world.join(A);
    world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
    world.feed(A, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n$8\r\n{nonce}\r\n");
    assert_eq!(world.take_out().len(), 2);
    world
}

#[test]
fn resp2_answers_the_fence_with_an_array() {
    let mut world = World::quiet();
    let tag = subscribe(&mut world);
    let conn = world.conns[&world.at(A)].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    // The fallback asks for a PING of its own before it is ready.
    world.feed(A, "-NOPROTO unsupported protocol version\r\n");
    world.feed(A, "$8\r\n{nonce}\r\n");
    let confirmation = "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n";
    world.feed(A, confirmation);
    world.feed(A, "*2\r\n$4\r\npong\r\n$8\r\n{nonce}\r\n");
    assert_eq!(world.take_out(), [Out::Push(confirmation.trim_end().to_string()), Out::Confirmed(tag)]);
    assert_eq!(world.cluster.commands_live(), 0);
    // The next one is matched to its own fence.
    let next = subscribe(&mut world);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n*2\r\n$4\r\npong\r\n$8\r\n{nonce}\r\n");
    world.join("127.0.0.1:7002");
    world.expect("127.0.0.1:7002", &[&std::format!("cmd{next}"), "PING"]);
}

#[test]
fn an_error_of_the_fence_is_not_the_subscribe_commands() {
    let mut world = subscribed();
    let tag = subscribe(&mut world);
    world.feed(A, ">3\r\n$10\r\nssubscribe\r\n$1\r\nd\r\n:2\r\n");
    world.feed(A, "-BUSY Redis is busy running a script.\r\n");
    assert_eq!(world.take_out()[1..], [Out::Confirmed(tag)]);
    // Refused, it is sent again; the fence is refused too.
    let tag = subscribe(&mut world);
    world.sent.clear();
    world.feed(A, "-BUSY Redis is busy running a script.\r\n-BUSY Redis is busy running a script.\r\n");
    assert_eq!(world.take_out(), []);
    world.wait(Duration::from_secs(1));
    world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
}

#[test]
fn a_subscribe_command_whose_confirmation_was_seen_did_run() {
    let mut world = subscribed();
    let tag = subscribe(&mut world);
    world.feed(A, ">3\r\n$10\r\nssubscribe\r\n$1\r\nd\r\n:2\r\n");
    world.take_out();
    world.lose(A);
    let out = world.take_out();
    assert!(
        matches!(out[..], [Out::Failed(id, failure)] if id == tag && failure.outcome == Outcome::ReplyLost),
        "{out:?}"
    );
}

#[test]
fn an_unsubscribe_is_answered_on_its_own_connection() {
    let mut world = subscribed();
    let tag = subscribe(&mut world);
    world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
    world.feed(A, ">3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n");
    world.feed(A, "$8\r\n{nonce}\r\n");
    let out = world.take_out();
    assert_eq!(out[1..], [Out::Confirmed(tag)]);
}

#[test]
fn a_silent_subscriber_is_asked_and_given_up() {
    let mut world = subscribed();
    world.wait(Duration::from_millis(10_002));
    world.expect(A, &["PING"]);
    world.wait(Duration::from_secs(1));
    world.feed(A, "$8\r\n{nonce}\r\n");
    let [asked] = world.alive[..] else { panic!("proof of the moment when it was asked: {:?}", world.alive) };
    let right = Instant::from_micros(10_999_000)..Instant::from_micros(11_002_000);
    assert!(right.contains(&asked), "{asked:?}");
    world.wait(Duration::from_millis(12_010));
    assert_eq!(world.closed, [CloseReason::Silent]);
    assert_eq!(world.alive.len(), 1);
}

#[test]
fn a_node_that_cannot_be_reached_is_not_dialled_in_a_loop() {
    for blocking in [false, true] {
        let mut world = World::quiet();
        world.dials.clear();
        world.submit(CommandSpec { blocking, subscribe: !blocking, ..World::spec(5, Access::Write) });
        for _ in 0..100 {
            if world.dials.len() > 50 {
                break;
            }
            // The third connection, beside the shared ones, is refused as often as it is dialled.
            if world.conns.len() == 3 {
                let (_, (conn, _)) = world.conns.pop_last().unwrap();
                world.cluster.handle_connect_failed(world.now, conn);
                world.pump();
            }
            world.wait(Duration::from_millis(20));
        }
        assert!((2..20).contains(&world.dials.len()), "{} dials in two seconds", world.dials.len());
    }
}

/// The buffer is full, but only until its first replies are taken out: the one cut at its end is not too large.
#[test]
fn a_reply_is_too_large_only_for_an_empty_buffer() {
    let mut world = World::quiet();
    let spec = CommandSpec { subscribe: true, ..World::spec(5, Access::Write) }.with_streamed(true);
    let tags = [world.submit(spec), world.submit(spec)];
    let conn = world.conns[&world.at(A)].0;
    world.cluster.handle_connected(world.now, conn);
    world.pump();
    world.feed(A, "-NOPROTO unsupported protocol version\r\n");
    world.feed(A, "$8\r\n{nonce}\r\n");
    world.can_grow = false;
    let confirmation = "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n";
    let (fence, half) = ("*2\r\n$4\r\npong\r\n$8\r\n{nonce}\r\n", confirmation.len() / 2);
    world.feed_cut(
        A,
        &format!("{confirmation}{fence}{}", &confirmation[..half]),
        &format!("{}{fence}", &confirmation[half..]),
    );
    let push = || Out::Push(confirmation.trim_end().to_string());
    assert_eq!(world.take_out(), [push(), Out::Confirmed(tags[0]), push(), Out::Confirmed(tags[1])]);
    assert!(world.closed.is_empty(), "{:?}", world.closed);
}

/// The answer of the fence and the end of the connection come in one go: what was confirmed is named by the connection
/// that it was confirmed on, not by the next one in its place.
#[test]
fn a_confirmation_names_the_connection_it_came_on() {
    let mut world = World::quiet_with(|config| config.refresh.idle = None);
    let tag = subscribe(&mut world);
    world.join(A);
    let at = world.at(A);
    let (conn, _) = world.conns[&at];
    let nonce = world.nonces[&at][0];
    let answer = format!(">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n$8\r\n{nonce:08x}\r\n");
    let mut rx = answer.as_bytes();
    while !rx.is_empty() {
        let (now, cluster) = (world.now, &mut world.cluster);
        let consumed =
            World::env(world.endpoints, |env| cluster.handle_input(now, conn, env, rx, true)).unwrap().consumed;
        rx = &rx[consumed..];
    }
    world.cluster.handle_disconnected(world.now, conn);
    let events: Vec<Event> = core::iter::from_fn(|| world.cluster.poll_event()).collect();
    let closed = events.iter().position(|event| matches!(event, Event::Closed { conn: its, .. } if *its == conn));
    let confirmed = events
        .iter()
        .position(|event| matches!(event, Event::Confirmed { tag: its, conn: on, .. } if *its == tag && *on == conn));
    assert!(closed.is_some() && confirmed.is_some(), "{events:?}");
}

/// What is sent to a node by its id is its caller's to redirect; but a connection that leads elsewhere would refuse it for
/// ever.
#[test]
fn a_node_that_sends_a_subscriber_to_itself_is_dialled_again() {
    let lines = [
        // A redirect to another node is no news of this one.
        ("-MOVED 5 127.0.0.1:7002", true),
        ("-MOVED 5 127.0.0.1:7001", false),
        // To nobody that is known: by the map it is its own slot, or not.
        ("-MOVED 5 ?:7001", false),
        ("-MOVED 5 6.6.6.6:6", false),
        ("-MOVED 9000 ?:7001", true),
    ];
    for (line, stays) in lines {
        let mut world = subscribed();
        let map = world.cluster.map();
        let id = map.find_addr("127.0.0.1", 7001).and_then(|at| map.node(at)).map(crate::topology::Node::id).unwrap();
        let spec = CommandSpec { subscribe: true, target: Target::Node(id), ..World::spec(5, Access::Write) };
        let at = world.at(A);
        let tag = world.submit(spec);
        world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
        world.feed(A, &std::format!("{line}\r\n$8\r\n{{nonce}}\r\n"));
        assert_eq!(world.take_out(), [reply(tag, line)]);
        assert_eq!(world.conns.contains_key(&at), stays, "{line}");
        if stays {
            continue;
        }
        let dials = world.dials.len();
        let tag = world.submit(spec);
        world.wait(Duration::from_secs(3));
        assert_eq!(world.dials[dials..], [A]);
        world.join(A);
        world.expect(A, &[&std::format!("cmd{tag}"), "PING"]);
    }
}

/// Its subscriptions are on one connection: one that is being dialled is waited for, though another one would be next by its
/// place in the table.
#[test]
fn a_node_has_one_connection_for_subscriptions() {
    let mut world = subscribed();
    let map = world.cluster.map();
    let id = map.find_addr("127.0.0.1", 7001).and_then(|at| map.node(at)).map(crate::topology::Node::id).unwrap();
    let spec = CommandSpec { subscribe: true, target: Target::Node(id), ..World::spec(5, Access::Write) };
    let (first, second, old) = (world.submit(spec), world.submit(spec), world.at(A));
    let dials = world.dials.len();
    // Told by the first answer that it leads elsewhere, the connection ends with the second one.
    let denial = "-MOVED 5 127.0.0.1:7001";
    world.feed(A, &std::format!("{denial}\r\n$8\r\n{{nonce}}\r\n"));
    let third = world.submit(spec);
    assert_eq!(world.dials[dials..], [A]);
    let nonce = world.nonces.get_mut(&old).unwrap().remove(0);
    let answer = std::format!("{denial}\r\n$8\r\n{nonce:08x}\r\n");
    world.rx.entry(old).or_default().extend_from_slice(answer.as_bytes());
    world.read(old);
    world.pump();
    assert_eq!(world.take_out(), [reply(first, denial), reply(second, denial)]);
    assert!(!world.conns.contains_key(&old) && world.at(A) > old);
    let fourth = world.submit(spec);
    world.join(A);
    world.expect(A, &[&std::format!("cmd{third}"), "PING", &std::format!("cmd{fourth}"), "PING"]);
    world.wait(Duration::from_secs(1));
    assert_eq!(world.dials.len(), dials + 1);
}

#[test]
fn a_node_that_denies_every_subscription_is_dialled_with_back_off() {
    for line in ["-MOVED 5 6.6.6.6:6", "-MOVED 5 127.0.0.1:7001"] {
        let mut world = subscribed();
        let map = world.cluster.map();
        let id = map.find_addr("127.0.0.1", 7001).and_then(|at| map.node(at)).map(crate::topology::Node::id).unwrap();
        let spec = CommandSpec { subscribe: true, target: Target::Node(id), ..World::spec(5, Access::Write) };
        let (mut dials, mut denied) = (0, 0);
        for _ in 0..200 {
            if world.cluster.commands_live() == 0 {
                world.submit(spec);
            }
            let new = world.conns.iter().filter(|(at, _)| {
                let state = world.cluster.storage().shared().conns[**at].state;
                matches!(state, ConnState::Dialing)
            });
            if new.count() > 0 {
                dials += 1;
                world.join(A);
            }
            if world.nonces.get(&world.at(A)).is_some_and(|nonces| !nonces.is_empty()) {
                denied += 1;
                world.feed(A, &std::format!("{line}\r\n$8\r\n{{nonce}}\r\n"));
                world.take_out();
            }
            world.wait(Duration::from_millis(10));
        }
        assert!((3..12).contains(&dials) && denied >= dials, "{line}: {dials} dials in 2 s, {denied} denials");
    }
}

//! The lives of connections and of the map: made when needed, given up when not, found again after everything was lost.

use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";
/// The second seed, of which no topology reply tells.
const OTHER_SEED: &str = "127.0.0.1:7009";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

/// Commands written to `addr` since the last look.
fn commands(world: &mut World, addr: &str) -> Vec<String> {
    let at = world.at(addr);
    let sent = core::mem::take(world.sent.entry(at).or_default());
    sent.into_iter().filter(|line| line.contains("cmd")).collect()
}

/// Answers every question about the topology that was put to `addr`.
fn answer(world: &mut World, addr: &str, map: &str) {
    let at = world.at(addr);
    while let Some(place) = world.sent[&at].iter().position(|line| line == "CLUSTER SLOTS") {
        world.sent.get_mut(&at).unwrap().remove(place);
        world.feed(addr, map);
    }
}

/// B lost its slots and was forgotten: a topology reply of A says so.
fn remove_b(world: &mut World) {
    world.cluster.refresh(world.now);
    // B may be asked first, and does not answer.
    for _ in 0..45 {
        world.wait(Duration::from_millis(100));
        answer(world, A, &all_at_a());
        if world.cluster.map().node_count() == 1 {
            return;
        }
    }
    panic!("{:?}", world.conns);
}

/// A answers all it was asked, in turn; it has all slots.
fn serve_a(world: &mut World) {
    let at = world.at(A);
    while let Some(line) = world.sent.get_mut(&at).filter(|sent| !sent.is_empty()).map(|sent| sent.remove(0)) {
        match line.as_str() {
            "CLUSTER SLOTS" => world.feed(A, &all_at_a()),
            _ => world.feed(A, "+OK\r\n"),
        }
    }
}

/// SLOTS with all slots at A.
fn all_at_a() -> String {
    let a = "*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*0\r\n";
    format!("*1\r\n*3\r\n:0\r\n:16383\r\n{a}")
}

// ---- lazy connections ----

#[test]
fn a_node_is_dialled_by_its_first_command() {
    let mut world = World::new(|_| {});
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    // Hours of commands for one node, with idle refreshes between them.
    let mut refreshes = 0;
    for _ in 0..200 {
        answer(&mut world, A, SLOTS);
        let tag = world.get(5);
        world.feed(A, "+x\r\n");
        assert_eq!(world.take_out(), [reply(tag, "+x")]);
        world.wait(Duration::from_secs(60));
        refreshes += 1;
    }
    assert!(world.cluster.refreshes() > refreshes / 2, "{} refreshes", world.cluster.refreshes());
    assert_eq!(world.dials, [A], "nobody needs the other node");
    let first = world.get(9_000);
    assert_eq!(world.dials, [A, B]);
    world.join(B);
    assert_eq!(commands(&mut world, B), [cmd(first)]);
}

// ---- retirement ----

#[test]
fn a_removed_nodes_replies_come_in_and_then_it_is_left_alone() {
    let mut world = World::ready_with(|config| config.window = 2);
    commands(&mut world, B);
    let tags = [world.set(9_000), world.set(9_000), world.set(9_000)];
    assert_eq!(commands(&mut world, B), [cmd(tags[0]), cmd(tags[1])]);
    // Its slots went to A, and it was forgotten.
    remove_b(&mut world);
    assert!(world.is_connected(B), "two replies are still to come");
    assert_eq!(world.closed, []);
    let dials = world.dials.len();
    // Whatever it still answers is delivered; a redirect is followed.
    world.feed(B, "+1\r\n");
    assert!(world.is_connected(B));
    world.feed(B, "-MOVED 9000 127.0.0.1:7001\r\n");
    assert!(!world.is_connected(B), "nothing is left to wait for");
    assert_eq!(world.closed, [CloseReason::Retired]);
    assert_eq!(world.take_out(), [reply(tags[0], "+1")]);
    assert_eq!(world.dials.len(), dials, "{:?}", world.dials);
    // What was not sent, and what was sent back, went to the new owner.
    serve_a(&mut world);
    let mut ended = world.take_out();
    ended.sort_by_key(|out| format!("{out:?}"));
    assert_eq!(ended, [reply(tags[1], "+OK"), reply(tags[2], "+OK")]);
    for _ in 0..100 {
        let tag = world.get(9_000);
        serve_a(&mut world);
        assert_eq!(world.take_out(), [reply(tag, "+OK")]);
        world.wait(Duration::from_secs(10));
    }
    assert_eq!(world.dials.len(), dials, "nobody dials it again: {:?}", world.dials);
}

#[test]
fn an_idle_connection_to_a_removed_node_closes_at_once() {
    let mut world = World::ready();
    let blocking = CommandSpec { blocking: true, ..World::spec(9_000, Access::Write) };
    world.submit(blocking);
    let dials = world.dials.len();
    remove_b(&mut world);
    // B was asked for the topology too, and need not answer any more.
    world.wait(Duration::from_millis(1));
    // The shared connection, and the lease that was being dialled: its command goes to the new owner.
    assert!(!world.is_connected(B), "{:?}", world.conns);
    assert!(world.closed.iter().all(|reason| *reason == CloseReason::Retired), "{:?}", world.closed);
    assert_eq!(world.dials[dials..], [A], "a lease at the new owner");
}

// ---- seeds ----

/// Every dial that was asked for fails; which they were.
fn fail_dials(world: &mut World) -> Vec<String> {
    let mut failed = Vec::new();
    while let Some((at, (conn, addr))) = world.conns.iter().next().map(|(at, known)| (*at, known.clone())) {
        world.conns.remove(&at);
        world.cluster.handle_connect_failed(world.now, conn);
        world.pump();
        failed.push(addr);
    }
    failed
}

/// A map of nodes that nobody has heard of before.
const STRANGERS: &str = "*1\r\n*3\r\n:0\r\n:16383\r\n\
    *4\r\n$9\r\n127.0.0.1\r\n:7055\r\n$40\r\ncccccccccccccccccccccccccccccccccccccccc\r\n*0\r\n";

/// Dials of seeds that are not there, for so long: when each was made, and to whom.
fn knock(world: &mut World, span: Duration) -> Vec<(Instant, String)> {
    let end = world.now + span;
    let mut knocks = Vec::new();
    while world.now < end {
        knocks.extend(fail_dials(world).into_iter().map(|addr| (world.now, addr)));
        world.wait(Duration::from_millis(50));
    }
    knocks
}

#[test]
fn when_every_node_is_gone_the_seeds_are_asked_for_ever() {
    let mut world = World::ready();
    world.lose(A);
    world.lose(B);
    knock(&mut world, Duration::from_secs(60));
    // Days later it still asks, each seed in turn, and no more often than the back-off's cap allows.
    for day in 0..3 {
        let span = Duration::from_secs(600);
        let knocks = knock(&mut world, span);
        let seeds: Vec<&str> = knocks.iter().map(|(_, addr)| addr.as_str()).filter(|addr| *addr != B).collect();
        for seed in [A, OTHER_SEED] {
            let count = seeds.iter().filter(|addr| **addr == seed).count();
            assert!((10..400).contains(&count), "day {day}: {count} dials of {seed} in 600 s");
        }
        let longest = knocks.windows(2).map(|pair| pair[1].0.since(pair[0].0)).max().unwrap();
        assert!(longest < Duration::from_secs(31), "day {day}: silent for {longest:?}");
        let end = world.now + Duration::from_secs(86_400);
        // The dials of the day after are not answered at all.
        while world.now < end {
            world.wait(Duration::from_secs(3_600));
            fail_dials(&mut world);
        }
    }
    // A command that comes now is told in time that nobody is there.
    let lost = world.set(5);
    knock(&mut world, Duration::from_secs(16));
    let out = world.take_out();
    assert!(matches!(out[..], [Out::Failed(tag, Failure { outcome: Outcome::NotSent, .. })] if tag == lost), "{out:?}");
    // The seed's name leads to nodes that nobody knows by now: commands are told in time, and before long one is served.
    let (start, stranger) = (world.now, NodeId::from_bytes([0xcc; 20]));
    while world.cluster.map().find(&stranger).is_none() {
        assert!(world.now.since(start) < Duration::from_secs(60), "{:?}", world.conns);
        for at in world.conns.keys().copied().collect::<Vec<_>>() {
            new_cluster(&mut world, at);
        }
        world.wait(Duration::from_millis(10));
    }
    let tag = world.set(5);
    assert_eq!(commands(&mut world, OTHER_SEED), [cmd(tag)], "the connection it was found by");
}

/// Behind the other seed is a node of another cluster, and nobody else is there.
fn new_cluster(world: &mut World, at: usize) {
    let Some((conn, addr)) = world.conns.get(&at).cloned() else { return };
    let dialled = world.cluster.storage().shared().conns[at].state == ConnState::Dialing;
    if dialled && addr != OTHER_SEED {
        world.conns.remove(&at);
        world.cluster.handle_connect_failed(world.now, conn);
        world.pump();
    } else if dialled {
        world.join(&addr);
    } else {
        let asked = world.sent.get_mut(&at).unwrap();
        if let Some(place) = asked.iter().position(|line| line == "CLUSTER MYID") {
            asked.remove(place);
            world.feed(&addr, "$40\r\ncccccccccccccccccccccccccccccccccccccccc\r\n");
        }
        answer(world, &addr, STRANGERS);
    }
}

/// The node at A's address is another cluster's now. While the client has a connection to B it wants to hear from there, too.
#[test]
fn one_address_of_another_cluster_leads_nobody_there() {
    let mut world = World::ready_with(|config| config.refresh.idle = Some(Duration::from_millis(500)));
    let stranger = NodeId::from_bytes([0xcc; 20]);
    let gone_over = |world: &mut World, of_b: &str| {
        for _ in 0..100 {
            world.wait(Duration::from_millis(100));
            for (addr, map) in [(A, STRANGERS), (B, of_b)] {
                if world.is_connected(addr) {
                    answer(world, addr, map);
                }
            }
            if world.cluster.map().find(&stranger).is_some() {
                return true;
            }
        }
        false
    };
    assert!(!gone_over(&mut world, "*0\r\n"), "by the word of one of two");
    assert!(gone_over(&mut world, STRANGERS), "both say so");
}

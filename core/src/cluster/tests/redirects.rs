use super::*;

const A: &str = "127.0.0.1:7001";
const B: &str = "127.0.0.1:7002";

fn cmd(tag: u64) -> String {
    format!("cmd{tag}")
}

#[test]
fn moved_changes_the_map_and_sends_again() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.expect(A, &[&cmd(tag)]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(world.take_out(), []);
    let sent = world.sent[&world.at(B)].clone();
    assert!(sent.contains(&cmd(tag)), "{sent:?}");
    world.sent.get_mut(&world.at(B)).unwrap().clear();
    let next = world.set(5);
    let sent = world.sent[&world.at(B)].clone();
    assert!(sent.contains(&cmd(next)), "the map was patched: {sent:?}");
}

#[test]
fn a_redirect_to_another_slot_is_the_callers_reply() {
    let mut world = World::ready();
    let tag = world.set(5);
    world.feed(A, "-MOVED 6 127.0.0.1:7002\r\n");
    assert_eq!(world.take_out(), [reply(tag, "-MOVED 6 127.0.0.1:7002")]);
}

#[test]
#[cfg(feature = "nodes-reply")]
fn an_unknown_node_is_confirmed_before_it_is_dialled() {
    let mut world = World::ready();
    world.set(5);
    world.feed(A, "-MOVED 5 6.6.6.6:6\r\n");
    world.wait(Duration::from_secs(2));
    assert!(!world.is_connected("6.6.6.6:6"));
    assert!(world.dials.iter().all(|addr| !addr.starts_with("6.")), "{:?}", world.dials);
    let asked = world.sent.values().flatten().any(|line| line == "CLUSTER NODES");
    assert!(asked, "{:?}", world.sent);
}

#[test]
fn ask_goes_with_asking_and_leaves_the_map() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.feed(A, "-ASK 5 127.0.0.1:7002\r\n");
    world.expect(B, &[&format!("ASKING+{}", cmd(tag))]);
    world.feed(B, "+OK\r\n:1\r\n");
    assert_eq!(world.take_out(), [reply(tag, ":1")]);
    let next = world.set(5);
    let sent = world.sent[&world.at(A)].clone();
    assert!(sent.contains(&cmd(next)));
}

#[test]
fn later_commands_of_a_moved_slot_wait_for_the_earlier_ones() {
    let mut world = World::quiet();
    let first = world.set(5);
    let second = world.set(5);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    // The second is still in flight at the old node, so the third must wait.
    let third = world.set(5);
    let other = world.set(9_000);
    let sent: Vec<String> = world.sent[&world.at(B)].iter().filter(|line| line.starts_with("cmd")).cloned().collect();
    assert_eq!(sent, [cmd(first), cmd(other)]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    let sent: Vec<String> = world.sent[&world.at(B)].iter().filter(|line| line.starts_with("cmd")).cloned().collect();
    assert_eq!(sent, [cmd(first), cmd(other), cmd(second), cmd(third)]);
}

#[test]
fn tryagain_is_tried_again_after_a_while() {
    let mut world = World::quiet();
    let tag = world.set(5);
    world.expect(A, &[&cmd(tag)]);
    world.feed(A, "-TRYAGAIN Multiple keys request during rehashing of slot\r\n");
    assert_eq!(world.take_out(), []);
    world.expect(A, &[]);
    world.wait(Duration::from_millis(200));
    world.expect(A, &[&cmd(tag)]);
    world.feed(A, "+OK\r\n");
    assert_eq!(world.take_out(), [reply(tag, "+OK")]);
}

#[test]
fn redirects_come_to_an_end() {
    let mut world = World::quiet_with(|config| config.max_hops = 3);
    let tag = world.set(5);
    for hop in 0..4 {
        let (from, to) = if hop % 2 == 0 { (A, "7002") } else { (B, "7001") };
        world.feed(from, &format!("-MOVED 5 127.0.0.1:{to}\r\n"));
    }
    assert_eq!(world.take_out(), [reply(tag, "-MOVED 5 127.0.0.1:7001")]);
}

#[test]
fn redirects_are_handed_out_when_not_followed() {
    let mut world = World::ready_with(|config| config.follow_redirects = false);
    let tag = world.set(5);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(world.take_out(), [reply(tag, "-MOVED 5 127.0.0.1:7002")]);
}

#[test]
fn a_scripts_moved_is_believed_only_with_the_maps_word() {
    // The map says the same as before: the redirect is the script's own invention.
    let mut world = World::ready();
    let spec = CommandSpec { script_like: true, ..World::spec(5, Access::Write) };
    let tag = world.submit(spec);
    world.wait(Duration::from_secs(1));
    world.expect(A, &[&cmd(tag)]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    assert_eq!(world.take_out(), [], "kept until the topology is known");
    assert!(world.sent[&world.at(B)].contains(&"CLUSTER SLOTS".to_string()), "{:?}", world.sent);
    world.feed(B, SLOTS);
    assert_eq!(world.take_out(), [reply(tag, "-MOVED 5 127.0.0.1:7002")]);
}

#[test]
fn a_scripts_moved_is_followed_when_the_map_agrees() {
    let mut world = World::ready();
    let spec = CommandSpec { script_like: true, ..World::spec(5, Access::Write) };
    world.wait(Duration::from_secs(1));
    let tag = world.submit(spec);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    world.sent.get_mut(&world.at(B)).unwrap().clear();
    world.feed(B, &SLOTS.replacen(":8191", ":4", 1).replacen(":8192", ":5", 1));
    assert_eq!(world.take_out(), []);
    let sent = world.sent[&world.at(B)].clone();
    assert_eq!(sent, [cmd(tag)]);
}

#[test]
fn a_group_moves_as_a_whole() {
    let mut world = World::quiet();
    let tag = world.submit(CommandSpec { replies: 3, ..World::spec(5, Access::Write) });
    world.expect(A, &[&cmd(tag)]);
    world.feed(A, "+OK\r\n-MOVED 5 127.0.0.1:7002\r\n-EXECABORT Transaction discarded because of previous errors.\r\n");
    assert_eq!(world.take_out(), []);
    assert!(world.sent[&world.at(B)].contains(&cmd(tag)));
    world.feed(B, "+OK\r\n+QUEUED\r\n*1\r\n:1\r\n");
    assert_eq!(world.take_out(), [reply(tag, "*1\r\n:1")]);
}

#[test]
fn a_refusal_of_a_streamed_command_is_followed_however_it_is_cut() {
    let mut world = World::quiet();
    let spec = World::spec(100, Access::Read).with_streamed(true);
    let tag = world.submit(spec);
    world.expect("127.0.0.1:7001", &[&format!("cmd{tag}")]);
    for piece in ["-", "MOVED 100 127.0", ".0.1:7002", "\r", "\n"] {
        world.feed("127.0.0.1:7001", piece);
        assert_eq!(world.take_out(), []);
    }
    world.expect("127.0.0.1:7002", &[&format!("cmd{tag}")]);
}

#[test]
fn a_failover_holds_every_slot_of_the_shard() {
    let mut world = World::new(|config| {
        config.window = 1;
        config.refresh.burst = 1;
        config.refresh.interval = Duration::from_secs(3_600);
    });
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    let replica = "*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n*0\r\n";
    let primary = "*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*0\r\n";
    world.feed(A, &format!("*1\r\n*4\r\n:0\r\n:16383\r\n{primary}{replica}"));
    world.sent.clear();
    // One in flight, and one of another slot behind it.
    let (refused, queued) = (world.set(5), world.set(6));
    world.expect(A, &[&cmd(refused)]);
    world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
    let later = world.set(6);
    world.join(B);
    for tag in [refused, queued, later] {
        world.expect(B, &[&cmd(tag)]);
        world.feed(B, "+OK\r\n");
    }
    let resent: Vec<_> = world.take_out();
    assert_eq!(resent, [reply(refused, "+OK"), reply(queued, "+OK"), reply(later, "+OK")]);
}

#[test]
fn a_read_that_a_replica_sends_to_its_primary_goes_there() {
    let mut world = World::new(|config| config.read_from = ReadFrom::PreferReplica);
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    let replica = "*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n*0\r\n";
    let primary = "*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*0\r\n";
    world.feed(A, &format!("*1\r\n*4\r\n:0\r\n:16383\r\n{primary}{replica}"));
    world.sent.clear();
    let tag = world.get(5);
    world.join(B);
    world.expect(B, &["READONLY"]);
    world.feed(B, "+OK\r\n");
    world.expect(B, &[&cmd(tag)]);
    world.feed(B, "-MOVED 5 127.0.0.1:7001\r\n");
    assert!(world.sent[&world.at(A)].contains(&cmd(tag)), "{:?}", world.sent);
    world.sent.clear();
    // The next one goes to the replica again.
    let next = world.get(5);
    world.expect(B, &[&cmd(next)]);
}

/// Presents bytes to the connection of `addr`, and says of each reply whether it tells of a detour.
fn detours(world: &mut World, addr: &str, bytes: &str) -> Vec<bool> {
    let conn = world.conns[&world.at(addr)].0;
    let now = world.now;
    let mut rest = bytes.as_bytes();
    let mut told = Vec::new();
    while !rest.is_empty() {
        let cluster = &mut world.cluster;
        let progress = World::env(None, |env| cluster.handle_input(now, conn, env, rest, true)).unwrap();
        rest = &rest[progress.consumed..];
        if let Some(Output::Reply { resent, .. }) = progress.output {
            told.push(resent);
        } else if progress.consumed == 0 {
            break;
        }
    }
    world.pump();
    told
}

#[test]
fn a_redirected_command_says_so() {
    let mut world = World::quiet();
    world.set(5);
    world.set(6);
    assert_eq!(detours(&mut world, A, "-MOVED 5 127.0.0.1:7002\r\n:1\r\n"), [false], "the other one went straight");
    assert_eq!(detours(&mut world, B, ":1\r\n"), [true]);
    // A new command of the slot goes to its owner at once.
    world.set(5);
    assert_eq!(detours(&mut world, B, ":2\r\n"), [false]);
    world.set(7);
    assert_eq!(detours(&mut world, A, "-ASK 7 127.0.0.1:7002\r\n"), []);
    assert_eq!(detours(&mut world, B, "+OK\r\n:3\r\n"), [true]);
}

#[test]
fn every_ask_goes_with_asking() {
    let mut world = World::quiet();
    let tag = world.set(5);
    let (asked, served) = (format!("ASKING+{}", cmd(tag)), cmd(tag));
    world.expect(A, &[&served]);
    for _ in 0..2 {
        world.feed(A, "-ASK 5 127.0.0.1:7002\r\n");
        world.expect(B, &[&asked]);
        world.feed(B, "+OK\r\n-ASK 5 127.0.0.1:7001\r\n");
        world.expect(A, &[&asked]);
        // ASKING has a reply of its own.
        world.feed(A, "+OK\r\n");
    }
    world.feed(A, ":1\r\n");
    assert_eq!(world.take_out(), [reply(tag, ":1")]);
}

/// A topology reply moves a slot while a command of it is in flight, at a node that may never answer: the next ones do
/// not wait, so it must say that they may have run before it.
#[test]
fn what_a_new_map_leaves_behind_says_so() {
    let mut world = World::ready();
    let (left, stays) = (world.set(5), world.set(4));
    world.cluster.refresh(world.now);
    world.wait(Duration::from_secs(1));
    let asked = if world.sent[&world.at(A)].contains(&"CLUSTER SLOTS".to_string()) { A } else { B };
    assert_eq!(asked, B, "{:?}", world.sent);
    world.feed(B, &SLOTS.replacen(":8191", ":4", 1).replacen(":8192", ":5", 1));
    let later = world.set(5);
    assert!(world.sent[&world.at(B)].contains(&cmd(later)), "it does not wait");
    assert_eq!(detours(&mut world, B, ":2\r\n"), [false], "it went straight");
    assert_eq!(detours(&mut world, A, ":1\r\n:1\r\n"), [true, false], "{left} was overtaken, {stays} was not");
}

const SCRIPT: CommandSpec =
    CommandSpec { script_like: true, ..CommandSpec::new(Target::Slot(Slot::masked(5)), Access::Write, 0) };

fn questions(world: &World) -> usize {
    world.sent.values().flatten().filter(|line| *line == "CLUSTER SLOTS").count()
}

/// A topology reply that was asked for after the commands went out speaks for all of them.
#[test]
fn one_topology_reply_answers_for_all_the_commands_before_it() {
    let mut world = World::ready_with(|config| config.refresh.idle = None);
    let tags: Vec<u64> = (0..8).map(|_| world.submit(SCRIPT)).collect();
    world.sent.values_mut().for_each(Vec::clear);
    world.feed(A, &"-MOVED 5 127.0.0.1:7002\r\n".repeat(8));
    assert_eq!(world.take_out(), [], "the first is kept until the topology is known");
    world.wait(Duration::from_millis(1));
    assert_eq!(questions(&world), 1);
    world.feed(B, SLOTS);
    let told: Vec<Out> = tags.iter().map(|tag| reply(*tag, "-MOVED 5 127.0.0.1:7002")).collect();
    assert_eq!(world.take_out(), told, "and no other waits");
    assert_eq!(questions(&world), 1);
}

/// Nobody tells the topology: all the replies of a connection together wait for no longer than one may.
#[test]
fn replies_that_look_like_redirects_wait_for_a_second_in_all() {
    let mut world = World::quiet();
    let tags: Vec<u64> = (0..8).map(|_| world.submit(SCRIPT)).collect();
    let told: Vec<Out> = tags.iter().map(|tag| reply(*tag, "-MOVED 5 127.0.0.1:7002")).collect();
    world.feed(A, &"-MOVED 5 127.0.0.1:7002\r\n".repeat(8));
    world.wait(Duration::from_millis(999));
    assert_eq!(world.take_out(), []);
    world.wait(Duration::from_millis(2));
    assert_eq!(world.take_out(), told);
    // One right behind is not kept at all, and one much later is again.
    for (after, kept) in [(1_000, false), (4_000, true)] {
        world.wait(Duration::from_millis(after));
        let tag = world.submit(SCRIPT);
        world.feed(A, "-MOVED 5 127.0.0.1:7002\r\n");
        assert_eq!(world.take_out().is_empty(), kept, "{tag} after {after} ms");
    }
}

/// A script says that its slot is elsewhere, at a node that is known or not, for its own slot or
/// another. It ran, so it must not run again, and nothing of what it says is believed.
#[test]
fn a_script_that_imitates_a_redirect_is_not_believed() {
    for line in [
        "MOVED 5 127.0.0.1:7002",
        "MOVED 6 127.0.0.1:7002",
        "MOVED 5 6.6.6.6:6",
        "MOVED 6 6.6.6.6:6",
        "ASK 5 127.0.0.1:7002",
        "ASK 6 127.0.0.1:7002",
        "ASK 5 6.6.6.6:6",
        "ASK 6 6.6.6.6:6",
    ] {
        for streamed in [false, true] {
            let mut world = World::ready_with(|config| config.refresh.idle = None);
            let ranges = |world: &World| world.cluster.map().ranges().collect::<Vec<_>>();
            let (map, dials) = (ranges(&world), world.dials.len());
            let tag = world.submit(SCRIPT.with_streamed(streamed));
            world.sent.values_mut().for_each(Vec::clear);
            world.feed(A, &format!("-{line}\r\n"));
            world.wait(Duration::from_millis(1));
            if questions(&world) > 0 {
                world.feed(B, SLOTS);
            }
            world.wait(Duration::from_secs(2));
            let [Out::Reply(told, text)] = &world.take_out()[..] else { panic!("{line}: no reply") };
            assert!(*told == tag && (text.contains(line) || streamed), "{line}: {text}");
            assert_eq!(world.dials.len(), dials, "{line}: {:?}", world.dials);
            assert_eq!(ranges(&world), map, "{line}");
            let again = world.sent.values().flatten().any(|sent| sent.contains(&cmd(tag)));
            assert!(!again, "{line}: {:?}", world.sent);
            assert_eq!(world.cluster.commands_live(), 0, "{line}");
        }
    }
}

/// The attribute and the error do not fit together, so they are read as tokens: the refusal is obeyed all the same.
#[test]
fn an_attribute_before_a_refusal_is_no_answer() {
    for (error, then) in [("-MOVED 5 127.0.0.1:7002\r\n", B), ("-WRONGTYPE Operation\r\n", A)] {
        for streamed in [false, true] {
            let mut world = World::quiet();
            world.can_grow = false;
            let tag = world.submit(World::spec(5, Access::Read).with_streamed(streamed));
            world.expect(A, &[&cmd(tag)]);
            for piece in ["|1\r\n$3\r\nkey\r\n", "$5\r\nvalue\r\n", error] {
                world.feed(A, piece);
            }
            let told = world.take_out();
            if then == A {
                let [Out::Reply(_, text)] = &told[..] else { panic!("{told:?}") };
                assert!(text.starts_with("Error("), "{text}");
            } else {
                assert_eq!(told, [], "streamed: {streamed}");
                assert!(world.sent[&world.at(B)].contains(&cmd(tag)), "{:?}", world.sent);
            }
        }
    }
}

/// An attribute in front of a reply that does not fit the buffer: the reply comes in pieces all the same.
#[test]
fn an_attribute_before_a_large_reply_is_passed_over() {
    for attribute in ["|1\r\n+ttl\r\n:3600\r\n", "|0\r\n", "|1\r\n$3\r\nkey\r\n*2\r\n:1\r\n:2\r\n"] {
        for times in [1, 3] {
            let mut world = World::quiet();
            world.can_grow = false;
            world.get(5);
            world.feed(A, &format!("{}$20000\r\n{}", attribute.repeat(times), "x".repeat(5_000)));
            assert!(!world.take_out().is_empty(), "{attribute:?}");
            world.feed(A, &format!("{}\r\n", "x".repeat(15_000)));
            assert_eq!(world.unread(A), 0, "{attribute:?}");
            assert_eq!(world.cluster.commands_live(), 0, "{attribute:?}");
        }
    }
}

#[test]
fn a_group_sent_to_an_unknown_node_is_not_tried_for_ever() {
    let mut world = World::quiet_with(|config| {
        config.command_timeout = Duration::from_secs(600);
        config.max_attempts = 5;
    });
    world.submit(CommandSpec { replies: 3, ..World::spec(5, Access::Write) });
    let mut tries = 0;
    while world.take_out().is_empty() && tries < 50 {
        tries += 1;
        world.feed(A, "-MOVED 5 6.6.6.6:6\r\n-MOVED 5 6.6.6.6:6\r\n-EXECABORT Transaction discarded\r\n");
        world.wait(Duration::from_secs(3));
    }
    assert_eq!(tries, 1 + 5);
}

#[test]
fn a_node_that_sends_to_itself_is_dialled_again() {
    for redirect in ["MOVED", "ASK"] {
        let mut world = World::quiet();
        let (first, second) = (world.set(5), world.set(5));
        world.feed(A, &format!("-{redirect} 5 127.0.0.1:7001\r\n"));
        assert!(world.is_connected(A), "a command is in flight");
        let third = world.set(6);
        world.feed(A, "+OK\r\n");
        assert_eq!(world.take_out(), [reply(second, "+OK")]);
        assert!(!world.is_connected(A), "whoever it is, it is not the node");
        let dials = world.dials.len();
        world.wait(Duration::from_secs(3));
        assert_eq!(world.dials[dials..], [A]);
        world.sent.clear();
        world.join(A);
        let sent = world.sent[&world.at(A)].clone();
        assert!(sent.contains(&cmd(first)) && sent.contains(&cmd(third)), "{sent:?}");
    }
}

#[test]
fn an_owner_that_denies_a_slot_is_asked_who_it_is() {
    for (slot, owner, own, other) in [(5, A, "a", "b"), (9_000, B, "b", "a")] {
        let id = |letter: &str| format!("$40\r\n{}\r\n", letter.repeat(40));
        let mut world = World::quiet_with(|config| config.command_timeout = Duration::from_secs(600));
        let tag = world.set(slot);
        let moved = format!("-MOVED {slot} ?:7000\r\n");
        let ask = |world: &mut World| {
            let mut tries = 0;
            while !world.sent.values().flatten().any(|line| line == "CLUSTER MYID") && tries < 40 {
                tries += 1;
                world.feed(owner, &moved);
                world.wait(Duration::from_secs(3));
            }
            world.sent.clear();
            tries
        };
        assert_eq!(ask(&mut world), 4, "by then no map is behind");
        // It is who it should be, or nobody that is known: only the maps can be wrong.
        for letter in [own, "f"] {
            world.feed(owner, &id(letter));
            assert!(world.is_connected(owner), "{letter}");
            assert_eq!(ask(&mut world), 4);
        }
        let dials = world.dials.len();
        world.feed(owner, &id(other));
        world.feed(owner, &moved);
        assert!(!world.is_connected(owner), "it is another one");
        world.wait(Duration::from_secs(3));
        assert_eq!(world.dials[dials..], [owner]);
        world.join(owner);
        world.wait(Duration::from_secs(3));
        world.expect(owner, &[&cmd(tag)]);
        world.feed(owner, "+OK\r\n");
        assert_eq!(world.take_out(), [reply(tag, "+OK")]);
    }
}

//! Address maps and filters of the caller.

use super::*;

const A: &str = "127.0.0.1:7001";

/// A world whose engine has read the two-node map with these endpoints.
fn world(endpoints: Elsewhere) -> World {
    let mut world = World::new(|config| config.command_timeout = Duration::from_secs(2));
    world.endpoints = Some(endpoints);
    world.cluster.connect(world.now);
    world.pump();
    world.join(A);
    world.feed(A, "$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n");
    world.feed(A, SLOTS);
    world
}

#[test]
fn nodes_are_dialled_where_the_caller_says_and_seeds_as_they_are() {
    let mut world = world(Elsewhere { refused: 0, from: 7002, to: 17_002 });
    world.get(9_000);
    assert_eq!(world.dials, [A, "192.0.2.1:17002"]);
    assert_eq!(world.tls_names, ["127.0.0.1", "name.example"]);
    // A redirect names the announced address and is understood.
    world.join("192.0.2.1:17002");
    let tag = world.set(5);
    world.feed(A, "-ASK 5 127.0.0.1:7002\r\n");
    assert!(world.sent[&world.at("192.0.2.1:17002")].contains(&format!("ASKING+cmd{tag}")), "{:?}", world.sent);
}

#[test]
fn a_refused_node_is_never_dialled_and_its_commands_say_why() {
    let mut world = world(Elsewhere { refused: 7002, from: 0, to: 0 });
    let tag = world.get(9_000);
    let node = crate::ids::NodeId::parse(&[b'b'; 40]);
    let failure = |outcome| Failure { outcome, reason: Reason::EndpointRefused, node };
    assert_eq!(world.take_out(), [Out::Failed(tag, Failure { node: None, ..failure(Outcome::NotSent) })]);
    // Neither do redirects lead there.
    for redirect in ["ASK", "MOVED"] {
        let tag = world.set(5);
        world.feed(A, &format!("-{redirect} 5 127.0.0.1:7002\r\n"));
        assert_eq!(world.take_out(), [Out::Failed(tag, Failure { node: None, ..failure(Outcome::Rejected) })]);
    }
    let to_it = CommandSpec { target: Target::Node(node.unwrap()), ..World::spec(0, Access::Read) };
    let tag = world.submit(to_it);
    assert_eq!(world.take_out(), [Out::Failed(tag, failure(Outcome::NotSent))]);
    world.wait(Duration::from_secs(30));
    assert!(world.dials.iter().all(|addr| !addr.ends_with(":7002")), "{:?}", world.dials);
}

#[test]
fn a_filter_that_lets_a_node_in_again_is_heard_with_the_next_map() {
    let mut world = world(Elsewhere { refused: 7002, from: 0, to: 0 });
    world.endpoints = Some(Elsewhere { refused: 0, from: 0, to: 0 });
    world.get(9_000);
    assert!(matches!(world.take_out()[..], [Out::Failed(..)]));
    world.cluster.refresh(world.now);
    world.wait(Duration::from_millis(1_500));
    world.expect(A, &["CLUSTER MYID", "CLUSTER SLOTS", "CLUSTER SLOTS"]);
    world.feed(A, SLOTS);
    world.get(9_000);
    assert_eq!(world.take_out(), []);
    assert!(world.dials.contains(&"192.0.2.1:7002".to_string()), "{:?}", world.dials);
}

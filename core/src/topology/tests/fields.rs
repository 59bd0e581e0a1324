//! Single fields of the three replies.

use super::super::reader::WHOLE;
#[cfg(feature = "shards-reply")]
use super::readers::shards;
use super::readers::{Small, context, ok, resp, slots};
#[cfg(feature = "nodes-reply")]
use super::readers::{bulk, nodes};
use super::*;
use crate::limits::Limits;
use crate::resp::{Level, TokenState};
use crate::server_error::ErrorKind;

#[test]
fn an_error_longer_than_the_buffer_is_a_servers_error() {
    let long = format!("-ERR {}\r\n", "x".repeat(2_000));
    let mut tables = Tables::new(4, 8, 64, false);
    let mut levels = [Level::EMPTY; 4];
    let mut state = TokenState::new();
    let mut reader = Reader::new(ReplyKind::Slots);
    // The buffer is full and the line's end not in it: it is handed out in pieces.
    let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &long.as_bytes()[..700]);
    let result = reader.feed(&mut tokens, &context(), &mut tables.map_mut(), &mut |_| {});
    assert_eq!(result.map(drop), Err(Rejection::ServerError(ErrorKind::Other)));
}

#[test]
fn the_longest_error_that_is_looked_at() {
    for (len, kind) in [(WHOLE, ErrorKind::ClusterDown), (WHOLE + 1, ErrorKind::Other)] {
        let error = format!("CLUSTERDOWN {}", "x".repeat(len - 12));
        for reply in [format!("-{error}\r\n"), format!("!{len}\r\n{error}\r\n")] {
            let read = Small::new().apply(reply.as_bytes(), ReplyKind::Slots, &context());
            assert_eq!(read, Err(Rejection::ServerError(kind)), "{len}");
        }
    }
}

#[test]
fn an_aggregate_among_the_keys_names_nothing() {
    for (meta, ip) in [
        ("[ip 10.0.0.1]", Some("10.0.0.1")),
        ("[ip 10.0.0.1 [] 10.0.0.9]", Some("10.0.0.1")),
        ("[ip _ [] 10.0.0.9]", None),
        ("[ip [10.0.0.9] hostname n.example]", None),
    ] {
        let mut map = Small::new();
        map.apply(&resp(&format!("[[:0 :9 [h :1 @1 {meta}]]]")), ReplyKind::Slots, &context()).unwrap();
        let map = map.map();
        assert_eq!(map.ip(map.find(&id(1)).unwrap()), ip, "{meta}");
    }
    assert_eq!(slots("[[:0 :9 [h :1 @1]]]"), ok("0-9=1 10-16383=-", "h:1"));
}

#[test]
#[cfg(feature = "shards-reply")]
fn fields_that_nobody_knows_may_hold_anything() {
    let node = |more: &str| {
        format!("[{{slots [:0 :9] nodes [{{id @1 port :1 endpoint h role master health online {more}}}]}}]")
    };
    for more in ["", "new :1", "new [a b]", "new {a [b {c d}]} other _"] {
        assert_eq!(shards(&node(more)), ok("0-9=1 10-16383=-", "h:1"), "{more}");
    }
    let first = "[{slots [:0 :9] nodes [{new [a b] id @1 port :1 endpoint h role master health online}]}]";
    assert_eq!(shards(first), ok("0-9=1 10-16383=-", "h:1"));
    for more in ["ip [a b]", "[a b] :1", "new _ [a b] :1"] {
        assert!(matches!(shards(&node(more)), Err(Rejection::Malformed(_))), "{more}");
    }
}

#[test]
#[cfg(feature = "shards-reply")]
fn of_two_equal_primaries_the_first_is_elected() {
    let node = |n: u16, port: u16| format!("{{id @{n} port :{port} endpoint h role master health online}}");
    let reply = |a: &str, b: &str| format!("[{{slots [:0 :9] nodes [{a} {b}]}}]");
    assert_eq!(shards(&reply(&node(1, 1), &node(2, 2))), ok("0-9=1 10-16383=-", "h:1 h:2"));
    assert_eq!(shards(&reply(&node(2, 2), &node(1, 1))), ok("0-9=2 10-16383=-", "h:2 h:1"));
    // Also where the other is not kept.
    let mut map = Small::new();
    map.apply(&resp(&reply(&node(2, 2), &node(1, 1))), ReplyKind::Shards, &context().replicas(false)).unwrap();
    assert_eq!((print(&map.map()), map.map().node_count()), ("0-9=2 10-16383=-".to_string(), 1));
}

#[test]
#[cfg(feature = "shards-reply")]
fn nodes_that_change_places_are_found_and_so_are_those_before() {
    let node = |n: u16, role: &str| format!("{{id @{n} port :{n} endpoint h role {role} health online}}");
    let shards: Vec<_> = (0..8)
        .map(|n| format!("{{slots [:{n} :{n}] nodes [{} {}]}}", node(2 * n + 1, "replica"), node(2 * n + 2, "master")))
        .collect();
    let mut map = Small::new();
    map.apply(&resp(&format!("[{}]", shards.join(" "))), ReplyKind::Shards, &context()).unwrap();
    for n in 1..=16 {
        let found = map.map().find(&id(n)).and_then(|index| map.map().node(index).map(Node::port));
        assert_eq!(found, Some(n));
    }
}

#[test]
#[cfg(feature = "nodes-reply")]
fn the_last_line_may_end_anywhere_behind_its_epoch() {
    let line = format!("{} h:1@2 master - 0 0 4", id_text(1));
    let other = format!("{} h:9@10 master - 0 0 5 connected 0-9\n", id_text(2));
    for (tail, fits) in [("", false), (" ", true), (" connected", true), (" connected ", true), (" connected 10", true)]
    {
        let read = nodes(&format!("{other}{line}{tail}"));
        match fits {
            true => assert_eq!(read.unwrap().1, "h:9 h:1", "{tail:?}"),
            false => assert!(matches!(read, Err(Rejection::Malformed(_))), "{tail:?}"),
        }
    }
    // An id and nothing else is no line.
    for alone in [id_text(1), id_text(1) + " ", id_text(1) + "\n", "x".to_string()] {
        let read = nodes(&format!("{other}{alone}"));
        assert!(matches!(read, Err(Rejection::Malformed(_))), "{alone:?}: {read:?}");
    }
    assert_eq!(nodes(&other).unwrap().1, "h:9");
}

#[test]
#[cfg(feature = "nodes-reply")]
fn flags_in_any_order() {
    for (flags, health) in [
        ("master", Health::Online),
        ("master,fail?", Health::Suspect),
        ("master,fail", Health::Failed),
        ("master,fail?,fail", Health::Failed),
        ("master,fail,fail?", Health::Failed),
        ("noaddr,fail", Health::Joining),
        ("fail,noaddr", Health::Joining),
        ("handshake,fail?", Health::Joining),
    ] {
        let mut map = Small::new();
        let text = format!(
            "{} h:9@10 master - 0 0 5 connected 0-9\n{} h:1@2 {flags} - 0 0 4 connected\n",
            id_text(2),
            id_text(1)
        );
        map.apply(&super::readers::bulk(&text), ReplyKind::Nodes, &context()).unwrap();
        let map = map.map();
        assert_eq!(map.node(map.find(&id(1)).unwrap()).unwrap().health(), health, "{flags}");
    }
}

#[test]
#[cfg(feature = "nodes-reply")]
fn a_primary_without_a_line_is_a_node_without_an_address() {
    let mut map = Small::new();
    let text = format!(
        "{} h:9@10 master - 0 0 5 connected 0-9\n{} h:1@2 slave {} 0 0 4 connected\n",
        id_text(2),
        id_text(1),
        id_text(7)
    );
    map.apply(&super::readers::bulk(&text), ReplyKind::Nodes, &context()).unwrap();
    let map = map.map();
    let index = map.find(&id(7)).unwrap();
    let node = map.node(index).unwrap();
    assert_eq!((node.role(), node.health(), node.epoch()), (Role::Primary, Health::Unknown, None));
    assert!(!node.is_myself() && !node.is_refused() && !node.is_routable());
    assert_eq!(map.all_replicas(index).collect::<Vec<_>>(), [map.find(&id(1)).unwrap()]);
}

#[test]
#[cfg(feature = "nodes-reply")]
fn nodes_of_a_role_and_the_node_that_answers() {
    let (one, two) = (id_text(1), id_text(2));
    let text = format!("{one} h:1@2 master - 0 0 1 connected 0-9\n{two} h:2@3 myself,slave {one} 0 0 1 connected\n");
    for replicas in [true, false] {
        let mut map = Small::new();
        map.apply(&bulk(&text), ReplyKind::Nodes, &context().replicas(replicas)).unwrap();
        let map = map.map();
        let shown: Vec<_> = map.nodes().map(|(_, node)| (node.port(), node.is_primary(), node.is_myself())).collect();
        let all = [(1, true, false), (2, false, true)];
        assert_eq!(shown, all[..if replicas { 2 } else { 1 }]);
    }
}

#[test]
#[cfg(feature = "shards-reply")]
fn what_a_node_of_shards_says_beside_its_endpoint() {
    for key in ["availability-zone", "availability_zone"] {
        let node =
            format!("{{id @1 port :1 endpoint h ip 10.0.0.1 hostname n.example {key} z-1 role master health online}}");
        let mut map = Small::new();
        map.apply(&resp(&format!("[{{slots [:0 :9] nodes [{node}]}}]")), ReplyKind::Shards, &context()).unwrap();
        let (map, index) = (map.map(), NodeIndex::new(0).unwrap());
        assert_eq!(
            (map.ip(index), map.hostname(index), map.zone(index)),
            (Some("10.0.0.1"), Some("n.example"), Some("z-1")),
        );
    }
}

#[test]
#[cfg(feature = "nodes-reply")]
fn an_aggregate_is_no_text() {
    for text in ["[]", "{}", "[a]", "[[]]", "[:1]"] {
        let read = Small::new().apply(&resp(text), ReplyKind::Nodes, &context());
        assert!(matches!(read, Err(Rejection::Malformed(_))), "{text}: {read:?}");
    }
}

#[test]
#[cfg(feature = "shards-reply")]
fn shards_without_room_and_shards_without_a_primary_are_one_unknown() {
    let node = |n: u16, role: &str| format!("{{id @{n} port :{n} endpoint h role {role} health online}}");
    let reply =
        format!("[{{slots [:0 :4] nodes [{}]}} {{slots [:5 :8] nodes [{}]}}]", node(1, "replica"), node(2, "master"));
    let mut map = StaticMap::<1, 16, 64>::new();
    map.apply(&resp(&reply), ReplyKind::Shards, &context()).unwrap();
    assert_eq!((print(&map.map()), map.map().overflowed()), ("0-8=? 9-16383=-".to_string(), true));
}

#[test]
fn slots_without_replicas_and_with_ids_of_any_length() {
    let mut map = Small::new();
    for (replicas, addrs) in [(true, 2), (false, 1)] {
        let reply = resp("[[:0 :9 [h :1 @1] [h :2 @2]]]");
        map.apply(&reply, ReplyKind::Slots, &context().replicas(replicas)).unwrap();
        assert_eq!((print(&map.map()), map.map().node_count()), ("0-9=1 10-16383=-".to_string(), addrs));
    }
    for (len, fits) in [(41, true), (WHOLE, true), (WHOLE + 1, false)] {
        let read = slots(&format!("[[:0 :9 [h :1 {}]]]", "x".repeat(len)));
        assert_eq!(read.is_ok(), fits, "{len}: {read:?}");
    }
}

#[test]
fn a_copy_keeps_each_name_for_what_it_is() {
    let mut map = Small::new();
    let meta = "{ip 10.0.0.1 hostname name.example availability-zone z-1}";
    map.apply(&resp(&format!("[[:0 :9 [h :1 @1 {meta}]]]")), ReplyKind::Slots, &context()).unwrap();
    let mut copy = Tables::new(2, 8, 100, false);
    copy.map_mut().copy_from(&map.map()).unwrap();
    let (map, index) = (copy.map(), NodeIndex::new(0).unwrap());
    assert_eq!(map.addr(index).map(|addr| addr.host()), Some("h"));
    assert_eq!(
        (map.ip(index), map.hostname(index), map.zone(index)),
        (Some("10.0.0.1"), Some("name.example"), Some("z-1"))
    );
}

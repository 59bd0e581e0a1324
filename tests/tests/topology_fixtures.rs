//! Reads every captured topology reply under `fixtures/topology` and holds it against what the servers were
//! configured for: three versions, both protocols, all three commands, every state `capture.py` brings them into.

use std::collections::BTreeMap;
use std::path::Path;

use slotwise::addr::NodeAddr;
use slotwise::ids::NodeId;
use slotwise::limits::Limits;
use slotwise::resp::{Level, Status, TokenState};
use slotwise::slot::{Slot, SlotRange};
use slotwise::topology::{
    Context, Direction, Health, Map, MapHead, MapMut, MapParts, Mark, Node, Owner, Reader, Rejection, ReplyKind, Role,
    StaticMap, WHOLE,
};

/// The host the answering node was "reached" at; no reply names it.
const REACHED: &str = "192.0.2.1";

struct Fixture {
    name: String,
    base: u16,
    state: String,
    kind: ReplyKind,
    bytes: Vec<u8>,
}

fn fixtures() -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/topology");
    let mut all = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_none_or(|ext| ext != "bin") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let words: Vec<_> = name.split('-').collect();
        let [family, version, state @ .., command, _resp] = &words[..] else { panic!("{name}") };
        let base = match (*family, *version) {
            ("redis", "7.0") => 22000,
            ("valkey", "9.1") => 22020,
            ("redis", "8.0") => 22040,
            _ => panic!("{name}"),
        };
        let kind = match *command {
            "slots" => ReplyKind::Slots,
            "shards" => ReplyKind::Shards,
            "nodes" => ReplyKind::Nodes,
            _ => panic!("{name}"),
        };
        let (state, bytes) = (state.join("-"), std::fs::read(&path).unwrap());
        all.push(Fixture { name, base, state, kind, bytes });
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Which port serves each slot, 0 for nobody.
fn owners(state: &str, base: u16) -> Vec<u16> {
    let mut owners = vec![base + 2; 16384];
    owners[..=5460].fill(base);
    owners[5461..=10922].fill(base + 1);
    if matches!(state, "fragmented" | "failover" | "uncovered") {
        owners[..2000].iter_mut().step_by(100).for_each(|owner| *owner = base + 1);
    }
    if matches!(state, "failover" | "uncovered") {
        owners[10923..].fill(base + 5);
    }
    if state == "uncovered" {
        owners[5000..5010].fill(0);
    }
    if state == "lone" {
        owners.fill(base + 6);
    }
    owners
}

/// The host each node is to be dialled at.
fn host(state: &str, kind: ReplyKind, n: u16) -> String {
    match state {
        "lone" => REACHED.into(),
        "unknown" if kind != ReplyKind::Nodes => REACHED.into(),
        "hostname" if kind != ReplyKind::Nodes => format!("host-{n}.example.com"),
        _ => "127.0.0.1".into(),
    }
}

fn answered_by(state: &str, base: u16) -> u16 {
    base + match state {
        "importing" => 1,
        "ip-replica" => 3,
        "lone" => 6,
        "fresh" => 7,
        "plain" => 8,
        _ => 0,
    }
}

fn check(fixture: &Fixture, map: &Map<'_>, marks: &[Mark]) {
    let Fixture { name, base, state, kind, .. } = fixture;
    let (base, kind) = (*base, *kind);
    let dead = if state == "failover" { Some(base + 2) } else { None };

    let want = owners(state, base);
    for slot in (0..16384).filter_map(Slot::new) {
        let port = match map.owner(slot) {
            Owner::Node(index) => map.node(index).unwrap().port(),
            Owner::Uncovered => 0,
            Owner::Unknown => panic!("{name}: slot {slot} unknown"),
        };
        assert_eq!(port, want[slot.index()], "{name}: slot {slot}");
    }
    let gaps: Vec<_> = map.uncovered().collect();
    let gap = SlotRange::new(Slot::new(5000).unwrap(), Slot::new(5009).unwrap()).unwrap();
    assert_eq!(gaps, if state == "uncovered" { vec![gap] } else { vec![] }, "{name}");
    assert!(!map.overflowed(), "{name}");

    let mut ids = BTreeMap::new();
    for (index, node) in map.nodes() {
        let n = node.port() - base;
        ids.insert(node.port(), node.id());
        assert!(!node.id().is_derived(), "{name}");
        assert_eq!(map.find(&node.id()), Some(index), "{name}");
        let addr = map.addr(index).unwrap();
        assert_eq!((addr.host(), addr.port()), (host(state, kind, n).as_str(), base + n), "{name}");
        assert_eq!(map.find_addr(addr.host(), addr.port()), Some(index), "{name}");

        let primary = match state.as_str() {
            "failover" | "uncovered" => n < 3 || n == 5,
            _ => n < 3 || n == 6,
        };
        assert_eq!(node.role() == Role::Primary, primary, "{name}: {n}");
        let health = if Some(node.port()) == dead { Health::Failed } else { Health::Online };
        assert_eq!(node.health(), health, "{name}: {n}");
        let replicas: Vec<_> = map.replicas(index).map(|r| map.node(r).unwrap().port()).collect();
        let has_replica = primary && n < 3 && (n != 2 || dead.is_none() && state != "uncovered");
        assert_eq!(replicas, if has_replica { vec![base + n + 3] } else { vec![] }, "{name}: {n}");

        let known = matches!(state.as_str(), "ip-hostname" | "zone" | "fragmented" | "failover" | "uncovered");
        let hostname = format!("host-{n}.example.com");
        if known {
            assert_eq!(map.hostname(index), Some(hostname.as_str()), "{name}: {n}");
            assert_eq!(map.find_addr(&hostname.to_uppercase(), node.port()), Some(index), "{name}: {n}");
        }
        if kind != ReplyKind::Nodes && base == 22020 && known && state != "ip-hostname" {
            assert_eq!(map.zone(index), Some(format!("zone-{}", node.port() % 2).as_str()), "{name}: {n}");
        }
        assert_eq!(node.epoch().is_some(), kind == ReplyKind::Nodes, "{name}: {n}");
        if let Some(epoch) = node.epoch()
            && matches!(state.as_str(), "ip" | "migrating" | "zone")
        {
            assert_eq!(epoch, u64::from(n % 3) + 1, "{name}: {n}");
        }
        let myself = kind == ReplyKind::Nodes && node.port() == answered_by(state, base);
        assert_eq!(node.is_myself(), myself, "{name}: {n}");
    }
    let count = match (state.as_str(), kind) {
        ("lone", _) => 1,
        // CLUSTER SLOTS does not list a failed node without slots.
        ("failover", ReplyKind::Slots) | ("uncovered", _) => 5,
        _ => 6,
    };
    assert_eq!(map.node_count(), count, "{name}");
    assert_eq!(map.has_epochs(), kind == ReplyKind::Nodes, "{name}");

    let mark = |n: u16, slot: u16, direction, peer: u16| {
        let (node, slot, peer) = (ids[&(base + n)], Slot::new(slot).unwrap(), ids[&(base + peer)]);
        Mark { node, slot, direction, peer }
    };
    let want = match (state.as_str(), kind) {
        ("migrating", ReplyKind::Nodes) => {
            vec![mark(0, 100, Direction::Migrating, 1), mark(0, 102, Direction::Migrating, 2)]
        }
        ("importing", ReplyKind::Nodes) => vec![mark(1, 100, Direction::Importing, 0)],
        _ => vec![],
    };
    assert_eq!(marks, want, "{name}");
}

#[test]
fn every_captured_reply_reads_as_configured() {
    let all = fixtures();
    // 14 states of two servers and 15 of the one with availability zones, three commands, two protocols.
    assert_eq!(all.len(), (14 + 14 + 15) * 3 * 2);
    for fixture in &all {
        let answered = NodeAddr::new(REACHED, answered_by(&fixture.state, fixture.base)).unwrap();
        let mut map = StaticMap::<8, 64, 1024>::new();
        let mut marks = Vec::new();
        let result =
            map.apply_with_marks(&fixture.bytes, fixture.kind, &Context::new(answered), &mut |mark| marks.push(mark));
        match fixture.state.as_str() {
            "fresh" => assert_eq!(result, Err(Rejection::Empty), "{}", fixture.name),
            "plain" => assert_eq!(result, Err(Rejection::NoCluster), "{}", fixture.name),
            _ => {
                assert_eq!(result, Ok(()), "{}", fixture.name);
                check(fixture, &map.map(), &marks);
            }
        }
        // Without its end, or without its beginning, no reply is applied, and the map in use stays.
        let (version, before) = (map.map().version(), map.map().node_count());
        let near_the_end = fixture.bytes.len().saturating_sub(40)..fixture.bytes.len();
        for cut in (0..fixture.bytes.len()).step_by(37).chain(near_the_end) {
            let result = map.apply(&fixture.bytes[..cut], fixture.kind, &Context::new(answered));
            assert!(result.is_err(), "{} cut at {cut}", fixture.name);
        }
        assert_eq!((map.map().version(), map.map().node_count()), (version, before));
    }
}

/// The same replies through a small buffer, a few bytes at a time, into a dense table.
#[test]
fn every_captured_reply_reads_the_same_in_pieces() {
    for fixture in fixtures().iter().filter(|fixture| !matches!(fixture.state.as_str(), "fresh" | "plain")) {
        for piece in [1, 7, 100, 1460] {
            let answered = NodeAddr::new(REACHED, answered_by(&fixture.state, fixture.base)).unwrap();
            let (mut head, mut dense) = (MapHead::new(), vec![0; 16384]);
            let (mut nodes, mut hosts) = ([Node::EMPTY; 6], [0; 512]);
            let parts = MapParts { nodes: &mut nodes, ranges: &mut [], hosts: &mut hosts, dense: Some(&mut dense) };
            let mut map = MapMut::new(&mut head, parts);
            let mut marks = Vec::new();

            let mut levels = [Level::EMPTY; 8];
            let mut state = TokenState::new().with_whole(WHOLE);
            let mut reader = Reader::new(fixture.kind);
            let (mut buffer, mut given, mut ended) = (Vec::new(), 0, false);
            while given < fixture.bytes.len() {
                assert!(!ended, "{} ended early", fixture.name);
                let end = (given + piece).min(fixture.bytes.len());
                buffer.extend_from_slice(&fixture.bytes[given..end]);
                given = end;
                let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &buffer);
                let status = reader.feed(&mut tokens, &Context::new(answered), &mut map, &mut |mark| marks.push(mark));
                ended = status.unwrap() == Status::Complete(());
                let consumed = tokens.consumed();
                buffer.drain(..consumed);
                assert!(buffer.len() <= WHOLE + 16 + piece);
            }
            assert!(ended, "{}", fixture.name);
            check(fixture, &map.map(), &marks);
        }
    }
}

/// Without replicas, three nodes are enough.
#[test]
fn primaries_alone_fit_in_half_the_nodes() {
    for fixture in fixtures() {
        if matches!(fixture.state.as_str(), "fresh" | "plain" | "lone") {
            continue;
        }
        let answered = NodeAddr::new(REACHED, answered_by(&fixture.state, fixture.base)).unwrap();
        let mut map = StaticMap::<4, 64, 256>::new();
        map.apply(&fixture.bytes, fixture.kind, &Context::new(answered).replicas(false)).unwrap();
        let map = map.map();
        assert!(!map.overflowed(), "{}", fixture.name);
        let want = owners(&fixture.state, fixture.base);
        for slot in (0..16384).filter_map(Slot::new) {
            let port = match map.owner(slot) {
                Owner::Node(index) => map.node(index).unwrap().port(),
                _ => 0,
            };
            assert_eq!(port, want[slot.index()], "{}: slot {slot}", fixture.name);
        }
        // After a failover the dead primary is listed by NODES, and by the SHARDS of 7.0 as a shard without slots.
        let dead = fixture.state == "failover"
            && (fixture.kind == ReplyKind::Nodes || fixture.kind == ReplyKind::Shards && fixture.base == 22000);
        assert_eq!(map.node_count(), 3 + usize::from(dead), "{}", fixture.name);
        for (index, node) in map.nodes() {
            assert_eq!(map.find(&node.id()), Some(index), "{}", fixture.name);
        }
    }
}

#[test]
fn ids_of_all_commands_agree() {
    let mut by_port: BTreeMap<u16, NodeId> = BTreeMap::new();
    for fixture in fixtures() {
        if matches!(fixture.state.as_str(), "fresh" | "plain") {
            continue;
        }
        let answered = NodeAddr::new(REACHED, answered_by(&fixture.state, fixture.base)).unwrap();
        let mut map = StaticMap::<8, 64, 1024>::new();
        map.apply(&fixture.bytes, fixture.kind, &Context::new(answered)).unwrap();
        for (_, node) in map.map().nodes() {
            assert_eq!(*by_port.entry(node.port()).or_insert(node.id()), node.id(), "{}", fixture.name);
        }
    }
    assert_eq!(by_port.len(), 3 * 7);
}

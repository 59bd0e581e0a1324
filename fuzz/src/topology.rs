//! The property of the topology readers: whatever the bytes and however they are cut, a reply is either applied
//! whole, in both layouts alike, or rejected.

use std::fmt::Write;

use slotwise::addr::NodeAddr;
use slotwise::limits::Limits;
use slotwise::resp::{Level, Status, TokenState};
use slotwise::slot::Slot;
use slotwise::topology::{
    Context, Map, MapHead, MapMut, MapParts, Mark, Node, Owner, RangeEntry, Reader, Rejection, ReplyKind, WHOLE, digest,
};

use crate::Plan;

/// Runs one input.
pub fn check(data: &[u8], kind: ReplyKind) {
    let Some((plan, input)) = Plan::split(data) else { return };
    let choice = usize::from(plan.choice);
    // Small tables as well as sufficient ones, with and without replicas.
    let (nodes, ranges, hosts) =
        if plan.tiny { (1 + choice % 5, choice % 13, choice % 41) } else { (64, 2_048, 4_096) };
    let replicas = choice & 64 == 0;

    let whole = read(input, [input.len()].into_iter(), kind, (nodes, ranges, hosts), false, replicas);
    let cut = read(input, plan.cuts(input.len()), kind, (nodes, ranges, hosts), false, replicas);
    match (&cut, &whole) {
        // A string that comes in pieces may be seen to be no reply before it is seen to be no RESP.
        (Err(_), Err(Rejection::Protocol)) => {}
        _ => assert_eq!(cut, whole),
    }
    let dense = read(input, plan.cuts(input.len()), kind, (nodes, ranges, hosts), true, replicas);
    // Which of two faults is met first may differ, whether there is one may not; a table of ranges that ran full
    // cannot see an overlap with what it left out.
    if let (Ok(whole), Ok(dense)) = (&whole, &dense) {
        assert_eq!(whole.covered, dense.covered);
        assert_eq!(whole.marks, dense.marks);
        if !whole.overflowed {
            assert_eq!((whole.digest, &whole.text), (dense.digest, &dense.text));
        }
    } else if !plan.tiny {
        assert_eq!(whole.is_ok(), dense.is_ok());
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    text: String,
    digest: u64,
    covered: u16,
    overflowed: bool,
    marks: Vec<Mark>,
}

fn read(
    input: &[u8],
    cuts: impl Iterator<Item = usize>,
    kind: ReplyKind,
    (nodes, ranges, hosts): (usize, usize, usize),
    dense: bool,
    replicas: bool,
) -> Result<Outcome, Rejection> {
    let mut head = MapHead::new();
    let (mut nodes, mut hosts) = (vec![Node::EMPTY; nodes], vec![0xff; hosts]);
    let mut ranges = vec![RangeEntry::EMPTY; if dense { 0 } else { ranges }];
    let mut table = vec![0; 16384];
    let parts = MapParts {
        nodes: &mut nodes,
        ranges: &mut ranges,
        hosts: &mut hosts,
        dense: dense.then_some(table.as_mut_slice()),
    };
    let mut map = MapMut::new(&mut head, parts);
    let context = Context::new(NodeAddr::new("reached", 7000).unwrap()).replicas(replicas);
    let mut marks = Vec::new();

    let mut levels = [Level::EMPTY; 8];
    let mut state = TokenState::new().with_whole(WHOLE);
    let mut reader = Reader::new(kind);
    let mut start = 0;
    for end in cuts {
        let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &input[start..end]);
        let status = reader.feed(&mut tokens, &context, &mut map, &mut |mark| marks.push(mark))?;
        start += tokens.consumed();
        if status == Status::Complete(()) {
            invariants(&map.map());
            return Ok(outcome(&map.map(), marks));
        }
    }
    Err(Rejection::Incomplete)
}

fn invariants(map: &Map<'_>) {
    assert!(!map.is_empty());
    let (mut next, mut owned) = (0, 0);
    for (range, owner) in map.runs() {
        assert_eq!(range.first().get(), next, "every slot once");
        next = range.last().get() + 1;
        if let Owner::Node(index) = owner {
            let node = map.node(index).expect("an owner is in the map");
            assert!(node.is_primary(), "slots belong to primaries");
            owned += range.len();
        }
        for slot in [range.first(), range.last()] {
            assert_eq!(map.owner(slot), owner);
        }
    }
    assert_eq!(next, Slot::COUNT);
    assert!(owned <= map.covered());
    if !map.overflowed() {
        let gaps: u16 = map.uncovered().map(|range| range.len()).sum();
        assert_eq!(gaps + map.covered(), Slot::COUNT);
    }
    for (index, node) in map.nodes() {
        let found = map.find(&node.id()).expect("every node is found by its id");
        assert_eq!(map.node(found).map(|node| node.id()), Some(node.id()));
        for replica in map.all_replicas(index) {
            assert_eq!(map.node(replica).and_then(|node| node.primary()), Some(index));
        }
        if let Some(addr) = map.addr(index) {
            assert!(node.is_routable() && addr.port() == node.port());
            assert_eq!(NodeAddr::new(addr.host(), addr.port()), Ok(addr));
            assert!(map.find_addr(addr.host(), addr.port()).is_some());
        }
    }
}

fn outcome(map: &Map<'_>, marks: Vec<Mark>) -> Outcome {
    let mut text = String::new();
    for (index, node) in map.nodes() {
        let (addr, primary) = (map.endpoint(index), node.primary());
        let (id, health) = (node.id(), node.health().name());
        writeln!(text, "{id} {addr:?} {primary:?} {health} {:?} {:?}", node.epoch(), map.zone(index)).unwrap();
    }
    Outcome { text, digest: digest(map), covered: map.covered(), overflowed: map.overflowed(), marks }
}

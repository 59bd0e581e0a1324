use super::*;

/// A map of primaries with these ranges each.
fn map(dense: bool, owners: &[(u16, u16, u16)]) -> Tables {
    let mut tables = Tables::new(8, if dense { 0 } else { 32 }, 64, dense);
    let mut map = tables.map_mut();
    map.clear();
    for &(first, last, n) in owners {
        let at = map.map().find(&id(n));
        let at = at.unwrap_or_else(|| map.add_node(&primary(n, n + 1)).unwrap());
        map.add_range(range(first, last), Some(at)).unwrap();
    }
    map.finish().unwrap();
    tables
}

fn text(change: MapChange) -> String {
    let name = |node: Option<NodeId>| (0..9).find(|n| node == Some(id(*n))).map_or("-".into(), |n| n.to_string());
    match change {
        MapChange::NodeNew(node) => format!("+{}", name(Some(node))),
        MapChange::NodeGone(node) => format!("!{}", name(Some(node))),
        MapChange::Slots { range, from, to } => {
            format!("{}-{}:{}>{}", range.first().get(), range.last().get(), name(from), name(to))
        }
    }
}

fn texts(diff: &MapDiff<'_>) -> Vec<String> {
    diff.changes().map(text).collect()
}

#[test]
fn lists_nodes_and_ranges() {
    for (old_dense, new_dense) in [(false, false), (true, true), (false, true)] {
        let old = map(old_dense, &[(0, 99, 0), (100, 199, 1), (300, 16383, 2)]);
        let new = map(new_dense, &[(0, 49, 0), (50, 149, 3), (150, 299, 1), (300, 16383, 0)]);
        let diff = MapDiff::between(old.map(), new.map());
        let all = ["+3", "!2", "50-99:0>3", "100-149:1>3", "200-299:->1", "300-16383:2>0"];
        assert_eq!(texts(&diff), all);
        let counts = MapChanges { nodes_new: 1, nodes_gone: 1, ranges: 4, slots: 50 + 50 + 100 + 16_084 };
        assert_eq!((diff.count(), diff.is_cut()), (counts, false));
        assert_eq!(diff.map().version(), new.map().version());
        assert_eq!(texts(&MapDiff::between(new.map(), new.map())), Vec::<String>::new());
        let back = texts(&MapDiff::between(new.map(), old.map()));
        assert_eq!(back, ["+2", "!3", "50-99:3>0", "100-149:3>1", "200-299:1>-", "300-16383:0>2"]);
    }
}

#[test]
fn from_and_to_nothing() {
    let some = map(false, &[(5, 6, 1)]);
    assert_eq!(texts(&MapDiff::between(Map::empty(), some.map())), ["+1", "5-6:->1"]);
    assert_eq!(texts(&MapDiff::between(some.map(), Map::empty())), ["!1", "5-6:1>-"]);
}

/// Slot by slot, the ranges say what the maps say.
#[test]
fn every_slot_is_told_rightly() {
    let mut rand = crate::rand::Rand::new(7);
    for _ in 0..20 {
        let mut side = |dense| {
            let (mut owners, mut at) = (Vec::new(), 0);
            while at < 16_384 && owners.len() < 14 {
                let last = (at + rand.below(3_000)).min(16_383);
                if rand.below(5) > 0 {
                    owners.push((at as u16, last as u16, rand.below(6) as u16));
                }
                at = last + 1;
            }
            owners.push((16_383, 16_383, 6));
            owners.dedup_by_key(|owner| owner.1);
            map(dense, &owners)
        };
        let (old, new) = (side(false), side(true));
        let owner = |map: &Map<'_>, n: u16| match map.owner(slot(n)) {
            Owner::Node(at) => map.node(at).map(Node::id),
            _ => None,
        };
        let diff = MapDiff::between(old.map(), new.map());
        let mut told = vec![None; 16_384];
        for change in diff.changes() {
            if let MapChange::Slots { range, from, to } = change {
                for slot in range {
                    assert!(told[slot.index()].replace((from, to)).is_none(), "told twice");
                }
            }
        }
        for n in 0..16_384 {
            let (from, to) = (owner(&old.map(), n), owner(&new.map(), n));
            assert_eq!(told[usize::from(n)], (from != to).then_some((from, to)), "slot {n}");
        }
    }
}

#[test]
fn a_redirect_moves_a_slot_or_a_shard() {
    let mut tables = map(false, &[(0, 99, 0), (100, 199, 1), (200, 299, 0)]);
    let at = tables.map().find(&id(1)).unwrap();
    assert_eq!(moved(&mut tables.map_mut(), slot(50), at), MovedCase::OtherPrimary);
    let diff = MapDiff::of_moved(tables.map(), slot(50), Some(id(0)), id(1), false);
    assert_eq!(texts(&diff), ["50-50:0>1"]);
    let diff = MapDiff::of_moved(tables.map(), slot(50), Some(id(2)), id(0), true);
    assert_eq!(texts(&diff), ["0-49:2>0", "51-99:2>0", "200-299:2>0"]);
    assert_eq!(diff.count().slots, 50 + 49 + 100);
}

#[test]
fn says_when_it_was_cut() {
    let whole = map(false, &[(0, 99, 0)]);
    let mut small = Tables::new(8, 2, 64, false);
    let mut part = small.map_mut();
    part.clear();
    let at = part.add_node(&primary(0, 1)).unwrap();
    for n in 0..4 {
        let _ = part.add_range(range(n * 200, n * 200 + 99), Some(at));
    }
    let _ = part.finish();
    assert!(small.map().overflowed());
    assert!(MapDiff::between(whole.map(), small.map()).is_cut());
    assert!(MapDiff::between(small.map(), whole.map()).is_cut());
}

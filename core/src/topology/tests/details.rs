//! Single flags, links and fields that the larger tests do not look at alone.

use super::super::map::bucket;
use super::*;
use crate::time::{Duration, Instant};
use std::collections::BTreeSet;

fn replica(n: u16, port: u16, of: NodeIndex) -> NewNode<'static> {
    NewNode { role: Role::Replica, primary: Some(of), ..primary(n, port) }
}

#[test]
fn a_squeeze_that_frees_little_is_the_last() {
    // Nothing to join but one end: 10-19 follows 0-9 and comes later.
    for (further, cut) in [(&[(10, 19, 2)][..], true), (&[(10, 19, 2), (40, 49, 1)][..], false)] {
        let mut tables = Tables::new(4, 16, 64, false);
        let mut map = tables.map_mut();
        map.clear();
        let nodes: Vec<_> = (0..3).map(|n| map.add_node(&primary(n, n + 1))).collect();
        let mut ranges = vec![(0, 9, 0), (30, 39, 1)];
        ranges.extend(further);
        let isolated = (16 - 2 * ranges.len()) / 2;
        ranges.extend((0..isolated).map(|n| (1_000 + 20 * n as u16, 1_005 + 20 * n as u16, 0)));
        // The table is full: this one needs room for its beginning, its end needs none.
        ranges.push((9_000, 16_383, 2));
        for (first, last, node) in ranges {
            map.add_range(range(first, last), nodes[node]).unwrap();
        }
        map.finish().unwrap();
        assert_eq!(tables.map().overflowed(), cut, "{further:?}");
    }
}

#[test]
fn sorting_the_ranges_forgets_nothing_else() {
    let mut tables = Tables::new(1, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let first = map.add_node(&primary(0, 1));
    assert_eq!(map.add_node(&primary(1, 2)), None, "no room");
    map.add_range(range(100, 199), first).unwrap();
    map.add_range(range(0, 9), None).unwrap();
    map.finish().unwrap();
    assert!(tables.map().overflowed());
    assert_eq!(print(&tables.map()), "0-9=? 10-99=- 100-199=1 200-16383=-");
}

#[test]
fn a_map_made_by_hand_is_as_it_was_told() {
    for dense in [false, true] {
        let mut tables = Tables::new(4, 16, 64, dense);
        let mut map = tables.map_mut();
        map.clear();
        let first = map.add_node(&primary(0, 1)).unwrap();
        let second = map.add_node(&replica(1, 2, first));
        map.add_range(range(0, 16_383), second).unwrap();
        map.finish().unwrap();
        assert_eq!(print(&tables.map()), "0-16383=2");
        map_versions(&mut tables);
    }
}

/// Every build counts on by one.
fn map_versions(tables: &mut Tables) {
    for version in 2..5 {
        let mut map = tables.map_mut();
        map.clear();
        let node = map.add_node(&primary(0, 1));
        map.add_range(range(0, 1), node).unwrap();
        map.finish().unwrap();
        assert_eq!((tables.head.version(), tables.map().version()), (version, version));
    }
}

#[test]
fn nodes_are_spread_over_the_buckets() {
    for len in [16, 1_000, 65_000] {
        let places: Vec<usize> = (0..1_000).map(|n| bucket(&id(n), len)).collect();
        assert!(places.iter().all(|place| *place < len));
        let different = places.iter().collect::<BTreeSet<_>>().len();
        // 1,000 thrown at random into 1,000 places hit 632 of them.
        assert!(
            different >= [16, 560, 950][[16, 1_000, 65_000].iter().position(|it| *it == len).unwrap()],
            "{different}"
        );
    }
}

#[test]
fn every_node_is_found_in_a_copy_of_another_size() {
    for (from, to) in [(40, 90), (90, 40), (300, 41)] {
        let mut tables = Tables::new(from, 16, 64, false);
        let mut map = tables.map_mut();
        map.clear();
        let nodes: Vec<_> = (0..40).map(|n| map.add_node(&primary(n, n + 1))).collect();
        map.add_range(range(0, 16_383), nodes[0]).unwrap();
        map.finish().unwrap();
        let mut copy = Tables::new(to, 16, 64, false);
        copy.map_mut().copy_from(&tables.map()).unwrap();
        for (n, index) in nodes.into_iter().enumerate() {
            assert_eq!(copy.map().find(&id(n as u16)), index, "{n} of {from} in {to}");
        }
    }
}

#[test]
fn tables_that_are_lent_on_are_the_same() {
    let (mut nodes, mut ranges, mut hosts, mut dense) = ([Node::EMPTY; 2], [RangeEntry::EMPTY; 3], [0; 4], [0_u16; 5]);
    let mut parts = MapParts { nodes: &mut nodes, ranges: &mut ranges, hosts: &mut hosts, dense: Some(&mut dense) };
    let lent = parts.reborrow();
    let lens = (lent.nodes.len(), lent.ranges.len(), lent.hosts.len(), lent.dense.map(|dense| dense.len()));
    assert_eq!(lens, (2, 3, 4, Some(5)));
}

#[test]
fn boundaries_that_were_joined_are_not_read() {
    let mut tables = Tables::new(2, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let node = map.add_node(&primary(0, 1));
    // One range in the end; behind it in the table stands what is left of two.
    for (first, last) in [(100, 16_383), (0, 99)] {
        map.add_range(range(first, last), node).unwrap();
    }
    map.finish().unwrap();
    assert_eq!(print(&map.map()), "0-16383=1");
    let other = map.add_node(&primary(1, 2)).unwrap();
    assert!(map.patch(slot(99), other));
    assert_eq!(print(&tables.map()), "0-98=1 99=2 100-16383=1");
}

#[test]
fn owners_left_out_of_a_copy_are_one_unknown() {
    for dense in [false, true] {
        let mut tables = Tables::new(5, 16, 64, dense);
        let mut map = tables.map_mut();
        map.clear();
        for n in 0..5 {
            let node = map.add_node(&primary(n, n + 1));
            map.add_range(range(n * 100, n * 100 + 99), node).unwrap();
        }
        map.finish().unwrap();
        let mut copy = Tables::new(3, 16, 64, dense);
        copy.map_mut().copy_from(&tables.map()).unwrap();
        assert_eq!(print(&copy.map()), "0-99=1 100-199=2 200-299=3 300-499=? 500-16383=-");
    }
}

#[test]
fn a_replica_of_a_replica_takes_nothing_from_it() {
    let mut tables = Tables::new(4, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let first = map.add_node(&primary(0, 1)).unwrap();
    let second = map.add_node(&replica(1, 2, first)).unwrap();
    let third = map.add_node(&replica(2, 3, second)).unwrap();
    map.add_range(range(0, 16_383), Some(first)).unwrap();
    map.finish().unwrap();
    let behind = NodeIndex::new(3).unwrap();
    assert!(map.node_mut(third).is_some() && map.node_mut(behind).is_none() && map.map().node(behind).is_none());
    let map = tables.map();
    let primary_of = |index| map.node(index).and_then(Node::primary);
    assert_eq!([first, second, third].map(primary_of), [None, Some(first), Some(second)]);
    assert_eq!(map.all_replicas(first).collect::<Vec<_>>(), [second]);
}

#[test]
fn the_other_replicas_follow_a_promoted_one() {
    let mut tables = Tables::new(8, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let (a, b) = (map.add_node(&primary(0, 1)).unwrap(), map.add_node(&primary(1, 2)).unwrap());
    let of_a: Vec<_> = (2..5).map(|n| map.add_node(&replica(n, n + 1, a)).unwrap()).collect();
    let of_b = map.add_node(&replica(5, 6, b)).unwrap();
    map.add_range(range(0, 99), Some(a)).unwrap();
    map.add_range(range(100, 199), Some(b)).unwrap();
    map.finish().unwrap();
    assert_eq!(moved(&mut map, slot(7), of_a[1]), MovedCase::Promoted);
    let map = tables.map();
    assert_eq!(map.all_replicas(of_a[1]).collect::<Vec<_>>(), [a, of_a[0], of_a[2]]);
    assert_eq!(map.all_replicas(b).collect::<Vec<_>>(), [of_b]);
    assert_eq!(map.all_replicas(a).count(), 0);
    for index in [a, of_a[0], of_a[2]] {
        assert_eq!(map.node(index).unwrap().primary(), Some(of_a[1]));
    }
    assert_eq!(map.node(of_b).unwrap().primary(), Some(b));
}

#[test]
fn words_and_marks_of_nodes() {
    assert_eq!((Role::Primary.name(), Role::Replica.name()), ("primary", "replica"));
    let mut tables = Tables::new(4, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let nodes = [0, 1].map(|n| map.add_node(&primary(n, n + 1)));
    map.add_range(range(0, 9), nodes[0]).unwrap();
    map.finish().unwrap();
    map.refuse(|addr| addr.port() == 2);
    let refused: Vec<bool> = tables.map().nodes().map(|(_, node)| node.is_refused()).collect();
    assert_eq!(refused, [false, true]);
}

#[test]
fn each_redirect_is_remembered_for_itself() {
    let (mut current, mut one, mut other) =
        (Tables::new(8, 16, 64, false), Tables::new(8, 16, 64, false), Tables::new(8, 16, 64, false));
    for tables in [&mut current, &mut one, &mut other] {
        let mut map = tables.map_mut();
        map.clear();
        let nodes: Vec<_> = (0..3).map(|n| map.add_node(&primary(n, n + 1))).collect();
        for (at, node) in nodes.into_iter().enumerate() {
            map.add_range(range(at as u16 * 100, at as u16 * 100 + 99), node).unwrap();
        }
        map.finish().unwrap();
    }
    let target = |tables: &Tables| tables.map().find(&id(2)).unwrap();
    let mut fresh = Freshness::new(Duration::from_secs(2));
    for at in [7, 107] {
        let node = target(&current);
        moved(&mut current.map_mut(), slot(at), node);
        fresh.note_moved(Instant::from_micros(1_000), slot(at), id(2));
    }
    // Each of these replies takes one of the two back.
    for (tables, kept) in [(&mut one, 7), (&mut other, 107)] {
        let node = target(tables);
        moved(&mut tables.map_mut(), slot(kept), node);
        let verdict = fresh.clone().judge(Instant::from_micros(2_000), id(0), &current.map(), &tables.map());
        assert_eq!(verdict, Verdict::Suspect, "keeps {kept}");
    }
}

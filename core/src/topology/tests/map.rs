use super::*;
use crate::rand::Rand;

/// Three primaries with a third of the slots each and one replica each (ports 1 to 3, 11 to 13).
fn six(tables: &mut Tables) {
    let mut map = tables.map_mut();
    map.clear();
    for n in 0..3 {
        let index = map.add_node(&primary(n, n + 1)).unwrap();
        let replica =
            NewNode { role: Role::Replica, primary: Some(index), port: n + 11, id: id(n + 10), ..primary(0, 0) };
        map.add_node(&replica).unwrap();
        map.add_range([range(0, 5460), range(5461, 10922), range(10923, 16383)][usize::from(n)], Some(index)).unwrap();
    }
    map.finish().unwrap();
}

#[test]
fn looks_up_in_both_layouts() {
    for dense in [false, true] {
        let mut tables = Tables::new(8, if dense { 0 } else { 8 }, 64, dense);
        six(&mut tables);
        let map = tables.map();
        assert_eq!(print(&map), "0-5460=1 5461-10922=2 10923-16383=3");
        for (n, port) in [(0, 1), (5460, 1), (5461, 2), (10922, 2), (10923, 3), (16383, 3)] {
            let Owner::Node(index) = map.owner(slot(n)) else { panic!("{n}") };
            assert_eq!(map.node(index).unwrap().port(), port);
        }
        assert_eq!((map.covered(), map.node_count(), map.overflowed(), map.version()), (16384, 6, false, 1));
        let index = map.find(&id(1)).unwrap();
        assert_eq!(map.find_addr("10.0.0.1", 2), Some(index));
        assert_eq!(map.find_addr("10.0.0.2", 2), None);
        assert_eq!(map.find(&id(99)), None);
        let replicas: Vec<_> = map.replicas(index).map(|r| map.node(r).unwrap().port()).collect();
        assert_eq!(replicas, [12]);
        let shard = map.shards().nth(1).unwrap();
        assert_eq!((shard.primary(), shard.replicas().count()), (index, 1));
        assert_eq!(shard.slots().collect::<Vec<_>>(), [range(5461, 10922)]);
        assert_eq!(map.node(map.find(&id(11)).unwrap()).unwrap().primary(), Some(index));
        // One host for six nodes: it is stored once.
        assert_eq!(map.head.hosts, 10);
    }
}

#[test]
fn an_empty_map_has_no_owners() {
    for dense in [false, true] {
        let mut tables = Tables::new(4, 4, 16, dense);
        assert_eq!(tables.map().owner(slot(7)), Owner::Uncovered);
        assert_eq!(print(&tables.map()), "0-16383=-");
        assert_eq!(tables.map().find(&id(0)), None);
        let mut map = tables.map_mut();
        map.clear();
        map.add_node(&primary(0, 1)).unwrap();
        assert_eq!(map.finish(), Err(Rejection::Empty));
        assert!(tables.map().is_empty());
        assert_eq!(Map::empty().owner(slot(0)), Owner::Uncovered);
    }
}

#[test]
fn ranges_in_any_order() {
    let all = [(0, 99, 0), (100, 199, 1), (200, 299, 0), (500, 500, 1), (501, 600, 1), (16000, 16383, 0)];
    let want = "0-99=1 100-199=2 200-299=1 300-499=- 500-600=2 601-15999=- 16000-16383=1";
    let mut rand = Rand::new(3);
    for round in 0..200 {
        let mut order = all.to_vec();
        for at in (1..order.len()).rev() {
            order.swap(at, rand.below(at as u32 + 1) as usize);
        }
        for dense in [false, true] {
            // Room for two entries a range: nothing is lost whatever the order.
            let mut tables = Tables::new(2, 12, 64, dense);
            let mut map = tables.map_mut();
            map.clear();
            let nodes = [map.add_node(&primary(0, 1)), map.add_node(&primary(1, 2))];
            for (first, last, n) in &order {
                map.add_range(range(*first, *last), nodes[*n]).unwrap();
            }
            map.finish().unwrap();
            assert_eq!(print(&tables.map()), want, "{round} {order:?}");
            assert_eq!(tables.map().covered(), 300 + 101 + 384);
        }
    }
}

#[test]
fn overlaps_are_rejected() {
    for (a, b) in [
        ((0, 16383), (5, 5)),
        ((0, 99), (99, 200)),
        ((100, 199), (0, 100)),
        ((100, 199), (100, 199)),
        ((100, 199), (100, 100)),
        ((100, 199), (150, 160)),
        ((150, 160), (100, 199)),
        ((0, 8191), (8191, 16382)),
    ] {
        for between in [None, Some((300, 310)), Some((16000, 16383))] {
            for dense in [false, true] {
                let mut tables = Tables::new(4, 16, 64, dense);
                let mut map = tables.map_mut();
                map.clear();
                let nodes: Vec<_> = (0..3).map(|n| map.add_node(&primary(n, n + 1))).collect();
                let between = between.filter(|(first, _)| *first > a.1.max(b.1));
                let ranges = [Some(a), between, Some(b)];
                let mut result = Ok(());
                for ((first, last), node) in ranges.into_iter().flatten().zip(nodes) {
                    result = result.and(map.add_range(range(first, last), node));
                }
                assert_eq!(result.and(map.finish()), Err(Rejection::Overlap), "{a:?} {between:?} {b:?} {dense}");
            }
        }
    }
}

/// Builds from random disjoint ranges and applies random patches, in both layouts and in a plain array.
#[test]
fn agrees_with_a_plain_array() {
    let mut rand = Rand::new(11);
    for round in 0..12 {
        let mut model = vec![0_u16; 16384]; // port, 0 for uncovered
        let mut cut = vec![];
        let mut at = 0_u32;
        while at < 16384 {
            let end = (at + 1 + rand.below(if round % 2 == 0 { 40 } else { 4_000 })).min(16384);
            let port = rand.below(5) as u16;
            if port > 0 {
                cut.push((at as u16, end as u16 - 1, port));
                model[at as usize..end as usize].fill(port);
            }
            at = end;
        }
        for i in (1..cut.len()).rev() {
            cut.swap(i, rand.below(i as u32 + 1) as usize);
        }
        let mut both = [Tables::new(4, 32768, 64, false), Tables::new(4, 0, 64, true)];
        for tables in &mut both {
            let mut map = tables.map_mut();
            map.clear();
            let nodes: Vec<_> = (0..4).map(|n| map.add_node(&primary(n, n + 1)).unwrap()).collect();
            for (first, last, port) in &cut {
                map.add_range(range(*first, *last), Some(nodes[usize::from(*port) - 1])).unwrap();
            }
            map.finish().unwrap();
        }
        for step in 0..300 {
            if step > 0 {
                // Often next to the last one, so that runs grow, split and join again.
                let n = if step % 3 == 0 { rand.below(16384) } else { rand.below(8) } as u16;
                let node = NodeIndex::new(rand.below(4) as usize).unwrap();
                model[usize::from(n)] = node.index() as u16 + 1;
                for tables in &mut both {
                    assert!(tables.map_mut().patch(slot(n), node));
                }
            }
            if step % 50 == 0 || round == 0 {
                for tables in &both {
                    let map = tables.map();
                    for (n, port) in model.iter().enumerate() {
                        // Inside of a run a sample will do.
                        let edge = n == 0 || n == 16383 || model[n - 1] != *port || model[n + 1] != *port;
                        if !edge && n % 61 != step % 61 {
                            continue;
                        }
                        let got = match map.owner(slot(n as u16)) {
                            Owner::Node(index) => map.node(index).unwrap().port(),
                            Owner::Uncovered => 0,
                            Owner::Unknown => panic!("unknown"),
                        };
                        assert_eq!(got, *port, "round {round} step {step} slot {n}");
                    }
                }
            }
            if step % 100 == 0 {
                assert_eq!(print(&both[0].map()), print(&both[1].map()));
                assert_eq!(both[0].map().covered(), model.iter().filter(|port| **port > 0).count() as u16);
            }
            // Neighbours differ: the table is as small as it can be.
            let used = &both[0].map().ranges;
            assert!(used.windows(2).all(|two| two[0].first < two[1].first && two[0].node != two[1].node));
            assert_eq!(both[0].map().covered(), both[1].map().covered());
        }
    }
}

#[test]
fn too_many_ranges_become_unknown() {
    let mut tables = Tables::new(4, 8, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let nodes: Vec<_> = (0..4).map(|n| map.add_node(&primary(n, n + 1))).collect();
    for n in 0..100_u16 {
        map.add_range(range(n * 10, n * 10 + 9), nodes[usize::from(n % 4)]).unwrap();
    }
    map.finish().unwrap();
    let map = tables.map();
    assert!(map.overflowed());
    assert_eq!(map.covered(), 1000);
    assert_eq!(print(&map), "0-9=1 10-19=2 20-29=3 30-39=4 40-49=1 50-59=2 60-69=3 70-16383=?");
    assert_eq!(map.uncovered().count(), 0);
    // Overlaps with what was left out still show in the sum of lengths.
    let mut map = tables.map_mut();
    map.clear();
    let node = map.add_node(&primary(0, 1));
    map.add_range(range(0, 16383), node).unwrap();
    assert_eq!(map.add_range(range(9, 9), node), Err(Rejection::Overlap));
}

#[test]
fn unsorted_ranges_join_before_they_are_called_too_many() {
    // 64 ranges of one node in the worst order fit in a table of 10.
    let mut tables = Tables::new(4, 10, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    let node = map.add_node(&primary(0, 1));
    for n in (0..64_u16).rev() {
        map.add_range(range(n * 256, n * 256 + 255), node).unwrap();
    }
    map.finish().unwrap();
    assert_eq!(print(&tables.map()), "0-16383=1");
    assert!(!tables.map().overflowed());
}

#[test]
fn too_many_nodes_become_unknown_owners() {
    for dense in [false, true] {
        let mut tables = Tables::new(2, 16, 64, dense);
        let mut map = tables.map_mut();
        map.clear();
        for n in 0..4 {
            let node = map.add_node(&primary(n, n + 1));
            assert_eq!(node.is_some(), n < 2);
            map.add_range(range(n * 100, n * 100 + 99), node).unwrap();
        }
        map.finish().unwrap();
        assert_eq!(print(&tables.map()).split(" 400").next().unwrap(), "0-99=1 100-199=2 200-399=?");
        assert_eq!(tables.map().owner(slot(400)), Owner::Uncovered);
        assert!(tables.map().overflowed());
    }
}

#[test]
fn a_host_without_room_leaves_the_node_without_address() {
    let mut tables = Tables::new(4, 16, 15, false);
    let mut map = tables.map_mut();
    map.clear();
    let a = map.add_node(&primary(0, 1)).unwrap();
    let b = map.add_node(&NewNode { host: "10.0.0.22", ..primary(1, 1) }).unwrap();
    map.add_range(range(0, 9), Some(b)).unwrap();
    map.finish().unwrap();
    assert_eq!(tables.map().addr(a).map(|addr| addr.host()), Some("10.0.0.1"));
    assert_eq!(tables.map().addr(b), None);
    assert!(tables.map().overflowed());
}

#[test]
fn five_cases_of_moved() {
    for dense in [false, true] {
        let mut tables = Tables::new(8, 16, 64, dense);
        let port = |tables: &Tables, n| match tables.map().owner(slot(n)) {
            Owner::Node(index) => tables.map().node(index).unwrap().port(),
            _ => 0,
        };
        six(&mut tables);
        let at = |tables: &Tables, n: u16| tables.map().find(&id(n)).unwrap();

        let target = at(&tables, 0);
        assert_eq!(moved(&mut tables.map_mut(), slot(5), target), MovedCase::Known);
        assert_eq!(tables.map().version(), 1);

        let target = at(&tables, 1);
        assert_eq!(moved(&mut tables.map_mut(), slot(5), target), MovedCase::OtherPrimary);
        assert_eq!((port(&tables, 4), port(&tables, 5), port(&tables, 6)), (1, 2, 1));
        assert!(tables.map().version() > 1);

        // A failover of the first shard: all of its slots go along, the moved one stays.
        let target = at(&tables, 10);
        assert_eq!(moved(&mut tables.map_mut(), slot(9), target), MovedCase::Promoted);
        assert_eq!((port(&tables, 4), port(&tables, 5), port(&tables, 9), port(&tables, 5460)), (11, 2, 11, 11));
        let map = tables.map();
        let old = map.find(&id(0)).unwrap();
        assert_eq!(map.node(old).unwrap().primary(), Some(target));
        assert!(map.node(target).unwrap().is_primary());
        // Nobody knows what became of it: it is no replica to read from.
        assert_eq!((map.all_replicas(target).count(), map.replicas(target).count()), (1, 0));

        let target = at(&tables, 12);
        assert_eq!(moved(&mut tables.map_mut(), slot(9), target), MovedCase::OtherReplica);
        assert_eq!((port(&tables, 9), port(&tables, 10), port(&tables, 16383)), (13, 11, 3));
        let map = tables.map();
        assert!(map.node(target).unwrap().is_primary());
        assert_eq!(map.all_replicas(map.find(&id(2)).unwrap()).count(), 0);

        let addr = NodeAddr::new("10.0.0.9", 77).unwrap();
        assert_eq!(moved_to(&mut tables.map_mut(), slot(16383), addr), MovedCase::NewNode);
        assert_eq!((port(&tables, 16382), port(&tables, 16383)), (3, 77));
        assert_eq!(moved_to(&mut tables.map_mut(), slot(16383), addr), MovedCase::Known);
        let known = NodeAddr::new("10.0.0.1", 3).unwrap();
        assert_eq!(moved_to(&mut tables.map_mut(), slot(16383), known), MovedCase::OtherPrimary);
        assert_eq!(moved(&mut tables.map_mut(), slot(0), NodeIndex::new(7).unwrap()), MovedCase::NoRoom);
    }
}

#[test]
fn moved_of_an_uncovered_slot() {
    for dense in [false, true] {
        let mut tables = Tables::new(4, 16, 64, dense);
        let addr = NodeAddr::new("10.0.0.9", 77).unwrap();
        // Into a map that no reply ever filled.
        assert_eq!(moved_to(&mut tables.map_mut(), slot(7), addr), MovedCase::NewNode);
        assert_eq!(print(&tables.map()), "0-6=- 7=77 8-16383=-");
        assert_eq!(tables.map().covered(), 1);
    }
}

#[test]
fn a_full_range_table_keeps_the_old_owner() {
    let mut tables = Tables::new(8, 3, 64, false);
    six(&mut tables);
    let target = tables.map().find(&id(1)).unwrap();
    assert_eq!(moved(&mut tables.map_mut(), slot(5), target), MovedCase::NoRoom);
    assert_eq!(print(&tables.map()), "0-5460=1 5461-10922=2 10923-16383=3");
    assert!(tables.map().overflowed());
    // At the edge of a run no entry more is needed.
    assert_eq!(moved(&mut tables.map_mut(), slot(5460), target), MovedCase::OtherPrimary);
    assert_eq!(print(&tables.map()), "0-5459=1 5460-10922=2 10923-16383=3");
}

#[test]
fn copies_between_tables_of_any_size() {
    for (from, to) in [(false, true), (true, false), (false, false)] {
        let mut a = Tables::new(8, 16, 64, from);
        six(&mut a);
        let mut b = Tables::new(20, 40, 640, to);
        b.map_mut().copy_from(&a.map()).unwrap();
        assert_eq!(print(&a.map()), print(&b.map()));
        for (index, node) in a.map().nodes() {
            assert_eq!(b.map().find(&node.id()), Some(index));
            assert_eq!(a.map().addr(index), b.map().addr(index));
            assert_eq!(a.map().replicas(index).count(), b.map().replicas(index).count());
        }
        // Into a smaller one, what does not fit is unknown.
        let mut small = Tables::new(3, 16, 64, to);
        small.map_mut().copy_from(&a.map()).unwrap();
        assert_eq!(print(&small.map()), "0-5460=1 5461-10922=2 10923-16383=?");
        small.map_mut().copy_from(&Map::empty()).unwrap();
        assert!(small.map().is_empty());
    }
}

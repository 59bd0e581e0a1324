use std::collections::BTreeSet;

use super::*;
use crate::time::{Duration, Instant};
use crate::topology::freshness::bits;

pub(super) fn ms(n: u64) -> Instant {
    Instant::from_micros(n * 1_000)
}

/// Slots 0-99, 100-199 and so on of these nodes, with these epochs.
pub(super) fn view<const N: usize>(owners: [u16; N], epochs: Option<[u64; N]>) -> Tables {
    let mut tables = Tables::new(8, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    for (n, owner) in owners.into_iter().enumerate() {
        let epoch = epochs.map(|epochs| epochs[n]);
        let index = map.add_node(&NewNode { epoch, ..primary(owner, owner + 1) });
        map.add_range(range(n as u16 * 100, n as u16 * 100 + 99), index).unwrap();
    }
    map.finish().unwrap();
    tables
}

pub(super) fn fresh() -> Freshness {
    Freshness::new(Duration::from_secs(2))
}

#[test]
fn ordinary_changes_are_taken_at_once() {
    let (a, b) = (view([0, 1, 2], None), view([0, 1, 3], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(0), &Map::empty(), &a.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(1), id(1), &a.map(), &a.map()), Verdict::Same);
    assert_eq!(fresh.judge(ms(2), id(1), &a.map(), &b.map()), Verdict::Newer);
}

#[test]
fn a_view_that_was_replaced_does_not_come_back_at_once() {
    let (a, b) = (view([0, 1, 2], None), view([0, 1, 3], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(1), &a.map(), &b.map()), Verdict::Newer);
    // The node that lags behind says the same again and again, alone.
    for n in 1..20 {
        assert_eq!(fresh.judge(ms(n * 100), id(0), &b.map(), &a.map()), Verdict::Suspect);
        assert_eq!(fresh.judge(ms(n * 100 + 1), id(1), &b.map(), &b.map()), Verdict::Same);
    }
    assert_eq!(fresh.judge(ms(2_500), id(0), &b.map(), &a.map()), Verdict::Suspect, "one against one");
    // A second node says so too: the slots did go back.
    assert_eq!(fresh.judge(ms(2_600), id(2), &b.map(), &a.map()), Verdict::Newer);
}

#[test]
fn a_majority_has_to_hold() {
    let (a, b) = (view([0, 1, 2], None), view([0, 1, 3], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(1), &a.map(), &b.map()), Verdict::Newer);
    for n in 0..6 {
        assert_eq!(fresh.judge(ms(100), id(n), &b.map(), &a.map()), Verdict::Suspect, "not for long enough");
    }
    assert_eq!(fresh.judge(ms(2_099), id(0), &b.map(), &a.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_103), id(0), &b.map(), &a.map()), Verdict::Newer);
}

#[test]
fn other_changes_do_not_begin_the_hold_time_anew() {
    let current = view([0, 1, 2], Some([5, 6, 7]));
    let mut fresh = fresh();
    // The third shard was taken over with a lower epoch, say all, and each has other news of the second.
    for (n, epoch) in (0..20).zip(7..) {
        let reply = view([0, 10 + n, 4], Some([5, epoch, 3]));
        let verdict = fresh.judge(ms(u64::from(n) * 100), id(n), &current.map(), &reply.map());
        assert_eq!(verdict, Verdict::Suspect, "{n}");
    }
    let reply = view([0, 9, 4], Some([5, 40, 3]));
    assert_eq!(fresh.judge(ms(2_010), id(0), &current.map(), &reply.map()), Verdict::Newer);
    // Those of another node are another matter, and are for as long. Who says so in turns holds nothing up.
    let mut fresh = Freshness::new(Duration::from_secs(2));
    for (at, third) in [(0, true), (1_500, false), (2_100, true), (2_800, false), (3_490, true)] {
        let reply = view(if third { [0, 1, 4] } else { [4, 1, 2] }, Some([3, 6, 3]));
        assert_eq!(fresh.judge(ms(at), id(1), &current.map(), &reply.map()), Verdict::Suspect, "{at}");
    }
    let reply = view([0, 1, 4], Some([3, 6, 3]));
    assert_eq!(fresh.judge(ms(3_510), id(1), &current.map(), &reply.map()), Verdict::Newer);
}

#[test]
fn lost_slots_are_suspect() {
    let full = view([0, 1, 2], None);
    let part = view([0], None);
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(0), &full.map(), &part.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(1), id(1), &full.map(), &full.map()), Verdict::Same);
    assert_eq!(fresh.judge(ms(5_000), id(0), &full.map(), &part.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(5_001), id(2), &full.map(), &part.map()), Verdict::Newer, "so say all but one");
}

#[test]
fn another_doubt_starts_anew() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let part = view([0], None);
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(1_500), id(6), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_100), id(5), &ours.map(), &part.map()), Verdict::Suspect, "nobody said so before");
    assert_eq!(fresh.judge(ms(4_000), id(5), &ours.map(), &part.map()), Verdict::Suspect, "not for long enough");
    assert_eq!(fresh.judge(ms(4_105), id(5), &ours.map(), &part.map()), Verdict::Newer);
    // So does the same one, when something else was taken in between.
    let (next, mut fresh) = (view([0, 1, 3], None), Freshness::new(Duration::from_secs(2)));
    assert_eq!(fresh.judge(ms(0), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(10), id(0), &ours.map(), &next.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(1_000), id(5), &next.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_500), id(5), &next.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(3_005), id(5), &next.map(), &theirs.map()), Verdict::Newer);
}

#[test]
fn the_same_slots_of_another_node_are_another_doubt() {
    let ours = view([0, 1, 2], Some([5, 5, 5]));
    let older = |owner: u16| view([owner, 1, 2], Some([1, 5, 5]));
    for (then, verdict) in [(older(3), Verdict::Newer), (older(4), Verdict::Suspect)] {
        let mut fresh = fresh();
        for (at, from) in [(0, 3), (1_500, 4)] {
            assert_eq!(fresh.judge(ms(at), id(from), &ours.map(), &older(3).map()), Verdict::Suspect);
        }
        assert_eq!(fresh.judge(ms(2_105), id(3), &ours.map(), &then.map()), verdict);
    }
}

#[test]
fn what_is_confirmed_overrules_what_was_replaced_before() {
    let (a, b) = (view([0, 1, 2], None), view([0, 1, 3], None));
    let part = view([0], None);
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(1), &a.map(), &b.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(100), id(3), &b.map(), &part.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_205), id(3), &b.map(), &part.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(2_300), id(1), &part.map(), &a.map()), Verdict::Newer, "no view of before counts");
}

#[test]
fn a_word_counts_for_the_whole_round() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    for n in 0..2 {
        assert_eq!(fresh.judge(ms(10), id(n), &ours.map(), &ours.map()), Verdict::Same);
    }
    // One node says so ten times, two said otherwise once.
    for n in 1..=10 {
        assert_eq!(fresh.judge(ms(n * 201), id(5), &ours.map(), &theirs.map()), Verdict::Suspect, "{n}");
    }
}

#[test]
fn what_all_have_said_for_the_hold_time_is_believed_whatever_was_suspect_of_it() {
    let patched = |epochs| {
        let mut tables = view([0, 1, 2], epochs);
        let target = tables.map().find(&id(1)).unwrap();
        moved(&mut tables.map_mut(), slot(7), target);
        tables
    };
    let mut fresh = fresh();
    fresh.note_moved(ms(0), slot(7), id(1));
    for at in [10, 1_000] {
        let (current, theirs) = (patched(None), view([0, 1, 2], None));
        assert_eq!(fresh.judge(ms(at), id(0), &current.map(), &theirs.map()), Verdict::Suspect);
    }
    // By now it is the epochs that speak against it.
    let (current, theirs) = (patched(Some([5, 6, 7])), view([0, 1, 2], Some([5, 6, 7])));
    let mut other = fresh.clone();
    assert_eq!(other.judge(ms(2_100), id(2), &current.map(), &current.map()), Verdict::Same);
    assert_eq!(other.judge(ms(3_000), id(2), &current.map(), &theirs.map()), Verdict::Suspect, "one said otherwise");
    assert_eq!(fresh.judge(ms(3_000), id(2), &current.map(), &theirs.map()), Verdict::Newer);
}

#[test]
fn several_replaced_views_are_remembered() {
    let views: Vec<_> = (2..7).map(|n| view([0, 1, n], None)).collect();
    let mut fresh = fresh();
    for (n, two) in views.windows(2).enumerate() {
        assert_eq!(fresh.judge(ms(n as u64), id(0), &two[0].map(), &two[1].map()), Verdict::Newer);
    }
    for old in &views[..4] {
        assert_eq!(fresh.clone().judge(ms(100), id(0), &views[4].map(), &old.map()), Verdict::Suspect);
    }
}

#[test]
fn who_is_not_heard_any_more_has_no_say() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let mut fresh = fresh();
    // The other cluster's map is in use, and its node speaks for it once.
    assert_eq!(fresh.judge(ms(0), id(0), &theirs.map(), &ours.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(100), id(5), &theirs.map(), &theirs.map()), Verdict::Same);
    // From then on one node is reached, time and again.
    let right = (1..).find(|n| fresh.judge(ms(n * 300), id(0), &theirs.map(), &ours.map()) == Verdict::Newer);
    let took = right.unwrap() * 300;
    assert!((2_000..=4_600).contains(&took), "{took} ms");
    // While both are heard, it stays as it is.
    let mut fresh = Freshness::new(Duration::from_secs(2));
    for n in 0..100 {
        assert_eq!(fresh.judge(ms(n * 300), id(0), &theirs.map(), &ours.map()), Verdict::Suspect);
        assert_eq!(fresh.judge(ms(n * 300 + 1), id(5), &theirs.map(), &theirs.map()), Verdict::Same);
    }
}

#[test]
fn epochs_decide_where_they_are_known() {
    let current = view([0, 1, 2], Some([1, 2, 3]));
    for (owners, epochs, want) in [
        ([0, 1, 2], [1, 2, 3], Verdict::Same),
        ([0, 1, 4], [1, 2, 7], Verdict::Newer),
        ([0, 4, 2], [1, 3, 3], Verdict::Newer),
        // An older primary of the third shard.
        ([0, 1, 4], [1, 2, 2], Verdict::Suspect),
        // Newer in one shard, older in another.
        ([5, 1, 4], [9, 2, 2], Verdict::Suspect),
    ] {
        let candidate = view(owners, Some(epochs));
        assert_eq!(fresh().judge(ms(0), id(0), &current.map(), &candidate.map()), want, "{owners:?} {epochs:?}");
    }
    // A cluster that was rebuilt starts again with low epochs: the others confirm it.
    let rebuilt = view([5, 6, 7], Some([1, 1, 1]));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(5), &current.map(), &rebuilt.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(1_000), id(6), &current.map(), &rebuilt.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_003), id(7), &current.map(), &rebuilt.map()), Verdict::Newer);
}

#[test]
fn digest_is_about_slots_only() {
    let a = view([0, 1, 2], Some([1, 2, 3]));
    let mut other = Tables::new(8, 0, 64, true);
    let mut map = other.map_mut();
    map.clear();
    // Another order, another layout, other addresses.
    for n in [2_u16, 0, 1] {
        let index = map.add_node(&NewNode { host: "elsewhere", port: 9, ..primary(n, 0) });
        map.add_range(range(n * 100 + 50, n * 100 + 99), index).unwrap();
        map.add_range(range(n * 100, n * 100 + 49), index).unwrap();
    }
    map.finish().unwrap();
    assert_eq!(digest(&a.map()), digest(&other.map()));
    assert_ne!(digest(&a.map()), digest(&view([0, 2, 1], None).map()));
    assert_ne!(digest(&a.map()), digest(&Map::empty()));
}

#[test]
fn enriches_with_epochs_health_and_nodes_without_slots() {
    let mut map = view([0, 1, 2], None);
    let mut other = view([0, 1, 2], Some([4, 5, 6]));
    // A node without slots, its replica, and another state of node 2.
    let mut change = other.map_mut();
    let bare = change.add_node(&NewNode { host: "10.9.9.9", epoch: Some(9), ..primary(7, 8) });
    let (role, health) = (Role::Replica, Health::Failed);
    change.add_node(&NewNode { role, health, primary: bare, host: "10.9.9.8", ..primary(6, 7) });
    change.link_replicas();
    let two = change.map().find(&id(2)).unwrap();
    change.node_mut(two).unwrap().health = Health::Suspect;

    let before = print(&map.map());
    map.map_mut().enrich(&other.map());
    let map = map.map();
    assert_eq!(print(&map), before);
    assert_eq!(map.node(map.find(&id(1)).unwrap()).unwrap().epoch(), Some(5));
    assert_eq!(map.node(map.find(&id(2)).unwrap()).unwrap().health(), Health::Suspect);
    let bare = map.find(&id(7)).unwrap();
    assert_eq!(map.addr(bare), Some(NodeAddr::new("10.9.9.9", 8).unwrap()));
    assert_eq!(map.all_replicas(bare).count(), 1);
    assert_eq!(map.replicas(bare).count(), 0, "a failed replica serves no reads");
    assert!(map.has_epochs());
}

#[test]
fn what_a_reply_does_not_know_enriches_nothing() {
    let epoch = |tables: &Tables| tables.map().node(tables.map().find(&id(1)).unwrap()).unwrap().epoch();
    for epochs in [None, Some([4, 5, 6])] {
        let mut map = view([0, 1, 2], epochs);
        map.map_mut().enrich(&view([0, 1, 2], None).map());
        assert_eq!(epoch(&map), epochs.map(|epochs| epochs[1]));
    }
}

#[test]
fn what_nobody_says_any_more_is_not_confirmed_later() {
    let (ours, lost) = (view([0, 1, 2], None), view([0, 1], None));
    for (then, verdict) in [(0, Verdict::Suspect), (1, Verdict::Newer)] {
        let mut fresh = fresh();
        for node in [0, 1] {
            assert_eq!(fresh.judge(ms(0), id(node), &ours.map(), &lost.map()), Verdict::Suspect);
        }
        // Both take it back, or one of them.
        for node in then..2 {
            assert_eq!(fresh.judge(ms(1_000), id(node), &ours.map(), &ours.map()), Verdict::Same);
        }
        assert_eq!(fresh.judge(ms(1_500), id(1), &ours.map(), &lost.map()), Verdict::Suspect);
        assert_eq!(fresh.judge(ms(2_100), id(0), &ours.map(), &lost.map()), verdict);
    }
}

#[test]
fn a_view_that_was_overruled_does_not_come_back_at_once() {
    let (a, b) = (view([0, 1, 2], None), view([0, 3, 2], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(0), &a.map(), &b.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(10), id(1), &b.map(), &a.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_100), id(1), &b.map(), &a.map()), Verdict::Newer, "it was confirmed");
    assert_eq!(fresh.judge(ms(2_200), id(0), &a.map(), &b.map()), Verdict::Suspect, "so this has to be, too");
    assert_eq!(fresh.judge(ms(4_300), id(0), &a.map(), &b.map()), Verdict::Newer);
}

#[test]
fn things_are_told_apart_by_three_of_31_bits() {
    // Counted numbers are worse than what is told apart: ids, of which most are hashes.
    let all: Vec<u32> = (1..=10_000).map(bits).collect();
    assert!(all.iter().all(|set| (1..=3).contains(&set.count_ones())));
    let of_three = all.iter().filter(|set| set.count_ones() == 3).count();
    assert!((8_500..9_600).contains(&of_three), "{of_three}: one in ten has the same bit twice");
    assert!(all.iter().collect::<BTreeSet<_>>().len() > 3_800, "of the 4,495 there are");
    // All serve alike, alone and in pairs, but the highest, which is for views.
    for bit in 0..31_u32 {
        let with: Vec<u32> = all.iter().copied().filter(|set| set >> bit & 1 == 1).collect();
        assert!((700..1_250).contains(&with.len()), "bit {bit}: {}", with.len());
        for other in (0..31).filter(|other| *other != bit) {
            let both = with.iter().filter(|set| *set >> other & 1 == 1).count();
            assert!((20..130).contains(&both), "bits {bit} and {other}: {both}");
        }
    }
    assert!(all.iter().all(|set| set >> 31 == 0));
}

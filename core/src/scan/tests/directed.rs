//! Single situations.

use super::*;

/// A primary that was replaced and cut off has only old keys; the client's map is as old.
#[test]
fn a_cut_off_primary_does_not_vouch() {
    let mut cluster = Cluster::new(3, &[Order::BySlot; 4], 100, false);
    cluster.depose(0, true);
    (0..200).for_each(|_| cluster.add_key());
    cluster.all_throughout();
    let mut run = Run::new(cluster, &ScanOptions::new(), 4, CALM);
    run.map = ClientMap::of(&Cluster::new(3, &[Order::BySlot; 4], 0, false));
    run.finish();
    run.check();
    assert_eq!(run.scan.certificate().check(), Ok(()));
    assert_eq!(run.found.len(), run.cluster.throughout.len());
}

/// A primary that does not know yet that it was replaced, and sees nothing wrong; the map has changed meanwhile.
#[test]
fn the_map_must_agree_when_the_proof_is_closed() {
    let mut cluster = Cluster::new(3, &[Order::BySlot; 4], 100, false);
    cluster.depose(0, false);
    (0..200).for_each(|_| cluster.add_key());
    cluster.all_throughout();
    let mut run = Run::new(cluster, &ScanOptions::new(), 4, CALM);
    run.map = ClientMap::of(&Cluster::new(3, &[Order::BySlot; 4], 0, false));
    while !run.requests.iter().any(|(node, _)| *node == run.cluster.servers[0].id) {
        run.step();
    }
    run.map = ClientMap::of(&run.cluster);
    run.finish();
    run.check();
    assert_eq!(run.scan.certificate().check(), Ok(()));
    assert_eq!(run.found.len(), run.cluster.throughout.len());
}

/// Whatever is behind the connection no longer goes by slots, and no connection was lost.
#[test]
fn every_page_is_checked_for_the_order() {
    for seed in 0..20 {
        let cluster = Cluster::new(seed, &[Order::BySlot], 400, false);
        let mut run = Run::new(cluster, &ScanOptions::new().count(9), 1, CALM);
        while run.found.len() < 60 {
            run.step();
        }
        run.cluster.servers[0].order = Order::OneTable(16);
        run.scan.set_count(2_000);
        run.finish();
        run.check();
        assert_eq!(run.scan.certificate().check(), Ok(()));
    }
}

/// A node whose keys all lie in one slot shows nothing about its order.
#[test]
fn one_slot_is_no_evidence() {
    let mut cluster = Cluster::new(5, &[Order::OneTable(16); 2], 0, false);
    let tag = Slot::of_key(b"{t}");
    cluster.own_only(0, tag.get());
    (0..300).for_each(|n| cluster.insert(0, &format!("{{t}}{n}")));
    cluster.all_throughout();
    let mut run = Run::new(cluster, &ScanOptions::new().count(500), 2, CALM);
    run.finish();
    run.check();
    assert_eq!(run.found.len(), 300);
}

#[test]
fn many_keys_of_one_slot_are_one_piece_of_evidence() {
    let mut walk = Walk { phase: walk::Phase::Probe, ..Walk::IDLE };
    let slot = Slot::of_key(b"{t}");
    (walk.own, walk.next) = (Some((slot, slot)), Cursor::at_slot(slot));
    (0..100).for_each(|_| walk.weigh(slot));
    assert_eq!(walk.evidence, 14);
}

/// The migration ends, and the slot goes on to a third node, while the walk of both its ends is at the second.
#[test]
fn both_ends_of_an_open_migration_must_stay_open() {
    let mut met = 0;
    for seed in 0..20 {
        let mut cluster = Cluster::new(seed, &[Order::BySlot; 3], 50, true);
        (0..20).for_each(|_| cluster.add_key());
        cluster.all_throughout();
        cluster.open_migration();
        let Some(&(n, from, to)) = cluster.open().first() else { continue };
        cluster.step_migration();
        let mut run = Run::new(cluster, &ScanOptions::new().count(1), 3, CALM);
        let mut moved = false;
        while !run.scan.is_done() {
            let passes = run.scan.certificate().counts().passes;
            let page = |(node, kind): &(NodeId, RequestKind)| {
                *node == run.cluster.servers[to].id
                    && matches!(kind, RequestKind::Probe { .. } | RequestKind::Page { .. })
            };
            if !moved && passes > 1 && run.requests.last().is_some_and(page) {
                moved = true;
                met += 1;
                while !run.cluster.open().is_empty() {
                    run.cluster.step_migration();
                }
                run.cluster.hand_over(n, to, 3 - to - from);
            }
            run.step();
        }
        run.check();
        assert_eq!(run.scan.certificate().check(), Ok(()), "seed {seed}");
    }
    assert!(met > 3, "{met}");
}

/// A walk takes about 2.3 KiB and the rest 6.5 KiB, as the documentation says.
#[test]
fn sizes() {
    assert!(size_of::<Walk>() <= 2_400, "{}", size_of::<Walk>());
    assert!(size_of::<ClusterScan<[Walk; 0]>>() <= 6_500, "{}", size_of::<ClusterScan<[Walk; 0]>>());
    assert!(size_of::<ScanRequest>() <= 56 && size_of::<UnlinkKey>() == 12);
    assert_eq!(ClusterScan::<[Walk; 2]>::inline(&ScanOptions::new()).active_walks(), 0);
}

#[test]
fn slots_without_an_owner_are_named() {
    for coverage in [Coverage::Strict, Coverage::AllowUncovered] {
        let mut cluster = Cluster::new(1, &[Order::BySlot; 3], 90, false);
        cluster.owner[16_000..].fill(None);
        let mut run = Run::new(cluster, &ScanOptions::new().coverage(coverage), 2, CALM);
        run.finish();
        run.check();
        let certificate = run.scan.certificate();
        let runs: Vec<_> = certificate.unproven().map(|(range, why)| (range.first().get(), range.len(), why)).collect();
        assert_eq!(runs, [(16_000, 384, Why::Uncovered)]);
        assert_eq!(certificate.check().is_ok(), coverage == Coverage::AllowUncovered);
        if let Err(incomplete) = certificate.check() {
            assert_eq!((incomplete.slots, incomplete.ended), (384, Some(Ended::Stalled)));
        }
    }
}

/// A shard is gone; the scan names its slots, is saved, and goes on when it is back.
#[test]
fn a_dead_shard_is_named_and_the_scan_goes_on_later() {
    let options = ScanOptions::new();
    let mut cluster = Cluster::new(2, &[Order::BySlot; 3], 90, false);
    cluster.servers[2].alive = false;
    let mut run = Run::new(cluster, &options, 3, CALM);
    run.finish();
    run.check();
    let certificate = run.scan.certificate();
    let incomplete = certificate.check().unwrap_err();
    assert_eq!(incomplete.first.map(|(range, why)| (range.first().get(), why)), Some((10_924, Why::Unreachable)));
    assert_eq!(certificate.proven().len(), 10_924);
    let mut token = [0; MAX_TOKEN];
    let len = run.scan.save(&mut token).unwrap();
    run.scan = ClusterScan::restore(&options, vec![Walk::IDLE; 3], &token[..len]).unwrap();
    run.cluster.servers[2].alive = true;
    run.requests.clear();
    run.finish();
    run.check();
    assert_eq!(run.scan.certificate().check(), Ok(()));
    assert!(run.found.values().all(|&times| times == 1));
    assert!(run.requests.iter().all(|(node, _)| *node == run.cluster.servers[2].id));
}

#[test]
fn a_tag_in_the_pattern_asks_one_node() {
    let slot = Slot::of_key(b"tag3");
    let cluster = Cluster::new(4, &[Order::BySlot; 4], 200, true);
    let options = ScanOptions::new().pattern(b"{tag3}*");
    let mut run = Run::new(cluster, &options, 4, CALM);
    run.finish();
    let owner = run.cluster.servers[slot.index() / 4_097].id;
    assert!(run.requests.iter().all(|(node, _)| *node == owner));
    assert!(!run.found.is_empty() && run.found.keys().all(|key| Slot::of_key(key.as_bytes()) == slot));
    let certificate = run.scan.certificate();
    assert_eq!((certificate.check(), certificate.scope(), certificate.proven().len()), (Ok(()), Some(slot), 1));
}

/// Whatever comes instead of an answer, it is told, and the scan ends within its bounds.
#[test]
fn answers_that_are_none() {
    let reply = |wire: &[u8]| -> Vec<u8> { wire.to_vec() };
    for (wire, error) in [
        (reply(b"-LOADING Redis is loading\r\n"), ScanError::Busy),
        (reply(b"-NOPERM no\r\n"), ScanError::Refused),
        (reply(b"+OK\r\n"), ScanError::Malformed),
        (reply(b"*0\r\n"), ScanError::Malformed),
        (reply(b"*2\r\n$2\r\n-1\r\n*0\r\n"), ScanError::Malformed),
        (reply(b"$5\r\nhello\r\n"), ScanError::Malformed),
    ] {
        let cluster = Cluster::new(1, &[Order::BySlot], 20, false);
        let map = ClientMap::of(&cluster);
        let mut scan: ClusterScan<[Walk; 1]> = ClusterScan::inline(&ScanOptions::new());
        let mut now = Instant::EPOCH;
        let mut asked = 0;
        let (frame, _) = match Frame::new_checked(&wire, &Limits::DEFAULT) {
            Ok(Status::Complete(found)) => found,
            _ => panic!(),
        };
        while !scan.is_done() {
            if let Some(request) = scan.poll(now, &map.map()) {
                asked += 1;
                assert!(asked < 100, "endless");
                assert_eq!(scan.on_reply(now, request.ticket, &frame, &map.map(), |_| panic!()), Err(error));
                // Over means over.
                let again = scan.on_reply(now, request.ticket, &frame, &map.map(), |_| panic!());
                assert_eq!(again, Ok(Handled::Stale));
            } else if let Some(at) = scan.poll_timeout() {
                now = at;
            }
        }
        assert!(asked > 10);
        let incomplete = scan.certificate().check().unwrap_err();
        assert_eq!(incomplete.first.map(|(range, why)| (range.len(), why)), Some((16_384, Why::Unreachable)));
    }
}

/// A key that no buffer holds is counted, and the scan does not call itself complete.
#[test]
fn long_keys_spoil_completeness() {
    let mut cluster = Cluster::new(1, &[Order::BySlot], 20, false);
    cluster.insert(0, &"k".repeat(100));
    let mut run = Run::new(cluster, &ScanOptions::new(), 1, CALM);
    run.piece = 7;
    run.finish();
    let certificate = run.scan.certificate();
    assert_eq!(certificate.counts().long_keys, 1);
    assert!(certificate.proven().is_full() && certificate.check().is_err());
    assert_eq!(run.found.len(), 20);
}

#[test]
fn cancelled_is_not_complete() {
    let mut run = Run::new(Cluster::new(1, &[Order::BySlot; 3], 100, false), &ScanOptions::new().count(1), 3, CALM);
    (0..40).for_each(|_| run.step());
    run.scan.cancel();
    assert!(run.scan.is_done() && run.scan.active_walks() == 0 && run.scan.poll_timeout().is_none());
    let incomplete = run.scan.certificate().check().unwrap_err();
    assert_eq!(
        (incomplete.first.map(|(_, why)| why), incomplete.ended),
        (Some(Why::NotReached), Some(Ended::Cancelled))
    );
    for pending in core::mem::take(&mut run.pending) {
        let reply = wire(pending.request.kind, &run.cluster, pending.server, false, |_| true);
        let before = run.found.len();
        run.deliver(pending.request.ticket, &reply);
        assert_eq!(run.found.len(), before);
    }
}

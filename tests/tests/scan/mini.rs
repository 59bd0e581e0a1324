//! On the mini cluster, with both kinds of cursors.

use std::ops::ControlFlow;

use slotwise_std::mini::MiniCluster;
use slotwise_std::mini::model::{ModelOptions, Profile};
use slotwise_std::slotwise::scan::Ended;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Client, Error, ScanOptions, UnlinkOptions};

use crate::{Seen, key, load};

const KEYS: usize = 20_000;

fn each(test: impl Fn(&MiniCluster, &mut Client)) {
    for profile in [Profile::Redis7, Profile::Valkey9] {
        let cluster = MiniCluster::with_options(ModelOptions { profile, ..ModelOptions::default() }).unwrap();
        let mut client = Client::connect(&format!("redis://{}", cluster.seeds()[0])).unwrap();
        test(&cluster, &mut client);
    }
}

#[test]
fn every_key_comes_once_from_a_cluster_at_rest() {
    each(|_, client| {
        load(client, KEYS);
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new());
        seen.all(&mut scan).unwrap();
        seen.assert_exactly(KEYS);
        assert_eq!(seen.repeats(), 0);
        let certificate = scan.certificate();
        assert_eq!((certificate.proven().len(), certificate.ended()), (16_384, Some(Ended::Complete)));
        let counts = certificate.counts();
        assert_eq!((counts.keys, counts.restarts), (KEYS as u64, 0));
        assert!(scan.next_key().unwrap().is_none());
    });
}

#[test]
fn options_narrow_it() {
    each(|_, client| {
        load(client, 2_000);
        client.command(&["RPUSH", "key:list", "x"]).unwrap();
        client.command(&["SET", "{tag}a", "x"]).unwrap();
        let all = |client: &mut Client, options: ScanOptions| -> Vec<Vec<u8>> {
            client.scan(options).collect::<Result<_, _>>().unwrap()
        };
        assert_eq!(all(client, ScanOptions::new().matching("key:1??").count(10)).len(), 100);
        assert_eq!(all(client, ScanOptions::new().type_name("list")), [b"key:list"]);
        let mut scan = client.scan(ScanOptions::new().matching("{tag}*"));
        assert_eq!(scan.next().unwrap().unwrap(), b"{tag}a");
        assert!(scan.next().is_none());
        assert_eq!(scan.certificate().scope(), Some(Slot::of_key(b"tag")));
        assert_eq!(scan.certificate().proven().len(), 1);
    });
}

#[test]
fn slots_that_move_meanwhile_lose_no_key() {
    each(|cluster, client| {
        load(client, KEYS);
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new().count(50));
        let (mut taken, mut slot) = (0_u32, 0_u16);
        while let Some(key) = scan.next_key().unwrap() {
            seen.add(key);
            taken += 1;
            if taken.is_multiple_of(100) && slot < 16_000 {
                // Key by key, from each node in turn, with the scan in the middle of it.
                let to = (cluster.owner(slot).unwrap() + 1) % 3;
                cluster.begin_move(slot, to).unwrap();
                cluster.move_keys(slot, usize::MAX).unwrap();
                cluster.finish_move(slot).unwrap();
                slot += 97;
            }
        }
        assert!(slot > 1_000);
        seen.assert_exactly(KEYS);
        let counts = *scan.certificate().counts();
        assert_eq!(counts.keys, seen.keys() as u64 + seen.repeats());
        assert!(seen.repeats() == 0 || counts.restarts > 0, "{counts:?}");
        assert_eq!(scan.certificate().proven().len(), 16_384);
    });
}

#[test]
fn an_open_migration_is_waited_for_or_walked_on_both_sides() {
    each(|cluster, client| {
        load(client, KEYS);
        let slot = Slot::of_key(key(0).as_bytes()).get();
        cluster.begin_move(slot, (cluster.owner(slot).unwrap() + 1) % 3).unwrap();
        cluster.move_keys(slot, 1).unwrap();
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new().tune(|options| options.stalls = 2));
        let end = seen.all(&mut scan);
        seen.assert_exactly(KEYS);
        let unproven: Vec<_> = scan.certificate().unproven().collect();
        match end {
            Ok(()) => assert!(unproven.is_empty()),
            Err(Error::Scan(text)) => {
                assert_eq!(unproven.len(), 1, "{text}");
                assert!(text.contains(&slot.to_string()), "{text}");
            }
            Err(error) => panic!("{error}"),
        }
    });
}

#[test]
fn lost_connections_lose_no_key() {
    each(|cluster, client| {
        load(client, KEYS);
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new().count(100));
        let mut taken = 0_u32;
        while let Some(key) = scan.next_key().unwrap() {
            seen.add(key);
            taken += 1;
            if [3_000, 7_000, 11_000].contains(&taken) {
                cluster.disconnect_clients(Some(taken as usize % 3));
            }
        }
        seen.assert_exactly(KEYS);
        let counts = *scan.certificate().counts();
        assert!(counts.restarts > 0, "a walk was cut: {counts:?}");
    });
}

#[test]
fn a_slot_without_owner_is_named() {
    each(|cluster, client| {
        cluster.with_model(|model| model.uncover(100));
        client.topology().unwrap();
        let mut scan = client.scan(ScanOptions::new().tune(|options| options.stalls = 1));
        let Some(Err(Error::Scan(text))) = scan.next() else { panic!("slot 100 has no owner") };
        assert!(text.contains("100-100 (uncovered)"), "{text}");
        assert!(scan.next().is_none());
        assert_eq!(scan.certificate().proven().len(), 16_383);
        drop(scan);
        assert!(client.scan(ScanOptions::new().allow_uncovered()).next().is_none());
    });
}

#[test]
fn a_refusal_ends_the_scan_at_once() {
    let cluster = MiniCluster::start(3).unwrap();
    let mut client = Client::connect(&format!("redis://{}", cluster.seeds()[0])).unwrap();
    load(&mut client, 1_000);
    let mut scan = client.scan(ScanOptions::new().type_name("bogus"));
    let end = scan.find(Result::is_err).unwrap().unwrap_err();
    assert!(matches!(&end, Error::Server { reply, .. } if reply.line().contains("bogus")), "{end}");
    assert!(scan.next().is_none());
}

#[test]
fn a_saved_scan_goes_on_without_a_gap() {
    each(|_, client| {
        load(client, KEYS);
        for stop in [1, 500, 9_999, 19_000] {
            let mut seen = Seen::default();
            let options = || ScanOptions::new().count(20).tune(|options| options.checkpoint = 2);
            let mut scan = client.scan(options());
            for key in scan.by_ref().take(stop) {
                seen.add(&key.unwrap());
            }
            let token = scan.save();
            drop(scan);
            // The dropped scan's replies are still on their way.
            assert_eq!(client.command(&["GET", &key(1)]).unwrap().as_bytes(), Some(&b"value"[..]));
            seen.all(&mut client.resume_scan(options(), &token).unwrap()).unwrap();
            seen.assert_exactly(KEYS);
            let other = client.resume_scan(ScanOptions::new().matching("x"), &token);
            assert!(matches!(other, Err(Error::ScanToken(_))));
        }
    });
}

#[test]
fn unlink_deletes_what_matches_and_nothing_else() {
    each(|cluster, client| {
        load(client, KEYS);
        client.command(&["SET", "other", "x"]).unwrap();
        let what = || ScanOptions::new().matching("key:*");
        let mut calls = 0;
        let how = UnlinkOptions::new().window(500).per_command(16);
        let report = client.unlink_matching(what(), how.dry_run(true), |_| ControlFlow::Continue(())).unwrap();
        assert_eq!((report.matched, report.unlinked), (KEYS as u64, 0));
        assert!(report.is_complete());
        assert_eq!(cluster.key_count(), KEYS + 1);
        let report = client
            .unlink_matching(what(), how, |_| {
                calls += 1;
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!((report.unlinked, report.failed, report.proven), (KEYS as u64, 0, 16_384));
        assert!(report.is_complete() && calls > 1);
        assert_eq!(cluster.key_count(), 1);
    });
}

#[test]
fn unlink_can_be_stopped_and_copes_with_a_slot_between_two_nodes() {
    each(|cluster, client| {
        load(client, KEYS);
        // Enough keys of one slot for commands of several, half of them moved.
        for n in 0..40 {
            client.command(&["SET", &format!("key:{{x}}{n}"), "v"]).unwrap();
        }
        let slot = Slot::of_key(b"x").get();
        cluster.begin_move(slot, (cluster.owner(slot).unwrap() + 1) % 3).unwrap();
        cluster.move_keys(slot, cluster.key_count_in_slot(slot) / 2).unwrap();
        let what = || ScanOptions::new().matching("key:*").tune(|options| options.stalls = 1);
        let report = client.unlink_matching(what(), UnlinkOptions::new(), |_| ControlFlow::Break(())).unwrap();
        assert!(report.incomplete.is_some());
        assert!(report.matched < KEYS as u64 && report.unlinked == report.matched, "{report:?}");
        let report = client.unlink_matching(what(), UnlinkOptions::new(), |_| ControlFlow::Continue(())).unwrap();
        assert_eq!(report.failed, 0, "{report:?}");
        assert_eq!(cluster.key_count(), 0);
    });
}

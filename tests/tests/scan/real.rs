//! On real servers: Redis 7.0, whose cursors say nothing of slots, and Valkey 9.1, whose cursors do.

use std::time::{Duration, Instant};

use slotwise_std::slotwise::scan::Ended;
use slotwise_std::{Client, Error, Scan, ScanOptions};
use slotwise_tests::real::{Cluster, ServerKind};

use crate::{Seen, load};

const KEYS: usize = 100_000;

fn each(replicas: usize, test: impl Fn(&mut Cluster, &mut Client)) {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(mut cluster) = Cluster::start(kind, 3, replicas) else { continue };
        let url = format!("redis://{}", cluster.seeds().join(","));
        let mut client = Client::connect(&url).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        load(&mut client, KEYS);
        test(&mut cluster, &mut client);
        client.close().unwrap();
    }
}

/// Says what a scan came to, for the record of the run.
fn note(what: &str, seen: &Seen, scan: &Scan<'_>, took: Duration) {
    let (certificate, repeats) = (scan.certificate(), seen.repeats());
    eprintln!("{what}: {} keys, {repeats} repeats, {:?} in {took:?}", seen.keys(), certificate.counts());
}

/// Repeats come from slots that were walked again, and all that is not proven is named.
fn check(end: Result<(), Error>, seen: &Seen, scan: &Scan<'_>) {
    seen.assert_exactly(KEYS);
    let certificate = scan.certificate();
    let counts = certificate.counts();
    assert_eq!(counts.keys, KEYS as u64 + seen.repeats());
    assert!(seen.repeats() == 0 || counts.restarts > 0, "{counts:?}");
    let unproven: usize = certificate.unproven().map(|(range, _)| usize::from(range.len())).sum();
    assert_eq!(usize::from(certificate.proven().len()) + unproven, 16_384);
    match end {
        Ok(()) => assert_eq!((unproven, certificate.ended()), (0, Some(Ended::Complete))),
        Err(Error::Scan(text)) => assert!(unproven > 0, "{text}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn at_rest_every_key_comes_once() {
    each(0, |cluster, client| {
        let start = Instant::now();
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new());
        seen.all(&mut scan).unwrap();
        note(&format!("{:?} at rest", cluster.kind()), &seen, &scan, start.elapsed());
        check(Ok(()), &seen, &scan);
        assert_eq!((seen.repeats(), scan.certificate().counts().restarts), (0, 0));
    });
}

/// Takes keys slowly enough that the scan goes on for as long as `busy` says, and a little longer.
fn read_while(seen: &mut Seen, scan: &mut Scan<'_>, busy: impl Fn() -> bool) -> Result<(), Error> {
    let mut taken = 0_usize;
    while let Some(key) = scan.next_key()? {
        seen.add(key);
        taken += 1;
        if taken.is_multiple_of(50) && busy() {
            std::thread::sleep(Duration::from_millis(3));
        }
    }
    Ok(())
}

#[test]
fn while_200_slots_migrate_no_key_is_lost() {
    each(0, |cluster, client| {
        let start = Instant::now();
        let admin = cluster.admin();
        let moves = (0..200_u16).map(|n| (n * 81, (admin.shard_of(admin.owner(n * 81).unwrap()) + 1) % 3)).collect();
        let migrator = cluster.migrator(moves, 60);
        let mut seen = Seen::default();
        // Patient: the migration of 200 slots takes longer than the passes over what it spoils.
        let patient = ScanOptions::new().count(200).tune(|options| {
            options.checkpoint = 1;
            options.stalls = 40;
        });
        let mut scan = client.scan(patient);
        let end = read_while(&mut seen, &mut scan, || !migrator.is_finished());
        note(&format!("{:?}, {} slots moved", cluster.kind(), migrator.moved()), &seen, &scan, start.elapsed());
        assert!(migrator.moved() > 20, "the scan met the migration");
        check(end, &seen, &scan);
        let report = migrator.join();
        assert_eq!((report.moved, report.failed.len()), (200, 0), "{report:?}");
        assert_eq!(cluster.key_count().unwrap(), KEYS as i64);
    });
}

#[test]
fn during_a_failover_no_key_is_lost() {
    each(1, |cluster, client| {
        let start = Instant::now();
        let replica = cluster.replicas_of(1)[0];
        // The replica must have every key before it is promoted.
        let mut conn = cluster.connect(1);
        assert_eq!(conn.call(&["WAIT", "1", "5000"]).int(), Some(1));
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new().count(200));
        let mut taken = 0_usize;
        let end = loop {
            match scan.next_key() {
                Ok(Some(key)) => {
                    seen.add(key);
                    taken += 1;
                    if taken == KEYS / 3 {
                        cluster.failover(replica).unwrap();
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        note(&format!("{:?}, failover", cluster.kind()), &seen, &scan, start.elapsed());
        check(end, &seen, &scan);
        assert!(scan.certificate().counts().restarts > 0, "the failover came in the middle");
    });
}

#[test]
fn when_a_primary_dies_its_slots_are_proven_by_its_heir() {
    each(1, |cluster, client| {
        let start = Instant::now();
        assert_eq!(cluster.connect(2).call(&["WAIT", "1", "5000"]).int(), Some(1));
        let mut seen = Seen::default();
        let mut scan = client.scan(ScanOptions::new().count(200));
        let mut killed = false;
        let end = loop {
            match scan.next_key() {
                Ok(Some(key)) => seen.add(key),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if !killed && seen.keys() == KEYS / 4 {
                cluster.kill(2);
                killed = true;
            }
        };
        note(&format!("{:?}, primary killed", cluster.kind()), &seen, &scan, start.elapsed());
        check(end, &seen, &scan);
        assert!(start.elapsed() < Duration::from_secs(14), "the heir was found before the dead node was given up");
    });
}

use std::collections::HashSet;

use serde_json::Value;
use slotwise_tests::real::Admin;

use crate::{each, ok, run};

const KEYS: usize = 100_000;

fn load(url: &str) {
    let lines: String = (0..KEYS).map(|n| format!("SET scan:{n} {n}\n")).collect();
    ok(&run(&["pipe", url, "--quiet"], &lines));
}

/// Counters over all slots: the n-th command of round r must answer r.
fn pipe_round(url: &str, round: usize) {
    let lines: String = (0..10_000).map(|n| format!("INCR count:{n}\n")).collect();
    let printed = ok(&run(&["pipe", url, "--json"], &lines));
    let want = format!("{{\"int\":{round}}}");
    let mut count = 0;
    for (n, line) in printed.lines().enumerate() {
        assert_eq!(line, want, "command {n} of round {round}");
        count += 1;
    }
    assert_eq!(count, 10_000);
}

/// Keys printed by a whole scan: distinct ones of ours, and all lines.
fn scan(url: &str) -> (usize, usize) {
    let printed = ok(&run(&["scan", url, "--match", "scan:*"], ""));
    let all = printed.lines().count();
    let distinct: HashSet<&str> = printed.lines().collect();
    (distinct.len(), all)
}

fn until(done: impl Fn() -> bool, url: &str, what: &str, admin: &Admin) {
    let (mut rounds, mut repeats) = (0, 0);
    // Once more after the change, so that its end is seen too.
    let mut last = false;
    while !last {
        last = done();
        rounds += 1;
        pipe_round(url, rounds);
        let (distinct, all) = scan(url);
        assert_eq!(distinct, KEYS, "{what}, scan {rounds}");
        repeats += all - distinct;
    }
    println!(
        "{:?}, {what}: {rounds} pipes of 10,000 commands, all results right and in order; {rounds} scans, \
         each with all {KEYS} keys, {repeats} repeats",
        admin.kind()
    );
    ok(&run(&["unlink", url, "--match", "count:*"], ""));
}

#[test]
fn pipe_and_scan_while_slots_move_and_a_replica_takes_over() {
    each(3, 1, |cluster, url| {
        let admin = cluster.admin();
        load(url);
        let from = admin.primaries().start;
        let slots = (0..16_384).filter(|slot| admin.owner(*slot) == Some(from)).take(200);
        let migrator = admin.migrator(slots.map(|slot| (slot, from + 1)).collect(), 50);
        until(|| migrator.is_finished(), url, "200 slots migrate", &admin);
        let report = migrator.join();
        assert_eq!(report.moved, 200, "{report:?}");

        let primary = admin.primaries().start + 2;
        let replica = admin.replicas_of(primary)[0];
        let failover = {
            let admin = admin.clone();
            std::thread::spawn(move || admin.failover(replica))
        };
        until(|| failover.is_finished(), url, "manual failover", &admin);
        failover.join().unwrap().unwrap();
        assert!(admin.is_primary(replica));
        let map: Value = serde_json::from_str(&ok(&run(&["topology", url, "--json"], ""))).unwrap();
        assert!(map.to_string().contains(&admin.addr(replica)), "{map}");
    });
}

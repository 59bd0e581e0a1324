use std::collections::HashMap;

use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_std::{Batch, Client, Error, Results};

use crate::each;

const KEYS: usize = 500;

fn increments() -> Batch {
    let mut batch = Batch::new();
    for n in 0..10_000 {
        batch.push(&["INCR", &format!("c:{}", n % KEYS)]);
    }
    batch
}

/// What callers were told, key by key: increments that ran, and increments that may have run.
#[derive(Default)]
struct Told {
    done: HashMap<usize, i64>,
    maybe: HashMap<usize, i64>,
    last: HashMap<usize, i64>,
    not_run: usize,
}

impl Told {
    /// Notes a round's results. Counters of one key must grow in submission order.
    fn note(&mut self, results: &Results, may_go_back: bool) {
        for n in 0..results.len() {
            let key = n % KEYS;
            match results.value(n) {
                Ok(value) => {
                    let count = value.as_i64().unwrap();
                    let last = self.last.insert(key, count).unwrap_or(0);
                    let grew = count > last || results.was_resent(n) || may_go_back;
                    assert!(grew, "command {n}: {last} then {count}");
                    *self.done.entry(key).or_default() += 1;
                }
                Err(error) => match error.outcome() {
                    Some(Outcome::MaybeExecuted) => *self.maybe.entry(key).or_default() += 1,
                    Some(Outcome::NotSent | Outcome::Rejected) => self.not_run += 1,
                    _ => panic!("command {n}: {error}"),
                },
            }
        }
    }

    fn total(map: &HashMap<usize, i64>) -> i64 {
        map.values().sum()
    }
}

fn stored(client: &mut Client) -> Vec<i64> {
    let mut batch = Batch::new();
    for key in 0..KEYS {
        batch.push(&["GET", &format!("c:{key}")]);
    }
    let results = client.run(&batch).unwrap();
    (0..KEYS).map(|key| results.value(key).unwrap().as_i64().unwrap_or(0)).collect()
}

#[test]
fn a_manual_failover_loses_nothing() {
    each(3, 1, |cluster, client| {
        let admin = cluster.admin();
        let primary = admin.primaries().start;
        let replica = admin.replicas_of(primary)[0];
        let batch = increments();
        let mut told = Told::default();
        told.note(&client.run(&batch).unwrap(), false);
        let failover = {
            let admin = admin.clone();
            std::thread::spawn(move || admin.failover(replica))
        };
        let mut rounds = 0;
        while !failover.is_finished() || rounds < 3 {
            told.note(&client.run(&batch).unwrap(), false);
            rounds += 1;
        }
        failover.join().unwrap().unwrap();
        told.note(&client.run(&batch).unwrap(), false);
        let (done, maybe) = (Told::total(&told.done), Told::total(&told.maybe));
        println!("{:?}: {done} done, {maybe} unsure, {} not run", admin.kind(), told.not_run);
        for (key, count) in stored(client).into_iter().enumerate() {
            let done = told.done.get(&key).copied().unwrap_or(0);
            let maybe = told.maybe.get(&key).copied().unwrap_or(0);
            assert!((done..=done + maybe).contains(&count), "key {key}: {count}, told {done} to {}", done + maybe);
        }
    });
}

#[test]
fn a_killed_primary_is_replaced() {
    each(3, 1, |cluster, client| {
        let admin = cluster.admin();
        let primary = admin.primaries().start;
        let batch = increments();
        let mut told = Told::default();
        told.note(&client.run(&batch).unwrap(), false);
        cluster.kill(primary);
        // The others must not wait for the dead one, and its slots come back with the replica.
        for _ in 0..3 {
            told.note(&client.run(&batch).unwrap(), true);
        }
        let (done, maybe) = (Told::total(&told.done), Told::total(&told.maybe));
        println!("{:?}: {done} done, {maybe} unsure, {} not run", admin.kind(), told.not_run);
        let results = client.run(&batch).unwrap();
        let failed = (0..results.len()).filter(|n| results.value(*n).is_err()).count();
        assert_eq!(failed, 0, "after the failover every command succeeds: {:?}", first_error(&results));
        // Never more than was told: nothing ran twice.
        told.note(&results, true);
        for (key, count) in stored(client).into_iter().enumerate() {
            let most = told.done.get(&key).copied().unwrap_or(0) + told.maybe.get(&key).copied().unwrap_or(0);
            assert!(count <= most, "key {key}: {count} increments, told at most {most}");
        }
    });
}

fn first_error(results: &Results) -> Option<Error> {
    (0..results.len()).find_map(|n| results.value(n).err())
}

#[test]
fn connections_that_end_while_nobody_looks_cost_no_write() {
    each(3, 0, |cluster, client| {
        let admin = cluster.admin();
        for round in 1..=5 {
            for key in ["a", "b", "c"] {
                assert_eq!(client.command(&["INCR", key]).unwrap().as_i64(), Some(round));
            }
            for node in admin.primaries() {
                admin.kill_clients(node).unwrap();
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
}

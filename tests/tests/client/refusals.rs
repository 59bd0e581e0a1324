//! What real servers refuse, and what the caller sees of it: a refusal that passes is waited for, one that does not is told.

use std::thread;
use std::time::{Duration, Instant};

use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Client, Error};
use slotwise_tests::real::Admin;

use crate::each;

const KEY: &str = "{refused}a";
const OTHER: &str = "{refused}b";

fn slot() -> u16 {
    Slot::of_key(KEY.as_bytes()).get()
}

/// How often commands were sent again after a refusal.
fn retries(client: &Client) -> u64 {
    client.node_counters().map(|(_, counters)| counters.retries).sum()
}

/// Runs a command while the cause of its refusal goes away half a second later: it is refused, waits, and is carried out.
fn waits(client: &mut Client, admin: &Admin, words: &[&str], mend: impl FnOnce(&Admin) + Send) -> Option<String> {
    let (before, began) = (retries(client), Instant::now());
    let (value, took) = thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(500));
            mend(admin);
        });
        let value = client.command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        (value, began.elapsed())
    });
    assert!(took >= Duration::from_millis(400), "{words:?} was not refused: {took:?}");
    assert!(retries(client) > before, "{words:?} was not sent again");
    value.as_str().map(str::to_owned)
}

/// The error a command ends with.
fn told(client: &mut Client, words: &[&str], begins: &str, outcome: Outcome) {
    match client.command(words) {
        Err(error @ Error::Server { .. }) => {
            assert!(error.to_string().contains(begins), "{error}");
            assert_eq!(error.outcome(), Some(outcome), "{error}");
        }
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn refusals_that_pass_are_waited_for_and_others_told() {
    each(3, 0, |cluster, client| {
        let admin = &cluster.admin();
        let owner = admin.owner(slot()).unwrap();
        let ask =
            |node: usize, words: &[&str]| admin.ask(node, words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        client.command(&["SET", KEY, "1"]).unwrap();
        client.command(&["SET", OTHER, "2"]).unwrap();

        // TRYAGAIN: of two keys one has moved already.
        let to = (owner + 1) % 3;
        admin.begin_move(slot(), owner, to).unwrap();
        admin.move_keys(slot(), owner, to, 1).unwrap();
        waits(client, admin, &["MGET", KEY, OTHER], |admin| {
            admin.move_keys(slot(), owner, to, 10).unwrap();
            admin.finish_move(slot(), owner, to).unwrap();
        });
        let owner = to;

        // BUSY: a script that does not end.
        for node in 0..3 {
            ask(node, &["CONFIG", "SET", "busy-reply-threshold", "50"]);
        }
        let script = "while true do end";
        let port = admin.port(owner);
        let busy = thread::spawn(move || {
            let mut conn = slotwise_tests::real::Conn::open(port).unwrap();
            let _ = conn.call(&["EVAL", script, "0"]);
        });
        thread::sleep(Duration::from_millis(200));
        let value = waits(client, admin, &["GET", KEY], |admin| {
            admin.ask(owner, &["SCRIPT", "KILL"]).unwrap();
        });
        assert_eq!(value.as_deref(), Some("1"));
        busy.join().unwrap();

        // CLUSTERDOWN: a slot without an owner.
        let number = slot().to_string();
        let down = |node: usize| {
            // What the others say of it may come back once.
            let _ = admin.ask(node, &["CLUSTER", "DELSLOTS", &number]);
            let said = admin.connect(node).call(&["GET", KEY]);
            said.error().is_some_and(|line| line.starts_with(b"CLUSTERDOWN"))
        };
        let noticed = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(20));
            (0..3).filter(|node| down(*node)).count() == 3
        });
        assert!(noticed, "somebody serves the slot");
        waits(client, admin, &["GET", KEY], |admin| {
            admin.ask(owner, &["CLUSTER", "ADDSLOTS", &number]).unwrap();
        });

        // NOREPLICAS: nothing of it passes by itself.
        ask(owner, &["CONFIG", "SET", "min-replicas-to-write", "3"]);
        told(client, &["SET", KEY, "9"], "NOREPLICAS", Outcome::Rejected);
        ask(owner, &["CONFIG", "SET", "min-replicas-to-write", "0"]);
        assert_ne!(client.command(&["GET", KEY]).unwrap().as_str(), Some("9"), "it did not run");
        client.command(&["SET", KEY, "3"]).unwrap();

        // UNBLOCKED, by somebody's CLIENT UNBLOCK: it did not run, and the caller is told.
        thread::scope(|scope| {
            scope.spawn(|| {
                let blocked = || {
                    let list = ask(owner, &["CLIENT", "LIST"]).text();
                    let line = list.lines().find(|line| line.contains("cmd=blpop"))?;
                    line.strip_prefix("id=")?.split(' ').next().map(str::to_owned)
                };
                let id = (0..200).find_map(|_| {
                    thread::sleep(Duration::from_millis(20));
                    blocked()
                });
                ask(owner, &["CLIENT", "UNBLOCK", &id.expect("a blocked client"), "ERROR"]);
            });
            told(client, &["BLPOP", "{refused}list", "20"], "UNBLOCKED", Outcome::Rejected);
        });
    });
}

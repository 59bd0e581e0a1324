//! The model without any transport. Replies of ordinary commands are compared with real servers elsewhere in the
//! repository; here stands what such a comparison cannot reach: control calls, views, cursors, determinism.

use super::*;
use std::collections::BTreeSet;

pub(super) fn model(profile: Profile, primaries: usize, replicas: usize) -> Model {
    let mut model = Model::new(ModelOptions { profile, primaries, replicas, ..ModelOptions::default() });
    for node in 0..model.node_count() {
        model.set_address(node, "127.0.0.1", 9000 + u16::try_from(node).unwrap());
    }
    model
}

pub(super) fn ask(model: &mut Model, client: ClientId, line: &str) -> String {
    let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    model.request(client, &words);
    String::from_utf8(model.take_output(client)).unwrap()
}

/// All keys a full SCAN of one node gives, with repeats, and all cursors on the way.
fn scan(model: &mut Model, client: ClientId, between: &mut dyn FnMut(&mut Model)) -> (Vec<String>, Vec<u64>) {
    let (mut keys, mut cursors, mut cursor) = (Vec::new(), Vec::new(), 0);
    loop {
        let reply = ask(model, client, &format!("SCAN {cursor} COUNT 20"));
        let mut lines = reply.split("\r\n");
        cursor = lines.nth(2).unwrap().parse().unwrap();
        keys.extend(lines.skip(1).filter(|line| !line.starts_with('$') && !line.is_empty()).map(str::to_owned));
        if cursor == 0 {
            return (keys, cursors);
        }
        cursors.push(cursor);
        between(model);
    }
}

#[test]
fn slots_are_shared_out_and_every_node_agrees() {
    for primaries in [1, 2, 3, 7, 1000] {
        let model = model(Profile::Valkey9, primaries, 0);
        let owners: Vec<usize> = (0..16384).map(|slot| model.owner(slot).unwrap()).collect();
        assert!(owners.is_sorted());
        assert_eq!(owners.iter().collect::<BTreeSet<_>>().len(), primaries);
        assert!((0..16384).all(|slot| model.owner_seen_by(primaries - 1, slot) == model.owner(slot)));
    }
}

#[test]
fn a_scan_with_slot_cursors_goes_up_through_the_slots_and_finds_every_key_once() {
    let mut model = model(Profile::Valkey9, 1, 0);
    let client = model.connect(0);
    for n in 0..3000 {
        assert_eq!(ask(&mut model, client, &format!("SET key{n} {n}")), "+OK\r\n");
    }
    let (keys, cursors) = scan(&mut model, client, &mut |_| {});
    assert_eq!(keys.len(), 3000);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 3000);
    let slots: Vec<u64> = cursors.iter().map(|cursor| cursor & 16383).collect();
    assert!(slots.is_sorted());
    // A made-up cursor starts exactly at its slot.
    let slot = 12182;
    ask(&mut model, client, "SET foo 1");
    let reply = ask(&mut model, client, &format!("SCAN {slot} COUNT 1"));
    assert!(reply.contains("foo"), "{reply}");
}

#[test]
fn a_node_wide_scan_finds_what_stays_while_other_keys_come_and_go() {
    let mut model = model(Profile::Redis7, 1, 0);
    let client = model.connect(0);
    for n in 0..1000 {
        ask(&mut model, client, &format!("SET stay{n} {n}"));
    }
    let mut step = 0;
    let (keys, cursors) = scan(&mut model, client, &mut |model| {
        step += 1;
        for n in 0..100 {
            ask(model, client, &format!("{} come{step}:{n} {n}", if step % 2 == 0 { "SET" } else { "DEL" }));
        }
    });
    let found: BTreeSet<String> = keys.into_iter().collect();
    assert!((0..1000).all(|n| found.contains(&format!("stay{n}"))));
    let slots: Vec<u64> = cursors.iter().map(|cursor| cursor & 16383).collect();
    assert!(!slots.is_sorted(), "the cursor must not look as if it carried slots");
}

#[test]
fn news_of_a_move_spread_by_gossip_and_the_epoch_decides() {
    let mut model = model(Profile::Valkey9, 3, 0);
    let from = model.begin_move(42, 2).unwrap();
    assert_eq!(model.begin_move(42, 0), Err(ControlError::NothingToMove));
    assert_eq!(model.move_keys(43, 1), Err(ControlError::NotMarked));
    model.finish_move(42).unwrap();
    assert_eq!(
        (model.owner(42), model.owner_seen_by(0, 42), model.owner_seen_by(1, 42)),
        (Some(2), Some(2), Some(from))
    );
    assert!(!model.gossip(0, 1), "the old owner has nothing to claim");
    let client = model.connect(1);
    assert_eq!(ask(&mut model, client, "GET {06S}"), "-MOVED 0 127.0.0.1:9000\r\n");
    assert!(model.gossip(2, 1));
    assert_eq!(model.owner_seen_by(1, 42), Some(2));
    // Back again: the newest claim wins, told in any order.
    model.move_atomically(42, 0).unwrap();
    assert!(model.gossip(0, 1));
    assert!(!model.gossip(2, 1));
    model.settle();
    assert!((0..3).all(|node| model.owner_seen_by(node, 42) == Some(0)));
}

#[test]
fn a_failover_keeps_the_data_changes_the_cursors_and_ends_shard_subscriptions() {
    let mut model = model(Profile::Valkey9, 2, 1);
    let (old, new) = (model.connect(1), model.connect(3));
    assert_eq!(ask(&mut model, old, "SET foo 1"), "+OK\r\n");
    assert_eq!(ask(&mut model, new, "GET foo"), "-MOVED 12182 127.0.0.1:9001\r\n");
    ask(&mut model, new, "READONLY");
    assert_eq!(ask(&mut model, new, "GET foo"), "$1\r\n1\r\n");
    assert_eq!(ask(&mut model, new, "SET foo 2"), "-MOVED 12182 127.0.0.1:9001\r\n");
    assert!(ask(&mut model, old, "HELLO 3").contains("$6\r\nmaster"));
    assert!(ask(&mut model, old, "SSUBSCRIBE foo").ends_with(":1\r\n"));
    model.failover(3).unwrap();
    model.settle();
    assert_eq!(model.owner(12182), Some(3));
    let push = String::from_utf8(model.take_output(old)).unwrap();
    assert_eq!(push, ">3\r\n$12\r\nsunsubscribe\r\n$3\r\nfoo\r\n:0\r\n");
    assert_eq!(ask(&mut model, old, "GET foo"), "-MOVED 12182 127.0.0.1:9003\r\n");
    assert_eq!(ask(&mut model, new, "SET foo 2"), "+OK\r\n");
    assert_eq!(model.owner_seen_by(0, 12182), Some(3));
    assert_eq!(model.failover(3), Err(ControlError::WrongRole));
}

#[test]
fn a_slot_without_owner_is_down_for_itself_or_for_all() {
    for (full_coverage, other) in [(true, "-CLUSTERDOWN The cluster is down\r\n"), (false, "$-1\r\n")] {
        let mut model = Model::new(ModelOptions { primaries: 1, full_coverage, ..ModelOptions::default() });
        let client = model.connect(0);
        ask(&mut model, client, "SET foo 1");
        model.uncover(12182);
        assert_eq!(ask(&mut model, client, "GET foo"), "-CLUSTERDOWN Hash slot not served\r\n");
        assert_eq!(ask(&mut model, client, "GET bar"), other);
        assert_eq!(model.key_count(0), 0);
    }
}

#[test]
fn a_password_is_asked_for() {
    let password = Some(b"secret".to_vec());
    let mut model = Model::new(ModelOptions { primaries: 1, password, ..ModelOptions::default() });
    let client = model.connect(0);
    assert_eq!(ask(&mut model, client, "PING"), "-NOAUTH Authentication required.\r\n");
    assert!(ask(&mut model, client, "AUTH wrong").starts_with("-WRONGPASS "));
    assert!(ask(&mut model, client, "HELLO 3").starts_with("-NOAUTH HELLO "));
    assert!(ask(&mut model, client, "HELLO 3 AUTH default secret SETNAME me").starts_with("%7\r\n"));
    assert_eq!(ask(&mut model, client, "CLIENT GETNAME"), "$2\r\nme\r\n");
    assert_eq!(ask(&mut model, client, "RESET"), "+RESET\r\n");
    assert_eq!(ask(&mut model, client, "PING"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(ask(&mut model, client, "AUTH secret"), "+OK\r\n");
    assert_eq!(ask(&mut model, client, "PING"), "+PONG\r\n");
}

#[test]
fn equal_calls_give_equal_bytes() {
    let run = || {
        let mut model = model(Profile::Redis7, 3, 1);
        let client = model.connect(0);
        let mut all = ask(&mut model, client, "CLUSTER NODES");
        for n in 0..200 {
            all += &ask(&mut model, client, &format!("SET {{06S}}{n} x"));
        }
        all + &ask(&mut model, client, "SCAN 0 COUNT 100") + &ask(&mut model, client, "CLUSTER GETKEYSINSLOT 0 50")
    };
    assert_eq!(run(), run());
}

#[test]
fn a_cluster_scan_finds_every_key_by_following_its_cursor_and_starts_a_slot_anew_at_another_node() {
    let mut model = model(Profile::Valkey9, 3, 0);
    let clients = [0, 1, 2].map(|node| model.connect(node));
    for n in 0..500 {
        let key = format!("key{n}");
        let owner = model.owner(super::store::slot_of(key.as_bytes())).unwrap();
        ask(&mut model, clients[owner], &format!("SET {key} {n}"));
    }
    let (mut cursor, mut keys, mut steps, mut inside) = ("0".to_owned(), BTreeSet::new(), 0, 0);
    loop {
        let owner = model.owner(super::store::slot_of(cursor.as_bytes())).unwrap();
        let reply = ask(&mut model, clients[owner], &format!("CLUSTERSCAN {cursor} COUNT 7"));
        let mut lines = reply.split("\r\n");
        cursor = lines.nth(2).unwrap().to_owned();
        keys.extend(lines.skip(1).filter(|line| !line.starts_with('$') && !line.is_empty()).map(str::to_owned));
        steps += 1;
        inside += usize::from(!cursor.starts_with("0"));
        if cursor == "0" {
            break;
        }
        // A move in the middle: the new owner does not know the fingerprint.
        let slot = super::store::slot_of(cursor.as_bytes());
        if steps == 40 {
            let to = (model.owner(slot).unwrap() + 1) % 3;
            model.move_atomically(slot, to).unwrap();
            model.settle();
        }
    }
    assert_eq!(keys.len(), 500);
    assert!(inside > 30, "{inside} cursors inside of a range");
}

use slotwise_std::{Batch, Client, Value};
use slotwise_tests::real::{Cluster, ServerKind};

use crate::each;
use crate::workload::Workload;

#[test]
fn ten_thousand_mixed_commands_come_back_in_order() {
    each(3, 1, |_, client| {
        let work = Workload::new(7).fill(10_000, 500, true);
        let results = client.run(&work.batch).unwrap();
        assert_eq!(work.check(&results), 0, "nothing moves, so nothing is redirected");
        assert_eq!(client.counters().dials, 3, "one connection for each primary");
    });
}

#[test]
fn every_slot_is_reached() {
    each(3, 0, |_, client| {
        let mut batch = Batch::new();
        let keys: Vec<String> = (0..20_000).map(|n| format!("slot:{n}")).collect();
        for key in &keys {
            batch.push(&["SET", key, key]);
        }
        for key in &keys {
            batch.push(&["GET", key]);
        }
        let results = client.run(&batch).unwrap();
        for (n, key) in keys.iter().enumerate() {
            assert!(results.value(n).unwrap().is_ok());
            assert_eq!(results.value(keys.len() + n).unwrap(), Value::Bulk(key.as_bytes().to_vec()));
        }
    });
}

#[test]
fn sequential_commands_use_one_connection_a_node() {
    each(3, 0, |_, client| {
        for n in 0..3_000 {
            client.command(&["SET", &format!("k{n}"), "v"]).unwrap();
        }
        assert_eq!(client.counters().dials, 3);
    });
}

#[test]
fn replies_of_every_size_arrive() {
    each(3, 0, |_, client| {
        // The last is more than the kernel buffers on its way.
        for size in [0, 1, 100, 70_000, 5_000_000, 60_000_000] {
            let value = vec![b'x'; size];
            client.command(&[&b"SET"[..], b"big", &value]).unwrap();
            assert_eq!(client.command(&["GET", "big"]).unwrap(), Value::Bulk(value));
        }
    });
}

#[test]
fn a_stale_seed_among_good_ones_does_no_harm() {
    let Some(cluster) = Cluster::start(ServerKind::Redis7, 3, 0) else { return };
    let url = format!("redis://127.0.0.1:1,{}", cluster.admin().seeds()[0]);
    let mut client = Client::connect(&url).unwrap();
    assert!(client.command(&["SET", "a", "1"]).unwrap().is_ok());
}

#[test]
fn no_server_is_a_clear_error() {
    let error = Client::connect("redis://127.0.0.1:1").unwrap_err();
    assert_eq!(error.name(), "no_cluster");
    assert!(error.to_string().contains("connect_failed"), "{error}");
}

#[test]
fn resp2_gives_the_same_results() {
    let Some(cluster) = Cluster::start(ServerKind::Redis7, 3, 0) else { return };
    let url = format!("redis://{}", cluster.admin().seeds()[0]);
    let mut client = Client::builder(&url).unwrap().resp2().connect().unwrap();
    let work = Workload::new(9).fill(2_000, 100, true);
    work.check(&client.run(&work.batch).unwrap());
}

#[test]
fn a_transaction_is_one_result() {
    each(3, 0, |_, client| {
        let mut batch = Batch::new();
        batch.push_transaction(&[["INCR", "{t}a"], ["INCR", "{t}a"]]);
        batch.push_transaction(&[&["SET", "{t}s", "x"][..], &["LPUSH", "{t}s", "y"], &["NOSUCH"]]);
        batch.push_transaction(&[&["SET", "{t}s", "x"][..], &["LPUSH", "{t}s", "y"]]);
        let results = client.run(&batch).unwrap();
        assert_eq!(results.value(0).unwrap(), Value::Array(vec![Value::Integer(1), Value::Integer(2)]));
        assert_eq!(results.value(1).unwrap_err().name(), "unknown_command");
        let Value::Array(items) = results.value(2).unwrap() else { panic!("{:?}", results.value(2)) };
        assert!(items[0].is_ok());
        assert!(matches!(&items[1], Value::Error(error) if error.kind().name() == "wrong_type"));
    });
}

#[test]
fn blocking_commands_stall_nobody() {
    each(3, 0, |_, client| {
        let mut batch = Batch::new();
        batch.push(&["BLPOP", "{q}list", "1"]).push(&["SET", "{q}other", "1"]).push(&["RPUSH", "{q}list", "late"]);
        let results = client.run(&batch).unwrap();
        let popped = results.value(0).unwrap();
        assert_eq!(popped.as_slice().unwrap()[1].as_bytes(), Some(&b"late"[..]));
        assert_eq!(results.value(2).unwrap(), Value::Integer(1));
    });
}

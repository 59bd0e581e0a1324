//! `slotwise scan` and `slotwise unlink` on the mini cluster.

use serde_json::Value;
use slotwise_std::mini::MiniCluster;
use slotwise_std::{Batch, Client};

use crate::slotwise;

/// A cluster with `count` keys `k:N`, one with odd bytes and a list; and its URL.
fn cluster(count: usize) -> (MiniCluster, String) {
    let cluster = MiniCluster::start(3).expect("the mini cluster starts");
    let url = format!("redis://{}", cluster.seeds()[1]);
    let mut client = Client::connect(&url).expect("it answers");
    let mut batch = Batch::new();
    for n in 0..count {
        batch.push(&["SET", &format!("k:{n}"), "v"]);
    }
    batch.push(&[&b"SET"[..], b"odd\n\\\xff", b"v"]).push(&["RPUSH", "list", "v"]);
    let results = client.run(&batch).expect("the loop runs");
    assert!(results.iter().all(|result| result.is_ok()));
    (cluster, url)
}

#[test]
fn scan_prints_every_key_once() {
    let (_cluster, url) = cluster(3_000);
    let run = slotwise(&["scan", &url], b"");
    assert_eq!(run.code, 0, "{}", run.err);
    let mut lines = run.lines();
    lines.sort_unstable();
    let mut wanted: Vec<String> = (0..3_000).map(|n| format!("k:{n}")).collect();
    wanted.extend(["list".to_owned(), r"odd\n\\\xff".to_owned()]);
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    assert!(run.err.starts_with("slotwise: complete: 3002 keys, "), "{}", run.err);

    let run = slotwise(&["scan", "-0", "--match", "odd*", &url], b"");
    assert_eq!(run.out, b"odd\n\\\xff\0");
    let run = slotwise(&["scan", "--type", "list", "--count", "7", &url], b"");
    assert_eq!(run.text(), "list\n");

    let run = slotwise(&["scan", "--json", "--match", "odd*", &url], b"");
    let lines: Vec<Value> = run.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["key"], r"odd\n\\\xff");
    assert_eq!((&lines[1]["complete"], &lines[1]["keys"], &lines[1]["error"]), (&true.into(), &1.into(), &Value::Null));
    assert_eq!(lines[1]["unproven"], Value::Array(Vec::new()));
}

#[test]
fn an_incomplete_scan_fails_and_names_the_slots() {
    let (cluster, url) = cluster(100);
    cluster.with_model(|model| model.uncover(7));
    let run = slotwise(&["scan", "--allow-uncovered", &url], b"");
    assert_eq!(run.code, 0, "{}", run.err);
    // TYPE of a name no server knows is refused at once.
    let run = slotwise(&["scan", "--json", "--type", "bogus", &url], b"");
    assert_eq!(run.code, 1, "{}", run.err);
    let last: Value = serde_json::from_str(run.lines().last().unwrap()).unwrap();
    assert_eq!(last["complete"], false);
    assert!(last["error"].as_str().unwrap().contains("bogus"), "{last}");
    assert!(run.err.contains("INCOMPLETE") && run.err.contains("not vouched for: slots"), "{}", run.err);
}

#[test]
fn nobody_there_is_3() {
    // Port 1 of loopback has no listener.
    for verb in [&["scan", "redis://127.0.0.1:1"][..], &["unlink", "--match", "*", "redis://127.0.0.1:1"]] {
        let run = slotwise(verb, b"");
        assert_eq!((run.code, run.text()), (3, ""), "{}", run.err);
    }
    assert_eq!(slotwise(&["unlink", "redis://127.0.0.1:1"], b"").code, 2, "a pattern is needed");
}

#[test]
fn unlink_counts_then_deletes() {
    let (cluster, url) = cluster(2_000);
    let run = slotwise(&["unlink", "--match", "k:1*", "--dry-run", &url], b"");
    assert_eq!((run.code, run.text()), (0, "1111 keys match; nothing was deleted\n"), "{}", run.err);
    assert_eq!(cluster.key_count(), 2_002);
    let run = slotwise(&["unlink", "--match", "k:1*", "--json", &url], b"");
    let object: Value = serde_json::from_str(run.text()).unwrap();
    assert_eq!((&object["complete"], &object["unlinked"], &object["failed"]), (&true.into(), &1111.into(), &0.into()));
    assert_eq!((run.code, cluster.key_count()), (0, 891));
    let run = slotwise(&["unlink", "--match", "*", &url], b"");
    assert_eq!((run.code, run.text(), cluster.key_count()), (0, "891 keys unlinked\n", 0), "{}", run.err);
}

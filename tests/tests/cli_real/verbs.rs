use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::{each, ok, run, start};

#[test]
fn topology_pipe_scan_unlink() {
    each(3, 1, |cluster, url| {
        let map: Value = serde_json::from_str(&ok(&run(&["topology", url, "--json"], ""))).unwrap();
        let ranges = map["ranges"].as_array().unwrap();
        assert_eq!(ranges.len(), 3, "{map}");
        for range in ranges {
            assert_eq!(range["replicas"].as_array().unwrap().len(), 1, "{map}");
        }
        assert_eq!(map["nodes"].as_array().unwrap().len(), 6, "{map}");
        assert_eq!(map["uncovered"], serde_json::json!([]));
        let table = ok(&run(&["topology", url], ""));
        assert!(cluster.admin().seeds().iter().all(|addr| table.contains(addr.as_str())), "{table}");

        let lines: String = (0..1_000).map(|n| format!("SET \"key {n}\" 'it''s {n}'\n")).collect();
        let output = run(&["pipe", url], &lines.replace("''", "\\'"));
        assert_eq!(ok(&output).lines().filter(|line| *line == "OK").count(), 1_000);
        let output = run(&["pipe", url, "--json"], "GET \"key 7\"\nGET a b c\nINCR n\n");
        assert_eq!(output.status.code(), Some(1), "one command of the three failed");
        let printed = String::from_utf8(output.stdout).unwrap();
        let results: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(results[0], serde_json::json!({"bulk": "it's 7"}));
        assert_eq!(results[1]["line"], 2, "{results:?}");
        assert_eq!(results[2], serde_json::json!({"int": 1}));

        let keys = ok(&run(&["scan", url, "--match", "key *"], ""));
        let mut keys: Vec<&str> = keys.lines().collect();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 1_000);

        let dry = ok(&run(&["unlink", url, "--match", "key *", "--dry-run", "--json"], ""));
        assert!(dry.contains("1000"), "{dry}");
        assert_eq!(cluster.admin().key_count().unwrap(), 1_001);
        ok(&run(&["unlink", url, "--match", "key *"], ""));
        assert_eq!(cluster.admin().key_count().unwrap(), 1);
    });
}

#[test]
fn subscribe_and_publish() {
    each(3, 0, |_, url| {
        for (kind, channel, seen) in
            [(None, "news", "news"), (Some("--sharded"), "{room}1", "{room}1"), (Some("--pattern"), "n*", "news")]
        {
            let mut args = vec!["subscribe", url, channel, "--json", "--count", "3", "--timeout", "20"];
            args.extend(kind);
            let mut subscriber = start(&args);
            let mut lines = BufReader::new(subscriber.stdout.take().unwrap()).lines();
            let mut publish = vec!["publish", url, seen, "hello"];
            publish.extend(kind.filter(|kind| *kind == "--sharded"));
            // Publishing begins before the subscription is made: some messages are not for it, three must come.
            let mut ended = None;
            for _ in 0..200 {
                ok(&run(&publish, ""));
                ended = subscriber.try_wait().unwrap();
                if ended.is_some() {
                    break;
                }
            }
            assert!(ended.is_some_and(|status| status.success()), "{kind:?}: {ended:?}");
            let messages: Vec<Value> =
                lines.by_ref().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
            let messages: Vec<&Value> = messages.iter().filter(|message| message["message"] == "hello").collect();
            assert_eq!(messages.len(), 3);
            assert!(messages.iter().all(|message| message["channel"] == seen), "{messages:?}");
        }
    });
}

#[test]
fn what_cannot_be_done_has_an_exit_code() {
    assert_eq!(run(&["scan", "redis://127.0.0.1:1"], "").status.code(), Some(3), "nobody answers there");
    assert_eq!(run(&["scan", "http://127.0.0.1:1"], "").status.code(), Some(2), "not a URL of ours");
}

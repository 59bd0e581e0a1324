//! The verbs that talk to a cluster, against one in this process.

use slotwise_std::mini::MiniCluster;

use super::slotwise;

fn cluster() -> (MiniCluster, String) {
    let cluster = MiniCluster::start(3).expect("a mini cluster");
    let url = format!("redis://{}", cluster.seeds()[0]);
    (cluster, url)
}

#[test]
fn topology_of_a_running_cluster() {
    let (cluster, url) = cluster();
    let seeds = cluster.seeds();
    for flag in ["--json", "--resp2"] {
        let run = slotwise(&["topology", &url, "--json", flag][..if flag == "--json" { 3 } else { 4 }], b"");
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        let told: serde_json::Value = serde_json::from_str(run.text()).expect("JSON");
        let primaries: Vec<&str> =
            told["ranges"].as_array().unwrap().iter().map(|range| range["primary"].as_str().unwrap()).collect();
        assert_eq!(primaries, seeds);
        assert_eq!(told["uncovered"], serde_json::json!([]));
        assert_eq!(told["nodes"].as_array().unwrap().len(), 3);
    }
    cluster.begin_move(42, 1).expect("slot 42 can move");
    let run = slotwise(&["topology", &url], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines = run.lines();
    assert_eq!(lines[0], "SHARD  SLOTS               PRIMARY          REPLICAS  HEALTH");
    assert!(seeds.iter().zip(&lines[1..]).all(|(seed, line)| line.contains(seed)), "{lines:?}");
    assert_eq!(lines[4], format!("slot 42 is moving from {} to {}", seeds[0], seeds[1]));
}

#[test]
fn no_cluster_is_no_connection() {
    // Bound and not listened on by anybody else: nothing answers there.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("bound").port();
    drop(held);
    let url = format!("redis://:secret@127.0.0.1:{port}");
    for args in [&["topology", &url][..], &["publish", &url, "c", "m"]] {
        let run = slotwise(args, b"");
        assert_eq!((run.code, run.text()), (3, ""), "{args:?}: {}", run.err);
        assert!(run.err.starts_with("slotwise: no seed led to a cluster"), "{}", run.err);
        assert!(!run.err.contains("secret"));
    }
    for url in ["redis://host:port", "http://127.0.0.1"] {
        assert_eq!(slotwise(&["topology", url], b"").code, 2, "{url}");
    }
}

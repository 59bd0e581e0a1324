use std::time::Duration;

use slotwise_std::Client;
use slotwise_tests::real::{Cluster, ServerKind};

/// `SLOTWISE_SEQUENTIAL` sets how many.
fn gets() -> usize {
    std::env::var("SLOTWISE_SEQUENTIAL").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

/// A client that is sure of a silent peer's death after 0.9 s.
fn client_of(cluster: &Cluster) -> Client {
    let url = format!("redis://{}", cluster.admin().seeds().join(","));
    let patience = |config: &mut slotwise_std::slotwise::cluster::Config| {
        config.timeouts.response = slotwise_std::slotwise::time::Duration::from_millis(600);
        config.timeouts.probe = slotwise_std::slotwise::time::Duration::from_millis(300);
    };
    let mut client = Client::builder(&url).unwrap().config(patience).connect().unwrap();
    for n in 0..gets() / 10 {
        client.command(&["SET", &format!("key:{n}"), &n.to_string()]).unwrap();
    }
    client
}

fn read(client: &mut Client, n: usize) {
    let n = n % (gets() / 10);
    assert_eq!(client.command(&["GET", &format!("key:{n}")]).unwrap().as_str(), Some(&*n.to_string()));
}

/// Stops the first node for so long while one GET that goes there is under way; says how often it was dialled since.
fn dials_over_a_pause(cluster: &Cluster, client: &mut Client, pause: Duration) -> u64 {
    let key = (0..).map(|n| format!("late:{n}")).find(|key| owned_by_first(key)).unwrap();
    client.command(&["SET", &key, "late"]).unwrap();
    let before = client.counters().dials;
    cluster.pause(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(pause);
            cluster.resume(0);
        });
        assert_eq!(client.command(&["GET", &key]).unwrap().as_str(), Some("late"));
    });
    client.counters().dials - before
}

fn owned_by_first(key: &str) -> bool {
    slotwise_std::slotwise::slot::Slot::of_key(key.as_bytes()).get() < 5_461
}

#[test]
fn sequential_commands_open_one_connection_for_each_node() {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(cluster) = Cluster::start(kind, 3, 0) else { continue };
        let mut client = client_of(&cluster);
        for n in 0..gets() {
            read(&mut client, n);
        }
        assert_eq!(client.counters().dials, 3, "{:?}", client.dialled().collect::<Vec<_>>());
        // Late, but in time: the same connection.
        assert_eq!(dials_over_a_pause(&cluster, &mut client, Duration::from_millis(400)), 0);
        // Later than a live peer may be: one more, and the command's reply still comes.
        let more = dials_over_a_pause(&cluster, &mut client, Duration::from_millis(1_300));
        println!(
            "{:?}: {} GETs, 3 connections; {more} more after a reply that was too late",
            cluster.admin().kind(),
            gets()
        );
        assert!((1..=2).contains(&more), "{more}");
        for n in 0..100 {
            read(&mut client, n);
        }
        assert_eq!(client.counters().dials, 3 + more);
    }
}

//! How a client finds its cluster: late, and again when everything is elsewhere.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use slotwise::pipeline::Outcome;
use slotwise_std::mini::MiniCluster;
use slotwise_std::mini::model::ModelOptions;
use slotwise_std::{Batch, Builder, Client};

/// A name server with one name.
#[derive(Clone)]
struct Names {
    addr: Arc<Mutex<SocketAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Names {
    /// The name leads to a port on which nobody listens.
    fn new() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Names { addr: Arc::new(Mutex::new(free)), asked: Arc::default() }
    }

    fn lead_to(&self, cluster: &MiniCluster) {
        *self.addr.lock().unwrap() = cluster.addresses()[0];
    }

    fn builder(&self) -> Builder {
        let names = self.clone();
        Client::builder("redis://cluster.example:7000").unwrap().resolver(move |host, port| {
            assert_eq!((host, port), ("cluster.example", 7000));
            names.asked.fetch_add(1, Ordering::Relaxed);
            Ok(vec![*names.addr.lock().unwrap()])
        })
    }
}

#[test]
fn a_client_starts_before_its_cluster() {
    let names = Names::new();
    let mut client = names.builder().start().unwrap();
    let late = {
        let names = names.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(800));
            let cluster = MiniCluster::start(3).unwrap();
            names.lead_to(&cluster);
            cluster
        })
    };
    let mut batch = Batch::new();
    batch.push(&["DBSIZE"]);
    for n in 0..50 {
        batch.push(&["SET", &format!("k{n}"), "v"]);
    }
    let results = client.run(&batch).unwrap();
    for result in results.iter() {
        result.unwrap();
    }
    let cluster = late.join().unwrap();
    assert_eq!(cluster.key_count(), 50);
    assert!(names.asked.load(Ordering::Relaxed) > 1, "the name was looked up again");
}

#[test]
fn while_nobody_is_there_commands_end_in_time() {
    let limit = Duration::from_millis(400);
    let mut client = Names::new().builder().connect_timeout(limit / 2).command_timeout(limit).start().unwrap();
    let began = Instant::now();
    for words in [&["GET", "k"][..], &["DBSIZE"], &["PING"]] {
        let error = client.command(words).unwrap_err();
        assert_eq!(error.outcome(), Some(Outcome::NotSent), "{words:?}: {error}");
    }
    assert!(began.elapsed() < 3 * limit + Duration::from_secs(1), "{:?}", began.elapsed());
    let answer = {
        let mut pipeline = client.pipeline();
        pipeline.push(&["DBSIZE"]);
        pipeline.next(limit).unwrap().unwrap()
    };
    assert_eq!(answer.result.unwrap_err().outcome(), Some(Outcome::NotSent));
    assert!(client.topology().is_err());
    client.close().unwrap();
}

/// Writes until it works; how long that took.
fn until_served(client: &mut Client, limit: Duration) -> Duration {
    let began = Instant::now();
    while let Err(error) = client.command(&["SET", "k", "v"]) {
        assert!(began.elapsed() < limit, "{error}");
    }
    began.elapsed()
}

#[test]
fn a_cluster_whose_addresses_all_changed_is_found_by_its_seeds_name() {
    let options = |seed| ModelOptions { primaries: 3, seed, ..ModelOptions::default() };
    let first = MiniCluster::with_options(options(1)).unwrap();
    let names = Names::new();
    names.lead_to(&first);
    let mut client = names.builder().connect().unwrap();
    for n in 0..50 {
        client.command(&["SET", &format!("k{n}"), "v"]).unwrap();
    }
    let ids = |client: &Client| client.map().nodes().map(|(_, node)| node.id()).collect::<Vec<_>>();
    let before = ids(&client);
    // The same nodes elsewhere.
    first.shutdown();
    let second = MiniCluster::with_options(options(1)).unwrap();
    names.lead_to(&second);
    let asked = names.asked.load(Ordering::Relaxed);
    let took = until_served(&mut client, Duration::from_secs(15));
    assert_eq!(ids(&client), before);
    assert!(second.key_count() > 0);
    // Other nodes elsewhere, of which nobody has heard: they are believed when nobody contradicts them for a while.
    second.shutdown();
    let third = MiniCluster::with_options(options(1_000)).unwrap();
    names.lead_to(&third);
    let longer = until_served(&mut client, Duration::from_secs(45));
    assert_ne!(ids(&client), before);
    assert!(third.key_count() > 0);
    assert!(names.asked.load(Ordering::Relaxed) >= asked + 2);
    println!("the same nodes after {took:?}, others after {longer:?}");
}

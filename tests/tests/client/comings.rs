//! Nodes that come and go: clients that start while the cluster is down, and nodes that leave it.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_std::slotwise::cluster::CloseReason;
use slotwise_std::slotwise::command::Target;
use slotwise_std::slotwise::ids::NodeId;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Builder, Client, Notice};
use slotwise_tests::real::{Admin, Cluster, ServerKind};

fn builder(admin: &Admin) -> Builder {
    Client::builder(&format!("redis://{}", admin.seeds().join(","))).unwrap()
}

/// First and last slot of one of three primaries.
fn share(node: usize) -> (usize, usize) {
    (node * 16_384 / 3, (node + 1) * 16_384 / 3 - 1)
}

fn slot_of(key: &str) -> usize {
    usize::from(Slot::of_key(key.as_bytes()).get())
}

/// A key in a node's share.
fn key_of(node: usize) -> String {
    let (first, last) = share(node);
    (0..).map(|n| format!("key:{n}")).find(|key| (first..=last).contains(&slot_of(key))).unwrap()
}

fn each(test: impl Fn(&mut Cluster)) {
    for kind in [ServerKind::Redis7, ServerKind::Redis8, ServerKind::Valkey9] {
        if let Some(mut cluster) = Cluster::start(kind, 3, 0) {
            test(&mut cluster);
        }
    }
}

#[test]
fn a_client_that_starts_before_the_servers_waits_for_them() {
    each(|cluster| {
        let admin = cluster.admin();
        for node in 0..3 {
            cluster.kill(node);
        }
        let mut client = builder(&admin).start().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(700));
                for node in 0..3 {
                    cluster.restart(node).unwrap();
                }
            });
            for node in 0..3 {
                client
                    .command(&["SET", &key_of(node), "v"])
                    .unwrap_or_else(|error| panic!("{:?}: {error}", admin.kind()));
            }
        });
    });
}

#[test]
fn a_client_that_starts_before_the_slots_are_given_out_waits_for_them() {
    each(|cluster| {
        let admin = cluster.admin();
        for node in 0..3 {
            admin.ask(node, &["CLUSTER", "RESET", "SOFT"]).unwrap();
            let info = admin.ask(node, &["CLUSTER", "INFO"]).unwrap().text();
            assert!(info.contains("cluster_state:fail"), "{info}");
        }
        let mut client = builder(&admin).start().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_secs(1));
                for node in 0..3 {
                    let (first, last) = share(node);
                    let words = ["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()];
                    admin.ask(node, &words).unwrap();
                    // Some slots have owners before others, and nobody knows of all.
                    thread::sleep(Duration::from_millis(300));
                }
                for node in 1..3 {
                    let (port, bus) = (admin.port(node).to_string(), admin.bus_port(node).to_string());
                    admin.ask(0, &["CLUSTER", "MEET", "127.0.0.1", &port, &bus]).unwrap();
                }
            });
            for node in 0..3 {
                client
                    .command(&["SET", &key_of(node), "v"])
                    .unwrap_or_else(|error| panic!("{:?}: {error}", admin.kind()));
            }
        });
    });
}

/// Dials and ends of the connections to one node.
#[derive(Clone, Default)]
struct Watched(Arc<Mutex<(usize, Vec<CloseReason>)>>);

impl Watched {
    fn of(&self, node: NodeId, builder: Builder) -> Builder {
        let seen = Arc::clone(&self.0);
        builder.observe(move |notice| match notice {
            Notice::Connecting { .. } if notice.node() == Some(node) => seen.lock().unwrap().0 += 1,
            Notice::Lost { reason, .. } if notice.node() == Some(node) => seen.lock().unwrap().1.push(*reason),
            _ => {}
        })
    }

    fn get(&self) -> (usize, Vec<CloseReason>) {
        self.0.lock().unwrap().clone()
    }
}

/// Gives the slots of node 2, which have no keys, to node 0, in everybody's map.
fn empty_last_node(admin: &Admin) {
    let (first, last) = share(2);
    let id = admin.nodes()[0].id.clone();
    // With the highest epoch its claims win, whoever hears whom first.
    admin.ask(0, &["CLUSTER", "BUMPEPOCH"]).unwrap();
    for node in [0, 2, 1] {
        let words: Vec<[String; 5]> = (first..=last)
            .map(|slot| ["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id].map(str::to_owned))
            .collect();
        let mut conn = admin.connect(node);
        for part in words.chunks(500) {
            assert!(conn.pipeline(part).unwrap().iter().all(|reply| reply.error().is_none()), "node {node}");
        }
    }
    admin.wait_agreed().unwrap();
}

#[test]
fn a_forgotten_nodes_connection_is_drained_and_left_alone() {
    each(|cluster| {
        let admin = cluster.admin();
        let gone = NodeId::parse(admin.nodes()[2].id.as_bytes()).unwrap();
        let watched = Watched::default();
        // Nodes are asked for the topology all the time, whatever happens.
        let often = slotwise_std::slotwise::time::Duration::from_millis(200);
        let set_up = watched.of(gone, builder(&admin)).config(|config| config.refresh.idle = Some(often));
        let mut client = set_up.connect().unwrap();
        for node in 0..3 {
            client.command(&["GET", &key_of(node)]).unwrap();
        }
        empty_last_node(&admin);
        // Its connection has a reply to come when it is forgotten.
        let mut pipeline = client.pipeline();
        pipeline.push_to(Target::Node(gone), &["DEBUG", "SLEEP", "1.5"]);
        assert!(pipeline.next(Duration::from_millis(100)).unwrap().is_none());
        for node in 0..2 {
            admin.ask(node, &["CLUSTER", "FORGET", &admin.nodes()[2].id]).unwrap();
        }
        let answer = pipeline.next(Duration::from_secs(5)).unwrap().expect("a reply");
        assert_eq!(answer.result.unwrap().as_str(), Some("OK"), "{:?}", admin.kind());
        assert!(pipeline.next(Duration::from_millis(100)).unwrap().is_none());
        drop(pipeline);
        // The sleeper may be among those who are asked, and then says so only now.
        let began = Instant::now();
        while client.map().find(&gone).is_some() && began.elapsed() < Duration::from_secs(5) {
            client.command(&["GET", &key_of(0)]).unwrap();
        }
        assert!(client.map().find(&gone).is_none(), "{:?}", client.map().node_count());
        assert_eq!(watched.get().1, [CloseReason::Retired], "{:?}", admin.kind());
        // Its slots are served, and nobody goes there any more.
        let (dials, _) = watched.get();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(2) {
            for node in 0..3 {
                client.command(&["SET", &key_of(node), "v"]).unwrap();
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(watched.get(), (dials, vec![CloseReason::Retired]));
    });
}

#[test]
fn nodes_are_dialled_by_their_first_command() {
    each(|cluster| {
        let admin = cluster.admin();
        // One seed, which becomes its node's connection.
        let mut client = Client::connect(&format!("redis://{}", admin.addr(0))).unwrap();
        for _ in 0..100 {
            client.command(&["SET", &key_of(0), "v"]).unwrap();
        }
        client.topology().unwrap();
        assert_eq!(client.counters().dials, 1, "{:?}", client.dialled().collect::<Vec<_>>());
        client.command(&["GET", &key_of(1)]).unwrap();
        assert_eq!(client.counters().dials, 2);
        client.command(&["GET", &key_of(2)]).unwrap();
        assert_eq!(client.counters().dials, 3);
    });
}

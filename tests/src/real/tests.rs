//! The harness against real servers.

use super::*;
use std::time::{Duration, Instant};

/// Three slots with ten keys each; slot numbers from the servers themselves.
fn load(cluster: &Cluster) -> Vec<(u16, Vec<String>)> {
    let mut asker = cluster.connect(0);
    ["a", "foo", "bar"]
        .iter()
        .map(|tag| {
            let keys: Vec<String> = (0..10).map(|n| format!("{{{tag}}}{n}")).collect();
            let slot = asker.call(&["CLUSTER", "KEYSLOT", &keys[0]]).int().unwrap();
            let slot = u16::try_from(slot).unwrap();
            let mut conn = cluster.connect(cluster.owner(slot).unwrap());
            for key in &keys {
                assert!(conn.call(&["SET", key, key]).is_simple(b"OK"));
            }
            (slot, keys)
        })
        .collect()
}

fn exercise(kind: ServerKind) {
    let began = Instant::now();
    let Some(mut cluster) = Cluster::start(kind, 3, 1) else { return };
    let ready = began.elapsed();
    assert!(ready < Duration::from_secs(15), "a cluster of 3+3 took {ready:?}");
    let loaded = load(&cluster);
    assert_eq!(cluster.key_count().unwrap(), 30);

    // A whole slot, and one stopped half way.
    let (slot, keys) = &loaded[0];
    let from = cluster.owner(*slot).unwrap();
    let to = (from + 1) % 3;
    cluster.move_slot(*slot, to).unwrap();
    assert_eq!(cluster.owner(*slot), Some(to));
    assert_eq!(cluster.connect(to).call(&["GET", &keys[3]]).text(), keys[3]);
    let moved = format!("MOVED {slot} {}", cluster.addr(to));
    assert_eq!(cluster.connect(from).call(&["GET", &keys[3]]).text(), moved);

    let (slot, keys) = &loaded[1];
    let from = cluster.owner(*slot).unwrap();
    let to = (from + 2) % 3;
    cluster.begin_move(*slot, from, to).unwrap();
    assert_eq!(cluster.move_keys(*slot, from, to, 4).unwrap(), 4);
    let mut conn = cluster.connect(from);
    let replies: Vec<Value> = keys.iter().map(|key| conn.call(&["GET", key])).collect();
    let ask = format!("ASK {slot} {}", cluster.addr(to));
    assert_eq!(replies.iter().filter(|reply| reply.text() == ask).count(), 4);
    assert_eq!(cluster.move_keys(*slot, from, to, usize::MAX).unwrap(), 6);
    cluster.finish_move(*slot, from, to).unwrap();
    cluster.wait_agreed().unwrap();
    assert_eq!(cluster.owner(*slot), Some(to));

    // Slots in the background while a replica is promoted.
    let replica = cluster.replicas_of(0)[0];
    let first = (0..16384).find(|slot| cluster.owner(*slot) == Some(0)).unwrap();
    let migrator = cluster.migrator((first..first + 20).map(|slot| (slot, 1)).collect(), 20);
    cluster.failover(replica).unwrap();
    assert_eq!(cluster.primary_of(0), Some(replica));
    let report = migrator.join();
    assert_eq!((report.moved, report.failed.len()), (20, 0), "{report:?}");
    cluster.wait_agreed().unwrap();
    assert_eq!(cluster.owner(first), Some(1));

    if kind.atomic_migration() {
        let slot = loaded[2].0;
        let to = (cluster.shard_of(cluster.owner(slot).unwrap()) + 1) % 3;
        let to = cluster.primary_of(to).unwrap();
        cluster.move_slots_atomically(slot, slot, to).unwrap();
        assert_eq!(cluster.connect(to).call(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]).int(), Some(10));
    }
    assert_eq!(cluster.key_count().unwrap(), 30);
    faults(&mut cluster);
}

fn faults(cluster: &mut Cluster) {
    // CLIENT KILL closes this connection, not the server.
    let mut conn = cluster.connect(2);
    conn.call(&["PING"]);
    assert!(cluster.kill_clients(2).unwrap() >= 1);
    assert!(conn.is_closed_by_server());

    // A stopped node keeps its sockets and says nothing, then everything.
    let mut conn = cluster.connect(2);
    conn.set_timeout(Duration::from_millis(300)).unwrap();
    cluster.pause(2);
    assert!(conn.try_call(&["PING"]).unwrap_err().is_timeout());
    cluster.resume(2);
    conn.set_timeout(Duration::from_secs(5)).unwrap();
    assert!(conn.read().unwrap().is_simple(b"PONG"));

    // A killed replica is missed by nobody, comes back with its id and is listed again.
    let replica = cluster.replicas_of(1)[0];
    let id = cluster.nodes()[replica].id.clone();
    let pid = cluster.processes()[replica].pid();
    cluster.kill(replica);
    assert!(Conn::open(cluster.port(replica)).is_err());
    cluster.restart(replica).unwrap();
    assert_ne!(cluster.processes()[replica].pid(), pid);
    assert_eq!(cluster.connect(replica).call(&["CLUSTER", "MYID"]).text(), id);
    cluster.wait_agreed().unwrap();
}

#[test]
fn redis7_does_what_the_harness_promises() {
    exercise(ServerKind::Redis7);
}

#[test]
fn redis8_does_what_the_harness_promises() {
    exercise(ServerKind::Redis8);
}

#[test]
fn valkey9_does_what_the_harness_promises() {
    exercise(ServerKind::Valkey9);
}

#[test]
fn processes_end_when_the_cluster_is_dropped_in_a_panic() {
    let Some(cluster) = Cluster::start(ServerKind::Redis7, 1, 0) else { return };
    let port = cluster.port(0);
    let dir = std::env::temp_dir();
    let ours = format!("slotwise-{}-", std::process::id());
    let panicked = std::thread::spawn(move || {
        let _cluster = cluster;
        panic!("on purpose");
    })
    .join();
    assert!(panicked.is_err());
    assert!(Conn::open(port).is_err(), "the server outlived its cluster");
    // The directory of this very cluster is gone; other tests of this process may have theirs.
    let left = std::fs::read_dir(dir).unwrap().filter_map(Result::ok).filter(|entry| {
        entry.file_name().to_string_lossy().starts_with(&ours) && entry.path().join(port.to_string()).exists()
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn a_missing_server_is_found_missing() {
    let servers = Servers::in_dir("/nonexistent");
    assert_eq!(servers.find(ServerKind::Valkey9), None);
    assert_eq!(servers.version(ServerKind::Redis8), None);
}

#[test]
fn port_locks_exclude_each_other() {
    let locks: Vec<PortLock> = (0..20).map(|_| PortLock::take()).collect();
    let mut ports: Vec<u16> = locks.iter().map(PortLock::get).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 20);
}

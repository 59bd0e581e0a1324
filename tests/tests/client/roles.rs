//! Nodes that are not (yet, or any more) what the client takes them for: loading, cut off from their primary, demoted.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use slotwise_std::slotwise::cluster::ReadFrom;
use slotwise_std::slotwise::cluster::RetryCause;
use slotwise_std::slotwise::command::Target;
use slotwise_std::slotwise::ids::NodeId;
use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_std::slotwise::server_error::ErrorKind;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Batch, Builder, Client, Error, Notice};
use slotwise_tests::real::{Admin, Cluster, ClusterOptions, ServerKind};

const KEY: &str = "{roles}a";

fn slot() -> u16 {
    Slot::of_key(KEY.as_bytes()).get()
}

/// For what commands were sent again.
#[derive(Clone, Default)]
struct Refusals(Arc<Mutex<Vec<ErrorKind>>>);

impl Refusals {
    fn watch(&self, builder: Builder) -> Client {
        let seen = Arc::clone(&self.0);
        let note = move |notice: &Notice<'_>| {
            if let Notice::Retried { why: RetryCause::Refused(kind), .. } = notice {
                seen.lock().unwrap().push(*kind);
            }
        };
        builder.observe(note).connect().unwrap()
    }

    /// How many of a kind there were since the last look.
    fn take(&self, kind: ErrorKind) -> usize {
        let seen = std::mem::take(&mut *self.0.lock().unwrap());
        seen.into_iter().filter(|known| *known == kind).count()
    }
}

fn builder(admin: &Admin) -> Builder {
    Client::builder(&format!("redis://{}", admin.seeds().join(","))).unwrap()
}

/// Every server family that is here, with further lines of configuration.
fn each(primaries: usize, replicas: usize, lines: &[&str], test: impl Fn(&mut Cluster)) {
    for kind in [ServerKind::Redis7, ServerKind::Redis8, ServerKind::Valkey9] {
        let options = ClusterOptions::new(kind, primaries, replicas);
        let options = lines.iter().fold(options, |options, line| options.line(line));
        if let Some(mut cluster) = options.start() {
            test(&mut cluster);
        }
    }
}

fn id(admin: &Admin, node: usize) -> NodeId {
    NodeId::parse(admin.nodes()[node].id.as_bytes()).unwrap()
}

/// Loading takes a millisecond for each key, and the server looks at its clients after each kilobyte.
const SLOWLY: [&str; 2] = ["key-load-delay 1000", "loading-process-events-interval-bytes 1024"];

/// Keys enough for so many milliseconds of loading.
fn fill(client: &mut Client, keys: usize) {
    let mut batch = Batch::new();
    for n in 0..keys {
        batch.push(&["SET", &format!("{{roles}}{n}"), &"v".repeat(200)]);
    }
    for result in client.run(&batch).unwrap().iter() {
        result.unwrap();
    }
}

/// Waits until a READONLY connection to the replica gets an error that begins like this.
fn until_said(admin: &Admin, replica: usize, begins: &str) {
    let mut conn = admin.connect(replica);
    conn.call(&["READONLY"]);
    let end = Instant::now() + Duration::from_secs(10);
    while !conn.call(&["GET", KEY]).error().is_some_and(|line| line.starts_with(begins.as_bytes())) {
        assert!(Instant::now() < end, "{:?} does not say {begins}", admin.kind());
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_blocking_command_outlives_the_demotion_of_its_node() {
    each(3, 1, &[], |cluster| {
        let admin = cluster.admin();
        let mut client = builder(&admin).connect().unwrap();
        let owner = admin.owner(slot()).unwrap();
        let replica = admin.replicas_of(owner)[0];
        let value = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(300));
                admin.failover(replica).unwrap();
                let mut other = builder(&admin).connect().unwrap();
                other.command(&["RPUSH", "{roles}list", "late"]).unwrap();
            });
            client
                .command(&["BLPOP", "{roles}list", "30"])
                .unwrap_or_else(|error| panic!("{:?}: {error}", admin.kind()))
        });
        assert_eq!(value.as_slice().unwrap()[1].as_str(), Some("late"));
        assert_eq!(admin.owner(slot()), Some(replica));
    });
}

#[test]
fn reads_go_on_while_a_replica_loads() {
    each(3, 1, &SLOWLY, |cluster| {
        let admin = cluster.admin();
        let refusals = Refusals::default();
        let mut client = refusals.watch(builder(&admin).read_from(ReadFrom::PreferReplica));
        client.command(&["SET", KEY, "1"]).unwrap();
        fill(&mut client, 1_500);
        let owner = admin.owner(slot()).unwrap();
        let replica = admin.replicas_of(owner)[0];
        client.command(&["GET", KEY]).unwrap();
        // A new history at the primary makes the replica load everything anew.
        let mut conn = admin.connect(owner);
        assert!(conn.call(&["DEBUG", "CHANGE-REPL-ID"]).error().is_none());
        conn.call(&["CLIENT", "KILL", "TYPE", "replica"]);
        until_said(&admin, replica, "LOADING");
        let (began, mut longest) = (Instant::now(), Duration::ZERO);
        while began.elapsed() < Duration::from_millis(500) {
            let asked = Instant::now();
            assert_eq!(client.command(&["GET", KEY]).unwrap().as_str(), Some("1"));
            longest = longest.max(asked.elapsed());
        }
        assert!(refusals.take(ErrorKind::Loading) > 0, "the replica was asked");
        assert!(longest < Duration::from_millis(400), "{:?}: {longest:?}", admin.kind());
    });
}

#[test]
fn what_a_loading_primary_refuses_waits_for_it() {
    each(3, 0, &SLOWLY, |cluster| {
        let admin = cluster.admin();
        let refusals = Refusals::default();
        let mut client = refusals.watch(builder(&admin));
        client.command(&["SET", KEY, "1"]).unwrap();
        fill(&mut client, 1_500);
        let owner = admin.owner(slot()).unwrap();
        admin.ask(owner, &["SAVE"]).unwrap();
        cluster.restart(owner).unwrap();
        // A command without keys is refused by itself, one with a key because the cluster does not count on the node yet.
        let size = client.command_to(Target::Node(id(&admin, owner)), &["DBSIZE"]).unwrap();
        assert_eq!(size.as_i64(), Some(1_501));
        assert!(refusals.take(ErrorKind::Loading) > 0, "{:?}", admin.kind());
        assert_eq!(client.command(&["GET", KEY]).unwrap().as_str(), Some("1"));
    });
}

#[test]
fn reads_go_on_at_the_primary_while_a_replica_has_lost_it() {
    each(3, 1, &["replica-serve-stale-data no"], |cluster| {
        let admin = cluster.admin();
        let refusals = Refusals::default();
        let mut client = refusals.watch(builder(&admin).read_from(ReadFrom::PreferReplica));
        client.command(&["SET", KEY, "1"]).unwrap();
        client.command(&["GET", KEY]).unwrap();
        let owner = admin.owner(slot()).unwrap();
        let replica = admin.replicas_of(owner)[0];
        // The replica does not know the password, which those who are connected need not know.
        let mut conn = admin.connect(owner);
        conn.call(&["CONFIG", "SET", "requirepass", "secret"]);
        conn.call(&["CLIENT", "KILL", "TYPE", "replica"]);
        until_said(&admin, replica, "MASTERDOWN");
        let began = Instant::now();
        assert_eq!(client.command(&["GET", KEY]).unwrap().as_str(), Some("1"));
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert!(refusals.take(ErrorKind::MasterDown) > 0, "{:?}", admin.kind());
    });
}

#[test]
fn a_read_that_nobody_can_answer_waits_for_the_next_primary() {
    each(3, 1, &["replica-serve-stale-data no"], |cluster| {
        let admin = cluster.admin();
        let refusals = Refusals::default();
        let mut client = refusals.watch(builder(&admin).read_from(ReadFrom::PreferReplica));
        client.command(&["SET", KEY, "1"]).unwrap();
        client.command(&["GET", KEY]).unwrap();
        let owner = admin.owner(slot()).unwrap();
        let replica = admin.replicas_of(owner)[0];
        admin.ask(owner, &["WAIT", "1", "1000"]).unwrap();
        cluster.kill(owner);
        until_said(&admin, replica, "MASTERDOWN");
        assert_eq!(client.command(&["GET", KEY]).unwrap().as_str(), Some("1"));
        assert!(refusals.take(ErrorKind::MasterDown) > 0, "{:?}", admin.kind());
        assert_eq!(admin.owner(slot()), Some(replica));
    });
}

#[test]
fn a_replica_that_is_told_to_write_says_so_at_once() {
    each(3, 1, &[], |cluster| {
        let admin = cluster.admin();
        let mut client = builder(&admin).connect().unwrap();
        client.command(&["SET", KEY, "1"]).unwrap();
        let owner = admin.owner(slot()).unwrap();
        let replica = admin.replicas_of(owner)[0];
        let there = Target::Node(id(&admin, replica));
        let began = Instant::now();
        match client.command_to(there, &["FLUSHALL"]) {
            Err(error @ Error::Server { .. }) => {
                assert_eq!(error.server_kind(), Some(ErrorKind::ReadOnly), "{error}");
                assert_eq!(error.outcome(), Some(Outcome::Rejected), "{error}");
            }
            other => panic!("{other:?}"),
        }
        // A script may have done something before it was refused.
        match client.command_to(there, &["EVAL", "return redis.call('SET', KEYS[1], '2')", "1", KEY]) {
            Err(error @ Error::Server { .. }) => assert_ne!(error.outcome(), Some(Outcome::Rejected), "{error}"),
            other => panic!("{other:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        // A demoted primary is told of by the map: the next try goes to the new one.
        admin.failover(replica).unwrap();
        let said: Vec<_> = (0..20)
            .map(|_| {
                thread::sleep(Duration::from_millis(50));
                client.command(&["FLUSHALL"])
            })
            .collect();
        assert!(matches!(said.last(), Some(Ok(_))), "{:?}: {said:?}", admin.kind());
        assert_eq!(admin.key_count().unwrap(), 0);
    });
}

//! What goes wrong with nodes, time, and the record of what really ran.

use super::tests::{ask, model};
use super::*;

fn executed(model: &mut Model) -> Vec<(u64, String, bool)> {
    let line = |words: &[Vec<u8>]| String::from_utf8(words.join(&b' ')).unwrap();
    model.take_executions().into_iter().map(|e| (e.number, line(&e.words), e.wrote)).collect()
}

/// `foo` belongs to node 1 of 2, whose replica is node 3.
fn shards() -> Model {
    let mut model = model(Profile::Valkey9, 2, 1);
    model.record(true);
    model
}

#[test]
fn what_ran_is_recorded_with_its_number_and_what_was_refused_is_not() {
    let mut model = shards();
    let client = model.connect(1);
    for line in ["SET foo 1", "GET bar", "GET foo", "LPUSH foo x", "MULTI", "SET foo 2", "GET foo", "EXEC", "NONE"] {
        ask(&mut model, client, line);
    }
    let ran = executed(&mut model);
    let expected = [
        (1, "SET foo 1", true),
        (3, "GET foo", false),
        (4, "LPUSH foo x", false),
        (5, "MULTI", false),
        (6, "SET foo 2", true),
        (7, "GET foo", false),
        (8, "EXEC", true),
    ];
    assert_eq!(ran, expected.map(|(number, line, wrote)| (number, line.to_owned(), wrote)));
    assert!(model.take_events().is_empty());
    ask(&mut model, client, "MULTI");
    ask(&mut model, client, "SET foo 3");
    ask(&mut model, client, "EXEC");
    let events = model.take_executions();
    assert_eq!(events[1].inside, Inside::Transaction(12));
    assert_eq!((events[1].number, events[1].node, events[1].offset), (11, 1, 3));
}

#[test]
fn a_takeover_loses_what_the_replica_lacks_and_the_old_primary_learns_it_by_gossip() {
    let mut model = shards();
    let (old, new) = (model.connect(1), model.connect(3));
    ask(&mut model, old, "SET foo 1");
    model.set_switches(3, |s| s.lagging = true);
    ask(&mut model, old, "SET foo 2");
    ask(&mut model, old, "SET {foo}b 2");
    assert_eq!(model.lag(3), 2);
    assert_eq!(model.replicate(3, 1), 1);
    model.take_events();
    model.take_over(3).unwrap();
    let lost = model.take_events();
    assert_eq!(lost, [Event::Lost { history: 1, offset: 2, keys: vec![b"{foo}b".to_vec()] }]);
    assert_eq!(ask(&mut model, new, "MGET foo {foo}b"), "*2\r\n$1\r\n2\r\n$-1\r\n");
    // Two primaries for a while.
    assert_eq!(ask(&mut model, old, "SET {foo}c 2"), "+OK\r\n");
    let ran = model.take_executions();
    assert_eq!((ran[1].history, ran[1].offset), (1, 4));
    assert!(model.gossip(3, 1));
    let lost = model.take_events();
    let keys = vec![b"{foo}b".to_vec(), b"{foo}c".to_vec()];
    assert_eq!(lost, [Event::Lost { history: 1, offset: 2, keys }]);
    assert_eq!(ask(&mut model, old, "GET foo"), "-MOVED 12182 127.0.0.1:9003\r\n");
    assert_eq!(model.primary_of(1), Some(3));
    ask(&mut model, new, "SET foo 9");
    let ran = model.take_executions();
    assert_eq!(ran.last().map(|e| (e.history, e.offset)), Some((4, 3)));
    assert_eq!(model.lag(1), 0);
}

#[test]
fn a_crash_cuts_connections_and_a_restart_has_the_data_or_has_not() {
    let mut model = shards();
    let client = model.connect(1);
    ask(&mut model, client, "SET foo 1");
    model.request(client, &[b"PING".to_vec()]);
    model.crash(1);
    assert!(model.is_closing(client) && !model.has_output(client) && !model.accepts(1));
    let refused = model.connect(1);
    assert!(model.is_closing(refused));
    model.restart(1, Restart::WithData).unwrap();
    let client = model.connect(1);
    assert_eq!(ask(&mut model, client, "GET foo"), "$1\r\n1\r\n");
    model.take_events();
    model.crash(1);
    model.restart(1, Restart::Empty).unwrap();
    // Said once for the node and once for the replica that followed it.
    assert_eq!(model.take_events(), vec![Event::Lost { history: 1, offset: 0, keys: vec![] }; 2]);
    let client = model.connect(1);
    assert_eq!(ask(&mut model, client, "GET foo"), "$-1\r\n");
    assert_eq!(model.key_count(3), 0, "the replica followed");
    // A replica of another shard now: its data are those of that one.
    model.crash(1);
    model.take_over(3).unwrap();
    model.restart(1, Restart::WithData).unwrap();
    model.settle();
    assert_eq!((model.primary_of(1), model.owner(12182)), (Some(3), Some(3)));
}

#[test]
fn a_stopped_node_answers_everything_later_and_switches_have_their_errors() {
    let mut model = shards();
    let client = model.connect(1);
    model.set_switches(1, |s| s.paused = true);
    assert_eq!(ask(&mut model, client, "SET foo 1"), "");
    assert_eq!(ask(&mut model, client, "GET foo"), "");
    model.set_switches(1, |s| s.paused = false);
    assert_eq!(model.take_output(client), b"+OK\r\n$1\r\n1\r\n");
    for (set, line, reply) in [
        ((|s| s.loading = true) as fn(&mut Switches), "PING", "-LOADING Valkey is loading the dataset in memory\r\n"),
        (|s| s.loading = true, "GET foo", "-CLUSTERDOWN The cluster is down\r\n"),
        (|s| s.loading = true, "ECHO x", "$1\r\nx\r\n"),
        (|s| s.cluster_down = true, "GET foo", "-CLUSTERDOWN The cluster is down\r\n"),
        (|s| s.out_of_memory = true, "SET foo 1", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"),
        (|s| s.out_of_memory = true, "GET foo", "$1\r\n1\r\n"),
        (
            |s| s.busy = true,
            "GET foo",
            "-BUSY Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.\r\n",
        ),
    ] {
        model.set_switches(1, set);
        assert_eq!(ask(&mut model, client, line), reply);
        model.set_switches(1, |s| *s = Switches::default());
    }
    model.set_switches(1, |s| s.most_clients = Some(1));
    let refused = model.connect(1);
    assert_eq!(model.take_output(refused), b"-ERR max number of clients reached\r\n");
    assert!(model.is_closing(refused) && !model.is_closing(client));
}

#[test]
fn passwords_rights_and_users_change_under_open_connections() {
    let mut model = shards();
    let open = model.connect(1);
    model.set_password(None, Some(b"new"));
    assert_eq!(ask(&mut model, open, "PING"), "+PONG\r\n");
    let late = model.connect(1);
    assert_eq!(ask(&mut model, late, "PING"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(ask(&mut model, late, "AUTH new"), "+OK\r\n");
    model.set_allowed(Some(1), b"default", "cluster|slots", false);
    let denied = "-NOPERM User default has no permissions to run the 'cluster|slots' command\r\n";
    assert_eq!(ask(&mut model, late, "CLUSTER SLOTS"), denied);
    assert!(ask(&mut model, late, "CLUSTER INFO").contains("cluster_state:ok"));
    model.set_allowed(Some(1), b"default", "cluster|slots", true);
    assert!(ask(&mut model, late, "CLUSTER SLOTS").starts_with('*'));
    model.add_user(None, b"app", b"pw");
    assert_eq!(ask(&mut model, late, "AUTH app pw"), "+OK\r\n");
    model.remove_user(None, b"app");
    assert!(model.is_closing(late) && !model.is_closing(open));
}

#[test]
fn endpoints_in_slots_and_redirects() {
    let mut model = shards();
    let client = model.connect(0);
    for (endpoint, entry, host) in [
        (Endpoint::Host("h.example".into()), "$9\r\nh.example\r\n:9001\r\n", "h.example"),
        (Endpoint::MissingHost, "$1\r\n?\r\n:9001\r\n", "?"),
        (Endpoint::Unknown, "$-1\r\n:9001\r\n", ""),
        (Endpoint::Empty, "$0\r\n\r\n:9001\r\n", ""),
        (Endpoint::Address, "$9\r\n127.0.0.1\r\n:9001\r\n", "127.0.0.1"),
    ] {
        model.set_endpoint(1, endpoint);
        assert!(ask(&mut model, client, "CLUSTER SLOTS").contains(entry));
        assert_eq!(ask(&mut model, client, "GET foo"), format!("-MOVED 12182 {host}:9001\r\n"));
    }
}

#[test]
fn nodes_come_go_and_move() {
    let mut model = shards();
    let new = model.add_node();
    model.set_address(new, "127.0.0.1", 9099);
    let client = model.connect(0);
    assert!(ask(&mut model, client, "CLUSTER NODES").contains(":9099@"));
    model.move_atomically(12182, new).unwrap();
    model.settle();
    assert_eq!(ask(&mut model, client, "GET foo"), "-MOVED 12182 127.0.0.1:9099\r\n");
    assert_eq!(model.remove_node(new), Err(ControlError::KeysLeft(1)));
    model.move_atomically(12182, 0).unwrap();
    model.settle();
    model.attach(new, 0).unwrap();
    assert!(ask(&mut model, client, "CLUSTER SLOTS").contains(":9099"));
    model.remove_node(new).unwrap();
    assert!(!ask(&mut model, client, "CLUSTER SLOTS").contains(":9099"));
    // Replicas move.
    model.attach(3, 0).unwrap();
    assert_eq!(model.primary_of(3), Some(0));
    // A node that was reset knows nothing.
    model.reset_node(3).unwrap();
    let lost = model.connect(3);
    assert_eq!(ask(&mut model, lost, "CLUSTER SLOTS"), "*0\r\n");
    assert_eq!(ask(&mut model, lost, "GET foo"), "-CLUSTERDOWN Hash slot not served\r\n");
    // Nobody's slot at its last owner, while another node still sends clients there.
    let last = model.owner(12182).unwrap();
    model.forget_owner(last, 12182);
    let (owner, stale) = (model.connect(last), model.connect(1));
    assert_eq!(ask(&mut model, owner, "GET foo"), "-CLUSTERDOWN Hash slot not served\r\n");
    assert_eq!(ask(&mut model, stale, "GET foo"), "-MOVED 12182 127.0.0.1:9000\r\n");
}

#[test]
fn who_has_not_heard_of_a_takeover_shows_the_old_primary_as_before() {
    for profile in [Profile::Redis7, Profile::Valkey9] {
        let mut model = model(profile, 2, 1);
        let client = model.connect(0);
        model.take_over(3).unwrap();
        assert!(model.gossip(3, 1));
        assert_eq!(model.primary_of(1), Some(3));
        let old = model.node_id(1).unwrap().to_owned();
        let line = |model: &mut Model| {
            let text = ask(model, client, "CLUSTER NODES");
            text.lines().find(|line| line.contains(&old)).unwrap().to_owned()
        };
        let before = line(&mut model);
        assert!(before.contains(" master - ") && before.ends_with(" connected 8192-16383"), "{before}");
        assert!(model.gossip(3, 0));
        let after = line(&mut model);
        assert!(after.contains(" slave ") && after.ends_with(" connected"), "{after}");
    }
}

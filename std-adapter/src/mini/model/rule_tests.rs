//! The rules of redirects, migrations, failovers and subscriptions, one test each. Key `foo` has slot 12182.

use super::tests::{ask, model};
use super::*;

const FOO: u16 = 12182;

/// Two shards with a replica each: `foo` belongs to node 1, whose replica is node 3.
fn shards(profile: Profile) -> (Model, ClientId, ClientId) {
    let mut model = model(profile, 2, 1);
    let (zero, one) = (model.connect(0), model.connect(1));
    (model, zero, one)
}

/// Slot of `foo` half way from node 1 to node 0: `{foo}old` is at 1, `{foo}new` at 0.
fn half_moved(profile: Profile) -> (Model, ClientId, ClientId) {
    let (mut model, zero, one) = shards(profile);
    ask(&mut model, one, "MSET {foo}old 1 {foo}new 2");
    assert_eq!(model.begin_move(FOO, 0), Ok(1));
    assert_eq!(model.move_key(FOO, b"{foo}new"), Ok(true));
    (model, zero, one)
}

fn all(each: impl FnMut(Profile)) {
    Profile::ALL.into_iter().for_each(each);
}

const ASK: &str = "-ASK 12182 127.0.0.1:9000\r\n";
const MOVED_BACK: &str = "-MOVED 12182 127.0.0.1:9001\r\n";
const TRYAGAIN: &str = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";

#[test]
fn asking_is_used_up_by_any_next_command_and_does_not_add_up() {
    all(|profile| {
        let (mut model, zero, _) = half_moved(profile);
        for between in ["PING", "GET", "BOGUS", "ECHO x"] {
            ask(&mut model, zero, "ASKING");
            ask(&mut model, zero, "ASKING");
            ask(&mut model, zero, between);
            assert_eq!(ask(&mut model, zero, "GET {foo}new"), MOVED_BACK, "{profile:?} {between}");
        }
        ask(&mut model, zero, "ASKING");
        assert_eq!(ask(&mut model, zero, "GET {foo}new"), "$1\r\n2\r\n");
        assert_eq!(ask(&mut model, zero, "GET {foo}new"), MOVED_BACK);
    });
}

#[test]
fn asking_covers_a_transaction_from_the_front_and_not_from_inside() {
    all(|profile| {
        let (mut model, zero, _) = half_moved(profile);
        for line in ["ASKING", "MULTI", "GET {foo}new", "GET {foo}new"] {
            ask(&mut model, zero, line);
        }
        assert_eq!(ask(&mut model, zero, "EXEC"), "*2\r\n$1\r\n2\r\n$1\r\n2\r\n", "{profile:?}");
        assert_eq!(ask(&mut model, zero, "GET {foo}new"), MOVED_BACK);
        ask(&mut model, zero, "MULTI");
        assert_eq!(ask(&mut model, zero, "ASKING"), "+QUEUED\r\n");
        assert_eq!(ask(&mut model, zero, "GET {foo}new"), MOVED_BACK);
        assert!(ask(&mut model, zero, "EXEC").starts_with("-EXECABORT "));
    });
}

#[test]
fn a_redirect_while_queueing_aborts_and_one_at_exec_discards() {
    all(|profile| {
        let (mut model, zero, one) = shards(profile);
        ask(&mut model, zero, "MULTI");
        assert_eq!(ask(&mut model, zero, "SET foo 1"), MOVED_BACK);
        assert_eq!(
            ask(&mut model, zero, "EXEC"),
            "-EXECABORT Transaction discarded because of previous errors.\r\n",
            "{profile:?}"
        );
        ask(&mut model, one, "MULTI");
        assert_eq!(ask(&mut model, one, "SET foo 1"), "+QUEUED\r\n");
        model.failover(3).unwrap();
        assert_eq!(ask(&mut model, one, "EXEC"), "-MOVED 12182 127.0.0.1:9003\r\n");
        assert_eq!(ask(&mut model, one, "EXEC"), "-ERR EXEC without MULTI\r\n");
        assert!(!model.has_key(3, b"foo"));
    });
}

#[test]
fn a_migrating_source_serves_what_it_has_and_the_target_with_asking() {
    all(|profile| {
        let (mut model, zero, one) = half_moved(profile);
        assert_eq!(ask(&mut model, one, "GET {foo}old"), "$1\r\n1\r\n");
        assert_eq!(ask(&mut model, one, "GET {foo}new"), ASK);
        assert_eq!(ask(&mut model, one, "SET {foo}fresh 1"), ASK);
        assert_eq!(ask(&mut model, one, "MGET {foo}new {foo}fresh"), ASK);
        // Before 7.0 the source sent clients on even with some of the keys still there.
        let some = if profile == Profile::Redis62 { ASK } else { TRYAGAIN };
        assert_eq!(ask(&mut model, one, "MGET {foo}old {foo}new"), some, "{profile:?}");
        ask(&mut model, zero, "ASKING");
        assert_eq!(ask(&mut model, zero, "MGET {foo}new {foo}old"), TRYAGAIN);
        ask(&mut model, zero, "ASKING");
        assert_eq!(ask(&mut model, zero, "GET {foo}old"), "$-1\r\n");
        ask(&mut model, zero, "ASKING");
        assert_eq!(ask(&mut model, zero, "MGET {foo}new {foo}new"), "*2\r\n$1\r\n2\r\n$1\r\n2\r\n");
    });
}

#[test]
fn a_transaction_meets_a_migration_while_queueing_or_at_exec() {
    all(|profile| {
        let (mut model, _, one) = half_moved(profile);
        ask(&mut model, one, "MULTI");
        let queued = ask(&mut model, one, "GET {foo}new");
        let end = ask(&mut model, one, "EXEC");
        if profile == Profile::Valkey9 {
            assert_eq!((queued.as_str(), end.as_str()), ("+QUEUED\r\n", ASK));
        } else {
            assert_eq!(queued, ASK, "{profile:?}");
            assert!(end.starts_with("-EXECABORT "));
        }
    });
}

#[test]
fn a_blocking_command_on_a_missing_key_of_a_migrating_slot_is_sent_on_at_once() {
    all(|profile| {
        let (mut model, _, one) = half_moved(profile);
        assert_eq!(ask(&mut model, one, "BLPOP {foo}list 0"), ASK, "{profile:?}");
        assert!(!model.is_blocked(one));
    });
}

#[test]
fn a_blocked_client_is_cut_off_or_redirected_at_a_failover() {
    all(|profile| {
        let (mut model, _, one) = shards(profile);
        let (plain, waiting) = (model.connect(1), model.connect(1));
        assert_eq!(ask(&mut model, one, "BLPOP foo 0"), "");
        assert_eq!(ask(&mut model, waiting, "WAIT 5 0"), "");
        // What was sent behind it is not run when the connection is closed.
        assert_eq!(ask(&mut model, one, "SET foo 1"), "");
        model.failover(3).unwrap();
        let reply = String::from_utf8(model.take_output(one)).unwrap();
        if profile == Profile::Valkey9 {
            assert_eq!(reply, "-MOVED 12182 127.0.0.1:9003\r\n".repeat(2));
            assert!(!model.is_closing(one) && model.is_blocked(waiting));
        } else {
            assert!(reply.starts_with("-UNBLOCKED force unblock from blocking operation"), "{profile:?}: {reply}");
            assert_eq!(reply.matches("\r\n").count(), 1);
            assert!(model.is_closing(one) && model.is_closing(waiting));
        }
        // Other connections stay.
        assert!(!model.is_closing(plain));
        assert_eq!(ask(&mut model, plain, "GET foo"), "-MOVED 12182 127.0.0.1:9003\r\n");
    });
}

#[test]
fn a_blocked_client_is_redirected_when_its_slot_moves() {
    all(|profile| {
        let (mut model, zero, one) = shards(profile);
        ask(&mut model, one, "BLPOP foo 0");
        model.begin_move(FOO, 0).unwrap();
        assert!(model.is_blocked(one));
        model.finish_move(FOO).unwrap();
        assert_eq!(model.take_output(one), b"-MOVED 12182 127.0.0.1:9000\r\n", "{profile:?}");
        assert_eq!(ask(&mut model, one, "PING"), "+PONG\r\n");
        ask(&mut model, zero, "BLPOP foo 0");
        model.uncover(FOO);
        assert!(model.take_output(zero).starts_with(b"-CLUSTERDOWN "));
    });
}

#[test]
fn blocking_commands_time_out_are_served_in_turn_and_hold_back_what_follows() {
    let (mut model, _, one) = shards(Profile::Redis8);
    let (first, second) = (model.connect(1), model.connect(1));
    model.record(true);
    model.advance(Duration::from_secs(10));
    assert_eq!(ask(&mut model, first, "BLPOP foo 0"), "");
    assert_eq!(ask(&mut model, second, "BRPOP foo 1.5"), "");
    assert_eq!(ask(&mut model, first, "PING"), "");
    assert_eq!(model.next_deadline(), Some(Duration::from_millis(11_500)));
    assert_eq!(ask(&mut model, one, "RPUSH foo a"), ":1\r\n");
    assert_eq!(model.take_output(first), b"*2\r\n$3\r\nfoo\r\n$1\r\na\r\n+PONG\r\n");
    let ran: Vec<(u64, bool)> = model.take_executions().iter().map(|e| (e.number, e.wrote)).collect();
    assert_eq!(ran, [(1, true), (1, true), (2, false)]);
    model.advance(Duration::from_millis(11_499));
    assert!(model.is_blocked(second));
    model.advance(Duration::from_millis(11_500));
    assert_eq!(model.take_output(second), b"*-1\r\n");
}

#[test]
fn a_wait_can_be_ended_by_another_connection() {
    let (mut model, _, one) = shards(Profile::Redis7);
    let blocked = model.connect(1);
    for (word, reply) in [("", "*-1\r\n"), (" ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n")] {
        assert_eq!(ask(&mut model, blocked, "BLPOP foo 0"), "");
        let line = format!("CLIENT UNBLOCK {}{word}", blocked.get());
        assert_eq!(ask(&mut model, one, &line), ":1\r\n");
        assert_eq!(ask(&mut model, blocked, "PING"), format!("{reply}+PONG\r\n"));
        assert_eq!(ask(&mut model, one, &line), ":0\r\n");
    }
}

#[test]
fn the_oldest_profile_speaks_its_own_way() {
    let (mut model, _, one) = shards(Profile::Redis62);
    for (line, reply) in [
        ("BOGUS a b", "-ERR unknown command `BOGUS`, with args beginning with: `a`, `b`, \r\n"),
        ("SSUBSCRIBE foo", "-ERR unknown command `SSUBSCRIBE`, with args beginning with: `foo`, \r\n"),
        ("CLUSTER SHARDS", "-ERR Unknown subcommand or wrong number of arguments for 'SHARDS'. Try CLUSTER HELP.\r\n"),
    ] {
        assert_eq!(ask(&mut model, one, line), reply);
    }
    assert!(ask(&mut model, one, "CLUSTER SLOTS").contains("*3\r\n$9\r\n127.0.0.1\r\n:9001\r\n$40\r\n"));
    assert!(ask(&mut model, one, "HELLO 3").starts_with("%7\r\n"));
}

#[test]
fn a_write_in_a_script_on_a_readonly_connection_is_not_redirected() {
    all(|profile| {
        let (mut model, _, one) = shards(profile);
        ask(&mut model, one, "READONLY");
        model.failover(3).unwrap();
        let words = ["EVAL", "return redis.call('set',KEYS[1],1)", "1", "foo"].map(|word| word.as_bytes().to_vec());
        model.request(one, &words);
        let reply = String::from_utf8(model.take_output(one)).unwrap();
        match profile {
            Profile::Redis62 => assert!(reply.contains("READONLY You can't write"), "{reply}"),
            Profile::Valkey9 => assert!(reply.starts_with("-ERR Attempted to access a non local key"), "{reply}"),
            _ => {
                assert!(
                    reply.starts_with("-READONLY You can't write against a read only replica. script: "),
                    "{reply}"
                );
            }
        }
        assert_eq!(ask(&mut model, one, "SET foo 1"), "-MOVED 12182 127.0.0.1:9003\r\n");
    });
}

#[test]
fn shard_subscriptions_end_unasked_when_the_slot_leaves_and_at_a_failover() {
    for profile in Profile::ALL.into_iter().filter(|profile| profile.sharded_channels()) {
        let gone = |count: u32| format!(">3\r\n$12\r\nsunsubscribe\r\n$3\r\nfoo\r\n:{count}\r\n");
        let (mut model, _, one) = shards(profile);
        for line in ["HELLO 3", "SUBSCRIBE plain", "SSUBSCRIBE foo", "SSUBSCRIBE a"] {
            ask(&mut model, one, line);
        }
        model.begin_move(FOO, 0).unwrap();
        model.finish_move(FOO).unwrap();
        assert_eq!(String::from_utf8(model.take_output(one)).unwrap(), gone(1), "{profile:?}");
        model.failover(3).unwrap();
        let push = String::from_utf8(model.take_output(one)).unwrap();
        assert_eq!(push, gone(0).replace("$3\r\nfoo", "$1\r\na"));
        assert!(!model.is_closing(one));
        // The plain one stays.
        let other = model.connect(0);
        assert_eq!(ask(&mut model, other, "PUBLISH plain x"), ":0\r\n");
        assert_eq!(model.take_output(one), b">3\r\n$7\r\nmessage\r\n$5\r\nplain\r\n$1\r\nx\r\n");
    }
}

#[test]
fn sunsubscribe_with_nothing_subscribed_confirms_once_with_null() {
    let (mut model, _, one) = shards(Profile::Redis7);
    assert_eq!(ask(&mut model, one, "SUNSUBSCRIBE"), "*3\r\n$12\r\nsunsubscribe\r\n$-1\r\n:0\r\n");
    assert_eq!(ask(&mut model, one, "UNSUBSCRIBE"), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
}

#[test]
fn valkey_8_refuses_to_end_nothing_and_gives_a_nested_transaction_up() {
    let (mut model, _, one) = shards(Profile::Valkey8);
    let reply = "-NOSUB 'sunsubscribe' command executed not in subscribed mode\r\n";
    assert_eq!(ask(&mut model, one, "SUNSUBSCRIBE foo"), reply);
    ask(&mut model, one, "SUBSCRIBE x");
    assert!(ask(&mut model, one, "SUNSUBSCRIBE foo").ends_with("foo\r\n:0\r\n"));
    all(|profile| {
        let (mut model, _, one) = shards(profile);
        for line in ["MULTI", "PING"] {
            ask(&mut model, one, line);
        }
        assert!(ask(&mut model, one, "MULTI").starts_with("-ERR "));
        let expected = if profile.is_valkey() { "-EXECABORT " } else { "*1\r\n+PONG\r\n" };
        assert!(ask(&mut model, one, "EXEC").starts_with(expected), "{profile:?}");
    });
}

#[test]
fn an_orphan_slot_is_not_served_at_its_last_owner_while_others_send_clients_there() {
    let mut model = Model::new(ModelOptions { primaries: 2, ..ModelOptions::default() });
    let (zero, one) = (model.connect(0), model.connect(1));
    model.forget_owner(1, FOO);
    assert_eq!(ask(&mut model, one, "GET foo"), "-CLUSTERDOWN Hash slot not served\r\n");
    assert_eq!(ask(&mut model, one, "GET a"), "-CLUSTERDOWN The cluster is down\r\n");
    for _ in 0..3 {
        assert_eq!(ask(&mut model, zero, "GET foo"), "-MOVED 12182 127.0.0.1:0\r\n");
        model.settle();
    }
}

#[test]
fn replies_can_be_switched_off_and_skipped() {
    let (mut model, _, one) = shards(Profile::Valkey9);
    assert_eq!(ask(&mut model, one, "CLIENT REPLY SKIP"), "");
    assert_eq!(ask(&mut model, one, "GET foo"), "");
    assert_eq!(ask(&mut model, one, "GET foo"), "$-1\r\n");
    assert_eq!(ask(&mut model, one, "CLIENT REPLY OFF"), "");
    assert_eq!(ask(&mut model, one, "SET foo 1"), "");
    assert_eq!(ask(&mut model, one, "CLIENT REPLY ON"), "+OK\r\n");
    assert_eq!(ask(&mut model, one, "GET foo"), "$1\r\n1\r\n");
}

#[test]
fn a_push_can_come_in_front_of_the_reply_in_flight() {
    let push = ">3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n";
    all(|profile| {
        let (mut model, _, one) = shards(profile);
        for line in ["HELLO 3", "SUBSCRIBE news"] {
            ask(&mut model, one, line);
        }
        let both = ask(&mut model, one, "PUBLISH news x");
        let (first, second) = if profile <= Profile::Redis7 { (push, ":1\r\n") } else { (":1\r\n", push) };
        assert_eq!(both, format!("{first}{second}"), "{profile:?}");
        model.inject(one, push.as_bytes());
        assert_eq!(ask(&mut model, one, "PING"), format!("{push}+PONG\r\n"));
    });
}

#[test]
fn a_script_can_imitate_any_redirect() {
    all(|profile| {
        let (mut model, zero, one) = shards(profile);
        let mut eval = |client: ClientId, text: &str, key: &str| {
            let words = ["EVAL", "return redis.error_reply(ARGV[1])", "1", key, text].map(|w| w.as_bytes().to_vec());
            model.request(client, &words);
            String::from_utf8(model.take_output(client)).unwrap()
        };
        for text in [
            "MOVED 12182 127.0.0.1:9000",
            "MOVED 12182 10.9.8.7:6379",
            "MOVED 1 127.0.0.1:9000",
            "ASK 12182 127.0.0.1:9000",
            "ASK 99999 nowhere:1",
            "TRYAGAIN later",
            "CLUSTERDOWN Hash slot not served",
        ] {
            assert_eq!(eval(one, text, "foo"), format!("-{text}\r\n"), "{profile:?}");
        }
        assert_eq!(eval(zero, "MOVED 1 x:1", "foo"), MOVED_BACK, "a true one");
    });
}

#[test]
fn a_valkey_replica_knows_its_primarys_migrations() {
    all(|profile| {
        let (mut model, _, _) = half_moved(profile);
        let replica = model.connect(3);
        ask(&mut model, replica, "READONLY");
        let expected = if profile.is_valkey() { ASK } else { "$-1\r\n" };
        assert_eq!(ask(&mut model, replica, "GET {foo}new"), expected, "{profile:?}");
        assert_eq!(ask(&mut model, replica, "GET {foo}old"), "$1\r\n1\r\n");
    });
}

#[test]
fn an_atomic_migration_shows_nothing_holds_writes_for_a_moment_and_then_says_moved() {
    for profile in [Profile::Redis84, Profile::Valkey9] {
        let (mut model, zero, one) = shards(profile);
        let held = model.connect(1);
        let queued = model.connect(1);
        ask(&mut model, one, "SET foo 1");
        ask(&mut model, queued, "MULTI");
        ask(&mut model, queued, "SET foo 8");
        let job = model.begin_atomic(&[FOO], 0).unwrap();
        assert_eq!(model.begin_atomic(&[FOO], 0), Err(ControlError::NotMarked));
        for (client, line, reply) in [
            (one, "GET foo", "$1\r\n1\r\n"),
            (one, "GET {foo}none", "$-1\r\n"),
            (zero, "GET foo", MOVED_BACK),
            (zero, "DBSIZE", ":0\r\n"),
            (zero, "KEYS *", "*0\r\n"),
            (zero, "CLUSTER COUNTKEYSINSLOT 12182", if profile == Profile::Valkey9 { ":1\r\n" } else { ":0\r\n" }),
        ] {
            assert_eq!(ask(&mut model, client, line), reply, "{profile:?} {line}");
        }
        assert!(!ask(&mut model, one, "CLUSTER NODES").contains("->-"));
        model.pause_atomic(job, Duration::from_secs(1));
        assert_eq!(ask(&mut model, held, "SET foo 2"), "");
        assert_eq!(ask(&mut model, held, "PING"), "");
        assert_eq!(ask(&mut model, one, "GET foo"), "$1\r\n1\r\n");
        model.finish_atomic(job, true).unwrap();
        assert_eq!(model.take_output(held), b"-MOVED 12182 127.0.0.1:9000\r\n+PONG\r\n");
        assert_eq!(ask(&mut model, queued, "EXEC"), "-MOVED 12182 127.0.0.1:9000\r\n");
        assert_eq!(ask(&mut model, zero, "GET foo"), "$1\r\n1\r\n");
        // What the source has not deleted yet still shows in SCAN.
        assert!(ask(&mut model, one, "SCAN 0 COUNT 1000").contains("foo"));
        model.trim(1);
        assert!(!ask(&mut model, one, "SCAN 0 COUNT 1000").contains("foo"));
    }
}

#[test]
fn a_paused_write_goes_on_when_the_migration_breaks_off_or_the_time_is_up() {
    let (mut model, _, one) = shards(Profile::Valkey9);
    for way in 0..3 {
        let job = model.begin_atomic(&[FOO], 0).unwrap();
        model.pause_atomic(job, Duration::from_secs(1));
        assert_eq!(ask(&mut model, one, "SET foo 1"), "");
        match way {
            0 => model.cancel_atomic(job),
            1 => model.advance(model.now() + Duration::from_secs(1)),
            _ => model.crash(0),
        }
        assert_eq!(model.take_output(one), b"+OK\r\n");
        model.cancel_atomic(job);
        assert_eq!(model.finish_atomic(job, false), Err(ControlError::NotMarked));
    }
}

#[test]
fn keys_expire_when_they_should_and_replicas_hide_them() {
    let (mut model, _, one) = shards(Profile::Redis7);
    let replica = model.connect(3);
    ask(&mut model, replica, "READONLY");
    model.advance(Duration::from_secs(100));
    ask(&mut model, one, "SET foo 1 PX 1500");
    model.set_switches(3, |s| s.lagging = true);
    assert_eq!(model.next_deadline(), Some(Duration::from_millis(101_500)));
    model.advance(Duration::from_millis(101_499));
    assert_eq!(ask(&mut model, one, "PTTL foo"), ":1\r\n");
    assert_eq!(ask(&mut model, replica, "GET foo"), "$1\r\n1\r\n");
    model.advance(Duration::from_millis(101_500));
    assert_eq!(ask(&mut model, one, "GET foo"), "$-1\r\n");
    assert_eq!((ask(&mut model, replica, "GET foo"), model.key_count(3)), ("$-1\r\n".to_owned(), 1));
    model.replicate(3, 1);
    assert_eq!(model.key_count(3), 0);
}

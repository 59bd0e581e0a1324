//! A window that is shut for a minute in the middle of a frame, in either direction.

use slotwise::pipeline::Outcome;
use slotwise::time::Duration;

use crate::drive::Drive;
use crate::world::End;
use crate::{Rig, both_ways, rig};

both_ways!(patient, at_its_deadline, replies_that_stop);

const MINUTE: u64 = 60;

fn log<D: Drive>(rig: &Rig<'_, '_, D>, what: &str, tag: u64) {
    let end = match &rig.app.ends[&tag] {
        End::Reply { raw, .. } => format!("{} bytes of reply", raw.len()),
        End::Tokens(text) => format!("a streamed reply of {} bytes", text.len()),
        other => format!("{other:?}"),
    };
    println!("zero window of 60 s, {}, {what}: {end}; connections closed: {:?}", D::NAME, rig.app.closed);
}

/// With time-outs above a minute nothing at all is lost: the frame goes on where it stopped.
fn patient<D: Drive>(how: D) {
    let change = |config: &mut slotwise::cluster::Config| {
        config.command_timeout = Duration::from_secs(120);
        config.timeouts.response = Duration::from_secs(100);
    };
    rig(how, change, |rig| {
        rig.warm_up();
        let keys = rig.keys("key", 1, 10);
        let value = "w".repeat(1_000);
        rig.net.take.insert(1, 333);
        let large = rig.app.push(&["SET", &keys[0], &value]);
        let behind: Vec<u64> = keys[1..].iter().map(|key| rig.app.push(&["SET", key, key])).collect();
        rig.settle();
        assert_eq!(rig.net.take[&1], 0, "it stops in the middle of the frame");
        for second in 0..MINUTE {
            rig.pass(1, false);
            // The others go on all the time.
            let key = &rig.keys("live", usize::from(second % 2 == 0) * 2, 1)[0];
            let tag = rig.app.push(&["SET", key, "x"]);
            rig.settle();
            assert_eq!(rig.app.reply(tag), "+OK\r\n");
        }
        assert!(!rig.app.ends.contains_key(&large));
        rig.net.take.clear();
        rig.settle();
        log(rig, "patient time-outs", large);
        assert!(behind.iter().chain([&large]).all(|tag| rig.app.reply(*tag) == "+OK\r\n"));
        let get = rig.app.push(&["GET", &keys[0]]);
        rig.settle();
        assert_eq!(rig.app.reply(get), format!("$1000\r\n{value}\r\n"));
        assert_eq!(rig.app.closed, []);
        rig.is_clean();
    });
}

/// With the usual time-outs the connection is given up as silent, and every command ends by its deadline.
fn at_its_deadline<D: Drive>(how: D) {
    rig(
        how,
        |_| {},
        |rig| {
            rig.warm_up();
            let keys = rig.keys("key", 1, 10);
            rig.net.take.insert(1, 333);
            let large = rig.app.push(&["SET", &keys[0], &"w".repeat(1_000)]);
            let behind: Vec<u64> = keys[1..].iter().map(|key| rig.app.push(&["SET", key, key])).collect();
            let start = rig.clock.0;
            rig.finish();
            let took = rig.clock.0 - start;
            assert!(took <= 15_100_000, "{took} us");
            log(rig, &format!("usual time-outs, after {} ms", took / 1_000), large);
            let End::Failed(failure) = &rig.app.ends[&large] else { panic!("{:?}", rig.app.ends[&large]) };
            assert_eq!(failure.outcome, Outcome::MaybeExecuted, "a part of it left");
            for (tag, key) in behind.iter().zip(&keys[1..]) {
                let End::Failed(failure) = &rig.app.ends[tag] else { panic!("{:?}", rig.app.ends[tag]) };
                assert_eq!(failure.outcome, Outcome::NotSent);
                assert!(!rig.net.model.has_key(1, key.as_bytes()));
            }
            // The minute goes by; then all is well again.
            rig.pass(MINUTE - took / 1_000_000, false);
            rig.net.take.clear();
            rig.pass(20, false);
            let again: Vec<u64> = keys.iter().map(|key| rig.app.push(&["SET", key, "x"])).collect();
            rig.finish();
            assert!(again.iter().all(|tag| rig.app.reply(*tag) == "+OK\r\n"));
            rig.is_clean();
        },
    );
}

/// The other direction: a reply stops in the middle, one that is handed out whole and one that is handed out in tokens.
fn replies_that_stop<D: Drive>(how: D) {
    let change = |config: &mut slotwise::cluster::Config| {
        config.command_timeout = Duration::from_secs(120);
        config.timeouts.response = Duration::from_secs(100);
    };
    rig(how, change, |rig| {
        rig.warm_up();
        let keys = rig.keys("key", 1, 3);
        let (small, large) = ("s".repeat(100), "l".repeat(5 * crate::RX));
        rig.app.push(&["SET", &keys[0], &small]);
        rig.app.push(&["SET", &keys[1], &large]);
        rig.finish();
        for stop in [1, 50, 110, 2_000] {
            rig.net.give.insert(1, stop);
            let first = rig.app.push(&["GET", &keys[0]]);
            let second = rig.app.push(&["GET", &keys[1]]);
            let third = rig.app.push(&["GET", &keys[2]]);
            rig.pass(MINUTE, false);
            assert_eq!(rig.net.give[&1], 0);
            assert!(!rig.app.ends.contains_key(&second));
            rig.net.give.clear();
            rig.settle();
            log(rig, &format!("stopped after {stop} bytes of reply"), second);
            assert_eq!(rig.app.reply(first), format!("$100\r\n{small}\r\n"));
            assert_eq!(rig.app.reply(second), large);
            assert_eq!(rig.app.reply(third), "_\r\n");
        }
        assert_eq!(rig.app.closed, []);
        rig.is_clean();
    });
}

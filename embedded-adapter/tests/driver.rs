//! The driver over a network in memory that reads and writes in small pieces, against the mini cluster's model.

mod world;

use std::cell::Cell;
use std::rc::Rc;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage, Storage, SubmitError};
use slotwise::command::CommandSpec;
use slotwise::connection::{Secret, Settings};
use slotwise::ids::{CommandId, ConnId};
use slotwise::pipeline::{Failure, Outcome, Reason};
use slotwise::slot::Slot;
use slotwise_embedded::{
    At, BufferError, Buffers, Dial, Driver, Lane, MIN_RX, Moved, Piece, Reply, StaticBuffers, Transport, Work,
};
use world::{App, End, Net, PORT, Ticks};

/// Runs `test` with a driver over three nodes, 1 KiB to receive and 128 bytes to transmit for each connection.
fn with_driver<const RANGES: usize>(
    change: impl FnOnce(&mut Config),
    test: impl FnOnce(&mut Driver<'_, StaticStorage<4, RANGES, 128, 4, 34, 32>>),
) {
    let mut config = Config::new(7);
    change(&mut config);
    let mut cluster = Cluster::new(config, StaticStorage::new());
    let mut buffers = StaticBuffers::<4, 1024, 128>::new();
    let seeds = [NodeAddr::new("127.0.0.1", PORT).unwrap()];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    test(&mut Driver::new(&mut cluster, env, buffers.lend()).unwrap());
}

/// Drives until every command has ended.
fn finish<S: Storage>(driver: &mut Driver<'_, S>, net: &mut Net, app: &mut App, clock: &mut Ticks, budget: u32) {
    for _ in 0..2_000_000 {
        let driven = driver.drive(clock, net, app, budget);
        assert!(driven.steps <= budget);
        if app.is_done() {
            return;
        }
        if driven.idle && !net.hesitant {
            // Nothing but time can help.
            clock.0 = clock.0.max(driven.wake.expect("stuck").as_micros());
        }
    }
    panic!("not done: {:?}", app.ends);
}

/// A slot map of many ranges, whose CLUSTER SLOTS reply is many times a receive buffer.
fn fragment(net: &mut Net) {
    for slot in (0..5_000).step_by(100) {
        net.model.move_atomically(slot, 2).unwrap();
        net.model.settle();
    }
}

fn mixed(app: &mut App) -> Vec<(u64, String)> {
    let mut expected = Vec::new();
    for n in 0..100 {
        let (key, value) = (format!("key:{n}"), format!("value {n}"));
        expected.push((app.push(&["SET", &key, &value]), "+OK\r\n".to_owned()));
        expected.push((app.push(&["GET", &key]), format!("${}\r\n{value}\r\n", value.len())));
    }
    expected
}

#[test]
fn a_pipeline_over_three_nodes_comes_back_whole_however_it_is_cut() {
    for (read, write, hesitant, budget) in [(usize::MAX, usize::MAX, false, 1_000), (1, 3, true, 7), (1, 1, true, 1)] {
        with_driver::<256>(
            |_| {},
            |driver| {
                let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
                (net.read, net.write, net.hesitant) = (read, write, hesitant);
                net.dial_looks = if hesitant { 3 } else { 0 };
                fragment(&mut net);
                let expected = mixed(&mut app);
                finish(driver, &mut net, &mut app, &mut clock, budget);
                for (tag, reply) in expected {
                    assert_eq!(app.reply(tag), reply, "command {tag}, reads of {read}");
                }
                assert!(net.most_slots_reply > 4 * 1024, "topology of {} bytes", net.most_slots_reply);
                let map = driver.cluster().map();
                assert_eq!(map.node_count(), 3);
                assert!(map.ranges().count() > 100 && !map.overflowed());
                assert!(app.maps > 0);
                let resent = app.ends.values().filter(|end| matches!(end, End::Reply { resent: true, .. })).count();
                assert_eq!(resent, 0, "every command went to its node at once");
                assert_eq!(driver.cluster().commands_live(), 0);
            },
        );
    }
}

#[test]
fn a_map_that_does_not_fit_costs_redirects_and_nothing_else() {
    with_driver::<16>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            fragment(&mut net);
            // Written before they are read: the order of commands that are redirected is not promised.
            let sets: Vec<u64> = (0..100).map(|n| app.push(&["SET", &format!("key:{n}"), &n.to_string()])).collect();
            finish(driver, &mut net, &mut app, &mut clock, 50);
            let gets: Vec<u64> = (0..100).map(|n| app.push(&["GET", &format!("key:{n}")])).collect();
            finish(driver, &mut net, &mut app, &mut clock, 50);
            for (n, (set, get)) in sets.into_iter().zip(gets).enumerate() {
                assert_eq!(app.reply(set), "+OK\r\n");
                assert!(app.reply(get).ends_with(&format!("\n{n}\r\n")), "{n}: {}", app.reply(get));
            }
            assert!(driver.cluster().map().overflowed());
        },
    );
}

#[test]
fn a_slot_that_moves_is_followed() {
    with_driver::<64>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            app.push(&["SET", "wandering", "1"]);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            let slot = Slot::of_key(b"wandering").get();
            let to = (net.model.owner(slot).unwrap() + 1) % 3;
            net.model.move_atomically(slot, to).unwrap();
            net.model.settle();
            (net.read, net.write) = (1, 2);
            let tag = app.push(&["GET", "wandering"]);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            assert_eq!(app.ends.get(&tag), Some(&End::Reply { raw: "$1\r\n1\r\n".to_owned(), resent: true }));

            // A command whose reply is read as tokens is redirected too, however its refusal is cut.
            net.model.move_atomically(slot, (to + 1) % 3).unwrap();
            net.model.settle();
            app.streamed = true;
            let tag = app.push(&["GET", "wandering"]);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            assert_eq!(app.reply(tag), "1");
            assert_eq!(app.resent_streams, [tag].into(), "told with each piece");
        },
    );
}

#[test]
fn values_larger_than_the_buffers_go_out_in_pieces_and_come_back_as_tokens() {
    for (read, write) in [(usize::MAX, usize::MAX), (1, 1), (1_000, 100)] {
        with_driver::<64>(
            |_| {},
            |driver| {
                let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
                (net.read, net.write) = (read, write);
                let value: String = (0..5_000).map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap())).collect();
                let set = app.push(&["SET", "large", &value]);
                let get = app.push(&["GET", "large"]);
                let small = app.push(&["SET", "large", "x"]);
                finish(driver, &mut net, &mut app, &mut clock, 50);
                assert_eq!(app.reply(set), "+OK\r\n");
                assert_eq!(app.ends.get(&get), Some(&End::Tokens(value)));
                assert_eq!(app.reply(small), "+OK\r\n");
                assert_eq!(app.closed, []);
            },
        );
    }
}

#[test]
fn a_node_that_takes_no_bytes_stalls_nobody_else() {
    with_driver::<64>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            mixed(&mut app);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            let node = net.model.owner(Slot::of_key(b"large").get()).unwrap();
            net.shut.push(node);
            let value = "v".repeat(1_000);
            let large = app.push(&["SET", "large", &value]);
            let others: Vec<u64> = (0..100)
                .map(|n| format!("key:{n}"))
                .filter(|key| net.model.owner(Slot::of_key(key.as_bytes()).get()) != Some(node))
                .map(|key| app.push(&["GET", &key]))
                .collect();
            assert!(others.len() > 20);
            while !driver.drive(&mut clock, &mut net, &mut app, 50).idle {}
            assert!(others.iter().all(|tag| app.ends.contains_key(tag)));
            assert!(!app.ends.contains_key(&large));

            // Given up with a part of it in the buffer: its end is told when its stream can do without its bytes, and
            // the stream goes on.
            let closes = net.closes;
            let id = app.ids[&large];
            let now = slotwise::time::Instant::from_micros(clock.0);
            driver.cancel(now, id);
            while !driver.drive(&mut clock, &mut net, &mut app, 50).idle {}
            assert!(!app.ends.contains_key(&large));
            net.shut.clear();
            let after = app.push(&["GET", "large"]);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            let Some(End::Failed(failure)) = app.ends.get(&large) else { panic!("{:?}", app.ends.get(&large)) };
            assert_eq!((failure.outcome, failure.reason), (Outcome::MaybeExecuted, Reason::Cancelled));
            assert_eq!(app.reply(after).len(), "$1000\r\n\r\n".len() + 1_000);
            assert_eq!(net.closes, closes, "no connection was given up for it");
        },
    );
}

#[test]
fn a_node_that_stays_shut_ends_its_commands_in_time() {
    with_driver::<64>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            mixed(&mut app);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            net.shut.push(net.model.owner(Slot::of_key(b"large").get()).unwrap());
            let large = app.push(&["SET", "large", &"v".repeat(1_000)]);
            let start = clock.0;
            finish(driver, &mut net, &mut app, &mut clock, 50);
            assert!(matches!(app.ends.get(&large), Some(End::Failed(_))), "{:?}", app.ends.get(&large));
            assert!(clock.0 - start < 40_000_000, "after {} us", clock.0 - start);
        },
    );
}

#[test]
fn a_cut_connection_is_dialled_again_and_reads_are_sent_again() {
    with_driver::<64>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            mixed(&mut app);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            let dials = net.dials;
            for node in 0..3 {
                net.cut(node);
            }
            let again: Vec<u64> = (0..100).map(|n| app.push(&["GET", &format!("key:{n}")])).collect();
            finish(driver, &mut net, &mut app, &mut clock, 50);
            for (n, tag) in again.into_iter().enumerate() {
                assert!(app.reply(tag).ends_with(&format!("value {n}\r\n")));
            }
            assert!(net.dials >= dials + 3 && app.closed.len() >= 3);
        },
    );
}

#[test]
fn shutting_down_waits_for_replies_and_closes_every_connection() {
    with_driver::<64>(
        |_| {},
        |driver| {
            let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
            mixed(&mut app);
            finish(driver, &mut net, &mut app, &mut clock, 50);
            driver.shutdown(slotwise::time::Instant::from_micros(clock.0));
            while !driver.drive(&mut clock, &mut net, &mut app, 50).idle {}
            assert!(driver.cluster().is_drained());
            assert_eq!(net.closes, net.dials);
            assert!(net.wires.is_empty());
        },
    );
}

/// Counts what a call of the driver makes of the outside.
struct Counted<'a, T> {
    inner: &'a mut T,
    done: Rc<Cell<u32>>,
    looked: Rc<Cell<u32>>,
}

impl<T> Counted<'_, T> {
    fn count(&self, done: bool) {
        let counter = if done { &self.done } else { &self.looked };
        counter.set(counter.get() + 1);
    }
}

impl<T: Transport> Transport for Counted<'_, T> {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        let dial = self.inner.dial(conn, host, port);
        self.count(dial != Dial::Pending);
        dial
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        let moved = self.inner.recv(conn, buf);
        self.count(moved != Moved::WouldBlock);
        moved
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        let moved = self.inner.send(conn, bytes);
        self.count(moved != Moved::WouldBlock);
        moved
    }

    fn close(&mut self, conn: ConnId) {
        self.inner.close(conn);
    }
}

impl<W: Work> Work for Counted<'_, W> {
    fn next_command(&mut self, at: &At<'_>) -> Option<CommandSpec> {
        self.inner.next_command(at)
    }

    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        self.count(true);
        self.inner.submitted(tag, result);
    }

    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize {
        self.count(true);
        self.inner.encode(tag, offset, out)
    }

    fn reply(&mut self, at: &At<'_>, tag: u64, reply: Reply<'_>) {
        self.count(true);
        self.inner.reply(at, tag, reply);
    }

    fn token(&mut self, at: &At<'_>, tag: u64, piece: Piece<'_>) {
        self.count(true);
        self.inner.token(at, tag, piece);
    }

    fn failed(&mut self, at: &At<'_>, tag: u64, failure: Failure) {
        self.count(true);
        self.inner.failed(at, tag, failure);
    }

    fn map_changed(&mut self, at: &At<'_>) {
        self.count(true);
        self.inner.map_changed(at);
    }
}

#[test]
fn no_call_does_more_than_its_budget() {
    for budget in [1, 2, 5, 32, 1_000] {
        with_driver::<256>(
            |_| {},
            |driver| {
                let (mut net, mut app, mut clock) = (Net::new(3), App::default(), Ticks(0));
                (net.read, net.write) = (100, 30);
                fragment(&mut net);
                mixed(&mut app);
                app.push(&["SET", "large", &"v".repeat(3_000)]);
                app.push(&["GET", "large"]);
                let (done, looked) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
                let (mut most, mut most_looks, mut calls) = (0, 0, 0_u32);
                while !app.is_done() {
                    let mut work = Counted { inner: &mut app, done: Rc::clone(&done), looked: Rc::clone(&looked) };
                    let mut wire = Counted { inner: &mut net, done: Rc::clone(&done), looked: Rc::clone(&looked) };
                    let driven = driver.drive(&mut clock, &mut wire, &mut work, budget);
                    let (did, looks) = (done.take(), looked.take());
                    assert!(driven.steps <= budget && did <= driven.steps, "{did} of {driven:?}");
                    // Between two steps, and after the last one, no connection is looked at twice in vain.
                    assert!(looks <= (driven.steps + 1) * 3 * 4, "{looks} looks in {} steps", driven.steps);
                    (most, most_looks, calls) = (most.max(did), most_looks.max(looks), calls + 1);
                    clock.0 = if driven.idle { clock.0.max(driven.wake.unwrap().as_micros()) } else { clock.0 };
                }
                println!(
                    "budget {budget}: {calls} calls, at most {most} things done and {most_looks} looks in vain in one"
                );
                assert!(budget > 100 || most == budget, "the budget was used up");
            },
        );
    }
}

#[test]
fn buffers_that_cannot_do_are_refused() {
    let seeds = [NodeAddr::new("127.0.0.1", PORT).unwrap()];
    let password = "p".repeat(200);
    let settings = Settings { password: Some(Secret::new(password.as_bytes())), ..Settings::DEFAULT };
    let try_with = |lanes: usize, rx: usize, tx: usize, settings: &Settings<'_>| {
        let mut cluster = Cluster::new(Config::new(1), StaticStorage::<4, 64, 128, 4, 34, 32>::new());
        let (mut lanes, mut rx, mut tx) = (vec![Lane::EMPTY; lanes], vec![0; rx * lanes], vec![0; tx * lanes]);
        let buffers = Buffers::new(&mut lanes, &mut rx, &mut tx);
        Driver::new(&mut cluster, Env::new(settings, &seeds), buffers).err()
    };
    assert_eq!(try_with(3, MIN_RX, 64, &Settings::DEFAULT), Some(BufferError::TooFewLanes { needed: 4 }));
    assert_eq!(try_with(4, MIN_RX - 1, 64, &Settings::DEFAULT), Some(BufferError::RxTooSmall { needed: MIN_RX }));
    assert_eq!(try_with(4, MIN_RX, 64, &Settings::DEFAULT), None);
    let refused = try_with(4, MIN_RX, 64, &settings);
    assert!(matches!(refused, Some(BufferError::TxTooSmall { needed }) if needed > 200), "{refused:?}");
    assert_eq!(try_with(0, 0, 0, &Settings::DEFAULT), Some(BufferError::TooFewLanes { needed: 4 }));
}

//! The driver over two smoltcp interfaces with a cable between them, which is fair or foul.

mod host;
mod link;
mod scanner;
#[path = "../world/mod.rs"]
mod world;

use std::cell::RefCell;
use std::rc::Rc;

use host::{Host, interface, tcp_socket};
use link::{Cable, Plug, Rules};
use scanner::Scanner;
use slotwise::addr::NodeAddr;
use slotwise::cluster::{CloseReason, Cluster, Config, Env, StaticStorage};
use slotwise::connection::Settings;
use slotwise::pipeline::Outcome;
use slotwise::scan::ScanOptions;
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};
use slotwise_embedded::{Driver, SmoltcpSet, StaticBuffers, Work, smoltcp_time};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::socket::{dns, tcp};
use smoltcp::wire::IpAddress;
use world::{App, End, PORT, Ticks};

type Store = StaticStorage<4, 256, 128, 4, 34, 32>;

/// Bytes of each window of the device, and of its buffers.
const WINDOW: usize = 512;

/// The device: interface, four sockets, a DNS socket.
struct Board {
    plug: Plug,
    iface: Interface,
    sockets: SocketSet<'static>,
    set: SmoltcpSet<4>,
    handles: [SocketHandle; 4],
    clock: Ticks,
    /// Nothing happens until then.
    asleep: Option<u64>,
    host: Host,
    cable: Rc<RefCell<Cable>>,
}

impl Board {
    fn new(rules: Rules, address: &str) -> Self {
        let cable = Cable::new(rules);
        let mut plug = Plug { cable: Rc::clone(&cable), side: 0 };
        let iface = interface(&mut plug, 2);
        let mut sockets = SocketSet::new(vec![]);
        let handles = [(); 4].map(|()| sockets.add(tcp_socket(WINDOW)));
        let names = sockets.add(dns::Socket::new(&[IpAddress::v4(10, 0, 0, 1)], vec![None]));
        let set = SmoltcpSet::new(handles, 5).with_dns(names);
        let host = Host::new(Plug { cable: Rc::clone(&cable), side: 1 }, 3, address);
        Self { plug, iface, sockets, set, handles, clock: Ticks(0), asleep: None, host, cable }
    }

    /// One turn of the main loop, and of the world around it.
    fn turn<W: Work>(&mut self, driver: &mut Driver<'_, Store>, work: &mut W) {
        self.clock.0 = self.clock.0.max(self.asleep.take().unwrap_or_default());
        let now = Instant::from_micros(self.clock.0);
        self.iface.poll(smoltcp_time(now), &mut self.plug, &mut self.sockets);
        let mut net = self.set.net(&mut self.iface, &mut self.sockets);
        let driven = driver.drive(&mut self.clock, &mut net, work, 16);
        let now = Instant::from_micros(self.clock.0);
        let wake = net.wake(now, &driven);
        self.host.poll(now);
        let next = wake.into_iter().chain(self.host.wake(now)).min();
        self.asleep =
            self.cable.borrow().is_quiet().then(|| next.map_or(now.as_micros() + 1_000_000, Instant::as_micros));
    }

    /// Turns until it is done, at most so many seconds of the clock.
    fn until<W: Work>(
        &mut self,
        driver: &mut Driver<'_, Store>,
        work: &mut W,
        seconds: u64,
        mut done: impl FnMut(&mut Driver<'_, Store>, &mut W) -> bool,
    ) {
        let start = self.clock.0;
        // What is new wakes it.
        self.asleep = None;
        while !done(driver, work) {
            self.turn(driver, work);
            assert!(self.clock.0 - start < seconds * 1_000_000, "not done after {seconds} s");
        }
    }

    fn finish(&mut self, driver: &mut Driver<'_, Store>, app: &mut App) {
        self.until(driver, app, 120, |_, app| app.is_done());
    }

    fn owner(&self, key: &str) -> usize {
        self.host.model.owner(Slot::of_key(key.as_bytes()).get()).unwrap()
    }

    fn next_owner(&self, key: &str) -> usize {
        (self.owner(key) + 1) % 3
    }
}

fn with_driver(seed: &str, test: impl FnOnce(&mut Driver<'_, Store>)) {
    with_config(Config::new(7), seed, test);
}

fn with_config(config: Config, seed: &str, test: impl FnOnce(&mut Driver<'_, Store>)) {
    let mut cluster = Cluster::new(config, StaticStorage::new());
    let mut buffers = StaticBuffers::<4, 1024, 256>::new();
    let seeds = [NodeAddr::new(seed, PORT).unwrap()];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    test(&mut Driver::new(&mut cluster, env, buffers.lend()).unwrap());
}

/// Everything a gateway does, over a cable with these rules.
fn a_day(rules: Rules, seed: &str, address: &str) {
    let mut config = Config::new(7);
    if rules.lost > 0 {
        config.command_timeout = Duration::from_secs(120);
        config.timeouts.connect = Duration::from_secs(30);
        config.timeouts.handshake = Duration::from_secs(30);
        config.timeouts.response = Duration::from_secs(60);
    }
    with_config(config, seed, |driver| {
        let (mut board, mut app) = (Board::new(rules, address), App::default());
        for slot in (0..5_000).step_by(100) {
            board.host.model.move_atomically(slot, 2).unwrap();
            board.host.model.settle();
        }

        // A pipeline over three nodes.
        for n in 0..60 {
            app.push(&["SET", &format!("key:{n}"), &n.to_string()]);
            app.push(&["GET", &format!("key:{n}")]);
        }
        let large = "v".repeat(3 * WINDOW);
        app.push(&["SET", "large", &large]);
        app.push(&["GET", "large"]);
        board.finish(driver, &mut app);
        for n in 0..60_u64 {
            assert_eq!(app.reply(2 * n), "+OK\r\n");
            assert!(app.reply(2 * n + 1).ends_with(&format!("\n{n}\r\n")));
        }
        assert_eq!(app.reply(121), large);
        assert!(board.host.most_slots_reply > 4 * 1_024, "topology of {} bytes", board.host.most_slots_reply);

        // MOVED.
        let to = board.next_owner("key:1");
        board.host.model.move_atomically(Slot::of_key(b"key:1").get(), to).unwrap();
        board.host.model.settle();
        let tag = app.push(&["GET", "key:1"]);
        board.finish(driver, &mut app);
        assert_eq!(app.ends[&tag], End::Reply { raw: "$1\r\n1\r\n".to_owned(), resent: true });

        // ASK: the slot is on its way, this key has gone before.
        let (slot, to) = (Slot::of_key(b"key:2").get(), board.next_owner("key:2"));
        board.host.model.begin_move(slot, to).unwrap();
        assert!(board.host.model.move_key(slot, b"key:2").unwrap());
        let tag = app.push(&["GET", "key:2"]);
        board.finish(driver, &mut app);
        assert_eq!(app.ends[&tag], End::Reply { raw: "$1\r\n2\r\n".to_owned(), resent: true });
        assert!(board.host.model.redirects().ask > 0 && board.host.model.redirects().moved > 0);
        board.host.model.finish_move(slot).unwrap();
        board.host.model.settle();

        // A scan.
        let mut scanner = Scanner::new(ScanOptions::default());
        board.until(driver, &mut scanner, 600, |driver, scanner| {
            if scanner.scan.wants_refresh() {
                let now = driver.now();
                driver.cluster().refresh(now);
            }
            scanner.scan.is_done()
        });
        scanner.scan.certificate().check().unwrap();
        assert_eq!(scanner.found.len(), 61);
        assert_eq!(app.closed, []);
        if rules.lost == 0 {
            assert_eq!(board.host.accepted, 3, "one connection to each node");
        } else {
            let cable = board.cable.borrow();
            println!(
                "smoltcp: {} s over a foul cable: {} frames carried, {} lost, {} swapped, {} connections made, {} questions",
                board.clock.0 / 1_000_000,
                cable.carried,
                cable.lost,
                cable.swapped,
                board.host.accepted,
                board.host.asked
            );
            assert!(cable.lost > 50 && cable.swapped > 5, "{} lost, {} swapped", cable.lost, cable.swapped);
        }
    });
}

#[test]
fn a_fair_cable() {
    a_day(Rules::FAIR, "10.0.0.1", "10.0.0.1");
}

#[test]
fn a_foul_cable() {
    a_day(Rules::FOUL, "10.0.0.1", "10.0.0.1");
}

#[test]
fn nodes_by_name() {
    a_day(Rules::FAIR, "cluster.test", "host.cluster.test");
}

#[test]
fn nodes_by_name_over_a_foul_cable() {
    a_day(Rules::FOUL, "six.cluster.test", "cluster.test");
}

#[test]
fn nodes_with_ipv6_addresses() {
    a_day(Rules::FAIR, "fd00::1", "fd00::1");
}

#[test]
fn a_name_that_is_not_known_and_a_host_that_is_not_there() {
    for seed in ["no.such.test", "10.0.0.99", "bad..name", "192.168.1.1"] {
        with_driver(seed, |driver| {
            let (mut board, mut app) = (Board::new(Rules::FAIR, "10.0.0.1"), App::default());
            let tag = app.push(&["GET", "key"]);
            board.finish(driver, &mut app);
            let End::Failed(failure) = &app.ends[&tag] else { panic!("{:?}", app.ends) };
            assert_eq!(failure.outcome, Outcome::NotSent, "{seed}");
            assert!(!app.closed.is_empty());
            assert!(app.closed.iter().all(|reason| *reason == CloseReason::ConnectFailed), "{seed}: {:?}", app.closed);
        });
    }
}

#[test]
fn sockets_are_used_again_with_other_ports() {
    with_driver("10.0.0.1", |driver| {
        let (mut board, mut app) = (Board::new(Rules::FAIR, "10.0.0.1"), App::default());
        for round in 0..20 {
            for n in 0..6 {
                app.push(&["GET", &format!("key:{n}")]);
            }
            board.finish(driver, &mut app);
            assert!(app.ends.values().all(|end| matches!(end, End::Reply { .. })), "round {round}: {:?}", app.ends);
            board.host.model.close_clients(None);
            let closed = app.closed.len();
            board.until(driver, &mut app, 60, |_, app| app.closed.len() >= closed + 3);
        }
        assert!(board.host.accepted >= 60, "{}", board.host.accepted);
        let mut ports = board.host.ports.clone();
        assert!(ports.iter().all(|port| *port >= 49_152));
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), board.host.accepted, "no port was used twice");
    });
}

#[test]
fn the_peer_hears_of_every_end() {
    with_driver("10.0.0.1", |driver| {
        let (mut board, mut app) = (Board::new(Rules::FAIR, "10.0.0.1"), App::default());
        for n in 0..6 {
            app.push(&["GET", &format!("key:{n}")]);
        }
        board.finish(driver, &mut app);
        driver.shutdown(Instant::from_micros(board.clock.0));
        board.until(driver, &mut app, 60, |driver, _| driver.cluster().is_drained());
        for _ in 0..4 {
            board.turn(driver, &mut app);
        }
        for handle in board.handles {
            let socket = board.sockets.get::<tcp::Socket<'_>>(handle);
            assert_eq!((socket.state(), socket.remote_endpoint()), (tcp::State::Closed, None));
        }
        assert_eq!(board.host.served(), 0);
    });
}

#[test]
fn a_keep_alive_finds_out_that_an_idle_peer_is_gone() {
    for keep_alive in [true, false] {
        with_driver("10.0.0.1", |driver| {
            let (mut board, mut app) = (Board::new(Rules::FAIR, "10.0.0.1"), App::default());
            if keep_alive {
                let (interval, patience) =
                    (smoltcp::time::Duration::from_secs(2), smoltcp::time::Duration::from_secs(2));
                board.set = SmoltcpSet::new(board.handles, 5).with_keep_alive(interval, patience);
            }
            for n in 0..6 {
                app.push(&["GET", &format!("key:{n}")]);
            }
            board.finish(driver, &mut app);
            // Idle for minutes with a peer that is there.
            let end = board.clock.0 + 300_000_000;
            board.until(driver, &mut app, 400, |driver, _| driver.now().as_micros() > end);
            assert_eq!(app.closed, []);
            board.cable.borrow_mut().rules.lost = 1_000;
            // Without it, it is the engine that notices, at the next question it has by itself; between them it dials seeds.
            let reason = if keep_alive { CloseReason::Disconnected } else { CloseReason::Silent };
            let noticed = |app: &App| app.closed.iter().filter(|closed| **closed == reason).count();
            board.until(driver, &mut app, 400, |_, app| noticed(app) >= 3);
            let others = app.closed.iter().filter(|closed| **closed != reason);
            assert!(
                others.clone().all(|closed| !keep_alive && *closed == CloseReason::ConnectFailed),
                "{:?}",
                app.closed
            );
            assert!(!keep_alive || driver.now().as_micros() - end < 5_000_000);
        });
    }
}

/// A node stops reading for a minute, in the middle of a command that is longer than all windows on the way.
#[test]
fn a_window_that_is_shut_for_a_minute_loses_nothing() {
    let mut config = Config::new(7);
    config.timeouts.response = Duration::from_secs(100);
    config.command_timeout = Duration::from_secs(120);
    with_config(config, "10.0.0.1", |driver| {
        let (mut board, mut app) = (Board::new(Rules::FAIR, "10.0.0.1"), App::default());
        for n in 0..20 {
            app.push(&["SET", &format!("key:{n}"), "x"]);
        }
        board.finish(driver, &mut app);
        let (shut, value) = (board.owner("large"), "w".repeat(9_000));
        board.host.deaf.push(shut);
        let large = app.push(&["SET", "large", &value]);
        let others: Vec<u64> = (0..20)
            .map(|n| format!("key:{n}"))
            .filter(|key| board.owner(key) != shut)
            .map(|key| app.push(&["GET", &key]))
            .collect();
        board.until(driver, &mut app, 1, |_, app| others.iter().all(|tag| app.ends.contains_key(tag)));
        let start = board.clock.0;
        while board.clock.0 < start + 60_000_000 {
            board.turn(driver, &mut app);
        }
        assert!(!app.ends.contains_key(&large), "{:?}", app.ends[&large]);
        board.host.deaf.clear();
        board.finish(driver, &mut app);
        println!(
            "smoltcp: window of node {shut} shut for 60 s, then the command of 9,000 bytes ended {:?}",
            app.ends[&large]
        );
        assert_eq!(app.reply(large), "+OK\r\n");
        assert_eq!(app.closed, []);
    });
}

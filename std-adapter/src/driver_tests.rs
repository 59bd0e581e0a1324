//! The event loop against servers that send more than is of use: memory stays bounded, nothing is lost, others go on.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread;

use slotwise::command::{FULL, analyse};
use slotwise::resp::encode;
use slotwise::slot::Slot;

use super::*;
use crate::url::Seed;

const MIB: usize = 1 << 20;

/// Two primaries with half of the slots each, in threads of their own.
#[derive(Default)]
struct Servers {
    ports: [AtomicU16; 2],
    /// Topology questions are refused.
    secretive: AtomicBool,
    /// Bytes of the value that GET answers.
    value: AtomicUsize,
    /// GETs that were answered.
    answered: AtomicUsize,
}

impl Servers {
    fn start() -> Arc<Self> {
        let servers = Arc::new(Self::default());
        servers.value.store(3, Ordering::SeqCst);
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        for (listener, port) in listeners.iter().zip(&servers.ports) {
            port.store(listener.local_addr().unwrap().port(), Ordering::SeqCst);
        }
        for (at, listener) in listeners.into_iter().enumerate() {
            let servers = Arc::clone(&servers);
            thread::spawn(move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    let servers = Arc::clone(&servers);
                    thread::spawn(move || servers.serve(at, stream));
                }
            });
        }
        servers
    }

    fn port(&self, at: usize) -> u16 {
        self.ports[at].load(Ordering::SeqCst)
    }

    /// Answers one connection until it ends.
    fn serve(&self, at: usize, stream: TcpStream) -> Option<()> {
        let mut out = stream.try_clone().ok()?;
        let mut input = BufReader::new(stream);
        loop {
            let words = request(&mut input)?;
            let answer = match (words[0].as_str(), words.get(1).map(String::as_str)) {
                ("HELLO", _) => "%1\r\n$5\r\nproto\r\n:3\r\n".to_owned(),
                ("CLUSTER", Some("SLOTS")) if !self.secretive.load(Ordering::SeqCst) => self.slots(),
                ("CLUSTER", Some("MYID")) => format!("$40\r\n{}\r\n", id(at)),
                ("CLUSTER", _) => "-ERR not now\r\n".to_owned(),
                ("GET", _) => {
                    let value = self.value.load(Ordering::SeqCst);
                    write!(out, "${value}\r\n").ok()?;
                    out.write_all(&vec![b'v'; value]).ok()?;
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    "\r\n".to_owned()
                }
                ("EVAL", _) => format!("-MOVED {} 127.0.0.1:{}\r\n", slot_of(&words[3]).get(), self.port(1 - at)),
                // From here on there is no end of messages.
                ("INCR", _) => {
                    let message = format!(">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$10000\r\n{}\r\n", "m".repeat(10_000));
                    let many = message.repeat(10);
                    loop {
                        out.write_all(many.as_bytes()).ok()?;
                    }
                }
                ("PING", _) => "+PONG\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            out.write_all(answer.as_bytes()).ok()?;
        }
    }

    fn slots(&self) -> String {
        let half = |at: usize, first: u16, last: u16| {
            let (port, id) = (self.port(at), id(at));
            format!("*3\r\n:{first}\r\n:{last}\r\n*3\r\n$9\r\n127.0.0.1\r\n:{port}\r\n$40\r\n{id}\r\n")
        };
        format!("*2\r\n{}{}", half(0, 0, 8_191), half(1, 8_192, 16_383))
    }
}

/// Arguments of the next request; `None` when the connection ended.
fn request(input: &mut impl BufRead) -> Option<Vec<String>> {
    let number = |input: &mut dyn BufRead| {
        let mut line = String::new();
        input.read_line(&mut line).ok()?;
        line.get(1..)?.trim().parse::<usize>().ok()
    };
    let count = number(input)?;
    (0..count)
        .map(|_| {
            let mut word = vec![0; number(input)? + 2];
            input.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            String::from_utf8(word).ok()
        })
        .collect()
}

fn id(at: usize) -> String {
    ["a", "b"][at].repeat(40)
}

fn slot_of(key: &str) -> Slot {
    Slot::of_key(key.as_bytes())
}

/// A key of one of the nodes.
fn key(node: usize) -> String {
    (0..).map(|n| format!("k{n}")).find(|key| usize::from(slot_of(key).get() / 8_192) == node).unwrap()
}

/// What is wanted and what came of it, by tag.
#[derive(Default)]
struct Record {
    bytes: HashMap<u64, Vec<u8>>,
    replies: Vec<(u64, Vec<u8>)>,
    failures: Vec<(u64, Failure)>,
    pushes: usize,
}

impl Record {
    fn has(&self, tag: u64) -> bool {
        self.replies.iter().any(|(of, _)| *of == tag) || self.failures.iter().any(|(of, _)| *of == tag)
    }
}

impl Work for Record {
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.bytes[&tag]);
    }

    fn reply(&mut self, tag: u64, reply: Reply<'_>) {
        self.replies.push((tag, reply.frame.raw().to_vec()));
    }

    fn failed(&mut self, tag: u64, failure: Failure) {
        self.failures.push((tag, failure));
    }

    fn push(&mut self, _: ConnId, _: Option<NodeId>, _: &Frame<'_>) {
        self.pushes += 1;
        // Slower than they come.
        thread::sleep(StdDuration::from_micros(50));
    }
}

struct World {
    servers: Arc<Servers>,
    driver: Driver,
    work: Record,
    /// The largest receive buffer seen.
    most: usize,
}

impl World {
    /// Both nodes are connected.
    fn new(max_reply: Option<usize>, resp2: bool) -> Self {
        let servers = Servers::start();
        let seeds = vec![Seed::new("127.0.0.1", servers.port(0)).unwrap()];
        let profile = Profile { seeds, max_reply, resp2, ..Profile::default() };
        let driver = Driver::new(profile, Config::new(7)).unwrap();
        let mut world = Self { servers, driver, work: Record::default(), most: 0 };
        world.submit(1_000, &["GET", &key(0)]);
        world.submit(1_001, &["GET", &key(1)]);
        world.run(|world| world.work.replies.len() == 2);
        world.work.replies.clear();
        world
    }

    fn submit(&mut self, tag: u64, words: &[&str]) {
        let len = encode::encoded_len(words).unwrap();
        let mut bytes = vec![0; usize::try_from(len).unwrap()];
        encode::encode(words, &mut bytes).unwrap();
        let spec = analyse(&FULL, words).unwrap().spec(u32::try_from(len).unwrap()).unwrap().with_tag(tag);
        self.work.bytes.insert(tag, bytes);
        self.driver.cluster.submit(self.driver.now(), spec).unwrap();
    }

    fn turn(&mut self) {
        self.driver.turn(&mut self.work, Some(StdDuration::from_millis(5))).unwrap();
        let largest = self.driver.sockets.iter().flatten().map(Socket::receive_buffer).max();
        self.most = self.most.max(largest.unwrap_or(0));
    }

    #[track_caller]
    fn run(&mut self, done: impl Fn(&Self) -> bool) {
        let began = std::time::Instant::now();
        while !done(self) {
            assert!(began.elapsed() < StdDuration::from_secs(20), "{:?}", self.work.failures);
            self.turn();
        }
    }

    /// The connection whose first reply is left unread.
    fn held_back(&self) -> Option<ConnId> {
        self.driver
            .sockets
            .iter()
            .flatten()
            .map(|socket| socket.conn)
            .find(|conn| !self.driver.cluster.wants_input(*conn))
    }
}

#[test]
fn what_the_engine_holds_back_stays_with_the_peer() {
    let mut world = World::new(None, true);
    world.servers.value.store(MIB, Ordering::SeqCst);
    world.servers.secretive.store(true, Ordering::SeqCst);
    // No map shows whether the script's redirect is true, so its answer waits; and behind it come 64 MiB.
    world.submit(0, &["EVAL", "return 1", "1", &key(0)]);
    for tag in 1..=64 {
        world.submit(tag, &["GET", &key(0)]);
    }
    world.run(|world| world.held_back().is_some());
    world.servers.value.store(MIB + 1, Ordering::SeqCst);
    world.submit(100, &["GET", &key(1)]);
    world.run(|world| world.work.has(100));
    assert!(world.held_back().is_some() && !world.work.has(0), "the other node answered meanwhile");
    for _ in 0..40 {
        world.turn();
    }
    assert!(world.held_back().is_some(), "a second has not passed");
    assert!(world.most <= 2 * MIB, "{} bytes to receive", world.most);
    assert!(world.servers.answered.load(Ordering::SeqCst) < 50, "the peer goes on sending");
    world.run(|world| (0..=64).all(|tag| world.work.has(tag)));
    assert!(world.most < 8 * MIB, "{} bytes to receive", world.most);
    assert!(world.work.failures.is_empty(), "{:?}", world.work.failures);
    let order: Vec<u64> = world.work.replies.iter().map(|(tag, _)| *tag).filter(|tag| *tag != 100).collect();
    assert_eq!(order, (0..=64).collect::<Vec<_>>());
    for (tag, reply) in &world.work.replies {
        match tag {
            0 => assert!(reply.starts_with(b"-MOVED "), "the script's own error"),
            _ => assert!(reply.len() > MIB && reply[10..MIB].iter().all(|byte| *byte == b'v'), "{tag}"),
        }
    }
    assert_eq!(world.driver.counters.closed, 0);
}

#[test]
fn a_reply_larger_than_is_kept_fails_alone() {
    let mut world = World::new(Some(256 * 1024), false);
    world.submit(0, &["GET", &key(0)]);
    world.run(|world| world.work.has(0));
    world.servers.value.store(20 * MIB, Ordering::SeqCst);
    world.submit(1, &["GET", &key(0)]);
    world.run(|world| world.work.has(1));
    world.servers.value.store(200 * 1024, Ordering::SeqCst);
    world.submit(2, &["GET", &key(0)]);
    world.run(|world| world.work.has(2));
    assert!(world.most <= MIB, "{} bytes to receive", world.most);
    let [(1, failure)] = world.work.failures[..] else { panic!("{:?}", world.work.failures) };
    assert_eq!((failure.outcome, failure.reason), (Outcome::ReplyLost, Reason::ReplyTooLarge));
    assert_eq!(failure.node.map(|node| node.to_string()), Some(id(0)));
    let lengths: Vec<usize> = world.work.replies.iter().map(|(_, reply)| reply.len()).collect();
    assert_eq!(lengths, ["$3\r\nvvv\r\n".len(), "$204800\r\n\r\n".len() + 200 * 1024]);
    assert_eq!(world.driver.counters.closed, 0);
}

#[test]
fn a_peer_that_never_falls_silent_stalls_nobody() {
    let mut world = World::new(None, false);
    world.submit(0, &["INCR", &key(0)]);
    world.run(|world| world.work.pushes > 1_000);
    for tag in 1..=20 {
        let began = std::time::Instant::now();
        world.submit(tag, &["GET", &key(1)]);
        world.run(|world| world.work.has(tag));
        assert!(began.elapsed() < StdDuration::from_secs(1), "{:?}", began.elapsed());
    }
    assert!(world.most <= MIB, "{} bytes to receive", world.most);
}

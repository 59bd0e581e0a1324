//! Commands through the engine and nothing else, to be counted from outside: what watching costs.
//!
//! ```text
//! cargo build --release -p slotwise --example engine_cost [--features observe]
//! valgrind --tool=callgrind target/release/examples/engine_cost 1000      (and 11000: the difference is 10,000 commands)
//! ```
//!
//! Each command is a GET of one of 16,384 slots: submitted, written, answered with five bytes, its reply handed out. With the
//! feature `observe` an observer of type `Counters` is told of all of it.

use std::hint::black_box;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, Event, Output, StaticStorage, Storage, Transmit};
use slotwise::command::{Access, CommandSpec, Target};
use slotwise::connection::{ControlFrame, Settings};
use slotwise::ids::ConnId;
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};

type Tables = StaticStorage<4, 64, 256, 4, 34, 32>;

const HELLO: &[u8] = b"%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n";
const ID: &[u8] = b"$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
const SLOTS: &[u8] = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:7001\r\n\
    $40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n";
/// Encoded length of the commands.
const LEN: u32 = 22;

/// The one connection and what has come on it.
#[derive(Default)]
struct Peer {
    conn: Option<ConnId>,
    coming: Vec<u8>,
    answered: u64,
}

/// Lets the engine write and read until it has nothing more to do.
fn pump<S: Storage>(cluster: &mut Cluster<S>, peer: &mut Peer, env: &Env<'_>, now: Instant) {
    while let Some(event) = cluster.poll_event() {
        match event {
            Event::Dial(conn) => {
                peer.conn = Some(conn);
                cluster.handle_connected(now, conn);
            }
            Event::Failed { failure, .. } => panic!("{failure:?}"),
            Event::Closed { reason, .. } => panic!("{reason:?}"),
            _ => {}
        }
    }
    let Some(conn) = peer.conn else { return };
    while let Some(transmit) = cluster.poll_transmit(now, conn, env) {
        let (len, answer) = match transmit {
            Transmit::Control(frame) => {
                let answer = match frame {
                    ControlFrame::Hello { .. } => HELLO,
                    ControlFrame::ClusterMyId => ID,
                    ControlFrame::ClusterSlots => SLOTS,
                    other => panic!("{other:?}"),
                };
                (frame.encoded_len(env.settings), answer)
            }
            Transmit::Command { len, .. } => (len as usize, &b"$1\r\nv\r\n"[..]),
        };
        cluster.handle_written(now, conn, len);
        peer.coming.extend_from_slice(answer);
    }
    let mut start = 0;
    while start < peer.coming.len() {
        let progress = cluster.handle_input(now, conn, env, &peer.coming[start..], true).expect("good bytes");
        start += progress.consumed;
        if let Some(Output::Reply { frame, .. }) = progress.output {
            peer.answered += u64::from(black_box(frame.bytes()) == Some(b"v"));
        }
    }
    peer.coming.clear();
}

fn run<S: Storage>(storage: S, commands: u64) {
    let seeds = [NodeAddr::new("127.0.0.1", 7001).expect("an address")];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    let mut cluster = Cluster::new(Config::new(1), storage);
    let (mut peer, mut now) = (Peer::default(), Instant::from_micros(1_000_000));
    cluster.connect(now);
    while cluster.map().is_empty() {
        pump(&mut cluster, &mut peer, &env, now);
    }
    for n in 0..commands {
        let spec = CommandSpec::new(Target::Slot(Slot::masked(n as u16)), Access::Read, LEN).with_tag(n);
        cluster.submit(now, spec).expect("room");
        // Sixteen at a time, as a pipeline has them.
        if n % 16 == 15 {
            now = now + Duration::from_micros(100);
            pump(&mut cluster, &mut peer, &env, now);
        }
    }
    pump(&mut cluster, &mut peer, &env, now);
    assert_eq!(peer.answered, commands);
}

fn main() {
    let commands = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000);
    #[cfg(feature = "observe")]
    {
        use slotwise::cluster::{Counters, Watched};
        run(Watched::new(Tables::new(), Counters::<4>::new()), commands);
    }
    #[cfg(not(feature = "observe"))]
    run(Tables::new(), commands);
}

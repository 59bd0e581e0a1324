//! The driver over stacks of `embedded-nal` and `embedded-nal-async`, with the network in memory behind them.

#[path = "../world/mod.rs"]
mod world;

mod asynch;
mod blocking;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage};
use slotwise::connection::Settings;
use slotwise::slot::Slot;
use slotwise_embedded::{Driver, StaticBuffers};
use world::{App, End, Net, PORT};

type Store = StaticStorage<4, 64, 128, 4, 34, 32>;

/// The host name of all nodes.
const NAME: &str = "nodes.test";

fn with_driver(seed: &str, test: impl FnOnce(&mut Driver<'_, Store>)) {
    let mut cluster = Cluster::new(Config::new(7), StaticStorage::new());
    let mut buffers = StaticBuffers::<4, 1024, 128>::new();
    let seeds = [NodeAddr::new(seed, PORT).unwrap()];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    test(&mut Driver::new(&mut cluster, env, buffers.lend()).unwrap());
}

/// Three nodes that call themselves by name or address, on a network that moves a few bytes at a time.
fn network(host: &str) -> Net {
    let mut net = Net::new(3);
    for node in 0..3 {
        net.model.set_address(node, host, PORT + u16::try_from(node).unwrap());
    }
    (net.read, net.write, net.hesitant) = (5, 3, true);
    net
}

fn fill(app: &mut App) {
    for n in 0..50 {
        app.push(&["SET", &format!("key:{n}"), &n.to_string()]);
        app.push(&["GET", &format!("key:{n}")]);
    }
    app.push(&["SET", "large", &"v".repeat(3_000)]);
    app.push(&["GET", "large"]);
}

fn check(app: &App) {
    for n in 0..50_u64 {
        assert_eq!(app.reply(2 * n), "+OK\r\n");
        assert!(app.reply(2 * n + 1).ends_with(&format!("\n{n}\r\n")));
    }
    assert_eq!(app.reply(101), "v".repeat(3_000));
    assert_eq!(app.closed, []);
}

/// The key's slot goes to the next node; true if a read that is asked of `ask` follows it.
fn moved(net: &mut Net, key: &str) {
    let slot = Slot::of_key(key.as_bytes()).get();
    let to = (net.model.owner(slot).unwrap() + 1) % 3;
    net.model.move_atomically(slot, to).unwrap();
    net.model.settle();
}

fn was_followed(app: &App, tag: u64, value: &str) {
    let raw = format!("${}\r\n{value}\r\n", value.len());
    assert_eq!(app.ends[&tag], End::Reply { raw, resent: true });
}

//! What a device must survive: a dead node, commands given up at any moment, a window that stays shut. On a clock of our
//! own, so every run is the same. `--nocapture` shows what became of everything.

#[path = "../world/mod.rs"]
mod world;

mod cancel;
mod drive;
mod window;
mod zero;

use drive::Drive;
use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage};
use slotwise::connection::Settings;
use slotwise::slot::Slot;
use slotwise::time::Instant;
use slotwise_embedded::{Driver, StaticBuffers};
use world::{App, Net, PORT, Ticks};

/// Room for 32 commands on one node, and 32 more.
type Store = StaticStorage<4, 64, 128, 4, 66, 32>;

/// Bytes of a receive and of a transmit buffer.
const RX: usize = 1_024;
const TX: usize = 128;

/// A driver with everything around it.
struct Rig<'r, 'm, D> {
    how: D,
    driver: &'r mut Driver<'m, Store>,
    net: Net,
    app: App,
    clock: Ticks,
}

/// Makes one over three nodes and runs the test.
fn rig<D: Drive>(how: D, change: impl FnOnce(&mut Config), test: impl FnOnce(&mut Rig<'_, '_, D>)) {
    let mut config = Config::new(7);
    change(&mut config);
    let mut cluster = Cluster::new(config, Store::new());
    let mut buffers = StaticBuffers::<4, RX, TX>::new();
    let seeds = [NodeAddr::new("127.0.0.1", PORT).unwrap()];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    let mut driver = Driver::new(&mut cluster, env, buffers.lend()).unwrap();
    test(&mut Rig { how, driver: &mut driver, net: Net::new(3), app: App::default(), clock: Ticks(0) });
}

impl<D: Drive> Rig<'_, '_, D> {
    fn now(&self) -> Instant {
        Instant::from_micros(self.clock.0)
    }

    /// Turns until nothing is left to do without time or the network; when that will change by itself.
    fn settle(&mut self) -> Option<Instant> {
        for _ in 0..100_000 {
            let (idle, wake) = self.how.turn(self.driver, &mut self.net, &mut self.app, &mut self.clock);
            if idle {
                return wake;
            }
        }
        panic!("never idle");
    }

    /// Lets so much time pass, with every timer on the way; whether all commands have ended ends it early if `hasty`.
    fn pass(&mut self, seconds: u64, hasty: bool) {
        let end = self.clock.0 + seconds * 1_000_000;
        while self.clock.0 < end {
            let wake = self.settle();
            if hasty && self.app.is_done() {
                return;
            }
            self.clock.0 = wake.map_or(end, Instant::as_micros).clamp(self.clock.0 + 1, end.max(self.clock.0 + 1));
        }
    }

    /// Until every command has ended.
    fn finish(&mut self) {
        self.pass(300, true);
        assert!(self.app.is_done(), "stuck: {:?}", self.app.ends);
    }

    fn owner(&self, key: &str) -> usize {
        self.net.model.owner(Slot::of_key(key.as_bytes()).get()).unwrap()
    }

    /// So many keys of the node, that begin with `prefix`.
    fn keys(&self, prefix: &str, node: usize, count: usize) -> Vec<String> {
        let keys = (0..10_000).map(|n| format!("{prefix}:{n}"));
        keys.filter(|key| self.owner(key) == node).take(count).collect()
    }

    /// Writes a key on every node, so that all are connected and idle.
    fn warm_up(&mut self) {
        for n in 0..30 {
            self.app.push(&["SET", &format!("warm:{n}"), "x"]);
        }
        self.finish();
        self.is_clean();
        assert_eq!(self.net.wires.len(), 3);
    }

    /// Nothing is left over of any command.
    fn is_clean(&mut self) {
        self.settle();
        assert_eq!((self.driver.cluster().commands_live(), self.driver.buffered()), (0, 0), "something is left over");
    }
}

/// The test for the driver as a loop and as a future.
macro_rules! both_ways {
    ($($test:ident),* $(,)?) => {
        mod as_a_loop {
            $(#[test] fn $test() { super::$test(crate::drive::Loop); })*
        }
        #[cfg(feature = "async")]
        mod as_a_future {
            $(#[test] fn $test() { super::$test(crate::drive::Future); })*
        }
    };
}
use both_ways;

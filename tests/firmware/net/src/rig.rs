//! The network, the driver and the application, turned together.

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Config, Env};
use slotwise::connection::Settings;
use slotwise::ids::NodeId;
use slotwise::pubsub::{Policy, Reconciler, StaticStorage};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};
use slotwise::topology::{Map, Owner};
use slotwise_embedded::{Driver, SmoltcpSet, smoltcp_time};
use smoltcp::iface::{Config as IfaceConfig, Interface, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Address};

use crate::app::{App, End, What};
use crate::clock::{self, SysTick};
use crate::enet::Enet;
use crate::memory::{self, CONNS, Tables};
use crate::text::Key;

/// Why a step did not pass.
pub type Failed = &'static str;

/// Ends the step unless the condition holds.
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $why:literal $(, $value:expr)* $(,)?) => {
        if !$condition {
            $(defmt::error!("{} = {}", stringify!($value), $value);)*
            return Err($why);
        }
    };
}

const ADDRESS: [u8; 6] = [0x52, 0x54, 0x00, 0x12, 0x34, 0x56];
/// QEMU's user network: this is the guest, the gateway is the host.
const IP: Ipv4Address = Ipv4Address::new(10, 0, 2, 15);
const GATEWAY: Ipv4Address = Ipv4Address::new(10, 0, 2, 2);

/// Orders that the host carries out; it says so in a key of this name.
const DONE: &str = "{order}:done:";

/// The network stack.
pub struct Net {
    device: Enet,
    iface: Interface,
    sockets: SocketSet<'static>,
    set: SmoltcpSet<CONNS>,
}

/// Everything that is turned in the main loop.
pub struct Rig {
    net: &'static mut Net,
    pub driver: Driver<'static, &'static mut Tables>,
    pub app: &'static mut App,
    orders: u16,
}

impl Rig {
    /// Puts everything together; nothing is sent yet.
    pub fn new(seeds: &'static [NodeAddr<'static>], seed: u64) -> Result<Self, Failed> {
        let net = memory::NET.init_with(|| network(seed));
        let mut config = Config::new(seed);
        // As many as the table of commands lets through.
        config.window = 32;
        // Longer than the longest silence of a server in this test. What ends a command in time is its own limit.
        config.timeouts.response = Duration::from_secs(100);
        let cluster = memory::ENGINE.init_with(|| memory::Engine::new(config, memory::TABLES.take()));
        let env = Env::new(&Settings::DEFAULT, seeds);
        let driver = Driver::new(cluster, env, memory::BUFFERS.take().lend()).map_err(|_| "buffers that do not do")?;
        let wishes = Reconciler::new(Policy::DEFAULT, seed, StaticStorage::new());
        let app = memory::APP.init(App::new(memory::JOBS.take(), wishes));
        Ok(Self { net, driver, app, orders: 0 })
    }

    /// Polls the network and drives at most `budget` steps; whether nothing is left to do for now.
    pub fn turn(&mut self, budget: u32) -> bool {
        let Net { device, iface, sockets, set } = &mut *self.net;
        iface.poll(smoltcp_time(clock::now()), device, sockets);
        let mut net = set.net(iface, sockets);
        let driven = self.driver.drive(&mut SysTick, &mut net, self.app, budget);
        let now = clock::now();
        // What was written, or a window that was read empty, goes out with the next poll.
        net.wake(now, &driven).is_none_or(|at| at > now)
    }

    /// Drives without letting a frame in or out.
    pub fn drive_only(&mut self, budget: u32) -> bool {
        let Net { iface, sockets, set, .. } = &mut *self.net;
        self.driver.drive(&mut SysTick, &mut set.net(iface, sockets), self.app, budget).idle
    }

    /// Turns until `done`, sleeping whenever there is nothing to do.
    pub fn wait(&mut self, limit: Duration, mut done: impl FnMut(&mut Self) -> bool) -> Result<(), Failed> {
        let end = clock::now() + limit;
        loop {
            let idle = self.turn(64);
            if let Some(why) = self.app.broken {
                return Err(why);
            }
            if done(self) {
                return Ok(());
            }
            if clock::now() > end {
                return Err("it took too long");
            }
            if idle {
                cortex_m::asm::wfi();
            }
        }
    }

    /// Just turns for a while.
    pub fn pass(&mut self, time: Duration) -> Result<(), Failed> {
        let end = clock::now() + time;
        self.wait(time.saturating_mul(4), |_| clock::now() >= end)
    }

    /// Puts a command in line.
    pub fn push(&mut self, what: What) -> Result<usize, Failed> {
        self.app.push(what).ok_or("no room for a job")
    }

    /// Carries out one command: its end, and whether it was sent more than once.
    pub fn call(&mut self, what: What) -> Result<(End, bool), Failed> {
        let at = self.push(what)?;
        self.wait(Duration::from_secs(30), |rig| rig.app.ended(at))?;
        let job = self.app.take(at);
        Ok((job.end, job.resent))
    }

    /// Gives the next order its number. The order itself is a line of the log, which the host reads.
    pub fn next_order(&mut self) -> u16 {
        self.orders += 1;
        self.orders
    }

    /// Waits until the host has carried an order out; what it says about it.
    pub fn carried_out(&mut self, order: u16, limit: Duration) -> Result<u32, Failed> {
        let end = clock::now() + limit;
        while clock::now() < end {
            match self.call(What::Get(Key::new(DONE, order)))? {
                (End::Number(said), _) => return Ok(said),
                (End::Nil, _) => self.pass(Duration::from_millis(20))?,
                (other, _) => ensure!(false, "no answer about an order", other),
            }
        }
        Err("the host does not carry out an order")
    }

    /// The slot of the keys that tell of orders: its node must live.
    pub fn order_slot() -> Slot {
        Key::new(DONE, 0).slot()
    }

    pub fn map(&mut self) -> Map<'_> {
        self.driver.cluster().map()
    }

    /// The node that serves the slot, as far as the map knows.
    pub fn owner(&mut self, slot: Slot) -> Option<NodeId> {
        let map = self.map();
        match map.owner(slot) {
            Owner::Node(at) => map.node(at).map(slotwise::topology::Node::id),
            _ => None,
        }
    }

    /// The first key of this name from `from` on whose owner passes.
    pub fn key_at(&mut self, name: &'static str, from: u16, mut at: impl FnMut(NodeId) -> bool) -> Result<Key, Failed> {
        let mut keys = (from..u16::MAX).map(|number| Key::new(name, number));
        keys.find(|key| self.owner(key.slot()).is_some_and(&mut at)).ok_or("no such key")
    }

    /// Waits until the engine has nothing under way.
    pub fn settle(&mut self) -> Result<(), Failed> {
        self.wait(Duration::from_secs(20), |rig| rig.app.all_ended() && rig.driver.cluster().commands_live() == 0)
    }

    pub fn now(&self) -> Instant {
        clock::now()
    }
}

fn network(seed: u64) -> Net {
    let mut device = Enet::new(ADDRESS, memory::FRAMES.take());
    let mut config = IfaceConfig::new(EthernetAddress(ADDRESS).into());
    config.random_seed = seed;
    let mut iface = Interface::new(config, &mut device, smoltcp_time(clock::now()));
    // There is room for both.
    iface.update_ip_addrs(|addresses| {
        let _ = addresses.push(IpCidr::new(IP.into(), 24));
    });
    let _ = iface.routes_mut().add_default_ipv4_route(GATEWAY);
    let mut sockets = SocketSet::new(&mut memory::SOCKETS.take()[..]);
    let mut windows = memory::WINDOWS.take().iter_mut();
    let handles = core::array::from_fn(|_| {
        let Some((rx, tx)) = windows.next() else { defmt::panic!("fewer windows than connections") };
        let rx = tcp::SocketBuffer::new(&mut rx[..]);
        sockets.add(tcp::Socket::new(rx, tcp::SocketBuffer::new(&mut tx[..])))
    });
    Net { device, iface, sockets, set: SmoltcpSet::new(handles, seed) }
}

//! The driver of slotwise as one future over embassy-net's TCP client, and the application it works for.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Waker};

use embassy_net::Stack;
use embassy_net::dns::DnsSocket;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_time::Timer;
use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage, SubmitError};
use slotwise::command::{self, CommandSpec};
use slotwise::connection::Settings;
use slotwise::ids::CommandId;
use slotwise::pipeline::Failure;
use slotwise::resp::encode;
use slotwise::time::Instant;
use slotwise_embedded::{Alarm, At, Clock, Driver, NalConnections, Piece, Reply, StaticBuffers, Work, copy_command};
use static_cell::ConstStaticCell;

use crate::board;

/// Connections: one for each primary, and one to spare while the cluster changes.
const CONNECTIONS: usize = 4;
/// Readings that are on their way at a time.
const IN_FLIGHT: usize = 8;
/// Steps between two looks at the other tasks.
const BUDGET: u32 = 32;

type Store = StaticStorage<4, 64, 128, CONNECTIONS, 18, 32>;

/// One value of one sensor.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) sensor: u8,
    pub(crate) value: u16,
}

/// Readings that wait to be written.
pub(crate) static READINGS: Channel<CriticalSectionRawMutex, Reading, 8> = Channel::new();

/// Writes readings for ever.
pub(crate) async fn run(stack: Stack<'static>) -> ! {
    static BUFFERS: ConstStaticCell<StaticBuffers<CONNECTIONS, 1024, 256>> = ConstStaticCell::new(StaticBuffers::new());
    static SOCKETS: ConstStaticCell<TcpClientState<CONNECTIONS, 1024, 1024>> =
        ConstStaticCell::new(TcpClientState::new());

    stack.wait_config_up().await;
    let client = TcpClient::new(stack, SOCKETS.take());
    let dns = DnsSocket::new(stack);
    let mut connections = NalConnections::<_, _, CONNECTIONS>::new(&client, &dns);

    // The seed of the jitter is the device's own: a fleet that boots together must not retry together.
    let mut cluster = Cluster::new(Config::new(board::device_id()), Store::new());
    let seeds = [board::SEED].map(|(host, port)| NodeAddr::new(host, port).ok());
    let seeds = seeds.map(|seed| seed.unwrap_or_else(|| fault("the seed's address is not one")));
    let env = Env::new(&Settings::DEFAULT, &seeds);
    let Ok(mut driver) = Driver::new(&mut cluster, env, BUFFERS.take().lend()) else {
        fault("the buffers are too small for the engine");
    };
    let mut gateway = Gateway { on_their_way: [None; IN_FLIGHT], next: None, written: 0, lost: 0 };
    loop {
        // It never says that it is done. Were this future dropped, a new one would go on where it stopped.
        connections.run(&mut driver, &mut Ticks { timer: None }, &mut gateway, BUDGET, |_, _| false).await;
    }
}

/// A setting that cannot be right.
fn fault(why: &str) -> ! {
    panic!("{why}")
}

/// embassy's time for the driver.
struct Ticks {
    timer: Option<Timer>,
}

impl Clock for Ticks {
    fn now(&mut self) -> Instant {
        Instant::from_micros(embassy_time::Instant::now().as_micros())
    }
}

impl Alarm for Ticks {
    fn set(&mut self, at: Option<Instant>, waker: &Waker) {
        self.timer = at.map(|at| Timer::at(embassy_time::Instant::from_micros(at.as_micros())));
        if let Some(timer) = &mut self.timer
            && pin!(timer).poll(&mut Context::from_waker(waker)).is_ready()
        {
            waker.wake_by_ref();
        }
    }
}

/// The application: readings on their way, by tag.
struct Gateway {
    on_their_way: [Option<Reading>; IN_FLIGHT],
    /// The place of the reading that is submitted next.
    next: Option<usize>,
    written: u32,
    lost: u32,
}

impl Gateway {
    fn end(&mut self, tag: u64) {
        if let Some(place) = usize::try_from(tag).ok().and_then(|tag| self.on_their_way.get_mut(tag)) {
            *place = None;
        }
    }
}

/// `SET sensor:N value`, spelled out.
struct Words {
    key: [u8; 10],
    value: [u8; 5],
}

impl Words {
    fn of(reading: Reading) -> Self {
        let mut words = Self { key: *b"sensor:000", value: *b"00000" };
        digits(&mut words.key, reading.sensor.into());
        digits(&mut words.value, reading.value);
        words
    }

    fn args(&self) -> [&[u8]; 3] {
        [b"SET", &self.key, &self.value]
    }
}

/// The number in the last places of `out` that hold digits.
fn digits(out: &mut [u8], mut number: u16) {
    for place in out.iter_mut().rev().take_while(|place| place.is_ascii_digit()) {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Work for Gateway {
    fn register(&mut self, waker: &Waker) {
        // A reading that comes later wakes the driver.
        let _ = READINGS.poll_ready_to_receive(&mut Context::from_waker(waker));
    }

    fn next_command(&mut self, _: &At<'_>) -> Option<CommandSpec> {
        if self.next.is_none() {
            let free = self.on_their_way.iter().position(Option::is_none)?;
            *self.on_their_way.get_mut(free)? = Some(READINGS.try_receive().ok()?);
            self.next = Some(free);
        }
        let place = self.next?;
        let words = Words::of((*self.on_their_way.get(place)?)?);
        let len = u32::try_from(encode::encoded_len(&words.args()).ok()?).ok()?;
        let spec = command::analyse(&command::FULL, &words.args()).ok()?.spec(len).ok()?;
        Some(spec.with_tag(place as u64))
    }

    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        self.next = None;
        if result.is_err() {
            self.lost = self.lost.saturating_add(1);
            self.end(tag);
        }
    }

    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize {
        let reading = usize::try_from(tag).ok().and_then(|tag| *self.on_their_way.get(tag)?);
        reading.map_or(0, |reading| copy_command(&Words::of(reading).args(), offset, out))
    }

    fn reply(&mut self, _: &At<'_>, tag: u64, reply: Reply<'_>) {
        let counter = if reply.frame.error().is_none() { &mut self.written } else { &mut self.lost };
        *counter = counter.saturating_add(1);
        self.end(tag);
    }

    fn token(&mut self, _: &At<'_>, tag: u64, piece: Piece<'_>) {
        // An error line that is longer than the receive buffer.
        if piece.last {
            self.lost = self.lost.saturating_add(1);
            self.end(tag);
        }
    }

    fn failed(&mut self, _: &At<'_>, tag: u64, _: Failure) {
        // SET may be sent again whatever the outcome was; this gateway counts and takes the next reading instead.
        self.lost = self.lost.saturating_add(1);
        self.end(tag);
    }
}

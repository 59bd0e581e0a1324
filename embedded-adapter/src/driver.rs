//! The driver: one engine, a set of connections, bounded steps.

use slotwise::cluster::{CancelStage, Cluster, Env, Storage, SubmitError};
use slotwise::command::CommandSpec;
use slotwise::connection::ControlFrame;
use slotwise::ids::{CommandId, ConnId};
use slotwise::time::Instant;

use crate::buffers::{BufferError, Buffers, Lane, MIN_RX, Stage};
use crate::transport::{Clock, Transport};
use crate::work::Work;

/// Drives an engine over a [`Transport`], with the memory of [`Buffers`] and in steps of bounded length.
///
/// The driver itself is a few words: engine and buffers are lent, so that both can lie in a `static`.
pub struct Driver<'m, S> {
    pub(crate) cluster: &'m mut Cluster<S>,
    pub(crate) env: Env<'m>,
    pub(crate) buffers: Buffers<'m>,
    /// Where the round goes on.
    pub(crate) place: Place,
    pub(crate) now: Instant,
    pub(crate) steps: u64,
}

/// A place in the round that all work is done in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The application's next command.
    Submit,
    /// The engine's events.
    Events,
    Timer,
    /// A connection's dial, reads and writes.
    Lane(usize, Phase),
}

/// What is done for one connection in turn. Reading stands before writing, and neither waits for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Dial,
    /// Received bytes are shown to the engine.
    Present,
    Receive,
    /// Output is put into the transmit buffer.
    Fill,
    Send,
}

impl Place {
    /// The place after this one in a round over so many lanes.
    pub(crate) const fn after(self, lanes: usize) -> Self {
        match self {
            Self::Submit => Self::Events,
            Self::Events => Self::Timer,
            Self::Timer if lanes == 0 => Self::Submit,
            Self::Timer => Self::Lane(0, Phase::Dial),
            Self::Lane(at, Phase::Dial) => Self::Lane(at, Phase::Receive),
            Self::Lane(at, Phase::Receive) => Self::Lane(at, Phase::Present),
            Self::Lane(at, Phase::Present) => Self::Lane(at, Phase::Fill),
            Self::Lane(at, Phase::Fill) => Self::Lane(at, Phase::Send),
            Self::Lane(at, Phase::Send) => match at.checked_add(1) {
                Some(next) if next < lanes => Self::Lane(next, Phase::Dial),
                _ => Self::Submit,
            },
        }
    }
}

/// How a call of [`Driver::drive`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub struct Driven {
    /// Steps that did something.
    pub steps: u32,
    /// Nothing is left to do until the transport can move bytes, a dial goes on, the application has a command, or
    /// `wake`. Otherwise the budget ended first: call again.
    pub idle: bool,
    /// When to call again at the latest, if nothing else happens; `None` for never.
    pub wake: Option<Instant>,
}

impl<'m, S: Storage> Driver<'m, S> {
    /// A driver for an engine. The settings and seeds of `env` serve for its whole life.
    ///
    /// # Errors
    /// A [`BufferError`]: the buffers are too few or too small for this engine and these settings.
    pub fn new(cluster: &'m mut Cluster<S>, env: Env<'m>, buffers: Buffers<'m>) -> Result<Self, BufferError> {
        let connections = cluster.storage().shared().conns.len();
        if buffers.connections() < connections {
            return Err(BufferError::TooFewLanes { needed: connections });
        }
        if buffers.rx_len() < MIN_RX {
            return Err(BufferError::RxTooSmall { needed: MIN_RX });
        }
        let needed = longest_control_frame(&env);
        if buffers.tx_len() < needed {
            return Err(BufferError::TxTooSmall { needed });
        }
        let mut driver = Self { cluster, env, buffers, place: Place::Submit, now: Instant::EPOCH, steps: 0 };
        for lane in driver.buffers.lanes() {
            *lane = Lane::EMPTY;
        }
        Ok(driver)
    }

    /// Does at most `budget` steps, each bounded by the size of the buffers and tables: one command taken in, one event,
    /// one read, one reply handed out, one piece of output, one write. Looking in vain is no step; between two steps
    /// every connection is looked at once at most. Returns earlier when nothing is left to do.
    ///
    /// Reads are done before writes, no call waits, and a round visits every connection, so that none is starved by
    /// another, however small the budget.
    pub fn drive<C, T, W>(&mut self, clock: &mut C, net: &mut T, work: &mut W, budget: u32) -> Driven
    where
        C: Clock + ?Sized,
        T: Transport + ?Sized,
        W: Work + ?Sized,
    {
        let lanes = self.buffers.connections();
        let places = lanes.saturating_mul(5).saturating_add(3);
        let mut steps = 0_u32;
        let mut quiet = 0_usize;
        self.now = clock.now();
        while steps < budget && quiet < places {
            if self.step(net, work) {
                steps = steps.saturating_add(1);
                quiet = 0;
                if self.repeats() {
                    continue;
                }
            } else {
                quiet = quiet.saturating_add(1);
            }
            self.place = self.place.after(lanes);
            if self.place == Place::Submit {
                self.now = clock.now();
            }
        }
        self.steps = self.steps.saturating_add(u64::from(steps));
        Driven { steps, idle: quiet >= places, wake: self.cluster.poll_timeout() }
    }

    /// Submits a command directly, beside [`Work::next_command`].
    ///
    /// # Errors
    /// A [`SubmitError`]; nothing was sent.
    pub fn submit(&mut self, now: Instant, spec: CommandSpec) -> Result<CommandId, SubmitError> {
        self.cluster.submit(now, spec)
    }

    /// Gives a command up. Its `failed` follows; until then its bytes may still be asked for.
    pub fn cancel(&mut self, now: Instant, id: CommandId) -> CancelStage {
        self.cluster.cancel(now, id)
    }

    /// Takes no more commands; see [`Cluster::shutdown`]. Drive on until [`Cluster::is_drained`].
    pub fn shutdown(&mut self, now: Instant) {
        self.cluster.shutdown(now);
    }

    /// The engine, for its getters and for what the driver has no method for.
    pub const fn cluster(&mut self) -> &mut Cluster<S> {
        self.cluster
    }

    /// The time of the last turn, for calls that want one between turns.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Steps done so far that did something.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Bytes received and not consumed, and output that was not sent, of all connections: 0 when nothing is half done.
    #[must_use]
    pub fn buffered(&mut self) -> usize {
        self.buffers.lanes().iter().fold(0, |sum, lane| sum.saturating_add(lane.buffered()))
    }

    /// Whether the connection is open as far as the transport has said.
    #[must_use]
    pub fn is_open(&mut self, conn: ConnId) -> bool {
        self.buffers.lane(conn.index()).is_some_and(|lane| lane.is(conn) && lane.stage == Stage::Open)
    }

    /// Whether a step that did something is done again before the round goes on: what costs no system call is done
    /// until nothing is left of it.
    const fn repeats(&self) -> bool {
        matches!(self.place, Place::Submit | Place::Events | Place::Lane(_, Phase::Present | Phase::Fill))
    }
}

/// Bytes of the longest frame the engine writes of its own accord.
fn longest_control_frame(env: &Env<'_>) -> usize {
    [
        ControlFrame::Hello { proto: 3, auth: true },
        ControlFrame::Auth,
        ControlFrame::SetName,
        ControlFrame::SetInfoLibName,
        ControlFrame::SetInfoLibVersion,
        ControlFrame::Capa,
        ControlFrame::NoEvict,
        ControlFrame::NoTouch,
        ControlFrame::Select,
        ControlFrame::ReadOnly,
        ControlFrame::ReadWrite,
        ControlFrame::Asking,
        ControlFrame::Ping { nonce: 0 },
        ControlFrame::ClusterSlots,
        ControlFrame::ClusterNodes,
        ControlFrame::ClusterShards,
        ControlFrame::ClusterMyId,
        ControlFrame::Discard,
        ControlFrame::Unwatch,
        ControlFrame::Quit,
    ]
    .iter()
    .map(|frame| frame.encoded_len(env.settings))
    .max()
    .unwrap_or_default()
}

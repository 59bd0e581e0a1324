//! The memory of a driver: a receive buffer, a transmit buffer and a few words for each connection.

use core::fmt;

use slotwise::connection::ControlFrame;
use slotwise::ids::{CommandId, ConnId};
use slotwise::pipeline::Failure;
use slotwise::topology;

/// The smallest receive buffer of a connection: the engine reads topology replies piece by piece, but takes each host
/// name whole.
pub const MIN_RX: usize = topology::WHOLE + 64;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No connection.
    Free,
    Dialing,
    Open,
}

/// What is being written into the transmit buffer.
//
// With a tag of its own, as `Kept`, an empty lane is all zeros, and static buffers take no room in flash.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Writing {
    Nothing,
    Control(ControlFrame),
    /// A command of which `at` bytes are in the buffer or gone.
    Command {
        id: CommandId,
        tag: u64,
        at: u32,
        len: u32,
        /// ASKING has to go first.
        asking: bool,
    },
}

/// The end of a command, kept back.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum Kept {
    Nothing,
    Failure(u64, Failure),
}

impl Kept {
    pub(crate) fn take(&mut self) -> Option<(u64, Failure)> {
        match core::mem::replace(self, Self::Nothing) {
            Self::Nothing => None,
            Self::Failure(tag, failure) => Some((tag, failure)),
        }
    }
}

/// One connection's state in a driver; 112 bytes where pointers have 32 bits. Lent memory is filled with [`Lane::EMPTY`].
#[derive(Clone, Debug)]
pub struct Lane {
    pub(crate) conn: ConnId,
    pub(crate) stage: Stage,
    /// Received bytes that may be read now have not been presented.
    pub(crate) fresh: bool,
    /// The transport takes no more output; what it received is still read.
    pub(crate) deaf: bool,
    /// The transmit buffer holds a password.
    secret: bool,
    rx_start: usize,
    rx_end: usize,
    tx_start: usize,
    tx_end: usize,
    pub(crate) writing: Writing,
    /// The end of the command that is being written, kept back until its bytes are not needed any more.
    pub(crate) failure: Kept,
}

impl Lane {
    /// No connection.
    pub const EMPTY: Self = Self {
        conn: ConnId::new(0, 0),
        stage: Stage::Free,
        fresh: false,
        deaf: false,
        secret: false,
        rx_start: 0,
        rx_end: 0,
        tx_start: 0,
        tx_end: 0,
        writing: Writing::Nothing,
        failure: Kept::Nothing,
    };

    /// A connection to be dialled.
    pub(crate) const fn dialing(conn: ConnId) -> Self {
        Self { conn, stage: Stage::Dialing, ..Self::EMPTY }
    }

    /// Whether this is the connection's lane.
    pub(crate) fn is(&self, conn: ConnId) -> bool {
        self.stage != Stage::Free && self.conn == conn
    }

    /// Bytes in both buffers.
    pub(crate) const fn buffered(&self) -> usize {
        let received = self.rx_end.saturating_sub(self.rx_start);
        received.saturating_add(self.tx_end.saturating_sub(self.tx_start))
    }

    /// Whether the command's bytes are needed to go on with the stream.
    pub(crate) fn is_writing(&self, wanted: CommandId) -> bool {
        matches!(self.writing, Writing::Command { id, .. } if id == wanted)
    }
}

/// One connection's lane with its buffers.
pub(crate) struct Line<'a> {
    pub(crate) lane: &'a mut Lane,
    rx: &'a mut [u8],
    tx: &'a mut [u8],
}

impl Line<'_> {
    /// Bytes received and not consumed, and whether more can be received behind them.
    pub(crate) fn received(&self) -> (&[u8], bool) {
        let bytes = self.rx.get(self.lane.rx_start..self.lane.rx_end).unwrap_or_default();
        (bytes, bytes.len() < self.rx.len())
    }

    pub(crate) fn consume(&mut self, count: usize) {
        let lane = &mut *self.lane;
        lane.rx_start = lane.rx_start.saturating_add(count).min(lane.rx_end);
        if lane.rx_start == lane.rx_end {
            lane.rx_start = 0;
            lane.rx_end = 0;
        }
    }

    /// Room for a read, made by moving what is left to the front if need be.
    pub(crate) fn rx_room(&mut self) -> &mut [u8] {
        let lane = &mut *self.lane;
        if lane.rx_end >= self.rx.len() && lane.rx_start > 0 {
            let kept = lane.rx_end.saturating_sub(lane.rx_start);
            for to in 0..kept {
                let byte = self.rx.get(lane.rx_start.saturating_add(to)).copied().unwrap_or_default();
                if let Some(place) = self.rx.get_mut(to) {
                    *place = byte;
                }
            }
            lane.rx_start = 0;
            lane.rx_end = kept;
        }
        self.rx.get_mut(lane.rx_end..).unwrap_or_default()
    }

    pub(crate) fn took(&mut self, count: usize) {
        self.lane.rx_end = self.lane.rx_end.saturating_add(count).min(self.rx.len());
    }

    /// Room for output. A buffer that was written is used again from its front once all of it is gone.
    pub(crate) fn tx_room(&mut self) -> &mut [u8] {
        self.tx.get_mut(self.lane.tx_end..).unwrap_or_default()
    }

    /// What is put next holds a password.
    pub(crate) const fn mark_secret(&mut self) {
        self.lane.secret = true;
    }

    /// Overwrites output that holds a password.
    pub(crate) fn wipe(&mut self) {
        if core::mem::take(&mut self.lane.secret) {
            self.tx.fill(0);
        }
    }

    pub(crate) fn put(&mut self, count: usize) {
        self.lane.tx_end = self.lane.tx_end.saturating_add(count).min(self.tx.len());
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        self.tx.get(self.lane.tx_start..self.lane.tx_end).unwrap_or_default()
    }

    pub(crate) fn sent(&mut self, count: usize) {
        let lane = &mut *self.lane;
        lane.tx_start = lane.tx_start.saturating_add(count).min(lane.tx_end);
        if lane.tx_start == lane.tx_end {
            lane.tx_start = 0;
            lane.tx_end = 0;
            self.wipe();
        }
    }
}

/// A driver's memory, lent. Both byte areas are shared out evenly over the lanes.
///
/// | for each connection | at least | what more brings | when it is full |
/// |---|---|---|---|
/// | receive buffer | [`MIN_RX`] | larger replies come whole, as frames | the reply goes on as tokens; an oversized push is dropped |
/// | transmit buffer | the longest control frame: 64 bytes, and the lengths of password, user and client name if set | fewer, larger writes | nothing more is taken from the engine: commands wait in its queues and can be cancelled as not sent |
/// | lane | one | | a connection without a lane is refused by [`Driver::new`](crate::Driver::new) |
pub struct Buffers<'m> {
    lanes: &'m mut [Lane],
    rx: &'m mut [u8],
    tx: &'m mut [u8],
}

/// The sizes and the lanes; not the bytes, which may be anybody's secrets.
impl fmt::Debug for Buffers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Buffers");
        shown.field("lanes", &self.lanes).field("rx", &self.rx.len()).field("tx", &self.tx.len()).finish()
    }
}

impl<'m> Buffers<'m> {
    /// As many connections as lanes; their buffers are equal parts of `rx` and `tx`.
    #[must_use]
    pub const fn new(lanes: &'m mut [Lane], rx: &'m mut [u8], tx: &'m mut [u8]) -> Self {
        Self { lanes, rx, tx }
    }

    /// Bytes of one receive buffer.
    #[must_use]
    pub const fn rx_len(&self) -> usize {
        match self.rx.len().checked_div(self.lanes.len()) {
            Some(len) => len,
            None => 0,
        }
    }

    /// Bytes of one transmit buffer.
    #[must_use]
    pub const fn tx_len(&self) -> usize {
        match self.tx.len().checked_div(self.lanes.len()) {
            Some(len) => len,
            None => 0,
        }
    }

    /// How many connections there is room for.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.lanes.len()
    }

    pub(crate) fn lanes(&mut self) -> &mut [Lane] {
        self.lanes
    }

    pub(crate) fn line(&mut self, index: usize) -> Option<Line<'_>> {
        let (rx_len, tx_len) = (self.rx_len(), self.tx_len());
        let rx_at = index.checked_mul(rx_len)?;
        let tx_at = index.checked_mul(tx_len)?;
        Some(Line {
            lane: self.lanes.get_mut(index)?,
            rx: self.rx.get_mut(rx_at..rx_at.checked_add(rx_len)?)?,
            tx: self.tx.get_mut(tx_at..tx_at.checked_add(tx_len)?)?,
        })
    }

    pub(crate) fn lane(&mut self, index: usize) -> Option<&mut Lane> {
        self.lanes.get_mut(index)
    }
}

/// [`Buffers`] as one value of fixed size, for a `static`: `CONNS` connections with `RX` and `TX` bytes each.
pub struct StaticBuffers<const CONNS: usize, const RX: usize, const TX: usize> {
    lanes: [Lane; CONNS],
    rx: [[u8; RX]; CONNS],
    tx: [[u8; TX]; CONNS],
}

/// As of [`Buffers`].
impl<const CONNS: usize, const RX: usize, const TX: usize> fmt::Debug for StaticBuffers<CONNS, RX, TX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("StaticBuffers");
        shown.field("lanes", &self.lanes).field("rx", &RX).field("tx", &TX).finish()
    }
}

impl<const CONNS: usize, const RX: usize, const TX: usize> StaticBuffers<CONNS, RX, TX> {
    /// Empty buffers. All of it is zeros, so a `static` of it takes no room in flash.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(RX >= MIN_RX, "a receive buffer is too small for topology replies") };
        Self { lanes: [Lane::EMPTY; CONNS], rx: [[0; RX]; CONNS], tx: [[0; TX]; CONNS] }
    }

    /// Lends them to a driver.
    pub const fn lend(&mut self) -> Buffers<'_> {
        Buffers::new(&mut self.lanes, self.rx.as_flattened_mut(), self.tx.as_flattened_mut())
    }
}

impl<const CONNS: usize, const RX: usize, const TX: usize> Default for StaticBuffers<CONNS, RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// Why buffers do not do for a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum BufferError {
    /// There are fewer lanes than connections in the engine's storage.
    TooFewLanes {
        /// Connections of the storage.
        needed: usize,
    },
    /// The receive buffers are smaller than [`MIN_RX`].
    RxTooSmall {
        /// Bytes for each connection.
        needed: usize,
    },
    /// A control frame of these settings does not fit a transmit buffer.
    TxTooSmall {
        /// Bytes for each connection.
        needed: usize,
    },
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewLanes { needed } => write!(f, "the engine has {needed} connections, and there are fewer lanes"),
            Self::RxTooSmall { needed } => write!(f, "each connection needs {needed} bytes to receive"),
            Self::TxTooSmall { needed } => write!(f, "each connection needs {needed} bytes to transmit"),
        }
    }
}

impl core::error::Error for BufferError {}

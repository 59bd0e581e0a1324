//! The application's side of a driver.

use core::fmt::{self, Write};
use core::task::Waker;

use slotwise::cluster::{CloseReason, Cluster, Storage, SubmitError};
use slotwise::command::CommandSpec;
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::resp::{Args, Frame, Token};
use slotwise::time::Instant;
use slotwise::topology::Map;

/// When something happens, and what the engine knows then: what a scan, for one, wants to be told with each reply.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The time of this turn.
    pub now: Instant,
    /// The slot map that serves.
    pub map: Map<'a>,
}

impl<'a> At<'a> {
    pub(crate) fn new<S: Storage>(now: Instant, cluster: &'a Cluster<S>) -> Self {
        Self { now, map: cluster.map() }
    }
}

/// One whole reply.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// The reply, borrowed from the receive buffer.
    pub frame: Frame<'a>,
    /// Which of the command's replies: 0, but for groups.
    pub part: u16,
    /// The command is done; its bytes are not needed any more.
    pub last: bool,
    /// It was redirected or sent again on the way.
    pub resent: bool,
}

/// A piece of a reply that is read as it comes.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// The piece, borrowed from the receive buffer. A string that is not whole in the buffer comes as `Begin` and
    /// `Chunk`s.
    pub token: Token<'a>,
    /// The command is done; its bytes are not needed any more.
    pub last: bool,
    /// It was redirected or sent again on the way. All pieces of a reply say the same.
    pub resent: bool,
}

/// Where commands and their bytes come from, and where results go. Commands are told apart by the tag of their
/// [`CommandSpec`].
///
/// A command's bytes must stay available from its submission to its one end: `reply` or `token` with `last`, `failed`,
/// or `confirmed`. Until then they may be asked for several times, since a refused command is sent again.
pub trait Work {
    /// The next command to submit, if there is one. It stays the next one until [`Work::submitted`] is called.
    fn next_command(&mut self, at: &At<'_>) -> Option<CommandSpec> {
        let _ = at;
        None
    }

    /// What became of the submission of [`Work::next_command`]. A full command table is not reported: the command is
    /// offered again when another one has ended.
    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        let _ = (tag, result);
    }

    /// Copies the command's encoded bytes from `offset` on to the front of `out`, as many as fit, and returns how many.
    /// `out` never reaches beyond the length the command was submitted with. [`copy_command`] does it for arguments,
    /// [`copy_bytes`] for encoded bytes.
    ///
    /// Returning 0 means that the bytes are gone. They are in the middle of a stream then, so the connection is closed.
    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize;

    /// A whole reply.
    fn reply(&mut self, at: &At<'_>, tag: u64, reply: Reply<'_>);

    /// A piece of a reply that does not fit the receive buffer, or of a command submitted as streamed.
    fn token(&mut self, at: &At<'_>, tag: u64, piece: Piece<'_>);

    /// The command ended without a reply.
    fn failed(&mut self, at: &At<'_>, tag: u64, failure: Failure);

    /// A subscribe or unsubscribe command was carried out; messages come on `conn`.
    fn confirmed(&mut self, tag: u64, conn: ConnId) {
        let _ = (tag, conn);
    }

    /// A message, an invalidation or a confirmation. One that does not fit the receive buffer is dropped.
    fn push(&mut self, at: &At<'_>, conn: ConnId, node: Option<NodeId>, frame: &Frame<'_>) {
        let _ = (at, conn, node, frame);
    }

    /// A connection ended.
    fn closed(&mut self, at: &At<'_>, conn: ConnId, node: Option<NodeId>, reason: CloseReason) {
        let _ = (at, conn, node, reason);
    }

    /// The slot map changed.
    fn map_changed(&mut self, at: &At<'_>) {
        let _ = at;
    }

    /// Whom to wake when [`Work::next_command`] has something new. Only the async driver calls this, before each of its
    /// turns.
    fn register(&mut self, waker: &Waker) {
        let _ = waker;
    }
}

/// [`Work::encode`] for bytes that were encoded before: copies from `offset` on.
pub fn copy_bytes(bytes: &[u8], offset: usize, out: &mut [u8]) -> usize {
    let mut window = Window { skip: offset, out, written: 0 };
    window.push(bytes);
    window.written
}

/// [`Work::encode`] for arguments: what [`slotwise::resp::encode::encode`] writes, from `offset` on, without a buffer for
/// the whole. Each call looks at all arguments before the offset.
///
/// ```
/// use slotwise_embedded::copy_command;
/// let mut out = [0; 8];
/// assert_eq!(copy_command(&["GET", "key"], 0, &mut out), 8);
/// assert_eq!(&out, b"*2\r\n$3\r\n");
/// assert_eq!(copy_command(&["GET", "key"], 16, &mut out), 6);
/// assert_eq!(&out[..6], b"\nkey\r\n");
/// ```
pub fn copy_command<A: Args + ?Sized>(args: &A, offset: usize, out: &mut [u8]) -> usize {
    let mut window = Window { skip: offset, out, written: 0 };
    let count = args.count();
    // Writing to a window does not fail.
    let _ = write!(window, "*{count}\r\n");
    for index in 0..count {
        if window.is_full() {
            break;
        }
        let arg = args.arg(index).unwrap_or_default();
        let _ = write!(window, "${}\r\n", arg.len());
        window.push(arg);
        window.push(b"\r\n");
    }
    window.written
}

/// The part of a byte sequence that goes to a buffer: some are skipped, then as many as fit are copied.
struct Window<'a> {
    skip: usize,
    out: &'a mut [u8],
    written: usize,
}

impl Window<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len());
        self.skip = self.skip.saturating_sub(skipped);
        let rest = bytes.get(skipped..).unwrap_or_default();
        let room = self.out.get_mut(self.written..).unwrap_or_default();
        for (place, byte) in room.iter_mut().zip(rest) {
            *place = *byte;
        }
        self.written = self.written.saturating_add(room.len().min(rest.len()));
    }

    fn is_full(&self) -> bool {
        self.written >= self.out.len()
    }
}

impl Write for Window<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes());
        Ok(())
    }
}

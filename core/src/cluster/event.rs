//! What the engine tells its adapter.

use core::fmt;

use crate::addr::NodeAddr;
use crate::connection::{ControlFrame, HandshakeError};
use crate::ids::{CommandId, ConnId, NodeId};
use crate::pipeline::Failure;
use crate::resp::{Frame, RespError, Token};
use crate::time::Instant;

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CloseReason {
    /// The dial failed, or did not end in time.
    ConnectFailed,
    /// The peer or the network ended it.
    Disconnected,
    /// The handshake was refused or cut, or did not end in time.
    Handshake,
    /// The peer sent bytes that are not RESP, or passed a limit.
    Protocol,
    /// The peer sent a reply that no command waits for.
    UnexpectedReply,
    /// A PING was answered with something else, or something else with a PING's answer: a reply is missing or one too
    /// many came, so no reply can be told whose it is.
    OutOfStep,
    /// It was silent for too long with commands in flight.
    Silent,
    /// Its node left the cluster, another node answered at its address, or it was a lease that nobody used.
    Retired,
    /// The engine is shutting down.
    Shutdown,
}

impl CloseReason {
    /// The reason as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectFailed => "connect_failed",
            Self::Disconnected => "disconnected",
            Self::Handshake => "handshake",
            Self::Protocol => "protocol",
            Self::UnexpectedReply => "unexpected_reply",
            Self::OutOfStep => "out_of_step",
            Self::Silent => "silent",
            Self::Retired => "retired",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Something the adapter must do or may want to know. Derived from state: none is dropped, however late it is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Event {
    /// Open a connection to [`Cluster::dial_target`](super::Cluster::dial_target), then say how it went.
    Dial(ConnId),
    /// The handshake is done; commands flow.
    Ready(ConnId),
    /// The connection's life is over: drop the socket if it is still there.
    Closed {
        /// The connection, no longer valid.
        conn: ConnId,
        /// Its node, if it was known.
        node: Option<NodeId>,
        /// Why.
        reason: CloseReason,
    },
    /// Bytes that were not consumed can be now: call `handle_input` again.
    InputReady(ConnId),
    /// A command ended without a reply. The id is dead.
    Failed {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// What is known of it.
        failure: Failure,
    },
    /// A subscribe or unsubscribe command was carried out. The id is dead.
    Confirmed {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The connection its messages come on.
        conn: ConnId,
    },
    /// A connection with subscriptions answered a PING. Such connections are asked after
    /// [`Config::subscriber_keepalive`](super::Config::subscriber_keepalive) of silence, so that a peer that is gone is noticed though nothing is
    /// awaited from it.
    Alive {
        /// The connection.
        conn: ConnId,
        /// When the PING was sent: it was alive then.
        asked: Instant,
    },
    /// The slot map changed.
    MapChanged {
        /// The new map's version.
        version: u32,
    },
    /// A topology reply was refused; the old map serves on.
    RefreshFailed,
}

/// What to write next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Transmit {
    /// A frame of the engine's own; [`ControlFrame::encode`] writes it.
    Control(ControlFrame),
    /// A command of the caller.
    Command {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// Its encoded length as submitted, ASKING not counted.
        len: u32,
        /// Write [`ControlFrame::Asking`] directly in front of it.
        asking: bool,
    },
}

/// A reply, a part of one, or a push.
#[derive(Clone, Copy, Debug)]
pub enum Output<'rx> {
    /// A whole reply.
    Reply {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The reply, borrowed from the receive buffer.
        frame: Frame<'rx>,
        /// Which of the command's replies: 0, but for groups (see `CommandSpec::replies`).
        part: u16,
        /// The command is done and its id dead.
        last: bool,
        /// It was redirected, sent again or held up on the way, so later commands of its slot may have run before it.
        resent: bool,
    },
    /// A piece of a reply that is read as tokens.
    Token {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The token.
        token: Token<'rx>,
        /// The command is done and its id dead.
        last: bool,
        /// As with [`Output::Reply`]: known from the first piece on.
        resent: bool,
    },
    /// A message, an invalidation or a confirmation, in the order in which it stood among the replies.
    Push {
        /// Where it came from.
        conn: ConnId,
        /// The push, borrowed from the receive buffer.
        frame: Frame<'rx>,
    },
}

/// What became of received bytes.
#[derive(Clone, Copy, Debug)]
#[must_use = "consumed bytes must be dropped from the receive buffer"]
pub struct Progress<'rx> {
    /// Bytes that need not be presented again. With 0 and no output, more bytes are needed.
    pub consumed: usize,
    /// At most one output a call.
    pub output: Option<Output<'rx>>,
}

impl Progress<'_> {
    pub(crate) const fn only(consumed: usize) -> Self {
        Self { consumed, output: None }
    }
}

/// Why received bytes ended the connection. The engine has dealt with it; the adapter drops the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ConnectionError {
    /// The bytes are not RESP, or pass a limit.
    Protocol(RespError),
    /// A reply came that no command waits for. It was not handed to anybody.
    UnexpectedReply,
    /// Replies no longer match commands, as the answer to a PING shows. The reply was not handed to anybody.
    OutOfStep,
    /// The handshake was refused.
    Handshake(HandshakeError),
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => write!(f, "protocol error: {error}"),
            Self::UnexpectedReply => f.write_str("a reply that no command waits for"),
            Self::OutOfStep => f.write_str("replies out of step with commands"),
            Self::Handshake(error) => write!(f, "handshake refused: {error}"),
        }
    }
}

impl core::error::Error for ConnectionError {}

/// Where a connection goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DialTarget<'a> {
    /// Host and port.
    pub addr: NodeAddr<'a>,
    /// The name that the peer's certificate must carry, on TLS connections.
    pub tls_name: &'a str,
    /// The node expected there; `None` for a seed.
    pub node: Option<NodeId>,
}

/// Why a command was not accepted. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SubmitError {
    /// Every entry of the command table is in use: drain replies and events, then submit again.
    Full,
    /// The commands that have not ended have as many bytes as [`Config::max_bytes`](super::Config::max_bytes) allows:
    /// drain, then submit again.
    FullBytes,
    /// [`Cluster::shutdown`](super::Cluster::shutdown) was called.
    ShuttingDown,
    /// A command with no replies or no bytes.
    BadSpec,
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the command table is full; nothing was sent",
            Self::FullBytes => "the commands under way have as many bytes as are allowed; nothing was sent",
            Self::ShuttingDown => "the client is shutting down; nothing was sent",
            Self::BadSpec => "a command needs at least one byte and one reply; nothing was sent",
        })
    }
}

impl core::error::Error for SubmitError {}

/// How far a cancelled command had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum CancelStage {
    /// No byte of it is with a server: it will not run. A `Failed` event with `NotSent` follows, or with `Rejected` if a
    /// server refused it before (it was waiting at a redirect, or to try again).
    NotSent,
    /// It is being written or was written: its reply will be eaten. A `Failed` event with `MaybeExecuted` follows, or with
    /// `ReplyLost` if a part of its reply was handed out; keep its bytes until then.
    InFlight,
    /// The id is not (or no longer) that of a running command.
    Unknown,
}

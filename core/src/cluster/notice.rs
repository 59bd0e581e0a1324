//! What an engine tells somebody who looks on.
//!
//! [`Event`](super::Event)s are what the adapter must act on. [`Notice`]s are for people and their graphs: each thing of
//! note as it happens, told to an [`Observe`] that the caller puts into the storage with [`Watched`](super::Watched).
//! Nothing is queued, so nothing is lost and nothing has to be large enough. No notice holds a key, a value or a secret.

use core::fmt;

use crate::cluster::event::CloseReason;
use crate::ids::{CommandId, ConnId, NodeId};
use crate::pipeline::Failure;
use crate::server_error::ErrorKind;
use crate::slot::Slot;
use crate::time::Instant;
use crate::topology::{MapDiff, Rejection};

/// Somebody who is told what an engine does, from within the engine's calls: to be brief.
pub trait Observe {
    /// Something happened. `now` is the time of the last call that told it.
    fn observe(&mut self, now: Instant, notice: &Notice<'_>);
}

/// A lent observer serves as well.
impl<O: Observe + ?Sized> Observe for &mut O {
    fn observe(&mut self, now: Instant, notice: &Notice<'_>) {
        (**self).observe(now, notice);
    }
}

/// One redirect's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedirectKind {
    /// The slot has another owner.
    Moved,
    /// The key is at a slot's next owner, for this once.
    Ask,
}

impl RedirectKind {
    /// The kind as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Moved => "moved",
            Self::Ask => "ask",
        }
    }
}

/// Why a command is sent again without having been redirected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RetryCause {
    /// The server refused it before it ran, with an error of this kind: it waits a little.
    Refused(ErrorKind),
    /// It was redirected to a node that no topology reply has named yet: it waits for one that does.
    UnknownTarget,
    /// Its connection ended before a byte of it had left.
    NotWritten,
    /// Its connection ended before its reply; it may run twice, as its caller allowed or as does no harm to a read.
    ReplyMissing,
}

impl RetryCause {
    /// The cause as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::UnknownTarget => "unknown_target",
            Self::NotWritten => "not_written",
            Self::ReplyMissing => "reply_missing",
        }
    }
}

/// Why a topology question brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RefreshFailure {
    /// The connection ended before the reply, or there was no entry for one.
    ConnectionLost,
    /// The node took too long; another is asked.
    TimedOut,
    /// The reply was refused: the old map serves on.
    Refused(Rejection),
    /// The reply may be older than what is known: other nodes must say the same.
    Unconfirmed,
}

impl RefreshFailure {
    /// The reason as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection_lost",
            Self::TimedOut => "timed_out",
            Self::Refused(_) => "refused",
            Self::Unconfirmed => "unconfirmed",
        }
    }
}

impl fmt::Display for RefreshFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionLost => f.write_str("the connection was lost"),
            Self::TimedOut => f.write_str("no reply in time"),
            Self::Refused(rejection) => rejection.fmt(f),
            Self::Unconfirmed => f.write_str("the reply may be outdated; other nodes are asked"),
        }
    }
}

/// One thing of note. Where a node is an `Option`, `None` is one that is not known (yet): a seed before it has said who
/// it is, or a node that left the map.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Notice<'a> {
    /// A command was taken in.
    Submitted {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// Its length.
        bytes: u32,
    },
    /// A dial begins.
    Connecting {
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
    },
    /// The handshake is done; commands flow.
    Ready {
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
    },
    /// A seed has said which node it is.
    Identified {
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: NodeId,
    },
    /// A connection's life is over, whether it ever became ready or not.
    Lost {
        /// The connection, no longer valid.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
        /// Why.
        reason: CloseReason,
        /// The caller's commands on it that had no reply. Each is sent again or dropped, as further notices say.
        in_flight: u32,
    },
    /// The transport took bytes.
    Written {
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
        /// How many.
        bytes: usize,
    },
    /// Received bytes were read.
    Received {
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
        /// How many.
        bytes: usize,
    },
    /// A command was handed to the adapter for writing.
    Sent {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The connection.
        conn: ConnId,
        /// Its node.
        node: Option<NodeId>,
    },
    /// A command's reply, or the last of its replies, was handed out: it is done.
    Answered {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The node that answered.
        node: Option<NodeId>,
        /// The reply is an error.
        error: bool,
        /// It was redirected, sent again or held up on the way.
        resent: bool,
    },
    /// A subscribe or unsubscribe command was carried out: it is done.
    Confirmed {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The node.
        node: Option<NodeId>,
    },
    /// The reply of a command that was dropped before came, or nested too deeply: it was thrown away.
    Discarded {
        /// The node that answered.
        node: Option<NodeId>,
    },
    /// A command was redirected and is sent again.
    Redirected {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// Its slot.
        slot: Slot,
        /// How.
        kind: RedirectKind,
        /// The node that redirected it.
        from: Option<NodeId>,
        /// The node it was redirected to; `None` for one that no topology reply has named yet.
        to: Option<NodeId>,
    },
    /// A command is sent again, now or after a pause, for another cause than a redirect.
    Retried {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// The node that had it.
        node: Option<NodeId>,
        /// Why.
        why: RetryCause,
        /// Which retry this is; retries of which no byte had left are not counted.
        attempt: u8,
    },
    /// A command ended without a reply.
    Dropped {
        /// The command.
        id: CommandId,
        /// The caller's tag.
        tag: u64,
        /// What is known of it, why, and at which node.
        failure: Failure,
    },
    /// The topology is asked for.
    RefreshStarted {
        /// The node that is asked; `None` for a seed.
        node: Option<NodeId>,
    },
    /// The topology question came to nothing.
    RefreshFailed {
        /// The node that was asked.
        node: Option<NodeId>,
        /// Why.
        reason: RefreshFailure,
    },
    /// The topology question was answered, and the answer taken over.
    Refreshed {
        /// The node that answered.
        node: Option<NodeId>,
        /// It changed which node serves some slot.
        changed: bool,
    },
    /// The map changed: by a topology reply, or by a redirect.
    MapChanged {
        /// The new map's version.
        version: u32,
        /// What changed, to be counted or listed.
        diff: MapDiff<'a>,
    },
}

impl Notice<'_> {
    /// The node where it happened, if it happened at one that is known.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        match self {
            Self::Connecting { node, .. }
            | Self::Ready { node, .. }
            | Self::Lost { node, .. }
            | Self::Written { node, .. }
            | Self::Received { node, .. }
            | Self::Sent { node, .. }
            | Self::Answered { node, .. }
            | Self::Confirmed { node, .. }
            | Self::Discarded { node }
            | Self::Redirected { from: node, .. }
            | Self::Retried { node, .. }
            | Self::RefreshStarted { node }
            | Self::RefreshFailed { node, .. }
            | Self::Refreshed { node, .. } => *node,
            Self::Identified { node, .. } => Some(*node),
            Self::Dropped { failure, .. } => failure.node,
            Self::Submitted { .. } | Self::MapChanged { .. } => None,
        }
    }

    /// The notice's name in snake_case, for logs and machine output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Submitted { .. } => "submitted",
            Self::Connecting { .. } => "connecting",
            Self::Ready { .. } => "ready",
            Self::Identified { .. } => "identified",
            Self::Lost { .. } => "lost",
            Self::Written { .. } => "written",
            Self::Received { .. } => "received",
            Self::Sent { .. } => "sent",
            Self::Answered { .. } => "answered",
            Self::Confirmed { .. } => "confirmed",
            Self::Discarded { .. } => "discarded",
            Self::Redirected { .. } => "redirected",
            Self::Retried { .. } => "retried",
            Self::Dropped { .. } => "dropped",
            Self::RefreshStarted { .. } => "refresh_started",
            Self::RefreshFailed { .. } => "refresh_failed",
            Self::Refreshed { .. } => "refreshed",
            Self::MapChanged { .. } => "map_changed",
        }
    }
}

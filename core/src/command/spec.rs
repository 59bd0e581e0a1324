//! What the engine takes: one command for one place.

use super::route::Access;
use crate::ids::NodeId;
use crate::slot::Slot;
use crate::time::Duration;

/// One command for one place, in the few facts the engine needs. The bytes stay with the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct CommandSpec {
    /// Where it goes.
    pub target: Target,
    /// Whether a replica may serve it, and whether it may be sent again when it may have run.
    pub access: Access,
    /// Its encoded length in bytes.
    pub len: u32,
    /// How many replies it gets: 1, or for a MULTI ... EXEC group the number of its commands.
    pub replies: u16,
    /// It may wait inside the server, so it gets a connection of its own.
    pub blocking: bool,
    /// Hand its reply out token by token instead of whole.
    pub streamed: bool,
    /// It runs a script or module code, which can imitate any error reply: no error text proves that it did not run.
    pub script_like: bool,
    /// It is answered by pushes (the subscribe family in RESP3) and fenced with a PING.
    pub subscribe: bool,
    /// When it may be sent again.
    pub retry: RetryPermission,
    /// Order domain: commands of one domain on one slot run in submission order.
    pub domain: u16,
    /// Time from submission to outcome; `None`: the engine's default.
    pub timeout: Option<Duration>,
    /// The caller's, echoed in every output and event.
    pub tag: u64,
}

impl CommandSpec {
    /// A plain command of `len` encoded bytes: one reply, not blocking, retried only if read-only, domain 0.
    #[must_use]
    pub const fn new(target: Target, access: Access, len: u32) -> Self {
        Self {
            target,
            access,
            len,
            replies: 1,
            blocking: false,
            streamed: false,
            script_like: false,
            subscribe: false,
            retry: RetryPermission::IfReadOnly,
            domain: 0,
            timeout: None,
            tag: 0,
        }
    }

    /// With the caller's tag.
    #[must_use]
    pub const fn with_tag(mut self, tag: u64) -> Self {
        self.tag = tag;
        self
    }

    /// In an order domain.
    #[must_use]
    pub const fn with_domain(mut self, domain: u16) -> Self {
        self.domain = domain;
        self
    }

    /// With a retry permission.
    #[must_use]
    pub const fn with_retry(mut self, retry: RetryPermission) -> Self {
        self.retry = retry;
        self
    }

    /// With a time limit from submission to outcome.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// With its reply handed out token by token.
    #[must_use]
    pub const fn with_streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }
}

/// The one place a command goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Target {
    /// The owner of a slot, or a replica of it where the read policy says so.
    Slot(Slot),
    /// This node, whatever it owns.
    Node(NodeId),
    /// Any node.
    AnyNode,
    /// Any primary.
    AnyPrimary,
}

impl Target {
    /// The slot of [`Target::Slot`].
    #[must_use]
    pub const fn slot(self) -> Option<Slot> {
        match self {
            Self::Slot(slot) => Some(slot),
            _ => None,
        }
    }
}

/// When a command may be sent again after its first try ended without a usable reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RetryPermission {
    /// Only when it is sure that it did not run.
    IfNotExecuted,
    /// Also when it may have run, if it only reads.
    #[default]
    IfReadOnly,
    /// Also when it may have run: the caller knows that twice is as good as once.
    Always,
}

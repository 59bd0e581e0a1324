//! Did the command run, and where to try again.

use super::{ErrorKind, RedirectTarget, ServerError};

/// What an error reply says about its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Class {
    /// Whether the command ran.
    pub executed: Executed,
    /// Whether the slot map should be refreshed.
    pub refresh: bool,
    /// Where another try makes sense.
    pub retry: RetryWhere,
}

/// Whether a command that was answered by an error ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Executed {
    /// The server refused it before it ran: nothing happened.
    No,
    /// The text does not tell.
    Unknown,
    /// The error was raised inside a script; what the script did before stands.
    Partly,
}

impl Executed {
    /// `no`, `unknown` or `partly`, for machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Partly => "partly",
        }
    }
}

/// Where another try of a refused command makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RetryWhere {
    /// Nowhere: the error is the answer.
    Never,
    /// At the slot's owner, after a pause (and after the refresh, where one is asked for).
    Delay,
    /// At the node the redirect names.
    Redirect,
    /// At another node of the shard than the one that answered.
    OtherNode,
}

impl RetryWhere {
    /// `never`, `delay`, `redirect` or `other_node`, for machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Delay => "delay",
            Self::Redirect => "redirect",
            Self::OtherNode => "other_node",
        }
    }
}

impl Class {
    const fn new(executed: Executed, refresh: bool, retry: RetryWhere) -> Self {
        Self { executed, refresh, retry }
    }

    /// The same error as the answer of a command that can imitate errors: no proof that nothing ran, and no other
    /// try but along a redirect that something else confirms.
    pub(super) const fn weakened(self) -> Self {
        let executed = match self.executed {
            Executed::Partly => Executed::Partly,
            Executed::No | Executed::Unknown => Executed::Unknown,
        };
        let retry = match self.retry {
            RetryWhere::Redirect => RetryWhere::Redirect,
            _ => RetryWhere::Never,
        };
        Self { executed, refresh: self.refresh, retry }
    }
}

/// The class of `error` as the answer of a command that cannot imitate errors.
pub(super) fn of(error: &ServerError<'_>) -> Class {
    let class = plain(error);
    if error.from_script() {
        return Class { executed: Executed::Partly, retry: RetryWhere::Never, ..class };
    }
    class
}

/// The class by kind alone.
fn plain(error: &ServerError<'_>) -> Class {
    use Executed::{No, Unknown};
    use RetryWhere::{Delay, Never, OtherNode, Redirect};
    match error.kind() {
        ErrorKind::Moved => Class::new(No, true, redirected(error)),
        // An ASK says nothing about who owns the slot, unless it leads nowhere.
        ErrorKind::Ask => match redirected(error) {
            Redirect => Class::new(No, false, Redirect),
            retry => Class::new(No, true, retry),
        },
        ErrorKind::Redirect => Class::new(No, true, redirected(error)),
        // A refresh per attempt would not help: the keys are on two nodes until the migration goes on.
        ErrorKind::TryAgain => Class::new(No, false, Delay),
        ErrorKind::ClusterDown => Class::new(No, true, Delay),
        // The primary became a replica: its shard has another primary.
        ErrorKind::ReadOnly | ErrorKind::MasterDown => Class::new(No, true, OtherNode),
        ErrorKind::Loading | ErrorKind::Busy | ErrorKind::MaxClients => Class::new(No, false, Delay),
        ErrorKind::Unblocked => {
            if unblocked_by_role(error.text()) {
                Class::new(No, true, Delay)
            } else {
                // CLIENT UNBLOCK: somebody wanted the command to end.
                Class::new(No, false, Never)
            }
        }
        ErrorKind::ExecAbort => match error.inner().map(|inner| of(&inner)) {
            Some(inner) if inner.retry != Redirect && inner.executed == No => inner,
            _ => Class::new(No, false, Never),
        },
        ErrorKind::CrossSlot
        | ErrorKind::NoReplicas
        | ErrorKind::OutOfMemory
        | ErrorKind::Misconf
        | ErrorKind::NoScript
        | ErrorKind::NoAuth
        | ErrorKind::WrongPass
        | ErrorKind::NoPerm
        | ErrorKind::NoProto
        | ErrorKind::Denied
        | ErrorKind::NoGroup
        | ErrorKind::WrongType
        | ErrorKind::BusyGroup
        | ErrorKind::BusyKey
        | ErrorKind::NoSub
        | ErrorKind::UnknownCommand
        | ErrorKind::ClusterDisabled => Class::new(No, false, Never),
        // A command may fail half-way with a text of its own (MIGRATE's IOERR, SORT ... STORE, module commands), and
        // a protocol error cannot be laid on one command.
        ErrorKind::IoError | ErrorKind::Protocol | ErrorKind::Generic | ErrorKind::Other => {
            Class::new(Unknown, false, Never)
        }
    }
}

/// Where a redirect leads: its target, the refreshed map for `?`, nowhere when it is malformed.
fn redirected(error: &ServerError<'_>) -> RetryWhere {
    match error.target() {
        Some(RedirectTarget::Unknown) => RetryWhere::Delay,
        Some(_) => RetryWhere::Redirect,
        None => RetryWhere::Never,
    }
}

/// `UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)`, with `slave?`
/// before 5.0; the server closes the connection behind it.
fn unblocked_by_role(text: &[u8]) -> bool {
    contains(text, b"force unblock")
}

/// Whether a script raised the error: the server appends ` script: <sha or function>, on <where>.` since 7.0 and
/// wrote `ERR Error running script (call to f_<sha>): ...` before.
pub(super) fn raised_by_script(text: &[u8]) -> bool {
    contains(text, b" script: ") || text.starts_with(b"ERR Error running script")
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

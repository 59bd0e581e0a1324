//! How a command that got no reply ended, and why.

use core::fmt;

use crate::ids::NodeId;

/// What is known about a command's execution when it ends without a reply handed to its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Outcome {
    /// The server refused it before running it. It may be sent again freely.
    Rejected,
    /// No byte of it reached a transport. It may be sent again freely.
    NotSent,
    /// Bytes of it left and no answer came: it ran once or not at all.
    MaybeExecuted,
    /// It ran; its answer was cut, too large or too deep.
    ReplyLost,
}

impl Outcome {
    /// The outcome of this number.
    pub(crate) const fn of(number: u8) -> Self {
        match number {
            0 => Self::Rejected,
            1 => Self::NotSent,
            2 => Self::MaybeExecuted,
            _ => Self::ReplyLost,
        }
    }

    /// The outcome in words, for error texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected before execution",
            Self::NotSent => "not sent",
            Self::MaybeExecuted => "may have been executed",
            Self::ReplyLost => "executed, reply lost",
        }
    }

    /// The outcome as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::NotSent => "not_sent",
            Self::MaybeExecuted => "maybe_executed",
            Self::ReplyLost => "reply_lost",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a command ended without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Reason {
    /// Its deadline passed.
    TimedOut,
    /// The connection it was on ended.
    ConnectionLost,
    /// No node owns its slot, and none appeared before the deadline.
    SlotUncovered,
    /// The node it was meant for is not in the map.
    UnknownNode,
    /// It was redirected more often than the configuration allows.
    TooManyRedirects,
    /// The engine is shutting down.
    ShuttingDown,
    /// The caller cancelled it.
    Cancelled,
    /// Its reply nests deeper than the limit.
    ReplyTooDeep,
    /// The stream broke inside its reply.
    ReplyCut,
    /// The caller's endpoint filter refuses the node that serves it.
    EndpointRefused,
    /// As many unsent commands as are allowed wait for its node already.
    QueueFull,
    /// Its reply is larger than the adapter keeps.
    ReplyTooLarge,
}

impl Reason {
    /// Every reason, by its number, which is below 16.
    pub(crate) const ALL: [Self; 12] = [
        Self::TimedOut,
        Self::ConnectionLost,
        Self::SlotUncovered,
        Self::UnknownNode,
        Self::TooManyRedirects,
        Self::ShuttingDown,
        Self::Cancelled,
        Self::ReplyTooDeep,
        Self::ReplyCut,
        Self::EndpointRefused,
        Self::QueueFull,
        Self::ReplyTooLarge,
    ];

    /// The reason of this number.
    pub(crate) fn of(number: u8) -> Self {
        Self::ALL.get(usize::from(number)).copied().unwrap_or(Self::ConnectionLost)
    }

    /// The reason as a word for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TimedOut => "timed_out",
            Self::ConnectionLost => "connection_lost",
            Self::SlotUncovered => "slot_uncovered",
            Self::UnknownNode => "unknown_node",
            Self::TooManyRedirects => "too_many_redirects",
            Self::ShuttingDown => "shutting_down",
            Self::Cancelled => "cancelled",
            Self::ReplyTooDeep => "reply_too_deep",
            Self::ReplyCut => "reply_cut",
            Self::EndpointRefused => "endpoint_refused",
            Self::QueueFull => "queue_full",
            Self::ReplyTooLarge => "reply_too_large",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimedOut => "the deadline passed",
            Self::ConnectionLost => "the connection was lost",
            Self::SlotUncovered => "no node owns the slot",
            Self::UnknownNode => "the node is not part of the cluster",
            Self::TooManyRedirects => "too many redirects",
            Self::ShuttingDown => "the client is shutting down",
            Self::Cancelled => "cancelled by the caller",
            Self::ReplyTooDeep => "the reply nests too deeply",
            Self::ReplyCut => "the reply was cut",
            Self::EndpointRefused => "the node's address is refused by the endpoint filter",
            Self::QueueFull => "too many commands wait for the node",
            Self::ReplyTooLarge => "the reply is too large",
        })
    }
}

/// A command's end without a reply: what is known of its execution, why, and at which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Failure {
    /// Whether it ran.
    pub outcome: Outcome,
    /// Why there is no reply.
    pub reason: Reason,
    /// The node that had it last, if any had.
    pub node: Option<NodeId>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.outcome, self.reason)?;
        match self.node {
            Some(node) => write!(f, " (node {node})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::string::{String, ToString};

    use super::*;

    fn is_word(name: &str) -> bool {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
    }

    #[test]
    fn every_outcome_and_reason_has_a_number_a_word_and_a_text_of_its_own() {
        let outcomes = [Outcome::Rejected, Outcome::NotSent, Outcome::MaybeExecuted, Outcome::ReplyLost];
        for outcome in outcomes {
            assert_eq!(Outcome::of(outcome as u8), outcome);
            assert!(is_word(outcome.name()) && !outcome.to_string().is_empty());
        }
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number);
            assert_eq!(Reason::of(reason as u8), reason);
            assert!(is_word(reason.name()) && !reason.to_string().is_empty());
        }
        let words: BTreeSet<&str> =
            outcomes.map(Outcome::name).into_iter().chain(Reason::ALL.map(Reason::name)).collect();
        let texts: BTreeSet<String> =
            outcomes.map(|it| it.to_string()).into_iter().chain(Reason::ALL.map(|it| it.to_string())).collect();
        let all = outcomes.len() + Reason::ALL.len();
        assert_eq!((words.len(), texts.len()), (all, all));
    }

    #[test]
    fn a_failure_names_its_node() {
        let (outcome, reason) = (Outcome::NotSent, Reason::QueueFull);
        let text = Failure { outcome, reason, node: None }.to_string();
        assert_eq!(text, "not sent: too many commands wait for the node");
        let node = Some(NodeId::from_bytes([0xab; 20]));
        let named = Failure { outcome, reason, node }.to_string();
        assert_eq!(named, text + " (node abababababababababababababababababababab)");
    }
}

//! Words for where a command goes and what becomes of its answers.

use crate::slot::Slot;

/// Whether a command only reads: what a replica may serve, and what may be sent again without permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Access {
    /// Servers flag the command `readonly`: a replica in READONLY mode serves it.
    Read,
    /// Anything else, administration and scripts included.
    Write,
}

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Route {
    /// To the owner of one slot: all keys (or channels, or the cursor) are in it.
    Slot(Slot),
    /// To any one node: no key, and no advice from the server's command tips.
    AnyNode,
    /// To any one primary: no key, but the command writes, and a replica would answer READONLY.
    AnyPrimary,
    /// To every primary (`request_policy:all_shards`).
    AllPrimaries,
    /// To every node, replicas included (`request_policy:all_nodes`).
    AllNodes,
    /// Its keys are in several slots, and it may be cut into one command for each (`request_policy:multi_shard`).
    Split,
    /// It is about one connection, not about a node: WAIT, SELECT, MULTI, a bare SUNSUBSCRIBE.
    Connection,
}

impl Route {
    /// The word for machine output: `slot`, `any_node`, `any_primary`, `all_primaries`, `all_nodes`, `split`,
    /// `connection`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slot(_) => "slot",
            Self::AnyNode => "any_node",
            Self::AnyPrimary => "any_primary",
            Self::AllPrimaries => "all_primaries",
            Self::AllNodes => "all_nodes",
            Self::Split => "split",
            Self::Connection => "connection",
        }
    }

    /// The slot of [`Route::Slot`].
    #[must_use]
    pub const fn slot(self) -> Option<Slot> {
        match self {
            Self::Slot(slot) => Some(slot),
            _ => None,
        }
    }
}

/// A command's `request_policy` tip (Redis documentation, "Command tips").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestPolicy {
    /// No tip: by the keys, or any node without keys.
    #[default]
    Default,
    /// `all_nodes`: every node, replicas included.
    AllNodes,
    /// `all_shards`: every primary.
    AllShards,
    /// `multi_shard`: cut by the slots of its keys.
    MultiShard,
    /// `special`: needs knowledge of the command (SCAN).
    Special,
}

impl RequestPolicy {
    /// The tip's word, `default` without one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::AllNodes => "all_nodes",
            Self::AllShards => "all_shards",
            Self::MultiShard => "multi_shard",
            Self::Special => "special",
        }
    }
}

/// How the answers of several nodes or parts become one: a command's `response_policy` tip (Redis documentation,
/// "Command tips"), the two defaults told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ResponsePolicy {
    /// No tip, no keys: the elements of all answers in any order (KEYS).
    #[default]
    DefaultKeyless,
    /// No tip, keys: the elements in the order of the keys in the command (MGET).
    DefaultKeyed,
    /// `one_succeeded`: the first answer that is not an error.
    OneSucceeded,
    /// `all_succeeded`: the first error, or any one answer.
    AllSucceeded,
    /// `agg_logical_and`: integers, or arrays of integers element by element.
    AggLogicalAnd,
    /// `agg_logical_or`: integers, or arrays of integers element by element.
    AggLogicalOr,
    /// `agg_min`: the least integer.
    AggMin,
    /// `agg_max`: the greatest integer.
    AggMax,
    /// `agg_sum`: the sum of the integers.
    AggSum,
    /// `special`: answers have no generic sum (INFO, RANDOMKEY); each is handed out as it is.
    Special,
}

impl ResponsePolicy {
    /// The tip's word, `default` without one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DefaultKeyless | Self::DefaultKeyed => "default",
            Self::OneSucceeded => "one_succeeded",
            Self::AllSucceeded => "all_succeeded",
            Self::AggLogicalAnd => "agg_logical_and",
            Self::AggLogicalOr => "agg_logical_or",
            Self::AggMin => "agg_min",
            Self::AggMax => "agg_max",
            Self::AggSum => "agg_sum",
            Self::Special => "special",
        }
    }
}

/// The three kinds of channel; each is a namespace of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ChannelKind {
    /// SUBSCRIBE: any node, messages cross the whole cluster.
    Plain,
    /// PSUBSCRIBE: patterns over plain channels.
    Pattern,
    /// SSUBSCRIBE: at the owner of the channel's slot.
    Sharded,
}

/// Subscribe or unsubscribe, and for which kind of channel. In RESP3 such a command is answered by pushes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum SubscribeClass {
    /// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE.
    Subscribe(ChannelKind),
    /// UNSUBSCRIBE, PUNSUBSCRIBE, SUNSUBSCRIBE; without channels: from all of the kind.
    Unsubscribe(ChannelKind),
}

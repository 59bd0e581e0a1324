//! One command of a table, packed into ten bytes.

use super::error::Unshared;
use super::route::{ChannelKind, RequestPolicy, ResponsePolicy, SubscribeClass};

/// One command or subcommand of a [`Table`](super::Table), packed.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub(super) name_at: u16,
    pub(super) name_len: u8,
    pub(super) arity: i8, // >= 0: exactly so many arguments, < 0: at least
    pub(super) flags: Flags,
    pub(super) policy: Policy,
    pub(super) class: Class,
    pub(super) spec_at: u8,
    pub(super) spec_len: u8, // <= 3
    pub(super) parent: u8,   // index of the container's entry, or TOP
}

impl Entry {
    /// A place for an entry in lent storage.
    pub const EMPTY: Self = Self {
        name_at: 0,
        name_len: 0,
        arity: 0,
        flags: Flags(0),
        policy: Policy::NONE,
        class: Class::Plain,
        spec_at: 0,
        spec_len: 0,
        parent: super::hash::TOP,
    };
}

/// What a command is, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(pub(super) u8);

impl Flags {
    /// `readonly`.
    pub(super) const READ: u8 = 1;
    /// `write`.
    pub(super) const WRITE: u8 = 1 << 1;
    /// `blocking`.
    pub(super) const BLOCKING: u8 = 1 << 2;
    /// Runs scripts or module code.
    pub(super) const SCRIPT: u8 = 1 << 3;
    /// Has subcommands.
    pub(super) const CONTAINER: u8 = 1 << 4;
    /// Not slot-checked by some server.
    pub(super) const GUARD: u8 = 1 << 5;
    /// Must not stand inside MULTI.
    pub(super) const NO_MULTI: u8 = 1 << 6;

    pub(super) const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }
}

/// Request policy in the low three bits, response policy above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Policy(u8);

impl Policy {
    pub(super) const NONE: Self = Self::new(RequestPolicy::Default, None);

    /// `response` is `None` without a tip.
    pub(super) const fn new(request: RequestPolicy, response: Option<ResponsePolicy>) -> Self {
        let response = match response {
            None => 0,
            Some(ResponsePolicy::DefaultKeyless) => 1,
            Some(ResponsePolicy::DefaultKeyed) => 2,
            Some(ResponsePolicy::OneSucceeded) => 3,
            Some(ResponsePolicy::AllSucceeded) => 4,
            Some(ResponsePolicy::AggLogicalAnd) => 5,
            Some(ResponsePolicy::AggLogicalOr) => 6,
            Some(ResponsePolicy::AggMin) => 7,
            Some(ResponsePolicy::AggMax) => 8,
            Some(ResponsePolicy::AggSum) => 9,
            Some(ResponsePolicy::Special) => 10,
        };
        let request = match request {
            RequestPolicy::Default => 0,
            RequestPolicy::AllNodes => 1,
            RequestPolicy::AllShards => 2,
            RequestPolicy::MultiShard => 3,
            RequestPolicy::Special => 4,
        };
        Self(request | (response << 3))
    }

    pub(super) const fn request(self) -> RequestPolicy {
        match self.0 & 7 {
            1 => RequestPolicy::AllNodes,
            2 => RequestPolicy::AllShards,
            3 => RequestPolicy::MultiShard,
            4 => RequestPolicy::Special,
            _ => RequestPolicy::Default,
        }
    }

    /// The default depends on whether the command has keys.
    pub(super) const fn response(self, keyed: bool) -> ResponsePolicy {
        match self.0 >> 3 {
            3 => ResponsePolicy::OneSucceeded,
            4 => ResponsePolicy::AllSucceeded,
            5 => ResponsePolicy::AggLogicalAnd,
            6 => ResponsePolicy::AggLogicalOr,
            7 => ResponsePolicy::AggMin,
            8 => ResponsePolicy::AggMax,
            9 => ResponsePolicy::AggSum,
            10 => ResponsePolicy::Special,
            _ if keyed => ResponsePolicy::DefaultKeyed,
            _ => ResponsePolicy::DefaultKeyless,
        }
    }
}

/// What a command means for the connection it is sent on, where flags of COMMAND replies do not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Plain,
    Session,
    Replies,
    Stream,
    Transaction,
    About,
    Subscribe,
    PatternSubscribe,
    ShardSubscribe,
    Unsubscribe,
    PatternUnsubscribe,
    ShardUnsubscribe,
}

impl Class {
    /// The class of a command that is about the state of one connection, whatever its tips say.
    pub(super) const fn unshared(self) -> Option<Unshared> {
        match self {
            Self::Session => Some(Unshared::Session),
            Self::Replies => Some(Unshared::Replies),
            Self::Stream => Some(Unshared::Stream),
            Self::Transaction => Some(Unshared::Transaction),
            Self::About => Some(Unshared::About),
            Self::Unsubscribe | Self::PatternUnsubscribe | Self::ShardUnsubscribe => Some(Unshared::Subscriptions),
            Self::Plain | Self::Subscribe | Self::PatternSubscribe | Self::ShardSubscribe => None,
        }
    }

    pub(super) const fn subscribe(self) -> Option<SubscribeClass> {
        match self {
            Self::Subscribe => Some(SubscribeClass::Subscribe(ChannelKind::Plain)),
            Self::PatternSubscribe => Some(SubscribeClass::Subscribe(ChannelKind::Pattern)),
            Self::ShardSubscribe => Some(SubscribeClass::Subscribe(ChannelKind::Sharded)),
            Self::Unsubscribe => Some(SubscribeClass::Unsubscribe(ChannelKind::Plain)),
            Self::PatternUnsubscribe => Some(SubscribeClass::Unsubscribe(ChannelKind::Pattern)),
            Self::ShardUnsubscribe => Some(SubscribeClass::Unsubscribe(ChannelKind::Sharded)),
            _ => None,
        }
    }
}

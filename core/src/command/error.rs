//! Why a command was not routed.

use core::fmt;

/// Why a command was refused before anything was sent. Always the caller's to mend; no connection is affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum CommandError {
    /// No arguments at all: servers send no reply to that, which would shift all later replies.
    Empty,
    /// The command, or this subcommand, is not in the table. Its keys are not guessed: give a route by hand, or
    /// extend the table from the server's own COMMAND reply.
    Unknown,
    /// Too few or too many arguments; a server would answer `ERR wrong number of arguments`.
    Arity,
    /// The keys are in several slots and the command cannot be cut; a server would answer `CROSSSLOT`.
    CrossSlot,
    /// It changes or asks for the state of one connection, so it cannot go on a connection others share.
    NotShared(Unshared),
    /// Servers are known not to check this command's slot (MSETEX, seen on Valkey 9.1): on a wrong node it would
    /// write there. It needs a MULTI block with a checked command on the same keys.
    Unguarded,
    /// It goes to several nodes or parts, so it has no single target.
    NotSingle,
}

impl CommandError {
    /// The word for machine output: `empty`, `unknown_command`, `arity`, `cross_slot`, `not_shared`, `unguarded`,
    /// `not_single`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Unknown => "unknown_command",
            Self::Arity => "arity",
            Self::CrossSlot => "cross_slot",
            Self::NotShared(_) => "not_shared",
            Self::Unguarded => "unguarded",
            Self::NotSingle => "not_single",
        }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty command",
            Self::Unknown => "unknown command or subcommand",
            Self::Arity => "wrong number of arguments",
            Self::CrossSlot => "keys are in several slots and the command cannot be split",
            Self::NotShared(Unshared::Replies) => "the command changes which replies are sent",
            Self::NotShared(Unshared::Stream) => "the command turns the connection into a stream without replies",
            Self::NotShared(Unshared::Transaction) => "transactions are sent as one group",
            Self::NotShared(_) => "the command is about the state of one connection",
            Self::Unguarded => "servers do not check the slot of this command: send it inside a guarded MULTI",
            Self::NotSingle => "the command goes to several nodes",
        })
    }
}

impl core::error::Error for CommandError {}

/// Why a command cannot go on a connection that others share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Unshared {
    /// It changes the session: HELLO, RESET, AUTH, SELECT, READONLY, ASKING, QUIT, CLIENT SETNAME, CLIENT TRACKING.
    Session,
    /// It switches replies off: CLIENT REPLY. Replies could no longer be matched to commands.
    Replies,
    /// The connection carries something else than replies from then on: MONITOR, SYNC, PSYNC.
    Stream,
    /// MULTI, EXEC, DISCARD, WATCH, UNWATCH: part of a transaction, which is sent as one group.
    Transaction,
    /// The answer is about this connection: WAIT and WAITAOF (its own writes), CLIENT ID, CLIENT GETNAME.
    About,
    /// UNSUBSCRIBE and the like without channels: ends whatever this connection is subscribed to.
    Subscriptions,
}

//! The kinds of error a server sends.

use super::first_word;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// The kind of an error reply. The doc of each gives the first word of the line, or the text it is known by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorKind {
            /// Every kind.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$variant),*];

            /// The kind in snake_case, for machine output.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(ErrorKind::$variant => $name,)*
                }
            }
        }
    };
}

kinds! {
    /// `MOVED slot host:port`: the slot belongs to another node.
    Moved = "moved";
    /// `ASK slot host:port`: the slot is on its way to another node and the keys are there already.
    Ask = "ask";
    /// `TRYAGAIN`: some keys of the command are on each side of a migration.
    TryAgain = "try_again";
    /// `CLUSTERDOWN`: the cluster, or the slot, is not served.
    ClusterDown = "cluster_down";
    /// `CROSSSLOT`: the keys hash to different slots.
    CrossSlot = "cross_slot";
    /// `READONLY`: a write reached a replica.
    ReadOnly = "read_only";
    /// `MASTERDOWN`: a replica without its primary that may not serve stale data.
    MasterDown = "master_down";
    /// `LOADING`: the server is reading its data set.
    Loading = "loading";
    /// `BUSY`: a script runs for too long.
    Busy = "busy";
    /// `NOREPLICAS`: too few replicas for a write.
    NoReplicas = "no_replicas";
    /// `OOM`: the memory limit is reached.
    OutOfMemory = "out_of_memory";
    /// `MISCONF`: writes are refused because saving fails.
    Misconf = "misconf";
    /// `UNBLOCKED`: a blocking command was ended by CLIENT UNBLOCK or by the node's change of role.
    Unblocked = "unblocked";
    /// `EXECABORT`: the transaction was discarded.
    ExecAbort = "exec_abort";
    /// `NOSCRIPT`: no script has this hash.
    NoScript = "no_script";
    /// `NOAUTH`: not authenticated yet.
    NoAuth = "no_auth";
    /// `WRONGPASS`: wrong user name or password.
    WrongPass = "wrong_pass";
    /// `NOPERM`: the user may not do this.
    NoPerm = "no_perm";
    /// `NOPROTO`: the protocol version is not supported.
    NoProto = "no_proto";
    /// `DENIED`: protected mode.
    Denied = "denied";
    /// `NOGROUP`: no such consumer group.
    NoGroup = "no_group";
    /// `WRONGTYPE`: the key holds another type.
    WrongType = "wrong_type";
    /// `BUSYGROUP`: the consumer group exists already.
    BusyGroup = "busy_group";
    /// `BUSYKEY`: RESTORE onto a key that exists.
    BusyKey = "busy_key";
    /// `NOSUB`: UNSUBSCRIBE of what is not subscribed (Valkey 8.0 only).
    NoSub = "no_sub";
    /// `REDIRECT host:port`: a standalone replica names its primary (Valkey 8.0 and later).
    Redirect = "redirect";
    /// `IOERR`: MIGRATE could not talk to its target.
    IoError = "io_error";
    /// `ERR max number of clients reached`, sent unasked before the connection closes.
    MaxClients = "max_clients";
    /// `ERR Protocol error: ...`, sent before the connection closes.
    Protocol = "protocol";
    /// `ERR unknown command ...` and `ERR unknown subcommand ...`, in every spelling from 3.0 on.
    UnknownCommand = "unknown_command";
    /// `ERR This instance has cluster support disabled`.
    ClusterDisabled = "cluster_disabled";
    /// `ERR` with any other text.
    Generic = "generic";
    /// A code of its own that is not in this list, or no code at all.
    Other = "other";
}

impl ErrorKind {
    /// The kind of the line `text`.
    pub(super) fn of(text: &[u8]) -> Self {
        // A table, not a `match`: that would become a kilobyte of comparisons, and errors are rare.
        const CODES: &[(&[u8], ErrorKind)] = &[
            (b"MOVED", ErrorKind::Moved),
            (b"ASK", ErrorKind::Ask),
            (b"TRYAGAIN", ErrorKind::TryAgain),
            (b"CLUSTERDOWN", ErrorKind::ClusterDown),
            (b"CROSSSLOT", ErrorKind::CrossSlot),
            (b"READONLY", ErrorKind::ReadOnly),
            (b"MASTERDOWN", ErrorKind::MasterDown),
            (b"LOADING", ErrorKind::Loading),
            (b"BUSY", ErrorKind::Busy),
            (b"NOREPLICAS", ErrorKind::NoReplicas),
            (b"OOM", ErrorKind::OutOfMemory),
            (b"MISCONF", ErrorKind::Misconf),
            (b"UNBLOCKED", ErrorKind::Unblocked),
            (b"EXECABORT", ErrorKind::ExecAbort),
            (b"NOSCRIPT", ErrorKind::NoScript),
            (b"NOAUTH", ErrorKind::NoAuth),
            (b"WRONGPASS", ErrorKind::WrongPass),
            (b"NOPERM", ErrorKind::NoPerm),
            (b"NOPROTO", ErrorKind::NoProto),
            (b"DENIED", ErrorKind::Denied),
            (b"-DENIED", ErrorKind::Denied),
            (b"NOGROUP", ErrorKind::NoGroup),
            (b"WRONGTYPE", ErrorKind::WrongType),
            (b"BUSYGROUP", ErrorKind::BusyGroup),
            (b"BUSYKEY", ErrorKind::BusyKey),
            (b"NOSUB", ErrorKind::NoSub),
            (b"REDIRECT", ErrorKind::Redirect),
            (b"IOERR", ErrorKind::IoError),
        ];
        let (code, rest) = first_word(text);
        if code == b"ERR" {
            return rest.map_or(Self::Generic, Self::of_generic);
        }
        CODES.iter().find(|(known, _)| code == *known).map_or(Self::Other, |(_, kind)| *kind)
    }

    /// The kinds that share the code `ERR` and differ by text only.
    fn of_generic(rest: &[u8]) -> Self {
        const TEXTS: &[(&[u8], ErrorKind)] = &[
            (b"max number of clients", ErrorKind::MaxClients),
            (b"Protocol error", ErrorKind::Protocol),
            (b"unknown command", ErrorKind::UnknownCommand),
            (b"unknown subcommand", ErrorKind::UnknownCommand),
            (b"This instance has cluster support disabled", ErrorKind::ClusterDisabled),
        ];
        let known = |text: &[u8]| rest.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        TEXTS.iter().find(|(text, _)| known(text)).map_or(Self::Generic, |(_, kind)| *kind)
    }
}

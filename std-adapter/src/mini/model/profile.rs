//! Versions of servers, and in what they differ.

/// Which server's habits a node of the model follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// Redis 6.2: RESP3, but neither CLUSTER SHARDS nor sharded channels; a command with some of its keys gone from a
    /// migrating slot is answered with ASK.
    Redis62,
    /// Redis 7.0: node-wide SCAN cursors; ASK and TRYAGAIN while a transaction is queued.
    Redis7,
    /// Redis 7.4 to 8.2: the slot in the SCAN cursor, pushes behind the reply that caused them.
    Redis8,
    /// Redis 8.4 and later: as 8.0, with atomic slot migration.
    Redis84,
    /// Valkey 8: a READONLY replica of a migrating node answers ASK or TRYAGAIN.
    Valkey8,
    /// Valkey 9.1: ASK and TRYAGAIN at EXEC only, atomic slot migration, CLUSTERSCAN; a client blocked at a failover is
    /// redirected instead of cut off.
    Valkey9,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Profile; 6] =
        [Profile::Redis62, Profile::Redis7, Profile::Redis8, Profile::Redis84, Profile::Valkey8, Profile::Valkey9];

    /// Whether SCAN cursors carry the slot.
    #[must_use]
    pub fn slot_cursors(self) -> bool {
        !matches!(self, Profile::Redis62 | Profile::Redis7)
    }

    /// Whether slots can be moved without a time of ASK replies.
    #[must_use]
    pub fn atomic_migration(self) -> bool {
        matches!(self, Profile::Redis84 | Profile::Valkey9)
    }

    /// Whether there are sharded channels and CLUSTER SHARDS.
    #[must_use]
    pub fn sharded_channels(self) -> bool {
        self != Profile::Redis62
    }

    /// Whether it is a Valkey.
    #[must_use]
    pub fn is_valkey(self) -> bool {
        matches!(self, Profile::Valkey8 | Profile::Valkey9)
    }

    /// Pushes that a command causes on its own connection come behind its reply (Redis from 7.2, Valkey).
    pub(super) fn pushes_behind(self) -> bool {
        self.slot_cursors()
    }

    /// `server` and `version` of HELLO.
    pub(super) fn product(self) -> (&'static str, &'static str) {
        match self {
            Profile::Redis62 => ("redis", "6.2.16"),
            Profile::Redis7 => ("redis", "7.0.15"),
            Profile::Redis8 => ("redis", "8.0.6"),
            Profile::Redis84 => ("redis", "8.6.3"),
            Profile::Valkey8 => ("valkey", "8.0.1"),
            Profile::Valkey9 => ("valkey", "9.1.2"),
        }
    }
}

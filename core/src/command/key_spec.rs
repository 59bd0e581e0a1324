//! Where the keys of a command stand: the key specifications of COMMAND replies, and the few grammars that servers
//! describe only in code.

/// Where keys begin and how they go on from there (Redis documentation, "Command key specifications").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeySpec {
    pub(super) begin: Begin,
    pub(super) find: Find,
    pub(super) flags: KeyFlags,
}

impl KeySpec {
    /// A place for a specification in lent storage.
    pub const EMPTY: Self =
        Self { begin: Begin::Index(0), find: Find::Range { last: 0, step: 1, limit: 0 }, flags: KeyFlags(0) };
}

/// Where the first key, or the number of keys, stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Begin {
    /// At this argument.
    Index(u8),
    /// Behind the first occurrence of a word, looked for from argument `from` forwards, or when negative from that
    /// many arguments before the end backwards. The word lies in the table's names.
    Keyword { at: u16, len: u8, from: i8 },
    /// Behind STREAMS of XREAD and XREADGROUP, which is not a group or consumer of that name.
    Streams,
    /// Behind STORE of SORT, which is not a pattern of that name.
    SortStore,
    /// Behind STORE of GEORADIUS and GEORADIUSBYMEMBER, with options from this argument on.
    GeoStore(u8),
    /// Behind STOREDIST of the same.
    GeoStoreDist(u8),
    /// MIGRATE: argument 3, or when that is empty all arguments behind KEYS.
    Migrate,
}

/// How keys go on from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(super) enum Find {
    /// Every `step`-th argument up to `last`, counted from the first key or when negative from the end. With -1,
    /// `limit` above 1 means that only that part of the arguments are keys (2: the first half).
    Range { last: i8, step: u8, limit: u8 },
    /// A number at `count` arguments from the beginning says how many keys stand from `first` on.
    Number { count: u8, first: u8, step: u8 },
}

/// What a command does with a key. Bits, so that they pack; for a key with [`KeyFlags::variable`] what it may do at
/// most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyFlags(pub(super) u8);

/// The kind of access a command declares for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum KeyAccess {
    /// `RO`: the value is read, or only asked about.
    ReadOnly,
    /// `RW`: read and written, or changed in part.
    ReadWrite,
    /// `OW`: overwritten without being read.
    Overwrite,
    /// `RM`: deleted.
    Remove,
}

impl KeyFlags {
    pub(super) const RO: u8 = 0;
    pub(super) const RW: u8 = 1;
    pub(super) const OW: u8 = 2;
    pub(super) const RM: u8 = 3;
    pub(super) const ACCESS: u8 = 1 << 2;
    pub(super) const UPDATE: u8 = 1 << 3;
    pub(super) const INSERT: u8 = 1 << 4;
    pub(super) const DELETE: u8 = 1 << 5;
    pub(super) const NOT_KEY: u8 = 1 << 6;
    pub(super) const VARIABLE: u8 = 1 << 7;

    const fn has(self, bit: u8) -> bool {
        self.0 & bit != 0
    }

    /// The declared kind of access.
    #[must_use]
    pub const fn kind(self) -> KeyAccess {
        match self.0 & 3 {
            Self::RO => KeyAccess::ReadOnly,
            Self::RW => KeyAccess::ReadWrite,
            Self::OW => KeyAccess::Overwrite,
            _ => KeyAccess::Remove,
        }
    }

    /// Whether the argument is a key. Channels and CLUSTERSCAN cursors are not, but they are routed like keys.
    #[must_use]
    pub const fn is_key(self) -> bool {
        !self.has(Self::NOT_KEY)
    }

    /// Whether the command may change, create or delete the key.
    #[must_use]
    pub const fn writes(self) -> bool {
        self.0 & 3 != Self::RO
    }

    /// `access`: data of the value is returned, copied or decides what the command does.
    #[must_use]
    pub const fn accesses(self) -> bool {
        self.has(Self::ACCESS)
    }

    /// `update`: the value is changed.
    #[must_use]
    pub const fn updates(self) -> bool {
        self.has(Self::UPDATE)
    }

    /// `insert`: data is added to the value.
    #[must_use]
    pub const fn inserts(self) -> bool {
        self.has(Self::INSERT)
    }

    /// `delete`: data of the value is deleted.
    #[must_use]
    pub const fn deletes(self) -> bool {
        self.has(Self::DELETE)
    }

    /// `variable_flags`: what is done depends on the arguments (SET with or without GET).
    #[must_use]
    pub const fn variable(self) -> bool {
        self.has(Self::VARIABLE)
    }
}

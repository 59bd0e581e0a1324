//! Which commands can be cut by slot, and where their keys stand.

use crate::command::ResponsePolicy;

/// How the arguments of a command that can be cut repeat: one key each, or a key and a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Shape {
    pub(super) pairs: bool,
    merge: ResponsePolicy,
}

impl Shape {
    /// The shape of the command called `name` (any case), or `None` if it cannot be cut without changing what it
    /// means: MSETNX and MSETEX set all keys or none, the rest compute over all their keys at once.
    ///
    /// Cutting MGET gives up one consistent view over all keys, cutting MSET that all keys change together, and
    /// both only between slots; servers offer neither across nodes.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        const NAMES: [(&[u8], Shape); 6] = [
            (b"MGET", Shape { pairs: false, merge: ResponsePolicy::DefaultKeyed }),
            (b"MSET", Shape { pairs: true, merge: ResponsePolicy::AllSucceeded }),
            (b"DEL", Shape { pairs: false, merge: ResponsePolicy::AggSum }),
            (b"UNLINK", Shape { pairs: false, merge: ResponsePolicy::AggSum }),
            (b"EXISTS", Shape { pairs: false, merge: ResponsePolicy::AggSum }),
            (b"TOUCH", Shape { pairs: false, merge: ResponsePolicy::AggSum }),
        ];
        NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)).map(|(_, shape)| *shape)
    }

    /// How the answers to the parts become the command's answer.
    #[must_use]
    pub const fn merge(self) -> ResponsePolicy {
        self.merge
    }

    /// Arguments for each key: 1, or 2 where a value follows.
    #[must_use]
    pub const fn step(self) -> usize {
        if self.pairs { 2 } else { 1 }
    }

    /// How many keys a command of `count` arguments (its name included) has, or `None` if `count` is no length such
    /// a command can have.
    #[must_use]
    pub const fn keys(self, count: usize) -> Option<usize> {
        let Some(rest) = count.checked_sub(1) else { return None };
        if rest == 0 || (self.pairs && rest % 2 != 0) {
            return None;
        }
        Some(if self.pairs { rest / 2 } else { rest })
    }

    /// The argument at which the key at `position` stands.
    pub(super) const fn key_at(self, position: usize) -> usize {
        1 + (position << self.pairs as u32)
    }
}

//! Slots whose new commands wait until older ones were answered at the node the slot left.

use crate::slot::Slot;

/// What one connection makes others wait for: new commands of a slot that moved away from it, until it has answered
/// the ones it still has.
///
/// A second slot widens the hold to every slot: slower for the length of a round trip, never out of order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nobody waits.
    #[default]
    None,
    /// Commands of this slot wait for that many answers.
    One(Slot, u32),
    /// Every keyed command waits for that many answers.
    All(u32),
}

impl Hold {
    /// Whether a new command of `slot` has to wait.
    pub(crate) fn blocks(self, slot: Slot) -> bool {
        match self {
            Self::None => false,
            Self::One(held, _) => held == slot,
            Self::All(_) => true,
        }
    }

    /// The hold that also makes `slot` wait until the connection has given `until` answers. Counts never go back on
    /// one connection, so the newer count is the later one.
    #[must_use]
    pub(crate) fn and(self, slot: Slot, until: u32) -> Self {
        match self {
            Self::None => Self::One(slot, until),
            Self::One(held, _) if held == slot => Self::One(slot, until),
            Self::One(..) | Self::All(_) => Self::All(until),
        }
    }

    /// The hold that makes every slot wait until the connection has given `until` answers.
    #[must_use]
    pub(crate) fn and_all(self, until: u32) -> Self {
        Self::All(until)
    }

    /// Whether the hold is over once the connection has given `answered` answers.
    pub(crate) fn over(self, answered: u32) -> bool {
        match self {
            Self::None => false,
            Self::One(_, until) | Self::All(until) => answered.wrapping_sub(until) < u32::MAX / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_with_the_last_old_answer() {
        let hold = Hold::None.and(Slot::masked(5), 10);
        assert!(hold.blocks(Slot::masked(5)));
        assert!(!hold.blocks(Slot::masked(6)));
        assert!(!hold.over(9));
        assert!(hold.over(10));
        assert!(hold.over(11));
        assert!(!Hold::None.over(0));
    }

    #[test]
    fn counts_may_wrap() {
        let hold = Hold::None.and(Slot::masked(5), 2);
        assert!(!hold.over(u32::MAX));
        assert!(hold.over(3));
    }

    #[test]
    fn a_second_slot_covers_every_slot() {
        let hold = Hold::None.and(Slot::masked(5), 10).and(Slot::masked(6), 12);
        assert!(hold.blocks(Slot::masked(16_000)));
        assert!(!hold.over(11));
        assert!(hold.over(12));
    }
}

//! Violations planted on purpose: each breaks one promise in the simulator's driver, in an engine's configuration or in
//! what is written down of a run, so that the check of that promise can be seen to fail.

use crate::sim::options::Wishes;
use crate::sim::run;
use crate::sim::world::Violation;

macro_rules! planted {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal, $invariant:literal;)*) => {
        /// A violation that is planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Planted {
            $($(#[doc = $doc])* $name,)*
        }

        impl Planted {
            /// Every one.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The number of the invariant that it breaks.
            #[must_use]
            pub const fn invariant(self) -> u8 {
                match self {
                    $(Self::$name => $invariant,)*
                }
            }
        }
    };
}

planted! {
    /// Of two replies that came together the second goes first.
    SwappedReplies = "swapped replies", 1;
    /// A reply that is read as tokens is another one at its end.
    AlteredToken = "altered token", 1;
    /// Callers are never told that a command was delayed.
    HiddenDelay = "hidden delay", 2;
    /// What may have run is told as not sent.
    ClaimedUnsent = "claimed unsent", 3;
    /// An error is told of some commands that ran and were answered.
    ClaimedRefused = "claimed refused", 3;
    /// The engine follows redirects beyond the budget that the checker knows.
    EndlessHops = "endless hops", 4;
    /// Refused commands come back without a delay.
    HastyRetries = "hasty retries", 4;
    /// Addresses of redirects are dialled before a topology reply has named them.
    BlindDial = "blind dial", 4;
    /// A key that a scan returned is not written down.
    LostKey = "lost key", 5;
    /// A scan returns a key that was deleted before it began.
    GhostKey = "ghost key", 5;
    /// Gaps in subscriptions are not written down.
    HiddenGap = "hidden gap", 6;
    /// A subscriber's message comes twice.
    RepeatedMessage = "repeated message", 6;
    /// Every dial is made twice.
    TwoDials = "two dials", 7;
    /// The engine dials again without a back-off.
    NoBackoff = "no back-off", 7;
    /// The engine asks for the topology as often as it likes.
    NoBucket = "no bucket", 7;
    /// The engine's tables grow beyond the budget.
    Growth = "growth", 8;
    /// Memory is taken behind the tables' backs.
    Hoard = "hoard", 8;
    /// What healthy nodes send to a client is held back for seconds.
    Withheld = "withheld", 9;
    /// After the repair nobody answers for one slot.
    DeadSlot = "dead slot", 9;
    /// Topology replies say what was true at the beginning.
    OldNews = "old news", 10;
    /// A timer is due again when it was just handled.
    Spin = "spin", 11;
    /// The driver asks again and again although there is nothing.
    IdleCalls = "idle calls", 11;
    /// Chance decides, from outside of the run.
    Coin = "coin", 12;
    /// An application's command has the password in it, on whatever connection.
    ShoutedPassword = "shouted password", 13;
    /// The text of an event has the password in it.
    ToldPassword = "told password", 13;
    /// The engine bears an hour of silence.
    Patient = "patient", 14;
    /// Silent connections are closed without having been probed, as far as is written down.
    NoProbe = "no probe", 14;
}

impl Planted {
    /// The first of so many seeds in which the check of its invariant fails, and what that says; `None` if none does.
    /// A failure of another invariant in front of it counts as not noticed.
    #[must_use]
    pub fn caught(self, seeds: u64) -> Option<(u64, Violation)> {
        let wishes = Wishes { planted: Some(self), ..Wishes::default() };
        (1..=seeds).find_map(|seed| {
            // Only a second run can tell that the first was not the only one possible.
            let report = if self.invariant() == 12 { run::seed_twice(seed, &wishes) } else { run::seed(seed, &wishes) };
            let violation = report.violation.filter(|violation| violation.invariant == self.invariant())?;
            Some((seed, violation))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Planted;

    #[test]
    fn every_invariant_has_one_and_every_one_a_name_of_its_own() {
        for invariant in 1..=14 {
            assert!(Planted::ALL.iter().any(|planted| planted.invariant() == invariant), "I{invariant}");
        }
        let names: std::collections::BTreeSet<_> = Planted::ALL.iter().map(|planted| planted.name()).collect();
        assert_eq!(names.len(), Planted::ALL.len());
    }
}

//! Decisions: from a seed, or from a tape of bytes.
//!
//! Each subsystem has a stream of its own, derived from the seed and the subsystem's label, so that turning a fault off
//! does not shift the decisions of the others. Whatever is drawn, the value 0 means "nothing goes wrong, the smallest
//! delay, the smallest size": a tape of zeros, or one that has ended, is a run without faults.

/// The subsystems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The options of the run.
    Options,
    /// Delays, fragments, the fate of dials.
    Network,
    /// What the applications do.
    Work,
    /// Gossip, elections, background work of the servers.
    Cluster,
    /// What an adversary sends.
    Hostile,
    /// When one kind of fault strikes, and where: its number.
    Fault(u8),
}

impl Label {
    /// Streams of a run.
    const COUNT: usize = 5 + 128;

    const fn index(self) -> usize {
        match self {
            Self::Options => 0,
            Self::Network => 1,
            Self::Work => 2,
            Self::Cluster => 3,
            Self::Hostile => 4,
            Self::Fault(kind) => 5 + (kind & 127) as usize,
        }
    }
}

/// SplitMix64: spreads a number over 64 bits.
#[must_use]
pub const fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One stream of decisions.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
    /// Where decisions are read from in tape mode, and how far they were.
    tape: Option<(Vec<u8>, usize)>,
    /// Every decision made, in the form in which a tape holds it.
    record: Vec<u8>,
}

impl Dice {
    /// The stream of a subsystem.
    #[must_use]
    pub const fn seeded(seed: u64, label: Label) -> Self {
        Self::numbered(seed, label.index())
    }

    const fn numbered(seed: u64, index: usize) -> Self {
        Self { state: mix(mix(seed) ^ (index as u64 + 1)), tape: None, record: Vec::new() }
    }

    /// A stream that reads a tape, and after its end zeros.
    #[must_use]
    pub const fn taped(bytes: Vec<u8>) -> Self {
        Self { state: 0, tape: Some((bytes, 0)), record: Vec::new() }
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number below `n`; 0 when `n` is 0 or 1.
    pub fn below(&mut self, n: u32) -> u32 {
        if n <= 1 {
            return 0;
        }
        let width = match n {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 4,
        };
        let drawn = match &mut self.tape {
            None => (((self.random() >> 32) * u64::from(n)) >> 32) as u32,
            Some((bytes, at)) => {
                let mut value = [0; 4];
                for place in value.iter_mut().take(width) {
                    *place = bytes.get(*at).copied().unwrap_or(0);
                    *at += 1;
                }
                u32::from_le_bytes(value) % n
            }
        };
        self.record.extend_from_slice(&drawn.to_le_bytes()[..width]);
        drawn
    }

    /// True so many times in a thousand; a tape's odd bytes say yes.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        if per_mille == 0 {
            return false;
        }
        let yes = match &mut self.tape {
            None => (((self.random() >> 32) * 1000) >> 32) < u64::from(per_mille),
            Some((bytes, at)) => {
                let byte = bytes.get(*at).copied().unwrap_or(0);
                *at += 1;
                byte & 1 == 1
            }
        };
        self.record.push(u8::from(yes));
        yes
    }

    /// A number between `low` and `high`, both included.
    pub fn range(&mut self, low: u32, high: u32) -> u32 {
        low.saturating_add(self.below(high.saturating_sub(low).saturating_add(1)))
    }

    /// One of them; the first is the harmless one.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u32) as usize]
    }

    /// A span with roughly this mean, exponentially distributed, without floats: minus the logarithm of a fraction.
    pub fn exponential(&mut self, mean: u64) -> u64 {
        let fraction = 65_536 - self.below(65_536);
        // log2 of the fraction in 1/256, the part behind the point taken as linear.
        let whole = 31 - fraction.leading_zeros();
        let log = (whole << 8) + ((fraction << 8 >> whole) & 0xff);
        let minus = u64::from((16 << 8) - log);
        // ln 2 is 177 / 256.
        (mean.saturating_mul(minus) * 177) >> 16
    }

    /// Whether a tape has been read to its end; a seed has none.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.tape.as_ref().is_some_and(|(bytes, at)| *at >= bytes.len())
    }

    /// The decisions made so far.
    #[must_use]
    pub fn record(&self) -> &[u8] {
        &self.record
    }
}

/// All streams of a run.
#[derive(Clone, Debug)]
pub struct Streams {
    dice: Vec<Dice>,
}

/// The first bytes of a saved tape.
const MAGIC: &[u8] = b"slotwise-tape-1\n";

impl Streams {
    /// The streams of a seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { dice: (0..Label::COUNT).map(|index| Dice::numbered(seed, index)).collect() }
    }

    /// Streams that read a tape: one that was saved, or any bytes, which are dealt out in turn.
    #[must_use]
    pub fn taped(bytes: &[u8]) -> Self {
        let mut parts = vec![Vec::new(); Label::COUNT];
        if let Some(saved) = bytes.strip_prefix(MAGIC) {
            let mut rest = saved;
            for part in &mut parts {
                let Some((len, behind)) = rest.split_first_chunk::<4>() else { break };
                let len = (u32::from_le_bytes(*len) as usize).min(behind.len());
                part.extend_from_slice(&behind[..len]);
                rest = &behind[len..];
            }
        } else {
            for (at, byte) in bytes.iter().enumerate() {
                parts[dealt(at)].push(*byte);
            }
        }
        Self { dice: parts.into_iter().map(Dice::taped).collect() }
    }

    /// The tape that makes another run take the decisions of this one.
    #[must_use]
    pub fn tape(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for dice in &self.dice {
            bytes.extend_from_slice(&(dice.record.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&dice.record);
        }
        bytes
    }

    /// The beginning of that tape, at most so long, in the form of any bytes: what a fuzzer starts from.
    #[must_use]
    pub fn raw_tape(&self, most: usize) -> Vec<u8> {
        let mut places = vec![0; Label::COUNT];
        let mut bytes: Vec<u8> = (0..most)
            .map(|at| {
                let (part, place) = (&self.dice[dealt(at)].record, &mut places[dealt(at)]);
                *place += 1;
                part.get(*place - 1).copied().unwrap_or(0)
            })
            .collect();
        bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        bytes
    }

    /// A subsystem's stream.
    pub fn of(&mut self, label: Label) -> &mut Dice {
        &mut self.dice[label.index()]
    }
}

/// Whose a byte of a tape of any bytes is: the subsystems in turn; every sixth is for one of the faults.
const fn dealt(at: usize) -> usize {
    let turn = at % 6;
    if turn < 5 { turn } else { 5 + at / 6 % (Label::COUNT - 5) }
}

/// The parts of a saved tape, for the shrinker; empty ones for anything else.
#[must_use]
pub fn parts_of(tape: &[u8]) -> Vec<Vec<u8>> {
    Streams::taped(tape).dice.into_iter().map(|dice| dice.tape.map(|(bytes, _)| bytes).unwrap_or_default()).collect()
}

/// The reverse of [`parts_of`].
#[must_use]
pub fn tape_of(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u32).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(dice: &mut Dice) -> Vec<u64> {
        (0..200)
            .map(|n| match n % 4 {
                0 => u64::from(dice.below(7)),
                1 => u64::from(dice.below(70_000)),
                2 => u64::from(dice.chance(300)),
                _ => dice.exponential(1000),
            })
            .collect()
    }

    #[test]
    fn a_tape_repeats_the_decisions_of_the_seed() {
        let mut seeded = Streams::seeded(7);
        let labels = [Label::Options, Label::Network, Label::Hostile, Label::Fault(0), Label::Fault(40)];
        let first: Vec<_> = labels.iter().map(|label| draw(seeded.of(*label))).collect();
        let mut taped = Streams::taped(&seeded.tape());
        let second: Vec<_> = labels.iter().map(|label| draw(taped.of(*label))).collect();
        assert_eq!(first, second);
        assert_ne!(first[0], first[1], "streams of one seed differ");
        assert_eq!(seeded.tape(), taped.tape());
        assert_eq!(tape_of(&parts_of(&seeded.tape())), seeded.tape());
    }

    #[test]
    fn any_bytes_repeat_the_decisions_as_far_as_they_go() {
        let mut seeded = Streams::seeded(7);
        let labels = [Label::Options, Label::Work, Label::Fault(3)];
        let first: Vec<_> = labels.iter().map(|label| seeded.of(*label).below(200)).collect();
        let mut taped = Streams::taped(&seeded.raw_tape(1_000));
        let second: Vec<_> = labels.iter().map(|label| taped.of(*label).below(200)).collect();
        assert_eq!(first, second);
        assert!(seeded.raw_tape(10).len() <= 10);
    }

    #[test]
    fn an_ended_tape_means_nothing_at_all() {
        let mut dice = Dice::taped(Vec::new());
        assert!(draw(&mut dice).iter().all(|drawn| *drawn == 0));
    }

    #[test]
    fn spans_have_about_the_mean_they_should_have() {
        let mut dice = Dice::seeded(1, Label::Network);
        let sum: u64 = (0..10_000).map(|_| dice.exponential(1000)).sum();
        assert!((9_300_000..10_700_000).contains(&sum), "{sum}");
    }
}

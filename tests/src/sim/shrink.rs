//! Making a failure small: fewer faults, a smaller world, a shorter run, a calmer tape; and writing it down as a script.

use std::time::{Duration, Instant};

use super::dice::{parts_of, tape_of};
use super::kinds::Fault;
use super::options::Wishes;
use super::run::{self, Report};
use super::trace::SHOWN;
use super::world::START;
use super::{render, script};

/// A failure that was made small.
#[derive(Debug)]
pub struct Small {
    /// Its tape.
    pub tape: Vec<u8>,
    /// What was fixed on the way.
    pub wishes: Wishes,
    /// What it comes to, told in words.
    pub report: Report,
    /// How many runs it took.
    pub runs: u32,
    /// What the applications do and what goes wrong in it: acts of a script.
    pub events: usize,
}

/// No shrinking takes longer.
const MOST_TIME: Duration = Duration::from_secs(55);

struct Shrinker {
    small: Small,
    invariant: u8,
    most: u32,
    since: Instant,
}

impl Shrinker {
    /// Tries a smaller failure; it is taken if it breaks the same invariant.
    fn attempt(&mut self, tape: Vec<u8>, wishes: Wishes) -> bool {
        if self.is_over() {
            return false;
        }
        self.small.runs += 1;
        let report = run::tape(&tape, &wishes);
        let same = report.violation.as_ref().is_some_and(|violation| violation.invariant == self.invariant);
        if same {
            (self.small.tape, self.small.wishes, self.small.report) = (tape, wishes, report);
        }
        same
    }

    fn is_over(&self) -> bool {
        self.small.runs >= self.most || self.since.elapsed() > MOST_TIME
    }

    fn parts(&self) -> Vec<Vec<u8>> {
        parts_of(&self.small.tape)
    }

    fn attempt_parts(&mut self, parts: &[Vec<u8>]) -> bool {
        let wishes = self.small.wishes.clone();
        self.attempt(tape_of(parts), wishes)
    }

    /// (a) Whole kinds of faults, and whole streams of decisions.
    fn kinds(&mut self) {
        for fault in Fault::ALL {
            if self.small.report.options.has(*fault) {
                let mut wishes = self.small.wishes.clone();
                wishes.without.push(*fault);
                self.attempt(self.small.tape.clone(), wishes);
            }
        }
        for part in 1..self.parts().len() {
            let mut parts = self.parts();
            if !std::mem::take(&mut parts[part]).is_empty() {
                self.attempt_parts(&parts);
            }
        }
    }

    /// (b) Fewer clients and nodes, and (c) the end of the run at the violation.
    fn world(&mut self) {
        let at = self.small.report.violation.as_ref().map_or(0, |violation| violation.at.saturating_sub(START));
        let length = self.small.report.options.length;
        for (clients, primaries, length) in
            [(3, 6, at), (1, 6, length), (1, 3, length), (1, 2, length), (1, 1, length), (1, 3, at), (1, 3, at / 2)]
        {
            let wishes = Wishes { most: Some((clients, primaries, length.max(50_000))), ..self.small.wishes.clone() };
            self.attempt(self.small.tape.clone(), wishes);
        }
    }

    /// (c) The ends of the streams: behind them nothing is asked for and nothing strikes.
    fn ends(&mut self) {
        for part in 0..self.parts().len() {
            let (mut low, mut high) = (0, self.parts()[part].len());
            while low + 1 < high && !self.is_over() {
                let middle = usize::midpoint(low, high);
                let mut parts = self.parts();
                parts[part].truncate(middle);
                if self.attempt_parts(&parts) {
                    high = middle;
                } else {
                    low = middle;
                }
            }
        }
    }

    /// (d) Chunks of the tape: taken out, else calmed.
    fn chunks(&mut self) {
        let longest = self.parts().iter().map(Vec::len).max().unwrap_or(0);
        let mut size = longest.next_power_of_two().clamp(4, 4_096) / 2;
        while size >= 1 && !self.is_over() {
            for part in 0..self.parts().len() {
                let mut from = 0;
                while from < self.parts()[part].len() && !self.is_over() {
                    let mut parts = self.parts();
                    let to = (from + size).min(parts[part].len());
                    parts[part].drain(from..to);
                    if self.attempt_parts(&parts) {
                        continue;
                    }
                    let mut parts = self.parts();
                    if parts[part][from..to].iter().any(|byte| *byte != 0) {
                        parts[part][from..to].fill(0);
                        self.attempt_parts(&parts);
                    }
                    from = to;
                }
            }
            size /= 2;
        }
    }
}

/// Shrinks a failing tape in at most so many runs. Every step must break the same invariant. `None`: it does not fail.
#[must_use]
pub fn shrink(tape: &[u8], wishes: &Wishes, most: u32) -> Option<Small> {
    let wishes = Wishes { shown: None, ..wishes.clone() };
    let report = run::tape(tape, &wishes);
    let invariant = report.violation.as_ref()?.invariant;
    let small = Small { tape: tape.to_vec(), wishes, report, runs: 1, events: 0 };
    let mut shrinker = Shrinker { small, invariant, most, since: Instant::now() };
    shrinker.world();
    shrinker.kinds();
    shrinker.ends();
    shrinker.chunks();
    shrinker.world();
    shrinker.ends();
    let mut small = shrinker.small;
    // What is left, in words.
    small.wishes.shown = Some(SHOWN);
    small.report = run::tape(&small.tape, &small.wishes);
    small.events = small.report.acts.iter().filter(|(_, act)| !act.is_empty()).count();
    Some(small)
}

/// (e) The failure as a script, and which kind of it: acts that people can read, if the same invariant breaks when they are
/// done; the tape with its story beside it otherwise.
#[must_use]
pub fn render(small: &Small) -> (String, &'static str) {
    let story = render::story(&small.report);
    let acts = story.clone() + &render::acts(&small.report, &small.wishes);
    let invariant = small.report.violation.as_ref().map_or(0, |violation| violation.invariant);
    let broken = format!("I{invariant} is broken");
    if script::run(&acts, None).is_err_and(|error| error.contains(&broken)) {
        return (acts, "a script that fails in the same way");
    }
    (
        story + &render::tape(&small.report, &small.wishes),
        "no script of acts fails in the same way: the tape as a script",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_becomes_smaller_and_stays_the_same_failure() {
        let wishes = Wishes { canary: true, ..Wishes::default() };
        let report = (1..).map(|seed| run::seed(seed, &wishes)).find(|report| report.violation.is_some()).unwrap();
        let small = shrink(&report.tape, &wishes, 60).unwrap();
        let invariant = |report: &Report| report.violation.as_ref().map(|violation| violation.invariant);
        assert_eq!(invariant(&small.report), invariant(&report));
        assert!(
            small.tape.len() < report.tape.len() || small.report.options.faults.len() < report.options.faults.len()
        );
        assert_eq!(run::tape(&small.tape, &small.wishes).hash, small.report.hash);
        assert!(shrink(&[], &Wishes::default(), 5).is_none(), "a calm run does not fail");
        // Either kind of script fails as well.
        let broken = format!("I{} is broken", invariant(&small.report).unwrap());
        let (text, how) = render(&small);
        let error = script::run(&text, None).unwrap_err();
        assert!(error.contains(&broken), "{how}: {error}");
        let tape = render::tape(&small.report, &small.wishes);
        let error = script::run(&tape, None).unwrap_err();
        assert!(error.contains(&broken), "{error}");
    }
}

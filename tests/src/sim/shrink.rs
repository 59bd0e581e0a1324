//! Making a failure small: fewer faults, a smaller world, a shorter run, a calmer tape.

use super::dice::{parts_of, tape_of};
use super::kinds::Fault;
use super::options::Wishes;
use super::run::{self, Report};
use super::world::START;

/// A failure that was made small.
#[derive(Debug)]
pub struct Small {
    /// Its tape.
    pub tape: Vec<u8>,
    /// What was fixed on the way.
    pub wishes: Wishes,
    /// What it comes to.
    pub report: Report,
    /// How many runs it took.
    pub runs: u32,
}

/// Shrinks a failing tape in at most so many runs. Every step must break the same invariant. `None`: it does not fail.
#[must_use]
pub fn shrink(tape: &[u8], wishes: &Wishes, most: u32) -> Option<Small> {
    let report = run::tape(tape, wishes);
    let invariant = report.violation.as_ref()?.invariant;
    let mut small = Small { tape: tape.to_vec(), wishes: wishes.clone(), report, runs: 1 };
    let attempt = |small: &mut Small, tape: Vec<u8>, wishes: Wishes| {
        if small.runs >= most {
            return false;
        }
        small.runs += 1;
        let report = run::tape(&tape, &wishes);
        let same = report.violation.as_ref().is_some_and(|violation| violation.invariant == invariant);
        if same {
            (small.tape, small.wishes, small.report) = (tape, wishes, report);
        }
        same
    };
    // Whole kinds of faults.
    for fault in Fault::ALL {
        if small.report.options.has(*fault) {
            let mut wishes = small.wishes.clone();
            wishes.without.push(*fault);
            let tape = small.tape.clone();
            attempt(&mut small, tape, wishes);
        }
    }
    // Fewer clients and nodes, and the end of the run at the violation.
    let at = small.report.violation.as_ref().map_or(0, |violation| violation.at.saturating_sub(START));
    let length = small.report.options.length;
    for (clients, primaries, length) in
        [(1, 1, length), (1, 2, length), (1, 3, length), (3, 6, at), (1, 3, at), (1, 3, at / 2)]
    {
        let wishes = Wishes { most: Some((clients, primaries, length.max(100_000))), ..small.wishes.clone() };
        let tape = small.tape.clone();
        attempt(&mut small, tape, wishes);
    }
    // Chunks of the tape: taken out, else calmed.
    let mut size = 4_096;
    while size >= 4 {
        for part in 0..parts_of(&small.tape).len() {
            let mut from = 0;
            while from < parts_of(&small.tape)[part].len() {
                let mut parts = parts_of(&small.tape);
                let to = (from + size).min(parts[part].len());
                parts[part].drain(from..to);
                let wishes = small.wishes.clone();
                if attempt(&mut small, tape_of(&parts), wishes.clone()) {
                    continue;
                }
                let mut parts = parts_of(&small.tape);
                if parts[part][from..to].iter().any(|byte| *byte != 0) {
                    parts[part][from..to].fill(0);
                    attempt(&mut small, tape_of(&parts), wishes);
                }
                from = to;
            }
        }
        size /= 4;
    }
    Some(small)
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
    }
}

//! The simulator in the gate: some hundred seeds without a broken promise, the same hash every time, and a broken
//! driver that is caught.

use slotwise_tests::sim::kinds::Fault;
use slotwise_tests::sim::options::Wishes;
use slotwise_tests::sim::report::{failure, fold};
use slotwise_tests::sim::run::{self, Report};
use slotwise_tests::sim::stats::Stats;
use slotwise_tests::sim::trace::SHOWN;

/// Kinds of faults that need longer runs than these to strike.
const RARE: &[Fault] = &[];

/// Seeds with a broken promise that is still to be mended, and which: they must fail until then, so that none is kept
/// here for longer than that.
const OPEN: &[(u64, usize)] = &[];

fn told(seed: u64) -> Report {
    run::seed(seed, &Wishes { shown: Some(SHOWN), ..Wishes::default() })
}

#[test]
fn no_promise_is_broken() {
    let mut stats = Stats::default();
    let mut hash = 0;
    for seed in 1..=300 {
        let report = run::seed(seed, &Wishes::default());
        let open = OPEN.iter().find(|open| open.0 == seed).map(|open| open.1);
        match &report.violation {
            Some(violation) if open == Some(usize::from(violation.invariant)) => continue,
            Some(violation) => panic!("{}", failure(&format!("seed {seed}"), &told(seed), violation)),
            None => assert_eq!(open, None, "seed {seed} holds now: take it off the list"),
        }
        stats.add(&report.stats);
        hash = fold(hash, report.hash);
    }
    println!("trace hash {hash:016x}");
    for fault in Fault::ALL.iter().filter(|fault| !RARE.contains(fault)) {
        assert!(stats.faults[*fault as usize] > 0, "no {} in any run", fault.name());
    }
    for (number, count) in stats.checks.iter().enumerate().skip(1) {
        // Determinism is checked by the test below.
        assert!(*count > 0 || number == 12, "I{number} is never checked");
    }
    assert!(stats.scans.0 > 20, "{:?} scans", stats.scans);
    assert!(stats.messages.1 > 20, "{:?} messages and gaps", stats.messages);
    assert!(stats.ends.iter().all(|count| *count > 0), "{:?}", stats.ends);
}

#[test]
fn one_seed_is_one_run_and_its_tape_repeats_it() {
    for seed in 1..=8 {
        let (first, second) = (run::seed(seed, &Wishes::default()), run::seed(seed, &Wishes::default()));
        assert_eq!(first.hash, second.hash, "seed {seed}");
        let taped = run::tape(&first.tape, &Wishes::default());
        assert_eq!(first.hash, taped.hash, "the tape of seed {seed}");
        assert_eq!(first.options, taped.options);
    }
}

#[test]
fn an_empty_tape_is_a_calm_run() {
    let report = run::tape(&[], &Wishes::default());
    assert_eq!(report.violation, None);
    assert!(report.stats.faults.iter().all(|count| *count == 0), "{:?}", report.stats.faults);
    // The test commands behind the repair.
    assert!(report.stats.ends[0] > 10, "{:?}", report.stats.ends);
}

#[test]
fn a_driver_that_swaps_two_replies_is_caught() {
    let wishes = Wishes { canary: true, ..Wishes::default() };
    let caught = (1..=50).find(|seed| run::seed(*seed, &wishes).violation.is_some());
    assert!(caught.is_some(), "50 seeds did not notice");
}

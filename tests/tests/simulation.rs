//! The simulator in the gate: some hundred seeds without a broken promise, the same hash every time, and violations
//! planted on purpose, one and more for every promise, that are all noticed.

use slotwise_tests::sim::check::allocator::{self, Counting};
use slotwise_tests::sim::check::storm::{Storm, storm};
use slotwise_tests::sim::check::windows::back_off;
use slotwise_tests::sim::check::{Planted, hang};
use slotwise_tests::sim::kinds::Fault;
use slotwise_tests::sim::options::Wishes;
use slotwise_tests::sim::report::{failure, fold};
use slotwise_tests::sim::run::{self, Report};
use slotwise_tests::sim::stats::Stats;
use slotwise_tests::sim::trace::SHOWN;

/// Counts what the engines' tables take (I8).
#[global_allocator]
static HEAP: Counting = Counting;

/// Kinds of faults that need longer runs than these to strike.
const RARE: &[Fault] = &[];

/// Kinds of faults that still break a promise, and which: a seed in which they do holds without them.
const OPEN_FAULTS: &[(Fault, u8)] = &[];

/// Seeds with a broken promise that is still to be mended, and which: they must fail until then, so that none is kept
/// here for longer than that.
const OPEN: &[(u64, u8)] = &[];

/// Seeds within which every planted violation must be noticed.
const NOTICED: u64 = 100;

fn told(seed: u64, wishes: &Wishes) -> Report {
    run::seed(seed, &Wishes { shown: Some(SHOWN), ..wishes.clone() })
}

/// One seed in a hundred runs twice (I12).
fn play(seed: u64, wishes: &Wishes) -> Report {
    if seed.is_multiple_of(100) { run::seed_twice(seed, wishes) } else { run::seed(seed, wishes) }
}

#[test]
fn no_promise_is_broken() {
    assert!(allocator::is_installed());
    let mut stats = Stats::default();
    let mut hash = 0;
    let mut faults_open = vec![false; OPEN_FAULTS.len()];
    for seed in 1..=300 {
        hang::begin(seed);
        let mut wishes = Wishes::default();
        let mut report = play(seed, &wishes);
        let broken = |report: &Report| report.violation.as_ref().map(|violation| violation.invariant);
        for (at, (fault, invariant)) in OPEN_FAULTS.iter().enumerate() {
            if broken(&report) == Some(*invariant) && report.options.has(*fault) {
                faults_open[at] = true;
                wishes.without.push(*fault);
                report = play(seed, &wishes);
            }
        }
        let open = OPEN.iter().find(|open| open.0 == seed).map(|open| open.1);
        match &report.violation {
            Some(violation) if open == Some(violation.invariant) => continue,
            Some(violation) => panic!("{}", failure(&format!("seed {seed}"), &told(seed, &wishes), violation)),
            None => assert_eq!(open, None, "seed {seed} holds now: take it off the list"),
        }
        stats.add(&report.stats);
        hash = fold(hash, report.hash);
    }
    hang::end();
    println!("trace hash {hash:016x}");
    println!("delays before dials, by failures and quarters: {:?}", stats.delays);
    for ((fault, invariant), open) in OPEN_FAULTS.iter().zip(faults_open) {
        assert!(open, "{} does not break I{invariant} any more: take it off the list", fault.name());
    }
    let held = |fault: &Fault| Fault::HELD.iter().any(|(held, _)| held == fault);
    for fault in Fault::ALL.iter().filter(|fault| !RARE.contains(fault) && !held(fault)) {
        assert!(stats.faults[*fault as usize] > 0, "no {} in any run", fault.name());
    }
    for (number, count) in stats.checks.iter().enumerate().skip(1) {
        assert!(*count > 0, "I{number} is never checked");
    }
    assert!(stats.scans.0 > 20, "{:?} scans", stats.scans);
    assert!(stats.messages.1 > 20, "{:?} messages and gaps", stats.messages);
    assert!(stats.ends.iter().all(|count| *count > 0), "{:?}", stats.ends);
    // I7 over all of them: the back-off is spread.
    assert_eq!(back_off(&stats.delays), None);
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

/// Every violation that can be planted of an invariant is noticed, under that number.
fn is_noticed(invariant: u8) {
    for planted in Planted::ALL.iter().filter(|planted| planted.invariant() == invariant) {
        let caught = planted.caught(NOTICED);
        let name = planted.name();
        let (seed, violation) = caught.unwrap_or_else(|| panic!("I{invariant}: {NOTICED} seeds did not notice {name}"));
        println!("I{invariant} {name}: seed {seed}: {}", violation.text);
    }
}

macro_rules! noticed {
    ($($name:ident $invariant:literal;)*) => {
        $(
            #[test]
            fn $name() {
                is_noticed($invariant);
            }
        )*
    };
}

noticed! {
    i01_foreign_replies_are_noticed 1;
    i02_hidden_inversions_are_noticed 2;
    i03_false_ends_are_noticed 3;
    i04_redirects_beyond_the_budget_are_noticed 4;
    i05_keys_that_scans_lose_or_invent_are_noticed 5;
    i06_lost_and_repeated_messages_are_noticed 6;
    i07_storms_are_noticed 7;
    i08_memory_beyond_the_budget_is_noticed 8;
    i09_late_answers_are_noticed 9;
    i10_maps_that_go_back_are_noticed 10;
    i11_spins_are_noticed 11;
    i12_runs_that_differ_are_noticed 12;
    i13_passwords_are_noticed 13;
    i14_half_open_connections_are_noticed 14;
}

/// I7 for a cluster: three hundred clients lose a node for twenty seconds.
#[test]
fn many_clients_come_back_without_a_storm() {
    const CLIENTS: usize = 300;
    let Storm { peak, late, back, delays, broken } = storm(CLIENTS, &Wishes::default());
    println!("of {CLIENTS} clients: {peak} dials in the worst 100 ms, {late} in those after ten seconds, {back} back");
    assert_eq!(broken, None);
    // The first delays are below 50 and 100 ms: each client tries twice and some thrice in the first window.
    assert!(peak <= CLIENTS * 4, "{peak} dials within 100 ms");
    assert!(late <= CLIENTS / 8, "{late} dials within 100 ms, ten seconds on");
    assert_eq!(back, CLIENTS);
    println!("delays before dials, by failures and quarters: {delays:?}");
    assert!(delays[1..7].iter().all(|row| row.iter().sum::<u64>() >= 200), "{delays:?}");
    assert_eq!(back_off(&delays), None);
    let hasty = storm(CLIENTS / 10, &Wishes { planted: Some(Planted::NoBackoff), ..Wishes::default() });
    assert_eq!(hasty.broken, Some(7), "{hasty:?}: a storm that is planted is not noticed");
}

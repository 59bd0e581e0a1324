//! The engine in a fake cluster over a fake network in which anything goes wrong, by the seed: slots move, nodes fail
//! over, streams are cut at any byte, dials are refused, callers give up. What the caller is told is held against the
//! servers' own record of what they ran.
//!
//! `SLOTWISE_CHAOS_SEEDS` sets how many seeds are run, `SLOTWISE_CHAOS_FROM` the first.

mod check;
mod dice;
mod faults;
mod model;
mod net;
mod run;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use run::Run;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Plays a seed; prints what led there when it fails.
fn play(seed: u64) -> Run {
    let mut run = Run::new(seed);
    let played = catch_unwind(AssertUnwindSafe(|| {
        run.play();
        check::all(&run);
    }));
    if let Err(panic) = played {
        let from = run.trace.len().saturating_sub(setting("SLOTWISE_CHAOS_EVENTS", 60) as usize);
        println!("seed {seed} failed; its last events:\n{}", run.trace[from..].join("\n"));
        resume_unwind(panic);
    }
    run
}

#[test]
fn whatever_goes_wrong_the_caller_is_told_the_truth() {
    let from = setting("SLOTWISE_CHAOS_FROM", 1);
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut ends: BTreeMap<String, u64> = BTreeMap::new();
    for seed in from..from + setting("SLOTWISE_CHAOS_SEEDS", 100) {
        let run = play(seed);
        for (what, count) in &run.model.counts {
            *counts.entry(what).or_default() += count;
        }
        for request in run.requests.values() {
            *ends.entry(check::name(request)).or_default() += 1;
        }
    }
    println!("faults: {counts:#?}\nends: {ends:#?}");
    for what in ["reset", "moved", "ask", "tryagain", "cancel", "failover", "one reply too many", "refused dial"] {
        assert!(counts.contains_key(what), "no {what} in any run");
    }
    for what in ["done", "rejected", "not_sent", "maybe_executed", "confirmed"] {
        assert!(ends.contains_key(what), "no command ended as {what}");
    }
}

#[test]
fn one_seed_is_one_run() {
    for seed in 900..906 {
        let (first, second) = (play(seed), play(seed));
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}

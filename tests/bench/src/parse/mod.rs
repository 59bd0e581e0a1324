//! Reply parsing: every contestant reads the same streams, delivered the same way.

mod frames;
mod hand;
#[cfg(hiredis)]
mod hiredis;
mod marks;
mod memcpy;
mod redis_protocol;
mod redis_rs;
mod rustis;
mod skip;
pub mod tokens;

use crate::digest::Digest;
use crate::recv::Feed;
use crate::report::{Row, Table};
use crate::timing::{Effort, Pass, interleaved};
use crate::workload::{Workload, all};
use std::hint::black_box;
use std::time::Duration;

/// The yardstick: a hand-written event parser doing the same checks.
pub const HAND: &str = "hand-written events";
/// slotwise's one-pass reader.
pub const TOKENS: &str = "slotwise Tokens";

/// Chunk sizes with their names.
const DELIVERIES: [(usize, &str); 3] = [(usize::MAX, "contiguous"), (16 << 10, "16 KiB"), (1460, "1,460 B")];

/// One parser in the race.
pub trait Contestant {
    fn name(&self) -> &'static str;
    /// A word on what it makes of the bytes.
    fn makes(&self) -> &'static str;
    /// Why it does not run on this workload.
    fn refuses(&self, _workload: &Workload) -> Option<&'static str> {
        None
    }
    /// Reads everything and reports what it saw; `None` for the limits, which understand too little to be checked.
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String>;
    /// The timed pass: reads everything and returns a number that depends on it.
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64;
}

fn contestants() -> Vec<Box<dyn Contestant>> {
    vec![
        Box::new(memcpy::Memcpy::default()),
        Box::new(skip::Skip::default()),
        Box::new(hand::Hand::default()),
        Box::new(tokens::TokenContestant::default()),
        Box::new(tokens::Whole::default()),
        Box::new(frames::FrameContestant::default()),
        Box::new(frames::Boundary::default()),
        #[cfg(hiredis)]
        Box::new(hiredis::Hiredis::no_objects()),
        #[cfg(hiredis)]
        Box::new(hiredis::Hiredis::tree()),
        Box::new(rustis::Tape::default()),
        Box::new(redis_protocol::Range::default()),
        Box::new(redis_protocol::Owned::default()),
        Box::new(redis_rs::RedisRs),
    ]
}

/// Checks a contestant against what the stream is known to hold.
fn verify(contestant: &mut dyn Contestant, workload: &Workload, chunk: usize, effort: Effort, expected: &Digest) {
    let mut feed = Feed::new(&workload.stream, chunk).with_budget(effort.pass);
    let seen = contestant.check(&mut feed);
    if feed.gave_up_at().is_some() {
        return;
    }
    let who = contestant.name();
    match seen {
        Ok(None) => {}
        Ok(Some(seen)) => assert_eq!(&seen, expected, "{who} misread {} in chunks of {chunk}", workload.name),
        Err(why) => panic!("{who} failed on {} in chunks of {chunk}: {why}", workload.name),
    }
}

/// Runs the bench; `only` picks workloads by letter.
pub fn run(quick: bool, json: bool, only: Option<&str>) {
    #[cfg(not(hiredis))]
    eprintln!("NOT MEASURED: hiredis was not found when the bench was built (Debian: libhiredis-dev)");
    let effort = Effort::new(quick);
    let mut tables = Vec::new();
    for workload in all().iter().filter(|workload| only.is_none_or(|only| only.contains(workload.id))) {
        let table = measure(workload, effort);
        if json {
            table.print_json()
        } else {
            table.print()
        }
        tables.push(table);
    }
    if !json {
        println!("\nmarks");
    }
    marks::all(&tables).iter().for_each(|mark| mark.print(json));
}

fn measure(workload: &Workload, effort: Effort) -> Table {
    let expected = hand::Hand::default()
        .check(&mut Feed::new(&workload.stream, usize::MAX))
        .expect("the hand-written parser reads its own workloads")
        .expect("a digest");
    let units =
        if workload.per_mib { workload.stream.len() as f64 / f64::from(1 << 20) } else { expected.values as f64 };
    let mut rows: Vec<Row> = contestants()
        .iter()
        .map(|contestant| Row { name: contestant.name(), makes: contestant.makes(), cells: Vec::new() })
        .collect();
    for (chunk, _) in DELIVERIES {
        // New ones for each delivery: a pass that was stopped leaves a reader in the middle of a value.
        let mut contestants = contestants();
        for contestant in contestants.iter_mut().filter(|contestant| contestant.refuses(workload).is_none()) {
            verify(contestant.as_mut(), workload, chunk, effort, &expected);
        }
        let passes = contestants
            .iter_mut()
            .map(|contestant| {
                if let Some(reason) = contestant.refuses(workload) {
                    return Err(reason);
                }
                let pass: Pass<'_> = Box::new(move |budget: Option<Duration>| {
                    let mut feed = Feed::new(&workload.stream, chunk);
                    if let Some(budget) = budget {
                        feed = feed.with_budget(budget);
                    }
                    black_box(contestant.pass(&mut feed));
                    feed.gave_up_at()
                });
                Ok(pass)
            })
            .collect();
        for (row, figure) in rows.iter_mut().zip(interleaved(passes, units, effort)) {
            row.cells.push(figure);
        }
    }
    let position = |name: &str| rows.iter().position(|row| row.name == name).expect("always in the race");
    Table {
        bench: "parse",
        title: format!("{}. {}", workload.id, workload.name),
        id: workload.id.into(),
        unit: if workload.per_mib { "ns per MiB" } else { "ns per value" },
        columns: DELIVERIES.iter().map(|(_, name)| (*name).into()).collect(),
        limit: position(HAND),
        ours: position(TOKENS),
        rows,
    }
}

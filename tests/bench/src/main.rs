//! slotwise, its peers and hand-written limits side by side in one run.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/Cargo.toml -- parse|encode|slot [--json] [--quick] [--only LETTERS]
//! cargo run --release --manifest-path tests/bench/Cargo.toml -- instructions        (needs valgrind)
//! ```
//!
//! All contestants of a workload run interleaved, and a figure is the median of 25 samples (nine with `--quick`). Every contestant's answer
//! is checked against the workload before it is timed. Ratios are to be trusted, nanoseconds are not.

mod digest;
mod encode;
mod instructions;
mod parse;
mod recv;
mod report;
mod slot;
mod timing;
mod workload;

use std::process::ExitCode;

const USAGE: &str = "usage: slotwise-bench parse|encode|slot [--json] [--quick] [--only LETTERS]
       slotwise-bench instructions [--json] [--quick]

  parse         reply streams: ns per value, beside hand-written limits and peers; --only ab picks workloads
  encode        commands: ns per command
  slot          keys: ns per key
  instructions  instruction counts of the parser under valgrind: cost of small pieces, flatness; fails on a miss

  --quick       nine short samples instead of 25
  --json        one JSON object per line";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| args.iter().any(|arg| arg == flag);
    let (quick, json) = (has("--quick"), has("--json"));
    let only = args.iter().position(|arg| arg == "--only").and_then(|at| args.get(at + 1)).map(String::as_str);
    match args.first().map(String::as_str) {
        Some("parse") => parse::run(quick, json, only),
        Some("encode") => encode::run(quick, json),
        Some("slot") => slot::run(quick, json),
        Some("instructions") => return instructions::run(quick, json),
        Some(instructions::WORKER) => return instructions::work(&args[1..]),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

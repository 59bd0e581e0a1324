//! Runs the simulator over seeds, tapes or scripts.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use slotwise_tests::sim::check::allocator::Counting;
use slotwise_tests::sim::check::windows::back_off;
use slotwise_tests::sim::check::{Planted, hang};
use slotwise_tests::sim::kinds::Fault;
use slotwise_tests::sim::options::{PROFILES, Wishes};
use slotwise_tests::sim::report;
use slotwise_tests::sim::run::{self, Report};
use slotwise_tests::sim::stats::Stats;
use slotwise_tests::sim::trace::SHOWN;
use slotwise_tests::sim::{script, shrink};

const USAGE: &str = "usage: sim [--seeds N] [--from X] [--seed X] [--profile P] [--without FAULT] [--with FAULT] [--tape FILE] [--script FILE] [--events N] [--json] [--shrink] [--canary] [--small] [--hostile] [--save FOLDER] [--plant NAME] [--planted]";

/// Counts what the engines' tables take.
#[global_allocator]
static HEAP: Counting = Counting;

#[derive(Default)]
struct Arguments {
    seeds: Option<u64>,
    from: u64,
    tape: Option<String>,
    json: bool,
    script: Option<String>,
    shrink: bool,
    verbose: bool,
    /// Where the beginning of each seed's tape goes, for the fuzzer.
    save: Option<std::path::PathBuf>,
    planted: bool,
    wishes: Wishes,
}

fn arguments() -> Result<Arguments, String> {
    let mut read = Arguments { from: 1, ..Arguments::default() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|_| format!("{text} is not a number"));
        match word.as_str() {
            "--seeds" => read.seeds = Some(number(value()?)?),
            "--from" => read.from = number(value()?)?,
            "--seed" => {
                read.from = number(value()?)?;
                read.seeds = Some(1);
                read.verbose = true;
            }
            "--tape" => read.tape = Some(value()?),
            "--events" => read.wishes.shown = Some(number(value()?)? as usize),
            "--script" => read.script = Some(value()?),
            "--shrink" => read.shrink = true,
            "--json" => read.json = true,
            "--canary" => read.wishes.canary = true,
            "--hostile" => read.wishes.hostile = true,
            "--small" => read.wishes.most = Wishes::small(false).most,
            "--save" => read.save = Some(value()?.into()),
            "--planted" => read.planted = true,
            "--plant" => {
                let name = value()?;
                let found = Planted::ALL.iter().find(|planted| planted.name() == name);
                read.wishes.planted = Some(*found.ok_or_else(|| format!("nothing of the name {name} can be planted"))?);
            }
            "--profile" => {
                let name = value()?;
                let found = PROFILES.iter().find(|(known, _)| *known == name);
                read.wishes.server = Some(found.ok_or_else(|| format!("no profile {name}"))?.1);
            }
            "--without" | "--with" => {
                let name = value()?;
                let found = Fault::ALL.iter().find(|fault| fault.name() == name);
                let found = *found.ok_or_else(|| format!("no fault {name}"))?;
                let list = if word == "--with" { &mut read.wishes.with } else { &mut read.wishes.without };
                list.push(found);
            }
            _ => return Err(format!("unknown option {word}\n{USAGE}")),
        }
    }
    Ok(read)
}

fn main() -> ExitCode {
    let read = match arguments() {
        Ok(read) => read,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    // Panics of the core are reported with the seed.
    std::panic::set_hook(Box::new(|_| {}));
    if read.planted {
        return plant(read.seeds.unwrap_or(300));
    }
    let start = Instant::now();
    let mut stats = Stats::default();
    let (mut hash, mut violations) = (0, 0_u64);
    let seeds = read.seeds.unwrap_or(1_000);
    let progress = std::io::stderr().is_terminal() && !read.json;
    if let Some(file) = &read.script {
        match std::fs::read_to_string(file)
            .map_err(|error| error.to_string())
            .and_then(|text| script::run(&text, read.wishes.shown))
        {
            Ok(report) => {
                hash = report::fold(hash, report.hash);
                stats.add(&report.stats);
            }
            Err(text) => {
                violations += 1;
                eprintln!("{file}: {text}");
            }
        }
    } else if let Some(file) = &read.tape {
        let bytes = std::fs::read(file).unwrap_or_default();
        let report = run::tape(&bytes, &read.wishes);
        violations += u64::from(tell(&format!("tape {file}"), &report));
        if read.shrink {
            make_small(file, &bytes, &read.wishes);
        }
        hash = report::fold(hash, report.hash);
        stats.add(&report.stats);
    } else {
        for seed in read.from..read.from.saturating_add(seeds) {
            hang::begin(seed);
            // One in a hundred runs twice (I12).
            let play = if seed.is_multiple_of(100) { run::seed_twice } else { run::seed };
            let report = play(seed, &read.wishes);
            if let Some(folder) = &read.save
                && let Err(error) = std::fs::write(folder.join(format!("seed-{seed}")), &report.raw_tape)
            {
                eprintln!("{}: {error}", folder.display());
                return ExitCode::from(2);
            }
            hash = report::fold(hash, report.hash);
            stats.add(&report.stats);
            if report.violation.is_some() {
                violations += 1;
                if let Some(violation) = &report.violation {
                    eprintln!("seed {seed}: I{} {}", violation.invariant, violation.text);
                }
                if violations <= 3 || read.verbose {
                    // Again, with words.
                    let shown = Some(read.wishes.shown.unwrap_or(SHOWN));
                    let told = run::seed(seed, &Wishes { shown, ..read.wishes.clone() });
                    tell(&format!("seed {seed}"), &told);
                    let file = format!("sim-{seed}.tape");
                    if std::fs::write(&file, &report.tape).is_ok() {
                        eprintln!("its tape is in {file}");
                    }
                    if read.shrink {
                        make_small(&file, &report.tape, &read.wishes);
                    }
                }
            } else if read.verbose {
                eprintln!("{:#?}", report.options);
                if read.wishes.shown.is_some() {
                    report.lines.iter().for_each(|line| eprintln!("{line}"));
                }
            }
            if progress && seed % 64 == 0 {
                eprint!("\r{} of {seeds} seeds, {violations} violations ", seed - read.from + 1);
            }
        }
    }
    hang::end();
    let elapsed = start.elapsed();
    if violations == 0
        && let Some(text) = back_off(&stats.delays)
    {
        violations += 1;
        eprintln!("I7 {text}");
    }
    if read.json {
        println!("{}", report::json(&stats, violations, hash, elapsed));
    } else {
        println!("{}", report::text(&stats, violations, hash, elapsed));
    }
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plants every violation in turn, and prints which seed noticed it.
fn plant(seeds: u64) -> ExitCode {
    let mut missed = 0;
    for planted in Planted::ALL {
        let name = format!("I{} {}", planted.invariant(), planted.name());
        match planted.caught(seeds) {
            Some((seed, violation)) => println!("{name:<24}seed {seed:<6}{}", violation.text),
            None => {
                missed += 1;
                println!("{name:<24}not noticed in {seeds} seeds");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shrinks a failure, and prints and saves what is left.
fn make_small(file: &str, tape: &[u8], wishes: &Wishes) {
    let start = Instant::now();
    let Some(small) = shrink::shrink(tape, wishes, 1_500) else { return };
    let told = run::tape(&small.tape, &Wishes { shown: Some(SHOWN), ..small.wishes.clone() });
    tell(&format!("{file}, made small in {} runs", small.runs), &told);
    let file = format!("{file}.small");
    if std::fs::write(&file, &small.tape).is_ok() {
        let without: Vec<&str> = small.wishes.without.iter().map(|fault| fault.name()).collect();
        eprintln!("the small tape is in {file}; without {without:?}, at most {:?}", small.wishes.most);
    }
    let (script, how) = shrink::render(&small);
    let file = file.replace(".tape.small", "") + ".sim";
    eprintln!("{script}");
    if std::fs::write(&file, &script).is_ok() {
        eprintln!("{how}: {file}; {} events, {} runs, {} ms", small.events, small.runs, start.elapsed().as_millis());
    }
}

/// Prints a failure; says whether it was one.
fn tell(what: &str, report: &Report) -> bool {
    let Some(violation) = &report.violation else { return false };
    eprintln!("{}", report::failure(what, report, violation));
    true
}

//! Summaries and failures, for people and for machines.

use std::fmt::Write;
use std::time::Duration;

use super::dice::mix;
use super::kinds::Fault;
use super::options::PROFILES;
use super::run::Report;
use super::stats::{ENDS, Stats};
use super::world::Violation;

/// Counts up whenever a seed may mean something else than before.
pub const VERSION: u32 = 2;

/// The hash over runs, with one more.
#[must_use]
pub const fn fold(hash: u64, more: u64) -> u64 {
    mix(hash ^ more)
}

fn hours(stats: &Stats) -> (u64, u64) {
    (stats.virtual_time / 3_600_000_000, stats.virtual_time % 3_600_000_000 / 36_000_000)
}

fn rate(stats: &Stats, elapsed: Duration) -> u64 {
    (u128::from(stats.seeds) * 1_000_000 / elapsed.as_micros().max(1)) as u64
}

/// A summary in words.
#[must_use]
pub fn text(stats: &Stats, violations: u64, hash: u64, elapsed: Duration) -> String {
    let mut text = String::new();
    let (whole, part) = hours(stats);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:<22}{value}");
    };
    line("seeds", stats.seeds.to_string());
    let profiles = PROFILES.iter().zip(stats.profiles).map(|((name, _), count)| format!("{name} {count}"));
    let profiles: Vec<String> = profiles.chain([format!("mixed {}", stats.mixed)]).collect();
    line("servers", profiles.join(", "));
    line("virtual hours", format!("{whole}.{part:02}"));
    line("events", stats.events.to_string());
    line("commands", stats.commands.to_string());
    line("executions", stats.executions.to_string());
    let ends: Vec<String> = ENDS.iter().zip(stats.ends).map(|(name, count)| format!("{name} {count}")).collect();
    line("ends", ends.join(", "));
    line("redirects", stats.redirects.to_string());
    line("dials, questions", format!("{}, {}", stats.dials, stats.questions));
    line("scans certified", format!("{} ({} without a full certificate)", stats.scans.0, stats.scans.1));
    line("messages, gaps", format!("{}, {}", stats.messages.0, stats.messages.1));
    for fault in Fault::ALL {
        let count = stats.faults[*fault as usize];
        line(if *fault == Fault::Fragment { "faults" } else { "" }, format!("{:<28}{count}", fault.name()));
    }
    for (number, count) in stats.checks.iter().enumerate().skip(1) {
        line(if number == 1 { "checks" } else { "" }, format!("{:<28}{count}", format!("I{number}")));
    }
    line("violations", violations.to_string());
    line("seeds a second", rate(stats, elapsed).to_string());
    line("trace hash", format!("{hash:016x}"));
    text.truncate(text.trim_end().len());
    text
}

/// A summary as one JSON object.
#[must_use]
pub fn json(stats: &Stats, violations: u64, hash: u64, elapsed: Duration) -> String {
    let faults: serde_json::Map<String, serde_json::Value> =
        Fault::ALL.iter().map(|fault| (fault.name().to_owned(), stats.faults[*fault as usize].into())).collect();
    let checks: serde_json::Map<String, serde_json::Value> =
        stats.checks.iter().enumerate().skip(1).map(|(n, count)| (format!("I{n}"), (*count).into())).collect();
    let ends: serde_json::Map<String, serde_json::Value> =
        ENDS.iter().zip(stats.ends).map(|(name, count)| ((*name).to_owned(), count.into())).collect();
    let profiles: serde_json::Map<String, serde_json::Value> =
        PROFILES.iter().zip(stats.profiles).map(|((name, _), count)| ((*name).to_owned(), count.into())).collect();
    serde_json::json!({
        "simulator": VERSION,
        "seeds": stats.seeds,
        "profiles": profiles,
        "mixed_profiles": stats.mixed,
        "virtual_seconds": stats.virtual_time / 1_000_000,
        "events": stats.events,
        "commands": stats.commands,
        "executions": stats.executions,
        "ends": ends,
        "redirects": stats.redirects,
        "dials": stats.dials,
        "questions": stats.questions,
        "scans_certified": stats.scans.0,
        "scans_incomplete": stats.scans.1,
        "messages": stats.messages.0,
        "gaps": stats.messages.1,
        "faults": faults,
        "checks": checks,
        "violations": violations,
        "seeds_per_second": rate(stats, elapsed),
        "trace_hash": format!("{hash:016x}"),
    })
    .to_string()
}

/// The commit the sources are of, if that is known.
#[must_use]
pub fn commit() -> Option<String> {
    let out = std::process::Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output().ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    out.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A failure: everything that is needed to see it again.
#[must_use]
pub fn failure(what: &str, report: &Report, violation: &Violation) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{what}: invariant I{} is broken: {}", violation.invariant, violation.text);
    let _ = writeln!(text, "simulator {VERSION}, commit {}", commit().unwrap_or_else(|| "unknown".to_owned()));
    let _ = writeln!(text, "options {:?}", report.options);
    let _ = writeln!(text, "trace hash {:016x}, the last events:", report.hash);
    for line in &report.lines {
        let _ = writeln!(text, "  {line}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_has_what_is_asked_for() {
        let stats = Stats { seeds: 2, virtual_time: 7_200_000_000, ..Stats::default() };
        let json: serde_json::Value = serde_json::from_str(&json(&stats, 3, 0xff, Duration::from_secs(1))).unwrap();
        assert_eq!(json["seeds"], 2);
        assert_eq!(json["violations"], 3);
        assert_eq!(json["trace_hash"], "00000000000000ff");
        assert_eq!(json["faults"].as_object().unwrap().len(), Fault::ALL.len());
        assert_eq!(json["checks"].as_object().unwrap().len(), 14);
        assert!(text(&stats, 0, 1, Duration::from_secs(1)).contains("virtual hours         2.00"));
    }
}

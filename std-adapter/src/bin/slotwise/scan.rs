//! `slotwise scan` and `slotwise unlink`: every key of the cluster, or those that match.

use std::ops::ControlFlow;

use serde_json::{Value, json};
use slotwise_std::slotwise::scan::{Certificate, Why};
use slotwise_std::slotwise::slot::SlotRange;
use slotwise_std::{Error, ScanOptions, UnlinkOptions};

use crate::connect::Cluster;
use crate::escape::{escaped, json_into};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;

/// Keys between two looks at the progress display.
const STEP: u64 = 1_024;

/// Print every key of the cluster, and say whether that was really every key.
///
/// All primaries are walked at once. A key comes once even while slots move between nodes; a slot that changed hands in the
/// middle is walked again. At the end a certificate says which slots are vouched for: a scan that cannot vouch for all
/// of them fails.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise scan redis://10.0.0.1:7000
  slotwise scan redis://10.0.0.1:7000 --match 'user:*' --count 1000 > keys
  slotwise scan redis://10.0.0.1:7000 --match '{cart}*'    one slot, so one node is asked
  slotwise scan redis://10.0.0.1:7000 --type stream --json | tail -n 1
  slotwise scan redis://10.0.0.1:7000 -0 | xargs -0 -n 1 echo

One key per line; unprintable bytes as \\xHH, a backslash as \\\\. A summary goes to standard error.
JSON: {\"key\":s} lines, and last
  {\"complete\":bool,\"keys\":N,\"pages\":N,\"proven\":N,\"walked_again\":N,
   \"unproven\":[[first,last,why]..],\"error\":s|null}

Exit codes: 0 complete, 1 some slots are not vouched for, 2 bad usage, 3 no connection.")]
pub(crate) struct ScanArgs {
    #[command(flatten)]
    cluster: Cluster,
    /// Only keys that match this glob pattern (as in SCAN MATCH)
    #[arg(long, value_name = "P")]
    r#match: Option<String>,
    #[command(flatten)]
    pages: Pages,
    /// Only keys of this type: string, list, set, zset, hash, stream
    #[arg(long, value_name = "T")]
    r#type: Option<String>,
    /// Keys as their bytes, each ended by a zero byte
    #[arg(short = '0', long = "null", conflicts_with = "json")]
    null: bool,
    /// JSON lines (described below)
    #[arg(long)]
    json: bool,
}

/// Delete every key that matches a pattern, in the background of each node (UNLINK).
///
/// Keys are found as by `slotwise scan` and unlinked slot by slot, a bounded number at a time.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise unlink redis://10.0.0.1:7000 --match 'session:*' --dry-run    how many would go
  slotwise unlink redis://10.0.0.1:7000 --match 'session:*'

JSON: {\"complete\":bool,\"dry_run\":bool,\"matched\":N,\"unlinked\":N,\"failed\":N,\"pages\":N,
       \"proven\":N,\"walked_again\":N,\"unproven\":[[first,last,why]..],\"error\":s|null}
A key that the scan met twice counts twice as matched.

Exit codes: 0 all matching keys are gone (or were counted), 1 some may be left, 2 bad usage,
3 no connection.")]
pub(crate) struct UnlinkArgs {
    #[command(flatten)]
    cluster: Cluster,
    /// Glob pattern; '*' means every key
    #[arg(long, value_name = "P")]
    r#match: String,
    #[command(flatten)]
    pages: Pages,
    /// Only keys of this type: string, list, set, zset, hash, stream
    #[arg(long, value_name = "T")]
    r#type: Option<String>,
    /// Only count what would be deleted
    #[arg(long)]
    dry_run: bool,
    /// One JSON object (described below)
    #[arg(long)]
    json: bool,
}

/// How the keys are asked for.
#[derive(clap::Args)]
struct Pages {
    /// How many keys to look at for each page; without it, as many as the nodes answer quickly
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,
    /// Be content without slots that nobody owns or whose owner cannot be reached
    #[arg(long)]
    allow_uncovered: bool,
}

impl Pages {
    fn options(&self, pattern: Option<&str>, type_name: Option<&str>) -> ScanOptions {
        let mut options = ScanOptions::new();
        if let Some(pattern) = pattern {
            options = options.matching(pattern);
        }
        if let Some(name) = type_name {
            options = options.type_name(name);
        }
        if let Some(count) = self.count {
            options = options.count(count);
        }
        if self.allow_uncovered { options.allow_uncovered() } else { options }
    }
}

/// What both verbs say of the scan at its end.
struct Summary {
    pages: u64,
    keys: u64,
    restarts: u64,
    proven: u16,
    unproven: Vec<(SlotRange, Why)>,
}

impl Summary {
    fn of(certificate: &Certificate<'_>) -> Self {
        let counts = certificate.counts();
        Self {
            pages: counts.pages,
            keys: counts.keys,
            restarts: counts.restarts,
            proven: certificate.proven().len(),
            unproven: certificate.unproven().collect(),
        }
    }

    fn unproven_json(&self) -> Value {
        let run = |(range, why): &(SlotRange, Why)| json!([range.first().get(), range.last().get(), why.name()]);
        Value::Array(self.unproven.iter().map(run).collect())
    }

    /// `pages, slots`, for people.
    fn text(&self) -> String {
        let again = match self.restarts {
            0 => String::new(),
            n => format!(", {n} slots walked again"),
        };
        format!("{} pages, {} slots vouched for{again}", self.pages, self.proven)
    }

    fn note_unproven(&self) {
        for (range, why) in self.unproven.iter().take(20) {
            eprintln!(
                "slotwise: not vouched for: slots {}-{} ({})",
                range.first().get(),
                range.last().get(),
                why.name()
            );
        }
        if self.unproven.len() > 20 {
            eprintln!("slotwise: and {} more runs of slots", self.unproven.len() - 20);
        }
    }
}

pub(crate) fn scan(args: &ScanArgs) -> Result<Exit, Failure> {
    let options = args.pages.options(args.r#match.as_deref(), args.r#type.as_deref());
    let mut client = args.cluster.open()?;
    let mut scan = client.scan(options);
    let mut out = Output::new();
    let progress = Progress::bar(16_384, true);
    let mut line = String::new();
    let mut keys = 0_u64;
    let end = loop {
        match scan.next_key() {
            Ok(Some(key)) => {
                print_key(&mut out, &mut line, key, args)?;
                keys += 1;
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
        if keys.is_multiple_of(STEP) {
            progress.at(u64::from(scan.certificate().proven().len()), || format!("{keys} keys"));
        }
    };
    drop(progress);
    let summary = Summary::of(&scan.certificate());
    if args.json {
        let line = json!({
            "complete": end.is_ok(), "keys": keys, "pages": summary.pages, "proven": summary.proven,
            "walked_again": summary.restarts, "unproven": summary.unproven_json(),
            "error": end.as_ref().err().map(Error::to_string),
        });
        out.line([line.to_string().as_bytes()])?;
    }
    out.flush()?;
    match end {
        Ok(()) => {
            eprintln!("slotwise: complete: {keys} keys, {}", summary.text());
            Ok(Exit::Done)
        }
        Err(error) => {
            eprintln!("slotwise: INCOMPLETE: {keys} keys, {}", summary.text());
            summary.note_unproven();
            Err(Failure::Cluster(error))
        }
    }
}

fn print_key(out: &mut Output, line: &mut String, key: &[u8], args: &ScanArgs) -> Result<(), Failure> {
    if args.null {
        out.raw(key)?;
        return out.raw(b"\0");
    }
    if args.json {
        line.clear();
        line.push_str("{\"key\":");
        json_into(line, key);
        line.push('}');
        return out.line([line.as_bytes()]);
    }
    if key.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\') {
        return out.line([key]);
    }
    out.line([escaped(key).as_bytes()])
}

pub(crate) fn unlink(args: &UnlinkArgs) -> Result<Exit, Failure> {
    let options = args.pages.options(Some(&args.r#match), args.r#type.as_deref());
    let mut client = args.cluster.open()?;
    let progress = Progress::bar(16_384, false);
    let verb = if args.dry_run { "would be unlinked" } else { "unlinked" };
    let report = client
        .unlink_matching(options, UnlinkOptions::new().dry_run(args.dry_run), |report| {
            let done = if args.dry_run { report.matched } else { report.unlinked };
            progress.at(u64::from(report.proven), || format!("{done} keys {verb}"));
            ControlFlow::Continue(())
        })
        .map_err(Failure::Cluster)?;
    drop(progress);
    let summary = Summary {
        pages: report.counts.pages,
        keys: report.counts.keys,
        restarts: report.counts.restarts,
        proven: report.proven,
        unproven: report.unproven.clone(),
    };
    let error = report.first_error.as_ref().map(Error::to_string);
    let error = error.or_else(|| report.incomplete.map(|incomplete| incomplete.to_string()));
    let mut out = Output::new();
    if args.json {
        let line = json!({
            "complete": report.is_complete(), "dry_run": args.dry_run, "matched": report.matched,
            "unlinked": report.unlinked, "failed": report.failed, "pages": summary.pages,
            "proven": summary.proven, "walked_again": summary.restarts, "unproven": summary.unproven_json(),
            "error": error,
        });
        out.line([line.to_string().as_bytes()])?;
    } else if args.dry_run {
        out.line([format!("{} keys match; nothing was deleted", report.matched).as_bytes()])?;
    } else {
        out.line([format!("{} keys unlinked", report.unlinked).as_bytes()])?;
    }
    out.flush()?;
    if report.is_complete() {
        eprintln!("slotwise: complete: {} keys found, {}", summary.keys, summary.text());
        return Ok(Exit::Done);
    }
    eprintln!("slotwise: INCOMPLETE: {} keys found, {} failed, {}", summary.keys, report.failed, summary.text());
    if let Some(error) = error {
        eprintln!("slotwise: {error}");
    }
    summary.note_unproven();
    Ok(Exit::Negative)
}

//! Instruction counts of the readers under valgrind's callgrind: the same in every run, so they can fail a build.
//!
//! A worker process reads one array of integers delivered in pieces of a given size; only what the reader itself
//! executes is counted. The pieces lie in one stream, so no copy is counted either.

use crate::digest::{Light, Sink as _};
use crate::parse::tokens;
use crate::report::Mark;
use crate::workload::int_array;
use slotwise::limits::Limits;
use slotwise::resp::{Frames, Status};
use std::hint::black_box;
use std::process::{Command, ExitCode};

/// The argument that makes this program the worker.
pub const WORKER: &str = "measured-worker";
/// Delivered in one piece.
const WHOLE: usize = usize::MAX;

/// Reads `stream` with `Tokens`, at most `chunk` more bytes at a time.
#[inline(never)]
#[unsafe(no_mangle)]
pub fn measured_tokens(stream: &[u8], chunk: usize) -> u64 {
    let mut light = Light::default();
    let mut reader = slotwise::resp::Tokens::<128>::new(Limits::DEFAULT);
    let (mut start, mut end) = (0, 0);
    while end < stream.len() {
        end = end.saturating_add(chunk).min(stream.len());
        start += tokens::drain(&mut reader, &stream[start..end], &mut light).expect("good bytes");
    }
    light.sum ^ light.tops
}

/// Finds the ends of the values of `stream` with `Frames`, at most `chunk` more bytes at a time.
#[inline(never)]
#[unsafe(no_mangle)]
pub fn measured_frames(stream: &[u8], chunk: usize) -> u64 {
    let mut reader = Frames::<128>::new(Limits::DEFAULT);
    let (mut start, mut end, mut tops) = (0, 0, 0);
    while end < stream.len() {
        end = end.saturating_add(chunk).min(stream.len());
        while let Status::Complete(extent) = reader.scan(&stream[start..end]).expect("good bytes") {
            start += extent.len;
            tops += 1;
        }
    }
    tops
}

/// The worker: makes the stream (not counted), then reads it.
pub fn work(args: &[String]) -> ExitCode {
    let number = |at: usize| args.get(at).and_then(|arg| arg.parse().ok()).unwrap_or(WHOLE);
    let (count, chunk) = (number(1), number(2));
    let stream = int_array(count);
    let (stream, chunk) = black_box((stream.as_slice(), chunk));
    let result = match args.first().map(String::as_str) {
        Some("tokens") => {
            let sum = measured_tokens(stream, chunk);
            let mut expected = Light::default();
            expected.head(count as u64);
            for line in stream.split(|&byte| byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
                let text = std::str::from_utf8(&line[1..line.len() - 1]).expect("ASCII");
                expected.int(text.parse().expect("an integer"));
            }
            sum == (expected.sum ^ 1)
        }
        Some("frames") => measured_frames(stream, chunk) == 1,
        _ => false,
    };
    assert!(result, "the reader misread its stream");
    ExitCode::SUCCESS
}

/// Runs one worker under callgrind and returns the instructions it executed in the measured function.
fn count(reader: &str, values: usize, chunk: usize) -> Result<f64, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let out = std::env::temp_dir().join(format!("slotwise-callgrind.{}", std::process::id()));
    let chunk = if chunk == WHOLE { "whole".into() } else { chunk.to_string() };
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=measured_*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args([WORKER, reader, &values.to_string(), &chunk])
        .output()
        .map_err(|error| format!("valgrind does not start ({error}); Debian: apt-get install valgrind"))?;
    // The file is of no use here; the total stands in the log as well.
    let _ = std::fs::remove_file(&out);
    let log = String::from_utf8_lossy(&run.stderr);
    if !run.status.success() {
        return Err(log.into_owned());
    }
    let total = log.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    total.filter(|&total: &f64| total > 0.0).ok_or_else(|| format!("no count in valgrind's log:\n{log}"))
}

/// Runs all measurements; the exit code says whether every mark was met.
pub fn run(quick: bool, json: bool) -> ExitCode {
    match measure(quick, json) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("cannot count instructions: {why}");
            ExitCode::from(2)
        }
    }
}

fn measure(quick: bool, json: bool) -> Result<bool, String> {
    let sizes: &[usize] = if quick { &[1_000, 10_000, 100_000] } else { &[10_000, 100_000, 1_000_000] };
    let largest = sizes[sizes.len() - 1];
    let mut marks = Vec::new();
    for reader in ["tokens", "frames"] {
        let mut whole = f64::NAN;
        for (chunk, name, target) in [(WHOLE, "whole", 1.0), (1460, "1,460 B pieces", 1.2), (1, "1 B pieces", 8.0)] {
            let mut per_value = Vec::new();
            for &size in sizes {
                let instructions = count(reader, size, chunk)?;
                per_value.push(instructions / size as f64);
                let per_byte = instructions / int_array(size).len() as f64;
                if json {
                    println!(
                        "{{\"bench\":\"instructions\",\"reader\":\"{reader}\",\"integers\":{size},\"delivery\":\"{name}\",\
                         \"per_byte\":{per_byte:.4},\"per_value\":{:.3}}}",
                        instructions / size as f64
                    );
                } else {
                    println!(
                        "{reader:<7} {size:>9} integers, {name:<15} {per_byte:>8.3} instructions/byte {:>8.2} /value",
                        instructions / size as f64
                    );
                }
                if size == largest {
                    if chunk == WHOLE {
                        whole = per_byte;
                    } else {
                        let name = format!("{reader}: {size} integers in {name} against whole");
                        marks.push(Mark { name, measured: per_byte / whole, target, at_most: true });
                    }
                }
            }
            let most = per_value.iter().copied().fold(f64::MIN, f64::max);
            let least = per_value.iter().copied().fold(f64::MAX, f64::min);
            let name = format!("{reader}: {name}, most against least per value over {sizes:?}");
            marks.push(Mark { name, measured: most / least, target: 1.02, at_most: true });
        }
    }
    marks.iter().for_each(|mark| mark.print(json));
    Ok(marks.iter().all(Mark::met))
}

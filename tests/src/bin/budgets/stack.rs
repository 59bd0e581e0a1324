//! The worst stack below slotwise's entry points, from the compiler's frame sizes and the calls in the machine code.
//!
//! It sees direct calls and tail calls. It does not see through function pointers (calls of closures handed in as `dyn`),
//! and gives up on recursion; both are counted and told. The painted stack of the same image, which sees all of what was
//! really called, is held against it.

use std::collections::{BTreeMap, BTreeSet};

use crate::Figure;
use crate::build::{Build, tool};
use crate::emulate::Run;

/// Frames, calls and names by address.
#[derive(Default)]
struct Program {
    frames: BTreeMap<u64, u64>,
    names: BTreeMap<u64, String>,
    /// Targets, and whether the call is the caller's last act.
    calls: BTreeMap<u64, BTreeSet<(u64, bool)>>,
    indirect: BTreeSet<u64>,
}

/// The static bound over all entry points, and the painted depth of each.
pub(crate) fn measure(run: &Run) -> Result<Vec<Figure>, String> {
    let path = Build { image: "engine", target: "thumbv7m", level: "s", measure: true }.path()?;
    let mut program = Program::default();
    program.read_frames(&tool("llvm-readobj", &["--stack-sizes"], &path)?, &tool("llvm-nm", &[], &path)?)?;
    program.read_calls(&tool("llvm-objdump", &["-d", "--no-show-raw-insn"], &path)?);
    let is_entry = |name: &str| name.contains("7measure3how4step");
    let entries: Vec<u64> = program.names.iter().filter(|(_, name)| is_entry(name)).map(|(at, _)| *at).collect();
    if entries.is_empty() {
        return Err("no entry points in the measuring image".into());
    }
    let mut walk = Walk::default();
    let worst = entries.iter().map(|entry| program.depth(*entry, &mut walk)).max().unwrap_or(0);
    let pointers = program.indirect.iter().filter(|at| walk.known.contains_key(at)).count() as u64;
    let painted = run.painted();
    let deepest = painted.iter().map(|figure| figure.value).max().unwrap_or(0);
    if deepest == 0 || (deepest > worst && pointers == 0) {
        return Err(format!("the painted stack ({deepest}) does not agree with the frames ({worst})"));
    }
    let mut figures = vec![
        Figure::new("stack", "frames and calls", worst),
        Figure::new("stack", "functions below that call through pointers, not followed", pointers),
        Figure::new("stack", "functions below that call themselves, counted once", walk.recursive.len() as u64),
        Figure::new("stack", "painted, deepest", deepest),
    ];
    figures.extend(painted);
    Ok(figures)
}

impl Program {
    fn read_frames(&mut self, sizes: &str, symbols: &str) -> Result<(), String> {
        for line in symbols.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            if let [at, kind, name] = words[..]
                && let Ok(at) = u64::from_str_radix(at, 16)
                && kind.eq_ignore_ascii_case("t")
            {
                self.names.insert(at & !1, name.to_owned());
            }
        }
        let by_name: BTreeMap<&str, u64> = self.names.iter().map(|(at, name)| (name.as_str(), *at)).collect();
        let mut functions = Vec::new();
        for line in sizes.lines().map(str::trim) {
            if let Some(list) = line.strip_prefix("Functions: [") {
                functions = list.trim_end_matches(']').split(", ").map(str::to_owned).collect();
            } else if let Some(size) = line.strip_prefix("Size: ") {
                let hex = size.trim_start_matches("0x");
                let size = u64::from_str_radix(hex, 16).map_err(|_| format!("not understood: {line}"))?;
                for name in functions.drain(..) {
                    if let Some(at) = by_name.get(name.as_str()) {
                        self.frames.insert(*at, size);
                    }
                }
            }
        }
        if self.frames.is_empty() { Err("no stack sizes in the image".into()) } else { Ok(()) }
    }

    fn read_calls(&mut self, code: &str) {
        let mut here = 0;
        for line in code.lines() {
            if let Some((at, _)) = line.strip_suffix(">:").and_then(|line| line.split_once(" <")) {
                here = u64::from_str_radix(at, 16).unwrap_or(0);
                continue;
            }
            let Some((_, code)) = line.split_once(":\t").or_else(|| line.split_once(": ")) else { continue };
            let mut words = code.split_whitespace();
            let (Some(name), Some(operand)) = (words.next(), words.next()) else { continue };
            if name == "blx" && !operand.starts_with("0x") || name == "bx" && operand != "lr" {
                self.indirect.insert(here);
            }
            let target = operand.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok());
            let Some(target) = target.map(|at| at & !1) else { continue };
            if name.starts_with("bl") && !["ble", "blt", "bls", "blo"].contains(&name.trim_end_matches(".w")) {
                self.calls.entry(here).or_default().insert((target, false));
            } else if name.starts_with('b') && self.names.contains_key(&target) && target != here {
                self.calls.entry(here).or_default().insert((target, true));
            }
        }
    }

    /// The greatest depth from `at` on. A function that is on the way already is not entered again.
    fn depth(&self, at: u64, walk: &mut Walk) -> u64 {
        if let Some(known) = walk.known.get(&at) {
            return *known;
        }
        if walk.path.contains(&at) {
            walk.recursive.insert(at);
            return 0;
        }
        walk.path.push(at);
        let own = self.frames.get(&at).copied().unwrap_or(0);
        let mut deepest = own;
        for (target, tail) in self.calls.get(&at).into_iter().flatten() {
            let below = self.depth(*target, walk);
            // The frame is gone before a tail call.
            deepest = deepest.max(if *tail { below } else { own + below });
        }
        walk.path.pop();
        walk.known.insert(at, deepest);
        deepest
    }
}

/// What a walk over the calls has seen.
#[derive(Default)]
struct Walk {
    known: BTreeMap<u64, u64>,
    path: Vec<u64>,
    recursive: BTreeSet<u64>,
}

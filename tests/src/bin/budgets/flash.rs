//! Flash: what an image takes of it.

use std::path::Path;

use crate::Figure;
use crate::build::{Build, TARGETS, tool};

const IMAGES: [&str; 2] = ["minimal", "engine"];
/// One for each room.
const PROBES: [&str; 0] = [];

/// Measures `.text`, `.rodata` and the initial values of `.data` together.
pub(crate) fn measure(all: bool) -> Result<Vec<Figure>, String> {
    let mut figures = Vec::new();
    for level in ["s", "z"] {
        for (target, _) in TARGETS {
            let once = target == "thumbv7m";
            for image in IMAGES.into_iter().filter(|_| level == "s" || once || all) {
                figures.push(one(Build { image, target, level, measure: false })?);
            }
            for image in PROBES.into_iter().filter(|_| (level == "s" && once) || all) {
                figures.push(one(Build { image, target, level, measure: false })?);
            }
        }
    }
    // What links every public function of the core, as it stands.
    for (target, _) in TARGETS {
        no_panics(&Build { image: "every", target, level: "s", measure: false }.path()?)?;
    }
    let engine = Build { image: "engine", target: "thumbv7m", level: "s", measure: false }.path()?;
    figures.push(Figure::new("flash", "command table", table(&engine)?));
    Ok(figures)
}

fn one(build: Build<'_>) -> Result<Figure, String> {
    let path = build.path()?;
    if build.level == "s" {
        no_panics(&path)?;
    }
    let sizes = tool("llvm-size", &["-A"], &path)?;
    let section = |line: &str| {
        let mut words = line.split_whitespace();
        let kept = [".text", ".rodata", ".data"].contains(&words.next()?);
        words.next()?.parse::<u64>().ok().filter(|_| kept)
    };
    let total = sizes.lines().filter_map(section).sum();
    if total == 0 {
        return Err(format!("{}: no sections", path.display()));
    }
    Ok(Figure::new("flash", format!("{} {} {}", build.image, build.target, build.level), total))
}

/// The image has linked, so nothing in it calls the panic handler; its symbols must say the same.
fn no_panics(path: &Path) -> Result<(), String> {
    let names = tool("llvm-nm", &["--demangle"], path)?;
    if !names.contains("slotwise") {
        return Err(format!("{}: no symbols to look at", path.display()));
    }
    match names.lines().find(|line| line.contains("core::panicking")) {
        Some(line) => Err(format!("{} holds a panic: {line}", path.display())),
        None => Ok(()),
    }
}

/// The packed command table: names, entries, buckets and key specifications.
fn table(path: &Path) -> Result<u64, String> {
    let names = tool("llvm-nm", &["-S", "--demangle"], path)?;
    let is = |line: &&str| line.contains("command::table::FULL_PACKED") || line.contains("command::generated::SPECS");
    Ok(names.lines().filter(is).filter_map(size).sum())
}

fn size(line: &str) -> Option<u64> {
    u64::from_str_radix(line.split_whitespace().nth(1)?, 16).ok()
}

/// Prints the largest symbols, and the sum of each room.
pub(crate) fn symbols(image: &str, target: &str) -> Result<(), String> {
    let path = Build { image, target, level: "s", measure: false }.path()?;
    let names = tool("llvm-nm", &["-S", "--size-sort", "--reverse-sort", "--demangle"], &path)?;
    let mut rooms = std::collections::BTreeMap::<String, u64>::new();
    for line in names.lines() {
        let room = line.split("slotwise::").nth(1).and_then(|rest| rest.split("::").next());
        let room = if line.contains("slotwise_images") { Some("(image)") } else { room };
        *rooms.entry(room.unwrap_or("(other)").to_owned()).or_default() += size(line).unwrap_or(0);
    }
    names.lines().take(60).for_each(|line| println!("{line}"));
    rooms.iter().for_each(|(room, bytes)| println!("{bytes:7} {room}"));
    Ok(())
}

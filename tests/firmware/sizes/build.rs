//! Reads the memory map in the guide for firmware authors and writes one assertion for each of its types.

use std::fmt::Write as _;
use std::{env, fs, path::PathBuf};

const GUIDE: &str = "../../../embedded-adapter/src/guide.md";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={GUIDE}");
    let guide = fs::read_to_string(GUIDE).expect("the guide is where it was");
    let map = guide.split("# A memory map").nth(1).and_then(|rest| rest.split("\n# ").next());
    let mut checks = String::new();
    let (mut sum, mut types, mut stated) = (0, 0, None);
    for row in map.expect("the guide has a memory map").lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let (Some(what), Some(bytes)) = (cells.next(), cells.next()) else { continue };
        let Ok(bytes) = bytes.replace(',', "").parse::<usize>() else { continue };
        if what == "sum" {
            stated = Some(bytes);
            continue;
        }
        sum += bytes;
        if let Some((name, _)) = what.strip_prefix('`').and_then(|rest| rest.split_once('`')) {
            types += 1;
            writeln!(checks, "const _: () = holds(size_of::<{name}>(), {bytes});").expect("a string takes it");
        }
    }
    assert!(types >= 6, "{types} types in the memory map");
    assert_eq!(stated, Some(sum), "the sum of the memory map");
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("checks.rs"), checks).expect("OUT_DIR can be written");
}

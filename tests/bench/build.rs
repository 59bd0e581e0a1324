//! Looks for the hiredis C library and says loudly when it is missing: the bench then runs without those contestants.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=HIREDIS_INCLUDE");
    let folder = std::env::var("HIREDIS_INCLUDE").unwrap_or_else(|_| "/usr/include/hiredis".into());
    let header = Path::new(&folder).join("hiredis.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let Ok(text) = std::fs::read_to_string(&header) else {
        println!(
            "cargo::warning=no {}: the hiredis contestants are left out (Debian: libhiredis-dev)",
            header.display()
        );
        return;
    };
    // The table of object functions grew in 1.0 (doubles and booleans), so the two majors are called differently.
    match text.lines().find_map(|line| line.strip_prefix("#define HIREDIS_MAJOR ")).map(str::trim) {
        Some(major @ ("0" | "1")) => {
            println!("cargo::rustc-cfg=hiredis");
            println!("cargo::rustc-cfg=hiredis=\"{major}\"");
            println!("cargo::rustc-link-lib=hiredis");
        }
        other => println!("cargo::warning=hiredis major {other:?} is not known: its contestants are left out"),
    }
}

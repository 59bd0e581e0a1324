//! The hand-written mutants still apply to the core, and what is said of the others is still said of lines that exist.
//! `tests/mutants.sh` runs them.

use std::path::Path;
use std::process::Command;

#[test]
fn every_mutant_still_applies() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mutants.sh");
    let output = Command::new("bash").arg(script).arg("--check").output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("patches apply"), "{said}");
}

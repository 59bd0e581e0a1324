//! Writes the command table of the core from what live servers said of their commands.
//!
//! `gen-commands` prints the table; `gen-commands --write` puts it where it belongs; `gen-commands --check` fails when
//! what stands there differs. The facts are COMMAND replies of Redis 8.6.3 and Valkey 9.1.2 in `tests/facts`.

mod facts;
mod knowledge;
mod render;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let facts = ["commands-redis-8.6.3.json", "commands-valkey-9.1.2.json"].map(|name| root.join("facts").join(name));
    let target: PathBuf = root.join("../core/src/command/generated.rs");
    let text = match facts::load(&facts).map(|rows| render::render(&rows)) {
        Ok(text) => text,
        Err(why) => {
            eprintln!("gen-commands: {why}");
            return ExitCode::from(2);
        }
    };
    match std::env::args().nth(1).as_deref() {
        None => print!("{text}"),
        Some("--write") => {
            if let Err(why) = fs::write(&target, text) {
                eprintln!("gen-commands: {}: {why}", target.display());
                return ExitCode::from(2);
            }
        }
        Some("--check") => {
            if fs::read_to_string(&target).ok().as_deref() != Some(&text) {
                eprintln!("gen-commands: {} is not what the facts give: run with --write", target.display());
                return ExitCode::FAILURE;
            }
        }
        Some(other) => {
            eprintln!("gen-commands: unknown argument {other}; use --write, --check or nothing");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

//! What must not stand in the repository: paths of one machine, hosts of one registry, unfinished code, switched-off
//! tests, sources that only one machine has.

use std::fs;
use std::path::{Path, PathBuf};

/// A text that must not appear, and why. Spelled in two halves, so that this file does not find itself.
const FORBIDDEN: [(&str, &str, &str); 12] = [
    ("/wo", "rk/", "a path of one machine"),
    ("/ro", "ot/", "a path of one machine"),
    ("/ho", "me/", "a path of one machine"),
    ("/Us", "ers/", "a path of one machine"),
    ("todo", "!(", "unfinished code"),
    ("unimple", "mented!(", "unfinished code"),
    ("#[ign", "ore", "a test that is switched off"),
    ("regist", "ry = \"http", "a crate registry of one machine"),
    ("replace", "-with", "a crate registry of one machine"),
    ("sparse", "+http", "a crate registry of one machine"),
    ("dbg", "!(", "left-over debugging"),
    ("clippy::a", "ll)]", "lints switched off wholesale"),
];

/// Text files that people write.
const KINDS: [&str; 9] = ["rs", "toml", "md", "sh", "lock", "yml", "yaml", "json", "x"];

struct Found {
    place: String,
    why: String,
}

/// The violations of one file's text.
fn check(path: &str, text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (head, tail, why) in FORBIDDEN {
            if line.contains(&format!("{head}{tail}")) {
                found.push(Found { place: format!("{path}:{}", number + 1), why: format!("{why}: {head}{tail}") });
            }
        }
        // A lock file names where each crate came from; only the public registry is portable.
        if path.ends_with("Cargo.lock")
            && let Some(source) = line.strip_prefix("source = ")
            && source != "\"registry+https://github.com/rust-lang/crates.io-index\""
        {
            found.push(Found { place: format!("{path}:{}", number + 1), why: format!("source {source}") });
        }
    }
    found
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let name = entry.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if entry.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "corpus" | "artifacts" | "coverage") {
                collect(&entry, out);
            }
        } else if name != ".git" {
            let kind = entry.extension().map(|kind| kind.to_string_lossy().into_owned());
            // Scripts without an ending (`.ci/run`, `tests/run`) count as well.
            if kind.as_deref().is_none_or(|kind| KINDS.contains(&kind)) {
                out.push(entry);
            }
        }
    }
}

#[test]
fn the_repository_is_clean() {
    let mut files = Vec::new();
    collect(&repository(), &mut files);
    assert!(files.len() > 20, "only {} files found", files.len());
    let mut lines = Vec::new();
    for file in files {
        // Binary files without an ending are not text.
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let path = file.strip_prefix(repository()).unwrap_or(&file).to_string_lossy().into_owned();
        lines.extend(check(&path, &text).into_iter().map(|found| format!("{}: {}", found.place, found.why)));
    }
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn every_forbidden_text_is_found() {
    for (head, tail, _) in FORBIDDEN {
        let found = check("some/file.rs", &format!("fine\nlet x = {head}{tail}\n"));
        assert_eq!(found.len(), 1, "{head}{tail}");
        assert_eq!(found[0].place, "some/file.rs:2");
    }
    assert_eq!(check("a/Cargo.lock", "source = \"registry+https://example.org/index\"").len(), 1);
    assert!(check("a/Cargo.lock", "source = \"registry+https://github.com/rust-lang/crates.io-index\"").is_empty());
}

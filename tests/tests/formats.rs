//! Every public value of the core and of the embedded adapter can be logged with defmt.
//!
//! A value is a type that can be copied and compared: ids, errors, events, decisions, counts, options. Machines, tables,
//! iterators and views are not meant for a log.

use std::fs;
use std::path::{Path, PathBuf};

/// A public type without a format.
#[derive(Debug, PartialEq, Eq)]
struct Missing {
    line: usize,
    name: String,
}

/// The name of the public type that a line declares.
fn declared(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

/// Looks through one file. Attributes and comments stand directly in front of their item, as rustfmt leaves them.
fn look(text: &str) -> (usize, Vec<Missing>) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut values, mut missing) = (0, Vec::new());
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = declared(line) else { continue };
        let before = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("///"));
        let attributes: Vec<&str> = before.filter(|line| line.starts_with("#[")).copied().collect();
        let derives = |what: &str| {
            let words = |line: &&str| line.split(|c: char| !c.is_alphanumeric()).any(|word| word == what);
            attributes.iter().any(|line| line.starts_with("#[derive(") && words(line))
        };
        if !derives("Copy") || !derives("PartialEq") {
            continue;
        }
        values += 1;
        let derived = attributes.contains(&r#"#[cfg_attr(feature = "defmt", derive(defmt::Format))]"#);
        let written = text.contains(&format!("defmt::Format for {name}"));
        if !derived && !written {
            missing.push(Missing { line: at + 1, name: name.to_owned() });
        }
    }
    (values, missing)
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, out);
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            out.push(entry);
        }
    }
}

#[test]
fn every_public_value_has_a_format() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    sources(&top.join("core/src"), &mut files);
    sources(&top.join("embedded-adapter/src"), &mut files);
    let (mut values, mut report) = (0, String::new());
    for file in files {
        let (count, missing) = look(&fs::read_to_string(&file).expect("a text"));
        values += count;
        for Missing { line, name } in missing {
            report += &format!("\n{}:{line}: {name}", file.strip_prefix(&top).unwrap_or(&file).display());
        }
    }
    assert!(report.is_empty(), "without defmt::Format:{report}");
    assert!(values > 100, "only {values} values were found");
}

#[test]
fn the_look_finds_what_is_missing() {
    let format = "#[cfg_attr(feature = \"defmt\", derive(defmt::Format))]";
    let value = |attribute: &str| {
        format!(
            "/// Doc.\n#[derive(Clone, Copy, Debug, PartialEq, Eq)]\n{attribute}\n#[must_use]\npub enum Fate {{\n    A,\n}}\n"
        )
    };
    assert_eq!(look(&value("#[non_exhaustive]")), (1, vec![Missing { line: 5, name: "Fate".to_owned() }]));
    assert_eq!(look(&value(format)), (1, Vec::new()));
    let written = value("#[non_exhaustive]") + "impl defmt::Format for Fate {}";
    assert_eq!(look(&written), (1, Vec::new()));
    // Not a value, and not public.
    assert_eq!(look("#[derive(Debug)]\npub struct Machine {\n"), (0, Vec::new()));
    assert_eq!(look("#[derive(Clone, Copy, PartialEq)]\npub(crate) struct Inner {\n"), (0, Vec::new()));
}

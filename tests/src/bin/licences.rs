//! Holds the licences and sources of all dependencies against `deny.toml`, where `cargo deny` is not at hand:
//!
//! ```text
//! cargo metadata --locked --format-version 1 | cargo run -p slotwise-tests --bin licences
//! ```
//!
//! Fails when a package has no licence that the list allows, or comes from elsewhere than the public registry.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use serde_json::Value as Json;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

fn main() -> ExitCode {
    match check() {
        Ok((packages, wrong)) if wrong.is_empty() => {
            println!("licences: {packages} packages, all allowed");
            ExitCode::SUCCESS
        }
        Ok((_, wrong)) => {
            wrong.iter().for_each(|line| eprintln!("licences: {line}"));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("licences: {why}");
            ExitCode::from(2)
        }
    }
}

/// How many packages there are, and what is wrong with some.
fn check() -> Result<(usize, Vec<String>), String> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let list = std::fs::read_to_string(list).map_err(|error| format!("deny.toml: {error}"))?;
    let allowed = allowed(&list).ok_or("deny.toml has no list `allow` of licences")?;
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    let metadata: Json = serde_json::from_str(&text).map_err(|error| format!("standard input: {error}"))?;
    let packages = metadata["packages"].as_array().ok_or("standard input is no output of cargo metadata")?;
    if packages.is_empty() {
        return Err("no packages".into());
    }
    let mut wrong = Vec::new();
    for package in packages {
        let name =
            format!("{} {}", package["name"].as_str().unwrap_or("?"), package["version"].as_str().unwrap_or("?"));
        match package["license"].as_str() {
            None => wrong.push(format!("{name}: no licence")),
            Some(text) if !Expression::allows(text, &allowed) => wrong.push(format!("{name}: {text}")),
            Some(_) => {}
        }
        if let Some(source) = package["source"].as_str().filter(|source| *source != REGISTRY) {
            wrong.push(format!("{name}: comes from {source}"));
        }
    }
    Ok((packages.len(), wrong))
}

/// The list `allow` of the table `licenses`, which stands in one line.
fn allowed(text: &str) -> Option<Vec<&str>> {
    let line = text.lines().skip_while(|line| *line != "[licenses]").find_map(|line| line.strip_prefix("allow = ["))?;
    Some(line.trim_end_matches(']').split(',').map(|word| word.trim().trim_matches('"')).collect())
}

/// A licence expression (SPDX, and the older `A/B` for `A OR B`), read from its end to its beginning.
struct Expression<'a> {
    words: Vec<String>,
    allowed: &'a [&'a str],
}

impl<'a> Expression<'a> {
    /// Whether the expression can be met with allowed licences alone. What cannot be read is not.
    fn allows(text: &str, allowed: &'a [&'a str]) -> bool {
        let spaced = text.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
        let words = spaced.split_whitespace().rev().map(str::to_owned).collect();
        let mut expression = Expression { words, allowed };
        expression.any() == Some(true) && expression.words.is_empty()
    }

    fn takes(&mut self, word: &str) -> bool {
        let found = self.words.last().is_some_and(|next| next == word);
        if found {
            self.words.pop();
        }
        found
    }

    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.takes("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.takes("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.takes("(") {
            let met = self.any()?;
            return self.takes(")").then_some(met);
        }
        let mut name = self.words.pop()?;
        if self.takes("WITH") {
            name = format!("{name} WITH {}", self.words.pop()?);
        }
        Some(self.allowed.contains(&name.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::{Expression, allowed};

    #[test]
    fn expressions() {
        let list = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for text in ["MIT", "GPL-3.0 OR MIT", "(MIT OR Apache-2.0) AND Unicode-3.0", "Unlicense/MIT"] {
            assert!(Expression::allows(text, &list), "{text}");
        }
        for text in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR GPL-3.0) AND GPL-3.0", "MIT OR", "(MIT", "Apache-2.0 WITH X"]
        {
            assert!(!Expression::allows(text, &list), "{text}");
        }
    }

    #[test]
    fn the_list_is_found() {
        assert_eq!(allowed("x\n[licenses]\nallow = [\"A\", \"B\"]\n"), Some(vec!["A", "B"]));
        assert_eq!(allowed("allow = [\"A\"]\n[licenses]\n"), None);
    }
}

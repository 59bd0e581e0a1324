//! The table in the README.

use crate::Figure;
use crate::build::top;

const BEGIN: &str = "<!-- budgets: cargo run -p slotwise-tests --bin budgets -- --update -->";
const END: &str = "<!-- end of budgets -->";

/// One row for each figure.
pub(crate) fn markdown(figures: &[Figure]) -> String {
    let mut text = String::from("| | of what | measured |\n|---|---|--:|\n");
    for figure in figures {
        text.push_str(&format!("| {} | {} | {} |\n", figure.kind, figure.name, figure.value));
    }
    text
}

/// Whether two tables say the same: the same words, and numbers within 3 percent or 64.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let (one, other) = (words(one), words(other));
    one.len() == other.len()
        && one.iter().zip(&other).all(|(one, other)| match (one.parse::<u64>(), other.parse::<u64>()) {
            (Ok(one), Ok(other)) => one.abs_diff(other) <= 64.max(one * 3 / 100),
            _ => one == other,
        })
}

fn split(readme: &str) -> Result<(&str, &str, &str), String> {
    let (front, rest) = readme.split_once(BEGIN).ok_or(format!("README.md has no line {BEGIN}"))?;
    let (table, back) = rest.split_once(END).ok_or(format!("README.md has no line {END}"))?;
    Ok((front, table, back))
}

/// Holds the README's table against this one.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let readme = std::fs::read_to_string(top().join("README.md")).map_err(|error| format!("README.md: {error}"))?;
    if same(split(&readme)?.1, text) {
        return Ok(());
    }
    Err("the README's table is out of date: cargo run -p slotwise-tests --bin budgets -- --update".into())
}

/// Writes this table into the README.
pub(crate) fn update(text: &str) -> Result<(), String> {
    let path = top().join("README.md");
    let readme = std::fs::read_to_string(&path).map_err(|error| format!("README.md: {error}"))?;
    let (front, _, back) = split(&readme)?;
    std::fs::write(&path, format!("{front}{BEGIN}\n\n{text}\n{END}{back}"))
        .map_err(|error| format!("README.md: {error}"))
}

//! The file of budgets: one line each, `KIND NAME = NUMBER`.

use crate::Figure;
use crate::build::top;

/// Upper bounds by kind and name.
pub(crate) struct Budgets(Vec<(String, u64)>);

/// Reads the file in the repository.
pub(crate) fn read() -> Result<Budgets, String> {
    let path = top().join("tests/firmware/budgets");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Budgets::parse(&text)
}

impl Budgets {
    /// Reads lines; `#` begins a comment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let entry = |line: &str| {
            let (name, number) = line.split_once('=')?;
            Some((name.trim().to_owned(), number.trim().parse().ok()?))
        };
        let entries = lines.map(|line| entry(line).ok_or(format!("budgets: cannot be read: {line}")));
        Ok(Self(entries.collect::<Result<_, _>>()?))
    }

    /// What is above its budget, what has a budget and was not measured, and flash without a budget.
    pub(crate) fn exceeded(&self, figures: &[Figure]) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, budget) in &self.0 {
            match figures.iter().find(|figure| format!("{} {}", figure.kind, figure.name) == *name) {
                Some(figure) if figure.value > *budget => {
                    wrong.push(format!("{name}: {} is more than {budget}", figure.value));
                }
                Some(_) => {}
                None => wrong.push(format!("{name}: was not measured")),
            }
        }
        wrong
    }
}

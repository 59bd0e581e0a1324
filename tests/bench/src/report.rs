//! Tables for people, one JSON object per line for machines, and marks.

use crate::timing::Figure;
use std::fmt::Write as _;

/// One table: a row per contestant, a column per delivery or size.
pub struct Table {
    pub bench: &'static str,
    pub title: String,
    /// Short identity of the workload in machine output.
    pub id: String,
    pub unit: &'static str,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
    /// Index of the row every other is divided by as "the limit", and of slotwise's own.
    pub limit: usize,
    pub ours: usize,
}

pub struct Row {
    pub name: &'static str,
    /// What the contestant makes of the bytes.
    pub makes: &'static str,
    pub cells: Vec<Figure>,
}

impl Table {
    /// The median of a row by name, where it has one; a lower bound counts.
    pub fn value(&self, name: &str, column: usize) -> Option<f64> {
        self.rows.iter().find(|row| row.name == name)?.cells.get(column)?.value()
    }

    fn base(&self, row: usize, column: usize) -> f64 {
        self.rows.get(row).and_then(|row| row.cells.get(column)?.value()).unwrap_or(f64::NAN)
    }

    pub fn print(&self) {
        println!("\n{}: {} ({}; x limit, x slotwise)", self.bench, self.title, self.unit);
        let name = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        let makes = self.rows.iter().map(|row| row.makes.len()).max().unwrap_or(0);
        let mut line = format!("  {:name$}  {:makes$}", "contestant", "makes");
        for column in &self.columns {
            let _ = write!(line, "  {column:>23}");
        }
        println!("{line}");
        for row in &self.rows {
            let mut line = format!("  {:name$}  {:makes$}", row.name, row.makes);
            for (column, cell) in row.cells.iter().enumerate() {
                let (limit, ours) = (self.base(self.limit, column), self.base(self.ours, column));
                let text = match cell {
                    Figure::None(reason) => format!("- {reason}"),
                    Figure::Timed { median, .. } => {
                        format!("{} {:>6} {:>6}", number(*median), ratio(median / limit), ratio(median / ours))
                    }
                    Figure::AtLeast(value) => {
                        format!(">{} {:>6} {:>6}", number(*value), ratio(value / limit), ratio(value / ours))
                    }
                };
                let _ = write!(line, "  {text:>23}");
            }
            println!("{line}");
        }
    }

    pub fn print_json(&self) {
        for row in &self.rows {
            for (column, cell) in self.columns.iter().zip(&row.cells) {
                let figures = match cell {
                    Figure::Timed { median, least, samples } => {
                        format!("\"median\":{median:.3},\"least\":{least:.3},\"samples\":{samples}")
                    }
                    Figure::AtLeast(value) => format!("\"at_least\":{value:.3}"),
                    Figure::None(reason) => format!("\"left_out\":{}", quoted(reason)),
                };
                println!(
                    "{{\"bench\":{},\"workload\":{},\"column\":{},\"contestant\":{},\"makes\":{},\"unit\":{},{figures}}}",
                    quoted(self.bench),
                    quoted(&self.id),
                    quoted(column),
                    quoted(row.name),
                    quoted(row.makes),
                    quoted(self.unit),
                );
            }
        }
    }
}

fn number(value: f64) -> String {
    if value >= 1e6 {
        format!("{:.2}M", value / 1e6)
    } else if value >= 1e4 {
        format!("{:.1}k", value / 1e3)
    } else if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.1}")
    }
}

fn ratio(value: f64) -> String {
    if value.is_nan() {
        "-".into()
    } else if value >= 100.0 {
        format!("{value:.0}x")
    } else {
        format!("{value:.2}x")
    }
}

/// A JSON string of plain text.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A target and what was measured against it.
pub struct Mark {
    pub name: String,
    pub measured: f64,
    pub target: f64,
    /// `true`: the measured ratio may be at most the target; `false`: must be at least.
    pub at_most: bool,
}

impl Mark {
    pub fn met(&self) -> bool {
        if self.at_most { self.measured <= self.target } else { self.measured >= self.target }
    }

    pub fn print(&self, json: bool) {
        let word = if self.met() { "PASS" } else { "MISS" };
        if json {
            println!(
                "{{\"mark\":{},\"measured\":{:.3},\"target\":{},\"at_most\":{},\"met\":{}}}",
                quoted(&self.name),
                self.measured,
                self.target,
                self.at_most,
                self.met()
            );
        } else {
            let side = if self.at_most { "at most" } else { "at least" };
            println!("{word}  {:<72} {:>8.3}  ({side} {})", self.name, self.measured, self.target);
        }
    }
}

//! The marks that slotwise's readers are held to, as ratios inside one run.

use super::{HAND, TOKENS};
use crate::report::{Mark, Table};

/// Workloads of small values: in the others the copy dominates.
const SMALL: &str = "abcfghijk";
/// The column of 16 KiB pieces, what a socket read usually gives.
const PIECES: usize = 1;
const C_READER: &str = "hiredis, no objects";
const RUST_PEERS: [&str; 4] =
    ["rustis tape", "redis-protocol decode_range", "redis-protocol decode", "redis-rs Parser"];

struct Ratio<'t> {
    table: &'t Table,
    over: &'t str,
    under: &'t str,
}

impl Ratio<'_> {
    fn at(&self, column: usize) -> Option<f64> {
        Some(self.table.value(self.over, column)? / self.table.value(self.under, column)?)
    }

    /// The worst of all deliveries as a mark that may not be passed.
    fn worst(&self, target: f64) -> Option<Mark> {
        let (column, measured) = (0..self.table.columns.len())
            .filter_map(|column| Some((column, self.at(column)?)))
            .max_by(|a, b| a.1.total_cmp(&b.1))?;
        let name = format!("{}: {} / {} (worst: {})", self.table.id, self.over, self.under, self.table.columns[column]);
        Some(Mark { name, measured, target, at_most: true })
    }

    /// In 16 KiB pieces, as a mark that must be reached.
    fn behind(&self, target: f64) -> Option<Mark> {
        let name = format!("{}: {} / {} (16 KiB)", self.table.id, self.over, self.under);
        Some(Mark { name, measured: self.at(PIECES)?, target, at_most: false })
    }
}

/// All marks that the measured tables allow.
pub fn all(tables: &[Table]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let ratio = |table, over, under| Ratio { table, over, under };
    for table in tables {
        let small = SMALL.contains(table.id.as_str());
        if table.id != "e" {
            marks.extend(ratio(table, TOKENS, HAND).worst(1.3));
            let slack = if table.id == "f" { 3.5 } else { 2.5 };
            marks.extend(ratio(table, super::frames::FRAME, TOKENS).worst(slack));
        }
        if small {
            let tape = if table.id == "k" { 1.3 } else { 1.8 };
            let targets = [(C_READER, 1.6), (RUST_PEERS[0], tape), (RUST_PEERS[1], 3.5), (RUST_PEERS[3], 12.0)];
            marks.extend(targets.into_iter().filter_map(|(peer, target)| ratio(table, peer, TOKENS).behind(target)));
        }
        marks.extend(RUST_PEERS.into_iter().filter_map(|peer| ratio(table, peer, super::frames::FRAME).behind(1.0)));
        if table.id == "e" {
            marks.extend(ratio(table, TOKENS, "memcpy").worst(1.15));
            marks.extend(ratio(table, super::tokens::WHOLE, C_READER).worst(1.1));
        }
        if table.id == "k"
            && let (Some(pieces), Some(whole)) = (table.value(TOKENS, 2), table.value(TOKENS, 0))
        {
            let name = "k: slotwise Tokens, 1,460 B pieces / contiguous".into();
            marks.push(Mark { name, measured: pieces / whole, target: 1.5, at_most: true });
        }
    }
    let of_c = |table| ratio(table, C_READER, TOKENS).at(PIECES);
    let behind: Vec<f64> = tables.iter().filter(|table| SMALL.contains(table.id.as_str())).filter_map(of_c).collect();
    if !behind.is_empty() {
        let name = format!("mean of the small workloads: {C_READER} / {TOKENS} (16 KiB)");
        let measured = behind.iter().sum::<f64>() / behind.len() as f64;
        marks.push(Mark { name, measured, target: 2.0, at_most: false });
    }
    marks
}

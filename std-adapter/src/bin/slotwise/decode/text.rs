//! The form for people: one indented line per value, with its offset, place, type and content.

use std::fmt::Write;

use slotwise::resp::Null;

use super::assemble::{Form, Kind, Place, Scalar};
use super::{End, Totals, class};
use crate::escape;

/// The readable form.
pub(crate) struct Text {
    explain: bool,
}

impl Text {
    pub(crate) const fn new(explain: bool) -> Self {
        Self { explain }
    }
}

/// Columns of the offset and the gap behind it.
const MARGIN: usize = 12;

/// The start of a line: offset, indentation, and the place in what holds the value: `3)` in arrays, sets and pushes,
/// `3#` for a key and `3=` for its value.
fn lead(out: &mut String, place: Place) {
    let _ = write!(out, "{:>10}  {:indent$}", place.offset, "", indent = 3 * place.depth.saturating_sub(1));
    if let Some((kind, index)) = place.parent {
        let _ = match (kind.paired(), index % 2) {
            (true, 0) => write!(out, "{}# ", index / 2 + 1),
            (true, _) => write!(out, "{}= ", index / 2 + 1),
            _ => write!(out, "{}) ", index + 1),
        };
    }
}

fn quoted(out: &mut String, name: &str, bytes: &[u8]) {
    out.push_str(name);
    out.push_str(" \"");
    for piece in bytes.split_inclusive(|b| *b == b'"') {
        match piece.split_last() {
            Some((b'"', head)) => {
                escape::escape_into(out, head);
                out.push_str("\\\"");
            }
            _ => escape::escape_into(out, piece),
        }
    }
    let _ = write!(out, "\" ({} byte{})", bytes.len(), if bytes.len() == 1 { "" } else { "s" });
}

impl Form for Text {
    fn begin(&self, _: &mut String, _: Place) {}

    fn scalar(&self, out: &mut String, place: Place, scalar: Scalar<'_>) {
        lead(out, place);
        match scalar {
            Scalar::Simple(bytes) => quoted(out, "simple", bytes),
            Scalar::Bulk(bytes) => quoted(out, "bulk", bytes),
            Scalar::Error(bytes) => quoted(out, "error", bytes),
            Scalar::BlobError(bytes) => quoted(out, "blob error", bytes),
            Scalar::Verbatim(format, text) => {
                quoted(out, &format!("verbatim {}", escape::escaped(&format)), text);
            }
            Scalar::Double(bytes) => {
                out.push_str("double ");
                escape::escape_into(out, bytes);
            }
            Scalar::BigNumber(bytes) => {
                out.push_str("big number ");
                escape::escape_into(out, bytes);
            }
            Scalar::Integer(value) => out.push_str(&format!("integer {value}")),
            Scalar::Boolean(value) => out.push_str(&format!("boolean {value}")),
            Scalar::Null(null) => out.push_str(match null {
                Null::Bulk => "null (bulk)",
                Null::Array => "null (array)",
                Null::Resp3 => "null",
            }),
        }
        out.push('\n');
        if let (true, 0, Scalar::Error(line) | Scalar::BlobError(line)) = (self.explain, place.depth, scalar) {
            let _ = writeln!(out, "{:MARGIN$}{}", "", class::text(line));
        }
    }

    fn open(&self, out: &mut String, place: Place, kind: Kind, count: Option<u64>) {
        lead(out, place);
        let (name, parts) = match kind {
            Kind::Array => ("array", "element"),
            Kind::Map => ("map", "pair"),
            Kind::Set => ("set", "element"),
            Kind::Push => ("push", "element"),
            Kind::Attribute => ("attribute", "pair"),
        };
        let _ = match count {
            Some(1) => writeln!(out, "{name} of 1 {parts}"),
            Some(count) => writeln!(out, "{name} of {count} {parts}s"),
            None => writeln!(out, "{name}, streamed"),
        };
    }

    fn close(&self, _: &mut String, _: Kind) {}

    fn end_attributed(&self, _: &mut String) {}

    fn end_part(&self, _: &mut String, _: Kind, _: u64) {}

    fn too_deep(&self, out: &mut String, offset: u64) {
        let _ = writeln!(out, "{offset:>10}  (a reply nested deeper than --max-depth, skipped)");
    }

    fn end_line(&self, out: &mut String, nested: bool) {
        if nested {
            let _ = writeln!(out, "{:MARGIN$}(this push stood inside the next reply)", "");
        }
    }

    fn end(&self, end: End, totals: Totals) -> String {
        let Totals { consumed, values, nested_pushes } = totals;
        let mut text = format!("{values} value{}", if values == 1 { "" } else { "s" });
        if nested_pushes > 0 {
            let _ = write!(text, " (and {nested_pushes} pushed inside them)");
        }
        let _ = match end {
            End::Complete => writeln!(text, " in {consumed} bytes, complete"),
            End::Incomplete => {
                writeln!(text, " in {consumed} bytes; the input ends inside the reply that begins at {consumed}")
            }
            End::Error(error) => writeln!(
                text,
                " in {consumed} bytes; the reply that begins at {consumed} is broken: {} ({})",
                error.shifted(consumed),
                error.kind().name()
            ),
        };
        text
    }
}

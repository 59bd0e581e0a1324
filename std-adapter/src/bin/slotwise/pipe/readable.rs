//! Replies as redis-cli shows them.

use std::fmt::Write;

use slotwise::resp::{Frame, Kind};

use crate::escape;

/// The lines of a reply.
pub(crate) fn text(frame: &Frame<'_>) -> String {
    let mut out = String::new();
    value(&mut out, frame, 0);
    out
}

/// Writes a value whose first line has begun, at column `indent`, and ends its last line.
fn value(out: &mut String, frame: &Frame<'_>, indent: usize) {
    let bytes = frame.bytes().unwrap_or_default();
    if frame.is_null() {
        out.push_str("(nil)\n");
        return;
    }
    match frame.kind() {
        Kind::Simple => escape::escape_into(out, bytes),
        Kind::Error | Kind::BlobError => {
            out.push_str("(error) ");
            escape::escape_into(out, frame.error().unwrap_or_default());
        }
        Kind::Integer => {
            let _ = write!(out, "(integer) {}", frame.integer().unwrap_or_default());
        }
        Kind::Double => {
            out.push_str("(double) ");
            escape::escape_into(out, bytes);
        }
        Kind::Boolean => out.push_str(if frame.boolean() == Some(true) { "(true)" } else { "(false)" }),
        Kind::Array | Kind::Push => return items(out, frame, indent, ')', "(empty array)"),
        Kind::Set => return items(out, frame, indent, '~', "(empty set)"),
        Kind::Map => return pairs(out, frame, indent),
        Kind::BigNumber => escape::escape_into(out, bytes),
        _ => quoted(out, bytes),
    }
    out.push('\n');
}

fn items(out: &mut String, frame: &Frame<'_>, indent: usize, mark: char, empty: &str) {
    let count = frame.children().count();
    if count == 0 {
        out.push_str(empty);
        out.push('\n');
        return;
    }
    let width = count.to_string().len();
    for (at, child) in frame.children().enumerate() {
        lead(out, at, indent);
        let _ = write!(out, "{:>width$}{mark} ", at + 1);
        value(out, &child, indent + width + 2);
    }
}

fn pairs(out: &mut String, frame: &Frame<'_>, indent: usize) {
    let count = frame.children().count() / 2;
    if count == 0 {
        out.push_str("(empty hash)\n");
        return;
    }
    let width = count.to_string().len();
    let mut children = frame.children();
    let mut at = 0;
    while let (Some(key), Some(held)) = (children.next(), children.next()) {
        lead(out, at, indent);
        at += 1;
        let _ = write!(out, "{at:>width$}# ");
        value(out, &key, indent + width + 2);
        // The key's line goes on with its value.
        out.pop();
        out.push_str(" => ");
        value(out, &held, indent + width + 6);
    }
}

/// The first item stands on the line that has begun.
fn lead(out: &mut String, at: usize, indent: usize) {
    if at > 0 {
        out.extend(std::iter::repeat_n(' ', indent));
    }
}

fn quoted(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        match byte {
            b'"' => out.push_str("\\\""),
            b'\t' => out.push_str("\\t"),
            7 => out.push_str("\\a"),
            8 => out.push_str("\\b"),
            other => escape::escape_into(out, std::slice::from_ref(other)),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use slotwise::limits::Limits;
    use slotwise::resp::Status;

    use super::*;

    #[test]
    fn as_in_redis_cli() {
        for (wire, shown) in [
            ("+OK\r\n", "OK\n"),
            ("$6\r\na\"b\\\r\n\r\n", "\"a\\\"b\\\\\\r\\n\"\n"),
            (":-7\r\n", "(integer) -7\n"),
            ("$-1\r\n", "(nil)\n"),
            ("_\r\n", "(nil)\n"),
            ("*0\r\n", "(empty array)\n"),
            ("*2\r\n:1\r\n*2\r\n$1\r\na\r\n-ERR x\r\n", "1) (integer) 1\n2) 1) \"a\"\n   2) (error) ERR x\n"),
            ("%1\r\n+k\r\n,1.5\r\n", "1# k => (double) 1.5\n"),
            ("~1\r\n#t\r\n", "1~ (true)\n"),
            ("=6\r\ntxt:ab\r\n", "\"ab\"\n"),
        ] {
            let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else {
                panic!("{wire:?}")
            };
            assert_eq!(text(&frame), shown, "{wire:?}");
        }
    }
}

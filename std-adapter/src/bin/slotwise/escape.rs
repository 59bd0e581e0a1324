//! Bytes as text that survives JSON and terminals.

use serde_json::Value;

/// Appends `bytes` as printable ASCII: a backslash as `\\`, CR and LF as `\r` and `\n`, any other byte outside
/// 0x20 to 0x7e as `\xHH`.
pub(crate) fn escape_into(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        match byte {
            b'\\' => out.push_str(r"\\"),
            b'\r' => out.push_str(r"\r"),
            b'\n' => out.push_str(r"\n"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => {
                out.push_str(r"\x");
                for digit in [other >> 4, other & 15] {
                    out.extend(char::from_digit(u32::from(digit), 16));
                }
            }
        }
    }
}

/// `bytes` in the form of [`escape_into`].
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    escape_into(&mut out, bytes);
    out
}

/// [`escaped`] as a JSON string.
pub(crate) fn json(bytes: &[u8]) -> Value {
    Value::String(escaped(bytes))
}

/// Appends `bytes`, escaped and then JSON-encoded with its quotes: the same text [`json`] prints, without the
/// intermediate strings.
pub(crate) fn json_into(out: &mut String, bytes: &[u8]) {
    out.push('"');
    for byte in bytes {
        match byte {
            b'"' => out.push_str(r#"\""#),
            b'\\' => out.push_str(r"\\\\"),
            b'\r' => out.push_str(r"\\r"),
            b'\n' => out.push_str(r"\\n"),
            b' '..=b'~' => out.push(char::from(*byte)),
            other => {
                out.push('\\');
                escape_into(out, std::slice::from_ref(other));
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_its_form() {
        assert_eq!(escaped(b"a\\b\r\n\t\0\x7f\xff \"~"), r#"a\\b\r\n\x09\x00\x7f\xff "~"#);
        for byte in 0..=255 {
            let mut direct = String::new();
            json_into(&mut direct, &[b'a', byte, b'z']);
            assert_eq!(direct, json(&[b'a', byte, b'z']).to_string(), "{byte}");
        }
    }
}

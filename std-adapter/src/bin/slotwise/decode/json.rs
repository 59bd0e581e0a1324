//! One JSON value per line.

use serde_json::json;
use slotwise::resp::Null;

use super::assemble::{Form, Kind, Place, Scalar};
use super::{End, Totals, class};
use crate::escape;

/// The JSON form; the text is written directly, since a tree of a large reply would cost many times its size.
pub(crate) struct Json {
    explain: bool,
}

impl Json {
    pub(crate) const fn new(explain: bool) -> Self {
        Self { explain }
    }

    fn class(&self, out: &mut String, place: Place, line: &[u8]) {
        if self.explain && place.depth == 0 {
            out.push_str(r#","class":"#);
            out.push_str(&class::json(line).to_string());
        }
    }
}

fn string(out: &mut String, key: &str, bytes: &[u8]) {
    out.push_str(key);
    escape::json_into(out, bytes);
    out.push('}');
}

impl Form for Json {
    fn begin(&self, out: &mut String, place: Place) {
        match place.parent {
            Some((kind, index)) if kind.paired() && index % 2 == 0 => out.push_str(if index == 0 { "[" } else { ",[" }),
            Some((_, index)) if index > 0 => out.push(','),
            _ => {}
        }
    }

    fn scalar(&self, out: &mut String, place: Place, scalar: Scalar<'_>) {
        match scalar {
            Scalar::Simple(bytes) => string(out, r#"{"simple":"#, bytes),
            Scalar::Bulk(bytes) => string(out, r#"{"bulk":"#, bytes),
            Scalar::Double(bytes) => string(out, r#"{"double":"#, bytes),
            Scalar::BigNumber(bytes) => string(out, r#"{"bignum":"#, bytes),
            Scalar::Error(bytes) | Scalar::BlobError(bytes) => {
                let blob = matches!(scalar, Scalar::BlobError(_));
                out.push_str(if blob { r#"{"blob_err":"# } else { r#"{"err":"# });
                escape::json_into(out, bytes);
                self.class(out, place, bytes);
                out.push('}');
            }
            Scalar::Integer(value) => out.push_str(&format!(r#"{{"int":{value}}}"#)),
            Scalar::Boolean(value) => out.push_str(&format!(r#"{{"bool":{value}}}"#)),
            Scalar::Null(null) => out.push_str(match null {
                Null::Bulk => r#"{"null":"bulk"}"#,
                Null::Array => r#"{"null":"array"}"#,
                Null::Resp3 => r#"{"null":"resp3"}"#,
            }),
            Scalar::Verbatim(format, text) => {
                out.push_str(r#"{"verbatim":["#);
                escape::json_into(out, &format);
                out.push(',');
                escape::json_into(out, text);
                out.push_str("]}");
            }
        }
    }

    fn open(&self, out: &mut String, _: Place, kind: Kind, _: Option<u64>) {
        out.push_str(match kind {
            Kind::Array => r#"{"array":["#,
            Kind::Map => r#"{"map":["#,
            Kind::Set => r#"{"set":["#,
            Kind::Push => r#"{"push":["#,
            Kind::Attribute => r#"{"attr":["#,
        });
    }

    fn close(&self, out: &mut String, kind: Kind) {
        out.push_str(if kind == Kind::Attribute { r#"],"value":"# } else { "]}" });
    }

    fn end_attributed(&self, out: &mut String) {
        out.push('}');
    }

    fn end_part(&self, out: &mut String, kind: Kind, index: u64) {
        if kind.paired() && index % 2 == 1 {
            out.push(']');
        }
    }

    fn too_deep(&self, out: &mut String, _: u64) {
        out.push_str(r#"{"too_deep":true}"#);
    }

    fn end_line(&self, out: &mut String, _: bool) {
        out.push('\n');
    }

    fn end(&self, end: End, totals: Totals) -> String {
        let (end, kind) = match end {
            End::Complete => ("complete", None),
            End::Incomplete => ("incomplete", None),
            End::Error(error) => ("error", Some(error.kind().name())),
        };
        format!("{}\n", json!({ "end": end, "consumed": totals.consumed, "kind": kind }))
    }
}

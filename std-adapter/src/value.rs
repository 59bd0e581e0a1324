//! Owned replies.

use std::fmt;

use slotwise::resp::{Frame, Kind};

use crate::error::ServerReply;

/// A reply, owned. What RESP2 and RESP3 say differently stays different: a RESP2 server sends a map as an array.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// No value (a null bulk, a null array or a RESP3 null).
    Null,
    /// A status line, such as `OK`.
    Simple(String),
    /// A string of bytes.
    Bulk(Vec<u8>),
    /// A number.
    Integer(i64),
    /// True or false (RESP3).
    Boolean(bool),
    /// A floating-point number (RESP3).
    Double(f64),
    /// A number too large for 64 bits, as its text (RESP3).
    BigNumber(String),
    /// A text with its three-letter format (RESP3).
    Verbatim(String, Vec<u8>),
    /// A list of values.
    Array(Vec<Value>),
    /// A set of values in the order in which the server sent them (RESP3).
    Set(Vec<Value>),
    /// Keys and values in the order in which the server sent them, duplicates kept (RESP3).
    Map(Vec<(Value, Value)>),
    /// An error inside an array, as in EXEC's reply. At the top level it is an [`Error`](crate::Error) instead.
    Error(ServerReply),
}

impl Value {
    /// Copies a frame.
    #[must_use]
    pub fn from_frame(frame: &Frame<'_>) -> Self {
        let bytes = || frame.bytes().unwrap_or_default();
        let text = || String::from_utf8_lossy(bytes()).into_owned();
        if frame.is_null() {
            return Self::Null;
        }
        match frame.kind() {
            Kind::Simple => Self::Simple(text()),
            Kind::Error | Kind::BlobError => Self::Error(ServerReply::new(frame.error().unwrap_or_default())),
            Kind::Integer => frame.integer().map_or(Self::Null, Self::Integer),
            Kind::Boolean => frame.boolean().map_or(Self::Null, Self::Boolean),
            Kind::Double => frame.double().map_or_else(|| Self::BigNumber(text()), Self::Double),
            Kind::BigNumber => Self::BigNumber(text()),
            Kind::Verbatim => {
                let format = frame.format().unwrap_or(*b"txt");
                Self::Verbatim(String::from_utf8_lossy(&format).into_owned(), bytes().to_vec())
            }
            Kind::Map => {
                let mut children = frame.children();
                let mut pairs = Vec::new();
                while let (Some(key), Some(value)) = (children.next(), children.next()) {
                    pairs.push((Self::from_frame(&key), Self::from_frame(&value)));
                }
                Self::Map(pairs)
            }
            Kind::Set => Self::Set(Self::children(frame)),
            Kind::Array | Kind::Push => Self::Array(Self::children(frame)),
            _ => Self::Bulk(bytes().to_vec()),
        }
    }

    fn children(frame: &Frame<'_>) -> Vec<Self> {
        frame.children().map(|child| Self::from_frame(&child)).collect()
    }

    /// The bytes of a string-like value.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bulk(bytes) | Self::Verbatim(_, bytes) => Some(bytes),
            Self::Simple(text) | Self::BigNumber(text) => Some(text.as_bytes()),
            _ => None,
        }
    }

    /// The text of a string-like value, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number of an integer, a boolean, or a string that is a decimal number.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Integer(n) => Some(*n),
            Self::Boolean(b) => Some(i64::from(*b)),
            other => other.as_str()?.parse().ok(),
        }
    }

    /// The elements of an array or a set.
    #[must_use]
    pub fn as_slice(&self) -> Option<&[Value]> {
        match self {
            Self::Array(items) | Self::Set(items) => Some(items),
            _ => None,
        }
    }

    /// Whether it is the status `OK`.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// Whether it is null.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

impl fmt::Display for Value {
    /// A short form for people: `nil`, numbers, texts with control bytes escaped, lists in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, items: &[Self]| {
            f.write_str("[")?;
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                item.fmt(f)?;
            }
            f.write_str("]")
        };
        match self {
            Self::Null => f.write_str("nil"),
            Self::Integer(n) => n.fmt(f),
            Self::Boolean(b) => b.fmt(f),
            Self::Double(x) => x.fmt(f),
            Self::Simple(text) | Self::BigNumber(text) => write!(f, "{}", text.escape_debug()),
            Self::Bulk(bytes) | Self::Verbatim(_, bytes) => write!(f, "{}", bytes.escape_ascii()),
            Self::Array(items) | Self::Set(items) => list(f, items),
            Self::Map(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{key}: {value}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
            Self::Error(error) => error.fmt(f),
        }
    }
}

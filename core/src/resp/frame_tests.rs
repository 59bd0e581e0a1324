//! The views of complete values.

#[cfg(feature = "float")]
use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::*;
use crate::limits::Limits;

/// Input, kind, text.
type Row = (&'static [u8], Kind, Option<&'static [u8]>);

fn frame(input: &[u8]) -> Frame<'_> {
    match Frame::new_checked(input, &Limits::DEFAULT) {
        Ok(Status::Complete((frame, len))) => {
            assert_eq!(len, input.len());
            frame
        }
        other => panic!("{}: {other:?}", input.escape_ascii()),
    }
}

#[test]
fn accessors_of_every_kind() {
    let table: &[Row] = &[
        (b"+OK\r\n", Kind::Simple, Some(b"OK")),
        (b"-ERR x\r\n", Kind::Error, Some(b"ERR x")),
        (b":7\r\n", Kind::Integer, None),
        (b":-9223372036854775808\r\n", Kind::Integer, None),
        (b"$3\r\na\r\n\r\n", Kind::Bulk, Some(b"a\r\n")),
        (b"$-1\r\n", Kind::Null, None),
        (b"*-1\r\n", Kind::Null, None),
        (b"_\r\n", Kind::Null, None),
        (b"#t\r\n", Kind::Boolean, None),
        (b",1e5\r\n", Kind::Double, Some(b"1e5")),
        (b"(12x\r\n", Kind::BigNumber, Some(b"12x")),
        (b"!4\r\nERR!\r\n", Kind::BlobError, Some(b"ERR!")),
        (b"=6\r\nmkd:**\r\n", Kind::Verbatim, Some(b"**")),
        (b"*0\r\n", Kind::Array, None),
        (b"%0\r\n", Kind::Map, None),
        (b"~0\r\n", Kind::Set, None),
        (b">1\r\n+x\r\n", Kind::Push, None),
    ];
    for &(input, kind, bytes) in table {
        let frame = frame(input);
        assert_eq!((frame.kind(), frame.bytes(), frame.raw()), (kind, bytes, input));
        assert_eq!(frame.is_error(), matches!(kind, Kind::Error | Kind::BlobError));
        assert_eq!(frame.error(), bytes.filter(|_| frame.is_error()));
        assert_eq!((frame.is_null(), frame.null().is_some()), (kind == Kind::Null, kind == Kind::Null));
        assert_eq!(frame.is_push(), kind == Kind::Push);
        assert_eq!(frame.boolean(), (kind == Kind::Boolean).then_some(true));
        assert_eq!(frame.format(), (kind == Kind::Verbatim).then_some(*b"mkd"));
        let len = match kind {
            Kind::Array | Kind::Map | Kind::Set => Some(0),
            Kind::Push => Some(1),
            _ => None,
        };
        assert_eq!((frame.len(), frame.children().count()), (len, len.unwrap_or(0)));
    }
    assert_eq!(frame(b":7\r\n").integer(), Some(7));
    assert_eq!(frame(b":-9223372036854775808\r\n").integer(), Some(i64::MIN));
    assert_eq!(frame(b"+7\r\n").integer(), None);
}

#[cfg(feature = "float")]
#[test]
fn doubles_are_decoded() {
    for (text, value) in [("1.5", 1.5), ("-inf", f64::NEG_INFINITY), ("infinity", f64::INFINITY), ("1e-7", 1e-7)] {
        assert_eq!(frame(format!(",{text}\r\n").as_bytes()).double(), Some(value));
        assert_eq!(frame(format!("${}\r\n{text}\r\n", text.len()).as_bytes()).double(), Some(value));
    }
    for text in ["nan", "-nan", "nan(0x1)"] {
        assert!(frame(format!(",{text}\r\n").as_bytes()).double().unwrap().is_nan());
    }
    assert_eq!(frame(b"$2\r\n1x\r\n").double(), None);
    assert_eq!(frame(b":1\r\n").double(), None);
}

const MIXED: &[u8] =
    b"|1\r\n+k\r\n>1\r\n+in attr\r\n+v\r\n*3\r\n>2\r\n+a\r\n*1\r\n:9\r\n|1\r\n+ttl\r\n:1\r\n%1\r\n+key\r\n*2\r\n:1\r\n\
    >0\r\n:2\r\n:123456789012345678\r\n:1234567890123456789\r\n";

fn shown(frames: impl Iterator<Item = impl core::borrow::Borrow<Frame<'static>>>) -> Vec<String> {
    frames.map(|frame| frame.borrow().raw().escape_ascii().to_string()).collect()
}

#[test]
fn children_leave_out_pushes_and_keep_attributes() {
    let whole = frame(MIXED);
    let children: Vec<_> = whole.children().collect();
    assert_eq!(children.len(), 3);
    assert_eq!((children[0].kind(), children[0].len()), (Kind::Map, Some(2)));
    assert!(children[0].raw().starts_with(b"|1\r\n+ttl"));
    let attributes: Vec<_> = children[0].attributes().collect();
    assert_eq!((attributes.len(), attributes[0].kind(), attributes[0].len()), (1, Kind::Attribute, Some(2)));
    assert_eq!(attributes[0].children().nth(1).unwrap().integer(), Some(1));
    let inner: Vec<_> = children[0].children().nth(1).unwrap().children().collect();
    assert_eq!(inner.iter().map(Frame::integer).collect::<Vec<_>>(), [Some(1), Some(2)]);
    assert_eq!(children[1].integer(), Some(123_456_789_012_345_678));
    assert_eq!(children[2].integer(), Some(1_234_567_890_123_456_789));
    assert_eq!(whole.attributes().count(), 1);
    assert_eq!(shown(whole.pushes()), [r">1\r\n+in attr\r\n", r">2\r\n+a\r\n*1\r\n:9\r\n", r">0\r\n"]);
    assert_eq!(shown(children[0].pushes()), [r">0\r\n"]);
    assert_eq!(whole.children().size_hint(), (3, Some(3)));
}

#[test]
fn a_walk_sees_everything_once() {
    let whole = frame(MIXED);
    let visits: Vec<_> = whole.walk().collect();
    assert_eq!(visits.len(), 21);
    assert_eq!((visits[0].depth, visits[0].token, visits[0].in_attribute), (0, Token::Attribute(1), true));
    assert_eq!((visits[5].depth, visits[5].token), (0, Token::Array(3)));
    assert_eq!((visits[6].depth, visits[6].token, visits[6].out_of_band), (1, Token::Push(2), true));
    assert_eq!((visits[9].depth, visits[9].out_of_band), (3, true));
    assert_eq!(visits.last().map(|visit| visit.depth), Some(1));
}

#[test]
fn a_walk_passes_over_children() {
    let input = b"*3\r\n*2\r\n:1\r\n*1\r\n:2\r\n%1\r\n+k\r\n*1\r\n:3\r\n:4\r\n";
    let mut walk = frame(input).walk();
    let mut seen = Vec::new();
    while let Some(visit) = walk.next() {
        seen.push((visit.depth, visit.token));
        if visit.token == Token::Array(2) || visit.token == Token::Integer(4) {
            walk.skip_children();
        }
    }
    assert_eq!(
        seen,
        [
            (0, Token::Array(3)),
            (1, Token::Array(2)),
            (1, Token::Map(1)),
            (2, Token::Simple(b"k")),
            (2, Token::Array(1)),
            (3, Token::Integer(3)),
            (1, Token::Integer(4)),
        ]
    );
    // The last child of the last child: everything above it ends too.
    let mut walk = frame(b"*1\r\n*1\r\n*1\r\n:1\r\n").walk();
    assert_eq!(walk.nth(1).map(|visit| visit.depth), Some(1));
    walk.skip_children();
    assert_eq!(walk.next(), None);
}

#[test]
fn a_too_deep_frame_can_be_looked_into() {
    let input = [&b"*2\r\n"[..], &b"*1\r\n".repeat(200), b":1\r\n+after\r\n"].concat();
    let whole = frame(&input);
    assert!(whole.too_deep());
    let children: Vec<_> = whole.children().collect();
    assert_eq!((children.len(), children[1].bytes()), (2, Some(&b"after"[..])));
    assert_eq!(whole.walk().last().map(|visit| (visit.depth, visit.token)), Some((0, Token::TooDeep)));
    assert!(!children[1].too_deep());
}

#[test]
fn bytes_that_were_not_scanned_end_the_iterators() {
    // An extent that belongs to other bytes: nothing to be seen, and no panic.
    for input in
        [&b"*3\r\n:1\r\n"[..], b"*3\r\n:1\r\nxyz", b"%9\r\n*5\r\n$5\r\na", b"|1\r\n", b"|1\r\n+a\r\n+b\r\n", b"$5\r\n"]
    {
        let extent = Extent { len: input.len(), too_deep: false, has_push: true };
        if let Some(frame) = Frame::from_extent(input, extent) {
            assert!(frame.children().count() < 2);
            assert!(frame.walk().count() < 5);
            assert!(frame.pushes().count() + frame.attributes().count() == 0);
        }
        assert!(Frame::from_extent(input, Extent { len: input.len() + 1, ..extent }).is_none());
    }
    assert!(Frame::from_extent(b"x", Extent { len: 1, too_deep: false, has_push: false }).is_none());
}

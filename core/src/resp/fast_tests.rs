//! The fast ways by themselves. What they do not take is read byte by byte to the same tokens, so that only these
//! tests notice when one gives up where it should not.

use std::format;
use std::vec::Vec;

use super::children::{Head, Passed};
use super::grammar::{any, line_end, value};
use super::header::{First, Header};
use super::*;
use crate::limits::Limits;

/// Both forms of the grammar: by place for each common type, and in one function for narrow registers.
fn read(input: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let found = value(input, Head);
    let (kind, body) = input.split_first()?;
    let narrow = any(*kind, body).ok().map(|(rest, value)| (value.token(), rest));
    assert_eq!(found, narrow, "{}", input.escape_ascii());
    found
}

const WHOLE: &[(&[u8], Token<'static>)] = &[
    (b"+OK\r\n", Token::Simple(b"OK")),
    (b"+\r\n", Token::Simple(b"")),
    (b"+PONG\r\n", Token::Simple(b"PONG")),
    (b"-ERR no\r\n", Token::Error(b"ERR no")),
    (b":0\r\n", Token::Integer(0)),
    (b":-12\r\n", Token::Integer(-12)),
    (b":1234567\r\n", Token::Integer(1_234_567)),
    (b":12345678\r\n", Token::Integer(12_345_678)),
    (b":-123456789012345678\r\n", Token::Integer(-123_456_789_012_345_678)),
    (b"$0\r\n\r\n", Token::Bulk(b"")),
    (b"$5\r\na\r\nbc\r\n", Token::Bulk(b"a\r\nbc")),
    (b"$12\r\n0123456789ab\r\n", Token::Bulk(b"0123456789ab")),
    (b"$-1\r\n", Token::Null(Null::Bulk)),
    (b"*-1\r\n", Token::Null(Null::Array)),
    (b"_\r\n", Token::Null(Null::Resp3)),
    (b"#t\r\n", Token::Boolean(true)),
    (b"#f\r\n", Token::Boolean(false)),
    (b",1.5\r\n", Token::Double(b"1.5")),
    (b"(12x\r\n", Token::BigNumber(b"12x")),
    (b"!3\r\nERR\r\n", Token::BlobError(b"ERR")),
    (b"=5\r\ntxt:a\r\n", Token::Verbatim { format: *b"txt", text: b"a" }),
    (b"*0\r\n", Token::Array(0)),
    (b"*9\r\n", Token::Array(9)),
    (b"*10\r\n", Token::Array(10)),
    (b"*99\r\n", Token::Array(99)),
    (b"*100\r\n", Token::Array(100)),
    (b"%2\r\n", Token::Map(2)),
    (b"~3\r\n", Token::Set(3)),
    (b">4\r\n", Token::Push(4)),
    (b"|5\r\n", Token::Attribute(5)),
];

#[test]
fn every_canonical_value_is_taken_whole() {
    // What follows may be anything, and nothing.
    let behind: [&[u8]; 6] =
        [b"", b"+", &[0xb5; 8], b"\r\n\r\n\r\n\r\n", b"\xff\xff\xff\xff\xff\xff\xff\xff", b":12345678\r\n"];
    for &(text, token) in WHOLE {
        for rest in behind {
            let input = [text, rest].concat();
            assert_eq!(read(&input), Some((token, rest)), "{}", input.escape_ascii());
        }
    }
}

#[test]
fn what_is_cut_is_left() {
    for &(text, _) in WHOLE {
        for end in 0..text.len() {
            assert_eq!(read(&text[..end]), None, "{}", text[..end].escape_ascii());
        }
    }
}

#[test]
fn what_is_malformed_is_left() {
    for text in [
        "?1",
        ".",
        ";1",
        "#x",
        "#tt",
        "_x",
        ",",
        ",1x",
        ",x",
        "=3\r\nabc",
        "=4\r\nabcd",
        "=5\r\ntxt-a",
        "$01\r\na",
        "$-2",
        "$-11",
        "*-2",
        "*01",
        "*00",
        "*x",
        "*1x",
        "*1\r",
        "*:",
        "*/",
        "%-1",
        "$:\r\n0123456789",
        ":",
        ":-",
        ":-0",
        ":01",
        ":1x",
        "+a\rb",
        "+a\nb",
        "-\r",
        "$1\r\nab",
        "$1\rxa",
        "$1x\na",
        "!2\r\nabc",
    ] {
        for rest in ["", ":1234567\r\n"] {
            let input = format!("{text}\r\n{rest}");
            assert_eq!(read(input.as_bytes()), None, "{input:?}");
        }
    }
    // A number that may not fit is left as well, and the other reader decides.
    for digits in [19, 20, 40] {
        for kind in [":", "$", "*"] {
            assert_eq!(read(format!("{kind}{}\r\n", "1".repeat(digits)).as_bytes()), None);
        }
    }
}

#[test]
fn a_line_ends_at_the_first_mark_whatever_stands_around_it() {
    for around in [0x0b_u8, 0x0c, 0x0e, 0x09, 0x8d, 0x8a, 0x7f, 0xff, 0] {
        for at in 0..30 {
            let mut text: Vec<u8> = [around].repeat(40);
            assert_eq!(line_end(&text), None);
            text[at] = b'\n';
            assert_eq!(line_end(&text), Some(at));
            text[at] = b'\r';
            text[at + 1] = b'\n';
            assert_eq!(line_end(&text), Some(at));
        }
    }
}

/// Whether a reader takes `input` by the fast way under `limits`.
fn taken(input: &[u8], limits: Limits) -> bool {
    let mut state = TokenState::new();
    let mut levels = [Level::EMPTY; 2];
    let mut reader = state.reader(&mut levels, &limits, input);
    let taken = value(input, &mut reader).is_some();
    assert_eq!(reader.consumed(), if taken { input.len() } else { 0 }, "{}", input.escape_ascii());
    taken
}

#[test]
fn a_reader_takes_what_passes_no_limit_and_leaves_what_may() {
    const FAR: Limits = Limits { line: 99, bulk: 99, elements: 99, depth: 9, frame: 99, attributes: 9 };
    for &(text, token) in WHOLE {
        let bytes = text.len() as u64;
        let limits = match token {
            Token::Array(count)
            | Token::Set(count)
            | Token::Push(count)
            | Token::Map(count)
            | Token::Attribute(count) => [
                Limits { elements: u64::from(count), ..FAR },
                Limits { elements: u64::from(count).wrapping_sub(1), ..FAR },
            ],
            Token::Simple(_) | Token::Error(_) | Token::Double(_) | Token::BigNumber(_) => {
                [Limits { line: bytes, ..FAR }, Limits { line: bytes - 1, ..FAR }]
            }
            Token::Bulk(_) | Token::BlobError(_) | Token::Verbatim { .. } => {
                [Limits { bulk: bytes, ..FAR }, Limits { bulk: bytes - 1, ..FAR }]
            }
            _ => [Limits { line: 0, bulk: 0, elements: 0, ..FAR }, Limits { frame: 0, ..FAR }],
        };
        let counts = !matches!(token, Token::Array(0));
        assert!(taken(text, limits[0]), "{}", text.escape_ascii());
        assert_eq!(taken(text, limits[1]), !counts, "{}", text.escape_ascii());
        assert!(taken(text, Limits { frame: bytes, ..limits[0] }));
        assert!(!taken(text, Limits { frame: bytes - 1, ..limits[0] }));
    }
}

#[test]
fn a_header_tells_how_many_values_more_to_pass() {
    for &(text, token) in WHOLE {
        let more = match token {
            Token::Array(count) | Token::Set(count) => u64::from(count).wrapping_sub(1),
            Token::Map(count) => u64::from(2 * count) - 1,
            // Neither counts itself.
            Token::Push(count) => u64::from(count),
            Token::Attribute(count) => u64::from(2 * count),
            _ => u64::MAX,
        };
        assert_eq!(value(text, Passed), Some((&b""[..], more)), "{}", text.escape_ascii());
    }
}

#[test]
fn a_frame_takes_scalars_and_children_at_once() {
    for &(text, token) in WHOLE {
        let scalar =
            !matches!(token, Token::Array(_) | Token::Set(_) | Token::Push(_) | Token::Map(_) | Token::Attribute(_));
        let around = [b"*1\r\n", text].concat();
        let extent = Extent { len: around.len(), too_deep: false, has_push: false };
        let frame = Frame::from_extent(&around, extent).unwrap();
        let mut children = frame.children();
        let child = value(frame.content(), &mut children);
        assert_eq!(child.map(|child| child.token()), (scalar || token == Token::Array(0)).then_some(token));
    }
}

/// A connection that gets one byte at a time does little for each: of a header only the last byte needs more.
#[test]
fn bytes_of_a_header_are_taken_quietly() {
    for &(text, token) in WHOLE {
        let header = text.iter().position(|&byte| byte == b'\n').unwrap();
        let line = matches!(token, Token::Simple(_) | Token::Error(_) | Token::Double(_) | Token::BigNumber(_));
        let mut levels = [Level::EMPTY; 2];
        let mut state = TokenState::new();
        for (at, byte) in text[..header].iter().enumerate() {
            let mut reader = state.reader(&mut levels, &Limits::DEFAULT, core::slice::from_ref(byte));
            assert_eq!(
                (reader.quiet(), reader.consumed()),
                (!line, usize::from(!line)),
                "{} {at}",
                text.escape_ascii()
            );
            if line {
                break;
            }
            assert_eq!(state.offset(), at as u64 + 1);
        }
        if line {
            continue;
        }
        let mut reader = state.reader(&mut levels, &Limits::DEFAULT, &text[header..=header]);
        assert_eq!((reader.quiet(), reader.consumed()), (false, 0), "the end is for the reader");
        // All but the type byte at once.
        let mut state = TokenState::new();
        assert!(state.reader(&mut levels, &Limits::DEFAULT, &text[..1]).quiet());
        let mut reader = state.reader(&mut levels, &Limits::DEFAULT, &text[1..]);
        assert_eq!((reader.quiet(), reader.consumed()), (false, header - 1));
        assert_eq!(state.offset(), header as u64);
    }
}

#[test]
fn a_digit_behind_the_first_is_taken_at_once() {
    for kind in [b':', b'$', b'*', b'%'] {
        let Ok(First::More(mut header)) = Header::first(kind) else { panic!("{kind}") };
        assert!(!header.push_digit(b'1'), "the first is for the slow way");
        assert!(
            header.push_quiet(b'1') && !header.push_digit(b'x') && !header.push_digit(b'/') && !header.push_digit(b':')
        );
        assert!((0..17).all(|_| header.push_digit(b'9')));
        assert!(!header.push_digit(b'9'), "the 19th may be too much");
        assert!(header.push_quiet(b'\r') && !header.push_digit(b'9'));
    }
}

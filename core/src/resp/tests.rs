//! The readers against each other and against every cutting of the same bytes.

use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::limits::Limits;

/// Reads `input` in the given pieces. Gives each token with the strings put together again, and how it ended.
pub(super) fn read(input: &[u8], pieces: &[usize], limits: &Limits, whole: usize) -> (Vec<String>, End) {
    read_levels::<16>(input, pieces, limits, whole)
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct End {
    pub(super) error: Option<RespError>,
    /// Bytes consumed up to the last boundary.
    pub(super) boundary: u64,
    pub(super) at_boundary: bool,
}

pub(super) fn read_levels<const D: usize>(
    input: &[u8],
    pieces: &[usize],
    limits: &Limits,
    whole: usize,
) -> (Vec<String>, End) {
    let mut tokens = Tokens::<D>::new(*limits).with_whole(whole);
    let mut out = Vec::new();
    let mut text: Option<(Text, Option<u64>, Vec<u8>)> = None;
    let mut end = End { error: None, boundary: 0, at_boundary: true };
    let (mut start, mut stop) = (0, 0);
    let mut pieces = pieces.iter().copied();
    while stop < input.len() {
        stop = (stop + pieces.next().unwrap_or(usize::MAX).max(1).min(input.len() - stop)).min(input.len());
        let mut reader = tokens.reader(&input[start..stop]);
        loop {
            let token = match reader.next() {
                Ok(Some(token)) => token,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next(), Err(error), "the error stays");
                    end.error = Some(error);
                    break;
                }
            };
            let mut shown = match token {
                Token::Begin { kind, len } => {
                    assert!(text.is_none());
                    text = Some((kind, len, Vec::new()));
                    continue;
                }
                Token::Chunk { bytes, last } => {
                    let (kind, len, so_far) = text.as_mut().expect("a begun string");
                    so_far.extend(bytes);
                    if !last {
                        assert!(!reader.at_boundary());
                        continue;
                    }
                    if let Some(len) = len {
                        assert_eq!(*len, so_far.len() as u64);
                    }
                    let shown = format!("{:?}", kind.token(so_far));
                    text = None;
                    shown
                }
                Token::TooDeep => {
                    text = None;
                    // What went before may depend on the limit only, not on the cutting, so it stays.
                    "TooDeep".to_string()
                }
                token => format!("{token:?}"),
            };
            shown += &format!(" d{}", reader.depth());
            if reader.out_of_band() {
                shown += " oob";
            }
            if reader.in_attribute() {
                shown += " attr";
            }
            if reader.at_boundary() {
                shown += " end";
                end.boundary = (start + reader.consumed()) as u64;
            }
            out.push(shown);
        }
        start += reader.consumed();
        if end.error.is_some() {
            break;
        }
    }
    end.at_boundary = tokens.at_boundary();
    (out, end)
}

/// Reads `input` with [`Frames`] in the given pieces: where each value ends, and the error with a stream offset.
pub(super) fn read_frames(input: &[u8], pieces: &[usize], limits: &Limits) -> (Vec<(u64, bool)>, Option<RespError>) {
    let mut frames = Frames::<16>::new(*limits);
    let mut out = Vec::new();
    let (mut start, mut stop) = (0, 0);
    let mut pieces = pieces.iter().copied();
    while stop < input.len() {
        stop = (stop + pieces.next().unwrap_or(usize::MAX).max(1).min(input.len() - stop)).min(input.len());
        while start < stop {
            match frames.scan(&input[start..stop]) {
                Ok(Status::Complete(extent)) => {
                    start += extent.len;
                    out.push((start as u64, extent.too_deep));
                }
                Ok(Status::Incomplete) => break,
                Err(error) => {
                    assert_eq!(frames.scan(&input[start..stop]), Err(error), "the error stays");
                    return (out, Some(error.shifted(start as u64)));
                }
            }
        }
    }
    (out, None)
}

/// Checks that every cutting gives what the whole gives, and gives that.
pub(super) fn all_cuttings(input: &[u8], limits: &Limits) -> (Vec<String>, End) {
    let expected = read(input, &[], limits, 0);
    let frames = read_frames(input, &[], limits);
    assert_eq!(frames.1, expected.1.error, "{}", input.escape_ascii());
    assert_eq!(frames.0.last().map_or(0, |last| last.0), expected.1.boundary);
    let mut cuttings = vec![vec![1; input.len()], vec![2; input.len()], vec![3; input.len()]];
    cuttings.extend((1..input.len()).map(|at| vec![at]));
    for pieces in &cuttings {
        for whole in [0, 5, 100] {
            let found = read(input, pieces, limits, whole);
            assert_eq!(found, expected, "{} in {pieces:?}, whole {whole}", input.escape_ascii());
        }
        assert_eq!(read_frames(input, pieces, limits), frames, "{} in {pieces:?}", input.escape_ascii());
    }
    expected
}

#[test]
fn every_type() {
    let input: &[u8] = b"+OK\r\n+\r\n-ERR x\r\n-\r\n:0\r\n:-12\r\n:9223372036854775807\r\n:-9223372036854775808\r\n\
        $0\r\n\r\n$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n_\r\n#t\r\n#f\r\n,1.5\r\n,-inf\r\n,nan\r\n(12  abc\r\n!3\r\nERR\r\n\
        =9\r\nt  :hello\r\n=4\r\ntxt:\r\n*0\r\n*2\r\n:1\r\n*1\r\n+a\r\n%1\r\n+k\r\n:2\r\n~1\r\n#t\r\n>1\r\n+p\r\n%0\r\n";
    let (tokens, end) = all_cuttings(input, &Limits::DEFAULT);
    assert_eq!(end, End { error: None, boundary: input.len() as u64, at_boundary: true });
    assert_eq!(tokens.len(), 35, "{tokens:#?}");
}

fn limits() -> Limits {
    Limits { line: 8, bulk: 9, elements: 5, depth: 3, frame: 60, attributes: 2 }
}

/// Malformed input, the kind of error, its offset, and how many values come before it.
#[test]
fn malformed_in_every_cutting() {
    use RespErrorKind as K;
    let table: &[(&[u8], K, u64)] = &[
        (b"HTTP/1.1", K::UnknownType, 0),
        (b"+OK\r\n\r\n", K::UnknownType, 5),
        (b"+a\rb\r\n", K::BadTerminator, 3),
        (b"+a\nb\r\n", K::BadTerminator, 2),
        (b"-\n", K::BadTerminator, 1),
        (b"-\r\r\n", K::BadTerminator, 2),
        (b"+123456789\r\n", K::LineTooLong, 9),
        (b"(123456789", K::LineTooLong, 9),
        (b"+12345678\rx", K::BadTerminator, 10),
        (b":\r\n", K::BadInteger, 1),
        (b":-\r\n", K::BadInteger, 2),
        (b":+1\r\n", K::BadInteger, 1),
        (b":01\r\n", K::BadInteger, 2),
        (b":-0\r\n", K::BadInteger, 2),
        (b":-01\r\n", K::BadInteger, 2),
        (b":1a\r\n", K::BadInteger, 2),
        (b": 1\r\n", K::BadInteger, 1),
        (b":1\n", K::BadTerminator, 2),
        (b":1\r\r\n", K::BadTerminator, 3),
        (b":9223372036854775808\r\n", K::BadInteger, 19),
        (b":-9223372036854775809\r\n", K::BadInteger, 20),
        (b":99999999999999999999999999999\r\n", K::BadInteger, 19),
        (b"$\r\n", K::BadLength, 1),
        (b"$-2\r\n", K::BadLength, 2),
        (b"$-11\r\n", K::BadLength, 3),
        (b"$-0\r\n", K::BadLength, 2),
        (b"$+1\r\n", K::BadLength, 1),
        (b"$04\r\n", K::BadLength, 2),
        (b"$00\r\n", K::BadLength, 2),
        (b"$1 \r\n", K::BadLength, 2),
        (b"$1?\r\n", K::BadLength, 2),
        (b"*-?\r\n", K::BadLength, 2),
        (b"$9223372036854775808\r\n", K::BadLength, 19),
        (b"$10\r\n0123456789\r\n", K::BulkTooLong, 0),
        (b"$4294967297\r\n", K::BulkTooLong, 0),
        (b"$18446744073709551615\r\n", K::BadLength, 20),
        (b"*6\r\n", K::TooManyElements, 0),
        (b"*4294967297\r\n", K::TooManyElements, 0),
        (b"%6\r\n", K::TooManyElements, 0),
        (b"*-2\r\n", K::BadLength, 2),
        (b"%-1\r\n", K::BadLength, 1),
        (b"~-1\r\n", K::BadLength, 1),
        (b"|-1\r\n", K::BadLength, 1),
        (b"!-1\r\n", K::BadLength, 1),
        (b"=-1\r\n", K::BadLength, 1),
        (b">-1\r\n", K::NullPush, 1),
        (b">1-1\r\n", K::BadLength, 2),
        (b"*1\r\n:1\n", K::BadTerminator, 6),
        (b"$3\r\nabcd\r\n", K::BadTerminator, 7),
        (b"$3\r\nabc\rx", K::BadTerminator, 8),
        (b"$3\r\nabc\n", K::BadTerminator, 7),
        (b"$0\r\nx", K::BadTerminator, 4),
        (b"#T\r\n", K::BadBoolean, 1),
        (b"#\r\n", K::BadBoolean, 1),
        (b"#tf\r\n", K::BadTerminator, 2),
        (b"_x\r\n", K::BadTerminator, 1),
        (b"_\rx", K::BadTerminator, 2),
        (b",1x\r\n", K::BadDouble, 2),
        (b",\r\n", K::BadDouble, 1),
        (b",1.\r\n", K::BadDouble, 3),
        (b",1e5\rx", K::BadTerminator, 5),
        (b",1\n", K::BadTerminator, 2),
        (b",12345678x", K::LineTooLong, 9),
        (b"=3\r\nabc\r\n", K::BadVerbatim, 0),
        (b"=5\r\ntxt-a\r\n", K::BadVerbatim, 7),
        (b"=5\r\ntxt:axx", K::BadTerminator, 9),
        (b"*1\r\n>1\r\n>1\r\n+a\r\n", K::PushInPush, 8),
        (b">1\r\n*1\r\n>1\r\n+a\r\n", K::PushInPush, 8),
        (b">1\r\n>0\r\n", K::PushInPush, 4),
        (b"|0\r\n|0\r\n|0\r\n+OK\r\n", K::TooManyAttributes, 8),
        (b"*5\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n", K::FrameTooLong, 60),
        (b"*5\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n+0123456\r\n+1234\r\n", K::FrameTooLong, 60),
        (b"*5\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n+01\r\n:123456\r\n", K::FrameTooLong, 60),
        (b"*5\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n+01\r\n+12345\r\n", K::FrameTooLong, 60),
    ];
    for &(input, kind, offset) in table {
        for before in [&b""[..], b"*2\r\n:1\r\n+two\r\n", b"$-1\r\n"] {
            let input = [before, input].concat();
            let base = before.len() as u64;
            let (_, end) = all_cuttings(&input, &limits());
            let shown = input.escape_ascii().to_string();
            let error = end.error.unwrap_or_else(|| panic!("no error: {shown}"));
            assert_eq!((error.kind(), error.offset() - base), (kind, offset), "{shown}");
            assert!(end.boundary >= base, "what came before is delivered: {shown}");
        }
    }
}

#[cfg(not(feature = "streamed"))]
#[test]
fn streamed_values_are_refused() {
    for (input, offset) in
        [(&b"$?\r\n"[..], 1), (b"*?\r\n", 1), (b"%?\r\n", 1), (b"~?\r\n", 1), (b".\r\n", 0), (b";1\r\n", 0)]
    {
        let error = all_cuttings(input, &Limits::DEFAULT).1.error.unwrap();
        assert_eq!((error.kind(), error.offset()), (RespErrorKind::Streamed, offset));
    }
    assert_eq!(all_cuttings(b">?\r\n", &Limits::DEFAULT).1.error.unwrap().kind(), RespErrorKind::BadLength);
}

#[cfg(feature = "streamed")]
#[test]
fn streamed_values() {
    let input =
        b"*2\r\n$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n*?\r\n:1\r\n%?\r\n+k\r\n~?\r\n.\r\n.\r\n*1\r\n_\r\n.\r\n+x\r\n";
    let (tokens, end) = all_cuttings(input, &Limits::DEFAULT);
    assert_eq!(end, End { error: None, boundary: input.len() as u64, at_boundary: true });
    assert_eq!(
        tokens,
        [
            "Array(2) d1",
            "Bulk([72, 101, 108, 108, 111]) d1",
            "Open(Array) d2",
            "Integer(1) d2",
            "Open(Map) d3",
            "Simple([107]) d3",
            "Open(Set) d4",
            "Close d3",
            "Close d2",
            "Array(1) d3",
            "Null(Resp3) d2",
            "Close d0 end",
            "Simple([120]) d0 end"
        ]
    );
    use RespErrorKind as K;
    for (input, kind, offset) in [
        (&b".\r\n"[..], K::BadStream, 0),
        (b";1\r\n", K::BadStream, 0),
        (b"*1\r\n.\r\n", K::BadStream, 4),
        (b"%?\r\n+k\r\n.\r\n", K::BadStream, 8),
        (b"*?\r\n|1\r\n+k\r\n+v\r\n.\r\n", K::BadStream, 16),
        (b"$?\r\n+a\r\n", K::BadStream, 4),
        (b"$?\r\n;-1\r\n", K::BadLength, 5),
        (b"$?\r\n;5\r\n01234\r\n;5\r\n01234\r\n", K::BulkTooLong, 15),
        (b"$?\r\n;1\r\nab\r\n", K::BadTerminator, 9),
        // Nine bytes in all are just not too many.
        (b"$?\r\n;5\r\n01234\r\n;4\r\n0123\r\n;0\r\n?", K::UnknownType, 29),
        (b"*1\r\n*1\r\n*1\r\n*?\r\n.\r\n", K::StreamedTooDeep, 12),
        (b">?\r\n", K::BadLength, 1),
    ] {
        let error = all_cuttings(input, &limits()).1.error.unwrap();
        assert_eq!((error.kind(), error.offset()), (kind, offset), "{}", input.escape_ascii());
    }
}

#[test]
fn a_push_inside_is_not_counted() {
    let input = b"*2\r\n>2\r\n+message\r\n*1\r\n+x\r\n%1\r\n:1\r\n>1\r\n+p\r\n:2\r\n:9\r\n>1\r\n+top\r\n";
    let (tokens, end) = all_cuttings(input, &Limits::DEFAULT);
    assert_eq!(end, End { error: None, boundary: input.len() as u64, at_boundary: true });
    assert_eq!(
        tokens[..5],
        [
            "Array(2) d1",
            "Push(2) d2 oob",
            "Simple([109, 101, 115, 115, 97, 103, 101]) d2 oob",
            "Array(1) d3 oob",
            "Simple([120]) d1 oob"
        ]
    );
    assert_eq!(tokens.len(), 13);
    let short = b"*2\r\n>1\r\n+a\r\n:1\r\n";
    assert!(!all_cuttings(short, &Limits::DEFAULT).1.at_boundary, "one element is missing still");
}

#[test]
fn attributes_belong_to_what_follows() {
    let input = b"|1\r\n+k\r\n|1\r\n+a\r\n:1\r\n+v\r\n*2\r\n:1\r\n|1\r\n+ttl\r\n:5\r\n>1\r\n|0\r\n+p\r\n|0\r\n:2\r\n";
    let (tokens, end) = all_cuttings(input, &Limits::DEFAULT);
    assert_eq!(end, End { error: None, boundary: input.len() as u64, at_boundary: true });
    assert_eq!(tokens[0], "Attribute(1) d1 attr");
    assert_eq!(tokens.iter().filter(|token| token.contains("attr")).count(), 11, "{tokens:#?}");
    assert_eq!(tokens.last().unwrap(), "Integer(2) d0 end");
    let (_, end) = all_cuttings(b"|1\r\n+k\r\n+v\r\n", &Limits::DEFAULT);
    assert!(!end.at_boundary, "its value is missing");
    // Contents of an attribute do not make the next one the first again.
    let row = b"|1\r\n+k\r\n+v\r\n|1\r\n+k\r\n+v\r\n|1\r\n+k\r\n+v\r\n:1\r\n";
    assert_eq!(all_cuttings(row, &limits()).1.error.unwrap().kind(), RespErrorKind::TooManyAttributes);
    let apart = b"*2\r\n|0\r\n|0\r\n:1\r\n|0\r\n|0\r\n:2\r\n|0\r\n|0\r\n+x\r\n";
    assert_eq!(all_cuttings(apart, &limits()).1.error, None);
}

#[test]
fn too_deep_is_skipped_and_the_stream_goes_on() {
    let deep =
        b"*2\r\n+a\r\n*1\r\n*1\r\n*2\r\n*1\r\n:1\r\n%1\r\n$3\r\nabc\r\n>1\r\n*0\r\n|1\r\n:1\r\n:2\r\n+v\r\n+after\r\n";
    let (tokens, end) = all_cuttings(deep, &Limits { frame: 100, ..limits() });
    assert_eq!(end, End { error: None, boundary: deep.len() as u64, at_boundary: true });
    assert_eq!(
        tokens,
        [
            "Array(2) d1",
            "Simple([97]) d1",
            "Array(1) d2",
            "Array(1) d3",
            "TooDeep d0 end",
            "Simple([97, 102, 116, 101, 114]) d0 end"
        ]
    );
    let nested = [b"*1\r\n".repeat(7995), b":1\r\n+after\r\n".to_vec()].concat();
    let (tokens, end) = read(&nested, &[], &Limits::DEFAULT, 0);
    assert_eq!((tokens.len(), end.error, end.at_boundary), (18, None, true));
    let wide = [&b"*3\r\n"[..], &b"*1\r\n".repeat(40), b":1\r\n*1\r\n:1\r\n:1\r\n+x\r\n"].concat();
    let limits = Limits { depth: 3, ..Limits::DEFAULT };
    let (tokens, end) = all_cuttings(&wide, &limits);
    assert_eq!(end, End { error: None, boundary: wide.len() as u64, at_boundary: true });
    assert_eq!(tokens.last().unwrap(), "Simple([120]) d0 end");
    // Errors below the limit are errors all the same.
    let error = all_cuttings(b"*1\r\n*1\r\n*1\r\n*1\r\n:x\r\n", &limits).1.error.unwrap();
    assert_eq!((error.kind(), error.offset()), (RespErrorKind::BadInteger, 17));
    // Pushes below the limit: one after the other, but not one inside another.
    let apart = b"*1\r\n*1\r\n*1\r\n*2\r\n>1\r\n*1\r\n:1\r\n>0\r\n*2\r\n>1\r\n:1\r\n:1\r\n:2\r\n:3\r\n+x\r\n";
    let (tokens, end) = all_cuttings(apart, &limits);
    assert_eq!((end.error, end.at_boundary, tokens.last().unwrap().as_str()), (None, true, "Simple([120]) d0 end"));
    let error = all_cuttings(b"*1\r\n*1\r\n*1\r\n*2\r\n>2\r\n:1\r\n*1\r\n>1\r\n", &limits).1.error.unwrap();
    assert_eq!((error.kind(), error.offset()), (RespErrorKind::PushInPush, 28));
    // No memory for levels at all: every aggregate is too deep, scalars are not.
    let (tokens, _) = read_levels::<0>(b"*1\r\n:1\r\n:2\r\n*0\r\n", &[1; 16], &Limits::DEFAULT, 0);
    assert_eq!(tokens, ["TooDeep d0 end", "Integer(2) d0 end", "Array(0) d0 end"]);
}

#[test]
fn limits_are_inclusive() {
    let input = b"+12345678\r\n$9\r\n012345678\r\n*5\r\n:1\r\n:1\r\n:1\r\n:1\r\n:1\r\n*1\r\n*1\r\n*1\r\n:1\r\n";
    let (tokens, end) = all_cuttings(input, &limits());
    assert_eq!((end.error, tokens.iter().any(|token| token.contains("TooDeep"))), (None, false));
    let exact = b"*5\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n$9\r\n012345678\r\n+123\r\n+xy\r\n";
    assert_eq!(exact.len(), 60);
    assert_eq!(all_cuttings(exact, &limits()).1.error, None);
    // A value that begins where the frame limit is passes it with its first byte.
    for value in ["+xy\r\n", "-\r\n", ":1\r\n", "$1\r\na\r\n", "*0\r\n", ",1\r\n"] {
        let input = ["*1\r\n", value].concat();
        let error = all_cuttings(input.as_bytes(), &Limits { frame: 4, ..limits() }).1.error.unwrap();
        assert_eq!((error.kind(), error.offset()), (RespErrorKind::FrameTooLong, 4), "{value:?}");
    }
    // Each top-level value has a frame limit of its own.
    assert_eq!(read(&b"+1234567\r\n".repeat(20), &[3; 99], &limits(), 0).1.error, None);
}

#[test]
fn a_count_is_not_believed() {
    // 2^31 - 1 elements and 2^31 - 1 pairs are counted without overflow; nothing is reserved.
    let (tokens, end) = read(b"*2147483647\r\n%2147483647\r\n:1\r\n", &[1; 40], &Limits::DEFAULT, 0);
    assert_eq!(tokens, ["Array(2147483647) d1", "Map(2147483647) d2", "Integer(1) d2"]);
    assert_eq!((end.error, end.at_boundary), (None, false));
    let limits = Limits { elements: u64::MAX, depth: 0, ..Limits::DEFAULT };
    let error = read(b"*2147483648\r\n", &[], &limits, 0).1.error.unwrap();
    assert_eq!(error.kind(), RespErrorKind::TooManyElements);
    let (_, end) = read(&b"%2147483647\r\n".repeat(100), &[7; 300], &limits, 0);
    assert_eq!((end.error, end.at_boundary), (None, false));
}

#[test]
fn short_strings_come_whole_if_asked() {
    let mut tokens: Tokens = Tokens::new(Limits::DEFAULT).with_whole(5);
    let mut reader = tokens.reader(b"$5\r\nhell");
    assert_eq!(reader.next(), Ok(None));
    assert_eq!(reader.consumed(), 4, "the header is done with, the text is awaited");
    let mut reader = tokens.reader(b"hello\r\n-MOVE");
    assert_eq!(reader.next(), Ok(Some(Token::Bulk(b"hello"))));
    assert_eq!((reader.next(), reader.consumed()), (Ok(None), 8));
    let mut reader = tokens.reader(b"MOVED 1 x");
    assert_eq!(reader.next(), Ok(Some(Token::Begin { kind: Text::Error, len: None })));
    assert_eq!(reader.next(), Ok(Some(Token::Chunk { bytes: b"MOVED 1 x", last: false })));
    let mut reader = tokens.reader(b"\r\n$6\r\n");
    assert_eq!(reader.next(), Ok(Some(Token::Chunk { bytes: b"", last: true })));
    assert!(reader.at_boundary());
    assert_eq!(reader.next(), Ok(Some(Token::Begin { kind: Text::Bulk, len: Some(6) })));
    // A begun string is taken as it comes: the buffer need not have room for it.
    for (part, last) in [(&b"ab"[..], false), (b"cd", false), (b"ef\r\n", true)] {
        let mut reader = tokens.reader(part);
        assert_eq!(reader.next(), Ok(Some(Token::Chunk { bytes: &part[..2], last })));
        assert_eq!((reader.next(), reader.consumed()), (Ok(None), part.len()));
    }
}

proptest::proptest! {
    /// Streams put together from valid and broken pieces, cut at random: the same values, the same error.
    #[test]
    fn random_streams_in_random_pieces(
        parts in proptest::collection::vec(proptest::sample::select(PARTS.to_vec()), 0..30),
        pieces in proptest::collection::vec(1_usize..20, 0..60),
        whole in 0_usize..12,
        tiny: bool,
    ) {
        let input = parts.concat();
        let limits = if tiny { limits() } else { Limits::DEFAULT };
        let expected = read(&input, &[], &limits, 0);
        proptest::prop_assert_eq!(read(&input, &pieces, &limits, whole), expected.clone());
        let frames = read_frames(&input, &[], &limits);
        proptest::prop_assert_eq!(frames.1, expected.1.error);
        proptest::prop_assert_eq!(read_frames(&input, &pieces, &limits), frames);
    }
}

const PARTS: &[&[u8]] = &[
    b"+OK\r\n",
    b"-ERR no\r\n",
    b":12\r\n",
    b":-1234567\r\n",
    b"$3\r\nabc\r\n",
    b"$9\r\n012345678\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"*-1\r\n",
    b"_\r\n",
    b"#t\r\n",
    b",1.5\r\n",
    b"(1\r\n",
    b"=5\r\ntxt:x\r\n",
    b"!1\r\nE\r\n",
    b"*0\r\n",
    b"*1\r\n",
    b"*2\r\n",
    b"*3\r\n",
    b"%1\r\n",
    b"~2\r\n",
    b">1\r\n",
    b"|1\r\n",
    b"*2\r\n",
    b"*1\r\n",
    b"\r\n",
    b"$5\r\nabc\r\n",
    b":01\r\n",
    b"+a\rb\r\n",
    b"*?\r\n",
    b".\r\n",
    b"$?\r\n",
    b";1\r\nx\r\n",
    b";0\r\n",
    b"+0123456789abcdef\r\n",
    b"$12\r\n0123456789ab\r\n",
];

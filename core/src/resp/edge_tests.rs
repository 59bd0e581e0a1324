//! Corners that the larger tests pass by: limits met exactly, small getters, words of errors, streamed children.

use std::format;
use std::string::{String, ToString};
use std::vec::Vec;

use super::encode::{EncodeError, encode, encoded_len};
use super::*;
use crate::limits::Limits;

fn tokens_of(input: &[u8], limits: Limits) -> Result<Vec<String>, RespErrorKind> {
    let mut tokens = Tokens::<8>::new(limits);
    let mut reader = tokens.reader(input);
    let mut all = Vec::new();
    while let Some(token) = reader.next().map_err(|error| error.kind())? {
        all.push(format!("{token:?}"));
    }
    Ok(all)
}

fn extent_of(input: &[u8], limits: Limits) -> Result<Status<Extent>, RespErrorKind> {
    Frames::<8>::new(limits).scan(input).map_err(|error| error.kind())
}

/// The error of both readers, however much is there at once.
fn error_of(input: &[u8], limits: Limits) -> RespErrorKind {
    let error = tokens_of(input, limits).expect_err("malformed");
    assert_eq!(extent_of(input, limits), Err(error), "{}", input.escape_ascii());
    error
}

fn ends(input: &[u8], limits: Limits) -> bool {
    matches!(extent_of(input, limits), Ok(Status::Complete(extent)) if extent.len == input.len())
        && tokens_of(input, limits).is_ok()
}

#[test]
fn lengths_end_with_both_bytes_of_their_line_end() {
    for input in
        ["$1x\na\r\n", "$1\rxa\r\n", "$12x\n123456789012\r\n", "$12\rx123456789012\r\n", "*1x\n:1\r\n", ":1x\n"]
    {
        let error = error_of(input.as_bytes(), Limits::DEFAULT);
        let expected = [RespErrorKind::BadLength, RespErrorKind::BadTerminator, RespErrorKind::BadInteger];
        assert!(expected.contains(&error), "{input:?}: {error:?}");
    }
    // The bytes next to the digits are none, wherever they stand.
    for input in ["*:5", "*5:", "*/5", "*5/", "$:0", "$0:", ":1:", ":/1"] {
        error_of(format!("{input}\r\n").as_bytes(), Limits::DEFAULT);
    }
    for input in ["$-", "*-x", ":--1\r\n", ":-\r\n", "$1-\r\n", "*1-1\r\n", ":1-2\r\n"] {
        let whole = format!("{input}\r\n");
        error_of(whole.as_bytes(), Limits::DEFAULT);
    }
}

#[test]
fn a_limit_met_exactly_is_no_limit_passed() {
    let limits = Limits { line: 4, bulk: 6, elements: 3, depth: 2, frame: 40, attributes: 1 };
    assert!(ends(b"+abcd\r\n", limits) && ends(b"-abcd\r\n", limits));
    assert_eq!(error_of(b"+abcde\r\n", limits), RespErrorKind::LineTooLong);
    assert!(ends(b"$6\r\nabcdef\r\n", limits));
    assert_eq!(error_of(b"$7\r\nabcdefg\r\n", limits), RespErrorKind::BulkTooLong);
    assert!(ends(b"*3\r\n:1\r\n:2\r\n:3\r\n", limits));
    assert_eq!(error_of(b"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n", limits), RespErrorKind::TooManyElements);
    let frame = b"*3\r\n$6\r\nabcdef\r\n$6\r\nabcdef\r\n$6\r\nabcdef\r\n";
    assert!(ends(frame, Limits { frame: frame.len() as u64, ..limits }));
    assert_eq!(error_of(frame, Limits { frame: frame.len() as u64 - 1, ..limits }), RespErrorKind::FrameTooLong);

    // Limits may be changed between two values.
    let mut frames = Frames::<8>::new(Limits::DEFAULT);
    assert!(frames.scan(b"+abcde\r\n").is_ok());
    frames.set_limits(limits);
    assert_eq!(frames.scan(b"+abcde\r\n").map_err(|error| error.kind()), Err(RespErrorKind::LineTooLong));
    let mut tokens = Tokens::<8>::new(Limits::DEFAULT);
    tokens.set_limits(limits);
    let error = tokens.reader(b"+abcde\r\n").next().unwrap_err();
    assert_eq!(error.kind(), RespErrorKind::LineTooLong);
    let mut state = TokenState::new();
    assert_eq!(state.failed(), None);
    assert_eq!(state.reader(&mut [], &limits, b"+abcde\r\n").next(), Err(error));
    assert_eq!(state.failed(), Some(error));
}

#[test]
fn readers_tell_where_they_are() {
    let mut state = FrameState::new();
    let mut levels = [Level::EMPTY; 4];
    assert!(state.at_boundary() && state.looked() == 0);
    let part = b"*2\r\n:1\r\n";
    assert_eq!(state.scan(&mut levels, &Limits::DEFAULT, part), Ok(Status::Incomplete));
    assert!(!state.at_boundary());
    assert_eq!(state.looked(), part.len() as u64);
    assert!(state.scan(&mut levels, &Limits::DEFAULT, b"*2\r\n:1\r\n:2\r\n").is_ok());
    assert!(state.at_boundary() && state.looked() == 0);

    let mut tokens = Tokens::<4>::new(Limits::DEFAULT);
    assert_eq!(tokens.offset(), 0);
    let mut reader = tokens.reader(b":12\r\n*1\r\n");
    while reader.next().unwrap().is_some() {}
    assert_eq!(tokens.offset(), 9);
    assert!(!tokens.at_boundary());
}

#[test]
fn more_values_than_one_level_can_count_are_awaited_in_turns() {
    let mut state = TokenState::new();
    let limits = Limits { depth: 0, ..Limits::DEFAULT };
    let deep = b"*2147483647\r\n".repeat(3);
    assert_eq!(state.reader(&mut [], &limits, &deep).next(), Ok(None));
    let awaited = 3 * u64::from(u32::MAX >> 1) - 2;
    assert_eq!((u64::from(state.top.remaining) + state.fold, state.fold > 9), (awaited, true));
    // As if all but the last of the first turn had been read, and then of the second.
    for rest in [state.fold, 0] {
        state.top.remaining = 1;
        let token = state.reader(&mut [], &limits, b":1\r\n").next();
        assert_eq!(token, Ok((rest == 0).then_some(Token::TooDeep)));
        assert_eq!((state.fold, state.at_boundary()), (0, rest == 0));
        assert_eq!(state.depth, u32::from(rest != 0), "all of it on one level");
    }
}

#[test]
fn a_verbatim_string_begins_with_the_last_byte_of_its_format() {
    let mut tokens = Tokens::<4>::new(Limits::DEFAULT);
    let input = b"=10\r\ntxt:abcdef\r\n";
    let mut reader = tokens.reader(&input[..8]);
    assert_eq!(reader.next(), Ok(None));
    let consumed = reader.consumed();
    let mut reader = tokens.reader(&input[consumed..9]);
    assert_eq!(reader.next(), Ok(Some(Token::Begin { kind: Text::Verbatim(*b"txt"), len: Some(6) })));
}

#[test]
fn a_line_whose_end_is_cut_waits_only_if_asked_to() {
    let mut tokens = Tokens::<4>::new(Limits::DEFAULT).with_whole(8);
    let mut reader = tokens.reader(b"-ERR x\r");
    assert_eq!(reader.next(), Ok(None));
    let consumed = reader.consumed();
    let mut reader = tokens.reader(&b"-ERR x\r\n"[consumed..]);
    assert_eq!(reader.next(), Ok(Some(Token::Error(b"ERR x"))));
    // A longer one, or any where nothing was asked for, begins at once.
    for (whole, input) in [(0, &b"-ERR x\r"[..]), (4, b"-ERR x\r")] {
        let mut tokens = Tokens::<4>::new(Limits::DEFAULT).with_whole(whole);
        assert_eq!(tokens.reader(input).next(), Ok(Some(Token::Begin { kind: Text::Error, len: None })));
    }
}

#[test]
fn frames_know_whether_a_push_is_inside() {
    for (input, has) in [(&b"*1\r\n:1\r\n"[..], false), (b"*1\r\n>1\r\n+x\r\n:1\r\n", true), (b">1\r\n+x\r\n", false)] {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(input, &Limits::DEFAULT) else { panic!() };
        assert_eq!(frame.has_push(), has, "{}", input.escape_ascii());
        assert_eq!(frame.pushes().count(), usize::from(has));
        assert_eq!(frame.children().count(), 1);
    }
}

#[test]
fn an_error_inside_ends_neither_the_value_nor_what_is_around_it() {
    for input in [
        &b"*3\r\n+OK\r\n-WRONGTYPE Operation\r\n:1\r\n"[..],
        b"*2\r\n-ERR first\r\n$1\r\na\r\n",
        b"*2\r\n*2\r\n!5\r\nERR b\r\n-ERR c\r\n:1\r\n",
        b"%1\r\n+a\r\n-ERR last\r\n",
    ] {
        let stream = [input, b"+next\r\n"].concat();
        for cut in 0..input.len() {
            let mut frames: Frames<4> = Frames::new(Limits::DEFAULT);
            assert_eq!(frames.scan(&stream[..cut]), Ok(Status::Incomplete), "{} {cut}", input.escape_ascii());
            let whole = Extent { len: input.len(), too_deep: false, has_push: false };
            assert_eq!(frames.scan(&stream), Ok(Status::Complete(whole)), "{} {cut}", input.escape_ascii());
        }
    }
}

#[test]
fn children_can_be_passed_in_a_walk() {
    let input = b"*4\r\n*2\r\n:1\r\n:2\r\n*0\r\n+x\r\n*1\r\n:5\r\n";
    let Ok(Status::Complete((frame, _))) = Frame::new_checked(input, &Limits::DEFAULT) else { panic!() };
    let mut walk = frame.walk();
    let mut seen = Vec::new();
    while let Some(visit) = walk.next() {
        seen.push((visit.depth, format!("{:?}", visit.token)));
        if visit.depth == 1 {
            // Of an empty aggregate, and of no aggregate, there is nothing to pass.
            walk.skip_children();
        }
    }
    let seen: Vec<_> = seen.iter().map(|(depth, text)| (*depth, text.as_str())).collect();
    let simple = format!("{:?}", Token::Simple(b"x"));
    assert_eq!(seen, [(0, "Array(4)"), (1, "Array(2)"), (1, "Array(0)"), (1, simple.as_str()), (1, "Array(1)")]);
}

#[test]
fn arguments_by_reference_are_the_same_arguments() {
    fn shape(args: impl Args) -> (usize, Option<Vec<u8>>, Option<Vec<u8>>) {
        (args.count(), args.arg(1).map(<[u8]>::to_vec), args.arg(2).map(<[u8]>::to_vec))
    }
    let command = &["GET", "key"];
    assert_eq!(shape(command), (2, Some(b"key".to_vec()), None));
    assert_eq!(shape(&command[..]), shape(command));
}

#[test]
fn errors_have_words_and_names() {
    for (error, words) in [
        (EncodeError::Empty, "empty command"),
        (EncodeError::TooManyArguments, "too many arguments"),
        (EncodeError::MissingArgument, "an argument is missing"),
        (EncodeError::BufferTooSmall { needed: 9 }, "buffer too small: 9 bytes needed"),
    ] {
        assert_eq!(error.to_string(), words);
    }
    assert_eq!(encode(&["PING"], &mut [0; 3]), Err(EncodeError::BufferTooSmall { needed: 14 }));
    assert_eq!(encoded_len(&["PING"]), Ok(14));
    let kinds = [
        (RespErrorKind::UnknownType, "unknown_type"),
        (RespErrorKind::BadLength, "bad_length"),
        (RespErrorKind::BadInteger, "bad_integer"),
        (RespErrorKind::BadBoolean, "bad_boolean"),
        (RespErrorKind::BadDouble, "bad_double"),
        (RespErrorKind::BadVerbatim, "bad_verbatim"),
        (RespErrorKind::BadTerminator, "bad_terminator"),
        (RespErrorKind::LineTooLong, "line_too_long"),
        (RespErrorKind::FrameTooLong, "frame_too_long"),
        (RespErrorKind::NullPush, "null_push"),
    ];
    for (kind, name) in kinds {
        assert_eq!(kind.name(), name);
        assert_eq!(RespError::new(kind, 7).to_string(), format!("{kind} at byte 7"));
        assert!(!kind.to_string().is_empty());
    }
}

#[cfg(feature = "request-parser")]
mod requests {
    use std::vec;

    use super::super::inline::{UnbalancedQuotes, split_inline};
    use super::super::request::{INLINE_MAX, RequestError, RequestLimits, Requests};
    use super::*;

    fn read(limits: RequestLimits, input: &[u8]) -> Result<Option<Vec<Vec<u8>>>, RequestError> {
        let mut requests = Requests::<4, 64>::new(limits);
        let parsed = requests.read(input)?;
        Ok(parsed.request.map(|request| {
            assert_eq!(request.count(), request.iter().count());
            request.iter().map(<[u8]>::to_vec).collect()
        }))
    }

    #[test]
    fn limits_met_exactly() {
        let limits = RequestLimits { arguments: 2, bulk: 3, unauthenticated: false };
        assert_eq!(read(limits, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"), Ok(Some(vec![b"GET".to_vec(), b"k".to_vec()])));
        assert_eq!(read(limits, b"*3\r\n"), Err(RequestError::InvalidMultibulkLength));
        assert_eq!(read(limits, b"*1\r\n$4\r\nPING\r\n"), Err(RequestError::InvalidBulkLength));
        let most = format!("*{}\r\n", i32::MAX);
        assert_eq!(read(RequestLimits::DEFAULT, most.as_bytes()), Ok(None));
        let more = format!("*{}\r\n", 1_u64 << 31);
        let any = RequestLimits { arguments: u64::MAX, ..limits };
        assert_eq!(read(any, more.as_bytes()), Err(RequestError::InvalidMultibulkLength));

        let guest = RequestLimits { unauthenticated: true, ..RequestLimits::DEFAULT };
        assert_eq!(read(guest, b"*10\r\n"), Ok(None));
        assert_eq!(read(guest, b"*1\r\n$16384\r\n"), Ok(None));

        let mut requests = Requests::<4, 64>::new(limits);
        requests.set_limits(RequestLimits::DEFAULT);
        assert!(requests.read(b"*3\r\n$4\r\nPING\r\n").is_ok());
    }

    #[test]
    fn lines_of_the_greatest_length() {
        assert_eq!(INLINE_MAX, 65_536);
        let line = "x".repeat(INLINE_MAX);
        let whole = format!("{line}\n");
        assert_eq!(read(RequestLimits::DEFAULT, whole.as_bytes()), Ok(Some(vec![line.clone().into_bytes()])));
        assert_eq!(read(RequestLimits::DEFAULT, line.as_bytes()), Ok(None));
        for end in ["", "\n", "xx\n"] {
            let longer = format!("{line}x{end}");
            assert_eq!(read(RequestLimits::DEFAULT, longer.as_bytes()), Err(RequestError::TooBigInline), "{end:?}");
            let count = format!("*{line}x{}", end.replace('\n', "\r\n"));
            assert_eq!(read(RequestLimits::DEFAULT, count.as_bytes()), Err(RequestError::TooBigCountLine), "{end:?}");
        }
        assert_eq!(read(RequestLimits::DEFAULT, format!("*{line}").as_bytes()), Ok(None));
        let count = format!("*{line}\r\n");
        assert_eq!(read(RequestLimits::DEFAULT, count.as_bytes()), Err(RequestError::InvalidMultibulkLength));
    }

    #[test]
    fn memory_that_is_just_enough() {
        let mut requests = Requests::<2, 3>::new(RequestLimits::DEFAULT);
        let parsed = requests.read(b"\"a\\tb\" c\n").unwrap();
        assert_eq!(parsed.request.unwrap().iter().collect::<Vec<_>>(), [&b"a\tb"[..], b"c"]);
        let request = requests.read(b"c \"a\\tb\"\n").unwrap().request.unwrap();
        assert_eq!((request.get(1), request.get(2)), (Some(&b"a\tb"[..]), None));
        let needed = RequestError::NoRoom { spans: 3, text: 4 };
        assert_eq!(requests.read(b"\"abcd\" e f\n").map(|_| ()), Err(needed));
    }

    #[test]
    fn escapes_in_quotes() {
        let words = |line: &str| -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
            split_inline(line.as_bytes()).map(|word| word.map(|word| word.bytes().collect())).collect()
        };
        assert_eq!(words(r#""\x0a\xaF\xFa\x99" b"#), Ok(vec![b"\x0a\xaf\xfa\x99".to_vec(), b"b".to_vec()]));
        assert_eq!(words(r#""\xg0""#), Ok(vec![b"xg0".to_vec()]));
        assert_eq!(words("\"open").unwrap_err().to_string(), "unbalanced quotes");
    }
}

#[cfg(feature = "streamed")]
mod streamed {
    use super::*;

    /// Two streamed values, one in the other, with plain ones around them.
    const INPUT: &[u8] = b"*3\r\n*?\r\n:1\r\n$?\r\n;3\r\nabc\r\n;2\r\nde\r\n;0\r\n|1\r\n+a\r\n+b\r\n*1\r\n:9\r\n.\r\n$?\r\n;1\r\nx\r\n;0\r\n:7\r\n";

    #[test]
    fn children_of_streamed_values() {
        let Ok(Status::Complete((frame, len))) = Frame::new_checked(INPUT, &Limits::DEFAULT) else { panic!() };
        assert_eq!(len, INPUT.len());
        let children: Vec<_> = frame.children().collect();
        assert_eq!(children.len(), 3);
        assert_eq!(children[2].integer(), Some(7));
        let inner: Vec<_> = children[0].children().collect();
        assert_eq!(inner.len(), 3);
        assert_eq!(inner[0].integer(), Some(1));
        assert_eq!(inner[2].children().next().and_then(|child| child.integer()), Some(9));
        assert_eq!(children[1].raw(), b"$?\r\n;1\r\nx\r\n;0\r\n");
    }

    #[test]
    fn a_walk_tells_an_end_where_the_beginning_was() {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(INPUT, &Limits::DEFAULT) else { panic!() };
        let depths = |wanted: fn(&Token) -> bool| -> Vec<usize> {
            frame.walk().filter(|visit| wanted(&visit.token)).map(|visit| visit.depth).collect()
        };
        assert_eq!(depths(|token| matches!(token, Token::Open(_))), [1]);
        assert_eq!(depths(|token| matches!(token, Token::Close)), [1]);
        assert_eq!(depths(|token| matches!(token, Token::Integer(_))), [2, 3, 1]);
        let mut walk = frame.walk();
        walk.nth(1);
        walk.skip_children();
        assert_eq!(
            walk.next().map(|visit| (visit.depth, visit.token)),
            Some((1, Token::Begin { kind: Text::Bulk, len: None }))
        );
    }

    #[test]
    fn pieces_of_a_streamed_string_are_in_band() {
        let mut tokens = Tokens::<4>::new(Limits::DEFAULT);
        let input = b"*1\r\n$?\r\n;5\r\nabcde\r\n;0\r\n";
        let mut start = 0;
        let mut chunks = 0;
        for end in 1..=input.len() {
            let mut reader = tokens.reader(&input[start..end]);
            while let Some(token) = reader.next().unwrap() {
                assert!(!reader.in_attribute() && !reader.out_of_band(), "{token:?}");
                chunks += usize::from(matches!(token, Token::Chunk { .. }));
            }
            start += reader.consumed();
        }
        assert!(chunks >= 2 && tokens.at_boundary());
        // All of a piece at once, after the string began.
        let mut tokens = Tokens::<4>::new(Limits::DEFAULT);
        let mut reader = tokens.reader(input);
        while let Some(token) = reader.next().unwrap() {
            assert!(!reader.in_attribute() && !reader.out_of_band(), "{token:?}");
        }
    }
}

//! Encoder, request reader and reply writer.

use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::encode::*;
use super::reply::{ReplyProtocol, ReplyWriter, SliceSink};
use super::request::{RequestError, RequestLimits, RequestState, Requests, Span};
use super::*;
use crate::limits::Limits;

proptest! {
    #[test]
    fn what_is_encoded_is_read_back(
        args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 1..12),
        min_borrow in 0_usize..160,
        piece in 1_usize..40,
    ) {
        let needed = usize::try_from(encoded_len(&args[..]).unwrap()).unwrap();
        let mut out = vec![0; needed];
        prop_assert_eq!(encode(&args[..], &mut out), Ok(needed));
        let scratch = usize::try_from(scratch_len(&args[..], min_borrow).unwrap()).unwrap();
        let mut memory = vec![0; scratch];
        let segments: Vec<&[u8]> = segments(&args[..], &mut memory, min_borrow).unwrap().collect();
        prop_assert_eq!(segments.concat(), &out[..]);
        prop_assert!(segments.iter().all(|segment| !segment.is_empty()));

        let mut requests = Requests::<3, 0>::new(RequestLimits::DEFAULT);
        for end in (1..needed).step_by(piece) {
            let parsed = requests.read(&out[..end]).unwrap();
            prop_assert!(parsed.consumed == 0 && parsed.request.is_none());
        }
        let parsed = requests.read(&out).unwrap();
        prop_assert_eq!(parsed.consumed, needed);
        let request = parsed.request.unwrap();
        prop_assert!(request.iter().eq(args.iter().map(Vec::as_slice)));
        prop_assert!((0..args.len()).all(|index| request.arg(index) == Some(&args[index][..])));
        prop_assert_eq!(request.arg(args.len()), None);
    }
}

#[test]
fn lengths_of_every_width_are_written() {
    for len in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1000] {
        let arg = vec![b'x'; len];
        let mut out = vec![0; len + 99];
        let used = encode(&[&arg[..]], &mut out).unwrap();
        let expected = [std::format!("*1\r\n${len}\r\n").as_bytes(), &arg, b"\r\n"].concat();
        assert_eq!(out[..used], expected);
    }
}

#[test]
fn a_buffer_too_small_is_named() {
    let command = ["SET", "key", "value"];
    let needed = encoded_len(&command).unwrap();
    for short in 0..usize::try_from(needed).unwrap() {
        assert_eq!(encode(&command, &mut vec![0; short]), Err(EncodeError::BufferTooSmall { needed }));
    }
    assert_eq!(encode(&[""; 0], &mut [0; 9]), Err(EncodeError::Empty));
    assert!(segments(&[""; 0], &mut [0; 9], 1).is_err());
    struct Liar;
    impl Args for Liar {
        fn count(&self) -> usize {
            2
        }
        fn arg(&self, index: usize) -> Option<&[u8]> {
            (index == 0).then_some(b"GET")
        }
    }
    assert_eq!(encode(&Liar, &mut [0; 99]), Err(EncodeError::MissingArgument));
    struct Many;
    impl Args for Many {
        fn count(&self) -> usize {
            1 << 31
        }
        fn arg(&self, _: usize) -> Option<&[u8]> {
            Some(b"")
        }
    }
    assert_eq!(encode(&Many, &mut [0; 99]), Err(EncodeError::TooManyArguments));
}

#[test]
fn request_errors_are_the_servers() {
    let guest = RequestLimits { unauthenticated: true, ..RequestLimits::DEFAULT };
    let small = RequestLimits { arguments: 3, bulk: 5, unauthenticated: false };
    let long = [b"*", &b"1".repeat(70_000)[..]].concat();
    let long_bulk = [&b"*1\r\n$"[..], &b"1".repeat(70_000)].concat();
    let line = b"a".repeat(65_537);
    let table: &[(&[u8], RequestLimits, &str)] = &[
        (b"get \"a\r\n", small, "unbalanced quotes in request"),
        (&line, small, "too big inline request"),
        (&long, small, "too big mbulk count string"),
        (b"*01\r\n", small, "invalid multibulk length"),
        (b"*+1\r\n", small, "invalid multibulk length"),
        (b"*\r\n", small, "invalid multibulk length"),
        (b"*4\r\n", small, "invalid multibulk length"),
        (b"*2147483648\r\n", RequestLimits::DEFAULT, "invalid multibulk length"),
        (b"*11\r\n", guest, "unauthenticated multibulk length"),
        (&long_bulk, small, "too big bulk count string"),
        (b"*1\r\n:1\r\n", small, "expected '$', got ':'"),
        (b"*1\r\n\r\n", small, "expected '$', got ' '"),
        (b"*1\r\n$04\r\n", small, "invalid bulk length"),
        (b"*1\r\n$-1\r\n", small, "invalid bulk length"),
        (b"*1\r\n$6\r\n", small, "invalid bulk length"),
        (b"*1\r\n$16385\r\n", guest, "unauthenticated bulk length"),
        (b"*1\rx", small, "invalid CRLF in request"),
        (b"*1\r\n$1\r\nab\r\n", small, "invalid CRLF in request"),
        (b"*1\r\n$1\r\na\rb", small, "invalid CRLF in request"),
    ];
    for &(input, limits, text) in table {
        for pieces in [input.len(), 1, 7, 1000] {
            let mut state = RequestState::new();
            let mut spans = [Span::EMPTY; 4];
            let mut found = None;
            for end in (pieces..=input.len()).step_by(pieces).chain([input.len()]) {
                match state.read(&limits, &input[..end], &mut spans, &mut [0; 64]) {
                    Ok(parsed) => assert!(parsed.request.is_none() && parsed.consumed == 0),
                    Err(error) => found = Some(error),
                }
            }
            let found = found.unwrap_or_else(|| panic!("no error: {text}"));
            assert_eq!(found.to_string(), ["Protocol error: ", text].concat());
            let again = state.read(&limits, b"PING\r\n", &mut spans, &mut []).map(|parsed| parsed.consumed);
            assert_eq!(again, Err(found), "the error stays");
        }
    }
}

#[test]
fn empty_requests_yield_nothing() {
    let mut requests: Requests = Requests::new(RequestLimits::DEFAULT);
    let input = b"*0\r\n*-1\r\n\r\n  \r\n*-77\r\nPING\n*1\r\n$4\r\nQUIT\r\n*2\r\n";
    let parsed = requests.read(input).unwrap();
    assert_eq!(parsed.consumed, 26);
    let request = parsed.request.unwrap();
    assert!(request.is_inline() && request.iter().eq([b"PING"]));
    let parsed = requests.read(&input[26..]).unwrap();
    let request = parsed.request.unwrap();
    assert!(!request.is_inline() && request.iter().eq([b"QUIT"]));
    assert_eq!(parsed.consumed, 14);
    let parsed = requests.read(b"*2\r\n").unwrap();
    assert_eq!((parsed.consumed, parsed.request.is_none()), (0, true));
}

#[test]
fn arguments_are_found_without_a_place_for_any() {
    let mut requests = Requests::<0, 0>::new(RequestLimits::DEFAULT);
    let request = requests.read(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n").unwrap().request.unwrap();
    assert!(request.iter().eq([&b"SET"[..], b"k", b""]));
    let found = [0, 1, 2, 3].map(|index| request.get(index));
    assert_eq!(found, [Some(&b"SET"[..]), Some(b"k"), Some(b""), None]);
}

#[test]
fn inline_words_borrow_or_unquote() {
    let mut requests = Requests::<4, 4>::new(RequestLimits::DEFAULT);
    let request = requests.read(b"set k \"a\\x41b\" plain\r\n").unwrap().request.unwrap();
    assert!(request.iter().eq([&b"set"[..], b"k", b"aAb", b"plain"]));
    assert_eq!(request.raw(), b"set k \"a\\x41b\" plain\r\n");
    let error = requests.read(b"a b c d e\r\n").map(|parsed| parsed.consumed);
    assert_eq!(error, Err(RequestError::NoRoom { spans: 5, text: 0 }));
    let error = requests.read(b"a \"bcdef\"\r\n").map(|parsed| parsed.consumed);
    assert_eq!(error, Err(RequestError::NoRoom { spans: 2, text: 5 }));
    assert!(requests.read(b"a\0b \"\r\n").unwrap().request.unwrap().iter().eq([b"a"]), "a zero byte ends the line");
}

#[test]
fn replies_are_written_for_both_protocols() {
    let mut both = Vec::new();
    for protocol in [ReplyProtocol::Resp2, ReplyProtocol::Resp3] {
        let mut out = Vec::new();
        let mut reply = ReplyWriter::new(&mut out, protocol);
        reply.simple(b"a\r\nb").unwrap();
        reply.error(b"ERR x").unwrap();
        reply.integer(-7).unwrap();
        reply.bulk(b"a\r\nb").unwrap();
        reply.null().unwrap();
        reply.null_array().unwrap();
        reply.boolean(true).unwrap();
        reply.boolean(false).unwrap();
        reply.double(b"1.5").unwrap();
        reply.big_number(b"12").unwrap();
        reply.verbatim(*b"txt", b"hi").unwrap();
        reply.array(0).unwrap();
        reply.map(0).unwrap();
        reply.set(0).unwrap();
        reply.push(0).unwrap();
        let attribute = reply.attribute(0).unwrap();
        reply.map(2).unwrap();
        (0..4).for_each(|number| reply.integer(number).unwrap());
        assert_eq!(attribute, protocol == ReplyProtocol::Resp3);
        let (_, end) = super::tests::all_cuttings(&out, &Limits::DEFAULT);
        assert_eq!((end.error, end.at_boundary), (None, true));
        both.push(out);
    }
    assert_eq!(
        both[0].escape_ascii().to_string(),
        r"+a  b\r\n-ERR x\r\n:-7\r\n$4\r\na\r\nb\r\n$-1\r\n*-1\r\n:1\r\n:0\r\n$3\r\n1.5\r\n$2\r\n12\r\n$2\r\nhi\r\n"
            .to_string()
            + r"*0\r\n*0\r\n*0\r\n*0\r\n*4\r\n:0\r\n:1\r\n:2\r\n:3\r\n"
    );
    assert_eq!(
        both[1].escape_ascii().to_string(),
        r"+a  b\r\n-ERR x\r\n:-7\r\n$4\r\na\r\nb\r\n_\r\n_\r\n#t\r\n#f\r\n,1.5\r\n(12\r\n=6\r\ntxt:hi\r\n".to_string()
            + r"*0\r\n%0\r\n~0\r\n>0\r\n|0\r\n%2\r\n:0\r\n:1\r\n:2\r\n:3\r\n"
    );
    let mut memory = [0; 4];
    let mut sink = SliceSink::new(&mut memory);
    let mut reply = ReplyWriter::new(&mut sink, ReplyProtocol::Resp2);
    reply.array(1).unwrap();
    assert_eq!(reply.integer(1), Err(EncodeError::BufferTooSmall { needed: 5 }));
    assert_eq!(sink.written(), b"*1\r\n");
}

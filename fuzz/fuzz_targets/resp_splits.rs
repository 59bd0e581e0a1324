//! However the bytes of a stream are cut, both readers give the same values and the same error, and they agree
//! with each other on where values end.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::limits::Limits;
use slotwise::resp::{Frames, RespError, Status, Text, Token, Tokens};
use slotwise_fuzz::Plan;

fuzz_target!(|data: &[u8]| {
    let Some((plan, input)) = Plan::split(data) else { return };
    let limits = if plan.tiny {
        Limits { line: 7, bulk: 9, elements: 5, depth: 3, frame: 60, attributes: 2 }
    } else {
        Limits::DEFAULT
    };
    let whole = read_tokens(input, [input.len()].into_iter(), &limits, 0);
    let cut = read_tokens(input, plan.cuts(input.len()), &limits, 0);
    assert_eq!(cut, whole);
    let waited = read_tokens(input, plan.cuts(input.len()), &limits, usize::from(plan.choice));
    assert_eq!(waited.values, whole.values);
    assert_eq!(waited.error, whole.error);
    assert_eq!(waited.ends, whole.ends);

    let frames = read_frames(input, [input.len()].into_iter(), &limits);
    assert_eq!(read_frames(input, plan.cuts(input.len()), &limits), frames);
    assert_eq!(frames, (whole.ends, whole.error));
});

#[derive(Debug, PartialEq)]
struct Outcome {
    /// Each value, and about it: depth, in a push inside, in an attribute.
    values: Vec<(Value, usize, bool, bool)>,
    /// Where each top-level value ended, and whether it was too deep.
    ends: Vec<(u64, bool)>,
    error: Option<RespError>,
    at_boundary: bool,
    /// A string whose end is missing: what there is of it. Only without an error.
    open: Option<(Text, Option<u64>, Vec<u8>)>,
}

#[derive(Debug, PartialEq)]
enum Value {
    Text(Text, Vec<u8>),
    Other(Token<'static>),
}

fn read_tokens(input: &[u8], cuts: impl Iterator<Item = usize>, limits: &Limits, whole: usize) -> Outcome {
    let mut tokens = Tokens::<8>::new(*limits).with_whole(whole);
    let mut out = Outcome { values: Vec::new(), ends: Vec::new(), error: None, at_boundary: true, open: None };
    let mut start = 0;
    'stream: for end in cuts {
        let mut reader = tokens.reader(&input[start..end]);
        loop {
            let token = match reader.next() {
                Ok(Some(token)) => token,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(reader.next(), Err(error));
                    out.error = Some(error);
                    out.open = None;
                    break 'stream;
                }
            };
            if reader.at_boundary() {
                out.ends.push(((start + reader.consumed()) as u64, token == Token::TooDeep));
                assert_eq!(reader.depth(), 0);
            }
            let about = (reader.depth(), reader.out_of_band(), reader.in_attribute());
            let value = match token {
                Token::Begin { kind, len } => {
                    assert!(out.open.replace((kind, len, Vec::new())).is_none());
                    continue;
                }
                Token::Chunk { bytes, last } => {
                    out.open.as_mut().expect("begun").2.extend(bytes);
                    if !last {
                        continue;
                    }
                    let (kind, len, text) = out.open.take().expect("begun");
                    assert!(len.is_none_or(|len| len == text.len() as u64));
                    Value::Text(kind, text)
                }
                Token::Simple(text) => Value::Text(Text::Simple, text.to_vec()),
                Token::Error(text) => Value::Text(Text::Error, text.to_vec()),
                Token::Bulk(text) => Value::Text(Text::Bulk, text.to_vec()),
                Token::Double(text) => Value::Text(Text::Double, text.to_vec()),
                Token::BigNumber(text) => Value::Text(Text::BigNumber, text.to_vec()),
                Token::BlobError(text) => Value::Text(Text::BlobError, text.to_vec()),
                Token::Verbatim { format, text } => Value::Text(Text::Verbatim(format), text.to_vec()),
                Token::Integer(number) => Value::Other(Token::Integer(number)),
                Token::Null(null) => Value::Other(Token::Null(null)),
                Token::Boolean(value) => Value::Other(Token::Boolean(value)),
                Token::Array(count) => Value::Other(Token::Array(count)),
                Token::Map(count) => Value::Other(Token::Map(count)),
                Token::Set(count) => Value::Other(Token::Set(count)),
                Token::Push(count) => Value::Other(Token::Push(count)),
                Token::Attribute(count) => Value::Other(Token::Attribute(count)),
                Token::Open(kind) => Value::Other(Token::Open(kind)),
                Token::Close => Value::Other(Token::Close),
                Token::TooDeep => Value::Other(Token::TooDeep),
            };
            assert!(out.open.is_none(), "nothing stands between the pieces of a string");
            out.values.push((value, about.0, about.1, about.2));
        }
        start += reader.consumed();
        assert!(start <= end);
    }
    out.at_boundary = tokens.at_boundary();
    if whole != 0 {
        out.open = None;
    }
    out
}

fn read_frames(
    input: &[u8],
    cuts: impl Iterator<Item = usize>,
    limits: &Limits,
) -> (Vec<(u64, bool)>, Option<RespError>) {
    let mut frames = Frames::<8>::new(*limits);
    let mut ends = Vec::new();
    let mut start = 0;
    for end in cuts {
        while start < end {
            match frames.scan(&input[start..end]) {
                Ok(Status::Complete(extent)) => {
                    start += extent.len;
                    ends.push((start as u64, extent.too_deep));
                }
                Ok(Status::Incomplete) => break,
                Err(error) => return (ends, Some(error.shifted(start as u64))),
            }
        }
    }
    (ends, None)
}

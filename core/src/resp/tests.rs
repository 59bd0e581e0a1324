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

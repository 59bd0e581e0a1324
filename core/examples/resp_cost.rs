//! What reading RESP costs, in instructions per value or per byte, under a counting tool:
//!
//! ```text
//! cargo build --release -p slotwise --example resp_cost
//! valgrind --tool=callgrind --toggle-collect='*measured*' target/release/examples/resp_cost tokens ints 100000 0
//! ```
//!
//! Arguments: reader (`hand`, `tokens`, `frame`, `scan`), workload, number of values, bytes per piece (0: all at once).
//! Prints the number of values and bytes, and a checksum that is the same for all readers.

use slotwise::limits::Limits;
use slotwise::resp::{Frame, FrameState, Frames, Level, Status, Token, TokenState};
use std::hint::black_box;

fn main() {
    let mut args = std::env::args().skip(1);
    let reader = args.next().unwrap_or_else(|| "tokens".into());
    let workload = args.next().unwrap_or_else(|| "ints".into());
    let count: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let piece: usize = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let input = input(&workload, count);
    let piece = if piece == 0 { input.len() } else { piece };
    let start = std::time::Instant::now();
    let sum = measured(&reader, black_box(&input), piece);
    let took = start.elapsed();
    println!("{reader} {workload} values {count} bytes {} piece {piece} sum {sum} ns {}", input.len(), took.as_nanos());
}

/// One array of integers, or `count` top-level values.
fn input(workload: &str, count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let each: &dyn Fn(usize) -> String = match workload {
        "ints" => {
            out.extend(format!("*{count}\r\n").bytes());
            &|i| format!(":{}\r\n", i * 7919 % 1_000_000)
        }
        "int" => &|i| format!(":{}\r\n", i * 7919 % 1_000_000),
        "ok" => &|_| "+OK\r\n".into(),
        "b16" => &|_| "$16\r\n0123456789abcdef\r\n".into(),
        "b1024" => &|_| format!("$1024\r\n{}\r\n", "x".repeat(1024)),
        "slots" => &|i| {
            format!(
                "*3\r\n:{i}\r\n:{i}\r\n*3\r\n$9\r\n127.0.0.1\r\n:7000\r\n$40\r\n{}\r\n",
                "0123456789abcdef0123456789abcdef01234567"
            )
        },
        "page" => &|i| format!("*2\r\n$5\r\n12345\r\n*3\r\n$8\r\nkey:{:04}\r\n$3\r\nabc\r\n$1\r\nz\r\n", i % 10_000),
        "map" => &|i| format!("%2\r\n$5\r\nfield\r\n:{i}\r\n+k\r\n$-1\r\n"),
        other => panic!("no workload {other}"),
    };
    for index in 0..count {
        out.extend(each(index).bytes());
    }
    out
}

#[inline(never)]
fn measured(reader: &str, input: &[u8], piece: usize) -> u64 {
    match reader {
        "hand" => hand(input),
        "tokens" => tokens(input, piece),
        "frame" => frame(input, piece),
        "walk" => walk(input),
        "scan" => scan(input, piece),
        other => panic!("no reader {other}"),
    }
}

fn pieces(input: &[u8], piece: usize) -> impl Iterator<Item = usize> {
    (1..=input.len().div_ceil(piece)).map(move |n| (n * piece).min(input.len()))
}

fn tokens(input: &[u8], piece: usize) -> u64 {
    let mut state = TokenState::new();
    let mut levels = [Level::EMPTY; 128];
    let limits = Limits::DEFAULT;
    let (mut sum, mut start) = (0_u64, 0);
    for end in pieces(input, piece) {
        let mut reader = state.reader(&mut levels, &limits, &input[start..end]);
        while let Some(token) = reader.next().expect("well-formed") {
            sum = sum.wrapping_add(match token {
                Token::Integer(number) => number as u64,
                Token::Bulk(bytes) | Token::Simple(bytes) | Token::Chunk { bytes, .. } => bytes.len() as u64,
                Token::Array(count) | Token::Map(count) => u64::from(count),
                _ => 0,
            });
        }
        start += reader.consumed();
    }
    sum
}

fn scan(input: &[u8], piece: usize) -> u64 {
    let mut frames: Frames = Frames::new(Limits::DEFAULT);
    let (mut sum, mut start) = (0_u64, 0);
    for end in pieces(input, piece) {
        while let Status::Complete(extent) = frames.scan(&input[start..end]).expect("well-formed") {
            start += extent.len;
            sum += extent.len as u64;
        }
    }
    sum
}

fn frame(input: &[u8], piece: usize) -> u64 {
    let mut state = FrameState::new();
    let mut levels = [Level::EMPTY; 128];
    let limits = Limits::DEFAULT;
    let (mut sum, mut start) = (0_u64, 0);
    for end in pieces(input, piece) {
        while let Status::Complete(extent) = state.scan(&mut levels, &limits, &input[start..end]).expect("well-formed")
        {
            let frame = Frame::from_extent(&input[start..end], extent).expect("a value");
            sum = sum.wrapping_add(sum_of(&frame));
            start += extent.len;
        }
    }
    sum
}

fn sum_of(frame: &Frame<'_>) -> u64 {
    let own = match frame.token() {
        Token::Integer(number) => number as u64,
        Token::Bulk(bytes) | Token::Simple(bytes) => bytes.len() as u64,
        Token::Array(count) | Token::Map(count) => u64::from(count),
        _ => 0,
    };
    frame.children().fold(own, |sum, child| sum.wrapping_add(sum_of(&child)))
}

fn walk(input: &[u8]) -> u64 {
    let limits = Limits::DEFAULT;
    let mut state = FrameState::new();
    let mut levels = [Level::EMPTY; 128];
    let (mut sum, mut start) = (0_u64, 0);
    while let Status::Complete(extent) = state.scan(&mut levels, &limits, &input[start..]).expect("well-formed") {
        let frame = Frame::from_extent(&input[start..], extent).expect("a value");
        for visit in frame.walk() {
            sum = sum.wrapping_add(match visit.token {
                Token::Integer(number) => number as u64,
                Token::Bulk(bytes) | Token::Simple(bytes) => bytes.len() as u64,
                Token::Array(count) | Token::Map(count) => u64::from(count),
                _ => 0,
            });
        }
        start += extent.len;
    }
    sum
}

/// A loop written for these workloads alone: contiguous input, the same checks (terminators, canonical numbers,
/// limits, depth), no resuming, no attributes, no pushes.
fn hand(input: &[u8]) -> u64 {
    let mut at = 0;
    let mut sum = 0_u64;
    let mut stack = [0_u32; 128];
    let mut depth = 0;
    while at < input.len() {
        let kind = input[at];
        at += 1;
        match kind {
            b'+' => {
                let from = at;
                while input[at] != b'\r' && input[at] != b'\n' {
                    at += 1;
                }
                assert!(at - from <= 1 << 20 && &input[at..at + 2] == b"\r\n");
                sum += (at - from) as u64;
                at += 2;
            }
            b':' => {
                let (number, next) = number(input, at);
                sum = sum.wrapping_add(number as u64);
                at = next;
            }
            b'$' => {
                let (len, next) = number(input, at);
                at = next;
                if len >= 0 {
                    let len = len as usize;
                    assert!(len <= 512 << 20 && &input[at + len..at + len + 2] == b"\r\n");
                    sum += len as u64;
                    at += len + 2;
                } else {
                    assert!(len == -1);
                }
            }
            b'*' | b'%' => {
                let (count, next) = number(input, at);
                assert!((0..=i64::from(i32::MAX)).contains(&count));
                sum += count as u64;
                at = next;
                if count > 0 {
                    assert!(depth < 128);
                    stack[depth] = count as u32 * if kind == b'%' { 2 } else { 1 };
                    depth += 1;
                    continue;
                }
            }
            _ => panic!("unknown type"),
        }
        while depth > 0 {
            stack[depth - 1] -= 1;
            if stack[depth - 1] != 0 {
                break;
            }
            depth -= 1;
        }
    }
    sum
}

#[inline(always)]
fn number(input: &[u8], mut at: usize) -> (i64, usize) {
    let negative = input[at] == b'-';
    at += usize::from(negative);
    let from = at;
    let mut value = 0_i64;
    loop {
        let digit = input[at].wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        at += 1;
    }
    assert!(at > from && at - from <= 18 && (input[from] != b'0' || at - from == 1 && !negative));
    assert!(input[at] == b'\r' && input[at + 1] == b'\n');
    (if negative { -value } else { value }, at + 2)
}

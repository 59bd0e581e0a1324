//! What a small device does without the engine: parse, encode, hash, follow a map, split, scan.

use core::hint::black_box;

use slotwise::command::{Route, analyse};
use slotwise::limits::Limits;
use slotwise::pipeline::{KeyPlace, Part, split};
use slotwise::resp::{Args, Level, Token, TokenState, encode};
use slotwise::scan::{ClusterScan, Handled, RequestKind, ScanOptions, Walk};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};
use slotwise::topology::{Context, Map, MovedCase, Owner, ReplyKind, StaticMap};

use crate::{Report, check, world};

slotwise::command_table! {
    /// The commands that this image sends.
    pub static COMMANDS = ["GET", "SET", "DEL", "MGET", "SCAN", "CLUSTER SLOTS", "CLUSTER NODES"];
}

/// A map for 4 nodes and 64 ranges.
pub type SmallMap = StaticMap<4, 64, 128>;

/// Does it all once.
#[inline(never)]
pub fn run(report: &mut Report) {
    parse(report);
    send(report);
    let mut map = SmallMap::new();
    follow(report, &mut map);
    cut(report, &map.map());
    scan(report, &map.map());
}

/// A stream of every common kind of value, in pieces of every size.
#[inline(never)]
pub fn parse(report: &mut Report) {
    const STREAM: &[u8] =
        b"+OK\r\n-ERR no\r\n:-42\r\n$5\r\nhello\r\n$-1\r\n*2\r\n$1\r\na\r\n:1\r\n%1\r\n+k\r\n#t\r\n_\r\n,1.5\r\n";
    let stream = black_box(STREAM);
    for piece in 1..=stream.len() {
        let mut state = TokenState::new();
        let mut levels = [Level::EMPTY; 8];
        let (mut from, mut end) = (0, 0);
        let (mut integers, mut bytes) = (0_i64, 0);
        while end < stream.len() {
            end = (end + piece).min(stream.len());
            let input = stream.get(from..end).unwrap_or_default();
            let mut reader = state.reader(&mut levels, &Limits::DEFAULT, input);
            loop {
                match reader.next() {
                    Ok(Some(Token::Integer(n))) => integers += n,
                    Ok(Some(
                        Token::Simple(text)
                        | Token::Error(text)
                        | Token::Bulk(text)
                        | Token::Double(text)
                        | Token::Chunk { bytes: text, .. },
                    )) => bytes += text.len(),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => {
                        report.fold(error.offset() as u32);
                        check!(report, false);
                        return;
                    }
                }
            }
            from += reader.consumed();
        }
        check!(report, integers == -41 && bytes == 18 && from == stream.len() && state.at_boundary());
    }
    let mut state = TokenState::new();
    let mut levels = [Level::EMPTY; 8];
    check!(report, state.reader(&mut levels, &Limits::DEFAULT, black_box(b"$03\r\n")).next().is_err());
}

/// One command, from its words to its bytes and its slot.
#[inline(never)]
pub fn send(report: &mut Report) {
    let command = black_box(["set", "user:{7}", "on"]);
    let mut out = [0; 64];
    let written = encode::encode(&command, &mut out).unwrap_or(0);
    check!(report, out.get(..written) == Some(b"*3\r\n$3\r\nset\r\n$8\r\nuser:{7}\r\n$2\r\non\r\n"));
    check!(report, encode::encode(&command, out.get_mut(..9).unwrap_or_default()).is_err());
    match analyse(&COMMANDS, &command) {
        Ok(found) => check!(report, found.route() == Route::Slot(Slot::of_key(b"7")) && !found.read_only()),
        Err(_) => check!(report, false),
    }
    check!(report, analyse(&COMMANDS, black_box(&["FLUSHALL"])).is_err());
    check!(report, Slot::of_key(black_box(b"foo")).get() == 12_182);
    check!(report, Slot::of_key(black_box(b"123456789")).get() == 0x31c3);
}

/// The map, from CLUSTER SLOTS and from a MOVED.
#[inline(never)]
pub fn follow(report: &mut Report, map: &mut SmallMap) {
    let (Some(a), Some(b)) = (world::addr(world::A_PORT), world::addr(world::B_PORT)) else {
        check!(report, false);
        return;
    };
    check!(report, map.apply(black_box(world::SLOTS), ReplyKind::Slots, &Context::new(a)).is_ok());
    check!(report, map.apply(black_box(b"*0\r\n"), ReplyKind::Slots, &Context::new(a)).is_err());
    check!(report, at(&map.map(), Slot::masked(5)) == Some(a));
    check!(report, map.moved(Slot::masked(5), b) != MovedCase::NoRoom);
    check!(report, at(&map.map(), Slot::masked(5)) == Some(b));
    check!(report, map.apply(black_box(world::SLOTS), ReplyKind::Slots, &Context::new(a)).is_ok());
    check!(report, map.map().covered() == Slot::COUNT);
}

fn at<'m>(map: &Map<'m>, slot: Slot) -> Option<slotwise::addr::NodeAddr<'m>> {
    match map.owner(slot) {
        Owner::Node(index) => map.addr(index),
        Owner::Uncovered | Owner::Unknown => None,
    }
}

/// An MGET over both nodes.
#[inline(never)]
pub fn cut(report: &mut Report, map: &Map<'_>) {
    let command = black_box(["MGET", "foo", "bar", "{foo}2"]);
    let mut keys = [KeyPlace::EMPTY; 4];
    let mut parts = [Part::EMPTY; 4];
    let Ok(split) = split(&command, &mut keys, &mut parts) else {
        check!(report, false);
        return;
    };
    check!(report, split.len() == 2);
    let mut out = [0; 64];
    for part in split.parts() {
        let written = encode::encode(&part, &mut out).unwrap_or(0);
        report.fold(written as u32 + part.count() as u32);
        let port = if part.slot().get() < 8_192 { world::A_PORT } else { world::B_PORT };
        check!(report, at(map, part.slot()) == world::addr(port) && written > 0);
        for (nth, position) in part.positions().enumerate() {
            check!(report, part.arg(nth + 1) == command.arg(position + 1));
        }
    }
}

/// A scan of both nodes, one walk at a time, with the pages read token by token.
#[inline(never)]
pub fn scan(report: &mut Report, map: &Map<'_>) {
    let options = ScanOptions::new();
    let mut scan = ClusterScan::<[Walk; 1]>::inline(&options);
    let mut now = Instant::from_micros(0);
    let mut keys = 0;
    for _ in 0..64 {
        now = now + Duration::from_millis(200);
        if scan.is_done() {
            break;
        }
        let Some(request) = scan.poll(now, map) else { continue };
        let mut out = [0; 96];
        report.fold(encode::encode(&request.args(&options), &mut out).unwrap_or(0) as u32);
        let reply = world::scan_reply(request.node == world::A, matches!(request.kind, RequestKind::Nodes));
        let mut state = TokenState::new();
        let mut levels = [Level::EMPTY; 4];
        let mut text = [0; 32];
        let mut reader = state.reader(&mut levels, &Limits::DEFAULT, black_box(reply));
        while let Ok(Some(token)) = reader.next() {
            let each = |key: &[u8]| keys += key.len();
            match scan.on_token(now, request.ticket, &token, &mut text, map, each) {
                Ok(Handled::More) => {}
                Ok(Handled::Done) => break,
                Ok(Handled::Stale) | Err(_) => check!(report, false),
            }
        }
    }
    check!(report, keys == 10);
    check!(report, scan.certificate().check().is_ok());
    check!(report, scan.certificate().proven().is_full());
}

//! slotwise `Frames` and `Frame`: the boundary search alone, and with a lazy walk over every value.

use super::Contestant;
use crate::digest::{Digest, Light, Sink};
use crate::recv::{Feed, Recv};
use slotwise::limits::Limits;
use slotwise::resp::{Extent, Frame, Frames, Kind, Status, Token};

/// The row of the boundary search with the walk.
pub const FRAME: &str = "slotwise Frame";

/// Delivers every whole value with its bytes.
fn run(recv: &mut Recv, feed: &mut Feed<'_>, mut each: impl FnMut(&[u8], Extent)) -> Result<(), String> {
    let mut frames = Frames::<128>::new(Limits::DEFAULT);
    recv.clear();
    while let Some(chunk) = feed.next() {
        recv.push(chunk);
        while let Status::Complete(extent) = frames.scan(recv.data()).map_err(|error| error.to_string())? {
            each(recv.data(), extent);
            recv.consume(extent.len);
        }
    }
    Ok(())
}

/// Reads all of a frame: a single value by its accessors, an aggregate by a walk.
#[inline(always)]
fn read<S: Sink>(frame: &Frame<'_>, sink: &mut S) {
    match frame.kind() {
        Kind::Simple | Kind::Error | Kind::Bulk | Kind::BlobError => {
            sink.text(frame.bytes().expect("a string has bytes"));
        }
        Kind::Integer => sink.int(frame.integer().expect("an integer has a value")),
        _ => walk(frame, sink),
    }
    sink.top();
}

fn walk<S: Sink>(frame: &Frame<'_>, sink: &mut S) {
    for visit in frame.walk() {
        match visit.token {
            Token::Bulk(bytes) | Token::Simple(bytes) | Token::Error(bytes) => sink.text(bytes),
            Token::Integer(value) => sink.int(value),
            Token::Array(count) | Token::Set(count) => sink.head(u64::from(count)),
            Token::Map(pairs) => sink.head(2 * u64::from(pairs)),
            Token::Null(_) => sink.null(),
            Token::Boolean(value) => sink.boolean(value),
            Token::Double(text) => sink.double_text(text),
            other => unexpected(&other),
        }
    }
}

#[cold]
fn unexpected(token: &Token<'_>) {
    panic!("not in any workload: {token:?}");
}

#[derive(Default)]
pub struct FrameContestant {
    recv: Recv,
}

impl Contestant for FrameContestant {
    fn name(&self) -> &'static str {
        FRAME
    }
    fn makes(&self) -> &'static str {
        "checked borrowed view, then a walk"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(&mut self.recv, feed, |buf, extent| {
            read(&Frame::from_extent(buf, extent).expect("a whole value"), &mut digest);
        })?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut light = Light::default();
        run(&mut self.recv, feed, |buf, extent| {
            read(&Frame::from_extent(buf, extent).expect("a whole value"), &mut light);
        })
        .expect("checked before");
        light.sum ^ light.tops
    }
}

/// The boundary search alone.
#[derive(Default)]
pub struct Boundary {
    recv: Recv,
}

impl Contestant for Boundary {
    fn name(&self) -> &'static str {
        "slotwise Frames"
    }
    fn makes(&self) -> &'static str {
        "checked extent, nothing read"
    }
    /// The extents are checked where they are walked.
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        FrameContestant::default().check(feed)
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut total = 0;
        run(&mut self.recv, feed, |_, extent| total += extent.len as u64).expect("checked before");
        total
    }
}

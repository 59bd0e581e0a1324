//! slotwise `Tokens`: one-pass events, and the same with strings delivered whole only.

use super::Contestant;
use crate::digest::{Digest, Light, Sink};
use crate::recv::{Feed, Recv};
use slotwise::limits::Limits;
use slotwise::resp::{RespError, Text, Token, Tokens};

/// Reads all tokens of `buf`; returns the bytes done with.
#[inline(always)]
pub fn drain<S: Sink>(tokens: &mut Tokens<128>, buf: &[u8], sink: &mut S) -> Result<usize, RespError> {
    let mut reader = tokens.reader(buf);
    while let Some(token) = reader.next()? {
        match token {
            Token::Bulk(bytes) | Token::Simple(bytes) | Token::Error(bytes) => sink.text(bytes),
            Token::Integer(value) => sink.int(value),
            Token::Array(count) | Token::Set(count) => sink.head(u64::from(count)),
            Token::Map(pairs) => sink.head(2 * u64::from(pairs)),
            Token::Null(_) => sink.null(),
            Token::Boolean(value) => sink.boolean(value),
            Token::Double(text) => sink.double_text(text),
            Token::Begin { kind, .. } => sink.begin(kind == Text::Double),
            Token::Chunk { bytes, last } => sink.piece(bytes, last),
            other => unreachable_token(&other),
        }
        if reader.at_boundary() {
            sink.top();
        }
    }
    Ok(reader.consumed())
}

#[cold]
fn unreachable_token(token: &Token<'_>) {
    panic!("not in any workload: {token:?}");
}

fn run<S: Sink>(tokens: &mut Tokens<128>, recv: &mut Recv, feed: &mut Feed<'_>, sink: &mut S) -> Result<(), String> {
    recv.clear();
    while let Some(chunk) = feed.next() {
        recv.push(chunk);
        let done = drain(tokens, recv.data(), sink).map_err(|error| error.to_string())?;
        recv.consume(done);
    }
    Ok(())
}

#[derive(Default)]
pub struct TokenContestant {
    recv: Recv,
}

impl Contestant for TokenContestant {
    fn name(&self) -> &'static str {
        super::TOKENS
    }
    fn makes(&self) -> &'static str {
        "borrowed events, strings in pieces"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(&mut Tokens::new(Limits::DEFAULT), &mut self.recv, feed, &mut digest)?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut light = Light::default();
        run(&mut Tokens::new(Limits::DEFAULT), &mut self.recv, feed, &mut light).expect("checked before");
        light.sum ^ light.tops
    }
}

/// The row whose strings come in one piece only.
pub const WHOLE: &str = "slotwise Tokens, whole strings";

#[derive(Default)]
pub struct Whole {
    recv: Recv,
}

impl Whole {
    fn tokens() -> Tokens<128> {
        Tokens::new(Limits::DEFAULT).with_whole(usize::MAX)
    }
}

impl Contestant for Whole {
    fn name(&self) -> &'static str {
        WHOLE
    }
    fn makes(&self) -> &'static str {
        "borrowed events, strings collected"
    }
    fn check(&mut self, feed: &mut Feed<'_>) -> Result<Option<Digest>, String> {
        let mut digest = Digest::default();
        run(&mut Self::tokens(), &mut self.recv, feed, &mut digest)?;
        Ok(Some(digest))
    }
    fn pass(&mut self, feed: &mut Feed<'_>) -> u64 {
        let mut light = Light::default();
        run(&mut Self::tokens(), &mut self.recv, feed, &mut light).expect("checked before");
        light.sum ^ light.tops
    }
}

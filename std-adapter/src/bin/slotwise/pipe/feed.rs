//! Commands out of a stream of bytes, read beside the work on them.

use std::ffi::OsString;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use slotwise::resp::request::{INLINE_MAX, RequestLimits, RequestState, Span};

use crate::commands;
use crate::exit::Failure;
use crate::input::Source;

/// Bytes of one read, and reads that may wait.
const BLOCK: usize = 128 << 10;
const AHEAD: usize = 4;

/// What comes next.
pub(crate) enum Item {
    /// A command, and its line (or its number, in RESP).
    Command { number: u64, words: Vec<Vec<u8>> },
    /// A line that is none.
    Bad { number: u64, why: String },
    /// Nothing more has come yet: a good moment to run what has.
    Pause,
    /// The end, and what the input ended inside of, or with.
    End { cut: Option<String> },
}

/// The reader. It runs on a thread of its own, so that the next commands are there when the last ones are answered.
pub(crate) struct Feed {
    blocks: Receiver<Result<Vec<u8>, Failure>>,
    held: Vec<u8>,
    /// Bytes of `held` done with, and bytes behind them in which no line ends.
    at: usize,
    looked: usize,
    ended: bool,
    number: u64,
    resp: Option<Resp>,
}

/// The reader of RESP requests, with its memory.
struct Resp {
    state: RequestState,
    spans: Vec<Span>,
    text: Vec<u8>,
}

impl Feed {
    pub(crate) fn new(path: Option<OsString>, resp: bool) -> Self {
        let (sender, blocks) = sync_channel(AHEAD);
        // It ends with the input, or with the first block that nobody takes.
        thread::spawn(move || {
            let mut source = match Source::open(path.as_deref(), "commands") {
                Ok(source) => source,
                Err(failure) => return drop(sender.send(Err(failure))),
            };
            let mut block = vec![0; BLOCK];
            loop {
                let read = source.read(&mut block).map(|n| block.get(..n).unwrap_or_default().to_vec());
                let last = !matches!(&read, Ok(bytes) if !bytes.is_empty());
                if sender.send(read).is_err() || last {
                    return;
                }
            }
        });
        let resp = resp.then(|| Resp {
            state: RequestState::new(),
            spans: vec![Span::EMPTY; INLINE_MAX],
            text: vec![0; INLINE_MAX],
        });
        Self { blocks, held: Vec::new(), at: 0, looked: 0, ended: false, number: 0, resp }
    }

    /// The next item. With `wait` it waits for one, else it says [`Item::Pause`].
    pub(crate) fn next(&mut self, wait: bool) -> Result<Item, Failure> {
        loop {
            let found = if self.resp.is_some() { self.request() } else { self.line() };
            if let Some(item) = found {
                return Ok(item);
            }
            if self.ended {
                let rest = self.held.len() - self.at;
                let cut = (rest > 0).then(|| format!("the input ends inside command {}", self.number + 1));
                return Ok(Item::End { cut });
            }
            let block = match self.blocks.try_recv() {
                Ok(block) => block?,
                Err(TryRecvError::Empty) if !wait => return Ok(Item::Pause),
                Err(TryRecvError::Empty) => self.blocks.recv().unwrap_or_else(|_| Ok(Vec::new()))?,
                Err(TryRecvError::Disconnected) => Vec::new(),
            };
            self.ended = block.is_empty();
            self.held.drain(..self.at);
            self.at = 0;
            self.held.extend_from_slice(&block);
        }
    }

    /// The command on the next line that has one.
    fn line(&mut self) -> Option<Item> {
        loop {
            let rest = self.held.get(self.at..).unwrap_or_default();
            let fresh = rest.get(self.looked..).unwrap_or_default();
            let line = match fresh.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    let line = &rest[..self.looked + end];
                    self.at += line.len() + 1;
                    line
                }
                // The last line may lack its line feed.
                None if self.ended && !rest.is_empty() => {
                    self.at = self.held.len();
                    rest
                }
                None => {
                    self.looked = rest.len();
                    return None;
                }
            };
            self.looked = 0;
            self.number += 1;
            let number = self.number;
            if line.trim_ascii_start().first().is_none_or(|first| *first == b'#') {
                continue;
            }
            return Some(match commands::words(number, line) {
                Ok(words) => Item::Command { number, words },
                Err(bad) => Item::Bad { number, why: bad.why.to_string() },
            });
        }
    }

    fn request(&mut self) -> Option<Item> {
        let resp = self.resp.as_mut()?;
        let rest = self.held.get(self.at..).unwrap_or_default();
        match resp.state.read(&RequestLimits::DEFAULT, rest, &mut resp.spans, &mut resp.text) {
            Ok(parsed) => {
                self.at += parsed.consumed;
                let words = parsed.request?.iter().map(<[u8]>::to_vec).collect();
                self.number += 1;
                Some(Item::Command { number: self.number, words })
            }
            Err(error) => Some(Item::End { cut: Some(format!("command {} is broken: {error}", self.number + 1)) }),
        }
    }
}

//! Replies: tokens of SCAN pages and of CLUSTER NODES, and what a page says about where the walk stands.

use super::cluster_scan::Core;
use super::cursor::Cursor;
use super::own_line::{BadReply, Item, Summary};
use super::page::PageItem;
use super::walk::{Mode, PROBES, Phase, Reading, Text, Walk};
use crate::resp::Token;
use crate::slot::{Slot, SlotRange};
use crate::time::Instant;
use crate::topology::Map;
use core::fmt;

/// Bits of evidence that make a walk slot-wise: a server that does not order its keys by slot would show them by chance
/// once in 2^40.
const ENOUGH: u16 = 40;

/// What became of a token or a reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Handled {
    /// The reply goes on.
    More,
    /// The reply is over.
    Done,
    /// The reply belongs to a request that was given up: drop it.
    Stale,
}

/// A reply that is no answer. The scan goes on by itself, within its bounds, unless the caller cancels it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ScanError {
    /// The reply is not of the form that SCAN or CLUSTER NODES have, or its cursor is not a number. Blame: the server.
    Malformed,
    /// The server refused for a while (LOADING, BUSY, CLUSTERDOWN, MASTERDOWN, TRYAGAIN). Blame: nobody.
    Busy,
    /// The server refused (NOPERM, an unknown TYPE, ...); it is likely to do so again. Blame: the caller or the
    /// server's settings.
    Refused,
}

impl ScanError {
    /// The error in snake_case, for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Busy => "busy",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "the reply is not a SCAN or CLUSTER NODES reply",
            Self::Busy => "the server cannot scan now",
            Self::Refused => "the server refused to scan",
        })
    }
}

impl core::error::Error for ScanError {}

impl Core {
    /// Takes the next token of the reply the walk waits for.
    pub(crate) fn token<'a>(
        &mut self,
        now: Instant,
        walk: &mut Walk,
        token: &Token<'a>,
        keys: &'a mut [u8],
        map: &Map<'_>,
        each: &mut impl FnMut(&[u8]),
    ) -> Result<Handled, ScanError> {
        let result = match walk.reading {
            Reading::Page(_) => self.page_token(now, walk, token, keys, each),
            Reading::Nodes { .. } => self.nodes_token(walk, token, map),
        };
        if result.is_err() {
            self.interrupt(now, walk);
        }
        result
    }

    fn nodes_token(&mut self, walk: &mut Walk, token: &Token<'_>, map: &Map<'_>) -> Result<Handled, ScanError> {
        let Reading::Nodes { mut line, text } = walk.reading else { return Err(ScanError::Malformed) };
        let (bytes, last) = match (text, *token) {
            (Text::None, Token::Error(text) | Token::BlobError(text)) => return Err(refusal(text)),
            (Text::None, Token::Bulk(text) | Token::Verbatim { text, .. }) => (text, true),
            (Text::None, Token::Begin { kind, .. }) => {
                use crate::resp::Text as Kind;
                let text = match kind {
                    Kind::Bulk | Kind::Verbatim(_) => Text::Listing,
                    _ => Text::Error,
                };
                walk.reading = Reading::Nodes { line, text };
                return Ok(Handled::More);
            }
            (Text::Error, Token::Chunk { bytes, last }) if last || !bytes.is_empty() => return Err(refusal(bytes)),
            (Text::Error, Token::Chunk { .. }) => return Ok(Handled::More),
            (Text::Listing, Token::Chunk { bytes, last }) => (bytes, last),
            _ => return Err(ScanError::Malformed),
        };
        let mut item = |item: Item| self.own_item(walk, item);
        let read: Result<Option<Summary>, BadReply> =
            line.bytes(bytes, &mut item).and_then(|()| if last { line.finish(&mut item).map(Some) } else { Ok(None) });
        match read {
            Ok(Some(summary)) => {
                self.own_line_read(walk, &summary, map);
                Ok(Handled::Done)
            }
            Ok(None) => {
                walk.reading = Reading::Nodes { line, text: Text::Listing };
                Ok(Handled::More)
            }
            Err(BadReply) => Err(ScanError::Malformed),
        }
    }

    fn page_token<'a>(
        &mut self,
        now: Instant,
        walk: &mut Walk,
        token: &Token<'a>,
        keys: &'a mut [u8],
        each: &mut impl FnMut(&[u8]),
    ) -> Result<Handled, ScanError> {
        let Reading::Page(reader) = &mut walk.reading else { return Err(ScanError::Malformed) };
        let item = reader.token(token, keys).map_err(|_| ScanError::Malformed)?;
        let done = reader.is_done();
        match item {
            PageItem::Nothing => {}
            PageItem::Error(text) => return Err(refusal(text)),
            PageItem::Cursor(next) => {
                walk.next = next;
                let descends = !next.is_end() && next.slot() < walk.sent_cursor().slot();
                walk.refuted = walk.mode != Mode::NodeWise && descends;
            }
            PageItem::Key(key) => self.key(walk, key, each),
            PageItem::LongKey => {
                let counted = walk.phase == Phase::Pages;
                self.counts.long_keys = self.counts.long_keys.saturating_add(u64::from(counted));
            }
        }
        if !done {
            return Ok(Handled::More);
        }
        walk.in_flight = false;
        self.counts.pages = self.counts.pages.saturating_add(1);
        if walk.phase == Phase::Probe {
            self.probed(walk);
        } else {
            walk.adapt(now, self.settings.adapt);
            self.page_read(walk);
        }
        Ok(Handled::Done)
    }

    fn key(&mut self, walk: &mut Walk, key: &[u8], each: &mut impl FnMut(&[u8])) {
        let slot = Slot::of_key(key);
        if walk.mode != Mode::NodeWise && !walk.interval().is_some_and(|interval| interval.contains(slot)) {
            walk.refuted = true;
        }
        if walk.phase == Phase::Probe {
            walk.weigh(slot);
        } else if !walk.refuted && walk.claim.contains(slot) {
            if walk.mode == Mode::SlotWise {
                walk.partial = true;
                walk.highest = walk.highest.max(Some(slot));
            }
            self.counts.keys = self.counts.keys.saturating_add(1);
            each(key);
        } else {
            self.counts.filtered = self.counts.filtered.saturating_add(1);
        }
    }

    /// A probe page is read.
    fn probed(&mut self, walk: &mut Walk) {
        walk.probes = walk.probes.saturating_add(1);
        if walk.refuted || (walk.evidence < ENOUGH && walk.probes >= PROBES) {
            self.go_node_wise(walk);
        } else if walk.evidence >= ENOUGH {
            walk.mode = Mode::SlotWise;
            walk.restart_slot();
            walk.phase = Phase::Pages;
            self.sharable = true;
        }
    }

    /// Walks the whole node, from the beginning. CLUSTER NODES was asked before, and nothing was proven since.
    fn go_node_wise(&mut self, walk: &mut Walk) {
        let walked = if walk.mode == Mode::SlotWise { walk.walked().saturating_add(walk.begun()) } else { 0 };
        self.restarted(walked);
        walk.forget_place();
        walk.mode = Mode::NodeWise;
        walk.phase = Phase::Pages;
    }

    /// A page is read.
    fn page_read(&mut self, walk: &mut Walk) {
        if walk.refuted {
            return self.go_node_wise(walk);
        }
        if walk.mode == Mode::NodeWise {
            walk.cursor = walk.next;
            if walk.next.is_end() {
                self.walked_all(walk);
            }
            return;
        }
        // "Slots ascend": everything below the slot of the returned cursor is finished.
        walk.done_below = if walk.next.is_end() { Slot::COUNT } else { walk.next.slot().get() };
        let Some(slot) = walk.next_slot() else {
            walk.partial = false;
            return self.walked_all(walk);
        };
        if slot == walk.next.slot() {
            walk.cursor = walk.next;
            // The page may have come into it: its keys may have been handed out.
            walk.partial = true;
        } else {
            walk.cursor = Cursor::at_slot(slot);
            walk.partial = false;
        }
        walk.pages = walk.pages.saturating_add(1);
        if walk.pages >= self.settings.checkpoint && walk.target.is_none() {
            walk.phase = Phase::After;
        }
    }
}

impl Walk {
    /// The cursor of the page in flight.
    fn sent_cursor(&self) -> Cursor {
        if self.phase == Phase::Probe { self.probe_cursor() } else { self.cursor }
    }

    /// Slots that keys of the page in flight can lie in, if the server goes by slots.
    fn interval(&self) -> Option<SlotRange> {
        let last = if self.next.is_end() { Slot::LAST } else { self.next.slot() };
        SlotRange::new(self.sent_cursor().slot(), last)
    }

    /// Weighs a key of a probe page. Only keys that ascend to a slot above those of all probe pages before count: many
    /// keys of one slot show nothing, however the server orders them. Each is worth the bits by which the interval is smaller than all slots.
    pub(super) fn weigh(&mut self, slot: Slot) {
        if self.highest.is_some_and(|highest| slot <= highest) {
            return;
        }
        self.highest = Some(slot);
        if let Some(interval) = self.interval() {
            let bits = 14_u32.saturating_sub(interval.len().next_power_of_two().trailing_zeros());
            self.evidence = self.evidence.saturating_add(bits as u16);
        }
    }
}

/// An error reply by its code.
fn refusal(text: &[u8]) -> ScanError {
    let code = text.split(|&byte| byte == b' ').next().unwrap_or_default();
    match code {
        b"LOADING" | b"BUSY" | b"CLUSTERDOWN" | b"MASTERDOWN" | b"TRYAGAIN" => ScanError::Busy,
        _ => ScanError::Refused,
    }
}

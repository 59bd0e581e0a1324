//! One walk: some slots of one node, from a CLUSTER NODES before it to a CLUSTER NODES after it.

use super::cursor::Cursor;
use super::options::{Adapt, ScanOptions};
use super::own_line::LineReader;
use super::page::PageReader;
use super::request::{RequestKind, ScanRequest, Ticket};
use crate::ids::NodeId;
use crate::slot::{Slot, SlotSet};
use crate::time::{Duration, Instant};

/// Pages that look for slots in cursors before a walk goes node-wise.
pub(crate) const PROBES: u8 = 6;
/// COUNT of such a page.
const PROBE_COUNT: u32 = 16;

/// Where a walk stands; what it asks for next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has no slots: the place is free.
    Idle,
    /// CLUSTER NODES before the walk.
    Before,
    /// Pages that show how the server orders its keys.
    Probe,
    /// Pages.
    Pages,
    /// CLUSTER NODES after some pages, or after all.
    After,
}

/// How the server orders its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Not known yet.
    Unknown,
    /// By slot, with the slot in the cursor.
    SlotWise,
    /// Not by slot.
    NodeWise,
}

/// The reply being read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reading {
    Page(PageReader),
    Nodes { line: LineReader, text: Text },
}

/// What the chunks of a CLUSTER NODES reply belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    /// No token was read.
    None,
    /// The listing.
    Listing,
    /// An error.
    Error,
}

/// One walk of a [`ClusterScan`](super::ClusterScan): about 2.3 KiB, most of which is the set of slots it walks.
///
/// The caller provides the places for as many walks as shall run at a time; what is inside is the scan's.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The slots it walks; of a slot-wise walk those still without a proof.
    pub(crate) claim: SlotSet,
    /// The owner of these slots.
    pub(crate) node: NodeId,
    /// Where the slots are being moved to, key by key: they are walked there after `node`.
    pub(crate) target: Option<NodeId>,
    /// Whether the walk has come to the target.
    pub(crate) at_target: bool,
    /// Whether a walk of slots with migration marks may be made of this one.
    pub(crate) may_pair: bool,
    /// Config epoch of `node` when the proof began.
    pub(crate) epoch: u64,
    /// Config epoch of the target when its part of the proof began.
    pub(crate) target_epoch: u64,
    pub(crate) phase: Phase,
    pub(crate) mode: Mode,
    /// Where the next page, or the page in flight, starts.
    pub(crate) cursor: Cursor,
    /// The cursor in the page being read.
    pub(crate) next: Cursor,
    /// Slot-wise: claimed slots below this one are walked. <= 16384
    pub(crate) done_below: u16,
    /// Slot-wise: keys of the slot at `cursor` may have been handed out.
    pub(crate) partial: bool,
    /// First and last slot of the node's line.
    pub(crate) own: Option<(Slot, Slot)>,
    /// The request at hand waits for its reply.
    pub(crate) in_flight: bool,
    /// The server must show again that it is slot-wise (the connection was replaced).
    pub(crate) again: bool,
    /// The page at hand contradicts the slot-wise order.
    pub(crate) refuted: bool,
    /// Number of the last request, and of every interruption.
    pub(crate) generation: u32,
    pub(crate) sent: Instant,
    /// The next request waits until then.
    pub(crate) not_before: Option<Instant>,
    pub(crate) count: u32,
    /// Pages since the last CLUSTER NODES.
    pub(crate) pages: u16,
    /// Requests without a reply.
    pub(crate) tries: u8,
    /// Probe pages read. <= PROBES
    pub(crate) probes: u8,
    /// Bits of evidence that the server is slot-wise.
    pub(crate) evidence: u16,
    /// Greatest slot of a key in the probe pages so far, or handed out from the page at hand.
    pub(crate) highest: Option<Slot>,
    pub(crate) reading: Reading,
    /// While a line is read: the first slot it has not spoken of. <= 16384
    pub(crate) listed: u16,
    /// While a line is read: claimed slots with the mark of the open migration.
    pub(crate) marks: u16,
    /// While a line is read: its slots ascend.
    pub(crate) ordered: bool,
}

impl Walk {
    /// A free place.
    pub const IDLE: Self = Self {
        claim: SlotSet::EMPTY,
        node: NodeId::from_bytes([0; 20]),
        target: None,
        at_target: false,
        may_pair: false,
        epoch: 0,
        target_epoch: 0,
        phase: Phase::Idle,
        mode: Mode::Unknown,
        cursor: Cursor::START,
        next: Cursor::START,
        done_below: 0,
        partial: false,
        own: None,
        in_flight: false,
        again: false,
        refuted: false,
        generation: 0,
        sent: Instant::EPOCH,
        not_before: None,
        count: 0,
        pages: 0,
        tries: 0,
        probes: 0,
        evidence: 0,
        highest: None,
        reading: Reading::Page(PageReader::new()),
        listed: 0,
        marks: 0,
        ordered: true,
    };

    /// A free place; the same as [`Walk::IDLE`].
    #[must_use]
    pub const fn new() -> Self {
        Self::IDLE
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// The node the next request goes to.
    pub(crate) fn at(&self) -> NodeId {
        self.target.filter(|_| self.at_target).unwrap_or(self.node)
    }

    /// Frees the place. The generation goes on, so that late replies stay stale.
    pub(crate) fn free(&mut self) {
        self.claim.clear();
        self.phase = Phase::Idle;
        self.in_flight = false;
        self.not_before = None;
        self.generation = self.generation.wrapping_add(1);
    }

    /// Makes the place free for `node`, with an empty claim.
    pub(crate) fn begin(&mut self, node: NodeId, count: u32, may_pair: bool) {
        let generation = self.generation.wrapping_add(1);
        self.claim.clear();
        self.node = node;
        self.target = None;
        self.at_target = false;
        self.may_pair = may_pair;
        self.phase = Phase::Before;
        self.in_flight = false;
        self.again = false;
        self.generation = generation;
        self.not_before = None;
        self.count = count;
        self.tries = 0;
        self.forget_place();
    }

    /// Back to the beginning of all slots, in an unknown mode.
    pub(crate) fn forget_place(&mut self) {
        self.mode = Mode::Unknown;
        self.cursor = Cursor::START;
        self.done_below = 0;
        self.partial = false;
        self.pages = 0;
        self.start_probe();
    }

    /// Readies the walk to find its mode out.
    pub(crate) fn start_probe(&mut self) {
        self.probes = 0;
        self.evidence = 0;
        self.highest = None;
        self.refuted = false;
    }

    /// The first claimed slot that is not walked yet.
    pub(crate) fn next_slot(&self) -> Option<Slot> {
        self.claim.next_from(Slot::new(self.done_below)?)
    }

    /// Whether a request can be given out.
    pub(crate) fn wants(&self, now: Instant) -> bool {
        !self.is_idle() && !self.in_flight && self.not_before.is_none_or(|at| at <= now)
    }

    /// Gives out the next request.
    pub(crate) fn emit(&mut self, now: Instant, index: u32) -> ScanRequest {
        self.generation = self.generation.wrapping_add(1);
        self.in_flight = true;
        self.not_before = None;
        self.sent = now;
        let kind = match self.phase {
            Phase::Probe => RequestKind::Probe { cursor: self.probe_cursor(), count: PROBE_COUNT },
            Phase::Pages => RequestKind::Page { cursor: self.cursor, count: self.count.max(1) },
            Phase::Idle | Phase::Before | Phase::After => RequestKind::Nodes,
        };
        if kind == RequestKind::Nodes {
            self.reading = Reading::Nodes { line: LineReader::new(), text: Text::None };
            self.listed = 0;
            self.marks = 0;
            self.ordered = true;
        } else {
            self.reading = Reading::Page(PageReader::new());
            self.refuted = false;
            if self.phase == Phase::Pages {
                self.highest = None;
            }
        }
        ScanRequest { ticket: Ticket { walk: index, generation: self.generation }, node: self.at(), kind }
    }

    /// Where the next probe page starts: at slots spread over what the node owns.
    pub(crate) fn probe_cursor(&self) -> Cursor {
        let (first, last) = self.own.unwrap_or((Slot::FIRST, Slot::LAST));
        let span = u32::from(last.get().saturating_sub(first.get()));
        let step = span * u32::from(self.probes) / u32::from(PROBES);
        let slot = u32::from(first.get()) + step;
        Cursor::at_slot(Slot::masked(slot as u16))
    }

    /// The page at hand took this long: COUNT follows.
    pub(crate) fn adapt(&mut self, now: Instant, adapt: Option<Adapt>) {
        if let Some(adapt) = adapt {
            self.count = adapt.next(self.count, now.since(self.sent));
        }
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self::IDLE
    }
}

/// The options without what is borrowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) count: u32,
    pub(crate) adapt: Option<Adapt>,
    pub(crate) checkpoint: u16,
    pub(crate) per_node: u8,
    pub(crate) coverage: super::Coverage,
    pub(crate) tries: u8,
    pub(crate) stalls: u16,
    pub(crate) restarts: u32,
    pub(crate) delay: Duration,
    /// Of MATCH and TYPE, so that a saved scan is not gone on with under others.
    pub(crate) digest: u32,
}

impl Settings {
    pub(crate) fn of(options: &ScanOptions<'_>) -> Self {
        Self {
            count: options.count,
            adapt: options.adapt,
            checkpoint: options.checkpoint.max(1),
            per_node: options.per_node.max(1),
            coverage: options.coverage,
            tries: options.tries,
            stalls: options.stalls,
            restarts: options.restarts,
            delay: options.delay,
            digest: super::save::digest(options),
        }
    }
}

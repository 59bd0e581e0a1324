//! One slab of commands for the whole engine: user commands, the engine's own control frames, and tombstones.
//!
//! The entries are lent by the caller; which list an entry stands on (a connection's queue, its in-flight FIFO, the
//! parked ones) is decided above. An entry's answer may only be matched by its place in one connection's FIFO.

use crate::command::{Access, CommandSpec, Target};
use crate::ids::{CommandId, NodeId};
use crate::pipeline::list::{Link, Linked, List, NONE};
use crate::pipeline::outcome::{Failure, Outcome};
use crate::time::Instant;

/// The specification of the engine's own frames, which go by their kind.
const EMPTY_SPEC: CommandSpec = CommandSpec::new(Target::AnyNode, Access::Write, 0);

/// What an entry stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A command of the application.
    User,
    /// A command whose caller has gone: its reply is eaten.
    Tombstone,
    /// A topology question.
    Refresh,
    /// `CLUSTER MYID`, which ties a seed's connection to a node.
    MyId,
    /// The PING behind a subscribe command, whose answer proves that the subscribe was carried out.
    Fence,
    /// A PING that asks a silent connection for a sign of life.
    Probe,
}

/// Where an entry stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the free list.
    Free,
    /// Waiting for a better map, a node or a point in time.
    Parked,
    /// In a connection's queue; no byte was handed to the adapter.
    Queued,
    /// In a connection's FIFO; its bytes were handed to the adapter.
    InFlight,
    /// On no list, kept until its last event was handed out.
    Done,
}

/// One slab entry. Lent storage is filled with [`Entry::EMPTY`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    link: Link,
    pub(crate) event_next: u32,
    pub(crate) generation: u32,
    pub(crate) place: Place,
    pub(crate) kind: Kind,
    /// Index of the connection while queued or in flight.
    pub(crate) conn: u32,
    pub(crate) spec: CommandSpec,
    /// Offset of its first byte in the connection's output, while in flight.
    pub(crate) tx_start: u64,
    pub(crate) deadline: Option<Instant>,
    /// When parked: when to try again, `None` for "when the map changes".
    pub(crate) wake: Option<Instant>,
    /// Where an ASK sent it.
    pub(crate) ask: Option<NodeId>,
    /// Replies still to come in this attempt, ASKING's own not counted.
    pub(crate) replies_left: u16,
    pub(crate) hops: u8,
    pub(crate) attempts: u8,
    /// ASKING's own reply has not come yet.
    pub(crate) asking: bool,
    /// A part of its answer was handed out: never sent again.
    pub(crate) started: bool,
    /// An earlier attempt left, was not answered, and was repeated: whatever else comes, it may have run.
    pub(crate) maybe: bool,
    /// Held back until an earlier command of the slot was answered elsewhere.
    pub(crate) held: bool,
    /// It waited where commands behind it need not have waited, so they may have run before it.
    pub(crate) delayed: bool,
    /// In a group: what a queued command was answered, if it was a refusal that moves the whole group.
    pub(crate) group_retry: Option<GroupRetry>,
    pub(crate) failure: Option<Failure>,
}

/// Why a group must run again elsewhere or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupRetry {
    /// The slot's owner changed; the map knows it.
    Moved,
    /// Run it at this node, behind ASKING.
    Ask(NodeId),
    /// Try again after a while.
    Later,
}

impl Entry {
    /// An entry that was never used.
    pub const EMPTY: Self = Self {
        link: Link::FREE,
        event_next: NONE,
        generation: 0,
        place: Place::Free,
        kind: Kind::User,
        conn: NONE,
        spec: EMPTY_SPEC,
        tx_start: 0,
        deadline: None,
        wake: None,
        ask: None,
        replies_left: 0,
        hops: 0,
        attempts: 0,
        asking: false,
        started: false,
        maybe: false,
        held: false,
        delayed: false,
        group_retry: None,
        failure: None,
    };
}

impl Entry {
    /// What is known of a command in flight whose answer will not come, or not to its end. In a group, what was handed
    /// out are errors of queueing: they say nothing of EXEC.
    pub(crate) const fn cut_outcome(&self) -> Outcome {
        if self.started && self.spec.replies == 1 { Outcome::ReplyLost } else { Outcome::MaybeExecuted }
    }
}

impl Linked for Entry {
    fn link(&self) -> Link {
        self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// The slab's own few words; the entries are lent at each call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlabHead {
    free: List,
    /// Entries below this index were used at least once; the others need not be on the free list, so that storage
    /// may grow.
    touched: u32,
    live: u32,
    /// What an index outside of the slab gives, so that no access can panic.
    scrap: Entry,
}

impl SlabHead {
    pub(crate) const fn new() -> Self {
        Self { free: List::EMPTY, touched: 0, live: 0, scrap: Entry::EMPTY }
    }

    /// Entries in use.
    pub(crate) const fn live(&self) -> usize {
        self.live as usize
    }

    /// Takes a free entry, cleared, on no list.
    pub(crate) fn take(&mut self, entries: &mut [Entry], kind: Kind) -> Option<u32> {
        let index = match self.free.pop_front(entries) {
            Some(index) => index,
            None if (self.touched as usize) < entries.len() => {
                self.touched += 1;
                self.touched - 1
            }
            None => return None,
        };
        let entry = entries.get_mut(index as usize)?;
        *entry = Entry { generation: entry.generation, kind, place: Place::Done, ..Entry::EMPTY };
        self.live += 1;
        Some(index)
    }

    /// Gives an entry back; it must be on no list. Ids of its past use are dead from here on.
    pub(crate) fn give(&mut self, entries: &mut [Entry], index: u32) {
        let Some(entry) = entries.get_mut(index as usize) else { return };
        debug_assert!(entry.place != Place::Free, "freed twice");
        entry.generation = entry.generation.wrapping_add(1);
        entry.place = Place::Free;
        self.live = self.live.saturating_sub(1);
        self.free.push_front(entries, index);
    }

    /// The entry at `index`; an index from outside of the slab gives an entry nobody reads.
    pub(crate) fn at<'a>(&'a mut self, entries: &'a mut [Entry], index: u32) -> &'a mut Entry {
        debug_assert!((index as usize) < entries.len(), "index outside of the slab");
        entries.get_mut(index as usize).unwrap_or(&mut self.scrap)
    }

    /// The index of a live user command.
    pub(crate) fn find(entries: &[Entry], id: CommandId) -> Option<u32> {
        let entry = entries.get(id.index())?;
        let live = entry.generation == id.generation() && entry.place != Place::Free && entry.kind == Kind::User;
        if live { u32::try_from(id.index()).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_die_with_their_use() {
        let mut entries = [Entry::EMPTY; 2];
        let mut slab = SlabHead::new();
        let a = slab.take(&mut entries, Kind::User).unwrap();
        let b = slab.take(&mut entries, Kind::Fence).unwrap();
        assert_eq!(slab.take(&mut entries, Kind::User), None);
        assert_eq!(slab.live(), 2);
        let id = CommandId::new(a, entries[a as usize].generation);
        assert_eq!(SlabHead::find(&entries, id), Some(a));
        assert_eq!(SlabHead::find(&entries, CommandId::new(b, 0)), None, "control entries have no command id");
        slab.give(&mut entries, a);
        assert_eq!(SlabHead::find(&entries, id), None);
        let again = slab.take(&mut entries, Kind::User).unwrap();
        assert_eq!(again, a);
        assert_eq!(SlabHead::find(&entries, id), None, "the old id must not name the new command");
    }
}

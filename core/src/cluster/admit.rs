//! Taking commands in, and the mode in which those of one slot go out one by one.

use crate::cluster::engine::Engine;
use crate::command::{CommandSpec, RetryPermission, Target};
use crate::ids::CommandId;
use crate::pipeline::{Entry, Flag, List, Place};
use crate::slot::Slot;
use crate::time::{Instant, Stamp};

/// Slots with a command under way, in as many classes: two slots of one class wait for each other too, which delays and
/// never blocks. Small enough for the stack of a device.
struct Busy([u64; 16]);

impl Busy {
    fn place(slot: Slot) -> (usize, u64) {
        let class = slot.get() & 1_023;
        (usize::from(class >> 6), 1 << (class & 63))
    }

    fn has(&self, slot: Slot) -> bool {
        let (word, bit) = Self::place(slot);
        self.0.get(word).is_some_and(|word| word & bit != 0)
    }

    fn add(&mut self, slot: Slot) {
        let (word, bit) = Self::place(slot);
        if let Some(word) = self.0.get_mut(word) {
            *word |= bit;
        }
    }
}

/// How many held commands are looked at for one that may go. Those behind them wait for the ones in front to end.
const AHEAD: usize = 1_024;

/// The slot in which a command keeps its turn.
fn turn_of(entry: &Entry) -> Option<Slot> {
    let apart = entry.has(Flag::BLOCKING) || entry.has(Flag::SUBSCRIBE);
    if apart { None } else { entry.slot() }
}

impl Engine<'_> {
    /// Whether a command of so many bytes keeps within the bound; one alone always does.
    pub(crate) fn has_room_for(&self, len: u32) -> bool {
        let Some(most) = self.s.config.max_bytes() else { return true };
        self.s.bytes == 0 || self.s.bytes.checked_add(len).is_some_and(|sum| sum <= most)
    }

    pub(crate) fn admit(&mut self, now: Instant, index: u32, spec: CommandSpec) -> CommandId {
        let node = match &spec.target {
            Target::Node(id) => self.find_node(id, None),
            _ => None,
        };
        let timeout = spec.timeout.unwrap_or(self.s.config.command_timeout());
        let deadline = Stamp::at(now + timeout.min(Stamp::REACH));
        let unsure = self.s.config.resend_unsure() && spec.retry == RetryPermission::IfReadOnly && !spec.subscribe;
        self.s.bytes = self.s.bytes.saturating_add(spec.len);
        let entry = self.entry(index);
        entry.admit(&spec, node);
        if unsure {
            entry.set(Flag::RESEND, true);
        }
        entry.set_deadline(deadline);
        self.note_deadline(deadline.near(now));
        let id = self.command_id(index);
        self.tell_submitted(index);
        if self.s.config.strict_order() && turn_of(&self.peek(index)).is_some() {
            self.entry(index).set_place(Place::Held);
            self.s.held.push_back(self.t.commands, index);
            self.s.settled = true;
        } else {
            self.route(now, index);
        }
        self.drive_refresh(now);
        id
    }

    /// In strict order: lets the oldest held command of each slot go that has none under way.
    pub(crate) fn go_on(&mut self) {
        if core::mem::take(&mut self.s.settled) && self.s.config.strict_order() && !self.s.held.is_empty() {
            self.release_in_turn(self.s.clock);
            self.drive_refresh(self.s.clock);
        }
    }

    /// Lets the oldest held command of each slot go that has none under way. Takes a bounded number of steps, however
    /// many are held: no more than a class each can be under way, and no more than [`AHEAD`] are looked at.
    pub(crate) fn release_in_turn(&mut self, now: Instant) {
        let mut busy = Busy([0; 16]);
        self.under_way(&self.s.parked, &mut busy);
        for conn in self.t.conns.iter() {
            self.under_way(&conn.queue, &mut busy);
            self.under_way(&conn.in_flight, &mut busy);
        }
        let mut next = self.s.held.front();
        for _ in 0..AHEAD {
            let Some(index) = next else { return };
            next = self.s.held.after(self.t.commands, index);
            let Some(slot) = turn_of(&self.peek(index)).filter(|slot| !busy.has(*slot)) else { continue };
            busy.add(slot);
            self.s.held.remove(self.t.commands, index);
            self.entry(index).set_place(Place::Done);
            self.route(now, index);
        }
    }

    /// Notes the slots of a list's commands.
    fn under_way(&self, list: &List, busy: &mut Busy) {
        let mut next = list.front();
        while let Some(index) = next {
            next = list.after(self.t.commands, index);
            if let Some(slot) = self.t.commands.get(index as usize).and_then(turn_of) {
                busy.add(slot);
            }
        }
    }
}

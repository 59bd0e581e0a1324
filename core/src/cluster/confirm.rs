//! Subscribe commands, which pushes answer: how their end is known.
//!
//! A subscribe command has no reply of its own, so a PING goes behind it, its fence. When the fence is answered, the
//! command has been carried out; an error in that place is the command's refusal, unless a push has confirmed it.

use crate::cluster::engine::Engine;
use crate::pipeline::{Flag, Ix, Kind};
use crate::resp::Frame;
use crate::time::Instant;

impl Engine<'_> {
    /// A confirmation: the subscribe command in flight was accepted, so an error that comes now is its fence's.
    pub(crate) fn note_subscribed(&mut self, conn: u32, frame: &Frame<'_>) {
        let kind = frame.children().next().and_then(|first| first.bytes());
        if let Some(b"subscribe" | b"psubscribe" | b"ssubscribe") = kind
            && let Some(head) = self.conn(conn).in_flight.front()
            && self.peek(head).has(Flag::SUBSCRIBE)
            && !self.peek(head).has(Flag::ASKING)
        {
            self.entry(head).set(Flag::STARTED, true);
        }
    }

    /// A subscribe command was carried out: its fence is being answered.
    pub(crate) fn confirm(&mut self, now: Instant, conn: u32, head: u32) {
        self.answered(now, conn);
        if self.peek(head).kind() == Kind::User {
            self.tell_confirmed(head, conn);
            // The connection may end, and begin anew, before the event is polled.
            let generation = self.conn(conn).generation;
            let entry = self.entry(head);
            entry.conn = Ix::new(conn);
            entry.set_confirmed_by(generation);
            self.queue_event(head);
        } else {
            self.release_entry(head);
        }
    }
}

/// Whether an array is a message or a confirmation of RESP2.
pub(crate) fn is_message(frame: &Frame<'_>) -> bool {
    let Some(kind) = frame.children().next().and_then(|first| first.bytes()) else { return false };
    matches!(
        kind,
        b"message"
            | b"pmessage"
            | b"smessage"
            | b"subscribe"
            | b"psubscribe"
            | b"ssubscribe"
            | b"unsubscribe"
            | b"punsubscribe"
            | b"sunsubscribe"
    )
}

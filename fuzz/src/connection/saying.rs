//! What the peers say, and when.

use slotwise::cluster::Transmit;
use slotwise::connection::Protocol;

use super::Run;
use super::peer::{command, control};

impl Run<'_> {
    pub(super) fn can_answer(&self, at: usize) -> bool {
        let link = &self.links[at];
        link.sent.front().is_some_and(|sent| sent.end <= link.written)
    }

    pub(super) fn answer(&mut self, at: usize) {
        let (count, how) = (1 + self.number() % 8, self.number());
        for _ in 0..count {
            if self.can_answer(at) {
                self.say(at, how);
            }
        }
    }

    /// The peer answers the oldest frame it has whole.
    pub(super) fn say(&mut self, at: usize, how: usize) {
        let resp2 = self.settings.protocol == Protocol::Resp2;
        let Some(sent) = self.links[at].sent.pop_front() else { return };
        let node = self.links[at].node;
        let mut text = String::new();
        if how & 64 != 0 && !resp2 {
            text += "|1\r\n+ttl\r\n:3\r\n";
        }
        match sent.what {
            Transmit::Control(frame) => control(&mut text, frame, node, how),
            Transmit::Command { tag, asking, .. } => {
                if asking {
                    text += "+OK\r\n";
                }
                command(&mut text, &self.requests[tag as usize].spec, how, resp2);
            }
        }
        // Only where the handshake is over: a push has no business before.
        if how & 128 != 0 && !resp2 && matches!(sent.what, Transmit::Command { .. }) {
            text += ">2\r\n+invalidate\r\n*1\r\n$2\r\nt0\r\n";
        }
        self.links[at].down.extend_from_slice(text.as_bytes());
    }

    /// The peer says bytes of the input.
    pub(super) fn lie(&mut self) {
        let Some(at) = self.link() else { return };
        let len = self.number().min(self.input.len());
        let (bytes, rest) = self.input.split_at(len);
        self.input = rest;
        self.links[at].liar = true;
        self.links[at].down.extend_from_slice(bytes);
        self.arrive(at, usize::MAX, len % 2 == 0);
    }
}

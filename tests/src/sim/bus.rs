//! The bus between the nodes, and the model's own clock.

use super::dice::Label;
use super::trace::What;
use super::world::{Ev, World};

/// The bus between the nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bus {
    /// Somebody has news.
    talking: bool,
    /// The pair that talks next.
    turn: usize,
    /// Pairs that had nothing new to say, in a row.
    quiet: usize,
}

impl World {
    /// Some nodes hear of others: pairs in turn, until a whole round brings nothing new.
    pub fn gossip(&mut self) {
        let count = self.servers.nodes.len();
        let pairs = count * count;
        for _ in 0..count {
            let turn = self.servers.bus.turn;
            self.servers.bus.turn = (turn + 1) % pairs;
            let (from, to) = (turn / count, turn % count);
            let cut = |node: usize| {
                let node = &self.servers.nodes[node];
                node.off_bus > self.now || node.paused > self.now || !node.up
            };
            let news = cut(from) || cut(to) || self.servers.model.gossip(from, to);
            self.servers.bus.quiet = if news { 0 } else { self.servers.bus.quiet + 1 };
        }
        self.flush();
        self.note_truth();
        self.note(What::Gossip, [self.servers.bus.turn as u64, 0, 0]);
        if self.servers.bus.quiet > pairs {
            self.servers.bus.talking = false;
            return;
        }
        let again = 5_000 + self.dice(Label::Cluster).exponential(60_000);
        self.after(again, Ev::Gossip);
    }

    /// Says that views differ now.
    pub fn unsettle(&mut self) {
        self.note_truth();
        self.servers.bus.quiet = 0;
        if !self.servers.bus.talking {
            self.servers.bus.talking = true;
            let first = self.dice(Label::Cluster).exponential(100_000);
            let nodes = self.servers.nodes.len() as u32;
            self.servers.bus.turn = self.dice(Label::Cluster).below(nodes * nodes) as usize;
            self.after(first, Ev::Gossip);
        }
    }

    /// Plans the next thing that the passing of time does in the model.
    pub(super) fn set_model_alarm(&mut self) {
        if let Some(due) = self.servers.model.next_deadline() {
            let due = due.as_micros() as u64;
            if self.servers.alarm != Some(due) {
                self.servers.alarm = Some(due);
                self.at(due, Ev::Model);
            }
        }
    }

    /// Time passes in the model.
    pub fn model_alarm(&mut self) {
        self.servers.alarm = None;
        self.servers.model.advance(std::time::Duration::from_micros(self.now));
        self.flush();
        self.note_truth();
        self.set_model_alarm();
    }
}

//! What goes wrong, drawn anew at every step.

use slotwise::connection::Protocol;

use crate::model::BUCKETS;
use crate::run::Run;

impl Run {
    pub(crate) fn fault(&mut self) {
        let nodes = self.model.nodes.len();
        let (node, bucket) = (self.dice.below(nodes), self.dice.below(BUCKETS));
        let what = match self.dice.below(110) {
            0..2 => {
                self.model.hand_over(bucket, node);
                "slots moved at once"
            }
            2..5 if self.model.moving[bucket].is_none() && self.model.owner[bucket] != node => {
                self.model.moving[bucket] = Some(node);
                "migration begun"
            }
            5..7 => match self.model.moving[bucket] {
                Some(to) => {
                    self.model.hand_over(bucket, to);
                    "migration ended"
                }
                None => return,
            },
            7 if self.model.nodes[node].primary.is_some() => {
                self.model.fail_over(node);
                "failover"
            }
            8..10 => {
                self.model.nodes[node].loading = !self.model.nodes[node].loading;
                "loading toggled"
            }
            10..12 => {
                self.model.nodes[node].listens = !self.model.nodes[node].listens;
                "refusing dials toggled"
            }
            12..16 if !self.links.is_empty() => {
                let at = self.dice.below(self.links.len());
                self.reset(at);
                "reset"
            }
            16 if !self.links.is_empty() => {
                let at = self.dice.below(self.links.len());
                self.links[at].silent = true;
                "silence"
            }
            17 if !self.links.is_empty() => {
                let at = self.dice.below(self.links.len());
                return self.surplus(at);
            }
            18 => {
                self.model.nodes[node].up = false;
                for link in self.links.iter_mut().filter(|link| link.node == node) {
                    link.finished = true;
                }
                self.model.nodes[node].up = true;
                "server closed all"
            }
            19..60 => return self.model.gossip(&mut self.dice),
            _ => return,
        };
        self.model.count(what);
        self.note(format!("fault: {what} (node {node}, bucket {bucket})"));
    }

    /// The stream breaks: bytes on the way down are lost, those on the way up may be.
    fn reset(&mut self, at: usize) {
        if self.links[at].dropped {
            return;
        }
        let keep = self.dice.below(self.links[at].up.len() + 1);
        self.links[at].up.truncate(keep);
        self.hang_up(at);
    }

    pub(crate) fn hang_up(&mut self, at: usize) {
        let (conn, open) = (self.links[at].conn, self.links[at].open);
        self.links[at].dropped = true;
        if open {
            self.cluster.handle_disconnected(self.at(), conn);
        } else {
            self.cluster.handle_connect_failed(self.at(), conn);
        }
    }

    /// A reply nobody asked for, on a connection with nothing in flight: it must be closed, and nobody gets it.
    fn surplus(&mut self, at: usize) {
        let link = &self.links[at];
        let quiet = link.open && !link.dropped && !link.silent && link.session.blocked.is_none();
        let empty =
            [&link.tx, &link.up, &link.down, &link.rx, &link.session.input].iter().all(|bytes| bytes.is_empty());
        if !quiet || !empty || link.session.resp3 != (self.protocol != Protocol::Resp2) {
            return;
        }
        let (conn, now, cluster) = (link.conn, self.at(), &mut self.cluster);
        let pending = Self::with_env(self.protocol, |env| cluster.poll_transmit(now, conn, env));
        if let Some(transmit) = pending {
            return self.put(at, transmit);
        }
        let cluster = &mut self.cluster;
        let result = Self::with_env(self.protocol, |env| {
            cluster.handle_input(now, conn, env, b"$6\r\nsurplu\r\n", true).map(|progress| progress.output.is_some())
        });
        assert!(result != Ok(true), "a surplus reply was handed out");
        assert!(result.is_err(), "a surplus reply was swallowed");
        self.model.count("one reply too many");
        self.note(format!("fault: one reply too many on {conn:?}"));
        self.links[at].dropped = true;
    }
}

//! An adapter with a backlog: it reports of connections that others have replaced.

use super::kinds::Fault;
use super::net::Stage;
use super::world::World;

impl World {
    /// Of a connection whose place another one has now bytes come, or the news that they were written, or its end.
    pub(super) fn report_late(&mut self) {
        let fault = Fault::Belated;
        let now = self.now;
        let open: Vec<u32> =
            self.clients.iter().filter(|client| client.frozen <= now).flat_map(|c| c.links.clone()).collect();
        let replaced = |link: u32| {
            let at = &self.links[link as usize];
            let before = self.links[..link as usize].iter().rev();
            let old = before
                .map(|old| (old.client, old.conn))
                .find(|(client, conn)| *client == at.client && conn.index() == at.conn.index() && *conn != at.conn);
            old.filter(|_| at.stage == Stage::Open).map(|(_, conn)| (link, conn))
        };
        let all: Vec<_> = open.into_iter().filter_map(replaced).collect();
        if all.is_empty() {
            return;
        }
        let at = self.fault_dice(fault).below(all.len() as u32) as usize;
        let (link, old) = all[at];
        let kind = self.fault_dice(fault).below(4);
        self.strikes(fault, u64::from(link));
        let client = self.links[link as usize].client;
        let at = &mut self.clients[client];
        let now = at.at(now);
        let node = at.engine.node(self.links[link as usize].conn);
        match kind {
            0 | 1 => {
                let bytes = b"+late\r\n";
                let taken = at.engine.handle_input(now, old, &at.profile.env(), bytes, true);
                let ignored = taken.is_ok_and(|taken| taken.consumed == bytes.len() && taken.output.is_none());
                self.check(1, ignored, || {
                    format!("client {client}: what an old connection brought is read on link {link}")
                });
            }
            2 => at.engine.handle_written(now, old, 1_000),
            _ => {
                at.engine.handle_disconnected(now, old);
                at.engine.handle_connect_failed(now, old);
                at.engine.handle_connected(now, old);
            }
        }
        let kept = self.clients[client].engine.node(self.links[link as usize].conn) == node;
        self.check(1, kept, || {
            format!("client {client}: the end of an old connection is taken for that of link {link}")
        });
        self.drive(client);
    }
}

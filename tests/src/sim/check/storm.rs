//! I7 for a whole cluster: many clients lose a node at the same time, and come back without a storm.

use std::collections::BTreeMap;

use super::windows::{Delays, densest};
use crate::sim::client::Client;
use crate::sim::dice::Streams;
use crate::sim::kinds::Fault;
use crate::sim::options::{Cut, Options, Wishes};
use crate::sim::world::World;

/// The window in which dials of a node are counted.
pub const WINDOW: u64 = 100_000;
/// The node is away for so long.
const AWAY: u64 = 20_000_000;

/// What a run with many clients showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Dials of the node in the densest window of all.
    pub peak: usize,
    /// The same, of the second half of its absence: by then the back-off must have spread them.
    pub late: usize,
    /// Clients that had a connection to it again five back-offs after it came back.
    pub back: usize,
    /// The delays before the dials.
    pub delays: Delays,
    /// The promise that was broken meanwhile.
    pub broken: Option<u8>,
}

/// So many clients want one node that goes away and comes back.
#[must_use]
pub fn storm(clients: usize, wishes: &Wishes) -> Storm {
    let mut options = Options::draw(&mut Streams::taped(&[]), wishes);
    let streams = Streams::seeded(7);
    (options.clients, options.shards, options.steady) = (1, (3, 0), 0);
    (options.channels, options.scans, options.password) = (0, false, false);
    (options.net.delay, options.net.spread, options.net.cut) = (500, 1_000, Cut::Whole);
    options.sizes.conns = (8, 8);
    options.sizes.commands = (16, 16);
    // Each asks for something of the node five times a second.
    options.gap = 200_000;
    options.mix = crate::sim::options::Mix { plain: 1, ..options.mix };
    let mut world = World::new(options.clone(), wishes.clone(), streams);
    for number in 1..clients {
        world.clients.push(Client::new(number, &options, wishes));
    }
    world.begin();
    world.run_until(world.now + 3_000_000);
    let (first, gone) = (world.links.len(), world.now);
    world.servers.nodes[0].up = false;
    world.servers.model.crash(0);
    world.note(crate::sim::trace::What::Fault, [Fault::Crash as u64, 0, 0]);
    let links: Vec<u32> = (0..first as u32).filter(|link| world.links[*link as usize].node == Some(0)).collect();
    links.into_iter().for_each(|link| world.reset(link));
    world.run_until(gone + AWAY);
    world.restart_node(0);
    world.run_until(gone + AWAY + 50_000_000);
    let mut dials: BTreeMap<bool, Vec<u64>> = BTreeMap::new();
    let mut back = vec![false; clients];
    for link in &world.links[first..] {
        if link.node == Some(0) {
            let late = link.notes.dialled >= gone + AWAY / 2 && link.notes.dialled < gone + AWAY;
            dials.entry(late).or_default().push(link.notes.dialled);
            back[link.client] |= link.notes.ready.is_some();
        }
    }
    let all: Vec<u64> = {
        let mut all: Vec<u64> = dials.values().flatten().copied().collect();
        all.sort_unstable();
        all
    };
    Storm {
        peak: densest(&all, WINDOW),
        late: densest(dials.get(&true).map_or(&[], Vec::as_slice), WINDOW),
        back: back.into_iter().filter(|back| *back).count(),
        delays: world.stats.delays,
        broken: world.violation.map(|violation| violation.invariant),
    }
}

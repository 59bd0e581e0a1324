//! I10: maps get right in time, and never go back. I4: which nodes a client has been told of.
//!
//! Of every slot that may move the history of its owners is written down. What a client knows of it is the latest place in
//! that history that its map can stand for: a refresh may leave that place or raise it. Nothing can be asked of a client
//! before it has been told, so topology replies are noted where they are served and count when they have arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use slotwise::ids::NodeId;
use slotwise::slot::Slot;
use slotwise::topology::{Owner, digest};

use super::super::kinds::Fault;
use super::super::working::{TAGS, slot_of_tag};
use super::super::world::World;
use crate::sim::net::Stage;
use crate::sim::run::T_MAP;
use crate::sim::trace::hash_of;

/// Replies that must agree before the map has to: one alone may be older than what the client knows.
const AGREEING: u32 = 3;
/// And for so long: a map that seems to go back is believed after a hold time of two seconds.
const AGREED: u64 = 3_000_000;

/// For so long a redirect is not taken back by a topology reply.
const PATCHED: u64 = 1_900_000;
/// So many are remembered; those are counted that were sent in this time.
const REMEMBERED: usize = 6;
const MOVED: u64 = 4_000_000;
/// For so long a view that was replaced does not come back.
const REPLACED: u64 = 7_900_000;
/// Such an answer must have been there for so long; clocks tick.
const HOLD: u64 = 1_980_000;

/// The slots of the tags: those that faults move.
static TAGGED: LazyLock<Vec<u16>> = LazyLock::new(|| (0..TAGS).map(|tag| slot_of_tag(tag).get()).collect());

/// Who owned what, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    owners: BTreeMap<u16, Vec<Option<usize>>>,
}

impl Truth {
    /// Notes who owns a slot now.
    pub fn note(&mut self, slot: u16, owner: Option<usize>) {
        let history = self.owners.entry(slot).or_default();
        if history.last() != Some(&owner) {
            history.push(owner);
        }
    }

    /// The latest place at which that node owned the slot.
    #[must_use]
    pub fn place(&self, slot: u16, owner: usize) -> Option<usize> {
        self.owners.get(&slot)?.iter().rposition(|was| *was == Some(owner))
    }

    /// Who owned the slot at that place.
    fn was(&self, slot: u16, place: usize) -> Option<usize> {
        *self.owners.get(&slot)?.get(place)?
    }

    /// How often the slot changed hands, and who has it now.
    #[must_use]
    pub fn now(&self, slot: u16) -> Option<(usize, Option<usize>)> {
        let history = self.owners.get(&slot)?;
        Some((history.len() - 1, *history.last()?))
    }
}

/// A topology reply on its way.
#[derive(Clone, Debug)]
pub struct News {
    /// It has arrived when so many bytes have; not known before it is put on its way.
    pub at: u64,
    /// Nodes that it names; the greatest number stands for another cluster's.
    pub nodes: Vec<usize>,
    /// Who owns what, as the node that was asked sees it.
    views: Vec<(u16, Option<usize>)>,
    said: u64,
    /// How many slots it gives to somebody.
    covered: usize,
    /// An adversary has put numbers into it that are none.
    pub forged: bool,
}

/// What a client was told of a slot by topology replies: place in the history, since when by its clock, how often.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    place: usize,
    since: u64,
    last: u64,
    /// Since when without the jumps of its clock.
    begun: u64,
    times: u32,
}

/// A slot of which a redirect has told.
#[derive(Clone, Copy, Debug)]
struct Patch {
    slot: u16,
    /// When, by the client's clock.
    clock: u64,
    /// Which redirect.
    redirect: u64,
    /// A promoted replica takes over every slot of its shard, and not only the one that was asked for.
    promoted: bool,
}

/// What is known of a client's map.
#[derive(Clone, Debug, Default)]
pub struct MapNotes {
    /// Places in the histories that the map stands for, and the epochs of the owners, where known.
    known: BTreeMap<u16, (usize, Option<u64>)>,
    told: BTreeMap<u16, Told>,
    /// When the map was changed last.
    pub changed: u64,
    /// Slots of which redirects have told.
    patches: Vec<Patch>,
    redirects: u64,
    /// The version of the map when it was looked at last.
    version: u32,
    view: View,
    /// Views that were replaced, and when, by the client's clock.
    replaced: Vec<(u64, u64)>,
    /// Topology replies that have come.
    heard: Vec<Heard>,
}

impl MapNotes {
    /// Whether a topology reply has come at or after that time of the client's clock.
    #[must_use]
    pub fn heard_since(&self, clock: u64) -> bool {
        self.heard.last().is_some_and(|heard| heard.clock >= clock)
    }
}

/// How many slots a reply to CLUSTER SLOTS or CLUSTER NODES gives to nodes.
fn covered(reply: &[u8]) -> usize {
    let text = String::from_utf8_lossy(reply);
    let mut first = None;
    let mut sum = 0;
    for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
        // CLUSTER SLOTS: the only numbers that follow one another are those of a range.
        let number = line.strip_prefix(':').and_then(|number| number.parse::<usize>().ok());
        if let (Some(first), Some(last)) = (first, number) {
            sum += (last + 1).saturating_sub(first);
        }
        first = number;
        // CLUSTER NODES: behind the state of the link.
        let words = line.split(' ').skip_while(|word| !word.ends_with("connected")).skip(1);
        let ranges = words.filter_map(|word| word.split_once('-').or(Some((word, word))));
        let numbers = ranges.filter_map(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
        sum += numbers.map(|(from, to)| (to + 1).saturating_sub(from)).sum::<usize>();
    }
    sum
}

/// A topology reply that has come.
#[derive(Clone, Debug)]
struct Heard {
    /// When, by the client's clock.
    clock: u64,
    said: u64,
    covered: usize,
    views: Vec<(u16, Option<usize>)>,
}

/// A map as a whole.
#[derive(Clone, Copy, Debug, Default)]
struct View {
    digest: u64,
    covered: u16,
    epochs: bool,
}

impl World {
    /// Notes what is true now of the slots that may have moved.
    pub fn note_truth(&mut self) {
        for slot in TAGGED.iter().chain(&self.servers.moved) {
            let owner = self.servers.model.owner(*slot);
            self.truth.note(*slot, owner);
        }
    }

    /// The nodes that a reply names, those that are confirmed apart.
    fn named_in(&self, link: u32, out: &[u8]) -> Vec<usize> {
        let model = &self.servers.model;
        let named = |node: &usize| {
            let id = model.node_id(*node).unwrap_or("?").as_bytes();
            out.windows(id.len()).any(|part| part == id)
        };
        let known = &self.clients[self.links[link as usize].client].confirmed;
        (0..self.servers.nodes.len()).filter(|node| !known.contains(node)).filter(named).collect()
    }

    /// An adversary that keeps replies back has others taken for them: whom one to a command names may be known from it.
    pub fn note_named(&mut self, link: u32, out: &[u8]) {
        let named = self.named_in(link, out);
        self.clients[self.links[link as usize].client].confirmed.extend(named);
    }

    /// A topology reply is on its way.
    pub fn note_news(&mut self, link: u32, out: &[u8]) {
        let alien = self.links[link as usize].session.as_ref().is_some_and(|session| session.alien);
        let mut nodes = self.named_in(link, out);
        let model = &self.servers.model;
        let mut views = Vec::new();
        if alien {
            nodes.push(usize::MAX);
        } else if let (Some(node), true) = (self.links[link as usize].node, !out.starts_with(b"-")) {
            let slots = TAGGED.iter().chain(&self.servers.moved);
            views = slots.map(|slot| (*slot, model.owner_seen_by(node, *slot))).collect();
        }
        // Who owns what, whatever the addresses and whoever says it.
        let said = hash_of(format!("{:?}{alien}", views.get(..TAGGED.len())).as_bytes());
        self.links[link as usize].notes.news.push_back(News {
            at: u64::MAX,
            nodes,
            views,
            said,
            covered: covered(out),
            forged: false,
        });
    }

    /// Bytes have arrived, and perhaps news with them.
    pub fn learn(&mut self, link: u32) {
        loop {
            let at = &mut self.links[link as usize];
            let (client, received, hostile) = (at.client, at.received, at.hostile);
            if at.notes.news.front().is_none_or(|news| news.at > received) {
                return;
            }
            let Some(news) = at.notes.news.pop_front() else { return };
            at.notes.forged = Some(at.notes.forged.unwrap_or(true) && news.forged);
            let now = self.now;
            let notes = &mut self.clients[client];
            notes.confirmed.extend(news.nodes);
            // The answer to a question that was given up, and asked elsewhere, is not looked at.
            let (clock, timeout) = (notes.at(now).as_micros(), notes.config.refresh.timeout.as_micros());
            let timely = notes.notes.answered(link, clock, timeout);
            let map = &mut notes.notes.map;
            if map.heard.last().is_some_and(|heard| (heard.said, heard.covered) != (news.said, news.covered)) {
                // What seems to go back is believed as a whole: whatever else changes begins it anew.
                map.told.clear();
            }
            let (said, covered, views) = (news.said, news.covered, news.views.clone());
            map.heard.push(Heard { clock, said, covered, views });
            if hostile || news.views.is_empty() {
                // Another cluster's, or none that can be read.
                notes.notes.map.told.clear();
                continue;
            }
            for (slot, seen) in news.views {
                let Some((place, owner)) = self.truth.now(slot) else { continue };
                let told = &mut notes.notes.map.told;
                if seen != owner {
                    told.remove(&slot);
                    continue;
                }
                if !timely {
                    continue;
                }
                let fresh = Told { place, since: clock, last: clock, begun: now, times: 0 };
                let told = told.entry(slot).or_insert(fresh);
                if told.place != place {
                    *told = fresh;
                }
                told.times += 1;
                told.last = clock;
            }
        }
    }

    fn nodes_by_id(&self) -> BTreeMap<NodeId, usize> {
        let model = &self.servers.model;
        let id = |node| NodeId::parse(model.node_id(node)?.as_bytes());
        (0..self.servers.nodes.len()).filter_map(|node| Some((id(node)?, node))).collect()
    }

    /// The node that a client's map has for a slot, and its epoch.
    fn mapped(&self, client: usize, slot: u16, ids: &BTreeMap<NodeId, usize>) -> Option<(usize, Option<u64>)> {
        let map = self.clients[client].engine.map();
        match map.owner(Slot::masked(slot)) {
            Owner::Node(at) => map.node(at).and_then(|node| Some((*ids.get(&node.id())?, node.epoch()))),
            _ => None,
        }
    }

    /// The map changed, or was replaced by a topology reply: that must not bring back what the client knew to be over.
    ///
    /// A redirect may, since a node that is behind gives such redirects. CLUSTER SLOTS has no epochs: a view that was
    /// never seen before cannot be told from a newer one. What can be asked: that a redirect is not taken back for a while,
    /// that a view which was replaced does not come back for a while, that no slots are lost, and that nothing goes back
    /// where epochs are known; each unless such an answer came before, the hold time ago.
    pub fn check_map(&mut self, client: usize, refreshed: bool) {
        self.note_truth();
        self.clients[client].notes.map.changed = self.now;
        let map = self.clients[client].engine.map();
        for link in self.links.iter_mut().filter(|link| link.client == client && link.stage == Stage::Open) {
            link.notes.dismissed |= link.notes.node.is_some_and(|node| map.find(&node).is_none());
        }
        let ids = self.nodes_by_id();
        let slots: Vec<u16> = self.truth.owners.keys().copied().collect();
        let clock = self.clients[client].at(self.now).as_micros();
        // Every change counts: in one read there may be a topology reply and redirects behind it.
        let version = self.clients[client].engine.map().version();
        let last = std::mem::replace(&mut self.clients[client].notes.map.version, version);
        let mixed = refreshed && version != last.wrapping_add(1);
        let now = self.now;
        let moved = &mut self.clients[client].notes.moved;
        moved.retain(|at| now - at < MOVED);
        let remembered = moved.len() <= REMEMBERED;
        let mut lower = None;
        let mut taken_back = None;
        let mut asked = None;
        self.clients[client].notes.map.redirects += 1;
        let map = self.clients[client].engine.map();
        let replicas = map.nodes().filter(|(_, node)| !node.is_primary());
        let replicas: BTreeSet<usize> = replicas.filter_map(|(_, node)| ids.get(&node.id()).copied()).collect();
        for slot in slots {
            let seen = self.mapped(client, slot, &ids);
            // Nobody but ASK names the target of a move that has not ended, if it never had the slot.
            let target = seen.map(|seen| seen.0).filter(|owner| self.servers.moving.get(&slot) == Some(owner));
            let seen = seen.and_then(|(owner, epoch)| Some((owner, epoch, self.truth.place(slot, owner)?)));
            let Some((owner, epoch, place)) = seen else {
                // A node that never had it: what was known before is overruled.
                let notes = &mut self.clients[client].notes.map;
                if notes.known.remove(&slot).is_some() && !refreshed {
                    // A redirect sends it there: from here on the client must be told again.
                    notes.told.remove(&slot);
                    asked = asked.or_else(|| target.map(|target| (slot, target)));
                }
                continue;
            };
            let notes = &mut self.clients[client].notes.map;
            let before = notes.known.insert(slot, (place, epoch));
            let Some((before, old)) = before.filter(|before| before.0 != place) else { continue };
            if self.truth.was(slot, before) == Some(owner) {
                // It came back to this owner meanwhile, and the map says what it said before.
                continue;
            }
            if !refreshed {
                // What a promotion taught is kept with the slot that was asked for, and goes with the next redirect of that.
                let redirect = notes.redirects;
                let older = notes.patches.iter().find(|patch| patch.slot == slot).map(|patch| patch.redirect);
                notes.patches.retain(|patch| Some(patch.redirect) != older || patch.redirect == redirect);
                let promoted = self.truth.was(slot, before).is_some_and(|owner| replicas.contains(&owner));
                notes.patches.push(Patch { slot, clock, redirect, promoted });
                // A node has said otherwise: from here on it must be told again, and of all slots, for replies are believed as
                // a whole, and this one makes them differ in more.
                notes.told.clear();
            } else if place < before {
                // The higher epoch has the slot.
                lower = lower.or_else(|| (epoch? < old?).then_some((slot, owner)));
                // Some redirects are remembered, not many; those that changed nothing count too.
                let recent = notes.patches.iter().filter(|patch| clock.saturating_sub(patch.clock) < PATCHED);
                // Of a promotion it is the slot that was asked for, whichever that was.
                if remembered
                    && recent.clone().any(|patch| patch.slot == slot && !patch.promoted)
                    && recent.clone().count() <= 2
                {
                    taken_back = Some(slot);
                }
            }
        }
        // Where moves are given up or end in the middle, a third node may say MOVED to the target too.
        let half = [Fault::MigrationAborted, Fault::AskChain].iter().any(|fault| self.options.has(*fault));
        let honest = !half && self.options.hostile.is_none() && self.stage.is_none();
        // A node that had it for so short a time that others never heard of it may have told a third one.
        let seen_by = |node: usize, slot: u16| self.servers.model.owner_seen_by(node, slot);
        let told =
            |(slot, target): &(u16, usize)| (0..self.servers.nodes.len()).any(|at| seen_by(at, *slot) == Some(*target));
        let fault = asked.filter(|asked| honest && !told(asked));
        self.check(10, fault.is_none(), || {
            let (slot, target) = fault.unwrap_or_default();
            format!("client {client}: an ASK gave slot {slot} to node {target}")
        });
        let map = self.clients[client].engine.map();
        let now = View { digest: digest(&map), covered: map.covered(), epochs: map.has_epochs() };
        let notes = &mut self.clients[client].notes.map;
        let before = std::mem::replace(&mut notes.view, now);
        if !refreshed {
            return;
        }
        let returned = notes.replaced.iter().rev().take(4).any(|(view, at)| {
            let judged = !before.epochs || !now.epochs;
            // A slot of nobody that gets an owner is news, whoever that is.
            let judged = judged && now.covered <= before.covered;
            *view == now.digest && now.digest != before.digest && judged && clock.saturating_sub(*at) < REPLACED
        });
        if before.digest != now.digest && !mixed {
            notes.replaced.push((before.digest, clock));
        }
        // Of several that came at this tick of the clock any may be the one that was taken, else it is the last.
        let confirmed = |same: fn(&Heard, &Heard) -> bool| {
            let last = notes.heard.iter().rev().enumerate().take_while(|(n, heard)| *n == 0 || heard.clock == clock);
            last.into_iter().any(|(_, last)| {
                let first = notes.heard.iter().find(|heard| same(heard, last));
                first.is_some_and(|heard| clock.saturating_sub(heard.clock) >= HOLD)
            })
        };
        // Slots that are lost, or go to a lower epoch, are believed when they were for the hold time, whatever else changed.
        let lost = now.covered < before.covered && !confirmed(|one, other| one.covered == other.covered);
        let overruled = returned || now.covered < before.covered || lower.is_some();
        let lower = lower.filter(|(slot, owner)| {
            let held = |heard: &&Heard| clock.saturating_sub(heard.clock) >= HOLD;
            !notes.heard.iter().filter(held).any(|heard| heard.views.contains(&(*slot, Some(*owner))))
        });
        let confirmed = confirmed(|one, other| one.said == other.said);
        let fault = if confirmed || mixed {
            None
        } else if let Some((slot, owner)) = lower {
            Some(format!("against the epochs slot {slot} belongs to node {owner} again"))
        } else if let Some(slot) = taken_back {
            Some(format!("a redirect has just said otherwise of slot {slot}"))
        } else if returned {
            Some("a view that was just replaced is back".to_owned())
        } else {
            lost.then(|| format!("of {} slots {} are left", before.covered, now.covered))
        };
        if overruled && fault.is_none() {
            // What seems to go back was confirmed, and what was over before that was first said may be again.
            notes.replaced.retain(|(_, at)| clock.saturating_sub(*at) < HOLD);
        }
        self.check(10, fault.is_none(), || {
            format!("client {client}: a refresh went back: {}", fault.unwrap_or_default())
        });
    }

    /// A client that was told the truth of a slot, by several replies and by none the contrary, has it in its map.
    pub fn check_told(&mut self, client: usize) {
        let at = &self.clients[client];
        let now = self.now;
        if at.frozen + T_MAP > now || self.truth.owners.is_empty() {
            return;
        }
        // What it counts, it counts by its clock, which may jump.
        let clock = at.at(now).as_micros();
        let due = |told: &Told| {
            told.times >= AGREEING
                && told.last - told.since >= AGREED
                && clock.saturating_sub(told.since).min(now - told.begun) > T_MAP
        };
        let due: Vec<(u16, Told)> =
            at.notes.map.told.iter().filter(|(_, told)| due(told)).map(|(slot, told)| (*slot, *told)).collect();
        if due.is_empty() {
            return;
        }
        let ids = self.nodes_by_id();
        for (slot, told) in due {
            let Some((place, Some(owner))) = self.truth.now(slot) else { continue };
            if place == told.place {
                let seen = self.mapped(client, slot, &ids).map(|seen| seen.0);
                self.check(10, seen == Some(owner), || {
                    format!(
                        "client {client}: told {} times that slot {slot} is of node {owner}, it has {seen:?}",
                        told.times
                    )
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Truth, covered};

    #[test]
    fn replies_are_counted() {
        let slots = b"*2\r\n*3\r\n:0\r\n:99\r\n*3\r\n$1\r\na\r\n:7000\r\n$1\r\nx\r\n*3\r\n:500\r\n:500\r\n*3\r\n$1\r\nb\r\n:7001\r\n$1\r\ny\r\n";
        assert_eq!(covered(slots), 101);
        let nodes = b"=150\r\ntxt:aa 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-99 500 [500-<-bb]\nbb 10.0.0.2:7001@17001 slave aa 0 0 1 connected\ncc :0 master - 0 0 2 disconnected 7-8\n\r\n";
        assert_eq!(covered(nodes), 103);
    }

    #[test]
    fn the_history_tells_what_came_later() {
        let mut truth = Truth::default();
        for owner in [Some(0), Some(1), Some(1), None, Some(0)] {
            truth.note(7, owner);
        }
        assert_eq!(truth.place(7, 1), Some(1));
        assert_eq!(truth.place(7, 0), Some(3), "there and back: the later time counts");
        assert_eq!((truth.place(7, 2), truth.place(8, 0)), (None, None));
        assert_eq!(truth.now(7), Some((3, Some(0))));
    }
}

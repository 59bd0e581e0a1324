//! A run from its beginning to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

use slotwise::slot::Slot;
use slotwise::topology::Owner as SlotOwner;

use super::check::Planted;
use super::check::health::T_OK;
use super::client::{End, Owner};
use super::dice::{Label, Streams};
use super::kinds::Fault;
use super::options::{Options, PROFILES, Wishes};
use super::subscribing::channel;
use super::trace::What;
use super::working::steady_key;
use super::world::{Ev, Phase, START, Violation, World};

/// After the repair every slot is served within this time.
pub const T_HEAL: u64 = 15_000_000;
/// And every subscription is where it belongs within this time more.
pub const T_SUB: u64 = 5_000_000;
/// A reply that seems to go back is believed after this time.
const T_HOLD: u64 = 2_000_000;
/// And every map is right within this time.
pub const T_MAP: u64 = 5_000_000;
/// A shutdown takes no longer.
const T_DRAIN: u64 = 40_000_000;

/// Longest tape for a fuzzer.
const RAW: usize = 4_096;

/// What a run came to.
#[derive(Debug)]
pub struct Report {
    /// The options it had.
    pub options: Options,
    /// The hash over its events.
    pub hash: u64,
    /// Counts.
    pub stats: super::stats::Stats,
    /// The broken promise, if any.
    pub violation: Option<Violation>,
    /// The last events.
    pub lines: Vec<String>,
    /// The decisions.
    pub tape: Vec<u8>,
    /// What a script would have to say, and when; only if events are told in words.
    pub acts: Vec<(u64, String)>,
    /// The first of them as a fuzzer likes them.
    pub raw_tape: Vec<u8>,
}

/// Runs a seed.
#[must_use]
pub fn seed(seed: u64, wishes: &Wishes) -> Report {
    play(Streams::seeded(seed), wishes)
}

/// Runs a seed twice, the second time in a thread of its own: both must be the same run (I12).
#[must_use]
pub fn seed_twice(number: u64, wishes: &Wishes) -> Report {
    let mut report = seed(number, wishes);
    let again = std::thread::scope(|scope| scope.spawn(|| seed(number, wishes)).join());
    report.stats.checks[12] += 1;
    let same = again.is_ok_and(|again| (again.hash, &again.tape) == (report.hash, &report.tape));
    if !same && report.violation.is_none() {
        let text = "the second run of the seed is another one".to_owned();
        report.violation = Some(Violation { invariant: 12, text, at: START });
    }
    report
}

/// Runs a tape.
#[must_use]
pub fn tape(bytes: &[u8], wishes: &Wishes) -> Report {
    play(Streams::taped(bytes), wishes)
}

fn play(mut streams: Streams, wishes: &Wishes) -> Report {
    let options = Options::draw(&mut streams, wishes);
    let mut world = World::new(options, wishes.clone(), streams);
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.violate(11, format!("panic: {}", text.unwrap_or_default()));
    }
    world.report()
}

impl World {
    /// What the run came to.
    #[must_use]
    pub fn report(mut self) -> Report {
        let lines = self.trace.lines();
        if let Some(line) = lines.iter().find(|line| line.contains(super::servers::PASSWORDS[0])) {
            self.violate(13, format!("a password in the report: {line}"));
        }
        self.stats.seeds = 1;
        self.options.net = self.drawn;
        self.stats.mixed = u64::from(self.options.mixed.is_some_and(|mixed| mixed != self.options.server));
        if let Some(at) = PROFILES.iter().position(|(_, profile)| *profile == self.options.server) {
            self.stats.profiles[at] = 1;
        }
        self.stats.virtual_time = self.now - START;
        Report {
            hash: self.trace.hash(),
            stats: self.stats,
            lines,
            tape: self.streams.tape(),
            acts: self.acts,
            raw_tape: self.streams.raw_tape(RAW),
            options: self.options,
            violation: self.violation,
        }
    }

    /// The whole run.
    pub fn play(&mut self) {
        self.begin();
        self.run_until(START + self.options.length);
        self.settle_down();
        self.shut_down();
        if self.violation.is_none() {
            self.check_ledger();
        }
    }

    /// The end of a script: everything is repaired, the clients shut down, the ledger must be right.
    pub fn finish_script(&mut self) {
        self.phase = Phase::Liveness;
        self.heal();
        self.run_until(self.now + T_MAP);
        self.shut_down();
        if self.violation.is_none() {
            self.check_ledger();
        }
    }

    /// Puts the first events into the queue.
    pub fn begin(&mut self) {
        if self.planted(Planted::Coin) {
            let coin = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0);
            self.note(What::Phase, [coin, 0, 0]);
        }
        for n in 0..u32::from(self.options.steady) {
            self.seed_key(&steady_key(n));
        }
        for client in 0..self.clients.len() {
            for n in 0..u32::from(self.options.channels) {
                self.want(client, &channel(n));
            }
            let at = self.clients[client].at(self.now);
            self.clients[client].engine.connect(at);
            self.drive(client);
            let first = self.dice(Label::Work).exponential(50_000);
            self.after(first, Ev::Work(client));
            if self.options.scans {
                let first = self.dice(Label::Work).exponential(2_000_000);
                self.after(first, Ev::Scan(client));
            }
        }
        if self.options.channels > 0 {
            self.after(50_000, Ev::Publish);
        }
        self.after(500_000, Ev::Tick);
        if self.options.has(Fault::StrictOrder) {
            self.strikes(Fault::StrictOrder, 0);
        }
        self.plan_faults();
    }

    /// Writes a key as an operator.
    pub fn seed_key(&mut self, key: &str) {
        let Some(owner) = self.servers.model.owner(Slot::of_key(key.as_bytes()).get()) else { return };
        self.servers.note_names(&[b"SET".to_vec(), key.as_bytes().to_vec(), Vec::new()], self.now);
        let reply = self.servers.operate(owner, &[b"SET", key.as_bytes(), b"here"]);
        debug_assert_eq!(reply, b"+OK\r\n");
    }

    fn settle_down(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.phase = Phase::Liveness;
        self.note(What::Phase, [1, 0, 0]);
        self.heal();
        let healed = self.now;
        // Slots of which the client may have heard nothing yet, and some others.
        let mut slots: Vec<Slot> = Self::watched();
        slots.extend([0, 5_000, 10_000, 16_383].map(Slot::masked));
        // And one of each node that has any: who has nothing to say to a shard need not know who serves it.
        let owners = self.servers.model.owners();
        let mut known: BTreeSet<_> = slots.iter().filter_map(|slot| owners.get(slot.index()).copied()).collect();
        slots.extend((0..).zip(&owners).filter(|(_, owner)| known.insert(**owner)).map(|(slot, _)| Slot::masked(slot)));
        // A slot that moved alone, unlike those of a shard, is known by asking for it or not at all, within a minute.
        let moved = self.servers.moved.iter().map(|slot| Slot::masked(*slot)).filter(|slot| !slots.contains(slot));
        slots.extend(moved.collect::<Vec<_>>());
        // Of runs with an adversary this is not asked: one that swallows replies can keep commands of a slot that left it
        // waiting for them.
        if self.options.hostile.is_some() {
            slots.clear();
        }
        for client in 0..self.clients.len() {
            if !self.clients[client].dropped {
                for slot in &slots {
                    self.probe(client, *slot);
                }
                self.drive(client);
            }
        }
        let lively = self.run_while(healed + T_HEAL, |world| {
            world.ask_again();
            (0..world.clients.len()).any(|client| !world.clients[client].dropped && world.probes_open(client) > 0)
        });
        let open = if lively { String::new() } else { self.open_probes() };
        self.check(9, lively, || format!("not every slot is served {T_HEAL} us after the repair: {open}"));
        self.settle_again(&slots);
        self.run_until(self.now.max(healed + 1) + T_MAP);
        if self.options.channels > 0 {
            // A connection for subscriptions may wait as long for its next dial as any other.
            self.run_until(healed + T_HEAL + T_SUB);
        }
        self.check_settled();
    }

    /// Every slot was served again: from here on each command is, at once and without being repeated.
    fn settle_again(&mut self, slots: &[Slot]) {
        if self.violation.is_some() {
            return;
        }
        let since = self.now;
        for client in 0..self.clients.len() {
            if !self.clients[client].dropped {
                for slot in slots {
                    self.probe_as(client, *slot, Owner::Second(*slot));
                }
                self.drive(client);
            }
        }
        // What a node that was behind said last may have to be overruled, for the time that a map's doubts are held.
        self.run_until(since + T_OK + T_HOLD);
        for client in 0..self.clients.len() {
            for tag in 0..self.clients[client].requests.len() {
                let request = &self.clients[client].requests[tag];
                if self.clients[client].dropped || !matches!(request.owner, Owner::Second(_)) {
                    continue;
                }
                let end = request.end.map(|end| end.0);
                self.check(9, matches!(end, Some(End::Done { .. })), || {
                    format!("client {client}: command {tag} is {end:?} {} us after all was well again", T_OK + T_HOLD)
                });
            }
        }
    }

    /// The test commands that are still open, in words.
    fn open_probes(&self) -> String {
        let mut text = String::new();
        for (number, client) in self.clients.iter().enumerate() {
            for (tag, request) in client.requests.iter().enumerate() {
                if let (Owner::Probe(slot), None) = (request.owner, request.end) {
                    let (sends, answers) = (request.sends, request.served.len());
                    let _ = write!(
                        text,
                        "client {number} command {tag} for {slot:?}: {sends} times sent, {answers} answers; "
                    );
                }
            }
            let _ = write!(text, "{} not submitted; ", client.probes.len());
        }
        text
    }

    /// Probes for which there was no room are asked for again.
    fn ask_again(&mut self) {
        for client in 0..self.clients.len() {
            let room = self.clients[client].engine.commands_live() + 4 < usize::from(self.options.sizes.commands.1)
                && (self.clients[client].probes.is_empty() || self.has_room(client));
            if let Some(slot) = self.clients[client].probes.pop_if(|_| room) {
                self.probe(client, slot);
                self.drive(client);
            }
        }
    }

    /// I6 and I10: subscriptions and maps are as they should be.
    fn check_settled(&mut self) {
        if self.violation.is_some() || self.options.hostile.is_some() {
            return;
        }
        let owners = self.servers.model.owners();
        for client in 0..self.clients.len() {
            let at = &self.clients[client];
            if at.dropped {
                continue;
            }
            let map = at.engine.map();
            // Which node of the model each node of the map is.
            let mut known = BTreeMap::new();
            let mut number = |at| {
                *known.entry(at).or_insert_with(|| {
                    let id = map.node(at).map(|node| node.id().to_string());
                    let model = &self.servers.model;
                    (0..self.servers.nodes.len()).find(|node| id.is_some() && model.node_id(*node) == id.as_deref())
                })
            };
            let wrong = (0..16_384).map(Slot::masked).zip(&owners).find_map(|(slot, truth)| {
                let seen = match map.owner(slot) {
                    SlotOwner::Node(at) => number(at),
                    _ => None,
                };
                (seen != *truth).then(|| format!("{slot:?} belongs to {truth:?} and not to {seen:?}"))
            });
            self.check(10, wrong.is_none(), || {
                format!("client {client}: the map is wrong after {T_MAP} us: {}", wrong.unwrap_or_default())
            });
        }
        let wanting = self.clients.iter().filter(|client| !client.dropped && client.subs.is_some()).count() as u64;
        for n in 0..u32::from(self.options.channels) {
            let name = channel(n);
            let got = self.publish_to(&name);
            self.check(6, got == Some(wanting), || {
                format!("{}: {wanting} clients want it, {got:?} have it at its owner", name.escape_ascii())
            });
        }
        self.hear_all();
    }

    /// I6: what was published last has come to everybody who wants it.
    fn hear_all(&mut self) {
        if self.options.channels == 0 || self.violation.is_some() {
            return;
        }
        // A second to arrive, in which others may be published.
        let published = self.servers.published.clone();
        self.run_until(self.now + 1_000_000);
        for client in 0..self.clients.len() {
            let Some(subs) = self.clients[client].subs.as_ref().filter(|_| !self.clients[client].dropped) else {
                continue;
            };
            let deaf = subs.wanted.iter().find(|name| {
                let last = subs.heard.get(*name).and_then(|heard| heard.last);
                published.get(*name).is_some_and(|next| last.is_none_or(|last| last + 1 < *next))
            });
            let deaf = deaf.map(|name| name.escape_ascii().to_string());
            self.check(6, deaf.is_none(), || {
                format!("client {client}: the last message of {} has not come", deaf.unwrap_or_default())
            });
        }
    }

    fn shut_down(&mut self) {
        if self.violation.is_some() {
            return;
        }
        self.phase = Phase::Shutdown;
        self.note(What::Phase, [2, 0, 0]);
        for client in 0..self.clients.len() {
            let at = &mut self.clients[client];
            if at.dropped {
                continue;
            }
            at.subs = None;
            at.scan = None;
            let now = at.at(self.now);
            at.engine.shutdown(now);
            self.drive(client);
        }
        let until = self.now + T_DRAIN;
        let drained = self.run_while(until, |world| {
            world.clients.iter().any(|client| !client.dropped && !client.engine.is_drained())
        });
        // An adversary that swallows a reply can keep a connection waiting.
        let tainted = self.options.hostile.is_some();
        self.check(9, drained || tainted, || format!("a shutdown is not over after {T_DRAIN} us"));
        // What is still on the way reaches the servers.
        self.run_until(self.now + 60_000_000);
        for client in 0..self.clients.len() {
            let live = self.clients[client].engine.commands_live();
            let dropped = self.clients[client].dropped;
            self.check(8, dropped || live == 0 || (tainted && !drained), || {
                format!("client {client}: {live} entries are never given back")
            });
        }
    }
}

//! The world: one clock, one queue of events, and everything that lives in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::check::health::Health;
use super::check::maps::Truth;
use super::client::Client;
use super::dice::{Dice, Label, Streams};
use super::kinds::Fault;
use super::net::{Link, Way};
use super::options::{NetOptions, Options, Wishes};
use super::servers::Servers;
use super::stats::Stats;
use super::trace::{Trace, What};

/// Something that is going to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ev {
    /// A client's timer.
    Wake(usize),
    /// Bytes, or the end of the stream, arrive on a link.
    Arrive(u32, Way),
    /// A dial is answered.
    Dialled(u32),
    /// A client has something to ask for.
    Work(usize),
    /// A client changes its mind about a request.
    Cancel(usize, u64),
    /// A kind of fault strikes.
    Fault(Fault),
    /// What a fault began ends.
    Repair(Fault, u32),
    /// A node goes on with its input.
    Node(usize),
    /// One node hears of another.
    Gossip,
    /// Somebody publishes.
    Publish,
    /// A client starts a scan.
    Scan(usize),
    /// A replica may take over from a primary.
    Elect(usize, usize),
    /// The model wants to be told the time.
    Model,
    /// Everybody is looked at.
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scheduled {
    at: u64,
    number: u64,
    ev: Ev,
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Faults strike, the applications work.
    Safety,
    /// Everything is repaired, and must work again in time.
    Liveness,
    /// The clients shut down.
    Shutdown,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The number of the invariant: 1 to 14.
    pub invariant: u8,
    /// What was seen.
    pub text: String,
    /// When.
    pub at: u64,
}

/// A run.
pub struct World {
    /// What it is made of.
    pub options: Options,
    /// What the caller fixed.
    pub wishes: Wishes,
    /// The clock, in microseconds.
    pub now: u64,
    number: u64,
    queue: BinaryHeap<Reverse<Scheduled>>,
    /// Where decisions come from.
    pub streams: Streams,
    /// What happened.
    pub trace: Trace,
    /// Counts.
    pub stats: Stats,
    /// The cluster.
    pub servers: Servers,
    /// Every connection there ever was.
    pub links: Vec<Link>,
    /// The clients.
    pub clients: Vec<Client>,
    /// Where the run is.
    pub phase: Phase,
    /// The first broken promise.
    pub violation: Option<Violation>,
    /// Who owned what.
    pub truth: Truth,
    /// What faults have touched.
    pub health: Health,
    /// The network as it was drawn; the repair mends it.
    pub drawn: NetOptions,
    /// What a script wants servers to say, and what it was answered.
    pub stage: Option<super::script::Stage>,
    /// What a script would have to say, and when; kept if events are told in words.
    pub acts: Vec<(u64, String)>,
    /// The reply that is being put on its way takes so much longer.
    pub later: u64,
}

/// The clock of a run begins here, so that nothing happens at time 0.
pub const START: u64 = 1_000_000;

impl World {
    /// A world with servers and clients, before anything has happened.
    #[must_use]
    pub fn new(options: Options, wishes: Wishes, streams: Streams) -> Self {
        let servers = Servers::new(&options);
        let drawn = options.net;
        let clients = (0..usize::from(options.clients)).map(|number| Client::new(number, &options, &wishes)).collect();
        let trace = Trace::new(wishes.shown.unwrap_or(super::trace::SHOWN), wishes.shown.is_some());
        Self {
            options,
            wishes,
            now: START,
            number: 0,
            queue: BinaryHeap::new(),
            streams,
            trace,
            stats: Stats::default(),
            servers,
            links: Vec::new(),
            clients,
            phase: Phase::Safety,
            violation: None,
            truth: Truth::default(),
            health: Health::default(),
            drawn,
            stage: None,
            acts: Vec::new(),
            later: 0,
        }
    }

    /// Makes something happen after a while.
    pub fn after(&mut self, span: u64, ev: Ev) {
        self.at(self.now.saturating_add(span), ev);
    }

    /// Makes something happen at a time.
    pub fn at(&mut self, at: u64, ev: Ev) {
        self.number += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), number: self.number, ev }));
    }

    /// A stream of decisions.
    pub fn dice(&mut self, label: Label) -> &mut Dice {
        self.streams.of(label)
    }

    /// Notes an event.
    pub fn note(&mut self, what: What, of: [u64; 3]) {
        self.trace.note(self.now, what, of);
    }

    /// A promise holds, or the run is over.
    pub fn check(&mut self, invariant: u8, holds: bool, text: impl FnOnce() -> String) {
        self.stats.checks[usize::from(invariant)] += 1;
        if !holds {
            self.violate(invariant, text());
        }
    }

    /// A promise was broken.
    pub fn violate(&mut self, invariant: u8, text: String) {
        if self.violation.is_none() {
            self.note(What::Error, [u64::from(invariant), 0, 0]);
            self.trace.say(|| text.clone());
            self.violation = Some(Violation { invariant, text, at: self.now });
        }
    }

    /// Runs until the time, or a broken promise.
    pub fn run_until(&mut self, until: u64) {
        self.run_while(until, |_| true);
    }

    /// Runs until the time, a broken promise, or the condition fails; says whether the condition failed.
    pub fn run_while(&mut self, until: u64, mut go_on: impl FnMut(&mut Self) -> bool) -> bool {
        loop {
            if self.violation.is_some() {
                return false;
            }
            if !go_on(self) {
                return true;
            }
            let next = self.queue.peek().map(|Reverse(next)| *next).filter(|next| next.at <= until);
            let Some(next) = next else {
                // A time that is past already is not gone back to.
                self.now = self.now.max(until);
                return false;
            };
            self.queue.pop();
            self.now = next.at;
            self.stats.events += 1;
            super::check::hang::step();
            self.happen(next.ev);
        }
    }

    fn happen(&mut self, ev: Ev) {
        match ev {
            Ev::Wake(client) => self.wake(client),
            Ev::Arrive(link, way) => self.arrive(link, way),
            Ev::Dialled(link) => self.dialled(link),
            Ev::Work(client) => self.work(client),
            Ev::Cancel(client, tag) => self.cancel(client, tag),
            Ev::Fault(fault) => self.strike(fault),
            Ev::Repair(fault, of) => self.repair(fault, of),
            Ev::Node(node) => self.node_goes_on(node),
            Ev::Gossip => self.gossip(),
            Ev::Publish => self.publish(),
            Ev::Scan(client) => self.begin_scan(client),
            Ev::Elect(heir, old) => self.elect(heir, old),
            Ev::Model => self.model_alarm(),
            Ev::Tick => self.tick(),
        }
    }
}

//! Sharded subscriptions, and what is published to them.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::command::{Access, CommandSpec, Target};
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pubsub::{
    Action, Bucket, Channel, CommandDone, Event as Told, Kind, Link, Parts, Policy, PushEvent, Reconciler, Storage,
    SubTicket, View,
};
use slotwise::resp::{Frame, encode};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};
use slotwise::topology::Owner as SlotOwner;

use super::check::Planted;
use super::client::Owner;
use super::dice::Label;
use super::kinds::Fault;
use super::trace::What;
use super::working::TAGS;
use super::world::{Ev, Phase, World};

/// Tables of a reconciler.
#[derive(Debug)]
pub struct Channels {
    channels: Vec<Channel>,
    buckets: Vec<Bucket>,
    links: Vec<Link>,
    names: Vec<u8>,
}

impl Storage for Channels {
    fn view(&self) -> View<'_> {
        View { channels: &self.channels, buckets: &self.buckets, links: &self.links, names: &self.names }
    }

    fn parts(&mut self) -> Parts<'_> {
        Parts {
            channels: &mut self.channels,
            buckets: &mut self.buckets,
            links: &mut self.links,
            names: &mut self.names,
        }
    }
}

/// What a client knows of one channel's messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    /// The number of the last message.
    pub last: Option<u64>,
    /// A gap was announced since.
    pub gap: bool,
}

/// The subscriptions of a client.
pub struct Subs {
    /// The part of the core that looks after them.
    pub wishes: Reconciler<Channels>,
    flying: BTreeMap<u64, (CommandId, NodeId, Option<Slot>, Action)>,
    /// What is wanted now.
    pub wanted: BTreeSet<Vec<u8>>,
    /// What was heard.
    pub heard: BTreeMap<Vec<u8>, Heard>,
    refreshes: u32,
    map_changed: bool,
}

impl Subs {
    /// Nothing is wanted yet.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self::sized(number, 32)
    }

    /// Nothing is wanted yet, with room for so many channels.
    #[must_use]
    pub fn sized(number: usize, count: usize) -> Self {
        let channels = Channels {
            channels: vec![Channel::EMPTY; count],
            buckets: vec![Bucket::EMPTY; count],
            links: vec![Link::EMPTY; 40],
            names: vec![0; count * 64],
        };
        Self {
            wishes: Reconciler::new(Policy::DEFAULT, number as u64, channels),
            flying: BTreeMap::new(),
            wanted: BTreeSet::new(),
            heard: BTreeMap::new(),
            refreshes: 0,
            map_changed: true,
        }
    }
}

/// A channel's name.
#[must_use]
pub fn channel(n: u32) -> Vec<u8> {
    format!("{{t{}}}ch{n}", n % TAGS).into_bytes()
}

impl World {
    /// Wants a channel.
    pub fn want(&mut self, client: usize, name: &[u8]) {
        self.act(|_| format!("want c{client} {}", String::from_utf8_lossy(name)));
        let Some(subs) = self.clients[client].subs.as_mut() else { return };
        if subs.wishes.want(Kind::Sharded, name).is_ok() {
            subs.wanted.insert(name.to_vec());
            subs.heard.insert(name.to_vec(), Heard::default());
        }
    }

    /// No longer wants a channel.
    pub fn unwant(&mut self, client: usize, name: &[u8]) {
        let Some(subs) = self.clients[client].subs.as_mut() else { return };
        subs.wishes.unwant(Kind::Sharded, name);
        subs.wanted.remove(name);
    }

    /// A client takes a wish back, and renews it soon, perhaps before anybody has heard of the one or the other.
    pub(super) fn wish_again(&mut self) {
        let fault = Fault::Rewished;
        let fit = |client: &usize| {
            let client = &self.clients[*client];
            !client.dropped && client.frozen <= self.now && client.subs.as_ref().is_some_and(|s| !s.wanted.is_empty())
        };
        let clients: Vec<usize> = (0..self.clients.len()).filter(fit).collect();
        let Some(client) = self.one_of(fault, &clients) else { return };
        let channels = u32::from(self.options.channels);
        let n = self.fault_dice(fault).below(channels);
        let trip = u64::from(self.options.net.delay) * 2 + u64::from(self.options.net.spread) * 2;
        let later = self.fault_dice(fault).exponential(trip);
        self.strikes(fault, client as u64);
        self.unwant(client, &channel(n));
        self.drive(client);
        self.after(later, Ev::Repair(fault, (client as u32) << 16 | n));
    }

    /// The wish is renewed.
    pub(super) fn renew_wish(&mut self, of: u32) {
        let (client, n) = ((of >> 16) as usize, of & 0xffff);
        let frozen = self.clients[client].frozen;
        if frozen > self.now {
            return self.at(frozen, Ev::Repair(Fault::Rewished, of));
        }
        if self.phase != Phase::Shutdown && !self.clients[client].dropped {
            self.want(client, &channel(n));
            self.drive(client);
        }
    }

    /// Looks after the subscriptions; says whether there was anything to do.
    pub fn tend_subs(&mut self, client: usize) -> bool {
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        let Some(subs) = at.subs.as_mut() else { return false };
        let mut any = false;
        let refreshes = at.engine.refreshes();
        if subs.map_changed || refreshes != subs.refreshes {
            subs.map_changed = false;
            subs.refreshes = refreshes;
            subs.wishes.on_map(at.engine.map_asked(), &at.engine.map());
            let map = at.engine.map();
            let moved = |(_, node, slot, action): &&(CommandId, NodeId, Option<Slot>, Action)| {
                let owner = slot.and_then(|slot| match map.owner(slot) {
                    SlotOwner::Node(at) => map.node(at).map(slotwise::topology::Node::id),
                    _ => None,
                });
                *action == Action::Subscribe && owner.is_some_and(|owner| owner != *node)
            };
            let ids: Vec<CommandId> = subs.flying.values().filter(moved).map(|flying| flying.0).collect();
            for id in ids {
                at.engine.cancel(now, id);
            }
            any = true;
        }
        loop {
            let at = &mut self.clients[client];
            let Some(subs) = at.subs.as_mut() else { return any };
            let Some(request) = subs.wishes.poll(now, &at.engine.map()) else { break };
            any = true;
            let args = subs.wishes.args(&request);
            let mut wire = vec![0; encode::encoded_len(&args).unwrap_or(0) as usize];
            let len = encode::encode(&args, &mut wire).unwrap_or(0);
            let mut spec = CommandSpec::new(Target::Node(request.node), Access::Read, len as u32);
            spec.subscribe = true;
            spec.timeout = Some(Duration::from_secs(3));
            let ticket = request.ticket.to_bits();
            let submitted = self.submit(client, spec, wire, Owner::Sub(ticket));
            let at = &mut self.clients[client];
            let Some(subs) = at.subs.as_mut() else { return any };
            match submitted {
                Some(tag) => {
                    let id = at.requests[tag as usize].id;
                    subs.flying.insert(ticket, (id, request.node, request.slot, request.action));
                }
                None => subs.wishes.on_command_done(now, request.ticket, CommandDone::Failed),
            }
        }
        let at = &mut self.clients[client];
        if at.subs.as_mut().is_some_and(|subs| subs.wishes.wants_refresh()) {
            at.engine.refresh(now);
            any = true;
        }
        self.tell_subs(client);
        any
    }

    fn tell_subs(&mut self, client: usize) {
        let Some(subs) = self.clients[client].subs.as_mut() else { return };
        let mut gaps = 0;
        while let Some(told) = subs.wishes.poll_event() {
            if let Told::Gap { channel, .. } = told
                && let Some((_, name)) = subs.wishes.name(channel)
            {
                gaps += 1;
                let name = name.to_vec();
                subs.heard.entry(name).or_default().gap = self.wishes.planted != Some(Planted::HiddenGap);
            }
        }
        self.stats.messages.1 += gaps;
        for _ in 0..gaps {
            self.note(What::Gap, [client as u64, 0, 0]);
        }
    }

    fn sub_done(&mut self, client: usize, ticket: u64, done: CommandDone<'_>) {
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        if let Some(subs) = at.subs.as_mut() {
            subs.flying.remove(&ticket);
            subs.wishes.on_command_done(now, SubTicket::from_bits(ticket), done);
        }
    }

    /// A subscribe command was refused.
    pub fn sub_refused(&mut self, client: usize, ticket: u64, frame: &Frame<'_>) {
        let error = frame.error().unwrap_or_default();
        self.sub_done(client, ticket, CommandDone::Refused { error });
    }

    /// A subscribe command ended without an answer.
    pub fn sub_failed(&mut self, client: usize, ticket: u64) {
        self.sub_done(client, ticket, CommandDone::Failed);
    }

    /// A subscribe command was carried out.
    pub fn confirmed(&mut self, client: usize, tag: u64, conn: ConnId) {
        let Some(request) = self.clients[client].requests.get(tag as usize) else { return };
        if let Owner::Sub(ticket) = request.owner {
            self.sub_done(client, ticket, CommandDone::Fenced { conn });
        }
    }

    /// A connection with subscriptions answered.
    pub fn subscriber_alive(&mut self, client: usize, conn: ConnId, asked: Instant) {
        if let Some(subs) = self.clients[client].subs.as_mut() {
            subs.wishes.on_alive(conn, asked);
        }
    }

    /// A connection with subscriptions was lost.
    pub fn subs_lost(&mut self, client: usize, conn: ConnId) {
        if let Some(subs) = self.clients[client].subs.as_mut() {
            subs.wishes.on_lost(conn);
        }
        self.tell_subs(client);
    }

    /// A push came.
    pub fn pushed(&mut self, client: usize, conn: ConnId, frame: &Frame<'_>) {
        if let Some(stage) = &mut self.stage {
            stage.pushes.push((client, super::script::readable(frame.raw())));
        }
        self.tell_subs(client);
        let Some(subs) = self.clients[client].subs.as_mut() else { return };
        let PushEvent::Message(message) = subs.wishes.on_push(conn, frame) else { return };
        let name = message.channel.to_vec();
        let number = std::str::from_utf8(message.payload).ok().and_then(|text| text.parse::<u64>().ok());
        let (gap, overlap) = (message.gap.is_some(), message.overlap);
        let gap = gap && self.wishes.planted != Some(Planted::HiddenGap);
        let wanted = subs.wanted.contains(&name);
        let heard = subs.heard.entry(name.clone()).or_default();
        heard.gap |= gap;
        let before = *heard;
        let again = Heard { last: number, gap: false };
        // What two nodes send in turn is in no order, and may come from both.
        let late = overlap && number.is_some_and(|number| before.last.is_some_and(|last| number <= last));
        *heard = if late { before } else { Heard { last: number, gap: overlap && before.gap } };
        self.stats.messages.0 += 1;
        self.note(What::Message, [client as u64, number.unwrap_or(u64::MAX), 0]);
        let text = name.escape_ascii().to_string();
        // What an adversary publishes is its own.
        let tainted = self.link_of(client, conn).is_none_or(|link| self.links[link as usize].hostile);
        self.check(6, wanted || tainted, || format!("client {client}: a message of {text}, which is not wanted"));
        let unknowable = self.missed_by_all(client, conn, &name, before.last, number);
        let before = Heard { gap: before.gap || unknowable, ..before };
        let fault = super::check::subscriptions::gap(before, number).filter(|_| !late);
        self.check(6, fault.is_none() || tainted, || format!("client {client}: {text}: {}", fault.unwrap_or_default()));
        if self.planted(Planted::RepeatedMessage) {
            let fault = super::check::subscriptions::gap(again, number);
            self.check(6, fault.is_none(), || format!("client {client}: {text}: {}", fault.unwrap_or_default()));
        }
    }

    /// Whether all messages between two were published at another node while the node that this connection leads to held
    /// itself for the owner as well, which has the slot now without ever having heard that it had lost it. A subscriber of
    /// that node cannot know of them: nothing ended its subscription, and every map that it saw may have named the node.
    fn missed_by_all(&self, client: usize, conn: ConnId, name: &[u8], last: Option<u64>, number: Option<u64>) -> bool {
        let (Some(last), Some(number), Some(link)) = (last, number, self.link_of(client, conn)) else { return false };
        let Some(node) = self.links[link as usize].node else { return false };
        let disputed = |n| self.servers.disputed.get(&(name.to_vec(), n)).is_some_and(|at| at.contains(&node));
        last < number && (last + 1..number).all(disputed)
    }

    /// The map changed: subscriptions may have to move, and so may expectations.
    pub fn map_changed(&mut self, client: usize) {
        let at = &mut self.clients[client];
        if let Some(subs) = at.subs.as_mut() {
            subs.map_changed = true;
        }
        self.check_map(client, false);
    }

    /// Somebody publishes at the owner of a channel's slot.
    pub fn publish(&mut self) {
        let count = u32::from(self.options.channels);
        if count == 0 || self.dice(Label::Work).has_ended() {
            return;
        }
        let dice = self.streams.of(Label::Work);
        let name = channel(dice.below(count));
        let gap = 10_000 + dice.exponential(100_000);
        if self.phase != Phase::Shutdown {
            self.after(gap, Ev::Publish);
        }
        self.publish_to(&name);
    }

    /// Publishes the next message of a channel at its owner; how many got it.
    pub fn publish_to(&mut self, name: &[u8]) -> Option<u64> {
        let owner = self.servers.model.owner(Slot::of_key(name).get())?;
        let node = &self.servers.nodes[owner];
        if !node.up || node.paused > self.now {
            return None;
        }
        let number = self.servers.published.entry(name.to_vec()).or_insert(0);
        let payload = number.to_string();
        let reply = self.servers.operate(owner, &[b"SPUBLISH", name, payload.as_bytes()]);
        let text = std::str::from_utf8(&reply).unwrap_or_default().trim_end();
        let got = text.strip_prefix(':').and_then(|text| text.parse().ok());
        if got.is_some() {
            let (slot, model) = (Slot::of_key(name).get(), &self.servers.model);
            let up = |at: &usize| *at != owner && self.servers.nodes[*at].up;
            // Itself, or the primary that it replicates, whose messages it gets.
            let claims = |at: &usize| {
                let seen = model.owner_seen_by(*at, slot);
                up(at)
                    && seen != Some(owner)
                    && (seen == Some(*at) || (seen.is_some() && seen == model.primary_of(*at)))
            };
            let others: Vec<usize> = (0..self.servers.nodes.len()).filter(claims).collect();
            let number = self.servers.published.entry(name.to_vec()).or_insert(0);
            if !others.is_empty() {
                self.servers.disputed.insert((name.to_vec(), *number), others);
            }
            *number += 1;
        }
        self.flush();
        got
    }
}

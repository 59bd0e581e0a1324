//! The promises, held against what happened. Each has a number; a check that fails ends the run.

pub mod ledger;
pub mod scan;
pub mod subscriptions;
pub mod windows;

use slotwise::cluster::Storage;

use super::client::End;
use super::drive::is_forged;
use super::net::Stage;
use super::servers::{ALIEN, CANARY};
use super::storage::SimStorage;
use super::trace::hash_of;
use super::world::World;

/// The place of an end among the counts.
#[must_use]
pub const fn end_number(end: &End) -> usize {
    use slotwise::pipeline::Outcome;
    match end {
        End::Done { .. } => 0,
        End::Error { .. } => 1,
        End::Failed(Outcome::Rejected, _) => 2,
        End::Failed(Outcome::NotSent, _) => 3,
        End::Failed(Outcome::MaybeExecuted, _) => 4,
        End::Failed(Outcome::ReplyLost, _) => 5,
        End::Confirmed => 6,
    }
}

impl World {
    /// I1: the reply is one that a server gave to this request.
    pub fn check_reply(&mut self, client: usize, tag: u64, hash: u64) {
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else {
            return self.violate(1, format!("client {client}: a reply to a command {tag} that nobody submitted"));
        };
        request.answer = Some(hash);
        let own = request.tainted || ledger::gave(&request.served, hash);
        self.check(1, own, || format!("client {client}: command {tag} was handed a reply that no server gave to it"));
    }

    /// I1 for a reply that was read as tokens.
    pub fn check_text(&mut self, client: usize, tag: u64, text: &[u8]) {
        let Some(request) = self.clients[client].requests.get(tag as usize) else { return };
        let hash = hash_of(text);
        let flat = request.served.iter().any(|served| served.flat == Some(hash));
        // A reply that did not fit was read as tokens though nobody asked for that.
        let own = request.tainted || flat || !request.spec.streamed;
        self.check(1, own, || format!("client {client}: command {tag} was streamed a reply that no server gave to it"));
    }

    /// I3: what the caller is told of the execution is true.
    pub fn check_end(&mut self, client: usize, tag: u64, safe: bool) {
        let _ = safe;
        let Some(request) = self.clients[client].requests.get(tag as usize) else { return };
        let fault = ledger::truth(request).err();
        self.check(3, fault.is_none(), || format!("client {client}: command {tag} {}", fault.unwrap_or_default()));
    }

    /// I4: a command is sent again so often and no more.
    pub fn check_hops(&mut self, client: usize, tag: u64) {
        let at = &self.clients[client];
        let Some(request) = at.requests.get(tag as usize) else { return };
        let most = 2 + usize::from(at.config.max_hops) + usize::from(at.config.max_attempts);
        // A group has an answer for each of its commands.
        let answers = if request.spec.replies > 1 { request.sends as usize - 1 } else { request.served.len() };
        self.check(4, answers <= most, || format!("client {client}: command {tag} is sent after {answers} answers"));
    }

    /// I4 and I7: where is dialled, and how often.
    pub fn check_dial(&mut self, client: usize, addr: &(String, u16)) {
        let at = &self.clients[client];
        let known = self.is_confirmed(client, addr);
        let dials = at.links.iter().filter(|link| {
            let link = &self.links[**link as usize];
            link.stage == Stage::Dialling && link.addr == *addr
        });
        let (pending, leases) = (dials.count(), usize::from(at.config.max_leases));
        // One for everybody, one as a seed, one for subscriptions, and those for blocking commands.
        let most = 2 + usize::from(at.subs.is_some()) + if self.options.mix.blocking > 0 { leases } else { 0 };
        let from = self.now.saturating_sub(1_000_000);
        let recent = windows::recent(&at.dialled, from, addr);
        let leased = self.options.mix.blocking > 0;
        self.check(4, known, || format!("client {client}: {addr:?} is dialled, and no topology reply has named it"));
        self.check(7, pending < most, || format!("client {client}: {pending} dials to {addr:?} at a time"));
        self.check(7, leased || recent <= 16 * most, || {
            format!("client {client}: {recent} dials to {addr:?} within a second")
        });
    }

    /// Whether an address is one of a seed, or of a node that a topology reply has named.
    fn is_confirmed(&self, client: usize, addr: &(String, u16)) -> bool {
        let node = self.servers.find(addr).or_else(|| self.servers.ever.get(addr).copied());
        let node = if addr.0 == ALIEN { Some(usize::MAX) } else { node };
        !is_forged(addr) && node.is_some_and(|node| self.clients[client].confirmed.contains(&node))
    }

    /// I13: a password stands only where it belongs.
    pub fn check_secrets(&mut self, link: u32, words: &[Vec<u8>]) {
        if !self.options.password {
            return;
        }
        let begins = |word: &[u8]| word.iter().position(|byte| *byte == CANARY[0]);
        let telling = words.iter().any(|word| {
            let mut rest = word.as_slice();
            while let Some(at) = begins(rest) {
                if rest[at..].starts_with(CANARY) {
                    return true;
                }
                rest = &rest[at + 1..];
            }
            false
        });
        let asked = words.first().is_some_and(|name| name == b"AUTH" || name == b"HELLO");
        let at = &self.links[link as usize];
        let trusted = self.is_confirmed(at.client, &at.addr);
        self.check(13, !telling || (asked && trusted), || {
            format!("link {link}: a password in {:?}", words.first().map(|word| word.escape_ascii().to_string()))
        });
    }

    /// What is looked at after every turn of a client: I8 and I14.
    pub fn look_at(&mut self, client: usize) {
        let at = &mut self.clients[client];
        let used = at.engine.memory_used();
        if used != at.memory.1 {
            let sizes = self.options.sizes;
            let most = slotwise_sizes(sizes) + at.memory.0;
            at.memory.1 = used;
            self.check(8, used <= most, || format!("client {client}: {used} bytes are used, {most} are allowed"));
        } else {
            self.stats.checks[8] += 1;
        }
        let at = &self.clients[client];
        if at.frozen > self.now {
            return;
        }
        let limits = at.config.timeouts;
        // The silence until the probe, the answer to it, and a clock that ticks slowly.
        let most = limits.response.as_micros() + limits.probe.as_micros() + at.tick * 4 + 1_000_000;
        let late = at.links.iter().copied().find(|link| {
            let link = &self.links[*link as usize];
            let since = link.silent_since.map(|since| since.max(at.frozen));
            link.stage == Stage::Open && !link.leased && since.is_some_and(|since| self.now - since > most)
        });
        self.check(14, late.is_none(), || {
            format!("link {}: silent for more than {most} us with work in flight, and still open", late.unwrap_or(0))
        });
    }

    /// The end of a run: the whole ledger.
    pub fn check_ledger(&mut self) {
        for client in 0..self.clients.len() {
            if self.clients[client].dropped {
                continue;
            }
            for tag in 0..self.clients[client].requests.len() {
                let open = self.clients[client].requests[tag].end.is_none();
                self.check(3, !open, || format!("client {client}: command {tag} has no end"));
                self.check_end(client, tag as u64, false);
            }
            if self.options.reads == 0 && self.options.hostile.is_none() {
                let fault = ledger::order(&self.clients[client].requests);
                self.stats.checks[2] += self.clients[client].requests.len() as u64;
                if let Some(text) = fault {
                    self.violate(2, format!("client {client}: {text}"));
                }
            }
        }
    }

    /// Whether the owner of a probe has it done.
    #[must_use]
    pub fn probes_open(&self, client: usize) -> usize {
        let at = &self.clients[client];
        at.probing + at.probes.len()
    }
}

/// What the tables take at most.
fn slotwise_sizes(sizes: super::storage::Sizes) -> usize {
    let mut storage = SimStorage::new(sizes);
    while storage.grow(slotwise::cluster::Need::Connection) {}
    while storage.grow(slotwise::cluster::Need::Command) {}
    storage.memory_used()
}

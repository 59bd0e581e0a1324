//! The promises, held against what happened. Each has a number; a check that fails ends the run.

pub mod allocator;
pub mod hang;
pub mod health;
pub mod ledger;
pub mod maps;
mod planted;
mod rates;
pub mod scan;
pub mod storm;
pub mod subscriptions;
mod watched;
pub mod windows;
pub mod witness;

pub use planted::Planted;
pub use watched::Watched;

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::connection::ControlFrame;
use slotwise::pipeline::{Outcome, may_resend};

use super::client::{End, Request};
use super::drive::is_forged;
use super::kinds::Fault;
use super::net::Stage;
use super::servers::ALIEN;
use super::trace::hash_of;
use super::world::{Phase, World};

/// Rounds of a timer that is handled, and due again at the same time.
const ROUNDS: u32 = 30;

/// The place of an end among the counts.
#[must_use]
pub const fn end_number(end: &End) -> usize {
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
    /// Whether this violation is planted in the run.
    #[must_use]
    pub fn planted(&self, planted: Planted) -> bool {
        self.wishes.planted == Some(planted)
    }

    /// I1: the reply is one that a server gave to this request, on the link on which it was written last.
    pub fn check_reply(&mut self, client: usize, link: u32, tag: u64, hash: u64) {
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else {
            return self.violate(1, format!("client {client}: a reply to a command {tag} that nobody submitted"));
        };
        request.answer = Some(hash);
        let placed = request.notes.place.is_some_and(|(last, _)| last == link);
        // Of what an adversary said on its own connection nothing can be told.
        let own = self.links[link as usize].hostile || ledger::gave(&request.served, link, hash);
        self.check(1, placed, || format!("client {client}: command {tag} was answered on link {link}, another one"));
        self.check(1, own, || format!("client {client}: command {tag} was handed a reply that no server gave to it"));
    }

    /// I1 for a reply that was read as tokens.
    pub fn check_text(&mut self, client: usize, link: u32, tag: u64, text: &[u8]) {
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else { return };
        let hash = hash_of(text);
        let given = request.served.iter().find(|served| served.link == link && served.flat == Some(hash));
        let own = self.links[link as usize].hostile || given.is_some();
        request.answer = given.map(|served| served.hash);
        self.check(1, own, || format!("client {client}: command {tag} was streamed a reply that no server gave to it"));
    }

    /// I3: what the caller is told of the execution is true.
    pub fn check_end(&mut self, client: usize, tag: u64, safe: bool) {
        let _ = safe;
        let Some(request) = self.clients[client].requests.get(tag as usize) else { return };
        let fault = ledger::truth(request).err();
        self.check(3, fault.is_none(), || format!("client {client}: command {tag} {}", fault.unwrap_or_default()));
        self.check_prompt(client, tag);
        let request = &self.clients[client].requests[tag as usize];
        let unsent = matches!(request.end, Some((End::Failed(Outcome::NotSent, _), _)));
        if unsent && !request.tainted {
            // Not a byte of it: a server that never got the rest may still be told of the beginning.
            let left = request.notes.left || request.notes.place.is_some_and(|place| self.has_left(place));
            let asked = request.served.iter().any(|served| !ledger::is_lying(request) || served.ran);
            self.check(3, !left, || format!("client {client}: command {tag} was written, and is told as not sent"));
            self.check(3, !asked, || format!("client {client}: command {tag} was answered, and is told as not sent"));
        }
    }

    /// Whether a transport took bytes of what begins there.
    fn has_left(&self, (link, start): (u32, u64)) -> bool {
        self.links[link as usize].notes.taken > start
    }

    /// I3: a command that may have run is sent again only if its caller allowed that. I13: no password is in it.
    pub fn check_again(&mut self, client: usize, tag: u64, before: Option<(u32, u64)>) {
        let request = &self.clients[client].requests[tag as usize];
        if self.options.password {
            let telling = watched::holds_canary(&request.wire);
            self.check(13, !telling, || format!("client {client}: a password in command {tag}"));
        }
        let Some(before) = before else { return };
        let request = &self.clients[client].requests[tag as usize];
        let refused = request.served.last().is_some_and(|served| served.link == before.0 && !served.ran);
        let left = !refused && self.has_left(before);
        let fine = !left || may_resend(&request.spec) || request.tainted || ledger::is_lying(request);
        self.clients[client].requests[tag as usize].notes.left |= left;
        self.check(3, fine, || format!("client {client}: command {tag} is sent again, and may have run before"));
    }

    /// What callers are told of an outcome, if no lie is planted.
    #[must_use]
    pub fn claimed(&self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::MaybeExecuted if self.planted(Planted::ClaimedUnsent) => Outcome::NotSent,
            outcome => outcome,
        }
    }

    /// I13: a frame of the engine's own holds a password only where that belongs, and only for a node that a topology
    /// reply, or the caller, has named.
    pub fn check_frame(&mut self, link: u32, frame: ControlFrame, start: usize) {
        let at = &mut self.links[link as usize];
        // Every question that the server owes an answer at once shows whether it is there.
        let question = matches!(
            frame,
            ControlFrame::Ping { .. }
                | ControlFrame::ClusterSlots
                | ControlFrame::ClusterNodes
                | ControlFrame::ClusterMyId
        );
        if question && self.wishes.planted != Some(Planted::NoProbe) {
            at.notes.probed = Some(self.now);
        }
        if !self.options.password {
            return;
        }
        let at = &self.links[link as usize];
        let telling = watched::holds_canary(&at.tx[start..]);
        let asked = matches!(frame, ControlFrame::Hello { auth: true, .. } | ControlFrame::Auth);
        let fine = !telling || (asked && self.is_confirmed(at.client, &at.addr));
        self.check(13, fine, || format!("link {link}: a password in {frame:?}"));
    }

    /// I14: a connection is given up for its silence only after a probe, and after as much silence as is to be borne.
    pub fn check_close(&mut self, link: u32, reason: CloseReason) {
        if reason == CloseReason::Retired {
            self.check_kept(link);
        }
        let at = &self.links[link as usize];
        if reason != CloseReason::Silent || at.stage != Stage::Open {
            return;
        }
        let client = &self.clients[at.client];
        let limits = client.config.timeouts;
        let quiet = client.at(self.now).since(at.notes.heard).as_micros();
        let least = limits.response.as_micros() + limits.probe.as_micros();
        // Clocks tick, and the engine's stamps do.
        let slack = 2 * client.tick + 5_000;
        // A probe that finds no room in front of it is not written, nor one for which the table has no entry.
        let full = client.notes.full + limits.probe.as_micros() + 2 * client.tick >= self.now;
        let probed = at.notes.probed.is_some() || at.tx.len() > 16_384 || full;
        self.check(14, probed, || format!("link {link}: closed for its silence without a probe"));
        self.check(14, quiet + slack >= least, || format!("link {link}: closed after {quiet} us of silence"));
    }

    /// I11: the engine came to rest without being asked in vain. I13: nothing it said has a password in it.
    pub fn check_rest(&mut self, client: usize) {
        if self.planted(Planted::IdleCalls) && self.clients[client].requests.len() > 20 {
            for _ in 0..1_000 {
                let _ = self.clients[client].engine.poll_event();
            }
        }
        let at = &mut self.clients[client];
        let (idle, told) = (at.engine.idle_calls() as usize, at.engine.told());
        let most = 16 + 4 * at.links.len();
        self.check(11, idle <= most, || format!("client {client}: {idle} calls in a row brought nothing"));
        if self.options.password {
            self.check(13, told.is_none(), || format!("client {client}: a password in {:?}", told.unwrap_or_default()));
        }
    }

    /// I11: a timer that was handled is not due again, but for what became due by handling it. Says whether to go on.
    pub fn check_timer(&mut self, client: usize, round: u32) -> bool {
        let now = self.now;
        let at = &mut self.clients[client];
        let (last, times) = at.notes.rang;
        let times = if last == now { times + 1 } else { 1 };
        at.notes.rang = (now, times);
        let due = at.engine.poll_timeout();
        let fine = round < ROUNDS && times < 4 * ROUNDS;
        self.check(11, fine, || format!("client {client}: the timer spins: round {round}, {times} times, due {due:?}"));
        fine
    }

    /// I8: a good command is refused only where there is no room for it.
    pub fn check_refused(&mut self, client: usize, error: SubmitError) {
        let full = match error {
            SubmitError::Full => {
                // Two entries are kept for the engine's own questions.
                self.clients[client].engine.commands_live() + 2 >= usize::from(self.options.sizes.commands.1)
            }
            // With the bytes, below.
            SubmitError::FullBytes => true,
            _ => self.phase == Phase::Shutdown,
        };
        self.check(8, full, || format!("client {client}: a good command was refused: {error}"));
    }

    /// Whether a small command keeps within the bound of bytes.
    #[must_use]
    pub fn has_room(&self, client: usize) -> bool {
        let requests = self.clients[client].requests.iter();
        let bytes = || requests.filter(|r| r.end.is_none()).map(|r| u64::from(r.spec.len)).sum::<u64>();
        self.options.max_bytes == u32::MAX || bytes() + 60 <= u64::from(self.options.max_bytes)
    }

    /// I8: the commands under way have no more bytes than they may, and one is refused only if they would have more.
    pub fn check_bytes(&mut self, client: usize, len: u32, error: Option<&SubmitError>) {
        let most = u64::from(self.options.max_bytes);
        if self.options.max_bytes == u32::MAX {
            return;
        }
        let at = &self.clients[client];
        let sum = |counts: &dyn Fn(&Request) -> bool| {
            at.requests.iter().filter(|request| counts(request)).map(|request| u64::from(request.spec.len)).sum::<u64>()
        };
        if error.is_none() {
            let open = sum(&|request| request.end.is_none());
            let fits = open == 0 || open + u64::from(len) <= most;
            return self.check(8, fits, || format!("client {client}: {len} bytes beside {open} were taken, of {most}"));
        }
        if error != Some(&SubmitError::FullBytes) {
            return;
        }
        self.strikes(Fault::BytesBound, client as u64);
        // Those whose answers are still to be eaten count as well.
        let at = &self.clients[client];
        let owed = |request: &Request| {
            let on = request.notes.place.is_some_and(|(link, _)| self.links[link as usize].stage == Stage::Open);
            request.end.is_none() || (on && matches!(request.end, Some((End::Failed(..), _))))
        };
        let open = at.requests.iter().filter(|r| owed(r)).map(|r| u64::from(r.spec.len)).sum::<u64>();
        // The bound is kept to one part in a thousand.
        let right = open > 0 && open + u64::from(len) > most - most / 1_000 - 1;
        self.check(8, right, || format!("client {client}: {len} bytes beside {open} were refused, of {most}"));
    }

    /// Whether an address is one of a seed, or of a node that a topology reply has named.
    pub(super) fn is_confirmed(&self, client: usize, addr: &(String, u16)) -> bool {
        // A name that leads elsewhere was named all the same.
        let strayed = self.servers.strayed.get(addr).copied();
        let node = strayed.or_else(|| self.servers.find(addr)).or_else(|| self.servers.ever.get(addr).copied());
        let node = if addr.0 == ALIEN { Some(usize::MAX) } else { node };
        !is_forged(addr) && node.is_some_and(|node| self.clients[client].confirmed.contains(&node))
    }

    /// I13: a password stands only where it belongs.
    pub fn check_secrets(&mut self, link: u32, words: &[Vec<u8>]) {
        if !self.options.password {
            return;
        }
        let telling = words.iter().any(|word| watched::holds_canary(word));
        let asked = words.first().is_some_and(|name| name == b"AUTH" || name == b"HELLO");
        let at = &self.links[link as usize];
        let trusted = self.is_confirmed(at.client, &at.addr);
        self.check(13, !telling || (asked && trusted), || {
            format!("link {link}: a password in {:?}", words.first().map(|word| word.escape_ascii().to_string()))
        });
    }

    /// What is looked at after every turn of a client: I8 and I14.
    pub fn look_at(&mut self, client: usize) {
        let at = &self.clients[client];
        let (used, allocated, most) = at.engine.memory();
        let full = at.engine.commands_live() >= usize::from(self.options.sizes.commands.1);
        let fits = used <= most && allocated <= most as i64;
        self.check(8, fits, || {
            format!("client {client}: {used} bytes are used, {allocated} allocated, {most} are allowed")
        });
        if full {
            self.clients[client].notes.full = self.now;
        }
        let at = &self.clients[client];
        if at.frozen > self.now {
            return;
        }
        let limits = at.config.timeouts;
        // The silence until the probe, the answer to it, a clock that ticks slowly, and the second for which replies may
        // wait unread behind a redirect that a script may have made; the engine's own times are rounded up.
        let most = limits.response.as_micros() + limits.probe.as_micros() + at.tick * 4 + 1_010_000;
        let late = at.links.iter().copied().find(|link| {
            let link = &self.links[*link as usize];
            let since = link.silent_since.map(|since| since.max(at.frozen));
            // An adversary that says too much seems to owe nothing.
            let judged = link.stage == Stage::Open && !link.leased && !link.hostile;
            judged && since.is_some_and(|since| self.now - since > most)
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
            {
                let reads = self.options.reads != 0;
                let strict = self.options.has(Fault::StrictOrder);
                let fault = ledger::order(&self.clients[client].requests, reads, strict);
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

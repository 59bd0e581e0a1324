//! I4 and I7: how often, and how soon, commands are sent again, nodes are dialled, the topology is asked for.

use slotwise::connection::BackoffPolicy;
use slotwise::ids::NodeId;

use super::health::Touched;
use super::windows::{note_delay, recent};
use crate::sim::client::Served;
use crate::sim::net::Stage;
use crate::sim::world::World;

/// Dials of one node within a second and within ten, of each kind of connection. Delays are drawn from below, so these are
/// bounds that chance does not reach: ten dials within a second after a failure happen once in a million times, and a
/// connection must live for a second to begin anew.
const DIALS: [(u64, usize); 2] = [(1_000_000, 12), (10_000_000, 30)];
/// Answers within this time are followed at once: no delay lies between.
const AT_ONCE: u64 = 8_000;

impl World {
    /// I4: a command is sent again so often and no more, only where a redirect of its own slot leads, and after a refusal
    /// that is none not before its delay.
    pub fn check_hops(&mut self, client: usize, tag: u64) {
        let at = &self.clients[client];
        let (now, tick) = (self.now, at.tick);
        let (hops, attempts) = (u32::from(at.config.max_hops), u32::from(at.config.max_attempts));
        let delay = at.config.retry_delay.as_micros();
        let request = &at.requests[tag as usize];
        // A group has an answer for each of its commands.
        let answers = if request.spec.replies > 1 { request.sends - 1 } else { request.served.len() as u32 };
        // A refusal that was lost with its connection is none.
        let came = |last: &Served| self.links[last.link as usize].stage == Stage::Open;
        let last = request.served.last().copied().filter(|last| !last.ran && !request.tainted && came(last));
        let gap = last.map_or(u64::MAX, |last| now - last.at);
        let strange = last.is_some_and(|last| last.strange);
        let redirect = last.is_some_and(|last| last.redirect);
        // A clock that jumps makes everything due. Whether an error of a group is the one that it goes on after is not known.
        let early = last.is_some_and(|last| !self.health.shows(Touched::Client(client), last.at))
            && !redirect
            && request.spec.replies == 1
            && gap + 2 * tick + 2_100 < delay;
        let request = &mut self.clients[client].requests[tag as usize];
        request.notes.hasty += u32::from(redirect && gap < AT_ONCE);
        let hasty = request.notes.hasty;
        self.check(4, answers <= hops + attempts, || {
            format!("client {client}: command {tag} is sent after {answers} answers")
        });
        self.check(4, hasty <= hops, || format!("client {client}: command {tag} follows {hasty} redirects at once"));
        self.check(4, !strange, || format!("client {client}: command {tag} follows a redirect of another slot"));
        self.check(4, !early, || format!("client {client}: command {tag} comes back {gap} us after its refusal"));
    }

    /// I4 and I7: where is dialled, and how often.
    pub fn check_dial(&mut self, client: usize, addr: &(String, u16), node: Option<NodeId>) {
        let at = &self.clients[client];
        let known = self.is_confirmed(client, addr);
        let open = at.links.iter().filter(|link| {
            let link = &self.links[**link as usize];
            link.stage == Stage::Dialling && link.notes.node == node
        });
        let pending = open.count();
        // One for everybody, one for subscriptions, and those for blocking commands; a seed is for the topology alone.
        let leases = if self.options.mix.blocking > 0 || self.stage.is_some() { at.config.max_leases } else { 0 };
        let kinds = if node.is_some() { 1 + usize::from(at.subs.is_some()) + usize::from(leases) } else { 1 };
        let clock = at.at(self.now).as_micros();
        self.check(4, known, || format!("client {client}: {addr:?} is dialled, and no topology reply has named it"));
        self.check(7, pending < kinds, || format!("client {client}: {} dials of {addr:?} at a time", pending + 1));
        self.clients[client].notes.dials.push((clock, node));
        for (window, most) in DIALS {
            let dials = recent(&self.clients[client].notes.dials, clock.saturating_sub(window), &node);
            self.check(7, dials <= most * kinds, || {
                format!("client {client}: {dials} dials of {addr:?} within {window} us")
            });
        }
        if kinds == 1
            && let Some((failures, since)) = self.clients[client].notes.failed.get(&node).copied()
        {
            let ceiling = BackoffPolicy::DEFAULT.ceiling(failures.saturating_sub(1).min(200) as u8).as_micros();
            note_delay(&mut self.stats.delays, failures, clock.saturating_sub(since), ceiling);
        }
    }

    /// A connection has failed, or was lost.
    pub fn note_failed(&mut self, link: u32) {
        let at = &self.links[link as usize];
        let (client, node, ready) = (at.client, at.notes.node, at.notes.ready);
        let clock = self.clients[client].at(self.now).as_micros();
        let healthy = ready.is_some_and(|ready| self.now - ready >= 1_000_000);
        let failed = self.clients[client].notes.failed.entry(node).or_default();
        *failed = (if healthy { 1 } else { failed.0 + 1 }, clock);
    }

    /// I7: topology questions keep to the token bucket, and one is asked at a time: another one only when a node has taken
    /// too long to answer.
    pub fn check_question(&mut self, link: u32) {
        let client = self.links[link as usize].client;
        let at = &mut self.clients[client];
        let clock = at.at(self.now).as_micros();
        let policy = at.config.refresh;
        let (nodes, burst) = (u64::from(policy.nodes), u64::from(policy.burst));
        // Of a round that began before, the last questions may fall among the first of the next.
        let fits = at.notes.bucket.take(clock, nodes * (burst + 1), policy.interval.as_micros() / nodes);
        let links = &self.links;
        at.notes.questions.retain(|(link, since)| {
            let open = links[*link as usize].stage == Stage::Open;
            open && clock.saturating_sub(*since) < policy.timeout.as_micros()
        });
        at.notes.questions.push((link, clock));
        let open = at.notes.questions.len();
        self.check(7, fits, || format!("client {client}: more topology questions than the bucket has"));
        self.check(7, open <= QUESTIONS, || format!("client {client}: {open} topology questions at a time"));
    }
}

/// Topology questions within the time that one may take to be answered. A question that waits for its connection is put
/// later than the time begins that it may take: the next one may follow sooner.
const QUESTIONS: usize = 2;

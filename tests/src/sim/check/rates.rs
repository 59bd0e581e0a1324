//! I4 and I7: how often, and how soon, commands are sent again, nodes are dialled, the topology is asked for.

use slotwise::cluster::CloseReason;
use slotwise::connection::BackoffPolicy;
use slotwise::ids::{ConnId, NodeId};

use super::health::Touched;
use super::windows::{densest, note_delay, recent};
use crate::sim::client::Served;
use crate::sim::kinds::Fault;
use crate::sim::net::{Link, Stage};
use crate::sim::servers::Sent;
use crate::sim::world::World;

/// Dials of one node within a second and within ten, of each kind of connection. Delays are drawn from below, so these are
/// bounds that chance does not reach: ten dials within a second after a failure happen once in a million times, and a
/// connection must live for a second to begin anew.
const DIALS: [(u64, usize); 2] = [(1_000_000, 12), (10_000_000, 30)];
/// Dials more for each time that its map has given a node another place.
const MOVED: usize = 5;
/// Answers within this time, by a clock that is finer, are followed at once: no delay lies between.
const AT_ONCE: u64 = 8_000;

/// Parts of a thousand within which delays are alike, and how many of them may be.
const BAND: u64 = 60;
const ALIKE: usize = 12;
/// Dials without a target in a row: the map may change between the wish for one and its target.
const UNTARGETED: u32 = 3;

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
        // One whose target had to be asked for comes back as soon as a map has come.
        let told = last.is_some_and(|last| at.notes.map.heard_since(at.at(last.at).as_micros()));
        let request = &mut self.clients[client].requests[tag as usize];
        let follows = !told && request.notes.place.map(|(link, _)| link) != last.map(|last| last.link);
        // What is lost on its way to where a redirect led is sent again, and follows nothing.
        let anew = std::mem::replace(&mut request.notes.answered, request.served.len()) < request.served.len();
        request.notes.hasty += u32::from(redirect && follows && anew && gap + tick < AT_ONCE);
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
        let links = || at.links.iter().map(|link| &self.links[*link as usize]);
        let pending = links().filter(|link| link.stage == Stage::Dialling && link.notes.node == node).count();
        // A seed's node is known later, and a connection can be ready and break with the same bytes.
        // Of several that end at one moment, each may have been there still when a dial was decided on.
        let broke = |link: &Link| {
            // Whose a seed is was among what it said last.
            let of_it = link.notes.node == node || link.notes.node.is_none() && link.notes.ready.is_some();
            let breaks = of_it && link.notes.heard == at.at(self.now);
            breaks || link.notes.ended == Some((self.now, node))
        };
        let open = links().any(|link| match link.stage {
            Stage::Open => {
                let known = at.engine.node(link.conn);
                known == node || known.is_none() && link.notes.node == node
            }
            Stage::Dialling => false,
            Stage::Gone => broke(link),
        });
        // One for everybody, one for subscriptions, and those for blocking commands; a seed is for the topology alone.
        let leases = if self.options.mix.blocking > 0 || self.stage.is_some() { at.config.max_leases } else { 0 };
        let kinds = if node.is_some() { 1 + usize::from(at.subs.is_some()) + usize::from(leases) } else { 1 };
        let clock = at.at(self.now).as_micros();
        self.check(4, known, || format!("client {client}: {addr:?} is dialled, and no topology reply has named it"));
        // Where no connection stands, one alone finds out whether the node is there.
        let most = if open { kinds } else { 1 };
        self.check(7, pending < most, || format!("client {client}: {} dials of {addr:?} at a time", pending + 1));
        let notes = &mut self.clients[client].notes;
        notes.dials.push((clock, node));
        if let Some(id) = node
            && notes.places.insert(id, addr.clone()).is_some_and(|before| before != *addr)
        {
            notes.moves.push((clock, node));
        }
        for (window, most) in DIALS {
            let from = clock.saturating_sub(window);
            let notes = &self.clients[client].notes;
            let dials = recent(&notes.dials, from, &node);
            // What failed at one place says nothing of another.
            let most = most + MOVED * recent(&notes.moves, from, &node);
            self.check(7, dials <= most * kinds, || {
                format!("client {client}: {dials} dials of {addr:?} within {window} us")
            });
        }
        if kinds == 1
            && let Some((failures, since)) = self.clients[client].notes.failed.get(&node).copied()
        {
            let ceiling = BackoffPolicy::DEFAULT.ceiling(failures.saturating_sub(1).min(200) as u8).as_micros();
            let delay = clock.saturating_sub(since);
            note_delay(&mut self.stats.delays, failures, delay, ceiling);
            self.check_spread(client, delay, ceiling);
        }
    }

    /// I7: delays are drawn from all there may be: not the same part of the longest one each time.
    fn check_spread(&mut self, client: usize, delay: u64, ceiling: u64) {
        let at = &mut self.clients[client];
        // Clocks tick, and commands come later than a delay is over.
        if at.tick > 1_000 || ceiling < 100_000 || delay > ceiling + 5_000 {
            return;
        }
        at.notes.spread.push(delay * 1_000 / ceiling);
        let mut parts: Vec<u64> = at.notes.spread.iter().copied().filter(|part| *part > BAND).collect();
        parts.sort_unstable();
        let alike = densest(&parts, BAND);
        let spread = alike < ALIKE || alike * 10 < at.notes.spread.len() * 6;
        self.check(7, spread, || {
            format!("client {client}: {alike} of these delays before dials, in thousandths of the longest, are alike: {parts:?}")
        });
    }

    /// I7: a connection to a node of the map is not given up for what it said of others. Asked where redirects name no hosts,
    /// and addresses lead where they always did.
    pub fn check_kept(&mut self, link: u32) {
        const MISLEADING: [Fault; 7] = [
            Fault::NameMoved,
            Fault::ConnectWrong,
            Fault::NameChange,
            Fault::Nat,
            Fault::TlsPorts,
            Fault::Mapped,
            Fault::Endpoints,
        ];
        let options = &self.options;
        let asked = options.has(Fault::Nameless) && options.hostile.is_none() && self.stage.is_none();
        let led = MISLEADING.iter().all(|fault| !options.has(*fault));
        if !asked || !led || options.mix.blocking > 0 || options.channels > 0 {
            return;
        }
        let at = &self.links[link as usize];
        let map = self.clients[at.client].engine.map();
        let known = !at.notes.dismissed && at.notes.node.is_some_and(|node| map.find(&node).is_some());
        let since = |at: Option<u64>| at.map_or(u64::MAX, |at| self.now - at);
        let told = since(at.notes.redirected) < 1_000_000 && since(at.notes.ready) < u64::MAX;
        self.check(7, !known || !told, || format!("link {link}: the connection to a node of the map is given up"));
    }

    /// I7: what is no node of the map any more is not dialled again and again.
    pub fn check_targeted(&mut self, client: usize, conn: ConnId) {
        let times = self.clients[client].notes.untargeted.entry(conn.index()).or_default();
        *times += 1;
        let times = *times;
        self.check(7, times <= UNTARGETED, || format!("client {client}: {times} dials in a row lead nowhere"));
    }

    /// I4: a redirect of its own slot is followed for as long as there is budget, and not handed out; what is refused for a
    /// while is sent again.
    pub fn check_followed(&mut self, client: usize, tag: u64) {
        let at = &self.clients[client];
        let request = &at.requests[tag as usize];
        let spec = &request.spec;
        let plain = spec.replies == 1 && !spec.script_like && !spec.subscribe && spec.target.slot().is_some();
        let goes_on = |last: &&Served| (last.redirect && !last.strange) || request.notes.passing;
        let Some(last) = request.served.last().filter(goes_on) else { return };
        let own = plain && !request.tainted && self.stage.is_none() && request.answer == Some(last.hash);
        let redirects = request.served.iter().filter(|served| served.redirect).count();
        let spent = redirects > usize::from(at.config.max_hops) || request.sends >= u32::from(at.config.max_attempts);
        self.check(4, !own || spent, || {
            format!("client {client}: command {tag} was handed a refusal with budget left, after {redirects} redirects")
        });
    }

    /// I4: what follows an ASK at once says ASKING. Once: where that is lost on its way, the command begins anew.
    pub fn check_asking(&mut self, client: usize, tag: u64, link: u32, asking: bool) {
        let at = &self.clients[client];
        let request = &at.requests[tag as usize];
        let Some(last) = request.served.last().filter(|_| request.notes.asked && !request.tainted) else { return };
        let from = &self.links[last.link as usize];
        let elsewhere = self.links[link as usize].notes.node != from.notes.node && from.stage == Stage::Open;
        let plain = request.spec.replies == 1 && !request.spec.script_like && self.stage.is_none();
        // One whose target had to be asked for goes anywhere as soon as a map has come.
        let told = at.notes.map.changed >= last.at || at.notes.map.heard_since(at.at(last.at).as_micros());
        let at_once = self.now - last.at + at.tick < AT_ONCE && !told;
        let fine = asking || !(elsewhere && plain && at_once);
        self.check(4, fine, || format!("client {client}: command {tag} follows an ASK without ASKING"));
        if asking {
            self.clients[client].requests[tag as usize].notes.asked = false;
        }
    }

    /// I8: no more commands are in flight than the window holds.
    pub fn check_window(&mut self, link: u32) {
        let at = &mut self.links[link as usize];
        at.notes.commands.0 += 1;
        let (written, answered) = at.notes.commands;
        if at.hostile || at.doubled || self.stage.is_some() {
            // What is said too often answers more than it was asked.
            return;
        }
        let window = self.clients[at.client].config.window;
        let open = written.saturating_sub(answered);
        self.check(8, open <= window, || format!("link {link}: {open} commands are in flight, of {window}"));
    }

    /// I4: a command does not go back at once to the node that sent it elsewhere, unless the map changed between.
    pub fn check_elsewhere(&mut self, client: usize, tag: u64, link: u32, before: Option<(u32, u64)>) {
        let at = &self.clients[client];
        let request = &at.requests[tag as usize];
        let Some(last) = request.served.last().filter(|last| last.redirect && !last.strange && !request.tainted) else {
            return;
        };
        // A clock that jumps makes it look later.
        let jumped = self.health.shows(Touched::Client(client), last.at);
        let told = jumped || at.notes.map.changed >= last.at || at.notes.map.heard_since(at.at(last.at).as_micros());
        let back = self.links[link as usize].notes.node.is_some()
            && self.links[link as usize].notes.node == self.links[last.link as usize].notes.node;
        // What was lost elsewhere since begins anew.
        let there =
            before.is_some_and(|(link, _)| link == last.link) && self.links[last.link as usize].stage == Stage::Open;
        let hasty = there && self.now - last.at < AT_ONCE && request.spec.replies == 1;
        self.check(4, !back || told || !hasty, || {
            format!("client {client}: command {tag} goes back to the node that sent it elsewhere")
        });
    }

    /// A connection is closed by its client. If that had leased it for a command that was given up since then, the next
    /// one is no attempt to reach the node, but as many as such commands: it takes this one's place.
    pub fn note_given_up(&mut self, link: u32, reason: CloseReason) {
        let at = &self.links[link as usize];
        let (client, node) = (at.client, at.notes.node);
        let blocked = at.session.as_ref().and_then(|session| session.blocked);
        let over = |sent: &Sent| match sent {
            Sent::One(tag) => self.clients[client].requests.get(*tag as usize).is_some_and(|one| one.end.is_some()),
            _ => false,
        };
        let given_up = blocked.iter().map(|(sent, _)| sent).chain(&at.frames).any(over);
        if !(at.leased && given_up && reason == CloseReason::Retired) {
            return;
        }
        let dials = &mut self.clients[client].notes.dials;
        if let Some(last) = dials.iter().rposition(|(_, dialled)| *dialled == node) {
            dials.remove(last);
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
        // An adversary answers twice, and what it says first ends the question.
        let few = open <= QUESTIONS || self.options.hostile.is_some();
        self.check(7, few, || format!("client {client}: {open} topology questions at a time"));
    }
}

/// Topology questions within the time that one may take to be answered. A question that waits for its connection is put
/// later than the time begins that it may take: the next one may follow sooner.
const QUESTIONS: usize = 2;

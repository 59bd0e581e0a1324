//! The servers: the cluster model, and what happens to the processes around it.

use std::collections::{BTreeMap, BTreeSet};

use slotwise::connection::ControlFrame;
use slotwise::slot::Slot;
use slotwise_std::mini::model::{ClientId, Event, Inside, Model, ModelOptions};

use super::bytes::Bytes;
use super::check::Planted;
use super::check::health::Touched;
use super::client::{Owner, Served};
use super::kinds::Fault;
use super::net::{Stage, Way};
use super::options::Options;
use super::trace::{What, hash_of};
use super::wire::{self, Request};
use super::world::{Ev, World};

/// The port of the first node; the others follow.
pub const PORT: u16 = 7000;
/// Addresses that begin so belong to nobody: only an adversary or a script names them.
pub const FORGED: &str = "10.66.";
/// Where the other cluster says it can be reached.
pub const ALIEN: &str = "10.77.0.1";
/// The passwords, in the order in which they are used. Nothing else contains their beginning.
pub const PASSWORDS: [&str; 3] = ["canary-pw-one", "canary-pw-two", "canary-pw-three"];
/// What shows a password.
pub const CANARY: &[u8] = b"canary-pw-";

/// The name of a node in the name service, which clients know from the beginning.
#[must_use]
pub fn seed_name(node: usize) -> String {
    format!("seed-{}.test", node + 1)
}

/// The host name that a node announces where it announces one.
#[must_use]
pub fn node_name(node: usize) -> String {
    format!("node-{}.test", node + 1)
}

/// A node's port.
#[must_use]
pub const fn port_of(node: usize) -> u16 {
    PORT + node as u16
}

/// A command as the client's side wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A frame of the engine's own.
    Own(ControlFrame),
    /// A request.
    One(u64),
    /// A command of a MULTI ... EXEC group, and whether it is EXEC.
    Member(u64, bool),
}

/// The server's side of a connection.
#[derive(Debug)]
pub struct Session {
    /// The model's name for it.
    pub client: ClientId,
    /// Whether it is a node of another cluster.
    pub alien: bool,
    /// Bytes that are no whole command yet, or wait because the process stands still.
    pub input: Bytes,
    /// The request that blocks it, and its number.
    pub blocked: Option<(Sent, u64)>,
    /// Commands it was given.
    pub number: u64,
    /// The server ends it behind so many replies.
    pub ends_after: Option<u32>,
    /// Cursors of scans that it was given.
    pub cursors: BTreeSet<u64>,
}

/// A server process.
#[derive(Clone, Debug, Default)]
pub struct SimNode {
    /// Where it listens.
    pub addr: (String, u16),
    /// Whether the process runs.
    pub up: bool,
    /// It stands still until then.
    pub paused: u64,
    /// Nothing gets to it before.
    pub deaf: u64,
    /// Nothing comes from it before.
    pub mute: u64,
    /// Dials are refused until then.
    pub refuses: u64,
    /// Dials are not answered until then.
    pub ignores: u64,
    /// Further fates of dials until then: closed at once, too late, another cluster.
    pub closes: u64,
    /// Dials are answered when the client has given up, until then.
    pub late: u64,
    /// Its address belongs to another cluster until then.
    pub stolen: u64,
    /// New connections end behind so many replies.
    pub hangs_up: Option<u32>,
    /// Every reply takes so much longer.
    pub slow: u64,
    /// Every byte of a reply comes so much behind the one before it.
    pub drip: u64,
    /// The nodes do not hear it until then.
    pub off_bus: u64,
}

/// The bus between the nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bus {
    /// Somebody has news.
    talking: bool,
    /// The pair that talks next.
    turn: usize,
    /// Pairs that had nothing new to say, in a row.
    quiet: usize,
}

/// Everything on the other side.
#[derive(Debug)]
pub struct Servers {
    /// The cluster.
    pub model: Model,
    /// Another cluster, which has got addresses of this one.
    pub alien: Model,
    /// The processes.
    pub nodes: Vec<SimNode>,
    /// Who listens where.
    pub by_addr: BTreeMap<(String, u16), usize>,
    /// Who ever listened where.
    pub ever: BTreeMap<(String, u16), usize>,
    /// Connections by the model's names.
    pub sessions: BTreeMap<(bool, ClientId), u32>,
    /// Executions and refusals so far.
    pub order: u64,
    /// The network is slow until then.
    pub slow_network: u64,
    /// How far the news have spread.
    pub bus: Bus,
    /// Slots that changed their owner in this run, or may have.
    pub moved: Vec<u16>,
    /// An operator's connections, one to each node.
    pub operators: Vec<ClientId>,
    /// The password that is asked for.
    pub password: usize,
    /// Names of addresses used so far.
    pub renames: u32,
    /// Slots that move key by key now, and where to.
    pub moving: BTreeMap<u16, usize>,
    /// Commands that ran and whose replies have not been written down yet: cluster, connection, number.
    executed: BTreeSet<(bool, ClientId, u64)>,
    /// Slots without an owner now, and whose they were.
    pub orphans: BTreeMap<u16, usize>,
    /// Nodes that left the cluster for good.
    pub retired: BTreeSet<usize>,
    /// Nodes are found by their ports, whatever host is dialled.
    pub by_port: bool,
    /// When keys were lost last, and all keys of a node.
    lost: BTreeMap<Vec<u8>, u64>,
    /// When the other cluster was asked last.
    pub alien_at: u64,
    all_lost: u64,
    /// Keys that were written at any time, and when last.
    names: BTreeMap<Vec<u8>, u64>,
    /// The first topology reply, for a planted violation.
    pub first_news: Option<Vec<u8>>,
    /// When the model wants to be told the time.
    alarm: Option<u64>,
    /// Messages published on each channel.
    pub published: BTreeMap<Vec<u8>, u64>,
}

impl Servers {
    /// The servers of a run.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let (primaries, replicas) = options.shards;
        let model = |seed, primaries: u8, replicas: u8| {
            Model::new(ModelOptions {
                profile: options.server,
                primaries: usize::from(primaries),
                replicas: usize::from(replicas),
                password: options.password.then(|| PASSWORDS[0].as_bytes().to_vec()),
                full_coverage: false,
                seed,
            })
        };
        let mut servers = Self {
            model: model(1, primaries, replicas),
            alien: model(77, 1, 0),
            nodes: Vec::new(),
            by_addr: BTreeMap::new(),
            ever: BTreeMap::new(),
            sessions: BTreeMap::new(),
            order: 0,
            slow_network: 0,
            bus: Bus::default(),
            moved: Vec::new(),
            operators: Vec::new(),
            password: 0,
            renames: 0,
            moving: BTreeMap::new(),
            executed: BTreeSet::new(),
            orphans: BTreeMap::new(),
            retired: BTreeSet::new(),
            by_port: false,
            lost: BTreeMap::new(),
            alien_at: 0,
            all_lost: 0,
            names: BTreeMap::new(),
            first_news: None,
            alarm: None,
            published: BTreeMap::new(),
        };
        servers.alien.set_address(0, ALIEN, PORT);
        servers.model.record(true);
        servers.alien.record(true);
        servers.model.record_words(false);
        servers.alien.record_words(false);
        for node in 0..servers.model.node_count() {
            servers.introduce(node, options.password);
            if let Some(mixed) = options.mixed.filter(|_| node % 2 == 1) {
                servers.model.set_profile(node, mixed);
            }
        }
        servers
    }

    /// A node gets an address and an operator.
    pub fn introduce(&mut self, node: usize, password: bool) {
        self.nodes.push(SimNode { up: true, ..SimNode::default() });
        self.rename(node, format!("10.0.0.{}", node + 1), port_of(node));
        self.by_addr.insert((seed_name(node), port_of(node)), node);
        self.by_addr.insert((node_name(node), port_of(node)), node);
        let operator = self.model.connect(node);
        self.operators.push(operator);
        if password {
            self.model.set_password(Some(node), Some(PASSWORDS[self.password].as_bytes()));
            self.operate(node, &[b"AUTH", PASSWORDS[self.password].as_bytes()]);
        }
    }

    /// Gives a node another host.
    pub fn rename(&mut self, node: usize, host: String, port: u16) {
        self.model.set_address(node, &host, port);
        let old = std::mem::replace(&mut self.nodes[node].addr, (host, port));
        if self.by_addr.get(&old) == Some(&node) {
            self.by_addr.remove(&old);
        }
        self.by_addr.insert(self.nodes[node].addr.clone(), node);
        self.ever.insert(self.nodes[node].addr.clone(), node);
    }

    /// Who listens at an address.
    #[must_use]
    pub fn find(&self, addr: &(String, u16)) -> Option<usize> {
        let exact = self.by_addr.get(addr).copied();
        // A name leads to the node whatever port is announced.
        let named = addr.0.strip_prefix("node-").and_then(|rest| rest.strip_suffix(".test"));
        let named = named.and_then(|number| number.parse::<usize>().ok()).and_then(|number| number.checked_sub(1));
        let port = usize::from(addr.1.wrapping_sub(PORT)) % 100;
        let port = Some(port).filter(|_| self.by_port);
        // One address with many ports leads by the port, a name of its own by the name.
        exact.or(port).or(named).filter(|node| *node < self.nodes.len())
    }

    /// Takes over what the models wrote down.
    pub fn take_events(&mut self, now: u64) {
        for (alien, model) in [(false, &mut self.model), (true, &mut self.alien)] {
            for event in model.take_events() {
                let run = match event {
                    Event::Executed(run) => run,
                    Event::Lost { keys, .. } | Event::Dropped { keys, .. } => {
                        self.all_lost = if keys.is_empty() { now } else { self.all_lost };
                        self.lost.extend(keys.into_iter().map(|key| (key, now)));
                        continue;
                    }
                    _ => continue,
                };
                match run.inside {
                    Inside::Nothing => self.executed.insert((alien, run.client, run.number)),
                    Inside::Transaction(exec) => self.executed.insert((alien, run.client, exec)),
                    _ => false,
                };
            }
        }
    }

    /// A command of an operator at a node; its reply.
    pub fn operate(&mut self, node: usize, words: &[&[u8]]) -> Vec<u8> {
        let operator = self.operators[node];
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.to_vec()).collect();
        self.model.request(operator, &words);
        self.model.take_output(operator)
    }

    /// Whether a client that follows redirects can read the key.
    #[must_use]
    pub fn readable(&self, key: &[u8]) -> bool {
        let slot = Slot::of_key(key).get();
        let target = self.moving.get(&slot).copied();
        self.model.owner(slot).into_iter().chain(target).any(|node| self.model.has_key(node, key))
    }

    /// Whether a key was lost with a server's data since then.
    #[must_use]
    pub fn lost_since(&self, key: &[u8], since: u64) -> bool {
        self.all_lost >= since || self.lost.get(key).is_some_and(|at| *at >= since)
    }

    /// Whether the key was written at that time or later.
    #[must_use]
    pub fn written(&self, key: &[u8], since: u64) -> bool {
        self.names.get(key).is_some_and(|at| *at >= since)
    }

    /// Whether some node has the key.
    #[must_use]
    pub fn exists(&self, key: &[u8]) -> bool {
        (0..self.model.node_count()).any(|node| self.model.has_key(node, key))
    }

    /// The keys that were written at any time, and whether they are there.
    pub fn names(&self) -> impl Iterator<Item = (&Vec<u8>, bool)> {
        self.names.keys().map(|key| (key, self.exists(key)))
    }

    /// Notes which keys a command may write.
    pub fn note_names(&mut self, words: &[Vec<u8>], now: u64) {
        let step = match words[0].as_slice() {
            b"SET" | b"INCR" | b"APPEND" | b"RPUSH" | b"LPUSH" => words.len(),
            b"MSET" => 2,
            b"EVAL" => {
                self.names.extend(words.get(3).cloned().map(|key| (key, now)));
                return;
            }
            _ => return,
        };
        for key in words[1..].iter().step_by(step) {
            match self.names.get_mut(key) {
                Some(at) => *at = now,
                None => drop(self.names.insert(key.clone(), now)),
            }
        }
    }

    /// The model behind a connection.
    pub fn model_of(&mut self, alien: bool) -> &mut Model {
        if alien { &mut self.alien } else { &mut self.model }
    }
}

/// Answers that prove that nothing ran, as servers give them.
const REFUSALS: [&[u8]; 13] = [
    b"-MOVED ",
    b"-ASK ",
    b"-TRYAGAIN ",
    b"-CLUSTERDOWN ",
    b"-LOADING ",
    b"-EXECABORT ",
    b"-NOAUTH ",
    b"-NOPERM ",
    b"-READONLY ",
    b"-BUSY ",
    b"-OOM ",
    b"-CROSSSLOT ",
    b"-MASTERDOWN ",
];

/// Whether a reply says that the command was refused before it ran.
#[must_use]
pub fn is_refusal(reply: &[u8]) -> bool {
    REFUSALS.iter().any(|refusal| reply.starts_with(refusal))
}

impl World {
    /// A dial succeeds: the server has a connection.
    pub fn accept(&mut self, link: u32, node: usize, alien: bool) {
        let client = self.servers.model_of(alien).connect(if alien { 0 } else { node });
        self.servers.sessions.insert((alien, client), link);
        let ends_after = self.servers.nodes[node].hangs_up;
        let session = Session {
            client,
            alien,
            input: Bytes::default(),
            blocked: None,
            number: 0,
            ends_after,
            cursors: BTreeSet::new(),
        };
        self.links[link as usize].session = Some(session);
    }

    /// The server's side ends; it answers nothing any more.
    pub fn end_session(&mut self, link: u32) {
        if let Some(session) = self.links[link as usize].session.take() {
            self.servers.sessions.remove(&(session.alien, session.client));
            self.servers.model_of(session.alien).disconnect(session.client);
            self.flush_all();
        }
    }

    /// The server ends the connection in order: what was answered still arrives.
    pub fn server_closes(&mut self, link: u32) {
        let (client, node) = (self.links[link as usize].client, self.links[link as usize].node);
        self.touch(node.map_or(Touched::Client(client), |node| Touched::Way(client, node)));
        self.end_session(link);
        if self.links[link as usize].stage == Stage::Open {
            self.put(link, Way::Down, None);
        }
    }

    /// A node that stood still goes on.
    pub fn node_goes_on(&mut self, node: usize) {
        let links: Vec<u32> = self.servers.sessions.values().copied().collect();
        for link in links {
            if self.links[link as usize].node == Some(node) {
                self.serve_link(link);
            }
        }
    }

    /// Runs the commands that have come in whole.
    pub fn serve_link(&mut self, link: u32) {
        let at = &self.links[link as usize];
        if let Some(node) = at.node {
            let node = &self.servers.nodes[node];
            if node.paused > self.now {
                return;
            }
        }
        loop {
            let at = &mut self.links[link as usize];
            let Some(session) = &mut at.session else { return };
            if session.blocked.is_some() {
                break;
            }
            match wire::request(&session.input) {
                Request::More => break,
                Request::Command(words, used) => {
                    session.input.skip(used);
                    let sent = at.frames.pop_front();
                    self.serve(link, sent, &words);
                }
                Request::Bad => {
                    let text = String::from_utf8_lossy(&session.input).chars().take(80).collect::<String>();
                    self.violate(1, format!("link {link}: the client wrote what is no command: {text:?}"));
                    return;
                }
            }
            if self.violation.is_some() {
                return;
            }
        }
        self.flush();
    }

    fn serve(&mut self, link: u32, sent: Option<Sent>, words: &[Vec<u8>]) {
        let Some(sent) = sent else {
            return self.violate(1, format!("link {link}: a command that nobody wrote: {:?}", words.first()));
        };
        self.check_secrets(link, words);
        self.check_words(link, words);
        self.servers.note_names(words, self.now);
        self.flush();
        let Some(session) = &mut self.links[link as usize].session else { return };
        session.number += 1;
        let (client, alien, number) = (session.client, session.alien, session.number);
        if alien {
            self.servers.alien_at = self.now;
        }
        let now = std::time::Duration::from_micros(self.now);
        let dead = self.is_dead(link, sent);
        let model = self.servers.model_of(alien);
        model.advance(now);
        let dead = dead.then(|| vec![b"NOSUCHCOMMAND".to_vec()]);
        model.request(client, dead.as_deref().unwrap_or(words));
        let out = model.take_output(client);
        let closing = model.is_closing(client);
        if model.is_unsettled() && !alien {
            self.unsettle();
        }
        if out.is_empty() {
            if let Some(session) = &mut self.links[link as usize].session {
                session.blocked = Some((sent, number));
            }
            self.set_model_alarm();
        } else {
            self.served(link, sent, number, &out);
            let out = self.noisy(link, sent, words, &out).unwrap_or(out);
            let (out, later) = self.prompted(link, words, sent).unwrap_or((out, 0));
            self.keep_cursor(link, words, &out);
            self.later = later;
            self.answer(link, sent, out);
            self.later = 0;
        }
        let at = &mut self.links[link as usize];
        let ended = at.session.as_mut().is_some_and(|session| {
            let left = session.ends_after.map(|left| left.saturating_sub(1));
            session.ends_after = left;
            left == Some(0)
        });
        if closing || ended {
            self.server_closes(link);
        }
    }

    /// A redirect is dialled as soon as it is given, if that is planted.
    fn blind_dial(&mut self, client: usize, reply: &[u8]) {
        if !self.planted(Planted::BlindDial) {
            return;
        }
        let text = String::from_utf8_lossy(reply).into_owned();
        let target = text.trim_end().split(' ').nth(2).and_then(|target| target.rsplit_once(':'));
        if let Some((host, Ok(port))) = target.map(|(host, port)| (host, port.parse()))
            && (text.starts_with("-MOVED ") || text.starts_with("-ASK "))
        {
            self.check_dial(client, &(host.to_owned(), port), None);
        }
    }

    /// The topology as it was at first, if that is planted.
    fn old_news(&mut self, sent: Sent, out: Vec<u8>) -> Vec<u8> {
        let question = matches!(sent, Sent::Own(ControlFrame::ClusterSlots));
        if !question || !self.planted(Planted::OldNews) || out.starts_with(b"-") {
            return out;
        }
        self.servers.first_news.get_or_insert(out).clone()
    }

    /// Whether a slot is not served after the repair, if that is planted.
    fn is_dead(&self, link: u32, sent: Sent) -> bool {
        let Sent::One(tag) = sent else { return false };
        let request = self.clients[self.links[link as usize].client].requests.get(tag as usize);
        let slot = Owner::Probe(Slot::masked(5_000));
        self.planted(Planted::DeadSlot) && request.is_some_and(|request| request.owner == slot)
    }

    /// Sends a reply on its way, as the node sends it.
    pub(super) fn answer(&mut self, link: u32, sent: Sent, out: Vec<u8>) {
        let out = if self.links[link as usize].hostile { self.twist(link, sent, out) } else { out };
        let out = self.old_news(sent, out);
        if !out.is_empty() && self.links[link as usize].stage == Stage::Open {
            self.put(link, Way::Down, Some(out));
        }
        let notes = &mut self.links[link as usize].notes;
        let arrived = notes.sent_down;
        if let Some(news) = notes.news.back_mut().filter(|news| news.at == u64::MAX) {
            news.at = arrived;
        }
    }

    /// Writes down what became of a command.
    pub(super) fn served(&mut self, link: u32, sent: Sent, number: u64, out: &[u8]) {
        self.servers.take_events(self.now);
        let session = self.links[link as usize].session.as_ref().map(|session| (session.alien, session.client, number));
        let executed = session.is_some_and(|session| self.servers.executed.remove(&session));
        let len = wire::value_len(out).unwrap_or(out.len());
        let reply = &out[..len];
        let (tag, ran, counts) = match sent {
            Sent::Own(frame) => return self.served_own(link, frame, out),
            Sent::One(tag) => (tag, executed, true),
            Sent::Member(tag, exec) => {
                (tag, exec && executed && !reply.starts_with(b"-"), exec || reply.starts_with(b"-"))
            }
        };
        if reply.starts_with(b"-MOVED ") || reply.starts_with(b"-ASK ") {
            self.stats.redirects += 1;
        }
        let hash = hash_of(reply);
        self.note(What::Served, [u64::from(link), tag, hash]);
        self.trace.say(|| String::from_utf8_lossy(&reply[..reply.len().min(60)]).trim_end().replace("\r\n", " "));
        if !counts {
            return;
        }
        self.servers.order += 1;
        let order = self.servers.order;
        let at = &self.links[link as usize];
        let (client, node, hostile) = (at.client, at.node.unwrap_or(usize::MAX), at.hostile);
        self.stats.executions += u64::from(ran);
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else { return };
        // What is longer than the receive buffer is read as tokens too.
        let tokens = request.spec.streamed || reply.len() >= self.options.net.receive_buffer as usize;
        let flat = tokens.then(|| hash_of(&wire::flatten(reply)));
        let redirect = reply.starts_with(b"-MOVED ") || reply.starts_with(b"-ASK ");
        let slot = request.spec.target.slot().map(|slot| slot.get().to_string());
        let strange =
            redirect && slot.is_some_and(|slot| reply.split(|byte| *byte == b' ').nth(1) != Some(slot.as_bytes()));
        request.served.push(Served { order, at: self.now, node, link, hash, flat, ran, redirect, strange, hostile });
        if ran && request.owner == Owner::Unlink {
            self.unlink_ran(client, tag, reply);
        }
        self.blind_dial(client, reply);
    }

    fn served_own(&mut self, link: u32, frame: ControlFrame, out: &[u8]) {
        self.note(What::Control, [u64::from(link), out.len() as u64, 1]);
        self.trace.say(|| super::wire::flatten(&out[..out.len().min(4_000)]).escape_ascii().to_string());
        let question =
            matches!(frame, ControlFrame::ClusterSlots | ControlFrame::ClusterNodes | ControlFrame::ClusterShards);
        if !question {
            return;
        }
        let at = &self.links[link as usize];
        if let (Some(stage), Some(node)) = (&mut self.stage, at.node) {
            stage.questions.entry(node).or_default().push(self.now);
        }
        self.note_news(link, out);
    }

    /// Sends what the models have for their clients besides replies.
    pub fn flush(&mut self) {
        let (own, other) = (self.servers.model.take_stirred(), self.servers.alien.take_stirred());
        if own || other {
            self.flush_all();
        }
    }

    fn flush_all(&mut self) {
        let servers = &self.servers;
        let loud = servers.model.loud_clients().map(|client| (false, client));
        let loud = loud.chain(servers.alien.loud_clients().map(|client| (true, client)));
        let waiting: Vec<u32> = loud.filter_map(|session| servers.sessions.get(&session).copied()).collect();
        for link in waiting {
            let Some(session) = &mut self.links[link as usize].session else { continue };
            let (client, alien) = (session.client, session.alien);
            let out = self.servers.model_of(alien).take_output(client);
            let closing = self.servers.model_of(alien).is_closing(client);
            if !out.is_empty() {
                self.flushed(link, out);
            }
            if closing {
                self.server_closes(link);
            }
        }
    }

    fn flushed(&mut self, link: u32, out: Vec<u8>) {
        let Some(session) = &mut self.links[link as usize].session else { return };
        let reply = !out.starts_with(b">");
        match session.blocked.take_if(|_| reply) {
            Some((sent, number)) => {
                self.served(link, sent, number, &out);
                self.answer(link, sent, out);
                self.at(self.now, Ev::Node(self.links[link as usize].node.unwrap_or(0)));
            }
            None => {
                if self.links[link as usize].stage == Stage::Open {
                    self.put(link, Way::Down, Some(out));
                }
            }
        }
    }

    /// Some nodes hear of others: pairs in turn, until a whole round brings nothing new.
    pub fn gossip(&mut self) {
        let count = self.servers.nodes.len();
        let pairs = count * count;
        for _ in 0..count {
            let turn = self.servers.bus.turn;
            self.servers.bus.turn = (turn + 1) % pairs;
            let (from, to) = (turn / count, turn % count);
            let cut = |node: usize| {
                let node = &self.servers.nodes[node];
                node.off_bus > self.now || node.paused > self.now || !node.up
            };
            let news = cut(from) || cut(to) || self.servers.model.gossip(from, to);
            self.servers.bus.quiet = if news { 0 } else { self.servers.bus.quiet + 1 };
        }
        self.flush();
        self.note_truth();
        self.note(What::Gossip, [self.servers.bus.turn as u64, 0, 0]);
        if self.servers.bus.quiet > pairs {
            self.servers.bus.talking = false;
            return;
        }
        let again = 5_000 + self.dice(super::dice::Label::Cluster).exponential(60_000);
        self.after(again, Ev::Gossip);
    }

    /// Says that views differ now.
    pub fn unsettle(&mut self) {
        self.note_truth();
        self.servers.bus.quiet = 0;
        if !self.servers.bus.talking {
            self.servers.bus.talking = true;
            let first = self.dice(super::dice::Label::Cluster).exponential(100_000);
            let nodes = self.servers.nodes.len() as u32;
            self.servers.bus.turn = self.dice(super::dice::Label::Cluster).below(nodes * nodes) as usize;
            self.after(first, Ev::Gossip);
        }
    }

    /// Plans the next thing that the passing of time does in the model.
    fn set_model_alarm(&mut self) {
        if let Some(due) = self.servers.model.next_deadline() {
            let due = due.as_micros() as u64;
            if self.servers.alarm != Some(due) {
                self.servers.alarm = Some(due);
                self.at(due, Ev::Model);
            }
        }
    }

    /// Time passes in the model.
    pub fn model_alarm(&mut self) {
        self.servers.alarm = None;
        self.servers.model.advance(std::time::Duration::from_micros(self.now));
        self.flush();
        self.note_truth();
        self.set_model_alarm();
    }

    /// Counts a strike of a fault.
    pub fn strikes(&mut self, fault: Fault, of: u64) {
        self.stats.fault(fault);
        self.touched_by(fault, of);
        self.note(What::Fault, [fault as u64, of, 0]);
        self.trace.say(|| fault.name().to_owned());
    }
}

//! What servers do with a connection: they take commands out of its stream, run them, and send what comes of it.

use std::collections::BTreeSet;

use slotwise::connection::ControlFrame;
use slotwise::slot::Slot;

use super::bytes::Bytes;
use super::check::Planted;
use super::check::health::Touched;
use super::client::{Owner, Served};
use super::kinds::Fault;
use super::net::{Stage, Way};
use super::servers::{Sent, Session};
use super::trace::{What, hash_of};
use super::wire::{self, Request};
use super::working::steady_key;
use super::world::{Ev, World};

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

/// Whether a reply is a refusal that time heals: the command is sent again.
fn is_passing(reply: &[u8]) -> bool {
    const PASSING: [&[u8]; 5] = [b"-TRYAGAIN ", b"-CLUSTERDOWN ", b"-LOADING ", b"-READONLY ", b"-BUSY "];
    PASSING.iter().any(|refusal| reply.starts_with(refusal))
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
        let inward = self.inward(words);
        let model = self.servers.model_of(alien);
        model.advance(now);
        let dead = dead.then(|| vec![b"NOSUCHCOMMAND".to_vec()]);
        model.request(client, dead.as_deref().or(inward.as_deref()).unwrap_or(words));
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
            let out = self.outward(words, out);
            if words[0] == b"SCAN" {
                let keys = (0..u32::from(self.options.steady)).map(steady_key);
                self.servers.note_disputes(keys, self.now);
            }
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
        let hostile = self.links[link as usize].hostile;
        let honest = out.len();
        let out = if hostile {
            if !matches!(sent, Sent::Own(_)) {
                self.note_named(link, &out);
            }
            self.twist(link, sent, out)
        } else {
            let out = self.annotated(link, sent, out);
            self.attributed(link, out)
        };
        let out = self.old_news(sent, out);
        // What an adversary says behind a whole reply need not have come for that to be read.
        let behind = out.len().saturating_sub(wire::value_len(&out).filter(|len| *len == honest).unwrap_or(out.len()));
        if !out.is_empty() && self.links[link as usize].stage == Stage::Open {
            self.put(link, Way::Down, Some(out));
        }
        let notes = &mut self.links[link as usize].notes;
        let arrived = notes.sent_down;
        if let Some(news) = notes.news.back_mut().filter(|news| news.at == u64::MAX) {
            news.at = arrived.saturating_sub(behind as u64);
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
            let at = &mut self.links[link as usize];
            at.notes.redirected = Some(self.now);
            if reply.starts_with(b"-MOVED ") {
                self.clients[at.client].notes.moved.push(self.now);
            }
        }
        let hash = hash_of(reply);
        self.note(What::Served, [u64::from(link), tag, hash]);
        self.trace.say(|| String::from_utf8_lossy(&reply[..reply.len().min(60)]).trim_end().replace("\r\n", " "));
        if !counts {
            return;
        }
        self.servers.order += 1;
        let order = self.servers.order;
        let passing = is_passing(reply);
        let asked = reply.starts_with(b"-ASK ");
        let at = &mut self.links[link as usize];
        at.notes.commands.1 += u32::from(!matches!(sent, Sent::Member(_, false)));
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
        (request.notes.passing, request.notes.asked) = (passing, asked);
        request.served.push(Served { order, at: self.now, node, link, hash, flat, ran, redirect, strange, hostile });
        if ran && (self.options.scans || self.stage.is_some()) {
            self.servers.note_written(&request.wire, self.now);
        }
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
            let open = self.clients[at.client].links.iter().map(|link| &self.links[*link as usize]);
            let open = open.filter(|link| link.stage == Stage::Open);
            let near: BTreeSet<usize> = open.filter_map(|link| link.node).collect();
            for node in &near {
                *stage.shares.entry(*node).or_default() += 1_000_000 / near.len() as u64;
            }
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
        // Pushes stand in front of what a blocked command is answered.
        let mut front = 0;
        while out[front..].first() == Some(&b'>') {
            front += wire::value_len(&out[front..]).unwrap_or(out.len() - front);
        }
        let mut pushes = out;
        let out = pushes.split_off(front);
        if !pushes.is_empty() && self.links[link as usize].stage == Stage::Open {
            self.put(link, Way::Down, Some(pushes));
        }
        if out.is_empty() {
            return;
        }
        let Some(session) = &mut self.links[link as usize].session else { return };
        match session.blocked.take() {
            Some((sent, number)) => {
                self.served(link, sent, number, &out);
                let out = self.doubled(link, out);
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

    /// Counts a strike of a fault.
    pub fn strikes(&mut self, fault: Fault, of: u64) {
        self.stats.fault(fault);
        self.touched_by(fault, of);
        self.note(What::Fault, [fault as u64, of, 0]);
        self.trace.say(|| fault.name().to_owned());
    }
}

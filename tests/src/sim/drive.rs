//! Driving an engine as an adapter does: events, transmits, input, timers.

use slotwise::cluster::{CloseReason, ConnectionError, Event, Output, Transmit};
use slotwise::connection::ControlFrame;
use slotwise::ids::ConnId;
use slotwise::resp::{Null, Token};

use super::bytes::Bytes;
use super::check::Planted;
use super::check::witness::LinkNotes;
use super::client::End;
use super::dice::Label;
use super::kinds::Fault;
use super::net::{Fate, Link, Pipe, Stage};
use super::servers::{FORGED, Sent};
use super::serving::is_refusal;
use super::trace::{What, hash_of};
use super::world::{Ev, Phase, World};

/// More rounds than this in one call are a spin.
const ROUNDS: usize = 10_000;

impl World {
    /// Acts on everything the engine decided, until it has nothing more to say.
    pub fn drive(&mut self, client: usize) {
        if !self.clients[client].dropped && self.drive_on(client) {
            self.look_at(client);
            self.set_alarm(client);
        }
    }

    /// Until it has nothing more to say; whether it came to rest.
    fn drive_on(&mut self, client: usize) -> bool {
        for round in 0.. {
            if round > ROUNDS {
                self.violate(11, format!("client {client}: the engine never comes to rest"));
                return false;
            }
            let mut any = self.take_events(client);
            any |= self.tend_subs(client);
            any |= self.tend_scan(client);
            any |= self.tend_unlink(client);
            for at in 0..self.clients[client].links.len() {
                let link = self.clients[client].links[at];
                if self.links[link as usize].stage == Stage::Open {
                    any |= self.write(link);
                }
            }
            if !any || self.violation.is_some() {
                break;
            }
        }
        self.check_rest(client);
        let links = std::mem::take(&mut self.clients[client].links);
        let alive = |link: &u32| self.links[*link as usize].stage != Stage::Gone;
        self.clients[client].links = links.into_iter().filter(alive).collect();
        true
    }

    fn set_alarm(&mut self, client: usize) {
        let at = &mut self.clients[client];
        let mut next = at.engine.poll_timeout();
        let subs = at.subs.as_ref().and_then(|subs| subs.wishes.poll_timeout());
        let scan = at.scan.as_ref().and_then(super::scanning::ScanRun::poll_timeout);
        for other in [subs, scan].into_iter().flatten() {
            next = Some(next.map_or(other, |next| next.min(other)));
        }
        let Some(next) = next else { return };
        let when = at.when(next).max(self.now);
        if at.wake_at.is_none_or(|set| set > when || set < self.now) {
            at.wake_at = Some(when);
            self.at(when, Ev::Wake(client));
        }
    }

    /// A client's timer rings.
    pub fn wake(&mut self, client: usize) {
        let at = &mut self.clients[client];
        if at.dropped || at.wake_at != Some(self.now) {
            return;
        }
        if at.frozen > self.now {
            let frozen = at.frozen;
            at.wake_at = Some(frozen);
            return self.at(frozen, Ev::Wake(client));
        }
        at.wake_at = None;
        let mut rested = false;
        for round in 0_u32.. {
            let now = self.clients[client].at(self.now);
            let due = self.clients[client].engine.poll_timeout();
            if due.is_none_or(|due| due > now) && !(self.planted(Planted::Spin) && due.is_some()) {
                break;
            }
            if !self.check_timer(client, round) {
                return;
            }
            self.clients[client].engine.handle_timeout(now);
            if !self.drive_on(client) || self.violation.is_some() {
                return;
            }
            self.look_at(client);
            rested = true;
        }
        if rested {
            return self.set_alarm(client);
        }
        self.drive(client);
    }

    fn take_events(&mut self, client: usize) -> bool {
        for round in 0.. {
            if round > ROUNDS {
                self.violate(11, format!("client {client}: events never end"));
                break;
            }
            let Some(event) = self.clients[client].engine.poll_event() else { return round > 0 };
            match event {
                Event::Dial(conn) => self.dial(client, conn),
                Event::Ready(conn) => {
                    self.note(What::Ready, [client as u64, conn.index() as u64, 0]);
                    if let Some(link) = self.link_of(client, conn) {
                        self.links[link as usize].notes.ready = Some(self.now);
                    }
                }
                Event::Closed { conn, node, reason } => {
                    // Also one that the engine gave up while it read.
                    let ended = self.clients[client].links.iter().rev().copied();
                    if let Some(link) = { ended }.find(|link| self.links[*link as usize].conn == conn) {
                        self.note_ended(link, node);
                    }
                    if let Some(link) = self.link_of(client, conn) {
                        self.client_closes(link, reason);
                    }
                    self.connection_lost(client, conn, node);
                }
                Event::InputReady(conn) => {
                    if let Some(link) = self.link_of(client, conn) {
                        self.present(link);
                    }
                }
                Event::Failed { tag, failure, .. } => {
                    self.note(What::Failed, [client as u64, tag, failure.outcome as u64]);
                    let outcome = self.claimed(failure.outcome);
                    self.trace.say(|| failure.to_string());
                    self.ended(client, tag, End::Failed(outcome, failure.reason));
                }
                Event::Confirmed { tag, conn, .. } => {
                    self.note(What::Confirmed, [client as u64, tag, 0]);
                    self.confirmed(client, tag, conn);
                    self.ended(client, tag, End::Confirmed);
                }
                Event::Alive { conn, asked } => self.subscriber_alive(client, conn, asked),
                Event::MapChanged { version } => {
                    self.note(What::Map, [client as u64, u64::from(version), 0]);
                    self.map_changed(client);
                }
                _ => {}
            }
        }
        true
    }

    /// The link of a live connection.
    #[must_use]
    pub fn link_of(&self, client: usize, conn: ConnId) -> Option<u32> {
        let open = |link: &&u32| {
            let link = &self.links[**link as usize];
            link.conn == conn && link.stage != Stage::Gone
        };
        self.clients[client].links.iter().find(open).copied()
    }

    fn dial(&mut self, client: usize, conn: ConnId) {
        let at = &self.clients[client];
        let target = at.engine.dial_target(conn, &at.profile.env());
        let expected = target.and_then(|target| target.node);
        let Some(addr) = target.map(|target| (target.addr.host().to_owned(), target.addr.port())) else {
            let now = at.at(self.now);
            self.check_targeted(client, conn);
            return self.clients[client].engine.handle_connect_failed(now, conn);
        };
        self.clients[client].notes.untargeted.remove(&conn.index());
        self.stats.dials += 1;
        let link = self.links.len() as u32;
        let node = self.servers.find(&addr);
        self.note(What::Dial, [client as u64, u64::from(link), node.map_or(u64::MAX, |node| node as u64)]);
        self.check_dial(client, &addr, expected);
        let again = self.planted(Planted::TwoDials).then(|| addr.clone());
        let hostile = node.is_some() && node == self.options.hostile.map(usize::from);
        let at = self.clients[client].at(self.now);
        self.links.push(Link {
            client,
            conn,
            addr,
            stage: Stage::Dialling,
            fate: Fate::Refused,
            node,
            session: None,
            frames: std::collections::VecDeque::new(),
            up: Pipe::default(),
            down: Pipe::default(),
            tx: Bytes::default(),
            rx: Bytes::default(),
            hole: false,
            stuck: None,
            doubled: false,
            hostile,
            silent_since: None,
            received: 0,
            split: None,
            leased: false,
            notes: LinkNotes { node: expected, dialled: self.now, heard: at, ..LinkNotes::default() },
        });
        self.clients[client].links.push(link);
        if let Some(addr) = again {
            self.check_dial(client, &addr, expected);
        }
        self.answer_dial(link);
    }

    /// Decides what a dial comes to, and when.
    fn answer_dial(&mut self, link: u32) {
        let net = self.options.net;
        let dice = self.streams.of(Label::Network);
        let delay = u64::from(net.delay) * 2 + dice.exponential(u64::from(net.spread));
        let now = self.now;
        let Some(node) = self.links[link as usize].node.map(|node| self.servers.nodes[node].clone()) else {
            // Nobody has the address any more: half of such dials are not answered at all.
            if self.dice(Label::Network).chance(500) {
                self.after(delay, Ev::Dialled(link));
            }
            return;
        };
        if node.ignores > now || node.deaf > now + 1_000_000 || node.mute > now + 1_000_000 {
            if node.ignores > now {
                self.strikes(Fault::ConnectTimeout, u64::from(link));
            }
            return;
        }
        let mut fate = Fate::Connects;
        let mut delay = delay.max(node.deaf.max(node.mute).saturating_sub(now));
        if !node.up || node.refuses > now {
            fate = Fate::Refused;
            if node.up {
                self.strikes(Fault::ConnectRefused, u64::from(link));
            }
        } else if node.closes > now {
            fate = Fate::Closes;
            self.strikes(Fault::ConnectClosed, u64::from(link));
        } else if node.late > now {
            delay += 6_000_000;
            self.strikes(Fault::ConnectLate, u64::from(link));
        }
        self.links[link as usize].fate = fate;
        self.after(delay, Ev::Dialled(link));
    }

    /// A dial is answered, whether or not the client still waits.
    pub fn dialled(&mut self, link: u32) {
        let at = &self.links[link as usize];
        let (client, conn, fate, waits) = (at.client, at.conn, at.fate, at.stage == Stage::Dialling);
        if self.clients[client].frozen > self.now {
            let until = self.clients[client].frozen;
            return self.at(until, Ev::Dialled(link));
        }
        let up = self.links[link as usize].node.is_some_and(|node| self.servers.nodes[node].up);
        if fate == Fate::Refused || !up {
            if waits {
                self.lose(link);
                self.drive(client);
            }
            return;
        }
        if !waits {
            // The client has closed it already: the server sees a connection come and go.
            return;
        }
        self.note(What::Dialled, [u64::from(link), 0, 0]);
        let node = self.links[link as usize].node.unwrap_or(0);
        let alien = self.servers.nodes[node].stolen > self.now;
        if alien {
            self.strikes(Fault::ConnectWrong, u64::from(link));
        }
        self.accept(link, node, alien);
        self.links[link as usize].stage = Stage::Open;
        let now = self.clients[client].at(self.now);
        self.clients[client].engine.handle_connected(now, conn);
        if fate == Fate::Closes {
            self.server_closes(link);
        }
        self.drive(client);
    }

    /// Moves what the engine wants to send into the buffer of the link, while that is short.
    pub fn fill(&mut self, link: u32) -> bool {
        let mut any = false;
        loop {
            let at = &self.links[link as usize];
            if at.tx.len() > 16_384 || at.stage != Stage::Open {
                return any;
            }
            let (client, conn) = (at.client, at.conn);
            let c = &mut self.clients[client];
            let now = c.at(self.now);
            let Some(transmit) = c.engine.poll_transmit(now, conn, &c.profile.env()) else { return any };
            any = true;
            match transmit {
                Transmit::Control(frame) => self.put_control(link, frame),
                Transmit::Command { tag, asking, len, .. } => {
                    if asking {
                        self.put_control(link, ControlFrame::Asking);
                    }
                    self.put_command(link, tag, len, asking);
                }
            }
            if self.violation.is_some() {
                return any;
            }
        }
    }

    fn put_control(&mut self, link: u32, frame: ControlFrame) {
        let at = &mut self.links[link as usize];
        let client = &mut self.clients[at.client];
        let start = at.tx.len();
        let room = at.tx.put_room(frame.encoded_len(&client.profile.settings));
        let written = frame.encode(&client.profile.settings, room);
        debug_assert!(written.is_ok());
        let bytes = at.tx.len() - start;
        at.notes.offered += bytes as u64;
        at.frames.push_back(Sent::Own(frame));
        if matches!(frame, ControlFrame::ClusterSlots | ControlFrame::ClusterNodes) {
            client.asked.push(self.now);
            self.stats.questions += 1;
            self.check_question(link);
        }
        self.note(What::Control, [u64::from(link), hash_of(&self.links[link as usize].tx[start..]), 0]);
        self.check_frame(link, frame, start);
    }

    fn put_command(&mut self, link: u32, tag: u64, len: u32, asking: bool) {
        let at = &mut self.links[link as usize];
        let client = at.client;
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else {
            return self.violate(3, format!("client {client}: the engine sends a command {tag} that nobody submitted"));
        };
        let (ended, handed) = (request.end.is_some(), request.handed);
        let replies = request.spec.replies;
        request.sends += 1;
        request.tainted |= at.hostile;
        let place = request.notes.place.replace((link, at.notes.offered));
        at.notes.offered += request.wire.len() as u64;
        at.leased |= request.spec.blocking;
        at.tx.put(&request.wire);
        let right = request.wire.len() == len as usize;
        if replies == 1 {
            at.frames.push_back(Sent::One(tag));
        } else {
            for member in 0..replies {
                at.frames.push_back(Sent::Member(tag, member + 1 == replies));
            }
        }
        self.note(What::Sent, [u64::from(link), tag, u64::from(len)]);
        self.check(3, !ended, || format!("client {client}: command {tag} is sent after its end"));
        self.check(3, !handed, || format!("client {client}: command {tag} is sent again after a part of its answer"));
        self.check(3, right, || format!("client {client}: command {tag} is sent with another length"));
        self.check_hops(client, tag);
        self.check_elsewhere(client, tag, link, place);
        self.check_asking(client, tag, link, asking);
        self.check_window(link);
        self.check_again(client, tag, place);
    }

    /// Hands received bytes to the engine for as long as it takes some.
    pub fn present(&mut self, link: u32) {
        let at = &mut self.links[link as usize];
        if at.stage != Stage::Open {
            return;
        }
        let (client, conn) = (at.client, at.conn);
        let mut rx = std::mem::take(&mut at.rx);
        let most = self.options.net.receive_buffer as usize;
        let mut used = 0;
        for round in 0.. {
            if round > rx.len() * 2 + 64 {
                self.violate(11, format!("client {client}: {} bytes are read for ever", rx.len()));
                break;
            }
            let c = &mut self.clients[client];
            let now = c.at(self.now);
            // What does not fit waits in the transport.
            let rest = &rx[used..rx.len().min(used + most)];
            let grows = rest.len() < most;
            match c.engine.handle_input(now, conn, &c.profile.env(), rest, grows) {
                Ok(progress) => {
                    used += progress.consumed;
                    let done = progress.consumed == 0 && progress.output.is_none();
                    if let Some(output) = progress.output {
                        self.output(client, link, conn, output);
                    }
                    self.look_at_map(client, link);
                    if done || self.violation.is_some() {
                        break;
                    }
                }
                Err(error) => {
                    // What came in front of what is wrong may have changed the map.
                    self.look_at_map(client, link);
                    self.broken(link, error, rest);
                    return;
                }
            }
        }
        let at = &mut self.links[link as usize];
        if used > 0 {
            rx.skip(used);
            // What waited unread was no silence.
            let (written, answered) = at.notes.commands;
            at.silent_since = (written > answered || at.silent_since.is_some()).then_some(self.now);
        }
        at.rx = rx;
    }

    /// I10: what the last input has made of the map.
    fn look_at_map(&mut self, client: usize, link: u32) {
        let forged = self.links[link as usize].notes.forged.take().unwrap_or(false);
        if let Some(refreshed) = self.clients[client].engine.changed() {
            self.check(10, !forged || !refreshed, || format!("link {link}: slots that do not exist were taken over"));
            self.check_map(client, refreshed);
        }
    }

    fn broken(&mut self, link: u32, error: ConnectionError, rest: &[u8]) {
        let at = &self.links[link as usize];
        let honest = !at.hostile && !at.doubled && self.stage.is_none();
        self.note(What::Broken, [u64::from(link), rest.len() as u64, 0]);
        if let Some(stage) = &mut self.stage {
            stage.refused += 1;
        }
        self.trace.say(|| error.to_string());
        let expected = matches!(error, ConnectionError::Handshake(_));
        if honest && !expected {
            let text: String = String::from_utf8_lossy(rest).chars().take(200).collect();
            self.violate(1, format!("link {link}: honest bytes were refused: {error}: {text:?}"));
        }
        self.client_closes(link, CloseReason::Protocol);
    }

    fn output(&mut self, client: usize, link: u32, conn: ConnId, output: Output<'_>) {
        match output {
            Output::Reply { tag, frame, last, resent, .. } => {
                let resent = resent && !self.planted(Planted::HiddenDelay);
                let raw = super::wire::without_attributes(frame.raw());
                let hash = hash_of(&super::wire::bare(raw));
                self.note(What::Reply, [client as u64, tag, hash]);
                self.trace.say(|| String::from_utf8_lossy(&raw[..raw.len().min(60)]).trim_end().replace("\r\n", " "));
                self.check_reply(client, link, tag, hash);
                self.replied(client, tag, &frame);
                if last {
                    let refusal = is_refusal(raw);
                    let end = if frame.is_error() { End::Error { resent, refusal } } else { End::Done { resent } };
                    let lies = self.planted(Planted::ClaimedRefused) && tag.is_multiple_of(16);
                    let end = if lies { End::Error { resent, refusal: true } } else { end };
                    self.ended(client, tag, end);
                }
            }
            Output::Token { tag, token, last, .. } => {
                self.note(What::Token, [client as u64, tag, u64::from(last)]);
                self.streamed(client, link, tag, &token, last);
            }
            Output::Push { frame, .. } => {
                self.note(What::Push, [client as u64, hash_of(frame.raw()), 0]);
                self.pushed(client, conn, &frame);
            }
        }
    }

    fn streamed(&mut self, client: usize, link: u32, tag: u64, token: &Token<'_>, last: bool) {
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else {
            return self.violate(1, format!("client {client}: a token for a command {tag} that nobody submitted"));
        };
        request.handed = true;
        append(token, &mut request.text);
        if last {
            let mut text = std::mem::take(&mut request.text);
            if self.planted(Planted::AlteredToken) {
                text.push(b'!');
            }
            let error = text.starts_with(b"-");
            let refusal = is_refusal(&text);
            self.check_text(client, link, tag, &text);
            let resent = true;
            let end = if error { End::Error { resent, refusal } } else { End::Done { resent } };
            self.ended(client, tag, end);
        }
    }

    /// A request has ended.
    pub fn ended(&mut self, client: usize, tag: u64, end: End) {
        let now = self.now;
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else {
            return self.violate(3, format!("client {client}: the end of a command {tag} that nobody submitted"));
        };
        let before = request.end.replace((end, now));
        let probe = matches!(request.owner, super::client::Owner::Probe(_));
        self.check(3, before.is_none(), || format!("client {client}: command {tag} ends twice: {before:?}, {end:?}"));
        self.clients[client].open = self.clients[client].open.saturating_sub(1);
        self.clients[client].probing -= usize::from(probe && before.is_none());
        self.stats.ends[super::check::end_number(&end)] += 1;
        if matches!(end, End::Error { refusal: true, .. }) {
            self.check_followed(client, tag);
        }
        self.request_over(client, tag, end);
        let safe = self.phase == Phase::Safety;
        self.check_end(client, tag, safe);
    }
}

/// Adds what a token says, as [`super::wire::flatten`] does for whole replies.
fn append(token: &Token<'_>, text: &mut Vec<u8>) {
    let mut add = |kind: u8, bytes: &[u8]| {
        text.push(kind);
        text.extend_from_slice(bytes);
    };
    match token {
        Token::Simple(line) => add(b'+', line),
        Token::Error(line) => add(b'-', line),
        Token::Integer(n) => add(b':', n.to_string().as_bytes()),
        Token::Bulk(bytes) => add(b'$', bytes),
        Token::Null(Null::Bulk | Null::Array | Null::Resp3) => add(b'_', b""),
        Token::Boolean(yes) => add(b'#', if *yes { b"t" } else { b"f" }),
        Token::Array(n) => add(b'*', n.to_string().as_bytes()),
        Token::Map(n) => add(b'%', n.to_string().as_bytes()),
        Token::Set(n) => add(b'~', n.to_string().as_bytes()),
        Token::Begin { kind, .. } => {
            let kind = match kind {
                slotwise::resp::Text::Simple => b'+',
                slotwise::resp::Text::Error => b'-',
                slotwise::resp::Text::Double => b',',
                slotwise::resp::Text::BigNumber => b'(',
                slotwise::resp::Text::BlobError => b'!',
                slotwise::resp::Text::Verbatim(_) => b'=',
                slotwise::resp::Text::Bulk => b'$',
            };
            add(kind, b"");
        }
        Token::Chunk { bytes, .. } => text.extend_from_slice(bytes),
        _ => {}
    }
}

/// Whether an address is one that only a liar names.
#[must_use]
pub fn is_forged(addr: &(String, u16)) -> bool {
    addr.0.starts_with(FORGED)
}

//! The adapter: dials, transmits, input, events and timers.

use slotwise::cluster::{Event, Transmit};
use slotwise::connection::ControlFrame;
use slotwise::ids::ConnId;
use slotwise::pipeline::Outcome;

use super::seen::Seen;
use super::{Link, ROUNDS, Run, Sent};

impl Run<'_> {
    pub(super) fn dialled(&mut self, good: bool) {
        let Some(at) = self.link() else { return };
        if !self.links[at].open {
            self.open(at, good);
        }
    }

    pub(super) fn open(&mut self, at: usize, good: bool) {
        let conn = self.links[at].conn;
        let live = !self.links[at].gone;
        if good {
            self.links[at].open = live;
            self.with(|cluster, now, _| cluster.handle_connected(now, conn));
        } else {
            self.links[at].gone = true;
            self.with(|cluster, now, _| cluster.handle_connect_failed(now, conn));
        }
        self.settle();
    }

    /// Takes what the engine wants to send, at most so many frames.
    pub(super) fn transmit(&mut self, at: usize, most: usize) {
        let (conn, live) = (self.links[at].conn, self.links[at].open && !self.links[at].gone);
        for _ in 0..most {
            let Some(what) = self.with(|cluster, now, env| cluster.poll_transmit(now, conn, env)) else { return };
            assert!(live, "{what:?} is sent on a connection that is not open");
            let len = match what {
                Transmit::Control(frame) => frame.encoded_len(&self.settings),
                Transmit::Command { tag, len, asking, id } => {
                    let request = &mut self.requests[tag as usize];
                    assert!(!request.ended, "command {tag} is sent after its end");
                    assert!(!request.handed, "command {tag} is sent again after a part of its answer was handed out");
                    assert_eq!((id, len), (request.id, request.spec.len));
                    request.link = Some(at);
                    request.sends += 1;
                    let most = u32::from(self.config.max_hops) + u32::from(self.config.max_attempts) + 2;
                    assert!(request.sends <= most, "command {tag} is sent for ever");
                    len as usize + if asking { ControlFrame::Asking.encoded_len(&self.settings) } else { 0 }
                }
            };
            let link = &mut self.links[at];
            let start = link.handed;
            link.handed += len as u64;
            link.sent.push_back(Sent { what, start, end: link.handed });
        }
    }

    /// The transport takes so many bytes more.
    pub(super) fn write(&mut self, at: usize, bytes: u64) {
        let link = &mut self.links[at];
        let bytes = bytes.min(link.handed - link.written);
        if link.gone {
            // No transport takes them any more; that somebody says so late changes nothing.
            let conn = link.conn;
            return self.with(|cluster, now, _| cluster.handle_written(now, conn, bytes as usize));
        }
        link.written += bytes;
        for sent in &link.sent {
            if let Transmit::Command { tag, .. } = sent.what
                && sent.start < link.written
            {
                self.requests[tag as usize].touched = true;
            }
        }
        let conn = link.conn;
        self.with(|cluster, now, _| cluster.handle_written(now, conn, bytes as usize));
    }

    /// So many bytes more arrive, and are presented.
    pub(super) fn arrive(&mut self, at: usize, piece: usize, can_grow: bool) {
        let link = &mut self.links[at];
        let piece = piece.min(link.down.len());
        link.rx.extend(link.down.drain(..piece));
        self.present(at, can_grow);
    }

    pub(super) fn present(&mut self, at: usize, can_grow: bool) {
        if !self.links[at].open || self.links[at].gone {
            return;
        }
        let rx = std::mem::take(&mut self.links[at].rx);
        let mut from = 0;
        for round in 0.. {
            assert!(round < ROUNDS + rx.len(), "input is read for ever");
            let conn = self.links[at].conn;
            let mut seen = Vec::new();
            let step = self.with(|cluster, now, env| {
                let progress = cluster.handle_input(now, conn, env, &rx[from..], can_grow)?;
                let some = progress.output.is_some();
                seen.extend(progress.output.and_then(Seen::of));
                Ok::<_, slotwise::cluster::ConnectionError>((progress.consumed, some))
            });
            match step {
                Ok((consumed, some)) => {
                    assert!(consumed <= rx.len() - from);
                    from += consumed;
                    for seen in seen {
                        self.see(at, seen);
                    }
                    if consumed == 0 && !some {
                        break;
                    }
                }
                Err(error) => {
                    assert!(self.links[at].liar, "honest bytes are refused: {error:?}: {:?}", rx.escape_ascii());
                    self.links[at].gone = true;
                    return;
                }
            }
        }
        self.links[at].rx = rx[from..].to_vec();
    }

    pub(super) fn see(&mut self, at: usize, seen: Seen) {
        let Seen { tag, text, error, last } = seen;
        let request = &mut self.requests[tag as usize];
        assert!(!request.ended, "command {tag} is answered after its end");
        assert_eq!(request.link, Some(at), "command {tag} is answered where it was not sent");
        assert!(request.touched, "command {tag} is answered before a byte of it was written");
        request.handed = true;
        request.text.extend(text);
        request.refused |= error;
        if !self.links[at].liar {
            let request = &self.requests[tag as usize];
            let text = String::from_utf8_lossy(&request.text).into_owned();
            let named =
                text.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|word| word == format!("t{tag}"));
            let plain = request.refused || (!last && request.spec.replies > 1) || !last;
            assert!(named || plain, "command {tag} is handed the answer of another: {text:?}");
        }
        if last {
            self.ended(tag);
        }
    }

    /// Events and timers, until the engine rests.
    pub(super) fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 40, "the timer spins at {}, due {:?}", self.now, self.cluster.poll_timeout());
            self.events();
            if self.cluster.poll_timeout().is_none_or(|due| due > self.at()) {
                return;
            }
            self.with(|cluster, now, _| cluster.handle_timeout(now));
        }
    }

    pub(super) fn events(&mut self) {
        for round in 0.. {
            assert!(round < ROUNDS, "events never end");
            match self.cluster.poll_event() {
                None => return,
                Some(Event::Dial(conn)) => self.dial(conn),
                Some(Event::Closed { conn, .. }) => {
                    for link in self.links.iter_mut().filter(|link| link.conn == conn) {
                        link.gone = true;
                    }
                }
                Some(Event::InputReady(conn)) => {
                    if let Some(at) = self.links.iter().position(|link| link.conn == conn) {
                        self.present(at, true);
                    }
                }
                Some(Event::Failed { id, tag, failure }) => {
                    let request = &self.requests[tag as usize];
                    assert_eq!(id, request.id);
                    let unsent = failure.outcome == Outcome::NotSent;
                    assert!(!unsent || !request.touched, "command {tag} was written and is told to be unsent");
                    let lost = failure.outcome == Outcome::ReplyLost;
                    assert!(!lost || request.touched, "command {tag} lost its reply unsent");
                    self.ended(tag);
                }
                Some(Event::Confirmed { tag, .. }) => {
                    assert!(self.requests[tag as usize].spec.subscribe && self.requests[tag as usize].touched);
                    self.ended(tag);
                }
                Some(_) => {}
            }
        }
    }

    pub(super) fn dial(&mut self, conn: ConnId) {
        let port = self.with(|cluster, _, env| cluster.dial_target(conn, env).map(|target| target.addr.port()));
        let node = usize::from(port.expect("a dial to nowhere") - 7_000);
        assert!(self.links.iter().all(|link| link.conn != conn), "two dials for one id");
        self.links.push(Link {
            conn,
            node,
            open: false,
            gone: false,
            liar: false,
            handed: 0,
            written: 0,
            sent: std::collections::VecDeque::new(),
            down: Vec::new(),
            rx: Vec::new(),
        });
    }
}

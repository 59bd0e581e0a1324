//! What the applications ask for.

use slotwise::command::{Access, CommandSpec, FULL, RetryPermission, Target, analyse};
use slotwise::pipeline::Outcome;
use slotwise::resp::Frame;
use slotwise::slot::Slot;
use slotwise::time::Duration;

use super::check::Planted;
use super::check::witness::RequestNotes;
use super::client::{End, Owner, Request};
use super::dice::Label;
use super::kinds::Fault;
use super::trace::What;
use super::wire;
use super::world::{Ev, Phase, World};

/// Hash tags that keys share.
pub const TAGS: u32 = 12;

/// A tag's slot.
#[must_use]
pub fn slot_of_tag(tag: u32) -> Slot {
    Slot::of_key(format!("{{t{tag}}}").as_bytes())
}

/// A steady key: there from the beginning, never deleted.
#[must_use]
pub fn steady_key(n: u32) -> String {
    // Half of them lie in slots that move.
    if n.is_multiple_of(2) { format!("{{t{}}}steady:{n}", n / 2 % TAGS) } else { format!("steady:{n}") }
}

/// What to ask for.
struct Asked {
    words: Vec<Vec<u8>>,
    retry: RetryPermission,
}

fn words(of: &[&[u8]]) -> Vec<Vec<u8>> {
    of.iter().map(|word| word.to_vec()).collect()
}

impl World {
    /// A client's application asks for something, perhaps several things at once.
    pub fn work(&mut self, client: usize) {
        // Behind the end of a tape nobody asks for anything: cutting a tape is cutting work.
        if self.clients[client].dropped || self.dice(Label::Work).has_ended() {
            return;
        }
        if self.phase == Phase::Safety {
            let gap = self.options.gap;
            let next = 100 + self.dice(Label::Work).exponential(u64::from(gap));
            self.after(next, Ev::Work(client));
        }
        if self.clients[client].frozen > self.now {
            return;
        }
        let most = if self.options.has(Fault::Burst) && self.dice(Label::Fault(Fault::Burst as u8)).chance(20) {
            self.strikes(Fault::Burst, client as u64);
            64
        } else {
            u32::from(self.options.burst)
        };
        let count = self.dice(Label::Work).range(1, most);
        for _ in 0..count {
            self.ask(client);
        }
        self.drive(client);
    }

    fn ask(&mut self, client: usize) {
        let mix = self.options.mix;
        let weights = [mix.plain, mix.multi_key, mix.group, mix.split, mix.anywhere, mix.blocking, mix.script];
        let mut drawn = self.dice(Label::Work).below(weights.iter().map(|weight| u32::from(*weight)).sum());
        let mut kind = 0;
        for (at, weight) in weights.iter().enumerate() {
            if drawn < u32::from(*weight) {
                kind = at;
                break;
            }
            drawn -= u32::from(*weight);
        }
        let asked = match kind {
            0 => self.plain(client),
            1 => self.several(client),
            2 => return self.ask_group(client),
            3 => return self.ask_split(client),
            4 => Asked { words: words(&[b"ECHO", &self.token(client, b"echo")]), retry: RetryPermission::IfReadOnly },
            5 => self.blocking(),
            _ => self.script(client),
        };
        self.ask_plain(client, &asked);
    }

    fn key(&mut self, kind: &str) -> Vec<u8> {
        let dice = self.dice(Label::Work);
        let key = if dice.chance(850) {
            format!("{{t{}}}{kind}{}", dice.below(TAGS), dice.below(2))
        } else {
            format!("{kind}:{}", dice.below(20))
        };
        key.into_bytes()
    }

    /// A value that nobody else writes: key, client, number.
    fn token(&mut self, client: usize, key: &[u8]) -> Vec<u8> {
        self.clients[client].sequence += 1;
        let mut token = key.to_vec();
        token.extend_from_slice(format!("|{client}|{}|", self.clients[client].sequence).as_bytes());
        if self.planted(Planted::ShoutedPassword) {
            token.extend_from_slice(super::servers::PASSWORDS[0].as_bytes());
        }
        if self.options.has(Fault::LargeValue) && self.dice(Label::Fault(Fault::LargeValue as u8)).chance(10) {
            self.strikes(Fault::LargeValue, client as u64);
            let len = self.dice(Label::Fault(Fault::LargeValue as u8)).pick(&[3_000, 20_000, 200_000]);
            token.resize(token.len() + len, b'x');
        }
        token
    }

    fn plain(&mut self, client: usize) -> Asked {
        let kind = self.dice(Label::Work).below(12);
        let mut retry = RetryPermission::IfReadOnly;
        let words = match kind {
            0..=2 => words(&[b"GET", &self.key("s")]),
            3..=5 => {
                let key = self.key("s");
                let token = self.token(client, &key);
                if kind == 5 {
                    retry = RetryPermission::Always;
                }
                words(&[b"SET", &key, &token])
            }
            6 | 7 => words(&[b"INCR", &self.key("n")]),
            8 => words(&[b"APPEND", &self.key("a"), b"x"]),
            9 => {
                let key = self.key("l");
                let token = self.token(client, &key);
                words(&[b"RPUSH", &key, &token])
            }
            10 => words(&[b"LRANGE", &self.key("l"), b"0", b"5"]),
            // An error that is no refusal.
            _ => words(&[b"LLEN", &self.key("s")]),
        };
        Asked { words, retry }
    }

    fn several(&mut self, client: usize) -> Asked {
        let tag = self.dice(Label::Work).below(TAGS);
        let count = self.dice(Label::Work).range(2, 4);
        let kind = self.dice(Label::Work).below(3);
        let mut all = vec![[&b"MGET"[..], b"MSET", b"DEL"][kind as usize].to_vec()];
        for n in 0..count {
            let key = format!("{{t{tag}}}s{n}").into_bytes();
            let token = (kind == 1).then(|| self.token(client, &key));
            all.push(key);
            all.extend(token);
        }
        Asked { words: all, retry: RetryPermission::IfReadOnly }
    }

    fn blocking(&mut self) -> Asked {
        let key = self.key("l");
        Asked { words: words(&[b"BLPOP", &key, b"1"]), retry: RetryPermission::IfReadOnly }
    }

    fn script(&mut self, client: usize) -> Asked {
        let key = self.key("s");
        let token = self.token(client, &key);
        let slot = Slot::of_key(&key).get();
        let other = slot ^ 1;
        let lie = match self.dice(Label::Work).below(6) {
            0 => {
                return Asked {
                    words: words(&[b"EVAL", b"return redis.call('SET', KEYS[1], ARGV[1])", b"1", &key, &token]),
                    retry: RetryPermission::IfReadOnly,
                };
            }
            1 => format!("MOVED {slot} 10.66.0.1:7000"),
            2 => format!("MOVED {other} 10.0.0.1:7000"),
            3 => format!("ASK {slot} 10.0.0.1:7000"),
            4 => "CLUSTERDOWN The cluster is down".to_owned(),
            _ => format!("TRYAGAIN {token:?}"),
        };
        let text = format!("redis.call('SET', KEYS[1], ARGV[1]) return redis.error_reply('{lie}')");
        Asked { words: words(&[b"EVAL", text.as_bytes(), b"1", &key, &token]), retry: RetryPermission::IfReadOnly }
    }

    fn ask_plain(&mut self, client: usize, asked: &Asked) {
        let mut wire = Vec::new();
        let list: Vec<&[u8]> = asked.words.iter().map(Vec::as_slice).collect();
        wire::command(&list, &mut wire);
        let Ok(analysis) = analyse(&FULL, &list[..]) else { return };
        let Ok(mut spec) = analysis.spec(wire.len() as u32) else { return };
        spec.retry = asked.retry;
        self.dress(&mut spec);
        self.submit_some(client, spec, wire, Owner::Work);
    }

    /// Gives a command a domain, a way to be read, a time-out.
    fn dress(&mut self, spec: &mut CommandSpec) {
        let dice = self.streams.of(Label::Work);
        spec.domain = dice.below(2) as u16;
        spec.streamed = dice.chance(60) && spec.replies == 1;
        if self.options.has(Fault::ShortTimeout) {
            let dice = self.streams.of(Label::Fault(Fault::ShortTimeout as u8));
            if dice.chance(60) {
                spec.timeout = Some(Duration::from_micros(u64::from(dice.range(100, 60_000))));
                self.stats.fault(Fault::ShortTimeout);
            }
        }
    }

    fn ask_group(&mut self, client: usize) {
        let tag = self.dice(Label::Work).below(TAGS);
        let members = self.dice(Label::Work).range(1, 3);
        let mut wire = Vec::new();
        wire::command(&[b"MULTI"], &mut wire);
        let fails = self.failing_member(members);
        for n in 0..members {
            let key = format!("{{t{tag}}}s{n}").into_bytes();
            if fails == Some(n) {
                // It is queued like the others, and fails when it runs.
                wire::command(&[b"LPUSH", &key, b"x"], &mut wire);
            } else if self.dice(Label::Work).chance(500) {
                let token = self.token(client, &key);
                wire::command(&[b"SET", &key, &token], &mut wire);
            } else {
                let counter = format!("{{t{tag}}}n{n}");
                wire::command(&[b"INCR", counter.as_bytes()], &mut wire);
            }
        }
        wire::command(&[b"EXEC"], &mut wire);
        let mut spec = CommandSpec::new(Target::Slot(slot_of_tag(tag)), Access::Write, wire.len() as u32);
        spec.replies = members as u16 + 2;
        self.dress(&mut spec);
        self.submit_some(client, spec, wire, Owner::Work);
    }

    /// The member of a transaction that is to fail, if one is.
    fn failing_member(&mut self, members: u32) -> Option<u32> {
        let fault = Fault::NestedErrors;
        if !self.options.has(fault) || !self.dice(Label::Fault(fault as u8)).chance(300) {
            return None;
        }
        self.strikes(fault, 0);
        Some(self.dice(Label::Fault(fault as u8)).below(members))
    }

    /// Submits, and plans to give up some.
    pub fn submit_some(&mut self, client: usize, spec: CommandSpec, wire: Vec<u8>, owner: Owner) -> Option<u64> {
        self.stats.commands += 1;
        let tag = self.submit(client, spec, wire, owner)?;
        if self.options.has(Fault::Cancel) && self.phase == Phase::Safety {
            let mean = u64::from(self.options.net.delay + self.options.net.spread) * 2;
            let dice = self.streams.of(Label::Fault(Fault::Cancel as u8));
            if dice.chance(60) {
                let later = dice.exponential(mean);
                self.after(later, Ev::Cancel(client, tag));
            }
        }
        Some(tag)
    }

    /// Submits a command; its tag, unless the engine has no room.
    pub fn submit(&mut self, client: usize, spec: CommandSpec, wire: Vec<u8>, owner: Owner) -> Option<u64> {
        let at = &mut self.clients[client];
        let tag = at.requests.len() as u64;
        let spec = CommandSpec { tag, ..spec };
        let now = at.at(self.now);
        let result = at.engine.submit(now, spec);
        self.check_bytes(client, spec.len, result.as_ref().err());
        let at = &mut self.clients[client];
        match result {
            Ok(id) => {
                let submitted = self.now;
                at.requests.push(Request {
                    spec,
                    id,
                    owner,
                    wire,
                    submitted,
                    sends: 0,
                    handed: false,
                    end: None,
                    served: Vec::new(),
                    answer: None,
                    text: Vec::new(),
                    tainted: false,
                    cancelled: false,
                    notes: RequestNotes { early: at.engine.refreshes() == 0, ..RequestNotes::default() },
                });
                at.open += 1;
                at.probing += usize::from(matches!(owner, Owner::Probe(_)));
                let slot = spec.target.slot().map_or(u64::MAX, |slot| u64::from(slot.get()));
                self.note(What::Submit, [client as u64, tag, slot]);
                self.act_submit(client, tag);
                Some(tag)
            }
            Err(error) => {
                self.note(What::Refused, [client as u64, tag, 0]);
                self.check_refused(client, error);
                None
            }
        }
    }

    /// An application gives a request up.
    pub fn cancel(&mut self, client: usize, tag: u64) {
        let at = &mut self.clients[client];
        if at.dropped || at.frozen > self.now {
            return;
        }
        let Some(request) = at.requests.get_mut(tag as usize).filter(|request| request.end.is_none()) else { return };
        request.cancelled = true;
        let id = request.id;
        let now = at.at(self.now);
        let stage = at.engine.cancel(now, id);
        self.strikes(Fault::Cancel, tag);
        self.note(What::Cancel, [client as u64, tag, stage as u64]);
        self.act(|_| format!("cancel r{client}_{tag}"));
        self.drive(client);
    }

    /// A reply, or a part of one, was handed out.
    pub fn replied(&mut self, client: usize, tag: u64, frame: &Frame<'_>) {
        let Some(request) = self.clients[client].requests.get_mut(tag as usize) else { return };
        request.handed = true;
        match request.owner {
            Owner::Scan(ticket) => self.scan_reply(client, ticket, frame),
            Owner::Part(split, part) => self.part_reply(client, split, part, frame),
            Owner::Sub(ticket) => self.sub_refused(client, ticket, frame),
            Owner::Unlink => self.unlink_reply(client, tag, frame),
            Owner::Script(_) => {
                if let Some(stage) = &mut self.stage {
                    stage
                        .answers
                        .insert((client, tag), super::script::readable(super::wire::without_attributes(frame.raw())));
                }
            }
            _ => {}
        }
    }

    /// A request is over: whoever asked is told.
    pub fn request_over(&mut self, client: usize, tag: u64, end: End) {
        let Some(request) = self.clients[client].requests.get(tag as usize) else { return };
        let failed = match end {
            End::Failed(outcome, _) => Some(outcome),
            _ => None,
        };
        match (request.owner, failed) {
            (Owner::Scan(ticket), Some(_)) => self.scan_failed(client, ticket),
            (Owner::Part(split, part), Some(outcome)) => self.part_failed(client, split, part, outcome),
            (Owner::Sub(ticket), Some(_)) => self.sub_failed(client, ticket),
            (Owner::Unlink, Some(outcome)) => {
                let may_have_run = matches!(outcome, Outcome::MaybeExecuted | Outcome::ReplyLost);
                self.unlink_failed(client, tag, may_have_run);
            }
            (Owner::Probe(slot), _) => self.probe_over(client, slot, end),
            _ => {}
        }
    }

    /// A test command after the repair ended: again, until it is done.
    fn probe_over(&mut self, client: usize, slot: Slot, end: End) {
        if matches!(end, End::Done { .. }) || self.phase != Phase::Liveness {
            return;
        }
        self.probe(client, slot);
    }

    /// Asks for a write to a slot, which must succeed in time.
    pub fn probe(&mut self, client: usize, slot: Slot) {
        if !self.probe_as(client, slot, Owner::Probe(slot)) {
            self.clients[client].probes.push(slot);
        }
    }

    /// The same for a certain test; says whether there was room for it.
    pub fn probe_as(&mut self, client: usize, slot: Slot, owner: Owner) -> bool {
        let mut wire = Vec::new();
        wire::command(&[b"SET", &key_in(slot), b"probe"], &mut wire);
        let spec =
            CommandSpec::new(Target::Slot(slot), Access::Write, wire.len() as u32).with_retry(RetryPermission::Always);
        self.submit(client, spec, wire, owner).is_some()
    }
}

/// A key of a slot: found by trying, and remembered.
pub(super) fn key_in(slot: Slot) -> Vec<u8> {
    use std::sync::{LazyLock, Mutex, PoisonError};
    static KEYS: LazyLock<Mutex<Vec<Option<u32>>>> = LazyLock::new(|| Mutex::new(vec![None; 16_384]));
    let mut keys = KEYS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = &mut keys[usize::from(slot.get())];
    let n = *place.get_or_insert_with(|| (0..).find(|n| Slot::of_key(format!("p{n}").as_bytes()) == slot).unwrap_or(0));
    format!("p{n}").into_bytes()
}

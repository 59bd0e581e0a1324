//! The application side of the driver: a table of jobs, each a command and what became of it.

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::{Access, CommandSpec, FULL, RetryPermission, Target, analyse};
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::pipeline::Failure;
use slotwise::pubsub::{PushEvent, Reconciler, SubRequest};
use slotwise::resp::{Frame, Kind, Token, encode};
use slotwise::scan::{ScanOptions, ScanRequest};
use slotwise::time::Duration;
use slotwise_embedded::{At, Piece, Reply, Work, copy_command};

use crate::steps::scan::Scanning;
use crate::text::{Checksum, Fill, Key, Words};

/// Jobs at a time.
pub const JOBS: usize = 48;
/// The sharded channel.
pub const CHANNEL: &str = "{gate}:news";
/// What the scan asks for.
pub const SCAN: ScanOptions<'static> = ScanOptions::new().count(48);

pub type Wishes = Reconciler<slotwise::pubsub::StaticStorage<2, 3, 64>>;

/// What to send.
#[derive(Clone, Copy)]
pub enum What {
    Get(Key),
    Set(Key, u32),
    Incr(Key),
    /// SET with so many bytes of the pattern.
    Fill(Key, u32),
    StrLen(Key),
    /// LRANGE of all, read token by token.
    List(Key),
    /// GET, read token by token.
    Stream(Key),
    Publish(u32),
    /// `App::scanning`.
    Scan,
    /// `App::subscribing`.
    Subscribe,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Free,
    Waiting,
    Running,
    Ended,
}

/// How a job ended.
#[derive(Clone, Copy, PartialEq, Eq, defmt::Format)]
pub enum End {
    /// Not yet.
    Open,
    Ok,
    Nil,
    Integer(i64),
    /// A string that is a number.
    Number(u32),
    /// Any other string.
    Text,
    /// An error reply, its first bytes.
    Refused([u8; 12]),
    /// A reply that came as tokens, or anything else.
    Other,
    Failed(Failure),
    Confirmed(ConnId),
    NotTaken(SubmitError),
}

#[derive(Clone, Copy)]
pub struct Job {
    pub what: What,
    pub stage: Stage,
    pub end: End,
    pub id: Option<CommandId>,
    /// Its place in the order of submission.
    pub serial: u32,
    pub timeout: Duration,
    pub resent: bool,
    /// Bytes of it that were asked for.
    pub asked: u32,
    /// Of a reply by tokens: how many, string bytes and their checksum.
    pub tokens: u32,
    pub bytes: u32,
    pub sum: Checksum,
    /// Times that it was reported as ended: one.
    pub ends: u8,
}

impl Job {
    pub const FREE: Self = Self {
        what: What::Scan,
        stage: Stage::Free,
        end: End::Open,
        id: None,
        serial: 0,
        timeout: Duration::from_secs(0),
        resent: false,
        asked: 0,
        tokens: 0,
        bytes: 0,
        sum: Checksum::START,
        ends: 0,
    };
}

/// All state that the driver's callbacks touch.
pub struct App {
    pub jobs: &'static mut [Job; JOBS],
    serial: u32,
    pub timeout: Duration,
    pub scanning: Option<ScanRequest>,
    pub subscribing: Option<SubRequest>,
    pub wishes: Wishes,
    /// The scan under way.
    pub scan: Option<Scanning>,
    /// Messages of the channel: their numbers, a bit each.
    pub news: u32,
    pub dropped: u32,
    pub map_changed: bool,
    pub closed: u32,
    /// Something that must not happen did.
    pub broken: Option<&'static str>,
}

impl App {
    pub fn new(jobs: &'static mut [Job; JOBS], wishes: Wishes) -> Self {
        Self {
            jobs,
            serial: 0,
            timeout: Duration::from_secs(20),
            scanning: None,
            subscribing: None,
            wishes,
            scan: None,
            news: 0,
            dropped: 0,
            map_changed: false,
            closed: 0,
            broken: None,
        }
    }

    /// Puts a command in line; the index of its job, if there is room.
    pub fn push(&mut self, what: What) -> Option<usize> {
        let at = self.jobs.iter().position(|job| job.stage == Stage::Free)?;
        self.jobs[at] = Job { what, stage: Stage::Waiting, serial: self.serial, timeout: self.timeout, ..Job::FREE };
        self.serial += 1;
        Some(at)
    }

    /// Takes the result of a job that ended, and frees its place.
    pub fn take(&mut self, at: usize) -> Job {
        core::mem::replace(&mut self.jobs[at], Job::FREE)
    }

    pub fn ended(&self, at: usize) -> bool {
        self.jobs[at].stage == Stage::Ended
    }

    /// Whether no job is under way.
    pub fn all_ended(&self) -> bool {
        self.jobs.iter().all(|job| matches!(job.stage, Stage::Free | Stage::Ended))
    }

    fn spec(&self, at: usize) -> Option<CommandSpec> {
        let job = &self.jobs[at];
        let spec = match job.what {
            What::Fill(key, len) => {
                let len = Fill::new(key, len).encoded_len();
                CommandSpec::new(Target::Slot(key.slot()), Access::Write, len)
            }
            // Once only: on another connection the cursor may mean something else.
            What::Scan => {
                let request = self.scanning?;
                let len = encode::encoded_len(&request.args(&SCAN)).ok()?;
                CommandSpec::new(Target::Node(request.node), Access::Read, len as u32)
                    .with_retry(RetryPermission::IfNotExecuted)
            }
            What::Subscribe => {
                let request = self.subscribing?;
                let len = encode::encoded_len(&self.wishes.args(&request)).ok()?;
                let mut spec = CommandSpec::new(Target::Node(request.node), Access::Read, len as u32);
                spec.subscribe = true;
                spec
            }
            what => {
                let words = words(what);
                let len = encode::encoded_len(&words).ok()?;
                let streamed = matches!(what, What::List(_) | What::Stream(_));
                analyse(&FULL, &words).ok()?.spec(len as u32).ok()?.with_streamed(streamed)
            }
        };
        Some(spec.with_tag(at as u64).with_timeout(job.timeout))
    }

    fn end(&mut self, tag: u64, end: End) {
        let Some(job) = self.jobs.get_mut(tag as usize) else {
            self.broken = Some("an end without a command");
            return;
        };
        if job.stage != Stage::Running {
            self.broken = Some("a command ended twice, or before it began");
            return;
        }
        job.stage = Stage::Ended;
        job.end = end;
        job.ends += 1;
    }
}

/// The words of a short command.
fn words(what: What) -> Words {
    let words = Words::new();
    match what {
        What::Get(key) | What::Stream(key) => words.word("GET").word(key),
        What::Set(key, value) => words.word("SET").word(key).word(value),
        What::Incr(key) => words.word("INCR").word(key),
        What::StrLen(key) => words.word("STRLEN").word(key),
        What::List(key) => words.word("LRANGE").word(key).word(0).word(-1),
        What::Publish(number) => words.word("SPUBLISH").word(CHANNEL).word(number),
        What::Fill(..) | What::Scan | What::Subscribe => words,
    }
}

fn number(text: &[u8]) -> Option<u32> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn end_of(frame: &Frame<'_>) -> End {
    if let Some(error) = frame.error() {
        let mut start = [0; 12];
        start.iter_mut().zip(error).for_each(|(to, byte)| *to = *byte);
        return End::Refused(start);
    }
    if frame.is_null() {
        return End::Nil;
    }
    if let Some(number) = frame.integer() {
        return End::Integer(number);
    }
    match frame.bytes() {
        Some(b"OK") if frame.kind() == Kind::Simple => End::Ok,
        Some(text) => number(text).map_or(End::Text, End::Number),
        None => End::Other,
    }
}

impl Work for App {
    fn next_command(&mut self, _: &At<'_>) -> Option<CommandSpec> {
        let waiting = |job: &&Job| job.stage == Stage::Waiting;
        let serial = self.jobs.iter().filter(waiting).map(|job| job.serial).min()?;
        let at = self.jobs.iter().position(|job| job.stage == Stage::Waiting && job.serial == serial)?;
        let spec = self.spec(at);
        if spec.is_none() {
            self.broken = Some("a command that cannot be made");
        }
        spec
    }

    fn submitted(&mut self, tag: u64, result: Result<CommandId, SubmitError>) {
        let job = &mut self.jobs[tag as usize];
        match result {
            Ok(id) => {
                job.stage = Stage::Running;
                job.id = Some(id);
            }
            Err(error) => {
                job.stage = Stage::Ended;
                job.end = End::NotTaken(error);
            }
        }
    }

    fn encode(&mut self, tag: u64, offset: usize, out: &mut [u8]) -> usize {
        let job = &mut self.jobs[tag as usize];
        let count = match job.what {
            What::Fill(key, len) => Fill::new(key, len).copy(offset, out),
            What::Scan => self.scanning.map_or(0, |request| copy_command(&request.args(&SCAN), offset, out)),
            What::Subscribe => {
                self.subscribing.map_or(0, |request| copy_command(&self.wishes.args(&request), offset, out))
            }
            what => copy_command(&words(what), offset, out),
        };
        job.asked = job.asked.max((offset + count) as u32);
        count
    }

    fn reply(&mut self, at: &At<'_>, tag: u64, reply: Reply<'_>) {
        let job = &mut self.jobs[tag as usize];
        job.resent = reply.resent;
        if !reply.last {
            self.broken = Some("one reply in several parts");
            return;
        }
        if let (What::Scan, Some(scanning), Some(request)) = (job.what, &mut self.scan, self.scanning) {
            let Scanning { scan, seen, .. } = scanning;
            let handled = scan.on_reply(at.now, request.ticket, &reply.frame, &at.map, |key| seen.key(key));
            scanning.heard(handled);
        }
        self.end(tag, end_of(&reply.frame));
    }

    fn token(&mut self, at: &At<'_>, tag: u64, Piece { token, last, .. }: Piece<'_>) {
        let job = &mut self.jobs[tag as usize];
        job.tokens += 1;
        if let Token::Bulk(bytes) | Token::Chunk { bytes, .. } = token {
            job.bytes += bytes.len() as u32;
            job.sum.add(bytes);
        }
        if let (What::Scan, Some(scanning), Some(request)) = (job.what, &mut self.scan, self.scanning) {
            let Scanning { scan, seen, long, .. } = scanning;
            let handled = scan.on_token(at.now, request.ticket, &token, long, &at.map, |key| seen.key(key));
            scanning.heard(handled);
        }
        if last {
            self.end(tag, End::Other);
        }
    }

    fn failed(&mut self, at: &At<'_>, tag: u64, failure: Failure) {
        let is_scan = self.jobs.get(tag as usize).is_some_and(|job| matches!(job.what, What::Scan));
        if let (true, Some(scanning), Some(request)) = (is_scan, &mut self.scan, self.scanning) {
            scanning.scan.on_failed(at.now, request.ticket);
        }
        self.end(tag, End::Failed(failure));
    }

    fn confirmed(&mut self, tag: u64, conn: ConnId) {
        self.end(tag, End::Confirmed(conn));
    }

    fn push(&mut self, _: &At<'_>, conn: ConnId, _: Option<NodeId>, frame: &Frame<'_>) {
        match self.wishes.on_push(conn, frame) {
            PushEvent::Message(message) => match number(message.payload) {
                Some(number) if number < 32 && message.channel == CHANNEL.as_bytes() => self.news |= 1 << number,
                _ => self.broken = Some("a message that nobody sent"),
            },
            PushEvent::Handled => {}
            _ => self.dropped += 1,
        }
    }

    fn closed(&mut self, at: &At<'_>, conn: ConnId, node: Option<NodeId>, reason: CloseReason) {
        defmt::info!("connection {} closed: {}", conn.index(), reason);
        self.closed += 1;
        self.wishes.on_lost(conn);
        if let (Some(scanning), Some(node)) = (&mut self.scan, node) {
            scanning.scan.on_lost(at.now, &node);
        }
    }

    fn map_changed(&mut self, _: &At<'_>) {
        self.map_changed = true;
    }
}

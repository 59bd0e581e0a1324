//! The engine from dial to shutdown: handshake, pipeline, MOVED, ASK, scan, pub/sub, refresh, loss, cancelling.

use slotwise::cluster::{CancelStage, Cluster, Event, Output};
use slotwise::command::{Access, CommandSpec, FULL, Target, analyse};
use slotwise::pipeline::{Outcome, Reorder};
use slotwise::pubsub::{CommandDone, Kind, Policy, PushEvent, Reconciler, State, StaticStorage, SubTicket};
use slotwise::resp::{Args, encode};
use slotwise::scan::{ClusterScan, Handled, RequestKind, ScanOptions, Ticket, Walk};
use slotwise::slot::Slot;
use slotwise::time::{Duration, Instant};

use crate::adapter::{Adapter, Scenario, Storage};
use crate::measure::{Step, step};
use crate::{Report, check, world};

/// Tags of this image's own commands, of scan requests and of subscriptions.
const OWN: u64 = 1 << 62;
const SCAN: u64 = 2 << 62;
const SUB: u64 = 3 << 62;
const KIND: u64 = 3 << 62;

/// Own commands with an answer of their own; all others get their number back.
const MOVED: u64 = OWN | 1_000;
const ASKED: u64 = OWN | 1_001;
const SILENT: u64 = OWN | 1_002;
const STREAMED: u64 = OWN | 1_003;

/// Channels, scan and results: what an application keeps beside the engine.
pub struct Application {
    reconciler: Reconciler<StaticStorage<2, 2, 32>>,
    scan: ClusterScan<[Walk; 1]>,
    results: Reorder<[Option<u8>; 32]>,
    /// Own commands that got a reply, events, tokens, keys, messages.
    replies: u32,
    failures: u32,
    tokens: u32,
    keys: u32,
    messages: u32,
    ready: u32,
}

impl Scenario for Application {
    fn answer(&mut self, port: u16, tag: u64, asking: bool) -> Option<&'static [u8]> {
        let at_a = port == world::A_PORT;
        Some(match tag {
            MOVED if at_a => b"-MOVED 5061 127.0.0.1:7002\r\n",
            ASKED if !asking => b"-ASK 866 127.0.0.1:7002\r\n",
            MOVED | ASKED => b"+OK\r\n",
            SILENT => return None,
            STREAMED => b"*3\r\n$5\r\nhello\r\n:7\r\n_\r\n",
            _ => match tag & KIND {
                SCAN => world::scan_reply(at_a, tag & 1 == 1),
                SUB => b">3\r\n$10\r\nssubscribe\r\n$4\r\nnews\r\n:1\r\n",
                _ => b"$1\r\nv\r\n",
            },
        })
    }

    fn output(&mut self, now: Instant, cluster: &Cluster<Storage>, output: &Output<'_>, report: &mut Report) {
        match *output {
            Output::Reply { tag, frame, last, .. } => {
                check!(report, last && tag & KIND == OWN && !frame.is_error());
                self.replies += 1;
                if tag & 0xfff < 32 {
                    check!(report, self.results.put(tag & 0xfff, frame.raw().len() as u8).is_ok());
                }
            }
            Output::Token { tag, token, .. } if tag & KIND == SCAN => {
                let ticket = Ticket::from_bits((tag & !KIND) >> 1);
                let mut each = 0;
                let handled = step(Step::ScanToken, || {
                    self.scan.on_token(now, ticket, &token, &mut [], &cluster.map(), |key| each += key.len() as u32)
                });
                check!(report, matches!(handled, Ok(Handled::More | Handled::Done)));
                self.keys += each;
            }
            Output::Token { .. } => self.tokens += 1,
            Output::Push { conn, frame } => match step(Step::Push, || self.reconciler.on_push(conn, &frame)) {
                PushEvent::Message(message) => {
                    check!(report, message.channel == b"news" && message.payload == b"hello");
                    self.messages += 1;
                }
                // It comes on every connection to the node, and counts on one.
                PushEvent::Handled | PushEvent::Dropped => {}
                _ => check!(report, false),
            },
        }
    }

    fn event(&mut self, now: Instant, cluster: &Cluster<Storage>, event: Event, report: &mut Report) {
        match event {
            Event::Ready(_) => self.ready += 1,
            Event::Closed { conn, .. } => self.reconciler.on_lost(conn),
            Event::Confirmed { tag, conn, .. } => {
                check!(report, tag & KIND == SUB);
                let ticket = SubTicket::from_bits(tag & !KIND);
                self.reconciler.on_command_done(now, ticket, CommandDone::Fenced { conn });
            }
            Event::Failed { tag, failure, .. } => {
                report.fold(failure.outcome as u32);
                check!(report, failure.outcome != Outcome::Rejected);
                match tag & KIND {
                    SCAN => self.scan.on_failed(now, Ticket::from_bits((tag & !KIND) >> 1)),
                    SUB => {
                        let ticket = SubTicket::from_bits(tag & !KIND);
                        self.reconciler.on_command_done(now, ticket, CommandDone::Failed);
                    }
                    _ => self.failures += 1,
                }
            }
            Event::Alive { conn, asked } => self.reconciler.on_alive(conn, asked),
            Event::MapChanged { .. } => {
                step(Step::PubsubMap, || self.reconciler.on_map(cluster.map_asked(), &cluster.map()))
            }
            _ => {}
        }
    }
}

impl Application {
    /// Nothing wanted, nothing done.
    pub fn new() -> Self {
        Self {
            reconciler: Reconciler::new(Policy::DEFAULT, 7, StaticStorage::new()),
            scan: ClusterScan::inline(&ScanOptions::new()),
            results: Reorder::new([None; 32]),
            replies: 0,
            failures: 0,
            tokens: 0,
            keys: 0,
            messages: 0,
            ready: 0,
        }
    }
}

impl Default for Application {
    fn default() -> Self {
        Self::new()
    }
}

/// Submits one command by its words.
fn send(adapter: &mut Adapter, words: &[&str], tag: u64, report: &mut Report) {
    let len = encode::encoded_len(words).unwrap_or(0) as u32;
    match step(Step::Analyse, || analyse(&FULL, words)).and_then(|found| found.spec(len)) {
        Ok(spec) => adapter.submit(CommandSpec { streamed: tag == STREAMED, ..spec.with_tag(tag) }, report),
        Err(_) => check!(report, false),
    }
}

/// From the first dial to the last close.
#[inline(never)]
pub fn run(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    pipeline(adapter, app, report);
    redirects(adapter, app, report);
    streamed(adapter, app, report);
    scan(adapter, app, report);
    subscribe(adapter, app, report);
    trouble(adapter, app, report);
}

fn pipeline(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    adapter.piece = 7;
    step(Step::Refresh, || adapter.cluster.connect(adapter.now));
    adapter.pump(app, report);
    check!(report, !adapter.cluster.map().is_empty());
    const KEYS: [&str; 4] = ["foo", "bar", "user", "a"];
    for number in 0..32_u64 {
        let key = KEYS.get(number as usize % KEYS.len()).copied().unwrap_or("");
        let words: &[&str] = if number % 2 == 0 { &["SET", key, "v"] } else { &["GET", key] };
        send(adapter, words, OWN | number, report);
    }
    adapter.pump(app, report);
    check!(report, app.replies == 32 && app.ready == 2);
    check!(report, adapter.cluster.commands_live() == 0);
    check!(report, app.results.ready() == 32);
    while let Some((number, len)) = app.results.take_next() {
        report.fold(number as u32 + u32::from(len));
    }
    check!(report, app.results.taken() == 32);
    adapter.piece = 0;
}

fn redirects(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    let before = adapter.cluster.map().version();
    send(adapter, &["SET", "bar", "1"], MOVED, report);
    adapter.pump(app, report);
    check!(report, app.replies == 33);
    // The redirect was followed and the map asked for; it says what it said before.
    adapter.wait(Duration::from_secs(30), app, report);
    check!(report, adapter.cluster.map().version() != before && adapter.asked >= 2);
    send(adapter, &["SET", "hello", "1"], ASKED, report);
    adapter.pump(app, report);
    check!(report, app.replies == 34 && app.failures == 0);
}

fn streamed(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    adapter.piece = 3;
    send(adapter, &["LRANGE", "foo", "0", "-1"], STREAMED, report);
    adapter.pump(app, report);
    check!(report, app.tokens >= 4 && adapter.cluster.commands_live() == 0);
    adapter.piece = 0;
}

fn scan(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    let options = ScanOptions::new();
    for _ in 0..64 {
        if app.scan.is_done() {
            break;
        }
        while let Some(request) = step(Step::ScanPoll, || app.scan.poll(adapter.now, &adapter.cluster.map())) {
            let args = request.args(&options);
            let len = encode::encoded_len(&args).unwrap_or(0) as u32;
            check!(report, args.count() >= 2);
            let nodes = u64::from(matches!(request.kind, RequestKind::Nodes));
            let spec = CommandSpec::new(Target::Node(request.node), Access::Read, len).with_streamed(true);
            adapter.submit(spec.with_tag(SCAN | request.ticket.to_bits() << 1 | nodes), report);
            adapter.pump(app, report);
        }
        adapter.wait(Duration::from_millis(100), app, report);
    }
    check!(report, app.keys == 10);
    check!(report, app.scan.certificate().check().is_ok());
}

fn subscribe(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    let Ok(channel) = app.reconciler.want(Kind::Sharded, b"news") else {
        check!(report, false);
        return;
    };
    while let Some(request) = step(Step::PubsubPoll, || app.reconciler.poll(adapter.now, &adapter.cluster.map())) {
        let len = encode::encoded_len(&app.reconciler.args(&request)).unwrap_or(0) as u32;
        let mut spec = CommandSpec::new(Target::Node(request.node), Access::Write, len);
        spec.subscribe = true;
        adapter.submit(spec.with_tag(SUB | request.ticket.to_bits()), report);
        adapter.pump(app, report);
    }
    while let Some(event) = app.reconciler.poll_event() {
        report.fold(u32::from(matches!(event, slotwise::pubsub::Event::Confirmed(_))));
    }
    let owner = if Slot::of_key(b"news").get() < 8_192 { world::A } else { world::B };
    check!(report, app.reconciler.state(channel) == Some(State::Active(owner)));
    let port = if owner == world::A { world::A_PORT } else { world::B_PORT };
    adapter.bring(port, b">3\r\n$8\r\nsmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n");
    adapter.pump(app, report);
    check!(report, app.messages == 1);
}

fn trouble(adapter: &mut Adapter, app: &mut Application, report: &mut Report) {
    // A command without an answer: cancelled in flight, then cut off.
    send(adapter, &["GET", "foo"], SILENT, report);
    adapter.pump(app, report);
    let spec = CommandSpec::new(Target::Slot(Slot::of_key(b"foo")), Access::Write, 10).with_tag(SILENT);
    let id = adapter.cluster.submit(adapter.now, spec);
    adapter.pump(app, report);
    match id {
        Ok(id) => {
            check!(report, step(Step::Cancel, || adapter.cluster.cancel(adapter.now, id)) == CancelStage::InFlight)
        }
        Err(_) => check!(report, false),
    }
    check!(report, adapter.break_off(world::B_PORT) >= 1);
    adapter.wait(Duration::from_secs(60), app, report);
    check!(report, app.failures == 2 && adapter.cluster.commands_live() == 0);
    step(Step::Refresh, || adapter.cluster.refresh(adapter.now));
    adapter.wait(Duration::from_secs(60), app, report);
    check!(report, adapter.cluster.refreshes() >= 2 && adapter.cluster.last_rejection().is_none());
    step(Step::Shutdown, || adapter.cluster.shutdown(adapter.now));
    adapter.wait(Duration::from_secs(60), app, report);
    check!(report, adapter.cluster.is_drained());
}

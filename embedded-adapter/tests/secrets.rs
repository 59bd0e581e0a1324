//! A password and where it can be found: in the transmit buffer until it was sent, and in no text at any time.

mod world;

use std::sync::{Mutex, PoisonError};

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage};
use slotwise::connection::{Protocol, Secret, Settings};
use slotwise::time::Duration;
use slotwise_embedded::{Buffers, Driver, Lane, StaticBuffers};
use slotwise_std::mini::model::ModelOptions;
use world::{App, End, Net, PORT, Ticks};

const PASSWORD: &[u8] = b"c4nary\x1b[31m";
/// The password as text, as a list of bytes, and what would act on a terminal.
const NOT_SHOWN: [&str; 4] = ["c4nary", "99, 52, 110", "63 34 6e", "\x1b"];
const LANES: usize = 4;
const RX: usize = 1024;
const TX: usize = 192;

/// Every line that was logged; tests of this program run in parallel, and all are looked at.
struct Log(Mutex<Vec<String>>);

static LOG: Log = Log(Mutex::new(Vec::new()));

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{} {}", record.target(), record.args()));
    }

    fn flush(&self) {}
}

/// Looks at each line logged so far, and counts them.
fn logged() -> usize {
    let lines = LOG.0.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().for_each(|line| quiet(line));
    lines.len()
}

#[track_caller]
fn quiet(text: &str) {
    for secret in NOT_SHOWN {
        assert!(!text.contains(secret), "{text}");
    }
}

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| PASSWORD.windows(4).any(|part| part == window))
}

/// A session that is stopped after so many steps. Says whether the password lay in the memory of the driver then, and
/// whether the session was over.
fn stopped_after(steps: u32, password: &[u8], protocol: Protocol, disturb: impl Fn(u32, &mut Net)) -> (bool, bool) {
    let options = ModelOptions { primaries: 3, password: Some(PASSWORD.to_vec()), ..ModelOptions::default() };
    let (mut net, mut app, mut clock) = (Net::with_options(options), App::default(), Ticks(0));
    (net.read, net.write) = (100, 7);
    app.patience = Some(Duration::from_millis(400));
    for n in 0..6 {
        app.push(&["SET", &format!("key:{n}"), "value"]);
    }
    app.push(&["INCR", "key:1"]);
    let mut cluster = Cluster::new(Config::new(7), StaticStorage::<4, 64, 128, 4, 34, 32>::new());
    let (mut lanes, mut rx, mut tx) = ([Lane::EMPTY; LANES], [0; LANES * RX], [0; LANES * TX]);
    let seeds = [NodeAddr::new("127.0.0.1", PORT).unwrap()];
    let settings = Settings { protocol, password: Some(Secret::new(password)), ..Settings::DEFAULT };
    let env = Env::new(&settings, &seeds);
    let mut driver = Driver::new(&mut cluster, env, Buffers::new(&mut lanes, &mut rx, &mut tx)).unwrap();
    let mut unsent = false;
    for step in 0..steps {
        disturb(step, &mut net);
        let driven = driver.drive(&mut clock, &mut net, &mut app, 1);
        if driven.idle {
            clock.0 = driven.wake.map_or(clock.0 + 1_000, |wake| clock.0.max(wake.as_micros()));
        }
        unsent = driver.buffered() > 0;
        quiet(&format!("{env:?} {:?} {:?}", settings, driver.cluster().last_rejection()));
    }
    for end in app.ends.values() {
        match end {
            End::Failed(failure) => quiet(&format!("{failure:?} {} {}", failure.outcome, failure.reason)),
            // The server's own words.
            End::Reply { raw, .. } => quiet(raw),
            End::Tokens(_) => panic!("{end:?}"),
        }
    }
    app.closed.iter().for_each(|reason| quiet(&format!("{reason:?} {}", reason.name())));
    let done = app.is_done();
    let _ = driver;
    lanes.iter().for_each(|lane| quiet(&format!("{lane:?} {lane:#?}")));
    quiet(&format!("{:?}", Buffers::new(&mut lanes, &mut rx, &mut tx)));
    assert!(!holds(&rx));
    if holds(&tx) {
        assert!(unsent, "after {steps} steps all was sent, and the password is still there");
    }
    (holds(&tx), done)
}

/// Whether the password was seen at any step, and how many sessions came to their end.
fn session(password: &[u8], protocol: Protocol, disturb: impl Fn(u32, &mut Net)) -> (bool, usize) {
    // Whether another test was first does not matter.
    let _: Result<(), log::SetLoggerError> = log::set_logger(&LOG);
    log::set_max_level(log::LevelFilter::Trace);
    let (mut seen, mut over) = (false, 0);
    for steps in (0..260).chain((260..4_000).step_by(97)) {
        let (there, done) = stopped_after(steps, password, protocol, &disturb);
        seen |= there;
        over += usize::from(done);
    }
    (seen, over)
}

#[test]
fn a_password_is_wiped_once_it_was_sent() {
    for protocol in [Protocol::Resp3OrFallback, Protocol::Resp2] {
        let (seen, over) = session(PASSWORD, protocol, |_, _| {});
        assert!(seen, "it is in the transmit buffer before it is sent");
        assert!(over > 10, "{over} sessions with answers");
    }
    assert!(logged() > 100, "{} lines", logged());
}

#[test]
fn a_refused_password_is_shown_nowhere() {
    // Another password of the same letters, so that it is looked for as well.
    let (seen, over) = session(b"c4nary-2", Protocol::Resp3OrFallback, |_, _| {});
    assert!(seen && over > 10, "{over} sessions in which the commands fail");
    assert!(logged() > 100, "{} lines", logged());
}

#[test]
fn a_password_that_could_not_be_sent_goes_with_its_connection() {
    // Peers take nothing for a while, so the handshake runs into its limit; then a few bytes of each frame.
    let (seen, over) = session(PASSWORD, Protocol::Resp3OrFallback, |step, net| {
        net.shut = if step < 300 { vec![0, 1, 2] } else { Vec::new() };
    });
    assert!(seen && over > 5, "{over} sessions");
}

#[test]
fn buffers_show_their_sizes_and_not_their_bytes() {
    let mut buffers = StaticBuffers::<2, RX, TX>::new();
    let text = format!("{buffers:?}");
    assert!(text.contains("1024") && text.contains("192") && text.len() < 2_000, "{text}");
    let text = format!("{:?}", buffers.lend());
    assert!(text.contains("2048") && text.contains("384") && text.len() < 2_000, "{text}");
}

//! `embedded-nal-async`: futures that must not be dropped half-done.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use slotwise::ids::ConnId;
use slotwise::pipeline::Outcome;
use slotwise::time::Instant;
use slotwise_embedded::{Alarm, Clock, Dial, Moved, NalConnections, NoDns, Transport};

use super::*;
use crate::world::Ticks;

#[derive(Default)]
struct Counts {
    begun: Cell<u32>,
    dropped: Cell<u32>,
    live: Cell<u32>,
    queries: Cell<u32>,
}

fn more(count: &Cell<u32>) {
    count.set(count.get() + 1);
}

struct Stack {
    net: RefCell<Net>,
    next: Cell<u32>,
    counts: Counts,
    /// A port where nobody ever answers.
    dead: Cell<u16>,
}

/// Counts a future that is dropped before its end.
struct HalfDone<'a>(&'a Counts);

impl Drop for HalfDone<'_> {
    fn drop(&mut self) {
        more(&self.0.dropped);
    }
}

struct Connection<'a> {
    stack: &'a Stack,
    conn: ConnId,
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        self.stack.counts.live.set(self.stack.counts.live.get() - 1);
        self.stack.net.borrow_mut().close(self.conn);
    }
}

/// Pends `times` times, waking its task.
async fn wait(times: u32) {
    let mut left = times;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(());
        }
        left -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl TcpConnect for Stack {
    type Error = ErrorKind;
    type Connection<'a> = Connection<'a>;

    async fn connect(&self, remote: SocketAddr) -> Result<Connection<'_>, ErrorKind> {
        more(&self.counts.begun);
        let half_done = HalfDone(&self.counts);
        if remote.port() == self.dead.get() {
            std::future::pending::<()>().await;
        }
        wait(3).await;
        std::mem::forget(half_done);
        more(&self.next);
        let conn = ConnId::new(self.next.get(), 0);
        match self.net.borrow_mut().dial(conn, &remote.ip().to_string(), remote.port()) {
            Dial::Open => {
                more(&self.counts.live);
                Ok(Connection { stack: self, conn })
            }
            _ => Err(ErrorKind::ConnectionRefused),
        }
    }
}

impl Dns for Stack {
    type Error = ();

    async fn get_host_by_name(&self, host: &str, _: AddrType) -> Result<IpAddr, ()> {
        more(&self.counts.queries);
        let half_done = HalfDone(&self.counts);
        wait(5).await;
        std::mem::forget(half_done);
        if host == NAME { Ok(Ipv4Addr::LOCALHOST.into()) } else { Err(()) }
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        panic!("nobody asks for names of addresses")
    }
}

impl ErrorType for Connection<'_> {
    type Error = ErrorKind;
}

impl Read for Connection<'_> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| match self.stack.net.borrow_mut().recv(self.conn, buf) {
            Moved::Bytes(count) => Poll::Ready(Ok(count)),
            Moved::WouldBlock => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Moved::Closed => Poll::Ready(Ok(0)),
        })
        .await
    }
}

impl Write for Connection<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|cx| match self.stack.net.borrow_mut().send(self.conn, bytes) {
            Moved::Bytes(count) => Poll::Ready(Ok(count)),
            Moved::WouldBlock => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Moved::Closed => Poll::Ready(Err(ErrorKind::ConnectionReset)),
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

struct Alarms(Ticks);

impl Clock for Alarms {
    fn now(&mut self) -> Instant {
        self.0.now()
    }
}

impl Alarm for Alarms {
    fn set(&mut self, _: Option<Instant>, _: &Waker) {}
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn stack(host: &str) -> Stack {
    Stack { net: RefCell::new(network(host)), next: Cell::new(0), counts: Counts::default(), dead: Cell::new(0) }
}

/// Runs until all commands have ended; the future is dropped and made anew after every `each` polls.
fn finish<D: Dns>(
    driver: &mut Driver<'_, Store>,
    connections: &mut NalConnections<'_, Stack, D, 4>,
    alarm: &mut Alarms,
    app: &mut App,
    each: u32,
) {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    for _ in 0..1_000_000 / each {
        let mut run = pin!(connections.run(driver, alarm, app, 20, |_, app| app.is_done()));
        for _ in 0..each {
            if run.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                return;
            }
            assert!(woken.0.swap(0, Ordering::Relaxed) > 0, "asleep for ever");
        }
    }
    panic!("not done: {:?}", app.ends);
}

#[test]
fn a_pipeline_over_named_nodes() {
    with_driver(NAME, |driver| {
        let (mut app, mut alarm) = (App::default(), Alarms(Ticks(0)));
        let stack = stack(NAME);
        let mut connections = NalConnections::<_, _, 4>::new(&stack, &stack);
        fill(&mut app);
        finish(driver, &mut connections, &mut alarm, &mut app, 1_000_000);
        check(&app);
        moved(&mut stack.net.borrow_mut(), "key:1");
        let tag = app.push(&["GET", "key:1"]);
        finish(driver, &mut connections, &mut alarm, &mut app, 1_000_000);
        was_followed(&app, tag, "1");
        let counts = &stack.counts;
        assert_eq!((counts.begun.get(), counts.queries.get(), counts.dropped.get()), (3, 3, 0));
        assert_eq!(counts.live.get(), 3);
        drop(connections);
        assert_eq!(counts.live.get(), 0);
    });
}

#[test]
fn dropping_the_future_keeps_connections_and_begins_dials_again() {
    with_driver("127.0.0.1", |driver| {
        let (mut app, mut alarm) = (App::default(), Alarms(Ticks(0)));
        let stack = stack("127.0.0.1");
        let mut connections = NalConnections::<_, _, 4>::new(&stack, &NoDns);
        fill(&mut app);
        finish(driver, &mut connections, &mut alarm, &mut app, 5);
        check(&app);
        assert_eq!(stack.next.get(), 3);
        assert!(stack.counts.dropped.get() > 0, "a dial was interrupted");
    });
}

#[test]
fn a_node_that_never_answers_a_dial_holds_up_no_other() {
    with_driver("127.0.0.1", |driver| {
        let (mut app, mut alarm) = (App::default(), Alarms(Ticks(0)));
        let stack = stack("127.0.0.1");
        // Any but the seed.
        stack.dead.set(PORT + 2);
        let dead = |key: &str| stack.net.borrow().model.owner(Slot::of_key(key.as_bytes()).get()) == Some(2);
        let mut connections = NalConnections::<_, _, 4>::new(&stack, &NoDns);
        let keys: Vec<String> = (0..30).map(|n| format!("key:{n}")).collect();
        let (lost, live): (Vec<_>, Vec<_>) = keys.iter().partition(|key| dead(key));
        let lost: Vec<u64> = lost.iter().map(|key| app.push(&["GET", key])).collect();
        let live: Vec<u64> = live.iter().map(|key| app.push(&["GET", key])).collect();
        let waker = Waker::noop();
        {
            let mut run =
                pin!(connections.run(driver, &mut alarm, &mut app, 20, |_, app| {
                    live.iter().all(|tag| app.ends.contains_key(tag))
                }));
            let polls = (0..20_000).take_while(|_| run.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
            assert!(polls.count() < 20_000);
        }
        assert!(lost.iter().all(|tag| !app.ends.contains_key(tag)));
        let time = alarm.0.0;
        assert!(time < 3_000_000, "{time} us");

        // The rest fails in time, and each dial that was given up was dropped.
        for _ in 0..40 {
            alarm.0.0 += 500_000;
            let mut run = pin!(connections.run(driver, &mut alarm, &mut app, 20, |_, _| false));
            for _ in 0..30 {
                let _ = run.as_mut().poll(&mut Context::from_waker(waker));
            }
        }
        for tag in lost {
            let End::Failed(failure) = &app.ends[&tag] else { panic!("{:?}", app.ends[&tag]) };
            assert_eq!(failure.outcome, Outcome::NotSent);
        }
        assert!(stack.counts.dropped.get() >= 3, "{}", stack.counts.dropped.get());
        // What may be left is a question of the engine's own, which is answered.
        let mut run = pin!(
            connections.run(driver, &mut alarm, &mut app, 20, |driver, _| { driver.cluster().commands_live() == 0 })
        );
        let polls = (0..2_000).take_while(|_| run.as_mut().poll(&mut Context::from_waker(waker)).is_pending());
        assert!(polls.count() < 2_000, "something is left over");
    });
}

#[test]
fn names_that_are_not_known_or_too_long_fail() {
    let long = "n".repeat(65);
    for seed in ["other.test", &long] {
        with_driver(seed, |driver| {
            let (mut app, mut alarm) = (App::default(), Alarms(Ticks(0)));
            let stack = stack(NAME);
            let mut connections = NalConnections::<_, _, 4>::new(&stack, &stack);
            let tag = app.push(&["GET", "key"]);
            while !app.is_done() {
                alarm.0.0 += 50_000;
                let mut run = pin!(connections.run(driver, &mut alarm, &mut app, 20, |_, _| false));
                for _ in 0..20 {
                    let _ = run.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                }
            }
            let End::Failed(failure) = &app.ends[&tag] else { panic!("{:?}", app.ends) };
            assert_eq!(failure.outcome, Outcome::NotSent);
            assert_eq!(stack.counts.queries.get() > 0, seed == "other.test");
        });
    }
}

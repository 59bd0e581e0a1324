//! The same network as `embedded-io` streams, blocking ones with readiness and async ones.

mod world;

use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use slotwise::addr::NodeAddr;
use slotwise::cluster::{Cluster, Config, Env, StaticStorage};
use slotwise::connection::Settings;
use slotwise::ids::ConnId;
use slotwise_embedded::{Dial, Driver, Moved, StaticBuffers, StreamSet, Streams, Transport};
use world::{App, Net, PORT, Ticks};

/// The network, and the connection that was asked for last.
struct Set {
    net: Net,
    conn: ConnId,
}

impl Set {
    fn new() -> Self {
        let mut net = Net::new(3);
        (net.read, net.write) = (5, 3);
        Self { net, conn: ConnId::new(0, 0) }
    }
}

impl ErrorType for Set {
    type Error = ErrorKind;
}

impl ReadReady for Set {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.net.hesitates() && self.net.readable(self.conn))
    }
}

impl WriteReady for Set {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.net.hesitates() && self.net.writable(self.conn))
    }
}

impl Read for Set {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        match self.net.recv(self.conn, buf) {
            Moved::Bytes(count) => Ok(count),
            Moved::WouldBlock => panic!("this read would have blocked"),
            Moved::Closed => Ok(0),
        }
    }
}

impl Write for Set {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        match self.net.send(self.conn, bytes) {
            Moved::Bytes(count) => Ok(count),
            Moved::WouldBlock => panic!("this write would have blocked"),
            Moved::Closed => Err(ErrorKind::ConnectionReset),
        }
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl StreamSet for Set {
    type Stream = Self;

    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        self.net.dial(conn, host, port)
    }

    fn stream(&mut self, conn: ConnId) -> Option<&mut Self> {
        self.conn = conn;
        Some(self)
    }

    fn close(&mut self, conn: ConnId) {
        self.net.close(conn);
    }
}

fn fill(app: &mut App) {
    for n in 0..50 {
        app.push(&["SET", &format!("key:{n}"), &n.to_string()]);
        app.push(&["GET", &format!("key:{n}")]);
    }
    app.push(&["SET", "large", &"v".repeat(3_000)]);
    app.push(&["GET", "large"]);
}

fn check(app: &App) {
    for n in 0..50_u64 {
        assert_eq!(app.reply(2 * n), "+OK\r\n");
        assert!(app.reply(2 * n + 1).ends_with(&format!("\n{n}\r\n")));
    }
    assert_eq!(app.reply(101), "v".repeat(3_000));
    assert_eq!(app.closed, []);
}

fn with_driver(test: impl FnOnce(&mut Driver<'_, StaticStorage<4, 64, 128, 4, 34, 32>>)) {
    let mut cluster = Cluster::new(Config::new(7), StaticStorage::new());
    let mut buffers = StaticBuffers::<4, 1024, 128>::new();
    let seeds = [NodeAddr::new("127.0.0.1", PORT).unwrap()];
    let env = Env::new(&Settings::DEFAULT, &seeds);
    test(&mut Driver::new(&mut cluster, env, buffers.lend()).unwrap());
}

#[test]
fn streams_are_only_used_when_ready() {
    with_driver(|driver| {
        let (mut app, mut clock) = (App::default(), Ticks(0));
        fill(&mut app);
        let mut set = Streams(Set::new());
        for _ in 0..1_000_000 {
            let driven = driver.drive(&mut clock, &mut set, &mut app, 20);
            if app.is_done() {
                return check(&app);
            }
            if driven.idle {
                clock.0 = clock.0.max(driven.wake.expect("stuck").as_micros());
            }
        }
        panic!("not done");
    });
}

#[cfg(feature = "async")]
mod asynch {
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use slotwise::time::Instant;
    use slotwise_embedded::{Alarm, AsyncStreamSet, Clock};

    use super::*;

    /// An async stream over the same network. What is pending wakes its task at once and gets through later.
    struct Waiting(Set);

    impl ErrorType for Waiting {
        type Error = ErrorKind;
    }

    impl embedded_io_async::Read for Waiting {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
            poll_fn(|cx| match self.0.net.recv(self.0.conn, buf) {
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

    impl embedded_io_async::Write for Waiting {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            poll_fn(|cx| match self.0.net.send(self.0.conn, bytes) {
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

    impl AsyncStreamSet for Waiting {
        type Stream = Self;

        fn poll_dial(&mut self, cx: &mut Context<'_>, conn: ConnId, host: &str, port: u16) -> Dial {
            let dial = self.0.net.dial(conn, host, port);
            if dial == Dial::Pending {
                cx.waker().wake_by_ref();
            }
            dial
        }

        fn stream(&mut self, conn: ConnId) -> Option<&mut Self> {
            self.0.conn = conn;
            Some(self)
        }

        fn close(&mut self, conn: ConnId) {
            self.0.net.close(conn);
        }
    }

    struct Alarms(Ticks, usize);

    impl Clock for Alarms {
        fn now(&mut self) -> Instant {
            self.0.now()
        }
    }

    impl Alarm for Alarms {
        fn set(&mut self, at: Option<Instant>, _: &Waker) {
            self.1 += usize::from(at.is_some());
        }
    }

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_future_does_what_the_loop_does() {
        with_driver(|driver| {
            let (mut app, mut alarm) = (App::default(), Alarms(Ticks(0), 0));
            fill(&mut app);
            let mut set = Waiting(Set::new());
            (set.0.net.hesitant, set.0.net.dial_looks) = (true, 2);
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut polls = 0_usize;
            // The future is dropped now and then and made anew, which must lose nothing.
            'again: loop {
                let mut run = pin!(driver.run(&mut alarm, &mut set, &mut app, 20, |_, app| app.is_done()));
                for _ in 0..10 {
                    polls += 1;
                    if run.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
                        break 'again;
                    }
                    assert!(woken.0.swap(0, Ordering::Relaxed) > 0, "asleep for ever after {polls} polls");
                }
                assert!(polls < 1_000_000);
            }
            check(&app);
            assert!(alarm.1 > 0, "the engine's timers were handed to the alarm");
        });
    }
}

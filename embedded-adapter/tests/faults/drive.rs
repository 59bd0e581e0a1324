//! Two ways to drive: calling [`Driver::drive`], and polling the future.

use slotwise::time::Instant;
use slotwise_embedded::Driver;

use crate::Store;
use crate::world::{App, Net, Ticks};

pub(crate) trait Drive: Copy {
    const NAME: &'static str;

    /// One turn: whether all that could be done is done, and the next timer.
    fn turn(
        &mut self,
        driver: &mut Driver<'_, Store>,
        net: &mut Net,
        app: &mut App,
        clock: &mut Ticks,
    ) -> (bool, Option<Instant>);
}

#[derive(Clone, Copy)]
pub(crate) struct Loop;

impl Drive for Loop {
    const NAME: &'static str = "loop";

    fn turn(
        &mut self,
        driver: &mut Driver<'_, Store>,
        net: &mut Net,
        app: &mut App,
        clock: &mut Ticks,
    ) -> (bool, Option<Instant>) {
        let driven = driver.drive(clock, net, app, 10);
        assert!(driven.steps <= 10);
        (driven.idle, driven.wake)
    }
}

#[cfg(feature = "async")]
pub(crate) use asynch::Future;

#[cfg(feature = "async")]
mod asynch {
    use std::future::{Future as _, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
    use slotwise::ids::ConnId;
    use slotwise_embedded::{Alarm, AsyncStreamSet, Clock, Dial, Moved, Transport};

    use super::*;

    /// Each turn polls a new future once, so it is dropped while it waits all the time.
    #[derive(Clone, Copy)]
    pub(crate) struct Future;

    impl Drive for Future {
        const NAME: &'static str = "future";

        fn turn(
            &mut self,
            driver: &mut Driver<'_, Store>,
            net: &mut Net,
            app: &mut App,
            clock: &mut Ticks,
        ) -> (bool, Option<Instant>) {
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut alarm = Alarms(clock, None);
            let mut set = Set { net, conn: ConnId::new(0, 0) };
            let run = driver.run(&mut alarm, &mut set, app, 10, |_, _| false);
            assert!(pin!(run).poll(&mut Context::from_waker(&waker)).is_pending());
            (!woken.0.load(Ordering::Relaxed), alarm.1)
        }
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    struct Alarms<'c>(&'c mut Ticks, Option<Instant>);

    impl Clock for Alarms<'_> {
        fn now(&mut self) -> Instant {
            self.0.now()
        }
    }

    impl Alarm for Alarms<'_> {
        fn set(&mut self, at: Option<Instant>, _: &Waker) {
            self.1 = at;
        }
    }

    /// The network as a set of streams; the connection asked for last is the stream.
    struct Set<'n> {
        net: &'n mut Net,
        conn: ConnId,
    }

    impl ErrorType for Set<'_> {
        type Error = ErrorKind;
    }

    impl Read for Set<'_> {
        async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
            poll_fn(|_| match self.net.recv(self.conn, buf) {
                Moved::Bytes(count) => Poll::Ready(Ok(count)),
                Moved::WouldBlock => Poll::Pending,
                Moved::Closed => Poll::Ready(Ok(0)),
            })
            .await
        }
    }

    impl Write for Set<'_> {
        async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
            poll_fn(|_| match self.net.send(self.conn, bytes) {
                Moved::Bytes(count) => Poll::Ready(Ok(count)),
                Moved::WouldBlock => Poll::Pending,
                Moved::Closed => Poll::Ready(Err(ErrorKind::ConnectionReset)),
            })
            .await
        }

        async fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    impl AsyncStreamSet for Set<'_> {
        type Stream = Self;

        fn poll_dial(&mut self, _: &mut Context<'_>, conn: ConnId, host: &str, port: u16) -> Dial {
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
}

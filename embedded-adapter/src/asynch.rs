//! The driver as a future, over `embedded-io-async` streams. Steps and order are the blocking driver's; only the loop around
//! them differs.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_io_async::{Read, Write};
use slotwise::cluster::Storage;
use slotwise::ids::ConnId;
use slotwise::time::Instant;

use crate::driver::Driver;
use crate::streams::moved;
use crate::transport::{Clock, Dial, Moved, Transport};
use crate::work::Work;

/// A set of `embedded-io-async` streams: how to get one, and where it is.
pub trait AsyncStreamSet {
    /// One connection. Its `read` and `write` must be side-effect-free on cancel, as `embedded-io-async` puts it: a future
    /// that was pending and is dropped has moved no byte. The TCP sockets of the usual stacks are. A stream that is not
    /// (one with DMA straight into the buffer) needs a buffer of its own in between. Nobody calls `flush`: what `write`
    /// took must go out by itself.
    type Stream: Read + Write;

    /// See [`Transport::dial`]; while the dial is pending, the waker in `cx` must be woken when it goes on. A look-up or a
    /// connect that is a future is kept by the set and polled here.
    fn poll_dial(&mut self, cx: &mut Context<'_>, conn: ConnId, host: &str, port: u16) -> Dial;

    /// The stream of a connection that was dialled.
    fn stream(&mut self, conn: ConnId) -> Option<&mut Self::Stream>;

    /// See [`Transport::close`].
    fn close(&mut self, conn: ConnId);
}

/// A [`Clock`] that can wake a task.
pub trait Alarm: Clock {
    /// Wakes the task at `at` or a little later; `None`: not at all. Each call replaces the one before.
    fn set(&mut self, at: Option<Instant>, waker: &Waker);
}

/// A set of streams for the length of one poll.
struct Polled<'p, 'c, S> {
    set: &'p mut S,
    cx: &'p mut Context<'c>,
}

impl<S: AsyncStreamSet> Transport for Polled<'_, '_, S> {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        self.set.poll_dial(self.cx, conn, host, port)
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        let Some(stream) = self.set.stream(conn) else { return Moved::Closed };
        match pin!(stream.read(buf)).poll(self.cx) {
            Poll::Ready(result) => moved(result),
            Poll::Pending => Moved::WouldBlock,
        }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        let Some(stream) = self.set.stream(conn) else { return Moved::Closed };
        match pin!(stream.write(bytes)).poll(self.cx) {
            Poll::Ready(result) => moved(result),
            Poll::Pending => Moved::WouldBlock,
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.set.close(conn);
    }
}

impl<S: Storage> Driver<'_, S> {
    /// Drives until `done` says so, which is asked after each turn of at most `budget` steps (at least 1); between turns
    /// other tasks run.
    ///
    /// Dropping the future loses nothing: all state is in the driver, the buffers and the streams, and a new call goes on.
    pub async fn run<C, N, W>(
        &mut self,
        alarm: &mut C,
        net: &mut N,
        work: &mut W,
        budget: u32,
        mut done: impl FnMut(&mut Self, &mut W) -> bool,
    ) where
        C: Alarm,
        N: AsyncStreamSet,
        W: Work + ?Sized,
    {
        poll_fn(|cx| {
            work.register(cx.waker());
            let driven = self.drive(alarm, &mut Polled { set: &mut *net, cx: &mut *cx }, work, budget.max(1));
            if done(self, work) {
                return Poll::Ready(());
            }
            if driven.idle {
                alarm.set(driven.wake, cx.waker());
            } else {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })
        .await;
    }
}

//! A driver over an `embedded-nal-async` stack.

use core::cell::Cell;
use core::convert::Infallible;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::{Context, Poll};

use embassy_futures::join::join_array;
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use slotwise::cluster::Storage;
use slotwise::ids::ConnId;

use crate::asynch::{Alarm, AsyncStreamSet};
use crate::driver::Driver;
use crate::literal::literal;
use crate::transport::Dial;
use crate::work::Work;

/// The TCP connections of an `embedded-nal-async` stack for a driver: up to `N` at a time, one for each connection of the
/// engine. Dials of connections beyond them fail, and so do dials of host names longer than `NAME` bytes.
///
/// Every look-up and every connect is a future that is kept until it is done, all of them side by side, so that a node
/// that does not answer holds up no other. It is dropped early in one case: the engine gave the dial up. What
/// the stack's connections read and write must be side-effect-free on cancel (see [`AsyncStreamSet::Stream`]); those of
/// embassy-net are.
///
/// ```
/// # use slotwise_embedded::{Alarm, Driver, NalConnections, NoDns, Work};
/// # async fn task<S: slotwise_embedded::slotwise::cluster::Storage>(
/// #     stack: &impl embedded_nal_async::TcpConnect, driver: &mut Driver<'_, S>,
/// #     alarm: &mut impl Alarm, work: &mut impl Work,
/// # ) {
/// let mut connections = NalConnections::<_, _, 4>::new(stack, &NoDns);
/// connections.run(driver, alarm, work, 32, |_, _| false).await;
/// # }
/// ```
pub struct NalConnections<'s, T: TcpConnect + 's, D, const N: usize, const NAME: usize = 64> {
    stack: &'s T,
    dns: &'s D,
    desks: [Desk<T::Connection<'s>, NAME>; N],
    lines: [Option<Line<T::Connection<'s>>>; N],
}

/// What the driver and the future that dials for one of its connections tell each other.
struct Desk<C, const NAME: usize> {
    /// What to dial. It stays until it is done or given up, so that a future made anew begins with it.
    order: Cell<Option<Order<NAME>>>,
    /// What came of it.
    done: Cell<Option<Result<C, ()>>>,
}

#[derive(Clone, Copy)]
struct Order<const NAME: usize> {
    conn: ConnId,
    host: Host<NAME>,
    port: u16,
}

#[derive(Clone, Copy)]
enum Host<const NAME: usize> {
    Address(IpAddr),
    /// Bytes, and how many of them count.
    Name([u8; NAME], usize),
}

/// One connection, with its stream once it is open.
struct Line<C> {
    conn: ConnId,
    stream: Option<C>,
}

/// The set as the driver sees it while it runs.
struct Set<'r, C, const NAME: usize> {
    desks: &'r [Desk<C, NAME>],
    lines: &'r mut [Option<Line<C>>],
}

impl<'s, T: TcpConnect + 's, D: Dns, const N: usize> NalConnections<'s, T, D, N> {
    /// No connections yet, and room for host names of 64 bytes. Without a resolver, give [`NoDns`].
    #[must_use]
    pub fn new(stack: &'s T, dns: &'s D) -> Self {
        Self::with_names(stack, dns)
    }
}

impl<'s, T: TcpConnect + 's, D: Dns, const N: usize, const NAME: usize> NalConnections<'s, T, D, N, NAME> {
    /// The same with room for host names of `NAME` bytes.
    #[must_use]
    pub fn with_names(stack: &'s T, dns: &'s D) -> Self {
        let desk = || Desk { order: Cell::new(None), done: Cell::new(None) };
        Self { stack, dns, desks: [(); N].map(|()| desk()), lines: [(); N].map(|()| None) }
    }

    /// Drives until `done` says so; see [`Driver::run`].
    ///
    /// Dropping the future loses nothing but the progress of dials, which begin again in the next call: open
    /// connections stay in `self`.
    pub async fn run<S, C, W>(
        &mut self,
        driver: &mut Driver<'_, S>,
        alarm: &mut C,
        work: &mut W,
        budget: u32,
        done: impl FnMut(&mut Driver<'_, S>, &mut W) -> bool,
    ) where
        S: Storage,
        C: Alarm,
        W: Work + ?Sized,
    {
        let (stack, dns) = (self.stack, self.dns);
        let mut set = Set { desks: &self.desks, lines: &mut self.lines };
        let mut dials = pin!(join_array(self.desks.each_ref().map(|desk| desk.attend(stack, dns))));
        let mut driven = pin!(driver.run(alarm, &mut set, work, budget, done));
        poll_fn(|cx| {
            let driven = driven.as_mut().poll(cx);
            if driven.is_pending() {
                // What was ordered is begun at once. It never ends, and wakes the driver when something is done.
                let _ = dials.as_mut().poll(cx);
            }
            driven
        })
        .await;
    }
}

impl<C, const NAME: usize> Desk<C, NAME> {
    /// Dials what is ordered, one order after the other, for ever.
    async fn attend<'s, T, D>(&self, stack: &'s T, dns: &D) -> Infallible
    where
        T: TcpConnect<Connection<'s> = C> + 's,
        D: Dns,
    {
        loop {
            let order = poll_fn(|_| self.open_order().map_or(Poll::Pending, Poll::Ready)).await;
            let mut dial = pin!(order.dial(stack, dns));
            poll_fn(|cx| {
                if self.order.get().is_none_or(|current| current.conn != order.conn) {
                    // Given up: the future is dropped.
                    return Poll::Ready(());
                }
                dial.as_mut().poll(cx).map(|result| {
                    self.done.set(Some(result));
                    self.order.set(None);
                    cx.waker().wake_by_ref();
                })
            })
            .await;
        }
    }

    fn open_order(&self) -> Option<Order<NAME>> {
        self.order.get()
    }

    fn clear(&self) {
        self.order.set(None);
        self.done.set(None);
    }
}

impl<const NAME: usize> Order<NAME> {
    /// `None` if the name is too long.
    fn new(conn: ConnId, host: &str, port: u16) -> Option<Self> {
        let host = match literal(host) {
            Some(addr) => Host::Address(addr),
            None => {
                let mut name = [0; NAME];
                let room = name.get_mut(..host.len())?;
                room.iter_mut().zip(host.as_bytes()).for_each(|(to, byte)| *to = *byte);
                Host::Name(name, host.len())
            }
        };
        Some(Self { conn, host, port })
    }

    async fn dial<'s, T: TcpConnect, D: Dns>(&self, stack: &'s T, dns: &D) -> Result<T::Connection<'s>, ()> {
        let addr = match &self.host {
            Host::Address(addr) => *addr,
            Host::Name(bytes, len) => {
                let name = bytes.get(..*len).and_then(|name| str::from_utf8(name).ok()).ok_or(())?;
                dns.get_host_by_name(name, AddrType::Either).await.map_err(|_| ())?
            }
        };
        stack.connect(SocketAddr::new(addr, self.port)).await.map_err(|_| ())
    }
}

impl<C, const NAME: usize> AsyncStreamSet for Set<'_, C, NAME>
where
    C: embedded_io_async::Read + embedded_io_async::Write,
{
    type Stream = C;

    fn poll_dial(&mut self, _: &mut Context<'_>, conn: ConnId, host: &str, port: u16) -> Dial {
        let (Some(desk), Some(place)) = (self.desks.get(conn.index()), self.lines.get_mut(conn.index())) else {
            return Dial::Failed;
        };
        if place.as_ref().is_none_or(|line| line.conn != conn) {
            let Some(order) = Order::new(conn, host, port) else { return Dial::Failed };
            desk.clear();
            desk.order.set(Some(order));
            *place = Some(Line { conn, stream: None });
            return Dial::Pending;
        }
        match desk.done.take() {
            Some(Ok(stream)) => {
                *place = Some(Line { conn, stream: Some(stream) });
                Dial::Open
            }
            Some(Err(())) => {
                *place = None;
                Dial::Failed
            }
            None => Dial::Pending,
        }
    }

    fn stream(&mut self, conn: ConnId) -> Option<&mut C> {
        let line = self.lines.get_mut(conn.index())?.as_mut()?;
        if line.conn == conn { line.stream.as_mut() } else { None }
    }

    fn close(&mut self, conn: ConnId) {
        if let (Some(desk), Some(place)) = (self.desks.get(conn.index()), self.lines.get_mut(conn.index()))
            && place.take_if(|line| line.conn == conn).is_some()
        {
            desk.clear();
        }
    }
}

impl<'s, T: TcpConnect + 's, D, const N: usize, const NAME: usize> fmt::Debug for NalConnections<'s, T, D, N, NAME> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.lines.iter().filter(|line| line.is_some()).count();
        f.debug_struct("NalConnections").field("connections", &N).field("used", &used).finish_non_exhaustive()
    }
}

/// A resolver that knows no name: only addresses can be dialled.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDns;

impl Dns for NoDns {
    type Error = ();

    async fn get_host_by_name(&self, _: &str, _: AddrType) -> Result<IpAddr, ()> {
        Err(())
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}

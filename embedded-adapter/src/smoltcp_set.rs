//! A [`Transport`] over the TCP sockets of an smoltcp `SocketSet`.

use core::fmt;
use core::net::IpAddr;

use slotwise::ids::ConnId;
use slotwise::rand::Rand;
use slotwise::time::Instant;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
#[cfg(feature = "smoltcp-dns")]
use smoltcp::socket::dns::{self, QueryHandle};
use smoltcp::socket::{AnySocket, tcp};
use smoltcp::time::{Duration as SmolDuration, Instant as SmolInstant};
#[cfg(feature = "smoltcp-dns")]
use smoltcp::wire::DnsQueryType;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::driver::Driven;
use crate::literal::literal;
use crate::transport::{Dial, Moved, Transport};

/// The first ephemeral port, and how many there are (RFC 6335, section 6).
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;

/// How many views (one for each poll of the interface, roughly) a socket is given to send the reset of its last
/// connection before it is used again. It can only take longer while nothing at all gets out.
const RESET_TURNS: u32 = 16;

/// Which of an smoltcp `SocketSet`'s TCP sockets belong to a driver, and what they are doing: one for each connection of
/// the engine. 144 bytes for four where pointers have 32 bits, beside smoltcp's own sockets (336 bytes each) and windows.
///
/// It lies beside the `Interface` and the `SocketSet`, which stay the caller's, with other sockets in it if there are any.
/// Between polls of the interface, [`SmoltcpSet::net`] makes the [`Transport`] that a driver wants:
///
/// ```no_run
/// # fn wait_for_interrupt_or(_: Option<slotwise_embedded::slotwise::time::Instant>) {}
/// # fn main_loop<D: smoltcp::phy::Device, S: slotwise_embedded::slotwise::cluster::Storage>(
/// #     device: &mut D, iface: &mut smoltcp::iface::Interface, sockets: &mut smoltcp::iface::SocketSet<'_>,
/// #     driver: &mut slotwise_embedded::Driver<'_, S>, clock: &mut impl slotwise_embedded::Clock,
/// #     work: &mut impl slotwise_embedded::Work, handles: [smoltcp::iface::SocketHandle; 4], device_id: u64,
/// # ) {
/// use slotwise_embedded::{SmoltcpSet, smoltcp_time};
///
/// let mut set = SmoltcpSet::new(handles, device_id);
/// loop {
///     let now = clock.now();
///     iface.poll(smoltcp_time(now), device, sockets);
///     let mut net = set.net(iface, sockets);
///     let driven = driver.drive(clock, &mut net, work, 32);
///     // Feed the watchdog here.
///     wait_for_interrupt_or(net.wake(clock.now(), &driven));
/// }
/// # }
/// ```
///
/// What is written goes out with the next poll of the interface, so a loop does both in turn.
///
/// The acknowledgement delay and Nagle's algorithm are switched off at each dial, since requests and responses are waited
/// for. A connection ends with a reset, so that its socket can be used again at once; replies have been read before the
/// driver closes one.
pub struct SmoltcpSet<const N: usize> {
    lines: [Line; N],
    #[cfg(feature = "smoltcp-dns")]
    dns: Option<SocketHandle>,
    keep_alive: Option<SmolDuration>,
    timeout: Option<SmolDuration>,
    rand: Rand,
    port: u16,
    /// Views so far.
    turn: u32,
}

/// One connection's socket.
#[derive(Clone, Copy)]
struct Line {
    socket: SocketHandle,
    conn: ConnId,
    stage: Stage,
    /// The turn in which its last connection ended.
    ended: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    /// No connection.
    Free,
    /// Its host is to be looked up.
    Named,
    /// The name server is asked, for an IPv6 address if `six`.
    #[cfg(feature = "smoltcp-dns")]
    Asked {
        query: QueryHandle,
        six: bool,
    },
    /// The address is known, the socket not connecting yet.
    Found(IpAddress),
    Connecting,
    Open,
}

impl<const N: usize> SmoltcpSet<N> {
    /// A set over these sockets, one for each connection of the engine's storage: dials of connections beyond them
    /// fail. The handles must be of TCP sockets in the `SocketSet` that is given to [`SmoltcpSet::net`], otherwise that
    /// set panics.
    ///
    /// The seed decides the local ports. It should differ from device to device and from boot to boot: a device that
    /// restarts with the same ports meets its own old connections.
    #[must_use]
    pub fn new(sockets: [SocketHandle; N], seed: u64) -> Self {
        let mut rand = Rand::new(seed);
        let port = below(&mut rand, PORTS);
        let line = |socket| Line { socket, conn: ConnId::new(0, 0), stage: Stage::Free, ended: 0 };
        Self {
            lines: sockets.map(line),
            #[cfg(feature = "smoltcp-dns")]
            dns: None,
            keep_alive: None,
            timeout: None,
            rand,
            port,
            turn: 0,
        }
    }

    /// Looks host names up through this DNS socket of the same `SocketSet`, IPv4 first. Without one, only addresses can
    /// be dialled. One query of the socket is used for each look-up; other users may share it.
    #[cfg(feature = "smoltcp-dns")]
    #[must_use]
    pub const fn with_dns(mut self, socket: SocketHandle) -> Self {
        self.dns = Some(socket);
        self
    }

    /// Sends a keep-alive segment after `interval` without one from the peer, and ends the connection when `patience` more
    /// goes by without one: the peer is gone. Off by default: the engine itself probes a connection on which replies are
    /// due. Use it where connections are idle for long, behind a router that forgets them.
    ///
    /// A peer that keeps its window shut still acknowledges, so this does not end its connection.
    #[must_use]
    pub const fn with_keep_alive(mut self, interval: SmolDuration, patience: SmolDuration) -> Self {
        self.keep_alive = Some(interval);
        // smoltcp counts it from the peer's last segment.
        let micros = interval.total_micros().saturating_add(patience.total_micros());
        self.timeout = Some(SmolDuration::from_micros(micros));
        self
    }

    /// The transport, until the interface is polled the next time.
    pub const fn net<'n, 's>(
        &'n mut self,
        iface: &'n mut Interface,
        sockets: &'n mut SocketSet<'s>,
    ) -> SmoltcpNet<'n, 's, N> {
        self.turn = self.turn.wrapping_add(1);
        SmoltcpNet { set: self, iface, sockets }
    }
}

impl<const N: usize> SmoltcpSet<N> {
    /// The socket of an open connection.
    fn open(&self, conn: ConnId) -> Option<SocketHandle> {
        let line = self.lines.get(conn.index())?;
        (line.conn == conn && matches!(line.stage, Stage::Open)).then_some(line.socket)
    }
}

impl<const N: usize> fmt::Debug for SmoltcpSet<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = self.lines.iter().filter(|line| matches!(line.stage, Stage::Open)).count();
        let free = self.lines.iter().filter(|line| matches!(line.stage, Stage::Free)).count();
        f.debug_struct("SmoltcpSet")
            .field("sockets", &N)
            .field("open", &open)
            .field("free", &free)
            .finish_non_exhaustive()
    }
}

/// [`SmoltcpSet`] with the interface and the sockets: a [`Transport`] until the interface is polled again.
pub struct SmoltcpNet<'n, 's, const N: usize> {
    set: &'n mut SmoltcpSet<N>,
    iface: &'n mut Interface,
    sockets: &'n mut SocketSet<'s>,
}

impl<const N: usize> SmoltcpNet<'_, '_, N> {
    /// When the main loop has to go on at the latest: the driver and the interface both have something to say. At once
    /// (`now`) while either has work left; `None` if only a received frame or the application can change anything.
    #[must_use]
    pub fn wake(&mut self, now: Instant, driven: &Driven) -> Option<Instant> {
        if !driven.idle {
            return Some(now);
        }
        let poll = self.iface.poll_at(smoltcp_time(now), self.sockets);
        let poll = poll.map(|at| Instant::from_micros(u64::try_from(at.total_micros()).unwrap_or_default()).max(now));
        match (poll, driven.wake) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        }
    }

    /// Goes on with a dial until it has to wait.
    fn advance(&mut self, at: usize, host: &str, port: u16) -> Dial {
        loop {
            let Some(line) = self.set.lines.get(at).copied() else { return Dial::Failed };
            let next = match line.stage {
                Stage::Free => return Dial::Failed,
                Stage::Open => return Dial::Open,
                Stage::Named => match literal(host) {
                    Some(addr) => supported(addr).map(Stage::Found).ok_or(Dial::Failed),
                    None => self.ask(host, false),
                },
                #[cfg(feature = "smoltcp-dns")]
                Stage::Asked { query, six } => self.answer(host, query, six),
                Stage::Found(addr) => self.connect(line, addr, port),
                Stage::Connecting => match self.sockets.get::<tcp::Socket<'_>>(line.socket).state() {
                    tcp::State::SynSent | tcp::State::SynReceived => Err(Dial::Pending),
                    tcp::State::Established | tcp::State::CloseWait => Ok(Stage::Open),
                    _ => Err(Dial::Failed),
                },
            };
            match next {
                Ok(stage) => self.set_stage(at, stage),
                Err(Dial::Failed) => {
                    if !matches!(line.stage, Stage::Connecting) {
                        // No socket is in use, and a query that failed has been given back.
                        self.set_stage(at, Stage::Free);
                    }
                    self.release(at);
                    return Dial::Failed;
                }
                Err(dial) => return dial,
            }
        }
    }

    fn set_stage(&mut self, at: usize, stage: Stage) {
        if let Some(line) = self.set.lines.get_mut(at) {
            line.stage = stage;
        }
    }

    /// Asks the name server. While all its queries are in use, that is tried again.
    #[cfg(feature = "smoltcp-dns")]
    fn ask(&mut self, host: &str, six: bool) -> Result<Stage, Dial> {
        let Some(handle) = self.set.dns else { return Err(Dial::Failed) };
        let kind = if six { DnsQueryType::Aaaa } else { DnsQueryType::A };
        match self.sockets.get_mut::<dns::Socket<'_>>(handle).start_query(self.iface.context(), host, kind) {
            Ok(query) => Ok(Stage::Asked { query, six }),
            Err(dns::StartQueryError::NoFreeSlot) => Err(Dial::Pending),
            Err(_) => Err(Dial::Failed),
        }
    }

    #[cfg(not(feature = "smoltcp-dns"))]
    fn ask(&mut self, _: &str, _: bool) -> Result<Stage, Dial> {
        Err(Dial::Failed)
    }

    #[cfg(feature = "smoltcp-dns")]
    fn answer(&mut self, host: &str, query: QueryHandle, six: bool) -> Result<Stage, Dial> {
        let Some(handle) = self.set.dns else { return Err(Dial::Failed) };
        match self.sockets.get_mut::<dns::Socket<'_>>(handle).get_query_result(query) {
            Ok(found) => {
                // Any of them, so that one that is dead does not keep the host out of reach for ever.
                let count = u32::try_from(found.len()).unwrap_or_default();
                let pick = self.set.rand.below(count) as usize;
                found.get(pick).copied().map(Stage::Found).ok_or(Dial::Failed)
            }
            Err(dns::GetQueryResultError::Pending) => Err(Dial::Pending),
            Err(dns::GetQueryResultError::Failed) if cfg!(feature = "smoltcp-ipv6") && !six => {
                // The query is gone, and the next may have to wait for a free one.
                match self.ask(host, true) {
                    Err(Dial::Pending) => Err(Dial::Failed),
                    asked => asked,
                }
            }
            Err(dns::GetQueryResultError::Failed) => Err(Dial::Failed),
        }
    }

    fn connect(&mut self, line: Line, addr: IpAddress, port: u16) -> Result<Stage, Dial> {
        let local = self.free_port();
        let turns = self.set.turn.wrapping_sub(line.ended);
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(line.socket);
        if socket.state() == tcp::State::Closed && socket.remote_endpoint().is_some() && turns < RESET_TURNS {
            // The peer of the last connection has not been told of its end.
            return Err(Dial::Pending);
        }
        socket.abort();
        socket.set_ack_delay(None);
        socket.set_nagle_enabled(false);
        socket.set_keep_alive(self.set.keep_alive);
        socket.set_timeout(self.set.timeout);
        match socket.connect(self.iface.context(), IpEndpoint::new(addr, port), local) {
            Ok(()) => Ok(Stage::Connecting),
            Err(_) => Err(Dial::Failed),
        }
    }

    /// A local port that no socket of the set uses, a random step from the last one.
    fn free_port(&mut self) -> u16 {
        // There are more ports than sockets.
        for _ in 0..PORTS {
            let step = below(&mut self.set.rand, 64).saturating_add(1);
            self.set.port = self.set.port.wrapping_add(step) & (PORTS - 1);
            let port = FIRST_PORT.saturating_add(self.set.port);
            let taken = |socket| {
                let local = tcp::Socket::downcast(socket).and_then(tcp::Socket::local_endpoint);
                local.is_some_and(|local| local.port == port)
            };
            if !self.sockets.iter().any(|(_, socket)| taken(socket)) {
                return port;
            }
        }
        FIRST_PORT
    }

    /// Gives the line's socket, or its query, back.
    fn release(&mut self, at: usize) {
        let turn = self.set.turn;
        let Some(line) = self.set.lines.get_mut(at) else { return };
        let old = core::mem::replace(&mut line.stage, Stage::Free);
        match old {
            Stage::Free | Stage::Named | Stage::Found(_) => {}
            #[cfg(feature = "smoltcp-dns")]
            Stage::Asked { query, .. } => {
                if let Some(handle) = self.set.dns {
                    self.sockets.get_mut::<dns::Socket<'_>>(handle).cancel_query(query);
                }
            }
            Stage::Connecting | Stage::Open => {
                line.ended = turn;
                let socket = line.socket;
                self.sockets.get_mut::<tcp::Socket<'_>>(socket).abort();
            }
        }
    }
}

impl<const N: usize> Transport for SmoltcpNet<'_, '_, N> {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        let at = conn.index();
        let Some(line) = self.set.lines.get(at) else { return Dial::Failed };
        if line.conn != conn || matches!(line.stage, Stage::Free) {
            self.release(at);
            if let Some(line) = self.set.lines.get_mut(at) {
                line.conn = conn;
                line.stage = Stage::Named;
            }
        }
        self.advance(at, host, port)
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        let Some(handle) = self.set.open(conn) else { return Moved::Closed };
        match self.sockets.get_mut::<tcp::Socket<'_>>(handle).recv_slice(buf) {
            Ok(0) => Moved::WouldBlock,
            Ok(count) => Moved::Bytes(count),
            // The peer's end of stream, or a reset.
            Err(_) => Moved::Closed,
        }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        let Some(handle) = self.set.open(conn) else { return Moved::Closed };
        match self.sockets.get_mut::<tcp::Socket<'_>>(handle).send_slice(bytes) {
            Ok(0) => Moved::WouldBlock,
            Ok(count) => Moved::Bytes(count),
            Err(_) => Moved::Closed,
        }
    }

    fn close(&mut self, conn: ConnId) {
        if self.set.lines.get(conn.index()).is_some_and(|line| line.conn == conn) {
            self.release(conn.index());
        }
    }
}

impl<const N: usize> fmt::Debug for SmoltcpNet<'_, '_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SmoltcpNet").field("set", &self.set).finish_non_exhaustive()
    }
}

/// The driver's time as smoltcp wants it. Both count microseconds; let both count from the same start.
#[must_use]
pub fn smoltcp_time(now: Instant) -> SmolInstant {
    SmolInstant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// The address, if smoltcp was built for its kind.
const fn supported(addr: IpAddr) -> Option<IpAddress> {
    match addr {
        IpAddr::V4(addr) => Some(IpAddress::Ipv4(addr)),
        #[cfg(feature = "smoltcp-ipv6")]
        IpAddr::V6(addr) => Some(IpAddress::Ipv6(addr)),
        #[cfg(not(feature = "smoltcp-ipv6"))]
        IpAddr::V6(_) => None,
    }
}

fn below(rand: &mut Rand, bound: u16) -> u16 {
    u16::try_from(rand.below(u32::from(bound))).unwrap_or_default()
}

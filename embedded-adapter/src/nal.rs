//! A [`Transport`] over an `embedded-nal` stack.

use core::fmt;
use core::marker::PhantomData;
use core::net::{IpAddr, SocketAddr};

use embedded_nal::{AddrType, Dns, TcpClientStack, nb};
use slotwise::ids::ConnId;

use crate::literal::literal;
use crate::transport::{Dial, Moved, Transport};

/// The TCP sockets of an `embedded-nal` stack as a [`Transport`]: up to `N` at a time, one for each connection of the
/// engine. Dials of connections beyond them fail.
///
/// A socket is asked of the stack for each dial and given back at its end. Any error of the stack ends the connection it
/// concerns; a `receive` of 0 bytes is taken for the end of the stream, a `send` of 0 bytes for a full buffer.
///
/// `L` says who looks names up: [`Literals`] nobody, [`StackDns`] the stack.
pub struct NalSet<S: TcpClientStack, const N: usize, L = Literals> {
    stack: S,
    lines: [Option<Line<S::TcpSocket>>; N],
    /// The connection whose host is being looked up. One at a time, since the stack is asked again with the name alone.
    looking: Option<ConnId>,
    names: PhantomData<L>,
}

/// One connection.
struct Line<T> {
    conn: ConnId,
    stage: Stage<T>,
}

enum Stage<T> {
    /// Its host is to be looked up.
    Named,
    Connecting(T, SocketAddr),
    Open(T),
}

/// Who looks up host names for a [`NalSet`]: nobody. Only addresses can be dialled.
#[derive(Clone, Copy, Debug)]
pub struct Literals(());

/// Who looks up host names for a [`NalSet`]: the stack itself, through its [`Dns`].
#[derive(Clone, Copy, Debug)]
pub struct StackDns(());

/// How a host name becomes an address; [`Literals`] and [`StackDns`].
pub trait Names<S> {
    /// The address of the host, or [`nb::Error::WouldBlock`] to be asked again.
    ///
    /// # Errors
    /// There is none, or nobody to ask.
    fn look_up(stack: &mut S, host: &str) -> nb::Result<IpAddr, ()>;
}

impl<S> Names<S> for Literals {
    fn look_up(_: &mut S, _: &str) -> nb::Result<IpAddr, ()> {
        Err(nb::Error::Other(()))
    }
}

impl<S: Dns> Names<S> for StackDns {
    fn look_up(stack: &mut S, host: &str) -> nb::Result<IpAddr, ()> {
        stack.get_host_by_name(host, AddrType::Either).map_err(|error| error.map(|_| ()))
    }
}

impl<S: TcpClientStack, const N: usize> NalSet<S, N> {
    /// A set that dials addresses only.
    #[must_use]
    pub fn new(stack: S) -> Self {
        Self { stack, lines: [const { None }; N], looking: None, names: PhantomData }
    }
}

impl<S: TcpClientStack + Dns, const N: usize> NalSet<S, N, StackDns> {
    /// A set that also dials names, which the stack looks up, one at a time.
    #[must_use]
    pub fn with_dns(stack: S) -> Self {
        Self { stack, lines: [const { None }; N], looking: None, names: PhantomData }
    }
}

impl<S: TcpClientStack, const N: usize, L> NalSet<S, N, L> {
    /// The stack, which may want to be polled between turns.
    pub const fn stack(&mut self) -> &mut S {
        &mut self.stack
    }
}

impl<S: TcpClientStack, const N: usize, L: Names<S>> NalSet<S, N, L> {
    /// Goes on with a dial until it has to wait; the stage it came to.
    fn advance(
        &mut self,
        conn: ConnId,
        stage: Stage<S::TcpSocket>,
        host: &str,
        port: u16,
    ) -> Result<Stage<S::TcpSocket>, ()> {
        match stage {
            Stage::Named => {
                let addr = match literal(host) {
                    Some(addr) => addr,
                    None if self.looking.is_some_and(|other| other != conn) => return Ok(Stage::Named),
                    None => {
                        self.looking = Some(conn);
                        match L::look_up(&mut self.stack, host) {
                            Ok(addr) => addr,
                            Err(nb::Error::WouldBlock) => return Ok(Stage::Named),
                            Err(nb::Error::Other(())) => return Err(()),
                        }
                    }
                };
                self.heard(conn);
                let socket = self.stack.socket().map_err(|_| ())?;
                self.connect(socket, SocketAddr::new(addr, port))
            }
            Stage::Connecting(socket, addr) => self.connect(socket, addr),
            Stage::Open(socket) => Ok(Stage::Open(socket)),
        }
    }

    fn connect(&mut self, mut socket: S::TcpSocket, addr: SocketAddr) -> Result<Stage<S::TcpSocket>, ()> {
        match self.stack.connect(&mut socket, addr) {
            Ok(()) => Ok(Stage::Open(socket)),
            Err(nb::Error::WouldBlock) => Ok(Stage::Connecting(socket, addr)),
            Err(nb::Error::Other(_)) => {
                let _ = self.stack.close(socket);
                Err(())
            }
        }
    }

    /// The look-up for this connection, if it was the one, is over.
    fn heard(&mut self, conn: ConnId) {
        if self.looking == Some(conn) {
            self.looking = None;
        }
    }

    fn end(&mut self, line: Line<S::TcpSocket>) {
        self.heard(line.conn);
        if let Stage::Connecting(socket, _) | Stage::Open(socket) = line.stage {
            // What the stack says to that changes nothing.
            let _ = self.stack.close(socket);
        }
    }

    /// The stack and the socket of an open connection.
    fn open(&mut self, conn: ConnId) -> Option<(&mut S, &mut S::TcpSocket)> {
        match self.lines.get_mut(conn.index())? {
            Some(Line { conn: known, stage: Stage::Open(socket) }) if *known == conn => Some((&mut self.stack, socket)),
            _ => None,
        }
    }
}

impl<S: TcpClientStack, const N: usize, L: Names<S>> Transport for NalSet<S, N, L> {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        let Some(place) = self.lines.get_mut(conn.index()) else { return Dial::Failed };
        let stage = match place.take() {
            Some(line) if line.conn == conn => line.stage,
            Some(other) => {
                self.end(other);
                Stage::Named
            }
            None => Stage::Named,
        };
        let (line, dial) = match self.advance(conn, stage, host, port) {
            Ok(stage @ Stage::Open(_)) => (Some(Line { conn, stage }), Dial::Open),
            Ok(stage) => (Some(Line { conn, stage }), Dial::Pending),
            Err(()) => {
                self.heard(conn);
                (None, Dial::Failed)
            }
        };
        if let Some(place) = self.lines.get_mut(conn.index()) {
            *place = line;
        }
        dial
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        let Some((stack, socket)) = self.open(conn) else { return Moved::Closed };
        match stack.receive(socket, buf) {
            Ok(0) | Err(nb::Error::Other(_)) => Moved::Closed,
            Ok(count) => Moved::Bytes(count),
            Err(nb::Error::WouldBlock) => Moved::WouldBlock,
        }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        let Some((stack, socket)) = self.open(conn) else { return Moved::Closed };
        match stack.send(socket, bytes) {
            Ok(0) | Err(nb::Error::WouldBlock) => Moved::WouldBlock,
            Ok(count) => Moved::Bytes(count),
            Err(nb::Error::Other(_)) => Moved::Closed,
        }
    }

    fn close(&mut self, conn: ConnId) {
        if let Some(place) = self.lines.get_mut(conn.index())
            && let Some(line) = place.take_if(|line| line.conn == conn)
        {
            self.end(line);
        }
    }
}

impl<S: TcpClientStack, const N: usize, L> fmt::Debug for NalSet<S, N, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let used = self.lines.iter().filter(|line| line.is_some()).count();
        f.debug_struct("NalSet").field("sockets", &N).field("used", &used).finish_non_exhaustive()
    }
}

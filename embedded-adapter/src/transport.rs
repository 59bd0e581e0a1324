//! What a driver needs from the outside: connections by index, and a clock.

use slotwise::ids::ConnId;
use slotwise::time::Instant;

/// How a dial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Dial {
    /// Not decided yet: ask again.
    Pending,
    /// Connected.
    Open,
    /// It failed; no socket is left.
    Failed,
}

/// What one read or write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Moved {
    /// So many bytes were taken, at least 1 and at most as many as were offered.
    Bytes(usize),
    /// Nothing can be moved now.
    WouldBlock,
    /// The connection is over in this direction: the peer closed it, or it broke. Bytes that came before have been
    /// read.
    Closed,
}

/// A set of connections. Every method returns at once; what has to wait says so, and is asked again.
///
/// Connections are named by the engine: [`ConnId::index`] is below the number of connections of the engine's storage,
/// so that a transport may keep its sockets in an array of that length. At most one connection of an index is in use at
/// a time.
pub trait Transport {
    /// Begins to connect, or looks how far it has come: called until it is not [`Dial::Pending`] or the engine's
    /// patience ends. Looking up a host name is part of it. `host` is a name or an address without brackets; what the
    /// first call of a connection said is what counts.
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial;

    /// Reads what has come into the front of `buf`, which is not empty.
    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved;

    /// Writes the front of `bytes`, which are not empty. A count is a promise to send, not a delivery.
    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved;

    /// Ends the connection or the dial and forgets it. Called once for each connection that was dialled, however its
    /// dial or its life ended; must not wait for the peer.
    fn close(&mut self, conn: ConnId);
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        (**self).dial(conn, host, port)
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        (**self).recv(conn, buf)
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        (**self).send(conn, bytes)
    }

    fn close(&mut self, conn: ConnId) {
        (**self).close(conn);
    }
}

/// The time since an epoch that may be anything (uptime is fine) and never changes. It must not go backwards.
pub trait Clock {
    /// The time now, in microseconds.
    fn now(&mut self) -> Instant;
}

impl<F: FnMut() -> Instant> Clock for F {
    fn now(&mut self) -> Instant {
        self()
    }
}

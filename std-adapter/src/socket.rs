//! One non-blocking socket with its buffers.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use slotwise::ids::ConnId;
use zeroize::Zeroize;

use crate::stream::Stream;
use crate::tls::{TlsStream, Wish};

/// Bytes read from a socket at once, and the least room kept for the next read.
const READ: usize = 64 * 1024;
/// Output gathered before a write; more stays with the commands until the socket takes it.
pub(crate) const WRITE: usize = 256 * 1024;

/// Where a socket is in its life.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Its host name is being looked up.
    Resolving,
    /// `connect` was called; the addresses after this one are still to be tried.
    Connecting,
    /// TCP stands; TLS is being agreed on.
    Securing,
    Open,
}

/// What became of a connection attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Connect {
    Pending,
    Open,
    /// This address cannot be reached; another may.
    Failed,
    /// The node was reached and no TLS agreed on, for this reason.
    Unsecured(String),
}

/// What reading a socket came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// New bytes; there may be more.
    Some,
    /// Nothing more for now.
    WouldBlock,
    /// The peer has closed, or the connection broke.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) conn: ConnId,
    pub(crate) stage: Stage,
    stream: Option<Stream>,
    /// TLS is wanted here.
    wish: Option<Wish>,
    pub(crate) candidates: VecDeque<SocketAddr>,
    pub(crate) tx: Vec<u8>,
    tx_at: usize,
    rx: Vec<u8>,
    rx_at: usize,
    rx_end: usize,
    writable: bool,
    /// There may be more to read: readiness is told once, and holds until a read says otherwise.
    pub(crate) readable: bool,
    /// Output that was gathered holds a password.
    secret: bool,
}

impl Socket {
    pub(crate) fn new(conn: ConnId, wish: Option<Wish>) -> Self {
        Self {
            conn,
            stage: Stage::Resolving,
            stream: None,
            wish,
            candidates: VecDeque::new(),
            tx: Vec::new(),
            tx_at: 0,
            rx: Vec::new(),
            rx_at: 0,
            rx_end: 0,
            writable: false,
            readable: false,
            secret: false,
        }
    }

    /// Begins to connect to the next candidate address. `Ok(false)` when there is none left.
    pub(crate) fn connect_next(&mut self, registry: &Registry, token: Token) -> bool {
        self.close(registry);
        while let Some(addr) = self.candidates.pop_front() {
            let Ok(mut stream) = TcpStream::connect(addr) else { continue };
            // Small requests must not wait for each other's acknowledgements.
            let _ = stream.set_nodelay(true);
            if registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE).is_ok() {
                self.stream = Some(Stream::Plain(stream));
                self.stage = Stage::Connecting;
                return true;
            }
        }
        false
    }

    /// What has become of connecting, after a readiness event.
    pub(crate) fn connect_result(&mut self) -> Connect {
        if matches!(self.stage, Stage::Connecting) {
            let Some(stream) = &mut self.stream else { return Connect::Pending };
            let tcp = stream.tcp();
            if !matches!(tcp.take_error(), Ok(None)) {
                return Connect::Failed;
            }
            match tcp.peer_addr() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return Connect::Pending,
                Err(_) => return Connect::Failed,
            }
            let _ = tcp.set_nodelay(true);
            self.stage = Stage::Securing;
            if let Some(wish) = &self.wish
                && let Some(Stream::Plain(tcp)) = self.stream.take()
            {
                match TlsStream::new(wish, tcp) {
                    Ok(tls) => self.stream = Some(Stream::Tls(Box::new(tls))),
                    Err(why) => return Connect::Unsecured(why),
                }
            }
        }
        if let Some(Stream::Tls(tls)) = &mut self.stream {
            match tls.secure() {
                // What came with the handshake's end makes the socket readable no more.
                Ok(true) => self.readable = true,
                Ok(false) => return Connect::Pending,
                Err(why) => return Connect::Unsecured(why),
            }
        }
        self.stage = Stage::Open;
        self.writable = true;
        Connect::Open
    }

    /// Appends a frame that holds a password: it is wiped once it was written, or when the socket goes.
    pub(crate) fn append_secret(&mut self, len: usize, write: impl FnOnce(&mut [u8]) -> bool) {
        let start = self.tx.len();
        if self.tx.capacity() - start < len {
            // Growing would leave a copy of what stands there behind.
            let mut larger = Vec::with_capacity(2 * (start + len));
            larger.extend_from_slice(&self.tx);
            self.wipe();
            self.tx = larger;
        }
        self.tx.resize(start + len, 0);
        self.secret = true;
        if !write(&mut self.tx[start..]) {
            self.tx.truncate(start);
        }
    }

    /// Overwrites written output that held a password.
    fn wipe(&mut self) {
        if std::mem::take(&mut self.secret) {
            self.tx.zeroize();
        }
    }

    /// Whether output that holds a password has not been written yet: nothing else may make the buffer grow.
    pub(crate) fn holds_secret(&self) -> bool {
        self.secret
    }

    pub(crate) fn close(&mut self, registry: &Registry) {
        if let Some(mut stream) = self.stream.take() {
            let _ = registry.deregister(stream.tcp());
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(crate) fn set_writable(&mut self) {
        // An error is met again by whoever reads.
        self.writable = self.stream.as_mut().is_none_or(|stream| !matches!(stream.push(), Ok(false)));
    }

    /// Whether the socket takes bytes.
    pub(crate) fn can_write(&self) -> bool {
        self.is_open() && self.writable
    }

    /// Whether the socket takes bytes and the output buffer has room for more.
    pub(crate) fn wants_output(&self) -> bool {
        self.can_write() && self.tx.len() < WRITE
    }

    /// Writes what the socket takes; gives the bytes taken and whether the connection broke.
    pub(crate) fn flush(&mut self) -> (usize, bool) {
        let mut taken = 0;
        let Some(stream) = &mut self.stream else { return (0, false) };
        while self.writable && self.tx_at < self.tx.len() {
            match stream.write(&self.tx[self.tx_at..]) {
                Ok(0) => return (taken, true),
                Ok(n) => {
                    self.tx_at += n;
                    taken += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The reading side says why and hands out what came before.
                Err(_) => return (taken, true),
            }
        }
        if self.tx_at == self.tx.len() {
            self.wipe();
            self.tx.clear();
            self.tx_at = 0;
            if self.tx.capacity() > 4 * WRITE {
                self.tx.shrink_to(WRITE);
            }
        }
        (taken, false)
    }

    /// Reads once.
    pub(crate) fn receive(&mut self) -> Received {
        let received = self.read();
        self.readable = received == Received::Some;
        received
    }

    fn read(&mut self) -> Received {
        self.make_room();
        let Some(stream) = &mut self.stream else { return Received::Closed };
        loop {
            let room = &mut self.rx[self.rx_end..];
            let want = room.len();
            match stream.read(room) {
                Ok(0) => return Received::Closed,
                Ok(n) => {
                    self.rx_end += n;
                    let all = n < want && stream.short_read_is_all();
                    return if all { Received::WouldBlock } else { Received::Some };
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Received::WouldBlock,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Received::Closed,
            }
        }
    }

    /// Makes room for a read: moves what is left to the front, and grows by doubling when a reply needs it.
    fn make_room(&mut self) {
        if self.rx_at == self.rx_end {
            self.rx_at = 0;
            self.rx_end = 0;
            if self.rx.len() > 16 * READ {
                self.rx.truncate(READ);
                self.rx.shrink_to_fit();
            }
        }
        if self.rx.len() - self.rx_end >= READ / 2 {
            return;
        }
        if self.rx_at > 0 && self.rx_at >= self.rx.len() / 2 {
            self.rx.copy_within(self.rx_at..self.rx_end, 0);
            self.rx_end -= self.rx_at;
            self.rx_at = 0;
        }
        if self.rx.len() - self.rx_end < READ / 2 {
            let len = (self.rx.len() * 2).max(READ);
            self.rx.resize(len, 0);
        }
    }

    /// Bytes received and not consumed.
    pub(crate) fn received(&self) -> &[u8] {
        &self.rx[self.rx_at..self.rx_end]
    }

    /// Bytes the receive buffer takes.
    #[cfg(test)]
    pub(crate) fn receive_buffer(&self) -> usize {
        self.rx.len()
    }

    pub(crate) fn consume(&mut self, n: usize) {
        self.rx_at = (self.rx_at + n).min(self.rx_end);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_password_is_wiped() {
        let mut socket = Socket::new(ConnId::new(0, 0), None);
        for _ in 0..3 {
            // Grows on the way.
            socket.append_secret(100, |room| {
                room.fill(b'p');
                true
            });
        }
        assert_eq!(socket.tx, [b'p'; 300]);
        assert!(socket.holds_secret());
        let (at, capacity) = (socket.tx.as_ptr(), socket.tx.capacity());
        socket.wipe();
        socket.tx.clear();
        assert!(!socket.holds_secret());
        socket.tx.resize(capacity, 1);
        assert_eq!(socket.tx.as_ptr(), at, "the same memory");
        // What a shorter write leaves visible is what the wipe wrote.
        socket.tx.clear();
        socket.append_secret(300, |room| room.iter().all(|byte| *byte == 0));
        assert_eq!(socket.tx.len(), 300);
    }
}

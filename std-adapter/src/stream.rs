//! The bytes of one connection: TCP, or TLS over it.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use crate::tls::TlsStream;

#[derive(Debug)]
pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream>),
}

impl Stream {
    /// The socket under it.
    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &mut tls.tcp,
        }
    }

    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.read(room),
            Self::Tls(tls) => tls.read(room),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Writes what an earlier write took and the socket did not; `Ok(false)` when some is left still.
    pub(crate) fn push(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(tls) => tls.push(),
        }
    }

    /// Whether a read that fills less than its room has left nothing behind. Of TLS it ends with a record.
    pub(crate) const fn short_read_is_all(&self) -> bool {
        matches!(self, Self::Plain(_))
    }
}

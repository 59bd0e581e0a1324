//! What stands in the place of TLS in a build without it: types of which there are no values.

use std::io;

use mio::net::TcpStream;

/// TLS wanted with one node.
#[derive(Debug)]
pub(crate) enum Wish {}

/// What a client was told about TLS.
#[derive(Clone, Default)]
pub(crate) struct Setup;

impl Setup {
    #[expect(clippy::unused_self, reason = "as in a build with TLS")]
    pub(crate) const fn to(&self, _host: &str, _port: u16, _name: &str) -> Option<Wish> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct TlsStream {
    pub(crate) tcp: TcpStream,
    never: Wish,
}

impl TlsStream {
    pub(crate) fn new(wish: &Wish, _tcp: TcpStream) -> Result<Self, String> {
        match *wish {}
    }

    pub(crate) fn secure(&mut self) -> Result<bool, String> {
        match self.never {}
    }

    pub(crate) fn push(&mut self) -> io::Result<bool> {
        match self.never {}
    }

    pub(crate) fn read(&mut self, _room: &mut [u8]) -> io::Result<usize> {
        match self.never {}
    }

    pub(crate) fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
        match self.never {}
    }
}

//! A [`Transport`] over `embedded-io` streams that can say whether they are ready.

use embedded_io::{Read, ReadReady, Write, WriteReady};
use slotwise::ids::ConnId;

use crate::transport::{Dial, Moved, Transport};

/// A set of `embedded-io` streams: how to get one, and where it is.
pub trait StreamSet {
    /// One connection. `read_ready` and `write_ready` must be truthful, since a read or a write of a stream that is not
    /// ready may block; `read_ready` is also true at the end of the stream. Nobody calls `flush`: what `write` took must
    /// go out by itself, so a layer that buffers has to hand on what it has at each `write` or by a timer of its own.
    type Stream: Read + ReadReady + Write + WriteReady;

    /// See [`Transport::dial`].
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial;

    /// The stream of a connection that was dialled.
    fn stream(&mut self, conn: ConnId) -> Option<&mut Self::Stream>;

    /// See [`Transport::close`].
    fn close(&mut self, conn: ConnId);
}

/// Makes a [`StreamSet`] a [`Transport`]: asks for readiness first, so that nothing blocks. Any error of a stream ends its
/// connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Streams<S>(
    /// The set.
    pub S,
);

impl<S: StreamSet> Transport for Streams<S> {
    fn dial(&mut self, conn: ConnId, host: &str, port: u16) -> Dial {
        self.0.dial(conn, host, port)
    }

    fn recv(&mut self, conn: ConnId, buf: &mut [u8]) -> Moved {
        let Some(stream) = self.0.stream(conn) else { return Moved::Closed };
        match stream.read_ready() {
            Ok(true) => moved(stream.read(buf)),
            Ok(false) => Moved::WouldBlock,
            Err(_) => Moved::Closed,
        }
    }

    fn send(&mut self, conn: ConnId, bytes: &[u8]) -> Moved {
        let Some(stream) = self.0.stream(conn) else { return Moved::Closed };
        match stream.write_ready() {
            Ok(true) => moved(stream.write(bytes)),
            Ok(false) => Moved::WouldBlock,
            Err(_) => Moved::Closed,
        }
    }

    fn close(&mut self, conn: ConnId) {
        self.0.close(conn);
    }
}

/// No bytes of a read are the end of the stream, and of a write a contract broken; both end the connection.
pub(crate) fn moved<E>(result: Result<usize, E>) -> Moved {
    match result {
        Ok(0) | Err(_) => Moved::Closed,
        Ok(count) => Moved::Bytes(count),
    }
}

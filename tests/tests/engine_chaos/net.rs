//! One connection through the fake network: bytes on their way in both directions.

use slotwise::ids::ConnId;

use crate::model::Session;

/// A connection as the adapter and the network see it.
pub(crate) struct Link {
    pub(crate) conn: ConnId,
    pub(crate) node: usize,
    pub(crate) open: bool,
    /// Encoded and not yet taken by the transport.
    pub(crate) tx: Vec<u8>,
    /// On the way to the server.
    pub(crate) up: Vec<u8>,
    /// On the way to the client.
    pub(crate) down: Vec<u8>,
    /// Received, not yet consumed.
    pub(crate) rx: Vec<u8>,
    pub(crate) session: Session,
    /// Nothing moves any more, and nobody is told.
    pub(crate) silent: bool,
    /// The client has dropped its end; what is on the way up may still arrive.
    pub(crate) dropped: bool,
    /// The server closed after what is on the way down.
    pub(crate) finished: bool,
}

impl Link {
    pub(crate) fn new(conn: ConnId, node: usize) -> Self {
        Self {
            conn,
            node,
            open: false,
            tx: Vec::new(),
            up: Vec::new(),
            down: Vec::new(),
            rx: Vec::new(),
            session: Session { node, ..Session::default() },
            silent: false,
            dropped: false,
            finished: false,
        }
    }
}

//! Name look-up beside the event loop: one short-lived thread for each name, IP addresses without any.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::Waker;
use slotwise::ids::ConnId;

/// Looks up host names without blocking the loop.
#[derive(Debug)]
pub(crate) struct Resolver {
    sender: Sender<(ConnId, Vec<SocketAddr>)>,
    receiver: Receiver<(ConnId, Vec<SocketAddr>)>,
    waker: Arc<Waker>,
}

impl Resolver {
    pub(crate) fn new(waker: Waker) -> Self {
        let (sender, receiver) = channel();
        Self { sender, receiver, waker: Arc::new(waker) }
    }

    /// The addresses of an IP literal at once; for a name, `None`, and the answer comes through
    /// [`Resolver::answer`].
    pub(crate) fn look_up(&self, conn: ConnId, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(vec![SocketAddr::new(ip, port)]);
        }
        let (host, sender, waker) = (host.to_owned(), self.sender.clone(), Arc::clone(&self.waker));
        let work = move || {
            let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            // The loop may be gone by now.
            let _ = sender.send((conn, found));
            let _ = waker.wake();
        };
        match std::thread::Builder::new().name("slotwise-resolve".into()).spawn(work) {
            Ok(_) => None,
            Err(_) => Some(Vec::new()),
        }
    }

    /// An answer that has come.
    pub(crate) fn answer(&self) -> Option<(ConnId, Vec<SocketAddr>)> {
        self.receiver.try_recv().ok()
    }
}

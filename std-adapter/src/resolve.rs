//! Name look-up beside the event loop: one short-lived thread for each name, IP addresses without any. Nothing is kept: every
//! dial looks its name up again, so a cluster that moved is found as soon as its name says where.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::Waker;
use slotwise::ids::ConnId;

/// A caller's own way to look up a host name.
pub(crate) type LookUp = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Looks up host names without blocking the loop.
pub(crate) struct Resolver {
    /// Instead of the operating system.
    own: Option<LookUp>,
    sender: Sender<(ConnId, Vec<SocketAddr>)>,
    receiver: Receiver<(ConnId, Vec<SocketAddr>)>,
    waker: Arc<Waker>,
}

impl Resolver {
    pub(crate) fn new(waker: Waker, own: Option<LookUp>) -> Self {
        let (sender, receiver) = channel();
        Self { own, sender, receiver, waker: Arc::new(waker) }
    }

    /// The addresses of an IP literal at once; for a name, `None`, and the answer comes through
    /// [`Resolver::answer`].
    pub(crate) fn look_up(&self, conn: ConnId, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Some(vec![SocketAddr::new(ip, port)]);
        }
        let (host, own) = (host.to_owned(), self.own.clone());
        let (sender, waker) = (self.sender.clone(), Arc::clone(&self.waker));
        let work = move || {
            let found = match own {
                Some(look_up) => look_up(&host, port),
                None => (host.as_str(), port).to_socket_addrs().map(Iterator::collect),
            };
            let found = found.unwrap_or_default();
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

//! The loopback sockets of the mini cluster: one thread, one readiness loop, one listener per node.

use super::connection::Connection;
use super::model::Model;
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const WAKE: Token = Token(usize::MAX);

/// Since 1 January 1970, as EXPIREAT counts. A clock before that stands still.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Time left, rounded up, so that the deadline has passed when the wait ends.
fn until(deadline: Duration) -> Duration {
    deadline.saturating_sub(now()) + Duration::from_millis(1)
}

#[derive(Debug)]
pub(super) struct Server {
    poll: Poll,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    // Token of a listener: its place here. Tokens of connections go on from there.
    listeners: Vec<TcpListener>,
    connections: BTreeMap<usize, Connection>,
    next: usize,
    model: Arc<Mutex<Model>>,
}

impl Server {
    pub(super) fn new(model: Arc<Mutex<Model>>) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let mut listeners = Vec::new();
        {
            let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
            for node in 0..model.node_count() {
                let mut listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
                poll.registry().register(&mut listener, Token(node), Interest::READABLE)?;
                model.set_address(node, "127.0.0.1", listener.local_addr()?.port());
                listeners.push(listener);
            }
            model.advance(now());
        }
        let next = listeners.len();
        let stop = Arc::new(AtomicBool::new(false));
        Ok(Server { poll, waker, stop, listeners, connections: BTreeMap::new(), next, model })
    }

    pub(super) fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.listeners.iter().map(TcpListener::local_addr).collect()
    }

    pub(super) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    pub(super) fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.stop)
    }

    /// Serves until the stop flag is set and the waker used.
    pub(super) fn run(mut self) {
        let mut events = Events::with_capacity(256);
        let mut scratch = vec![0; 64 * 1024];
        let model = Arc::clone(&self.model);
        while !self.stop.load(Ordering::Acquire) {
            let limit = model.lock().unwrap_or_else(PoisonError::into_inner).next_deadline().map(until);
            match self.poll.poll(&mut events, limit) {
                Ok(()) => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                // A selector that fails has no use any more; clients see closed sockets.
                Err(_) => return,
            }
            let mut model = model.lock().unwrap_or_else(PoisonError::into_inner);
            model.advance(now());
            for event in &events {
                let token = event.token();
                if token.0 < self.listeners.len() {
                    self.accept(token.0, &mut model);
                } else if let Some(connection) = self.connections.get_mut(&token.0)
                    && event.is_readable()
                    && !connection.read(&mut model, &mut scratch)
                {
                    self.close(token.0, &mut model);
                }
            }
            self.flush(&mut model);
        }
    }

    fn accept(&mut self, node: usize, model: &mut Model) {
        loop {
            match self.listeners[node].accept() {
                Ok((mut stream, _)) => {
                    let token = self.next;
                    self.next += 1;
                    // Small replies must not wait; a socket that refuses the option still works.
                    let _: io::Result<()> = stream.set_nodelay(true);
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    if self.poll.registry().register(&mut stream, Token(token), interest).is_ok() {
                        self.connections.insert(token, Connection::new(stream, model.connect(node)));
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                // Nothing more to accept, or no file descriptor for it: the next event tries again.
                Err(_) => return,
            }
        }
    }

    /// Writes what waits for anybody: a command of one connection can cause pushes on all.
    fn flush(&mut self, model: &mut Model) {
        let mut ended = Vec::new();
        for (token, connection) in &mut self.connections {
            if !connection.write(model) {
                ended.push(*token);
            }
        }
        for token in ended {
            self.close(token, model);
        }
    }

    fn close(&mut self, token: usize, model: &mut Model) {
        if let Some(mut connection) = self.connections.remove(&token) {
            model.disconnect(connection.client);
            // The socket closes with it.
            let _: io::Result<()> = self.poll.registry().deregister(&mut connection.stream);
        }
    }
}

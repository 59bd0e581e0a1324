//! A cluster inside this process: real sockets on loopback, real RESP, redirects, migrations and cursors, no server to
//! install. `slotwise demo` and tests run on it.
//!
//! ```no_run
//! use slotwise_std::mini::MiniCluster;
//! let cluster = MiniCluster::start(3)?;
//! println!("try: redis-cli -c -u redis://{}", cluster.seeds()[0]);
//! let slot = 42;
//! cluster.begin_move(slot, 1)?; // clients now see ASK for keys that have left
//! while cluster.move_keys(slot, 10)? > 0 {}
//! cluster.finish_move(slot)?; // and now MOVED
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod connection;
pub mod model;
mod request;
mod server;
#[cfg(test)]
mod tests;

use model::{ControlError, Model, ModelOptions};
use server::Server;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// A running cluster. Dropping it (or [`shutdown`](MiniCluster::shutdown)) closes all connections and ends its thread.
#[derive(Debug)]
pub struct MiniCluster {
    addresses: Vec<SocketAddr>,
    model: Arc<Mutex<Model>>,
    waker: Arc<mio::Waker>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MiniCluster {
    /// A cluster of `nodes` primaries (1 to 1000) with the habits of the newest server modelled.
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened.
    pub fn start(nodes: usize) -> io::Result<Self> {
        Self::with_options(ModelOptions { primaries: nodes, ..ModelOptions::default() })
    }

    /// A cluster as described.
    ///
    /// # Errors
    ///
    /// When a socket cannot be opened.
    pub fn with_options(options: ModelOptions) -> io::Result<Self> {
        let model = Arc::new(Mutex::new(Model::new(options)));
        let server = Server::new(Arc::clone(&model))?;
        let (addresses, waker, stop) = (server.addresses()?, server.waker(), server.stop_flag());
        let thread = std::thread::Builder::new().name("mini-cluster".to_owned()).spawn(move || server.run())?;
        Ok(MiniCluster { addresses, model, waker, stop, thread: Some(thread) })
    }

    /// `host:port` of every node, primaries first.
    #[must_use]
    pub fn seeds(&self) -> Vec<String> {
        self.addresses.iter().map(ToString::to_string).collect()
    }

    /// The address of every node, primaries first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    fn lock(&self) -> MutexGuard<'_, Model> {
        // The model is only poisoned by a bug in it, which then shows in its replies.
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to the model; afterwards all nodes agree about the slots, and what waits for clients is sent.
    pub fn with_model<R>(&self, action: impl FnOnce(&mut Model) -> R) -> R {
        let mut model = self.lock();
        model.advance(server::now());
        let result = action(&mut model);
        if model.is_unsettled() {
            model.settle();
        }
        drop(model);
        // An ended server has nothing to send.
        let _ = self.waker.wake();
        result
    }

    /// The node that owns the slot.
    #[must_use]
    pub fn owner(&self, slot: u16) -> Option<usize> {
        self.lock().owner(slot)
    }

    /// Number of keys on all nodes.
    #[must_use]
    pub fn key_count(&self) -> usize {
        let model = self.lock();
        (0..model.node_count()).map(|node| model.key_count(node)).sum()
    }

    /// Number of keys on one node.
    #[must_use]
    pub fn key_count_on(&self, node: usize) -> usize {
        self.lock().key_count(node)
    }

    /// Number of keys of the slot on all nodes (both sides while it moves).
    #[must_use]
    pub fn key_count_in_slot(&self, slot: u16) -> usize {
        let model = self.lock();
        (0..model.node_count()).map(|node| model.key_count_in_slot(node, slot)).sum()
    }

    /// Begins to move a slot to node `to`; the number of the node that has it.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn begin_move(&self, slot: u16, to: usize) -> Result<usize, ControlError> {
        self.with_model(|model| model.begin_move(slot, to))
    }

    /// Moves up to `max` keys of a slot whose move has begun; how many were moved.
    ///
    /// # Errors
    ///
    /// [`ControlError::NotMarked`].
    pub fn move_keys(&self, slot: u16, max: usize) -> Result<usize, ControlError> {
        self.with_model(|model| model.move_keys(slot, max))
    }

    /// Ends the move of a slot without keys at its source: from now on the source answers MOVED.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; nothing has changed.
    pub fn finish_move(&self, slot: u16) -> Result<(), ControlError> {
        self.with_model(|model| model.finish_move(slot))
    }

    /// Moves a slot with all its keys; does nothing when it is there.
    ///
    /// # Errors
    ///
    /// [`ControlError`].
    pub fn move_slot(&self, slot: u16, to: usize) -> Result<(), ControlError> {
        self.with_model(|model| if model.owner(slot) == Some(to) { Ok(()) } else { model.move_atomically(slot, to) })
    }

    /// Closes every client connection (of one node, or of all).
    pub fn disconnect_clients(&self, node: Option<usize>) {
        self.with_model(|model| model.close_clients(node));
    }

    /// Closes all connections and waits until the server's thread has ended. Dropping does the same.
    pub fn shutdown(self) {}
}

impl Drop for MiniCluster {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Release);
        // If it cannot be woken it has ended.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, was printed; a second one here could abort.
            let _ = thread.join();
        }
    }
}

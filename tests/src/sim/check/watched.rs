//! An engine with witnesses: every call is counted, what it allocates is counted, and what it says in words is read.

use std::fmt::{self, Display, Write};

use slotwise::cluster::{
    CancelStage, Cluster, Config, ConnectionError, DialTarget, Env, Event, Progress, Storage, SubmitError, Transmit,
};
use slotwise::command::CommandSpec;
use slotwise::connection::Timeouts;
use slotwise::ids::{CommandId, ConnId, NodeId};
use slotwise::time::{Duration, Instant};
use slotwise::topology::Map;

use super::Planted;
use super::allocator;
use crate::sim::servers::CANARY;
use crate::sim::storage::{SimStorage, Sizes};

/// An engine under test, and what is noticed about it from outside.
pub struct Watched {
    cluster: Cluster<SimStorage>,
    planted: Option<Planted>,
    /// Calls in a row that brought nothing.
    idle: u32,
    /// The most of them since that was last asked.
    most_idle: u32,
    /// Bytes allocated by the tables at the beginning, and inside calls since.
    allocated: i64,
    /// The most that the tables may come to.
    budget: usize,
    /// The map was changed in the last call with input, and whether a topology reply did that.
    changed: Option<bool>,
    /// Whether texts are read.
    listens: bool,
    text: String,
    told: Option<String>,
}

impl Watched {
    /// An engine with tables of these sizes.
    #[must_use]
    pub fn new(config: Config, sizes: Sizes, planted: Option<Planted>) -> Self {
        let budget = {
            // As large as they may become.
            let full = SimStorage::new(Sizes {
                conns: (sizes.conns.1, sizes.conns.1),
                commands: (sizes.commands.1, sizes.commands.1),
                ..sizes
            });
            full.memory_used()
        };
        let sizes = if planted == Some(Planted::Growth) {
            Sizes { commands: (sizes.commands.0, sizes.commands.1 * 16), ..sizes }
        } else {
            sizes
        };
        let before = allocator::held();
        let storage = SimStorage::new(sizes);
        let allocated = allocator::held() - before;
        let cluster = Cluster::new(spoilt(config, planted), storage);
        let state = cluster.memory_used() - cluster.storage().memory_used();
        Self {
            cluster,
            planted,
            idle: 0,
            most_idle: 0,
            allocated,
            budget: budget + state,
            changed: None,
            listens: false,
            text: String::new(),
            told: None,
        }
    }

    /// From here on every text is read for passwords.
    pub const fn listen(&mut self) {
        self.listens = true;
    }

    /// A text that had a password in it, if there was one.
    pub const fn told(&mut self) -> Option<String> {
        self.told.take()
    }

    /// I8: bytes the engine says it uses, bytes its tables have allocated, and the most of either.
    #[must_use]
    pub fn memory(&self) -> (usize, i64, usize) {
        (self.cluster.memory_used(), self.allocated, self.budget)
    }

    /// I11: the most calls in a row that brought nothing, since this was last asked.
    pub const fn idle_calls(&mut self) -> u32 {
        let most = self.most_idle;
        (self.most_idle, self.idle) = (0, 0);
        most
    }

    /// I10: whether the last input changed the map, and if so, whether as a topology reply.
    pub const fn changed(&mut self) -> Option<bool> {
        self.changed.take()
    }

    fn call<R>(&mut self, call: impl FnOnce(&mut Cluster<SimStorage>) -> R) -> R {
        let before = allocator::held();
        let result = call(&mut self.cluster);
        if self.planted == Some(Planted::Hoard) && self.cluster.refreshes() > 2 {
            std::mem::forget(std::hint::black_box(vec![0_u8; 4_096]));
        }
        self.allocated += allocator::held() - before;
        result
    }

    /// A call that does something, whatever comes of it.
    fn act<R>(&mut self, call: impl FnOnce(&mut Cluster<SimStorage>) -> R) -> R {
        self.idle = 0;
        self.call(call)
    }

    const fn count(&mut self, progress: bool) {
        self.idle = if progress { 0 } else { self.idle + 1 };
        if self.idle > self.most_idle {
            self.most_idle = self.idle;
        }
    }

    /// Reads a text.
    fn read(&mut self, text: fmt::Arguments<'_>) {
        if !self.listens {
            return;
        }
        self.text.clear();
        let _ = self.text.write_fmt(text);
        if self.planted == Some(Planted::ToldPassword) {
            self.text.push_str(crate::sim::servers::PASSWORDS[0]);
        }
        if holds_canary(self.text.as_bytes()) {
            self.told = Some(self.text.clone());
        }
    }
}

/// The configuration of an engine in which a violation was planted.
fn spoilt(mut config: Config, planted: Option<Planted>) -> Config {
    match planted {
        Some(Planted::EndlessHops) => config.max_hops = 200,
        Some(Planted::HastyRetries) => config.retry_delay = Duration::ZERO,
        Some(Planted::NoBackoff) => (config.backoff.base, config.backoff.cap) = (Duration::ZERO, Duration::ZERO),
        Some(Planted::NoBucket) => {
            config.refresh.interval = Duration::ZERO;
            config.refresh.jitter = Duration::ZERO;
            config.refresh.max_jitter = Duration::ZERO;
        }
        Some(Planted::Patient) => {
            config.timeouts = Timeouts { response: Duration::from_secs(3_600), ..config.timeouts };
        }
        _ => {}
    }
    config
}

/// Whether bytes have a password in them.
#[must_use]
pub(super) fn holds_canary(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == CANARY[0]) {
        rest = &rest[at..];
        if rest.starts_with(CANARY) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

// The engine's own methods.
impl Watched {
    /// See [`Cluster::handle_connected`].
    pub fn handle_connected(&mut self, now: Instant, conn: ConnId) {
        self.act(|cluster| cluster.handle_connected(now, conn));
    }

    /// See [`Cluster::handle_connect_failed`].
    pub fn handle_connect_failed(&mut self, now: Instant, conn: ConnId) {
        self.act(|cluster| cluster.handle_connect_failed(now, conn));
    }

    /// See [`Cluster::handle_disconnected`].
    pub fn handle_disconnected(&mut self, now: Instant, conn: ConnId) {
        self.act(|cluster| cluster.handle_disconnected(now, conn));
    }

    /// See [`Cluster::handle_written`].
    pub fn handle_written(&mut self, now: Instant, conn: ConnId, bytes: usize) {
        self.act(|cluster| cluster.handle_written(now, conn, bytes));
    }

    /// See [`Cluster::handle_input`].
    ///
    /// # Errors
    /// The engine's.
    pub fn handle_input<'rx>(
        &mut self,
        now: Instant,
        conn: ConnId,
        env: &Env<'_>,
        rx: &'rx [u8],
        can_grow: bool,
    ) -> Result<Progress<'rx>, ConnectionError> {
        let before = (self.cluster.refreshes(), self.cluster.map().version());
        let result = self.call(|cluster| cluster.handle_input(now, conn, env, rx, can_grow));
        let after = (self.cluster.refreshes(), self.cluster.map().version());
        if after != before {
            self.changed = Some(after.0 != before.0);
        }
        match &result {
            // The driver counts how often it presents the same bytes.
            Ok(progress) if progress.consumed == 0 && progress.output.is_none() => {}
            Ok(_) => self.idle = 0,
            Err(error) => {
                self.read(format_args!("{error} {error:?} {:?}", std::error::Error::source(error)));
                self.idle = 0;
            }
        }
        result
    }

    /// See [`Cluster::handle_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.act(|cluster| cluster.handle_timeout(now));
    }

    /// See [`Cluster::connect`].
    pub fn connect(&mut self, now: Instant) {
        self.act(|cluster| cluster.connect(now));
    }

    /// See [`Cluster::refresh`].
    pub fn refresh(&mut self, now: Instant) {
        self.act(|cluster| cluster.refresh(now));
    }

    /// See [`Cluster::submit`].
    ///
    /// # Errors
    /// The engine's.
    pub fn submit(&mut self, now: Instant, spec: CommandSpec) -> Result<CommandId, SubmitError> {
        let result = self.act(|cluster| cluster.submit(now, spec));
        if let Err(error) = &result {
            self.read(format_args!("{error} {error:?}"));
        }
        result
    }

    /// See [`Cluster::cancel`].
    pub fn cancel(&mut self, now: Instant, id: CommandId) -> CancelStage {
        self.act(|cluster| cluster.cancel(now, id))
    }

    /// See [`Cluster::shutdown`].
    pub fn shutdown(&mut self, now: Instant) {
        self.act(|cluster| cluster.shutdown(now));
    }

    /// See [`Cluster::poll_transmit`].
    pub fn poll_transmit(&mut self, now: Instant, conn: ConnId, env: &Env<'_>) -> Option<Transmit> {
        let transmit = self.call(|cluster| cluster.poll_transmit(now, conn, env));
        self.count(transmit.is_some());
        if let Some(transmit) = &transmit
            && self.listens
            && let Transmit::Control(_) = transmit
        {
            self.read(format_args!("{transmit:?}"));
        }
        transmit
    }

    /// See [`Cluster::poll_event`].
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.call(Cluster::poll_event);
        self.count(event.is_some());
        if self.listens
            && let Some(event) = &event
        {
            match event {
                Event::Failed { failure, .. } => self.read(format_args!("{event:?} {failure}")),
                _ => self.read(format_args!("{event:?}")),
            }
            if matches!(event, Event::RefreshFailed) {
                let rejection = self.cluster.last_rejection();
                self.read(format_args!("{rejection:?} {:?}", rejection.as_ref().map(display)));
            }
        }
        event
    }

    /// See [`Cluster::poll_timeout`].
    pub fn poll_timeout(&mut self) -> Option<Instant> {
        self.call(Cluster::poll_timeout)
    }

    /// See [`Cluster::dial_target`].
    pub fn dial_target<'e>(&'e self, conn: ConnId, env: &Env<'e>) -> Option<DialTarget<'e>> {
        self.cluster.dial_target(conn, env)
    }

    /// See [`Cluster::map`].
    #[must_use]
    pub fn map(&self) -> Map<'_> {
        self.cluster.map()
    }

    /// See [`Cluster::node`].
    #[must_use]
    pub fn node(&self, conn: ConnId) -> Option<NodeId> {
        self.cluster.node(conn)
    }

    /// See [`Cluster::commands_live`].
    #[must_use]
    pub fn commands_live(&self) -> usize {
        self.cluster.commands_live()
    }

    /// See [`Cluster::refreshes`].
    #[must_use]
    pub const fn refreshes(&self) -> u32 {
        self.cluster.refreshes()
    }

    /// See [`Cluster::map_asked`].
    #[must_use]
    pub const fn map_asked(&self) -> Instant {
        self.cluster.map_asked()
    }

    /// See [`Cluster::is_drained`].
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.cluster.is_drained()
    }

    /// See [`Cluster::memory_used`].
    #[must_use]
    pub fn memory_used(&self) -> usize {
        self.cluster.memory_used()
    }
}

fn display(text: &impl Display) -> String {
    text.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_they_stand() {
        assert!(holds_canary(b"canary-pw-one"));
        assert!(holds_canary(b"cccanary-pw-"));
        assert!(holds_canary(b"xcanary-canary-pw-x"));
        assert!(!holds_canary(b"canary-p"));
        assert!(!holds_canary(b""));
    }
}

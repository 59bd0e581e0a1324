//! Slot migration: key by key in steps, as one call, as a background thread, and Valkey's atomic kind.

use super::admin::{Admin, AdminError};
use super::conn::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Keys taken by one MIGRATE command.
const BATCH: usize = 100;
/// Times a slot's move is begun anew after an error (a failover in the middle, say) before it is given up.
const ATTEMPTS: usize = 60;

impl Admin {
    /// Marks the slot importing at `to` and migrating at `from`.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub fn begin_move(&self, slot: u16, from: usize, to: usize) -> Result<(), AdminError> {
        let slot = slot.to_string();
        self.set_slot(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &self.nodes()[from].id])?;
        self.set_slot(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &self.nodes()[to].id])
    }

    /// CLUSTER SETSLOT, again for 10 s while the node waits for its replicas: Valkey 8 and later replicate the change first,
    /// and refuse it with NOREPLICAS where a replica that was restarted is not back yet.
    fn set_slot(&self, node: usize, command: &[&str]) -> Result<(), AdminError> {
        let end = Instant::now() + Duration::from_secs(10);
        loop {
            match self.ask(node, command) {
                Err(error) if error.0.contains(": NOREPLICAS") && Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                other => return other.map(|_| ()),
            }
        }
    }

    /// Moves up to `max` keys of the slot; how many were moved.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub fn move_keys(&self, slot: u16, from: usize, to: usize, max: usize) -> Result<usize, AdminError> {
        let mut moved = 0;
        while moved < max {
            let count = BATCH.min(max - moved).to_string();
            let keys = self.ask(from, &["CLUSTER", "GETKEYSINSLOT", &slot.to_string(), &count])?;
            if keys.items().is_empty() {
                break;
            }
            let port = self.port(to).to_string();
            let mut command: Vec<&[u8]> = vec![b"MIGRATE", b"127.0.0.1", port.as_bytes(), b"", b"0", b"5000"];
            // A move that was broken off by a failover may have left keys on both sides.
            command.extend([b"REPLACE".as_slice(), b"KEYS"]);
            command.extend(keys.items().iter().filter_map(Value::bytes));
            self.ask(from, &command)?;
            moved += keys.items().len();
        }
        Ok(moved)
    }

    /// Gives the slot to `to`: told to `to` first, then to `from`, then to the other primaries.
    ///
    /// # Errors
    ///
    /// When `to` or `from` refuses (what the others say does not matter: they hear of it anyway).
    pub fn finish_move(&self, slot: u16, from: usize, to: usize) -> Result<(), AdminError> {
        let slot = slot.to_string();
        let command = ["CLUSTER", "SETSLOT", &slot, "NODE", &self.nodes()[to].id];
        self.set_slot(to, &command)?;
        self.wait_epoch_known(to);
        self.set_slot(from, &command)?;
        for shard in self.primaries() {
            if let Some(node) = self.primary_of(shard)
                && node != from
                && node != to
            {
                let _ = self.ask(node, &command);
            }
        }
        Ok(())
    }

    /// Waits, at most 2 s, until every node that answers has heard of the epoch `node` took with its new slot. Without this the
    /// next move can give another node the same epoch, and a node that then hears an old claim late keeps it for ever.
    fn wait_epoch_known(&self, node: usize) {
        let id = &self.nodes()[node].id;
        let epoch_at = |asked: usize| -> Option<u64> {
            let text = self.ask(asked, &["CLUSTER", "NODES"]).ok()?.text();
            text.lines().find(|line| line.starts_with(id.as_str()))?.split(' ').nth(6)?.parse().ok()
        };
        let Some(epoch) = epoch_at(node) else { return };
        let end = Instant::now() + Duration::from_secs(2);
        for other in 0..self.nodes().len() {
            // A node that does not answer, or does not know `node`, is not waited for.
            while epoch_at(other).is_some_and(|known| known < epoch) && Instant::now() < end {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Moves a slot with all its keys to node `to`, key by key. Does nothing when `to` has it.
    ///
    /// # Errors
    ///
    /// When a node refuses.
    pub fn move_slot(&self, slot: u16, to: usize) -> Result<(), AdminError> {
        let from = self.owner(slot).ok_or_else(|| AdminError(format!("nobody owns slot {slot}")))?;
        self.move_slot_from(slot, from, to)
    }

    fn move_slot_from(&self, slot: u16, from: usize, to: usize) -> Result<(), AdminError> {
        if from == to {
            return Ok(());
        }
        self.begin_move(slot, from, to)?;
        self.move_keys(slot, from, to, usize::MAX)?;
        self.finish_move(slot, from, to)
    }

    /// Moves slots in the background, `per_second` of them; each pair is a slot and the *shard* (number of its first
    /// primary) that shall have it. Failovers in between are coped with: the move of the slot is begun anew.
    pub fn migrator(&self, moves: Vec<(u16, usize)>, per_second: u32) -> Migrator {
        let stop = Arc::new(AtomicBool::new(false));
        let moved = Arc::new(AtomicUsize::new(0));
        let total = moves.len();
        let thread = {
            let (admin, stop, moved) = (self.clone(), Arc::clone(&stop), Arc::clone(&moved));
            std::thread::spawn(move || run(&admin, &moves, per_second, &stop, &moved))
        };
        Migrator { stop, moved, total, thread: Some(thread) }
    }

    /// Moves the slots `first..=last`, all of one owner, to `to` by atomic slot migration, and waits for the end.
    ///
    /// # Errors
    ///
    /// When the server is not a Valkey 9, refuses, or the migration fails.
    pub fn move_slots_atomically(&self, first: u16, last: u16, to: usize) -> Result<(), AdminError> {
        let from = self.owner(first).ok_or_else(|| AdminError(format!("nobody owns slot {first}")))?;
        let (low, high, id) = (first.to_string(), last.to_string(), &self.nodes()[to].id);
        self.ask(from, &["CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", &low, &high, "NODE", id])?;
        self.wait(|| {
            // Newest job first; each is a map (in RESP2 a flat array) with its name, slots and state.
            let jobs = self.ask(from, &["CLUSTER", "GETSLOTMIGRATIONS"]).map_err(|e| e.0)?;
            let job = jobs.items().first().ok_or("the migration is not listed")?;
            let field = |name: &str| job.items().chunks_exact(2).find(|pair| pair[0].text() == name);
            let state = field("state").map(|pair| pair[1].text()).unwrap_or_default();
            if state == "success" { Ok(()) } else { Err(format!("the atomic migration is in state {state:?}")) }
        })?;
        self.wait(|| match self.owner(first) {
            Some(owner) if owner == to => Ok(()),
            other => Err(format!("slot {first} is still seen at {other:?}")),
        })
    }
}

/// What a [`Migrator`] did.
#[derive(Clone, Debug, Default)]
pub struct MigratorReport {
    /// Slots that arrived.
    pub moved: usize,
    /// Slots given up, with the last error.
    pub failed: Vec<(u16, String)>,
    /// Moves that were begun anew.
    pub retries: usize,
    /// Time from the first to the last move.
    pub took: Duration,
}

/// A thread that moves slots; dropped, it stops after the current slot.
#[derive(Debug)]
pub struct Migrator {
    stop: Arc<AtomicBool>,
    moved: Arc<AtomicUsize>,
    total: usize,
    thread: Option<JoinHandle<MigratorReport>>,
}

impl Migrator {
    /// Slots moved so far.
    pub fn moved(&self) -> usize {
        self.moved.load(Ordering::Relaxed)
    }

    /// Slots to be moved in all.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Whether it has ended.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits until all slots are moved.
    ///
    /// # Panics
    ///
    /// When its thread panicked.
    pub fn join(mut self) -> MigratorReport {
        self.wait()
    }

    /// Stops after the current slot.
    ///
    /// # Panics
    ///
    /// When its thread panicked.
    pub fn stop(mut self) -> MigratorReport {
        self.stop.store(true, Ordering::Relaxed);
        self.wait()
    }

    fn wait(&mut self) -> MigratorReport {
        self.thread.take().map(|thread| thread.join().expect("the migrator panicked")).unwrap_or_default()
    }
}

impl Drop for Migrator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic, if any, has been printed; ours must not come on top of another.
            let _ = thread.join();
        }
    }
}

fn run(
    admin: &Admin,
    moves: &[(u16, usize)],
    per_second: u32,
    stop: &AtomicBool,
    moved: &AtomicUsize,
) -> MigratorReport {
    let mut report = MigratorReport::default();
    let start = Instant::now();
    for (index, (slot, shard)) in (0..).zip(moves) {
        let due = start + Duration::from_secs(1) * index / per_second.max(1);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let mut last = Ok(());
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                report.retries += 1;
                std::thread::sleep(Duration::from_millis(100));
            }
            last = move_once(admin, *slot, *shard);
            if last.is_ok() {
                break;
            }
        }
        match last {
            Ok(()) => {
                report.moved += 1;
                moved.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) => report.failed.push((*slot, e.0)),
        }
    }
    report.took = start.elapsed();
    report
}

fn move_once(admin: &Admin, slot: u16, shard: usize) -> Result<(), AdminError> {
    let to = admin.primary_of(shard).ok_or_else(|| AdminError(format!("shard {shard} has no primary")))?;
    let from = admin.owner(slot).ok_or_else(|| AdminError(format!("nobody owns slot {slot}")))?;
    admin.move_slot_from(slot, from, to)
}

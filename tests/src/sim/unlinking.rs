//! Deleting by pattern: a scan finds the keys, UNLINK commands of one slot each remove them, and a window bounds how
//! many keys are in flight.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::resp::{Frame, encode};
use slotwise::scan::{UnlinkBatch, UnlinkKey};
use slotwise::slot::Slot;

use super::client::Owner;
use super::world::World;

/// Keys of one command.
const PER_COMMAND: usize = 16;
/// Attempts at a key before it is given up.
const TRIES: u8 = 5;

/// A deletion under way, or one that is over.
#[derive(Clone, Debug, Default)]
pub struct UnlinkRun {
    /// What every key of it begins with.
    prefix: Vec<u8>,
    /// Most keys in flight.
    window: usize,
    /// Found, and to be sent; with the attempts made so far.
    waiting: VecDeque<(Vec<u8>, u8)>,
    /// Sent: the keys by the tag of their command.
    flying: BTreeMap<u64, Vec<(Vec<u8>, u8)>>,
    /// Most keys that were in flight at a time.
    pub most: usize,
    /// What the replies that came add up to.
    pub unlinked: u64,
    /// What the servers removed for it.
    pub removed: u64,
    /// A command may have run without its reply having come: the sum of the replies is a lower bound.
    pub at_least: bool,
    /// Keys given up.
    pub failed: u64,
    /// Keys that were there at the beginning.
    begun: BTreeSet<Vec<u8>>,
    /// Whether the scan has ended, and with a full certificate.
    scanned: Option<bool>,
    /// It is over.
    pub over: bool,
}

impl UnlinkRun {
    /// A key was found.
    pub fn found(&mut self, key: &[u8]) {
        self.waiting.push_back((key.to_vec(), 0));
    }

    /// Too many keys wait for the scan to go on.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.waiting.len() > self.window * 4
    }

    /// The scan has ended.
    pub fn scan_ended(&mut self, complete: bool) {
        self.scanned = Some(complete);
    }

    /// Whether every key that was there throughout was found, and none given up.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.scanned == Some(true) && self.failed == 0
    }

    /// Keys in commands that have not ended.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flying.values().map(Vec::len).sum()
    }
}

impl World {
    /// A client deletes every key that begins with the prefix, with at most so many keys in flight.
    pub fn begin_unlink(&mut self, client: usize, prefix: &[u8], window: usize) {
        let mut begun = BTreeSet::new();
        for node in 0..self.servers.nodes.len() {
            self.servers.model.for_each_key(node, |key| {
                if key.starts_with(prefix) {
                    begun.insert(key.to_vec());
                }
            });
        }
        let run = UnlinkRun { prefix: prefix.to_vec(), window, begun, ..UnlinkRun::default() };
        self.clients[client].unlink = Some(run);
        // Options of a scan borrow their pattern, and it has to live as long as the scan.
        let pattern: &'static [u8] = Vec::leak([prefix, b"*"].concat());
        self.begin_scan_of(client, |options| options.pattern = Some(pattern));
    }

    /// Sends the next window of keys when the one before has come back; says whether there was anything to do.
    pub fn tend_unlink(&mut self, client: usize) -> bool {
        let at = &mut self.clients[client];
        let Some(run) = at.unlink.as_mut().filter(|run| !run.over) else { return false };
        if !run.flying.is_empty() {
            return false;
        }
        if run.waiting.len() < run.window && run.scanned.is_none() {
            return false;
        }
        if run.waiting.is_empty() {
            self.end_unlink(client);
            return true;
        }
        let count = run.window.min(run.waiting.len());
        let keys: Vec<(Vec<u8>, u8)> = run.waiting.drain(..count).collect();
        let tries: BTreeMap<Vec<u8>, u8> = keys.iter().cloned().collect();
        let (mut bytes, mut places) = (vec![0; 64 * 1_024], vec![UnlinkKey::EMPTY; count]);
        let mut batch = UnlinkBatch::new(&mut bytes, &mut places);
        for (key, _) in &keys {
            let taken = batch.push(key).is_ok();
            debug_assert!(taken);
        }
        let mut todo = Vec::new();
        while let Some(command) = batch.command(PER_COMMAND) {
            let mut wire = vec![0; encode::encoded_len(&command).unwrap_or(0) as usize];
            let len = encode::encode(&command, &mut wire).unwrap_or(0);
            let spec = CommandSpec::new(Target::Slot(command.slot()), Access::Write, len as u32)
                .with_retry(RetryPermission::IfNotExecuted);
            let keys: Vec<Vec<u8>> = command.keys().map(<[u8]>::to_vec).collect();
            let mixed = keys.iter().any(|key| Slot::of_key(key) != command.slot());
            todo.push((spec, wire, keys, mixed));
        }
        for (spec, wire, keys, mixed) in todo {
            self.check(5, !mixed, || format!("client {client}: an UNLINK of keys of several slots"));
            let keys: Vec<(Vec<u8>, u8)> = keys.into_iter().map(|key| (key.clone(), tries[&key] + 1)).collect();
            let tag = self.submit(client, spec, wire, Owner::Unlink);
            let Some(run) = self.clients[client].unlink.as_mut() else { return true };
            match tag {
                Some(tag) => {
                    run.flying.insert(tag, keys);
                    run.most = run.most.max(run.in_flight());
                }
                None => run.again(keys),
            }
        }
        let Some(run) = &self.clients[client].unlink else { return true };
        let (most, window, any) = (run.most, run.window, !run.flying.is_empty());
        self.check(8, most <= window, || format!("client {client}: {most} keys are in flight, {window} are allowed"));
        any
    }

    /// A server carried an UNLINK out.
    pub fn unlink_ran(&mut self, client: usize, tag: u64, reply: &[u8]) {
        let Some(run) = self.clients[client].unlink.as_mut() else { return };
        let digits = reply.strip_prefix(b":").map(<[u8]>::trim_ascii_end).unwrap_or_default();
        let count: u64 = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        run.removed += count;
        let stranger = run.flying.get(&tag).into_iter().flatten().find(|(key, _)| !key.starts_with(&run.prefix));
        let text = stranger.map(|(key, _)| key.escape_ascii().to_string());
        self.check(5, text.is_none(), || format!("client {client}: {} is deleted", text.unwrap_or_default()));
    }

    /// An UNLINK was answered.
    pub fn unlink_reply(&mut self, client: usize, tag: u64, frame: &Frame<'_>) {
        let error = frame.error().unwrap_or_default();
        let crossed = error.starts_with(b"CROSSSLOT");
        self.check(5, !crossed, || format!("client {client}: CROSSSLOT for an UNLINK"));
        let Some(run) = self.clients[client].unlink.as_mut() else { return };
        let keys = run.flying.remove(&tag).unwrap_or_default();
        match frame.integer() {
            Some(count) => run.unlinked += u64::try_from(count).unwrap_or(0),
            None => run.again(keys),
        }
    }

    /// An UNLINK ended without a reply. Its keys are deleted again: that changes nothing but the count.
    pub fn unlink_failed(&mut self, client: usize, tag: u64, may_have_run: bool) {
        let Some(run) = self.clients[client].unlink.as_mut() else { return };
        run.at_least |= may_have_run;
        let keys = run.flying.remove(&tag).unwrap_or_default();
        run.again(keys);
    }

    /// I3 and I5: the count is what was removed, or is said to be less, and nothing that was found stays.
    fn end_unlink(&mut self, client: usize) {
        let Some(run) = self.clients[client].unlink.as_mut() else { return };
        run.over = true;
        let (told, removed, at_least, complete) = (run.unlinked, run.removed, run.at_least, run.is_complete());
        let begun = std::mem::take(&mut run.begun);
        let right = if at_least { told <= removed } else { told == removed };
        let tainted = self.options.hostile.is_some();
        self.check(3, right || tainted, || {
            format!("client {client}: {told} keys are said to be deleted (or more: {at_least}), {removed} were")
        });
        let left = begun.iter().find(|key| self.servers.readable(key)).filter(|_| complete && !tainted);
        let text = left.map(|key| key.escape_ascii().to_string());
        self.check(5, text.is_none(), || {
            format!("client {client}: all keys are said to be deleted, and {} is there", text.unwrap_or_default())
        });
    }
}

impl UnlinkRun {
    fn again(&mut self, keys: Vec<(Vec<u8>, u8)>) {
        for (key, tries) in keys {
            if tries < TRIES {
                self.waiting.push_back((key, tries));
            } else {
                self.failed += 1;
            }
        }
    }
}

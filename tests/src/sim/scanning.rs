//! Scans of the whole cluster, held against what was there.

use std::collections::BTreeSet;

use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::ids::{ConnId, NodeId};
use slotwise::resp::{Frame, encode};
use slotwise::scan::{ClusterScan, ScanOptions, Ticket, Walk};
use slotwise::slot::{Slot, SlotSet};
use slotwise::time::Instant;

use super::check::Planted;
use super::client::Owner;
use super::dice::Label;
use super::trace::What;
use super::working::steady_key;
use super::world::{Ev, Phase, World};

/// A scan under way.
pub struct ScanRun {
    scan: ClusterScan<Vec<Walk>>,
    options: ScanOptions<'static>,
    /// What it has returned.
    pub keys: BTreeSet<Vec<u8>>,
    /// Where its requests are: tag and node.
    flying: Vec<(u64, NodeId)>,
    /// When it began.
    pub since: u64,
    /// Keys that were there when it began.
    before: BTreeSet<Vec<u8>>,
    dirty: bool,
}

impl ScanRun {
    /// Whether it vouches for a slot already.
    #[must_use]
    pub fn proves(&self, slot: Slot) -> bool {
        self.scan.certificate().proven().contains(slot)
    }

    /// When it wants to be asked again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.scan.poll_timeout()
    }
}

impl World {
    /// A client starts a scan of all keys.
    pub fn begin_scan(&mut self, client: usize) {
        self.begin_scan_of(client, |_| {});
    }

    /// A client starts a scan with other options than those drawn.
    pub fn begin_scan_of(&mut self, client: usize, change: impl FnOnce(&mut ScanOptions<'static>)) {
        let at = &self.clients[client];
        if at.dropped || at.scan.is_some() || self.phase != Phase::Safety {
            return;
        }
        let dice = self.streams.of(Label::Work);
        let mut options = ScanOptions::new().count(dice.pick(&[10, 1, 100])).per_node(dice.pick(&[1, 2, 4]));
        options.checkpoint = dice.pick(&[128, 2, 16]);
        options.stalls = if self.stage.is_some() { 4 } else { 40 };
        let walks = vec![Walk::IDLE; dice.pick(&[4, 1, 8])];
        change(&mut options);
        // One that goes on has the keys of the one before.
        let before = self.stage.as_mut().and_then(|stage| {
            let token = stage.token.take()?;
            stage.scans.last().map(|scan| (token, scan.keys.clone(), scan.since))
        });
        let (keys, since) = before.as_ref().map_or((BTreeSet::new(), self.now), |(_, keys, at)| (keys.clone(), *at));
        let scan = match &before {
            Some((token, ..)) => ClusterScan::restore(&options, walks, token.as_bytes()).ok(),
            None => Some(ClusterScan::new(&options, walks)),
        };
        let Some(scan) = scan else { return self.violate(5, "a token that was saved cannot be restored".to_owned()) };
        let there = self.servers.names().filter(|(_, there)| *there).map(|(key, _)| key.clone()).collect();
        self.clients[client].scan =
            Some(ScanRun { scan, options, keys, flying: Vec::new(), since, before: there, dirty: true });
        self.note(What::Scan, [client as u64, 0, 0]);
        self.act(|_| format!("scan c{client} count={}", options.count));
        self.drive(client);
    }

    /// Saves the scan under way as a text and goes on with what that says. `None`: there is none. False: it cannot be restored.
    pub fn restore_scan(&mut self, client: usize) -> Option<bool> {
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        let run = at.scan.as_mut()?;
        let mut token = vec![0; slotwise::scan::MAX_TOKEN];
        let len = run.scan.save(&mut token).ok()?;
        let text = String::from_utf8(token[..len].to_vec()).ok()?;
        for (tag, _) in std::mem::take(&mut run.flying) {
            if let Some(request) = at.requests.get(tag as usize).filter(|request| request.end.is_none()) {
                at.engine.cancel(now, request.id);
            }
        }
        match ClusterScan::restore(&run.options, vec![Walk::IDLE; 4], text.as_bytes()) {
            Ok(scan) => (run.scan, run.dirty) = (scan, true),
            Err(_) => return Some(false),
        }
        self.drive(client);
        Some(true)
    }

    /// Sends what a scan wants to know; says whether there was anything.
    pub fn tend_scan(&mut self, client: usize) -> bool {
        let now = self.clients[client].at(self.now);
        let mut any = false;
        loop {
            let at = &mut self.clients[client];
            let Some(run) = at.scan.as_mut() else { return any };
            let due = run.scan.poll_timeout().is_some_and(|at| at <= now);
            let behind = at.unlink.as_ref().is_some_and(|unlink| !unlink.over && unlink.is_behind());
            if (!run.dirty && !due) || behind {
                break;
            }
            let Some(request) = run.scan.poll(now, &at.engine.map()) else {
                run.dirty = false;
                break;
            };
            any = true;
            let mut wire = vec![0; 512];
            let len = encode::encode(&request.args(&run.options), &mut wire).unwrap_or(0);
            wire.truncate(len);
            let spec = CommandSpec::new(Target::Node(request.node), Access::Read, len as u32)
                .with_retry(RetryPermission::IfNotExecuted);
            match self.submit(client, spec, wire, Owner::Scan(request.ticket)) {
                Some(tag) => {
                    if let Some(run) = &mut self.clients[client].scan {
                        run.flying.push((tag, request.node));
                    }
                }
                None => {
                    self.scan_failed(client, request.ticket);
                    // A full table is left to empty itself.
                    self.clients[client].scan.as_mut().into_iter().for_each(|run| run.dirty = false);
                    break;
                }
            }
        }
        let at = &mut self.clients[client];
        let Some(run) = at.scan.as_mut() else { return any };
        if run.scan.wants_refresh() {
            at.engine.refresh(now);
            any = true;
        }
        if run.scan.is_done() {
            self.end_scan(client);
        }
        any
    }

    /// A page, or a proof.
    pub fn scan_reply(&mut self, client: usize, ticket: Ticket, frame: &Frame<'_>) {
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        let Some(run) = at.scan.as_mut() else { return };
        run.dirty = true;
        let (keys, unlink) = (&mut run.keys, &mut at.unlink);
        let _ = run.scan.on_reply(now, ticket, frame, &at.engine.map(), |key| {
            if let Some(unlink) = unlink.as_mut().filter(|unlink| !unlink.over) {
                unlink.found(key);
            }
            keys.insert(key.to_vec());
        });
    }

    /// A request of a scan ended without a reply.
    pub fn scan_failed(&mut self, client: usize, ticket: Ticket) {
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        if let Some(run) = at.scan.as_mut() {
            run.dirty = true;
            run.scan.on_failed(now, ticket);
        }
    }

    /// A connection was lost: cursors of it are worth nothing, subscriptions on it are gone.
    pub fn connection_lost(&mut self, client: usize, conn: ConnId, node: Option<NodeId>) {
        self.subs_lost(client, conn);
        let at = &mut self.clients[client];
        let now = at.at(self.now);
        let (Some(run), Some(node)) = (at.scan.as_mut(), node) else { return };
        run.dirty = true;
        run.scan.on_lost(now, &node);
        let gone: Vec<u64> = run.flying.iter().filter(|(_, at)| *at == node).map(|(tag, _)| *tag).collect();
        run.flying.retain(|(_, at)| *at != node);
        for tag in gone {
            let Some(request) = at.requests.get(tag as usize).filter(|request| request.end.is_none()) else { continue };
            at.engine.cancel(now, request.id);
        }
    }

    /// What is written down of a scan is wrong, if that is planted.
    fn spoil_scan(&self, run: &mut ScanRun) {
        if self.planted(Planted::LostKey) {
            run.keys.remove(steady_key(0).as_bytes());
        }
        if self.planted(Planted::GhostKey) {
            let ghost = self
                .servers
                .names()
                .find(|(key, there)| !there && !run.before.contains(*key) && !self.servers.written(key, run.since));
            run.keys.extend(ghost.map(|(key, _)| key.clone()));
        }
    }

    fn end_scan(&mut self, client: usize) {
        let Some(mut run) = self.clients[client].scan.take() else { return };
        self.spoil_scan(&mut run);
        let certificate = run.scan.certificate();
        let complete = certificate.check().is_ok();
        if let Some(stage) = &mut self.stage {
            let mut token = vec![0; slotwise::scan::MAX_TOKEN];
            let len = run.scan.save(&mut token).unwrap_or(0);
            stage.scans.push(super::script::Scanned {
                complete,
                token: String::from_utf8_lossy(&token[..len]).into_owned(),
                keys: run.keys.clone(),
                since: run.since,
                proven: certificate.proven().clone(),
                unproven: certificate.unproven().collect(),
                ended: certificate.ended().map_or("not over", slotwise::scan::Ended::name),
                restarts: certificate.counts().restarts,
            });
        }
        self.note(What::Scan, [client as u64, 1 + u64::from(complete), run.keys.len() as u64]);
        if complete {
            self.stats.scans.0 += 1;
        } else {
            self.stats.scans.1 += 1;
        }
        if let Some(unlink) = self.clients[client].unlink.as_mut().filter(|unlink| !unlink.over) {
            unlink.scan_ended(complete);
            // What it was not to find, or has removed since, is not missing.
            return;
        }
        self.servers.take_events(self.now);
        let steady = u32::from(self.options.steady);
        let mut missing = Vec::new();
        let written = self.stage.iter().flat_map(|stage| &stage.keys);
        let written = written.filter(|(_, at)| *at <= run.since).map(|(key, _)| key.clone());
        for key in (0..steady).map(steady_key).chain(written) {
            let key = key.into_bytes();
            // Of two nodes that each hold themselves for the owner and hear nothing of the other, either may have been asked.
            let slot = Slot::of_key(&key).get();
            let sure = !self.servers.is_disputed(slot) && !self.servers.contested_since(slot, run.since);
            let there = sure && self.servers.readable(&key) && !self.servers.lost_since(&key, run.since);
            if there && !run.keys.contains(&key) {
                missing.push(key);
            }
        }
        let proven = certificate.proven();
        let lost = super::check::scan::lost(&missing, proven);
        // Of another cluster that has all the addresses nothing can be told.
        let hostile = self.options.hostile.is_some() || self.servers.alien_at >= run.since;
        self.check(5, lost.is_none() || hostile, || {
            format!(
                "client {client}: the scan vouches for a slot of which it did not return {}",
                lost.unwrap_or_default()
            )
        });
        let was = |key: &&Vec<u8>| {
            // What a transaction writes is there when it is carried out, later than it was named.
            run.before.contains(*key) || self.servers.written(key, run.since) || self.servers.exists(key)
        };
        let stranger = run.keys.iter().find(|key| !was(key));
        let text = stranger.map(|key| key.escape_ascii().to_string());
        self.check(5, text.is_none() || hostile, || {
            format!("client {client}: the scan returned {}, which was not there", text.unwrap_or_default())
        });
        if self.stage.is_some() {
            return;
        }
        let gap = 200_000 + self.dice(Label::Work).exponential(1_000_000);
        self.after(gap, Ev::Scan(client));
    }
}

/// The slots that are named as without a proof, as a set.
#[must_use]
pub fn contains(proven: &SlotSet, key: &[u8]) -> bool {
    proven.contains(Slot::of_key(key))
}

//! Scans of scripts: what they are told, and what they came to.

use std::collections::BTreeSet;

use slotwise::scan::{Coverage, Why};
use slotwise::slot::{Slot, SlotRange, SlotSet};

use super::expects::compare;
use super::{Script, number};

/// A scan that ended.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// It has a full certificate.
    pub complete: bool,
    /// Where another one can go on.
    pub token: String,
    /// When it began.
    pub since: u64,
    /// What it returned.
    pub keys: BTreeSet<Vec<u8>>,
    /// What it vouches for.
    pub proven: SlotSet,
    /// And what not, and why.
    pub unproven: Vec<(SlotRange, Why)>,
    /// How it ended.
    pub ended: &'static str,
    /// Slots that were walked again.
    pub restarts: u64,
}

impl Scanned {
    fn why(&self, slot: Slot) -> Option<Why> {
        let found = self.unproven.iter().find(|(range, _)| range.first() <= slot && slot <= range.last());
        found.map(|(_, why)| *why)
    }
}

impl Script {
    /// `scan c0 [lax] [restarts=1] [count=10]`
    pub(super) fn scan(&mut self, resumed: bool, client: &str, settings: &[&str]) -> Result<(), String> {
        let client = self.client(client)?;
        if resumed {
            let token = self.stage().scans.last().map(|scan| scan.token.clone());
            self.stage().token = Some(token.ok_or("no scan has ended")?);
        }
        let (mut lax, mut restarts, mut count) = (false, None, None);
        for setting in settings {
            match setting.split_once('=') {
                Some(("restarts", most)) => restarts = Some(number(most)?),
                Some(("count", most)) => count = Some(number(most)?),
                None if *setting == "lax" => lax = true,
                _ => return Err(format!("no setting {setting}")),
            }
        }
        self.world.begin_scan_of(client, |options| {
            if lax {
                options.coverage = Coverage::AllowUncovered;
            }
            options.restarts = restarts.unwrap_or(options.restarts);
            options.count = count.unwrap_or(options.count);
        });
        Ok(())
    }

    /// The scan under way is saved as a text, thrown away, and gone on with.
    pub(super) fn retoken(&mut self, client: &str) -> Result<(), String> {
        let client = self.client(client)?;
        let holds = self.world.restore_scan(client).ok_or("no scan is under way")?;
        if holds { Ok(()) } else { Err("it cannot be restored".to_owned()) }
    }

    /// Waits until the scan under way has a proof of a key's slot.
    pub(super) fn until_proven(&mut self, key: &str, limit: u64) -> Result<(), String> {
        let (slot, until) = (Slot::masked(self.slot(key)), self.world.now + limit);
        let ended = self.pass(until, |world| {
            let scans = world.clients.iter().filter_map(|client| client.scan.as_ref());
            !scans.clone().any(|scan| scan.proves(slot)) && scans.count() > 0
        })?;
        let scanning = self.world.clients.iter().any(|client| client.scan.is_some());
        if ended && scanning { Ok(()) } else { Err("it was not, while a scan was under way".to_owned()) }
    }

    /// What the last scan came to.
    pub(super) fn expect_scan(&mut self, what: &[&str]) -> Result<(), String> {
        let slot_of = |key: &str| Slot::masked(self.slot(key));
        let scans = self.world.stage.as_ref().map(|stage| &stage.scans);
        let scan = scans.and_then(|scans| scans.last()).ok_or("no scan has ended")?;
        let holds = match *what {
            ["complete"] => scan.complete,
            ["incomplete"] => !scan.complete,
            ["proves", key] => scan.proven.contains(slot_of(key)),
            ["names", key, why] => scan.why(slot_of(key)).is_some_and(|found| found.name() == why),
            ["returned", key] => scan.keys.contains(self.fill(key).as_bytes()),
            // The promise itself: the key is there, or its slot is named.
            ["vouches", key] => scan.keys.contains(self.fill(key).as_bytes()) || !scan.proven.contains(slot_of(key)),
            ["ended", how] => scan.ended == how,
            ["restarts", ref how @ ..] => return compare(scan.restarts, how),
            ["keys", ref how @ ..] => return compare(scan.keys.len() as u64, how),
            ["unproven", ref how @ ..] => {
                return compare(scan.unproven.iter().map(|(range, _)| u64::from(range.len())).sum(), how);
            }
            _ => return Err("no such expectation".to_owned()),
        };
        let named: Vec<String> =
            scan.unproven.iter().take(4).map(|(range, why)| format!("{range:?} {why:?}")).collect();
        if holds { Ok(()) } else { Err(format!("the scan ended as {}, without {named:?}", scan.ended)) }
    }

    /// What a deletion came to.
    pub(super) fn expect_unlink(&self, client: &str, what: &[&str]) -> Result<(), String> {
        let client = self.client(client)?;
        let run = self.world.clients[client].unlink.as_ref().ok_or("nothing was deleted")?;
        let holds = match *what {
            ["exact"] => !run.at_least && run.unlinked == run.removed,
            ["at-least"] => run.at_least,
            ["complete"] => run.is_complete(),
            ["incomplete"] => !run.is_complete(),
            ["count", ref how @ ..] => return compare(run.unlinked, how),
            ["removed", ref how @ ..] => return compare(run.removed, how),
            ["failed", ref how @ ..] => return compare(run.failed, how),
            ["in-flight", ref how @ ..] => return compare(run.most as u64, how),
            _ => return Err("no such expectation".to_owned()),
        };
        let (told, removed, at_least) = (run.unlinked, run.removed, run.at_least);
        if holds { Ok(()) } else { Err(format!("told {told}, or more: {at_least}; removed {removed}")) }
    }
}

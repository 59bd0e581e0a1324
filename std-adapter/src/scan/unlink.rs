//! Deleting every key that matches.

use std::ops::ControlFlow;

use slotwise::command::{Access, CommandSpec, RetryPermission, Target};
use slotwise::scan::{Counts, Incomplete, UnlinkBatch, UnlinkCommand, UnlinkError, UnlinkKey};
use slotwise::slot::Slot;

use super::work::{ScanWork, Unlink};
use super::{Scan, ScanOptions, encoded};
use crate::client::Client;
use crate::error::Error;

/// Bytes of keys that are collected before they are sent.
const WINDOW_BYTES: usize = 4 << 20;
/// Keys found between two calls of the progress callback.
const STEP: u64 = 4_096;

/// How to delete; see [`Client::unlink_matching`].
#[derive(Clone, Copy, Debug)]
pub struct UnlinkOptions {
    dry_run: bool,
    window: usize,
    per_command: usize,
}

impl Default for UnlinkOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl UnlinkOptions {
    /// Deletes; 32,768 keys in flight, 256 a command.
    #[must_use]
    pub const fn new() -> Self {
        Self { dry_run: false, window: 32_768, per_command: 256 }
    }

    /// Only counts.
    #[must_use]
    pub const fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Most keys in flight at a time; at least 1.
    #[must_use]
    pub const fn window(mut self, keys: usize) -> Self {
        self.window = keys;
        self
    }

    /// Most keys of one UNLINK; at least 1.
    #[must_use]
    pub const fn per_command(mut self, keys: usize) -> Self {
        self.per_command = keys;
        self
    }
}

/// What [`Client::unlink_matching`] did, so far or in all.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct UnlinkReport {
    /// Keys found; one that the scan returned twice counts twice.
    pub matched: u64,
    /// Keys that the servers say they removed.
    pub unlinked: u64,
    /// Keys whose UNLINK failed.
    pub failed: u64,
    /// The first of these failures.
    pub first_error: Option<Error>,
    /// Slots whose keys were all found.
    pub proven: u16,
    /// What the scan did.
    pub counts: Counts,
    /// Why keys may be left: the scan cannot vouch for some slots. `None` until the end, and when it can.
    pub incomplete: Option<Incomplete>,
    /// Every slot without a proof, as runs with the reason.
    pub unproven: Vec<(slotwise::slot::SlotRange, slotwise::scan::Why)>,
}

impl UnlinkReport {
    /// Whether every key that matched from the beginning to the end was found and dealt with.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.failed == 0 && self.incomplete.is_none()
    }
}

impl Client {
    /// Deletes every key that the scan finds, in the background of each node (UNLINK): keys are collected in a window,
    /// grouped by slot and sent while the scan goes on. `progress` is told from time to time how far it has come, and can
    /// stop it.
    ///
    /// That some keys could not be deleted, or some slots not be vouched for, stands in the report.
    ///
    /// # Errors
    /// [`Error::Server`] when a server refuses to scan, [`Error::Io`]. Keys found before may be deleted.
    pub fn unlink_matching(
        &mut self,
        what: ScanOptions,
        how: UnlinkOptions,
        mut progress: impl FnMut(&UnlinkReport) -> ControlFlow<()>,
    ) -> Result<UnlinkReport, Error> {
        let (mut bytes, mut places) = (vec![0; WINDOW_BYTES], vec![UnlinkKey::EMPTY; how.window.max(1)]);
        let mut window = UnlinkBatch::new(&mut bytes, &mut places);
        let mut scan = self.scan(what);
        let mut report = UnlinkReport::default();
        loop {
            match scan.next_key() {
                Ok(Some(key)) => {
                    report.matched += 1;
                    if !how.dry_run {
                        match window.push(key) {
                            Ok(()) => {}
                            Err(UnlinkError::TooLong) => {
                                let key = key.to_vec();
                                scan.send_one(key);
                            }
                            Err(_) => {
                                let key = key.to_vec();
                                scan.send(&mut window, &how)?;
                                // An empty window takes every key that is not too long for it.
                                let _ = window.push(&key);
                            }
                        }
                    }
                }
                Ok(None) | Err(Error::Scan(_)) => break,
                Err(error) => return Err(error),
            }
            if report.matched.is_multiple_of(STEP) {
                scan.describe(&mut report);
                if progress(&report).is_break() {
                    scan.cancel();
                    break;
                }
            }
        }
        scan.send(&mut window, &how)?;
        scan.settle(0)?;
        scan.describe(&mut report);
        report.incomplete = scan.certificate().check().err();
        report.unproven = scan.certificate().unproven().collect();
        report.first_error = scan.work.unlinks.first_error.take();
        let _ = progress(&report);
        Ok(report)
    }
}

impl Scan<'_> {
    fn describe(&self, report: &mut UnlinkReport) {
        let certificate = self.certificate();
        report.proven = certificate.proven().len();
        report.counts = *certificate.counts();
        report.unlinked = self.work.unlinks.unlinked;
        report.failed = self.work.unlinks.failed;
    }

    /// Sends all keys of the window, when those before them are answered, and empties it.
    fn send(&mut self, window: &mut UnlinkBatch<'_>, how: &UnlinkOptions) -> Result<(), Error> {
        self.settle(how.window.saturating_sub(window.len()))?;
        while let Some(command) = window.command(how.per_command) {
            self.send_command(&command);
        }
        window.clear();
        Ok(())
    }

    /// Waits until at most `most` keys are in flight, and sends keys of failed commands again, one by one.
    fn settle(&mut self, most: usize) -> Result<(), Error> {
        loop {
            for key in std::mem::take(&mut self.work.unlinks.again) {
                self.send_one(key);
            }
            if self.work.unlinks.keys_in_flight <= most {
                return Ok(());
            }
            self.client.driver.turn(&mut self.work, None)?;
        }
    }

    fn send_command(&mut self, command: &UnlinkCommand<'_>) {
        let mut bytes = Vec::new();
        encoded(command, &mut bytes);
        let keys = command.keys().map(<[u8]>::to_vec).collect();
        self.submit_unlink(command.slot(), Unlink { id: None, keys, bytes });
    }

    fn send_one(&mut self, key: Vec<u8>) {
        let mut bytes = Vec::new();
        encoded(&[b"UNLINK".as_slice(), &key], &mut bytes);
        self.submit_unlink(Slot::of_key(&key), Unlink { id: None, keys: vec![key], bytes });
    }

    fn submit_unlink(&mut self, slot: Slot, unlink: Unlink) {
        let tag = ScanWork::tag(&mut self.client.scan_tags);
        let len = u32::try_from(unlink.bytes.len()).unwrap_or(u32::MAX);
        // A second UNLINK of the same keys does no harm: they were to go.
        let spec =
            CommandSpec::new(Target::Slot(slot), Access::Write, len).with_retry(RetryPermission::Always).with_tag(tag);
        self.work.unlink(tag, unlink);
        let now = self.client.driver.now();
        match self.client.driver.cluster.submit(now, spec) {
            Ok(id) => self.work.accepted(tag, id),
            Err(error) => self.work.unlinks.refused(tag, Error::Submit { command: "UNLINK".to_owned(), error }),
        }
    }
}

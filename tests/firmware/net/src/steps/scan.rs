//! Every key of the cluster.

use slotwise::scan::{Handled, ScanError};

use super::LONG;
use crate::app::What;
use crate::memory::{self, Scan};
use crate::rig::{Failed, Rig};
use crate::{Orders, app, clock, ensure};

/// Most keys that the host puts in.
const MOST: usize = 4096;
const NAME: &[u8] = b"scan:";

/// A scan and what it found.
pub struct Scanning {
    pub scan: &'static mut Scan,
    pub seen: &'static mut Seen,
    /// A key that comes in pieces.
    pub long: [u8; 64],
    /// The first reply that was none.
    wrong: Option<ScanError>,
}

impl Scanning {
    pub fn heard(&mut self, handled: Result<Handled, ScanError>) {
        if let Err(error) = handled {
            self.wrong = self.wrong.or(Some(error));
        }
    }
}

/// Which of the host's keys came.
pub struct Seen {
    keys: [u32; MOST / 32],
    found: u16,
    again: u16,
    others: u16,
}

impl Seen {
    pub const NONE: Self = Self { keys: [0; MOST / 32], found: 0, again: 0, others: 0 };

    pub fn key(&mut self, key: &[u8]) {
        let number = key.strip_prefix(NAME).and_then(|rest| core::str::from_utf8(rest).ok()?.parse::<u16>().ok());
        let Some(number) = number.filter(|number| usize::from(*number) < MOST) else {
            self.others += 1;
            return;
        };
        let (word, bit) = (&mut self.keys[usize::from(number / 32)], 1 << (number % 32));
        if *word & bit != 0 {
            self.again += 1;
        } else {
            self.found += 1;
        }
        *word |= bit;
    }
}

/// One walk at a time, each page through a receive buffer of 2 KiB. All keys, each once, and the scan vouches for it.
pub fn scan(rig: &mut Rig, orders: &Orders) -> Result<(), Failed> {
    let scan = memory::SCAN.init_with(|| Scan::inline(&app::SCAN));
    rig.app.scan = Some(Scanning { scan, seen: memory::SEEN.take(), long: [0; 64], wrong: None });
    let mut job = None;
    let end = rig.now() + LONG;
    loop {
        ensure!(clock::now() < end, "the scan took too long");
        if let Some(at) = job.filter(|at| rig.app.ended(*at)) {
            rig.app.take(at);
            job = None;
        }
        let Some(Scanning { scan, .. }) = &mut rig.app.scan else { return Err("no scan") };
        if scan.is_done() {
            break;
        }
        if scan.wants_refresh() {
            rig.driver.cluster().refresh(clock::now());
        }
        // One walk has one request at a time.
        if job.is_none() {
            rig.app.scanning = scan.poll(clock::now(), &rig.driver.cluster().map());
            if rig.app.scanning.is_some() {
                job = Some(rig.push(What::Scan)?);
            }
        }
        if rig.turn(64) {
            cortex_m::asm::wfi();
        }
    }
    if let Some(at) = job {
        rig.app.take(at);
    }
    let Some(Scanning { scan, seen, wrong, .. }) = rig.app.scan.take() else { return Err("no scan") };
    ensure!(wrong.is_none(), "a reply that is no answer", wrong);
    let certificate = scan.certificate();
    let (counts, proven) = (*certificate.counts(), certificate.proven().len());
    defmt::info!(
        "scan: {=u16} keys, {=u16} again, {=u16} others, {=u16} slots proven, {=u64} pages, {=u64} restarts",
        seen.found,
        seen.again,
        seen.others,
        proven,
        counts.pages,
        counts.restarts
    );
    ensure!(certificate.check().is_ok(), "the scan does not vouch for all", proven);
    ensure!(seen.found == orders.keys, "keys are missing", seen.found, orders.keys);
    ensure!(seen.again == 0 || counts.restarts > 0, "a key came twice", seen.again);
    Ok(())
}

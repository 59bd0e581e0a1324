//! What callers were told, held against the lists.

use std::collections::{BTreeMap, HashMap};

use slotwise_std::Client;
use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_tests::real::Admin;

use crate::faults::{Fault, MIGRATED, What};
use crate::load::{CALLERS, End, Kind, LISTS, Note, Told, list};

/// Longest a healthy shard's answer may take in the figures printed: what is above is counted.
const STALL: u64 = 100;

pub(crate) fn check(url: &str, admin: &Admin, told: &[Told], faults: &[Fault]) {
    let mut report = Report::default();
    let mut client = Client::connect(url).unwrap();
    let mut runs: HashMap<(usize, usize), u32> = HashMap::new();
    for number in 0..LISTS {
        let value = client.command(&["LRANGE", &list(number), "0", "-1"]).unwrap();
        let mut last = [None; CALLERS];
        for item in value.as_slice().unwrap() {
            let (caller, n) = item.as_str().unwrap().split_once(':').unwrap();
            let (caller, n): (usize, usize) = (caller.parse().unwrap(), n.parse().unwrap());
            *runs.entry((caller, n)).or_default() += 1;
            report.order(told, caller, n, &mut last[caller]);
        }
    }
    for (caller, told) in told.iter().enumerate() {
        report.answered_twice += told.twice;
        report.away = report.away.max(told.away);
        for (number, note) in told.notes.iter().enumerate() {
            report.note(note, runs.get(&(caller, number)).copied().unwrap_or(0), faults, (caller, number));
        }
        for (addr, count) in &told.dialled {
            let most = report.dials.entry(addr.clone()).or_default();
            *most = (*most).max(*count);
        }
        for (text, count) in &told.errors {
            *report.errors.entry(text.clone()).or_default() += count;
        }
    }
    report.print(admin, faults);
    report.judge(faults);
}

#[derive(Debug, Default)]
struct Report {
    ends: BTreeMap<String, u64>,
    errors: BTreeMap<String, u64>,
    wrong: u64,
    unanswered: u64,
    answered_twice: u64,
    lost: u64,
    lost_unexplained: Vec<(usize, usize)>,
    ran_though_not_sent: Vec<(usize, usize)>,
    ran_twice: Vec<(usize, usize)>,
    inversions: u64,
    unflagged: Vec<(usize, usize, usize)>,
    dials: BTreeMap<String, u64>,
    away: u64,
    healthy: Vec<u64>,
    /// Some of the answers that took long though the shard had no fault.
    stalled: Vec<(usize, Note)>,
}

impl Report {
    /// Numbers of one caller in one list ascend, except where the late one says that it was sent again.
    fn order(&mut self, told: &[Told], caller: usize, n: usize, last: &mut Option<usize>) {
        if let Some(before) = *last
            && before > n
        {
            self.inversions += 1;
            let note = &told[caller].notes[n];
            // Who was told "maybe" was told nothing about when.
            if !note.resent && note.end == Some(End::Done) {
                self.unflagged.push((caller, before, n));
            }
        }
        *last = Some(last.map_or(n, |last| last.max(n)));
    }

    fn note(&mut self, note: &Note, runs: u32, faults: &[Fault], id: (usize, usize)) {
        let Some(end) = note.end else {
            self.unanswered += 1;
            return;
        };
        *self.ends.entry(format!("{:?} {end:?}", note.kind)).or_default() += 1;
        self.wrong += u64::from(end == End::Wrong);
        if note.kind != Kind::Echo {
            self.healthy(note, faults);
        }
        if note.kind != Kind::Append {
            return;
        }
        if runs > 1 {
            self.ran_twice.push(id);
        }
        let shard = note.shard();
        match end {
            End::Done if runs == 0 => {
                self.lost += 1;
                if !faults.iter().any(|fault| fault.may_lose(shard, note.answered)) {
                    self.lost_unexplained.push(id);
                }
            }
            End::Outcome(Outcome::NotSent | Outcome::Rejected) if runs > 0 => self.ran_though_not_sent.push(id),
            _ => {}
        }
    }

    /// Notes how long an answer took whose shard had no fault meanwhile.
    fn healthy(&mut self, note: &Note, faults: &[Fault]) {
        let shard = note.shard();
        // A slot that was migrated may still be asked for where it was: at most until the map is asked for again.
        let other = if note.slot() % 5_462 < MIGRATED { (shard + 1) % 3 } else { shard };
        let hit = |fault: &Fault| {
            (fault.shards[shard] || fault.shards[other])
                && fault.from.saturating_sub(500) <= note.answered
                && note.asked <= fault.to + 3_000
        };
        if !faults.iter().any(hit) {
            let took = note.answered - note.asked;
            self.healthy.push(took);
            if took > STALL && self.stalled.len() < 20 {
                self.stalled.push((shard, *note));
            }
        }
    }

    fn print(&mut self, admin: &Admin, faults: &[Fault]) {
        println!("{:?}: {} faults", admin.kind(), faults.len());
        for fault in faults {
            println!("  {:?} on {:?} from {} to {} ms", fault.what, fault.shards, fault.from, fault.to);
        }
        for (end, count) in &self.ends {
            println!("  {end}: {count}");
        }
        for (text, count) in &self.errors {
            println!("  {count} times: {text}");
        }
        println!(
            "  misattributed: {}, answered twice: {}, never: {}",
            self.wrong, self.answered_twice, self.unanswered
        );
        println!("  done, then lost with its primary: {}; unexplained: {}", self.lost, self.lost_unexplained.len());
        println!("  told not sent or rejected, but ran: {}", self.ran_though_not_sent.len());
        println!("  ran twice: {}", self.ran_twice.len());
        println!("  out of order and flagged: {}; unflagged: {}", self.inversions, self.unflagged.len());
        self.healthy.sort_unstable();
        let at = |part: f64| self.healthy.get((self.healthy.len() as f64 * part) as usize).copied().unwrap_or(0);
        let above = self.healthy.iter().filter(|ms| **ms > STALL).count();
        println!(
            "  shards without a fault: {} answers, median {} ms, 99.9 % within {} ms, longest {} ms, {above} above {STALL} ms; \
             a caller's thread was away for up to {} ms",
            self.healthy.len(),
            at(0.5),
            at(0.999),
            self.healthy.last().copied().unwrap_or(0),
            self.away,
        );
        for (shard, note) in &self.stalled {
            println!("    shard {shard}: {note:?}");
        }
        for (addr, count) in &self.dials {
            println!("  {addr} was dialled at most {count} times by one client");
        }
    }

    fn judge(&self, faults: &[Fault]) {
        assert_eq!(self.wrong, 0, "misattributed");
        assert_eq!(self.answered_twice, 0, "answered twice");
        assert_eq!(self.unanswered, 0, "never answered");
        assert_eq!(self.lost_unexplained, [], "told done, not there, and no failover explains it");
        assert_eq!(self.ran_though_not_sent, [], "told not sent or rejected, but it ran");
        assert_eq!(self.ran_twice, [], "ran twice");
        assert_eq!(self.unflagged, [], "overtaken without a word");
        // A dial each when the caller starts and at every fault, and while a node is away as often as the back-off
        // from 50 ms to 10 s allows.
        let hard = faults.iter().filter(|fault| matches!(fault.what, What::Kill | What::Pause)).count() as u64;
        let budget = 2 + 2 * faults.len() as u64 + 12 * hard;
        for (addr, count) in &self.dials {
            assert!(*count <= budget, "{addr} was dialled {count} times by one client: more than {budget}");
        }
        assert!(self.ends.values().sum::<u64>() > 1_000, "there was hardly any load");
    }
}

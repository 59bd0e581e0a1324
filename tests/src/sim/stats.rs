//! Counts over runs.

use super::check::windows::Delays;
use super::kinds::Fault;
use super::options::PROFILES;

/// What happened how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Runs.
    pub seeds: u64,
    /// Runs by the servers' habits, in the order of [`PROFILES`].
    pub profiles: [u64; PROFILES.len()],
    /// Runs in which nodes of two kinds were mixed.
    pub mixed: u64,
    /// Virtual microseconds.
    pub virtual_time: u64,
    /// Events of the queue.
    pub events: u64,
    /// Commands that applications asked for.
    pub commands: u64,
    /// Executions at servers.
    pub executions: u64,
    /// Faults by kind.
    pub faults: Vec<u64>,
    /// Checks by invariant; the first is not used.
    pub checks: [u64; 15],
    /// Redirects that servers answered, and that clients followed.
    pub redirects: u64,
    /// Scans that ended with a full certificate, and without one.
    pub scans: (u64, u64),
    /// Messages handed out, and gaps announced.
    pub messages: (u64, u64),
    /// Ends of commands: done, error replies, rejected, not sent, maybe executed, reply lost, confirmed.
    pub ends: [u64; 7],
    /// Dials.
    pub dials: u64,
    /// Topology questions.
    pub questions: u64,
    /// Answers of servers whose redirect was delivered to the caller because the budget was spent.
    pub given_up: u64,
    /// Delays before dials that followed failures.
    pub delays: Delays,
}

/// The names of [`Stats::ends`].
pub const ENDS: [&str; 7] = ["done", "error", "rejected", "not_sent", "maybe_executed", "reply_lost", "confirmed"];

impl Default for Stats {
    fn default() -> Self {
        Self {
            seeds: 0,
            profiles: [0; PROFILES.len()],
            mixed: 0,
            virtual_time: 0,
            events: 0,
            commands: 0,
            executions: 0,
            faults: vec![0; Fault::ALL.len()],
            checks: [0; 15],
            redirects: 0,
            scans: (0, 0),
            messages: (0, 0),
            ends: [0; 7],
            dials: 0,
            questions: 0,
            given_up: 0,
            delays: Delays::default(),
        }
    }
}

impl Stats {
    /// Counts a fault.
    pub fn fault(&mut self, fault: Fault) {
        self.faults[fault as usize] += 1;
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.mixed += other.mixed;
        self.virtual_time += other.virtual_time;
        self.events += other.events;
        self.commands += other.commands;
        self.executions += other.executions;
        self.redirects += other.redirects;
        self.scans.0 += other.scans.0;
        self.scans.1 += other.scans.1;
        self.messages.0 += other.messages.0;
        self.messages.1 += other.messages.1;
        self.dials += other.dials;
        self.questions += other.questions;
        self.given_up += other.given_up;
        for (row, more) in self.delays.iter_mut().zip(&other.delays) {
            row.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        let pairs = self.faults.iter_mut().zip(&other.faults);
        let pairs = pairs.chain(self.checks.iter_mut().zip(&other.checks));
        let pairs = pairs.chain(self.profiles.iter_mut().zip(&other.profiles));
        for (sum, more) in pairs.chain(self.ends.iter_mut().zip(&other.ends)) {
            *sum += more;
        }
    }
}

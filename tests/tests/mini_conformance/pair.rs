//! The same steps on a real cluster and on the model, and what they say compared.

use crate::side::Side;
use slotwise_tests::real::ServerKind;
use std::collections::BTreeMap;
use std::time::Duration;

/// A real cluster and the model, of the same shape.
pub(crate) struct Pair {
    pub(crate) kind: ServerKind,
    real: Side,
    mini: Side,
    // Slots whose move has begun: from, to.
    moving: BTreeMap<u16, (usize, usize)>,
    // Slots that were moved, and where they were at first.
    homes: BTreeMap<u16, usize>,
    /// What was done and what the real servers said, as a transcript.
    pub(crate) transcript: Vec<String>,
    pub(crate) commands: usize,
    pub(crate) compared: usize,
    pub(crate) disagreements: Vec<String>,
}

impl Pair {
    pub(crate) fn start(kind: ServerKind, replicas: usize) -> Option<Self> {
        Some(Pair {
            kind,
            real: Side::real(kind, replicas)?,
            mini: Side::mini(kind, replicas),
            moving: BTreeMap::new(),
            homes: BTreeMap::new(),
            transcript: Vec::new(),
            commands: 0,
            compared: 0,
            disagreements: Vec::new(),
        })
    }

    /// Sends a command (none: an empty slice) to both and compares `frames` replies.
    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, name: &str, words: &[A], frames: usize) {
        let text: Vec<String> = words.iter().map(|w| String::from_utf8_lossy(w.as_ref()).into_owned()).collect();
        if !words.is_empty() {
            self.real.send(name, words);
            self.mini.send(name, words);
            self.commands += 1;
        }
        self.transcript.push(format!("> {name} {}", quote(&text)));
        for _ in 0..frames {
            let (real, mini) = (self.real.read(name, &text), self.mini.read(name, &text));
            self.compare(name, real, mini);
        }
    }

    fn compare(&mut self, name: &str, real: String, mini: String) {
        self.compared += 1;
        if real != mini || real == "nothing in time" {
            let before =
                self.transcript.iter().rev().take(most_shown()).rev().cloned().collect::<Vec<_>>().join("\n    ");
            self.disagreements.push(format!("{name}\n  real: {real}\n  mini: {mini}\n  after:\n    {before}"));
        }
        self.transcript.push(format!("< {name} {real}"));
    }

    /// Neither side has sent something nobody asked for.
    pub(crate) fn expect_silence(&mut self, name: &str) {
        let limit = Duration::from_millis(100);
        let (real, mini) = (self.real.read_within(name, limit), self.mini.read_within(name, limit));
        self.transcript.push(format!("= {name}"));
        assert_eq!((real, mini), (None, None), "{name} is not silent");
    }

    /// Both have sent one more frame, the same, or neither has.
    pub(crate) fn same_or_silent(&mut self, name: &str) {
        let limit = Duration::from_millis(300);
        let (real, mini) = (self.real.read_within(name, limit), self.mini.read_within(name, limit));
        if real.is_none() && mini.is_none() {
            self.transcript.push(format!("= {name}"));
        } else {
            let [real, mini] = [real, mini].map(|frame| frame.unwrap_or_else(|| "silence".to_owned()));
            self.transcript.push(format!("> {name} "));
            self.compare(name, real, mini);
        }
    }

    /// Closes a connection.
    pub(crate) fn close(&mut self, name: &str) {
        self.transcript.push(format!("! close {name}"));
        self.real.forget(name);
        self.mini.forget(name);
    }

    /// Marks a slot for its move to node `to`.
    pub(crate) fn begin_move(&mut self, slot: u16, to: usize) {
        let from = self.owner(slot);
        self.transcript.push(format!("! begin {slot} {to}"));
        self.real.begin_move(slot, from, to);
        self.mini.begin_move(slot, from, to);
        self.moving.insert(slot, (from, to));
        self.homes.entry(slot).or_insert(from);
    }

    /// Moves one key of it, if it is there; both sides must agree whether it is.
    pub(crate) fn move_key(&mut self, slot: u16, key: &str) {
        let (from, to) = self.moving[&slot];
        self.transcript.push(format!("! key {slot} {key}"));
        let real = self.real.move_key(slot, from, to, key);
        let mini = self.mini.move_key(slot, from, to, key);
        assert_eq!(real, mini, "{key} was there");
    }

    /// Moves the rest of the slot's keys and gives it to its new owner; everybody knows.
    pub(crate) fn finish_move(&mut self, slot: u16) {
        let (from, to) = self.moving.remove(&slot).expect("a slot whose move has begun");
        self.transcript.push(format!("! finish {slot}"));
        let real = self.real.finish_move(slot, from, to);
        let mini = self.mini.finish_move(slot, from, to);
        assert_eq!(real, mini, "keys left in slot {slot}");
    }

    /// Moves a slot in one step.
    pub(crate) fn move_atomically(&mut self, slot: u16, to: usize) {
        let from = self.owner(slot);
        self.transcript.push(format!("! atomic {slot} {to}"));
        self.homes.entry(slot).or_insert(from);
        self.real.move_atomically(slot, to);
        self.mini.move_atomically(slot, to);
    }

    pub(crate) fn failover(&mut self, replica: usize) {
        self.transcript.push(format!("! failover {replica}"));
        self.real.failover(replica);
        self.mini.failover(replica);
    }

    /// The node that owns a slot.
    pub(crate) fn owner(&self, slot: u16) -> usize {
        self.mini.owner(slot)
    }

    /// Gives real replicas time to receive what was written.
    pub(crate) fn sync(&mut self) {
        self.transcript.push("! sync".to_owned());
        self.real.sync();
    }

    /// Lets keys expire.
    pub(crate) fn sleep(&mut self, millis: u64) {
        self.transcript.push(format!("! sleep {millis}"));
        std::thread::sleep(Duration::from_millis(millis));
    }

    /// Both as at the beginning.
    pub(crate) fn reset(&mut self) {
        for slot in self.moving.keys().copied().collect::<Vec<_>>() {
            self.finish_move(slot);
        }
        let homes: Vec<(u16, usize)> = std::mem::take(&mut self.homes).into_iter().collect();
        self.real.reset(&homes);
        self.mini.reset(&homes);
        self.real.sync();
        self.transcript.clear();
    }

    /// No connections and no keys; the slots stay where they are.
    pub(crate) fn fresh(&mut self) {
        self.real.clear();
        self.mini.clear();
        self.transcript.clear();
    }

    /// Every key of every primary, on both sides.
    pub(crate) fn scan_all(&mut self) -> [Vec<Vec<u8>>; 2] {
        [self.real.scan_all(), self.mini.scan_all()]
    }

    /// Fails with the disagreements, if any.
    pub(crate) fn check(&mut self, what: &str) {
        let count = self.disagreements.len();
        let most = if std::env::var_os("SLOTWISE_ALL").is_some() { 1000 } else { 6 };
        let first: Vec<_> = std::mem::take(&mut self.disagreements).into_iter().take(most).collect();
        assert!(
            count == 0,
            "{:?}, {what}: {count} of {} replies differ:\n{}",
            self.kind,
            self.compared,
            first.join("\n")
        );
    }
}

/// Words in the form the scripts have them: quoted where they contain what would part them.
pub(crate) fn quote(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.is_empty() || word.contains([' ', '"', '\\', '\n', '\r']) {
            let text = word.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\r', "\\r");
            format!("\"{text}\"")
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// How many steps in front of a disagreement are shown: `SLOTWISE_SHOW`.
fn most_shown() -> usize {
    std::env::var("SLOTWISE_SHOW").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

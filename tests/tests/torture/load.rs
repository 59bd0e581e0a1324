//! One caller: a window of commands that is always full, and a note of each.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Answer, Batch, Client, Pipeline, Value};

pub(crate) const CALLERS: usize = 4;
/// Lists, each written by every caller.
pub(crate) const LISTS: usize = 600;
/// Commands on their way for each caller and shard: a shard that stands still must not take the load off the others.
const WINDOW: usize = 64;
/// Commands a second for each caller.
const RATE: f64 = 1_500.0;
/// Times of the run in milliseconds.
pub(crate) type Millis = u64;

/// What a caller asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Appends "caller:number" to a list.
    Append,
    /// Reads a value that names its key.
    Read,
    /// Has its own number said back, by any node.
    Echo,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Done,
    /// An answer, but not to this command.
    Wrong,
    Outcome(Outcome),
    /// Some other error.
    Error,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Note {
    pub(crate) kind: Kind,
    pub(crate) list: u16,
    pub(crate) asked: Millis,
    pub(crate) answered: Millis,
    pub(crate) resent: bool,
    pub(crate) end: Option<End>,
}

impl Note {
    /// The slot of its key.
    pub(crate) fn slot(&self) -> u16 {
        let n = self.list as usize;
        Slot::of_key(if self.kind == Kind::Read { fixed(n) } else { list(n) }.as_bytes()).get()
    }

    /// The shard that its slot belongs to while nothing is migrated.
    pub(crate) fn shard(&self) -> usize {
        match self.slot() {
            0..5_461 => 0,
            5_461..10_922 => 1,
            _ => 2,
        }
    }
}

/// One caller's notes, by number, and what its client did.
pub(crate) struct Told {
    pub(crate) notes: Vec<Note>,
    pub(crate) twice: u64,
    pub(crate) dialled: Vec<(String, u64)>,
    /// Longest time between two looks at the network: what this machine, not the cluster, cost.
    pub(crate) away: Millis,
    /// Error texts seen, with counts.
    pub(crate) errors: std::collections::BTreeMap<String, u64>,
}

pub(crate) fn list(n: usize) -> String {
    format!("list:{n}")
}

fn fixed(n: usize) -> String {
    format!("fixed:{n}")
}

/// Puts down the values that are read.
pub(crate) fn prepare(url: &str) {
    let mut client = Client::connect(url).unwrap();
    let mut batch = Batch::new();
    for n in 0..LISTS {
        batch.push(&["SET", &fixed(n), &fixed(n)]);
    }
    assert!(client.run(&batch).unwrap().iter().all(|result| result.is_ok()));
}

pub(crate) fn run(url: &str, caller: usize, start: Instant, stop: &AtomicBool) -> Told {
    let mut client = Client::connect(url).unwrap();
    let mut told = Told { notes: Vec::new(), twice: 0, dialled: Vec::new(), away: 0, errors: Default::default() };
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (caller as u64 + 1);
    let mut pipeline = client.pipeline();
    let mut looked = start.elapsed();
    let mut open = [0; 3];
    let mut asked = 0;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let due = (start.elapsed().as_secs_f64() * RATE) as usize;
        while !stopping && asked < due {
            asked += 1;
            let note = choose(&mut state, start);
            if open[note.shard()] < WINDOW {
                open[note.shard()] += 1;
                ask(&mut pipeline, caller, note, &mut told);
            }
        }
        let answer = pipeline.next(Duration::from_millis(2)).unwrap();
        let now = start.elapsed();
        let away = u64::try_from((now - looked).as_millis()).unwrap();
        told.away = told.away.max(away);
        looked = now;
        if let Some(answer) = answer {
            let shard = note(&mut told, caller, start, answer);
            open[shard] -= 1;
        } else if stopping && pipeline.is_empty() {
            break;
        }
    }
    drop(pipeline);
    told.dialled = client.dialled().map(|(addr, count)| (addr.to_owned(), count)).collect();
    told
}

fn choose(state: &mut u64, start: Instant) -> Note {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let list = (*state >> 8) as usize % LISTS;
    let kind = match *state % 10 {
        0 => Kind::Echo,
        1..3 => Kind::Read,
        _ => Kind::Append,
    };
    Note { kind, list: list as u16, asked: millis(start), answered: 0, resent: false, end: None }
}

fn ask(pipeline: &mut Pipeline<'_>, caller: usize, note: Note, told: &mut Told) {
    let number = told.notes.len();
    let key = note.list as usize;
    let ticket = match note.kind {
        Kind::Echo => pipeline.push(&["ECHO", &format!("{caller}:{number}")]),
        Kind::Read => pipeline.push(&["GET", &fixed(key)]),
        Kind::Append => pipeline.push(&["RPUSH", &list(key), &format!("{caller}:{number}")]),
    };
    assert_eq!(ticket.number(), number as u64);
    told.notes.push(note);
}

/// Notes an answer; says whose window it leaves.
fn note(told: &mut Told, caller: usize, start: Instant, answer: Answer) -> usize {
    let number = usize::try_from(answer.ticket.number()).unwrap();
    let note = &mut told.notes[number];
    let end = match &answer.result {
        Ok(value) => {
            let right = match note.kind {
                Kind::Append => value.as_i64().is_some_and(|len| len > 0),
                Kind::Read => value.as_str() == Some(&fixed(note.list as usize)) || *value == Value::Null,
                Kind::Echo => value.as_str() == Some(&format!("{caller}:{number}")),
            };
            if right { End::Done } else { End::Wrong }
        }
        Err(error) => {
            let mut text = error.to_string();
            if let Some(at) = text.find(" (node").or_else(|| text.find(" 127.0.0.1")).or_else(|| text.find(" slot")) {
                text.truncate(at);
            }
            *told.errors.entry(text).or_default() += 1;
            error.outcome().map_or(End::Error, End::Outcome)
        }
    };
    told.twice += u64::from(note.end.is_some());
    note.end = Some(end);
    note.answered = millis(start);
    note.resent = answer.resent;
    note.shard()
}

pub(crate) fn millis(start: Instant) -> Millis {
    u64::try_from(start.elapsed().as_millis()).unwrap()
}

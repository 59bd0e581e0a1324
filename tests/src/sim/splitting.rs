//! Commands that are cut by slot, and the merge of their answers.

use slotwise::command::{FULL, Target, analyse};
use slotwise::pipeline::{Answer, KeyPlace, Merge, Merged, Outcome, Part, PartState, split};
use slotwise::resp::Frame;

use super::client::Owner;
use super::dice::Label;
use super::wire;
use super::working::TAGS;
use super::world::World;

/// A command that was split.
pub struct SplitRun {
    /// Its name.
    pub name: &'static str,
    keys: Vec<Vec<u8>>,
    /// Where the keys of each part stand in the whole command.
    positions: Vec<Vec<usize>>,
    merge: Merge<Vec<PartState>>,
    /// Values by position, for MGET.
    values: Vec<Option<Vec<u8>>>,
    /// Sum of the integers that were handed out.
    sum: i64,
    ended: bool,
}

impl std::fmt::Debug for SplitRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SplitRun").field("name", &self.name).field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl World {
    /// Asks for several keys of several slots.
    pub fn ask_split(&mut self, client: usize) {
        let dice = self.streams.of(Label::Work);
        let name = dice.pick(&["MGET", "MSET", "DEL", "EXISTS"]);
        let count = dice.range(2, 8) as usize;
        let mut keys = Vec::new();
        for _ in 0..count {
            keys.push(format!("{{t{}}}s{}", dice.below(TAGS), dice.below(3)).into_bytes());
        }
        let mut words = vec![name.as_bytes().to_vec()];
        for key in &keys {
            words.push(key.clone());
            if name == "MSET" {
                let mut value = key.clone();
                self.clients[client].sequence += 1;
                value.extend_from_slice(format!("|{client}|{}|", self.clients[client].sequence).as_bytes());
                words.push(value);
            }
        }
        let (mut places, mut parts) = (vec![KeyPlace::EMPTY; count], vec![Part::EMPTY; count]);
        let Ok(analysis) = analyse(&FULL, &words[..]) else { return };
        let Ok(cut) = split(&words[..], &mut places, &mut parts) else { return };
        let number = self.clients[client].splits.len();
        let positions: Vec<Vec<usize>> = cut.parts().map(|part| part.positions().collect()).collect();
        let merge = Merge::new(analysis.merge(), vec![PartState::Pending; cut.len()]);
        let mut todo = Vec::new();
        for part in cut.parts() {
            let mut wire = Vec::new();
            let words: Vec<&[u8]> =
                (0..slotwise::resp::Args::count(&part)).filter_map(|at| slotwise::resp::Args::arg(&part, at)).collect();
            wire::command(&words, &mut wire);
            let spec = analysis.spec_for(Target::Slot(part.slot()), wire.len() as u32);
            todo.push((spec, wire));
        }
        let run = SplitRun { name, values: vec![None; count], keys, positions, merge, sum: 0, ended: false };
        self.clients[client].splits.push(run);
        for (part, (spec, wire)) in todo.into_iter().enumerate() {
            if self.submit_some(client, spec, wire, Owner::Part(number, part)).is_none() {
                self.part_failed(client, number, part, Outcome::NotSent);
            }
        }
    }

    /// A part was answered.
    pub fn part_reply(&mut self, client: usize, number: usize, part: usize, frame: &Frame<'_>) {
        let run = &mut self.clients[client].splits[number];
        let positions = &run.positions[part];
        let state = run.merge.answer(part, Answer::of(&frame.token()), positions.len());
        if run.name == "MGET" && !frame.is_error() {
            for (position, value) in positions.iter().zip(frame.children()) {
                run.values[*position] = value.bytes().map(<[u8]>::to_vec);
            }
        }
        run.sum += frame.integer().unwrap_or(0);
        self.check(1, state.is_ok(), || format!("client {client}: part {part} of split {number} ended twice"));
        self.part_over(client, number);
    }

    /// A part ended without an answer.
    pub fn part_failed(&mut self, client: usize, number: usize, part: usize, outcome: Outcome) {
        let state = match outcome {
            Outcome::Rejected => PartState::Rejected,
            Outcome::NotSent => PartState::NotSent,
            Outcome::MaybeExecuted => PartState::MaybeExecuted,
            Outcome::ReplyLost => PartState::ReplyLost,
        };
        let failed = self.clients[client].splits[number].merge.fail(part, state);
        self.check(1, failed.is_ok(), || format!("client {client}: part {part} of split {number} fails twice"));
        self.part_over(client, number);
    }

    fn part_over(&mut self, client: usize, number: usize) {
        let run = &mut self.clients[client].splits[number];
        if !run.merge.is_finished() || run.ended {
            return;
        }
        run.ended = true;
        let merged = run.merge.finish();
        let (name, keys, sum) = (run.name, run.keys.len(), run.sum);
        let tainted = self.options.hostile.is_some();
        let right = match (name, merged) {
            (_, Err(_)) => true,
            ("MGET", Ok(Merged::Elements(n))) => n == keys as u64,
            ("MSET", Ok(Merged::Same(_))) => true,
            (_, Ok(Merged::Integer(n))) => n == sum,
            (_, Ok(_)) => false,
        };
        self.check(2, right || tainted, || format!("client {client}: {name} of {keys} keys merged to {merged:?}"));
        let run = &self.clients[client].splits[number];
        let stranger = run.keys.iter().zip(&run.values).find_map(|(key, value)| {
            let value = value.as_ref()?;
            // Counters have no key in their value.
            let own = value.starts_with(key) && value.get(key.len()) == Some(&b'|') || value == b"probe";
            (!own).then(|| format!("{} got {}", key.escape_ascii(), value.escape_ascii()))
        });
        let text = stranger.clone().unwrap_or_default();
        self.check(2, stranger.is_none() || tainted, || format!("client {client}: MGET is out of order: {text}"));
    }
}

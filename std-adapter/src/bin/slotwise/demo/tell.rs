//! The demo's words, for people or as JSON.

use std::time::Duration;

use serde_json::json;

use super::play::{Loaded, Proof, Scanned};
use crate::exit::Failure;
use crate::output::Output;

pub(super) struct Tell {
    out: Output,
    json: bool,
    nodes: Vec<String>,
}

impl Tell {
    pub(super) fn new(json: bool) -> Self {
        Self { out: Output::new(), json, nodes: Vec::new() }
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        self.out.line([text.as_bytes()])?;
        self.out.flush()
    }

    pub(super) fn head(&mut self, nodes: &[String]) -> Result<(), Failure> {
        self.nodes = nodes.to_vec();
        self.say(&format!("A cluster of {} primaries runs inside this process: {}", nodes.len(), nodes.join(", ")))?;
        self.say("")
    }

    pub(super) fn loaded(&mut self, loaded: &Loaded) -> Result<(), Failure> {
        self.say("1. One pipeline fills it.")?;
        let per_node: Vec<String> = loaded.per_node.iter().map(|n| grouped(*n as u64)).collect();
        self.say(&format!(
            "   {} SETs in {} ({} a second), to all nodes at once; the nodes now hold {} keys.",
            grouped(loaded.keys),
            seconds(loaded.took),
            grouped(rate(loaded.keys, loaded.took)),
            per_node.join(" + "),
        ))?;
        self.say("")?;
        self.say("2. A scan walks the whole cluster while slots move under it, key by key, and pipelines run.")
    }

    pub(super) fn scanned(&mut self, done: &Scanned) -> Result<(), Failure> {
        self.say(&format!(
            "   {} slots with {} keys changed their node in {}.",
            grouped(done.moves),
            grouped(done.keys_moved),
            seconds(done.took)
        ))?;
        self.say(&format!(
            "   Scan: {} pages, {} keys; {} slots were walked again, since something moved at their node.",
            grouped(done.pages),
            grouped(done.returned),
            grouped(done.walked_again)
        ))?;
        self.say(&format!(
            "   Pipelines: {} with {} commands; the nodes answered MOVED {} times and ASK {} times,",
            grouped(done.pipelines),
            grouped(done.commands),
            grouped(done.moved),
            grouped(done.ask)
        ))?;
        self.say(&format!("   and {} commands reached their key by following that.", grouped(done.resent)))?;
        self.say("")?;
        self.say("3. Proofs.")
    }

    /// Tells the proofs, and whether all of them hold.
    pub(super) fn end(&mut self, loaded: &Loaded, done: &Scanned, proofs: &[Proof]) -> Result<bool, Failure> {
        let ok = proofs.iter().all(|proof| proof.holds);
        for proof in proofs {
            self.say(&format!("   {}  {}", if proof.holds { "ok    " } else { "FAILED" }, proof.text))?;
        }
        self.say("")?;
        self.say(if ok { "Every proof holds." } else { "A proof FAILED." })?;
        if ok {
            self.say("Next: slotwise --help, or slotwise topology redis://HOST:PORT for a cluster of yours.")?;
        }
        if self.json {
            let proofs: Vec<_> = proofs
                .iter()
                .map(|proof| json!({"name": proof.name, "holds": proof.holds, "text": proof.text}))
                .collect();
            let object = json!({
                "ok": ok,
                "nodes": self.nodes,
                "load": {"keys": loaded.keys, "right": loaded.right, "per_node": loaded.per_node,
                    "seconds": loaded.took.as_secs_f64()},
                "scan": {"seconds": done.took.as_secs_f64(), "returned": done.returned, "different": done.different,
                    "unknown": done.unknown, "repeats": done.returned - done.different - done.unknown,
                    "repeated_slots": done.repeated_slots, "walked_again": done.walked_again, "pages": done.pages,
                    "proven": done.proven, "incomplete": done.incomplete},
                "moves": {"slots": done.moves, "keys": done.keys_moved},
                "pipelines": {"count": done.pipelines, "commands": done.commands, "right": done.right,
                    "resent": done.resent, "moved": done.moved, "ask": done.ask},
                "proofs": proofs,
            });
            self.out.line([object.to_string().as_bytes()])?;
        }
        self.out.flush()?;
        Ok(ok)
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.2} s", took.as_secs_f64())
}

fn rate(count: u64, took: Duration) -> u64 {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

/// `1234567` as `1,234,567`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        let grouped: Vec<String> = [0, 12, 999, 1_000, 16_384, 1_234_567].map(grouped).to_vec();
        assert_eq!(grouped, ["0", "12", "999", "1,000", "16,384", "1,234,567"]);
    }
}

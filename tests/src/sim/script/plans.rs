//! Acts that are repeated, acts that go on while time passes, and scripts that are run in several variants.

use super::Script;
use crate::sim::world::World;

/// An act that is done again and again.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    next: u64,
    gap: u64,
    done: u32,
    left: u32,
    /// Numbers begin again at 0 behind so many.
    turn: u32,
    words: Vec<String>,
}

impl Plan {
    /// An act that is done so often, for the first time now.
    pub(super) fn new(now: u64, gap: u64, count: u32, turn: u32, words: Vec<String>) -> Self {
        Self { next: now, gap, done: 0, left: count, turn: turn.max(1), words }
    }

    /// When it is done for the last time; `None` if it has been.
    pub(super) fn last(&self) -> Option<u64> {
        Some(self.next + self.gap * u64::from(self.left.checked_sub(1)?))
    }
}

impl Script {
    /// A line: an act, or an expectation.
    pub(super) fn line(&mut self, words: &[String]) -> Result<(), String> {
        if words[0] == "expect" { self.expect(&words[1..]) } else { self.act(words) }
    }

    /// Lets time pass, with everything that is planned; says whether the condition failed before it was over.
    pub(super) fn pass(&mut self, until: u64, mut go_on: impl FnMut(&mut World) -> bool) -> Result<bool, String> {
        loop {
            let due = self.plans.iter().filter(|plan| plan.left > 0).map(|plan| plan.next).min();
            let due = due.filter(|due| *due <= until);
            if self.world.run_while(due.unwrap_or(until), &mut go_on) {
                return Ok(true);
            }
            if due.is_none() || self.world.violation.is_some() {
                return Ok(false);
            }
            for at in 0..self.plans.len() {
                let plan = &mut self.plans[at];
                if plan.left > 0 && plan.next <= self.world.now {
                    let words: Vec<String> =
                        plan.words.iter().map(|word| numbered(word, plan.done % plan.turn)).collect();
                    (plan.next, plan.done, plan.left) = (plan.next + plan.gap, plan.done + 1, plan.left - 1);
                    self.line(&words)?;
                }
            }
            self.plans.retain(|plan| plan.left > 0);
        }
    }
}

/// A word with its `#` filled in: the number, or with digits behind it, a number from 1 to those in turn.
pub(super) fn numbered(word: &str, n: u32) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some((before, behind)) = rest.split_once('#') {
        let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
        let number = match behind[..digits].parse::<u32>() {
            Ok(many) if many > 0 => 1 + n % many,
            _ => n,
        };
        out.push_str(before);
        out.push_str(&number.to_string());
        rest = &behind[digits..];
    }
    out.push_str(rest);
    out
}

/// The script once for every combination of its `for NAME in VALUE...` lines, each with a name.
///
/// # Errors
/// A `for` line that makes no sense.
pub(super) fn variants(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut variants = vec![(String::new(), String::new())];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["for", name, "in", ref values @ ..] = words[..] else {
            for (_, text) in &mut variants {
                text.push_str(line);
                text.push('\n');
            }
            continue;
        };
        let ranged = match values {
            [range] => range.split_once("..").and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?))),
            _ => None,
        };
        let values: Vec<String> = match ranged {
            Some((low, high)) => (low..high).map(|n: u32| n.to_string()).collect(),
            None => values.iter().map(|value| (*value).to_owned()).collect(),
        };
        if values.is_empty() {
            return Err(format!("{line}: for which values?"));
        }
        let all = variants.iter().flat_map(|(named, text)| {
            // The line stays as an empty one, so that numbers of lines are right; `$NAME` behind it is filled in at the end.
            values.iter().map(move |value| (format!("{named}{name}={value} "), format!("{text}\n")))
        });
        variants = all.collect();
    }
    let filled = variants.into_iter().map(|(name, mut text)| {
        for pair in name.split_whitespace() {
            let (what, value) = pair.split_once('=').unwrap_or((pair, ""));
            text = text.replace(&format!("${what}"), value);
        }
        (name, text)
    });
    Ok(filled.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_filled_in() {
        assert_eq!(numbered("k#", 7), "k7");
        assert_eq!(numbered("{A:#3}k#", 7), "{A:2}k7");
        assert_eq!(numbered("plain", 7), "plain");
    }

    #[test]
    fn a_script_is_run_for_every_combination() {
        let all = variants("for T in 1ms 2ms\nfor K in 0..3\nwait $T\nsplit A $K\n").unwrap();
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], ("T=1ms K=0 ".to_owned(), "\n\nwait 1ms\nsplit A 0\n".to_owned()));
        assert!(all[5].1.ends_with("wait 2ms\nsplit A 2\n"));
        assert!(variants("for T in\n").is_err());
        assert_eq!(variants("wait 1ms\n").unwrap().len(), 1);
    }
}

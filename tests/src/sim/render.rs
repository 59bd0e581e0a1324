//! Writing a failure down as a script: what the applications did and what went wrong, line by line, in the words of
//! [`script`](super::script). Where no script can say it, the tape itself stands in the script.

use std::fmt::Write;

use super::client::Owner;
use super::dice::parts_of;
use super::kinds::Fault;
use super::net::Way;
use super::options::{Cut, Options, PROFILES, Wishes};
use super::run::Report;
use super::wire;
use super::world::{START, World};
use slotwise::command::RetryPermission;
use slotwise::slot::Slot;

/// How long a world of a script has run when its first act is done.
const WARM: u64 = 1_000_000;

impl World {
    /// Writes an act of a script down, for a failure that is told in words.
    pub fn act(&mut self, text: impl FnOnce(&Self) -> String) {
        if self.wishes.shown.is_some() && self.stage.is_none() {
            let text = text(self);
            self.acts.push((self.now, text));
        }
    }

    /// A request, as an act.
    pub(super) fn act_submit(&mut self, client: usize, tag: u64) {
        self.act(|world| {
            let request = &world.clients[client].requests[tag as usize];
            let mut line = match request.owner {
                Owner::Work | Owner::Part(..) | Owner::Probe(_) => format!("c{client} r{client}_{tag}"),
                // They have acts of their own.
                _ => return String::new(),
            };
            let spec = &request.spec;
            if let Some(timeout) = spec.timeout {
                let _ = write!(line, " [timeout={}us]", timeout.as_micros());
            }
            if spec.domain != 0 {
                let _ = write!(line, " [domain={}]", spec.domain);
            }
            if spec.retry == RetryPermission::Always {
                line.push_str(" [always]");
            }
            if spec.streamed {
                line.push_str(" [stream]");
            }
            line.push_str(" =");
            let mut rest = &request.wire[..];
            while let wire::Request::Command(words, used) = wire::request(rest) {
                rest = &rest[used..];
                for word in words {
                    line.push(' ');
                    line.push_str(&quoted(&String::from_utf8_lossy(&word)));
                }
                if !rest.is_empty() {
                    line.push_str(" ;");
                }
            }
            line
        });
    }

    /// A fault of one connection, as an act.
    pub(super) fn act_link(&mut self, fault: Fault, link: u32, bytes: usize, few: u32, way: Way) {
        self.act(|world| {
            let Some(node) = world.links[link as usize].node else { return String::new() };
            match fault {
                Fault::ResetUp => format!("cut-up N{node} {bytes}"),
                Fault::ResetDown | Fault::OutputLimit => format!("cut N{node} {bytes}"),
                Fault::HalfClose => format!("finish N{node} {}", few + 1),
                Fault::HalfOpen => format!("hole N{node}"),
                Fault::Clog => format!("# a connection to N{node} is clogged, {way:?}"),
                Fault::Duplicate => format!("reset N{node}"),
                _ => format!("close N{node}"),
            }
        });
    }
}

/// A word as scripts have it.
fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic() && c != '"' && c != '\\');
    if plain && !word.starts_with('#') && word != ";" && word != "=" {
        return word.to_owned();
    }
    let mut out = String::from("\"");
    for c in word.chars() {
        match c {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A key of a slot, for acts that name keys.
#[must_use]
pub fn key_of(slot: u16) -> String {
    String::from_utf8_lossy(&super::working::key_in(Slot::masked(slot))).into_owned()
}

fn head(options: &Options, canary: bool) -> String {
    let mut text = String::new();
    let profile = PROFILES.iter().find(|(_, profile)| *profile == options.server).map_or("redis7", |(name, _)| name);
    let _ = writeln!(text, "cluster {} {} {profile}\nclients {}", options.shards.0, options.shards.1, options.clients);
    for (name, on) in [("resp2", options.resp2), ("password", options.password), ("canary", canary)] {
        if on {
            let _ = writeln!(text, "option {name}");
        }
    }
    let cut = match options.net.cut {
        Cut::Whole | Cut::Anywhere => "whole",
        Cut::Small => "small",
        Cut::Bytes => "bytes",
        Cut::Crlf => "crlf",
    };
    let net = options.net;
    let _ = writeln!(
        text,
        "option window {}\noption reads {}\noption receive {}\noption delay {}us\noption cut {cut}\noption timeout 8s",
        options.window, options.reads, net.receive_buffer, net.delay
    );
    text
}

/// A failure as a script of acts. Whether it fails as well has to be tried.
#[must_use]
pub fn acts(report: &Report, wishes: &Wishes) -> String {
    let mut text = head(&report.options, wishes.canary);
    let mut now = START;
    for (at, line) in report.acts.iter().filter(|(_, line)| !line.is_empty()) {
        if *at > now {
            let _ = writeln!(text, "wait {}us", at - now);
            now = *at;
        }
        let _ = writeln!(text, "{line}");
    }
    let end = report.violation.as_ref().map_or(now, |violation| violation.at);
    let _ = writeln!(text, "wait {}us", end.saturating_sub(now) + WARM);
    text
}

/// A failure as a script that has the tape in it, part by part, and beside it what happened.
#[must_use]
pub fn tape(report: &Report, wishes: &Wishes) -> String {
    let mut text = String::new();
    let without: Vec<String> = wishes.without.iter().map(|fault| fault.name().replace(' ', "-")).collect();
    if !without.is_empty() {
        let _ = writeln!(text, "tape without {}", without.join(" "));
    }
    if let Some((clients, primaries, length)) = wishes.most {
        let _ = writeln!(text, "tape most {clients} {primaries} {length}us");
    }
    if wishes.hostile {
        text.push_str("tape hostile\n");
    }
    if wishes.canary {
        text.push_str("tape canary\n");
    }
    for (number, part) in parts_of(&report.tape).iter().enumerate().filter(|(_, part)| !part.is_empty()) {
        let end = part.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for line in part[..end].chunks(48) {
            let hex: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "tape {number} {hex}");
        }
    }
    text
}

/// What stands in front of either: what is broken, and what happened.
#[must_use]
pub fn story(report: &Report) -> String {
    let mut text = String::new();
    if let Some(violation) = &report.violation {
        let line = violation.text.replace(['\r', '\n'], " ");
        let _ = writeln!(text, "# I{} was broken: {line}", violation.invariant);
    }
    text.push_str("# What happened before:\n");
    for line in &report.lines {
        let _ = writeln!(text, "#  {}", line.replace(['\r', '\n'], " "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_they_must_be() {
        assert_eq!(quoted("SET"), "SET");
        assert_eq!(quoted("a b"), "\"a b\"");
        assert_eq!(quoted("=") + &quoted("") + &quoted("\"\r\n"), "\"=\"\"\"\"\\\"\\r\\n\"");
    }
}

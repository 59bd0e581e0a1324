//! What a script expects.
//!
//! ```text
//! expect r1 done "text" | error MOVED | maybe | notsent | rejected | lost | open | confirmed
//! expect r1 runs 1 | sends <= 3 | node B | resent | plain | order r2          (r1 ran before r2)
//! expect each r x 100 done | maybe-or-done | runs 1
//! expect count r x 100 done == 40
//! expect dials A <= 3 | open A == 1 | asked c0 <= 4 | redirects <= 1 | scans complete 1 | scans incomplete 1
//! expect map c0 {A}k B | value {A}k v | messages >= 3 | gaps >= 1 | subscribed {A}ch 1 | settled c0
//! ```

use slotwise::pipeline::Outcome;
use slotwise::slot::Slot;
use slotwise::topology::Owner as SlotOwner;

use super::{Script, number};
use crate::sim::client::End;

fn compare(seen: u64, how: &[&str]) -> Result<(), String> {
    let (sign, text) = match how {
        [sign, text] => (*sign, *text),
        [text] => ("==", *text),
        _ => return Err("compare with what?".to_owned()),
    };
    let wanted: u64 = number(text)?;
    let holds = match sign {
        "<=" => seen <= wanted,
        ">=" => seen >= wanted,
        _ => seen == wanted,
    };
    if holds { Ok(()) } else { Err(format!("it is {seen}")) }
}

impl Script {
    /// Holds what is expected against what is.
    pub(super) fn expect(&mut self, words: &[String]) -> Result<(), String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let world = &self.world;
        match words[..] {
            ["each", name, "x", count, ref what @ ..] => {
                for n in 0..number::<u32>(count)? {
                    self.expect_request(&format!("{name}{n}"), what).map_err(|error| format!("{name}{n}: {error}"))?;
                }
                Ok(())
            }
            ["count", name, "x", count, what, ref how @ ..] => {
                let total = number::<u32>(count)?;
                let fits = (0..total).filter(|n| self.expect_request(&format!("{name}{n}"), &[what]).is_ok());
                compare(fits.count() as u64, how)
            }
            ["dials", node, ref how @ ..] => {
                let node = self.node(node)?;
                compare(world.links.iter().filter(|link| link.node == Some(node)).count() as u64, how)
            }
            ["open", node, ref how @ ..] => {
                let node = self.node(node)?;
                let open = |link: &&crate::sim::net::Link| {
                    link.node == Some(node) && link.stage == crate::sim::net::Stage::Open
                };
                compare(world.links.iter().filter(open).count() as u64, how)
            }
            ["asked", "c*", ref how @ ..] => {
                compare(world.clients.iter().map(|client| client.asked.len()).max().unwrap_or(0) as u64, how)
            }
            ["asked", client, ref how @ ..] => compare(world.clients[self.client(client)?].asked.len() as u64, how),
            ["redirects", ref how @ ..] => compare(world.stats.redirects, how),
            ["messages", ref how @ ..] => compare(world.stats.messages.0, how),
            ["gaps", ref how @ ..] => compare(world.stats.messages.1, how),
            ["scans", "complete", ref how @ ..] => compare(world.stats.scans.0, how),
            ["scans", "incomplete", ref how @ ..] => compare(world.stats.scans.1, how),
            ["settled", client] => {
                let client = &world.clients[self.client(client)?];
                let settled = client.subs.as_ref().is_some_and(|subs| subs.wishes.is_settled());
                if settled { Ok(()) } else { Err("it is not".to_owned()) }
            }
            ["map", client, key, node] => {
                let map = world.clients[self.client(client)?].engine.map();
                let id = match map.owner(Slot::masked(self.slot(key))) {
                    SlotOwner::Node(at) => map.node(at).map(|node| node.id().to_string()),
                    _ => None,
                };
                let wanted = world.servers.model.node_id(self.node(node)?);
                if id.as_deref() == wanted { Ok(()) } else { Err(format!("it is {id:?}")) }
            }
            ["value", key, value] => {
                let (slot, key) = (self.slot(key), self.fill(key));
                let owner = self.world.servers.model.owner(slot).ok_or("the slot has no owner")?;
                let reply = self.world.servers.operate(owner, &[b"GET", key.as_bytes()]);
                let text = readable(&reply);
                if text == value { Ok(()) } else { Err(format!("it is {text}")) }
            }
            ["subscribed", name, ref how @ ..] => {
                let name = self.fill(name);
                let got = self.world.publish_to(name.as_bytes()).ok_or("nobody can publish")?;
                compare(got, how)
            }
            [name, ref what @ ..] => self.expect_request(name, what),
            [] => Err("what?".to_owned()),
        }
    }

    fn expect_request(&self, name: &str, what: &[&str]) -> Result<(), String> {
        let (client, tag) = self.request(name)?;
        let request = &self.world.clients[client].requests[tag as usize];
        let end = request.end.map(|(end, _)| end);
        let answer = self.world.stage.as_ref().and_then(|stage| stage.answers.get(&(client, tag)));
        let answer = answer.map(String::as_str).unwrap_or_default();
        let holds = match *what {
            ["done"] => matches!(end, Some(End::Done { .. })),
            ["done", text] => matches!(end, Some(End::Done { .. })) && answer == self.fill(text),
            ["error", text] => matches!(end, Some(End::Error { .. })) && answer.starts_with(text),
            ["error"] => matches!(end, Some(End::Error { .. })),
            ["maybe"] => matches!(end, Some(End::Failed(Outcome::MaybeExecuted, _))),
            ["maybe-or-done"] => {
                matches!(end, Some(End::Failed(Outcome::MaybeExecuted, _) | End::Done { .. }))
            }
            ["notsent"] => matches!(end, Some(End::Failed(Outcome::NotSent, _))),
            ["rejected"] => matches!(end, Some(End::Failed(Outcome::Rejected, _))),
            ["failed"] => matches!(end, Some(End::Failed(..))),
            ["ended"] => end.is_some(),
            ["open"] => end.is_none(),
            ["resent"] => matches!(end, Some(End::Done { resent: true } | End::Error { resent: true, .. })),
            ["plain"] => matches!(end, Some(End::Done { resent: false } | End::Error { resent: false, .. })),
            ["runs", ref how @ ..] => {
                return compare(request.served.iter().filter(|served| served.ran).count() as u64, how);
            }
            ["sends", ref how @ ..] => return compare(u64::from(request.sends), how),
            ["took", "<=", time] => {
                let took = request.end.map_or(u64::MAX, |(_, at)| at - request.submitted);
                return compare(took, &["<=", &super::span(time)?.to_string()]);
            }
            ["node", node] => request.served.last().map(|served| served.node) == Some(self.node(node)?),
            _ => return Err("no such expectation".to_owned()),
        };
        if holds { Ok(()) } else { Err(format!("it ended as {end:?} with {answer:?}")) }
    }
}

/// A reply as scripts write it: payloads with blanks between them, without the signs of strings.
#[must_use]
pub fn readable(reply: &[u8]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < reply.len() {
        let end = reply[at..].iter().position(|byte| *byte == b'\n').map_or(reply.len(), |end| at + end + 1);
        let line = String::from_utf8_lossy(&reply[at..end]).trim_end().to_owned();
        at = end;
        let (kind, rest) = line.split_at(line.len().min(1));
        match kind {
            "$" => match rest.parse::<usize>() {
                Ok(len) => {
                    let end = (at + len).min(reply.len());
                    out.push(String::from_utf8_lossy(&reply[at..end]).into_owned());
                    at = end + 2;
                }
                Err(_) => out.push("nil".to_owned()),
            },
            "_" => out.push("nil".to_owned()),
            "*" if rest == "-1" => out.push("nil".to_owned()),
            "*" | "%" | "~" => {}
            _ => out.push(rest.to_owned()),
        }
    }
    out.join(" ")
}

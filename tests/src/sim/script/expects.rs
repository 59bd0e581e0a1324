//! What a script expects.
//!
//! ```text
//! expect r1 done "text" | error MOVED | maybe | notsent | rejected | lost | open | confirmed
//! expect r1 runs 1 | sends <= 3 | node B | resent | plain | order r2          (r1 ran before r2)
//! expect each r x 100 done | maybe-or-done | runs 1
//! expect p99 r x 100 <= 5ms                 from submission to end
//! expect scan complete | incomplete | proves {A}k | names {A}k moving | returned {A}k | vouches {A}k | ended stalled
//! expect scan restarts <= 9 | keys >= 9 | unproven == 9
//! expect unlink c0 exact | at-least | complete | incomplete | count 9 | removed 9 | failed 0 | in-flight <= 64
//! expect matching PREFIX 9 | holds A PREFIX 9         keys that can be read; keys in a node's table
//! expect dialled 10.0.0. <= 0               dials since `mark` to hosts that begin so
//! expect refused == 1                       connections closed for what came over them
//! expect pushes c0 "invalidate foo" 1 | pushed c0 "text #" x 60     all of them, in order
//! expect dense asked c* <= 4 within 2s | uniform asked | waiting c0 C <= 50
//! expect count r x 100 done == 40
//! expect dials A <= 3 | open A == 1 | asked c0 <= 4 | redirects <= 1 | scans complete 1 | scans incomplete 1
//! expect map c0 {A}k B | value {A}k v | messages >= 3 | gaps >= 1 | subscribed {A}ch 1 | settled c0
//! ```

use std::collections::BTreeSet;

use slotwise::pipeline::Outcome;
use slotwise::slot::Slot;
use slotwise::topology::Owner as SlotOwner;

use super::{Script, number};
use crate::sim::client::{Client, End};
use crate::sim::world::World;

pub(super) fn compare(seen: u64, how: &[&str]) -> Result<(), String> {
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
            ["p99", name, "x", count, "<=", time] => {
                let mut took = Vec::new();
                for n in 0..number::<u32>(count)? {
                    let (client, tag) = self.request(&format!("{name}{n}"))?;
                    let request = &world.clients[client].requests[tag as usize];
                    took.push(request.end.map_or(u64::MAX, |(_, at)| at - request.submitted));
                }
                took.sort_unstable();
                let at = took.get((took.len() * 99).div_ceil(100).saturating_sub(1)).copied();
                compare(at.unwrap_or(u64::MAX), &["<=", &super::span(time)?.to_string()])
            }
            ["scan", ref what @ ..] => self.expect_scan(what),
            ["unlink", client, ref what @ ..] => self.expect_unlink(client, what),
            ["matching", prefix, ref how @ ..] => {
                let prefix = self.fill(prefix);
                let mut keys = BTreeSet::new();
                for node in 0..world.servers.nodes.len() {
                    world.servers.model.for_each_key(node, |key| {
                        if key.starts_with(prefix.as_bytes()) && world.servers.readable(key) {
                            keys.insert(key.to_vec());
                        }
                    });
                }
                compare(keys.len() as u64, how)
            }
            ["holds", node, prefix, ref how @ ..] => {
                let (node, prefix) = (self.node(node)?, self.fill(prefix));
                let mut count = 0;
                world.servers.model.for_each_key(node, |key| count += u64::from(key.starts_with(prefix.as_bytes())));
                compare(count, how)
            }
            ["dialled", host, ref how @ ..] => {
                let dials = world.links.iter().filter(|link| link.notes.dialled >= self.mark);
                compare(dials.filter(|link| link.addr.0.starts_with(host)).count() as u64, how)
            }
            ["pushes", client, text, ref how @ ..] => {
                let (client, text) = (self.client(client)?, self.fill(text));
                let pushes = world.stage.iter().flat_map(|stage| &stage.pushes);
                compare(pushes.filter(|(of, said)| *of == client && *said == text).count() as u64, how)
            }
            ["pushed", client, text, "x", count] => {
                let client = self.client(client)?;
                let pushes = world.stage.iter().flat_map(|stage| &stage.pushes).filter(|(of, _)| *of == client);
                let said: Vec<&str> = pushes.map(|(_, said)| said.as_str()).collect();
                let wanted: Vec<String> = (0..number(count)?).map(|n| super::plans::numbered(text, n)).collect();
                if said == wanted { Ok(()) } else { Err(format!("they are {said:?}")) }
            }
            ["dense", "asked", "c*", "<=", most, "within", time] => {
                let span = super::span(time)?;
                let densest = |client: &Client| crate::sim::check::windows::densest(&client.asked, span);
                compare(world.clients.iter().map(densest).max().unwrap_or(0) as u64, &["<=", most])
            }
            ["uniform", "asked"] => uniform(world),
            ["waiting", client, node, ref how @ ..] => {
                let (client, node) = (self.client(client)?, self.node(node)?);
                let owner = |slot: Slot| world.servers.model.owner(slot.get());
                let requests = world.clients[client].requests.iter();
                let open = requests.filter(|request| request.end.is_none());
                let there = open.filter(|request| request.spec.target.slot().and_then(owner) == Some(node));
                compare(there.count() as u64, how)
            }
            ["asked", "c*", ref how @ ..] => {
                compare(world.clients.iter().map(|client| client.asked.len()).max().unwrap_or(0) as u64, how)
            }
            ["asked", client, ref how @ ..] => compare(world.clients[self.client(client)?].asked.len() as u64, how),
            ["redirects", ref how @ ..] => compare(world.stats.redirects, how),
            ["refused", ref how @ ..] => compare(world.stage.as_ref().map_or(0, |stage| stage.refused), how),
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
            ["error", text] => matches!(end, Some(End::Error { .. })) && answer.starts_with(&self.fill(text)),
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

/// Whether the topology questions are spread as by lot among the nodes that each client was connected to: the statistic of
/// Pearson's test stays under its mean plus four times its deviation.
fn uniform(world: &World) -> Result<(), String> {
    let Some(stage) = &world.stage else { return Ok(()) };
    let nodes = world.servers.nodes.len();
    let counts: Vec<u64> =
        (0..nodes).map(|node| stage.questions.get(&node).map_or(0, |times| times.len() as u64)).collect();
    let sum: u64 = counts.iter().sum();
    if sum < nodes as u64 * 5 {
        return Err(format!("{sum} questions are too few for {nodes} nodes"));
    }
    // The sum of (seen - expected)^2 / expected, in thousandths.
    let mut statistic = 0;
    for (node, count) in counts.iter().enumerate() {
        let (seen, expected) = (count * 1_000, stage.shares.get(&node).map_or(0, |share| share / 1_000));
        let off = seen.abs_diff(expected);
        statistic += (off * off).checked_div(expected).unwrap_or(seen * 1_000);
    }
    let free = nodes as u64 - 1;
    let most = free * 1_000 + 4_000 * (2 * free).isqrt();
    if statistic <= most { Ok(()) } else { Err(format!("{statistic} is more than {most}: {counts:?}")) }
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

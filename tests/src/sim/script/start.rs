//! What a script begins with.

use std::collections::BTreeMap;

use slotwise::slot::Slot;
use slotwise::time::Duration;

use super::{Script, Stage, number, span};
use crate::sim::dice::Streams;
use crate::sim::options::{Cut, Options, PROFILES, Wishes};
use crate::sim::subscribing::Subs;
use crate::sim::world::{Ev, World};

impl Script {
    /// A world as the first lines want it, with clients that know the cluster.
    pub(super) fn new<'l>(heads: impl Iterator<Item = &'l [String]>, shown: Option<usize>) -> Result<Self, String> {
        let wishes = Wishes { shown: Some(shown.unwrap_or(60)), ..Wishes::default() };
        let mut streams = Streams::taped(&[]);
        let mut options = Options::draw(&mut streams, &wishes);
        (options.steady, options.channels, options.scans) = (0, 0, false);
        (options.net.delay, options.net.spread) = (500, 0);
        let (mut leases, mut hops, mut timeout, mut channels, mut library) = (4, 5, None, 32, None);
        let mut canary = false;
        for words in heads {
            let word = |at: usize| words.get(at).map(String::as_str).ok_or("a word is missing");
            match (word(0)?, word(1)?) {
                ("cluster", primaries) => {
                    options.shards = (number(primaries)?, number(word(2)?)?);
                    let profile = PROFILES.iter().find(|(name, _)| Some(*name) == words.get(3).map(String::as_str));
                    options.server = profile.ok_or("no such servers")?.1;
                }
                (_, "canary") => canary = true,
                ("clients", count) => options.clients = number(count)?,
                (_, "resp2") => options.resp2 = true,
                (_, "password") => options.password = true,
                (_, "window") => options.window = number(word(2)?)?,
                (_, "reads") => options.reads = number(word(2)?)?,
                (_, "receive") => options.net.receive_buffer = number(word(2)?)?,
                (_, "delay") => options.net.delay = span(word(2)?)? as u32,
                (_, "leases") => {
                    leases = number(word(2)?)?;
                    // Dials for leases are no storm.
                    options.mix.blocking = 1;
                }
                (_, "hops") => hops = number(word(2)?)?,
                (_, "partial") => options.net.partial = number(word(2)?)?,
                (_, "library") => library = Some("sim"),
                (_, "nodes") => options.sizes.nodes = number(word(2)?)?,
                (_, "channels") => channels = number(word(2)?)?,
                (_, "timeout") => timeout = Some(span(word(2)?)?),
                (_, "cut") => {
                    options.net.cut = match word(2)? {
                        "bytes" => Cut::Bytes,
                        "small" => Cut::Small,
                        "crlf" => Cut::Crlf,
                        _ => Cut::Whole,
                    };
                }
                (_, other) => return Err(format!("no option {other}")),
            }
        }
        options.sizes.commands = (512, 8_192);
        let shards = (usize::from(options.shards.0), usize::from(options.shards.1));
        let wishes = Wishes { canary, ..wishes };
        let mut world = World::new(options, wishes, streams);
        world.stage = Some(Stage::default());
        for number in 0..world.clients.len() {
            let client = &mut world.clients[number];
            client.subs = Some(Subs::sized(number, channels));
            let mut config = client.config;
            (config.max_leases, config.max_hops) = (leases, hops);
            if let Some(timeout) = timeout {
                config.command_timeout = Duration::from_micros(timeout);
            }
            client.profile.settings.lib_name = library;
            client.reconfigure(config, world.options.sizes);
            let now = client.at(world.now);
            client.engine.connect(now);
            world.drive(number);
        }
        world.after(500_000, Ev::Tick);
        world.run_until(world.now + 1_000_000);
        let mut tags = BTreeMap::new();
        for n in 0..1_200 {
            let tag = format!("h{n}");
            let owner = world.servers.model.owner(Slot::of_key(tag.as_bytes()).get()).unwrap_or(0);
            let kind = (1..).find(|kind| !tags.contains_key(&(owner, *kind))).unwrap_or(1);
            tags.insert((owner, kind), tag);
        }
        let mark = world.now;
        Ok(Self { world, names: BTreeMap::new(), shards, tags, plans: Vec::new(), mark })
    }

    /// A node by its letter.
    pub(super) fn node(&self, name: &str) -> Result<usize, String> {
        // Where the alphabet is not enough.
        if let Some(node) = name.strip_prefix('N').and_then(|digits| digits.parse().ok()) {
            return Some(node)
                .filter(|node| *node < self.world.servers.nodes.len())
                .ok_or_else(|| format!("no {name}"));
        }
        let mut chars = name.chars();
        let letter = chars.next().filter(char::is_ascii_uppercase).ok_or_else(|| format!("{name} is no node"))?;
        let at = letter as usize - 'A' as usize;
        let node = match chars.as_str() {
            "'" => self.shards.0 + at * self.shards.1,
            // Behind the primaries come the replicas, and then those that joined later.
            "" if at >= self.shards.0 => self.shards.0 * (1 + self.shards.1) + at - self.shards.0,
            "" => at,
            _ => return Err(format!("{name} is no node")),
        };
        (node < self.world.servers.nodes.len()).then_some(node).ok_or_else(|| format!("there is no {name}"))
    }

    /// A client by its name.
    pub(super) fn client(&self, name: &str) -> Result<usize, String> {
        let at = name.strip_prefix('c').and_then(|text| text.parse().ok());
        at.filter(|at| *at < self.world.clients.len()).ok_or_else(|| format!("{name} is no client"))
    }

    /// A text with its tags filled in: `{A}`, `{A:2}`, `@{A}` for the number of the slot, `id{A}` for the node's id.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, tail) = rest.split_at(at);
            let found = tail.find('}').and_then(|end| Some((&tail[..=end], self.tag(&tail[1..end])?)));
            let Some((whole, (node, tag))) = found else {
                out.push_str(&rest[..=at]);
                rest = &rest[at + 1..];
                continue;
            };
            if let Some(before) = before.strip_suffix('@') {
                out.push_str(before);
                out.push_str(&Slot::of_key(tag.as_bytes()).get().to_string());
            } else if let Some(before) = before.strip_suffix("id") {
                out.push_str(before);
                out.push_str(self.world.servers.model.node_id(node).unwrap_or_default());
            } else {
                out.push_str(before);
                out.push_str(&format!("{{{tag}}}"));
            }
            rest = &tail[whole.len()..];
        }
        out.push_str(rest);
        out
    }

    /// The node and the hash tag that `A` or `A:2` stands for.
    fn tag(&self, text: &str) -> Option<(usize, &str)> {
        let (letter, kind) = text.split_once(':').unwrap_or((text, "1"));
        let mut chars = letter.chars();
        let letter = chars.next().filter(char::is_ascii_uppercase)?;
        let node = letter as usize - 'A' as usize;
        let tag = self.tags.get(&(node, kind.parse().ok()?)).filter(|_| chars.next().is_none())?;
        Some((node, tag))
    }

    /// The slot of a key.
    pub(super) fn slot(&self, key: &str) -> u16 {
        Slot::of_key(self.fill(key).as_bytes()).get()
    }
}

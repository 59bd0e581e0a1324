//! What a script does.

use slotwise::command::{Access, CommandSpec, FULL, RetryPermission, Target, analyse};
use slotwise::slot::Slot;
use slotwise::time::Duration;
use slotwise_std::mini::model::{Endpoint, Restart};

use super::{Prompt, Script, number, plans, span};
use crate::sim::client::Owner;
use crate::sim::net::{Stage as LinkStage, Way};
use crate::sim::wire;
use crate::sim::world::Ev;

impl Script {
    /// Does what a line says.
    pub(super) fn act(&mut self, words: &[String]) -> Result<(), String> {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["wait", time] => {
                let until = self.world.now + span(time)?;
                self.pass(until, |_| true)?;
            }
            ["until", "proven", key, "within", time] => self.until_proven(key, span(time)?)?,
            ["until", name, "within", time] => self.until(name, span(time)?)?,
            ["repeat", count, ref rest @ ..] => {
                for n in 0..number::<u32>(count)? {
                    let words: Vec<String> = rest.iter().map(|word| plans::numbered(word, n)).collect();
                    self.line(&words)?;
                }
            }
            ["every", gap, "x", count, ref rest @ ..] => {
                let (turn, rest) = match rest {
                    ["mod", turn, rest @ ..] => (number(turn)?, rest),
                    rest => (u32::MAX, rest),
                };
                let words = rest.iter().map(|word| (*word).to_owned()).collect();
                self.plans.push(plans::Plan::new(self.world.now, span(gap)?, number(count)?, turn, words));
            }
            ["mark"] => self.mark = self.world.now,
            ["cancel", name] => {
                let (client, tag) = self.request(name)?;
                self.world.cancel(client, tag);
            }
            ["set", key, value] => self.seed(key, value)?,
            ["keys", count, prefix] => {
                for n in 0..number::<u32>(count)? {
                    self.seed(&format!("{prefix}{n}"), "here")?;
                }
            }
            ["illegal", ref line @ ..] => {
                let line: Vec<String> = line.iter().map(|word| self.fill(word)).collect();
                // The error that is expected may stand behind an arrow.
                let (line, why) = line.split_at(line.iter().position(|word| word == "=>").unwrap_or(line.len()));
                match spec_of(line) {
                    Ok(_) => return Err("it was accepted".to_owned()),
                    Err(error) if why.get(1).is_some_and(|why| !error.contains(why.as_str())) => return Err(error),
                    Err(_) => {}
                }
            }
            ["scan" | "resume", client, ref settings @ ..] => self.scan(words[0] == "resume", client, settings)?,
            ["retoken", client] => self.retoken(client)?,
            ["noise"] => self.stage().noise = Some(super::noise::Noise::default()),
            ["unlink", client, prefix, window] => {
                let (client, prefix) = (self.client(client)?, self.fill(prefix));
                self.world.begin_unlink(client, prefix.as_bytes(), number(window)?);
            }
            ["want", client, name] => {
                let (client, name) = (self.client(client)?, self.fill(name));
                self.world.want(client, name.as_bytes());
                self.world.drive(client);
            }
            ["unwant", client, name] => {
                let (client, name) = (self.client(client)?, self.fill(name));
                self.world.unwant(client, name.as_bytes());
                self.world.drive(client);
            }
            ["publish", name] => {
                let name = self.fill(name);
                self.world.publish_to(name.as_bytes());
            }
            ["refresh", client] => {
                let client = self.client(client)?;
                let now = self.world.clients[client].at(self.world.now);
                self.world.clients[client].engine.refresh(now);
                self.world.drive(client);
            }
            ["inject", node, bytes] => {
                let node = self.node(node)?;
                let bytes = self.fill(bytes).into_bytes();
                for link in self.links(node) {
                    self.world.put(link, Way::Down, Some(bytes.clone()));
                }
            }
            ["answer-blocked", node, bytes] => {
                let (node, bytes) = (self.node(node)?, self.fill(bytes));
                if !self.world.answer_blocked(node, bytes.as_bytes()) {
                    return Err("nothing blocks there".to_owned());
                }
            }
            ["answer", node, command, bytes, count, ref later @ ..] => {
                let prompt = Prompt {
                    node: self.node(node)?,
                    command: command.to_owned(),
                    bytes: self.fill(bytes).into_bytes(),
                    left: number(count)?,
                    later: match later {
                        ["later", time] => span(time)?,
                        _ => 0,
                    },
                };
                self.stage().prompts.push_back(prompt);
            }
            ["c*", name, ref rest @ ..] => {
                for client in 0..self.world.clients.len() {
                    let (client, name) = (format!("c{client}"), format!("{name}{client}"));
                    let rest: Vec<String> = rest.iter().map(|word| word.replace('%', &client[1..])).collect();
                    let head = [client.as_str(), name.as_str()];
                    let words: Vec<&str> = head.into_iter().chain(rest.iter().map(String::as_str)).collect();
                    self.ask(&words)?;
                }
            }
            ["down", "all", how] => {
                for node in 0..self.world.servers.nodes.len() {
                    self.world.servers.model.set_switches(node, |switches| switches.cluster_down = how == "on");
                }
            }
            [client, ..] if words.contains(&"=") && self.client(client).is_ok() => self.ask(&words)?,
            [act, node, ref rest @ ..] => {
                if !self.act_on_cluster(&words)? {
                    let node = self.node(node)?;
                    self.act_on_node(act, node, rest)?;
                }
            }
            ["settle"] => {
                self.world.servers.model.settle();
                self.world.flush();
            }
            _ => return Err("no such act".to_owned()),
        }
        Ok(())
    }

    pub(super) fn stage(&mut self) -> &mut super::Stage {
        self.world.stage.get_or_insert_default()
    }

    fn links(&self, node: usize) -> Vec<u32> {
        let open = |link: &u32| {
            let link = &self.world.links[*link as usize];
            link.node == Some(node) && link.stage == LinkStage::Open
        };
        (0..self.world.links.len() as u32).filter(open).collect()
    }

    fn seed(&mut self, key: &str, value: &str) -> Result<(), String> {
        let key = self.fill(key);
        let owner =
            self.world.servers.model.owner(Slot::of_key(key.as_bytes()).get()).ok_or("the slot has no owner")?;
        let now = self.world.now;
        self.world.servers.note_names(&[b"SET".to_vec(), key.clone().into_bytes(), Vec::new()], now);
        self.world.servers.operate(owner, &[b"SET", key.as_bytes(), value.as_bytes()]);
        let now = self.world.now;
        self.stage().keys.push((key, now));
        Ok(())
    }

    /// A request by its name.
    pub(super) fn request(&self, name: &str) -> Result<(usize, u64), String> {
        self.names.get(name).copied().ok_or_else(|| format!("no request {name}"))
    }

    pub(super) fn until(&mut self, name: &str, limit: u64) -> Result<(), String> {
        let until = self.world.now + limit;
        if name == "all" {
            // What is still to be asked for belongs to all.
            let last = self.plans.iter().filter_map(plans::Plan::last).max();
            self.pass(last.unwrap_or(0).clamp(self.world.now, until), |_| true)?;
        }
        let wanted = match name {
            "all" | "scan" | "settled" | "unlinked" | "unlinking" => None,
            name => Some(self.request(name)?),
        };
        let name = name.to_owned();
        let ended = self.pass(until, |world| match (wanted, name.as_str()) {
            (Some((client, tag)), _) => world.clients[client].requests[tag as usize].end.is_none(),
            (None, "scan") => world.clients.iter().any(|client| client.scan.is_some()),
            (None, "unlinked") => {
                world.clients.iter().filter_map(|client| client.unlink.as_ref()).any(|unlink| !unlink.over)
            }
            (None, "unlinking") => {
                !world.clients.iter().filter_map(|client| client.unlink.as_ref()).any(|unlink| unlink.in_flight() > 0)
            }
            (None, "settled") => {
                world.clients.iter().any(|client| !client.subs.as_ref().is_some_and(|subs| subs.wishes.is_settled()))
            }
            (None, _) => world.clients.iter().any(|client| client.open > 0),
        })?;
        if ended || self.world.violation.is_some() { Ok(()) } else { Err("not in time".to_owned()) }
    }

    /// `c0 name [options] = COMMAND ...` and `c0 name x COUNT = ...`.
    fn ask(&mut self, words: &[&str]) -> Result<(), String> {
        let equals = words.iter().position(|word| *word == "=").unwrap_or(0);
        let (client, name) = (self.client(words[0])?, words[1]);
        let settings = &words[2..equals];
        let count = match settings {
            ["x", count, ..] => Some(number::<u32>(count)?),
            _ => None,
        };
        for n in 0..count.unwrap_or(1) {
            let line: Vec<String> =
                words[equals + 1..].iter().map(|word| self.fill(&word.replace('#', &n.to_string()))).collect();
            let (mut spec, wire) = spec_of(&line)?;
            for setting in settings {
                let setting = setting.trim_matches(['[', ']']);
                match setting.split_once('=') {
                    Some(("timeout", time)) => spec.timeout = Some(Duration::from_micros(span(time)?)),
                    Some(("domain", domain)) => spec.domain = number(domain)?,
                    None if setting == "always" => spec.retry = RetryPermission::Always,
                    None if setting == "stream" => spec.streamed = true,
                    None if setting == "anynode" => spec.target = Target::AnyNode,
                    _ => {}
                }
            }
            let tag = self.world.submit(client, spec, wire, Owner::Script(0)).ok_or("the engine has no room")?;
            let name = if count.is_some() { format!("{name}{n}") } else { name.to_owned() };
            self.names.insert(name.clone(), (client, tag));
            if settings.contains(&"serial") {
                self.world.drive(client);
                self.until(&name, 60_000_000)?;
            }
        }
        self.world.drive(client);
        Ok(())
    }

    /// Acts that name a key; says whether it was one.
    fn act_on_cluster(&mut self, words: &[&str]) -> Result<bool, String> {
        let model = |error: slotwise_std::mini::model::ControlError| error.to_string();
        match *words {
            ["migrate", key, "to", to] => {
                let (slot, to) = (self.slot(key), self.node(to)?);
                self.world.servers.model.begin_move(slot, to).map_err(model)?;
                self.world.servers.moving.insert(slot, to);
            }
            ["movekey", key] => {
                let (slot, key) = (self.slot(key), self.fill(key));
                self.world.servers.model.move_key(slot, key.as_bytes()).map_err(model)?;
            }
            ["movekeys", key] => {
                let slot = self.slot(key);
                self.world.servers.model.move_keys(slot, usize::MAX).map_err(model)?;
            }
            ["finish-move", key] => {
                let slot = self.slot(key);
                self.world.servers.moving.remove(&slot);
                self.world.servers.model.finish_move(slot).map_err(model)?;
            }
            ["move", key, "to", to] => {
                let (slot, to) = (self.slot(key), self.node(to)?);
                self.world.servers.model.move_atomically(slot, to).map_err(model)?;
            }
            ["moveslots", from, "to", to, count] => {
                let (from, to) = (self.node(from)?, self.node(to)?);
                for slot in self.world.servers.model.slots_of(from).into_iter().take(number(count)?) {
                    self.world.servers.model.move_atomically(slot, to).map_err(model)?;
                }
            }
            ["adopt", key, "by", node] => {
                let (slot, node) = (self.slot(key), self.node(node)?);
                self.world.servers.model.add_slot(node, slot).map_err(model)?;
            }
            ["forget", key, "at", node] => {
                let (slot, node) = (self.slot(key), self.node(node)?);
                self.world.servers.model.forget_owner(node, slot);
            }
            ["uncover", key] => {
                let slot = self.slot(key);
                self.world.servers.model.uncover(slot);
            }
            ["join", _] => {
                let node = self.world.servers.model.add_node();
                let password = self.world.options.password;
                self.world.servers.introduce(node, password);
            }
            _ => return Ok(false),
        }
        self.world.flush();
        Ok(true)
    }

    fn act_on_node(&mut self, act: &str, node: usize, rest: &[&str]) -> Result<(), String> {
        let time = || rest.first().ok_or_else(|| "how long?".to_owned()).and_then(|text| span(text));
        let until = |time: u64| self.world.now + time;
        let model = |error: slotwise_std::mini::model::ControlError| error.to_string();
        match act {
            "slow" => self.world.servers.nodes[node].slow = time()?,
            "drip" => self.world.servers.nodes[node].drip = time()?,
            "split" => {
                for link in self.links(node) {
                    let at = &mut self.world.links[link as usize];
                    at.split = Some(at.received + number::<u64>(rest.first().unwrap_or(&""))?);
                }
            }
            "pause" => {
                let until = until(time()?);
                self.world.servers.nodes[node].paused = until;
                self.world.at(until, Ev::Node(node));
            }
            "refuse" => self.world.servers.nodes[node].refuses = until(time()?),
            "ignore" => self.world.servers.nodes[node].ignores = until(time()?),
            "closes" => self.world.servers.nodes[node].closes = until(time()?),
            "partition" => {
                let until = until(time()?);
                (self.world.servers.nodes[node].deaf, self.world.servers.nodes[node].mute) = (until, until);
            }
            "mute" => self.world.servers.nodes[node].mute = until(time()?),
            "hangup" => self.world.servers.nodes[node].hangs_up = Some(number(rest.first().unwrap_or(&""))?),
            "rename" => {
                let host = rest.first().ok_or("to what?")?;
                self.world.servers.rename(node, (*host).to_owned(), crate::sim::servers::port_of(node));
            }
            "crash" => {
                self.world.servers.nodes[node].up = false;
                self.world.servers.model.crash(node);
                self.world.flush();
            }
            "restart" => {
                self.world.servers.model.restart(node, Restart::WithData).map_err(model)?;
                self.world.servers.nodes[node].up = true;
                self.world.servers.operators[node] = self.world.servers.model.connect(node);
            }
            "failover" => self.world.servers.model.failover(node).map_err(model)?,
            "takeover" => self.world.servers.model.take_over(node).map_err(model)?,
            "reset-node" => self.world.servers.model.reset_node(node).map_err(model)?,
            "endpoint" => self.world.servers.model.set_endpoint(
                node,
                match rest.first() {
                    Some(&"unknown") => Endpoint::Unknown,
                    Some(&"missing") => Endpoint::MissingHost,
                    Some(&"empty") => Endpoint::Empty,
                    Some(&"name") => Endpoint::Host(crate::sim::servers::node_name(node)),
                    _ => Endpoint::Address,
                },
            ),
            "loading" => {
                let on = rest.first() == Some(&"on");
                self.world.servers.model.set_switches(node, |switches| switches.loading = on);
            }
            "down" => {
                let on = rest.first() == Some(&"on");
                self.world.servers.model.set_switches(node, |switches| switches.cluster_down = on);
            }
            "hole" | "reset" | "cut" | "cut-up" | "finish" | "close" => {
                for link in self.links(node) {
                    match act {
                        "hole" => self.world.links[link as usize].hole = true,
                        "reset" => self.world.reset(link),
                        "cut" => {
                            self.world.links[link as usize].down.cut_after = Some(number(rest.first().unwrap_or(&""))?);
                        }
                        "cut-up" => {
                            self.world.links[link as usize].up.cut_after = Some(number(rest.first().unwrap_or(&""))?);
                        }
                        "close" => self.world.server_closes(link),
                        _ => {
                            if let Some(session) = &mut self.world.links[link as usize].session {
                                session.ends_after = Some(number(rest.first().unwrap_or(&""))?);
                            }
                        }
                    }
                }
            }
            _ => return Err("no such act".to_owned()),
        }
        self.world.flush();
        Ok(())
    }
}

/// A command, or a group of commands, and what the engine is told of it.
fn spec_of(line: &[String]) -> Result<(CommandSpec, Vec<u8>), String> {
    let mut wire = Vec::new();
    let commands: Vec<Vec<&[u8]>> =
        line.split(|word| word == ";").map(|words| words.iter().map(String::as_bytes).collect()).collect();
    let mut slot = None;
    let mut spec = None;
    for words in &commands {
        wire::command(words, &mut wire);
        let analysis = analyse(&FULL, &words[..]).map_err(|error| error.to_string())?;
        slot = slot.or(analysis.slot());
        spec = Some(analysis.spec(wire.len() as u32));
    }
    if commands.len() > 1 {
        let target = slot.map_or(Target::AnyPrimary, Target::Slot);
        let mut spec = CommandSpec::new(target, Access::Write, wire.len() as u32);
        spec.replies = commands.len() as u16;
        return Ok((spec, wire));
    }
    let spec = spec.ok_or("no command")?.map_err(|error| error.to_string())?;
    Ok((spec, wire))
}

//! CLIENT TRACKING: what a connection has read, and the pushes that say that it has changed.

use super::client::Words;
use super::commands::{self, Command, READ};
use super::reply::Out;
use super::run_strings::SYNTAX;
use super::{ClientId, Model, Profile};
use std::collections::BTreeSet;

/// What a connection wants to be told about.
#[derive(Debug, Default)]
pub(super) struct Tracking {
    /// Keys it has read, of which it was not told since.
    keys: BTreeSet<Vec<u8>>,
    /// Not of what it changes itself.
    quiet: bool,
}

/// `CLIENT TRACKING ON [NOLOOP] | OFF`: of the other options the model has none.
pub(super) fn tracking(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let option = |at: usize| words.get(at).map(|word| word.to_ascii_lowercase());
    match (option(2).as_deref(), option(3).as_deref(), words.len()) {
        (Some(b"on"), None, _) => model.track(id, true, false),
        (Some(b"on"), Some(b"noloop"), 4) => model.track(id, true, true),
        (Some(b"off"), None, _) => model.track(id, false, false),
        _ => return out.error(SYNTAX),
    }
    out.ok();
}

impl Model {
    /// Turns a connection's tracking on or off. Only RESP3 connections are told anything.
    pub fn set_tracking(&mut self, client: ClientId, on: bool) {
        if self.clients.contains_key(&client.0) {
            self.track(client, on, false);
        }
    }

    fn track(&mut self, id: ClientId, on: bool, quiet: bool) {
        let client = self.client(id);
        if on {
            client.tracking.get_or_insert_default().quiet = quiet;
            self.tracking.insert(id.0);
        } else {
            client.tracking = None;
            self.tracking.remove(&id.0);
        }
    }

    /// A command has run: if it reads keys, its connection will be told of their changes.
    pub(super) fn remember_read(&mut self, id: ClientId, command: &Command, words: &Words) {
        if self.tracking.is_empty() || !command.has(READ) || command.name.starts_with("eval") {
            return;
        }
        // What CLUSTERSCAN names is no key.
        let keys = (command.name != "clusterscan").then(|| command.keys_of(words)).into_iter().flatten();
        if let Some(tracking) = self.client(id).tracking.as_mut() {
            tracking.keys.extend(keys.cloned());
        }
    }

    /// As [`remember_read`](Model::remember_read), for a command that a script calls.
    pub(super) fn remember_called(&mut self, id: ClientId, words: &Words) {
        if let Some(command) = commands::find(&words[0]).filter(|_| !self.tracking.is_empty()) {
            self.remember_read(id, command, words);
        }
    }

    /// A key of a node has changed.
    pub(super) fn invalidate(&mut self, node: usize, key: &[u8]) {
        if self.tracking.is_empty() {
            return;
        }
        self.tell_trackers(node, |tracking| tracking.keys.remove(key), Some(key));
    }

    /// All keys of a node are gone.
    pub(super) fn invalidate_all(&mut self, node: usize) {
        if self.tracking.is_empty() {
            return;
        }
        let all = |tracking: &mut Tracking| {
            tracking.keys.clear();
            true
        };
        self.tell_trackers(node, all, None);
    }

    fn tell_trackers(&mut self, node: usize, mut concerns: impl FnMut(&mut Tracking) -> bool, key: Option<&[u8]>) {
        let running = self.running;
        let waits = matches!(self.nodes[node].profile, Profile::Redis8 | Profile::Redis84);
        let clients = &mut self.clients;
        let mut told = false;
        self.tracking.retain(|id| {
            let Some(client) = clients.get_mut(id) else { return false };
            let Some(tracking) = client.tracking.as_mut() else { return false };
            let own = running == Some(ClientId(*id));
            if client.node != node || !concerns(tracking) || (own && tracking.quiet && key.is_some()) || !client.resp3 {
                return true;
            }
            let mut push = Out::new(true);
            push.push(2);
            push.bulk("invalidate");
            match key {
                Some(key) => {
                    push.array(1);
                    push.bulk(key);
                }
                None => push.null(),
            }
            told = true;
            // What it causes itself stands behind the reply; but Redis 8 answers FLUSHALL when all is gone.
            let first = key.is_none() && waits && !client.in_exec;
            if own && !first {
                client.behind.append(&mut push.bytes);
            } else {
                client.out.append(&mut push.bytes);
            }
            true
        });
        self.stirred |= told;
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ClientId, Model, ModelOptions};

    fn say(model: &mut Model, client: ClientId, line: &str) -> String {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        model.request(client, &words);
        String::from_utf8(model.take_output(client)).unwrap()
    }

    #[test]
    fn a_change_is_told_once_to_whoever_has_read() {
        let mut model = Model::new(ModelOptions { primaries: 1, ..ModelOptions::default() });
        let [reader, writer] = [0, 0].map(|node| model.connect(node));
        say(&mut model, reader, "HELLO 3");
        assert_eq!(say(&mut model, reader, "CLIENT TRACKING ON"), "+OK\r\n");
        assert_eq!(say(&mut model, reader, "GET k"), "_\r\n");
        assert_eq!(say(&mut model, writer, "SET k 1"), "+OK\r\n");
        let push = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n";
        assert_eq!(String::from_utf8(model.take_output(reader)).unwrap(), push);
        say(&mut model, writer, "SET k 2");
        assert!(!model.has_output(reader), "not read since");
        say(&mut model, reader, "MGET k k");
        assert_eq!(say(&mut model, reader, "SET k 3"), format!("+OK\r\n{push}"), "behind the reply");
        say(&mut model, reader, "GET k");
        say(&mut model, writer, "FLUSHALL");
        let all = String::from_utf8(model.take_output(reader)).unwrap();
        assert_eq!(all, ">2\r\n$10\r\ninvalidate\r\n_\r\n");
        say(&mut model, reader, "CLIENT TRACKING ON NOLOOP");
        say(&mut model, reader, "GET k");
        assert_eq!(say(&mut model, reader, "SET k 4"), "+OK\r\n");
        say(&mut model, reader, "GET k");
        assert_eq!(say(&mut model, reader, "CLIENT TRACKING OFF"), "+OK\r\n");
        say(&mut model, writer, "SET k 5");
        assert!(!model.has_output(reader));
        assert_eq!(say(&mut model, reader, "CLIENT TRACKING maybe"), "-ERR syntax error\r\n");
    }
}

//! What happens to a command before it runs: the checks in the order of real servers, redirects, queueing.

use super::client::Words;
use super::commands::{self, AT_ONCE, BEFORE_AUTH, Command, IN_SUBSCRIBER, NOT_INSIDE, SHARD_CHANNEL, WRITE};
use super::reply::Out;
use super::store::slot_of;
use super::{ClientId, Model, Profile, Redirects};

/// Why a command does not run here.
pub(super) enum Refusal {
    Moved(u16, usize),
    Ask(u16, usize),
    TryAgain,
    CrossSlot,
    NotServed,
    Down,
}

impl Model {
    /// Takes one command from a connection: name and arguments. The reply and all pushes it causes are put into the outputs.
    /// An empty command does nothing, as on real servers. The slot views of the nodes may differ afterwards:
    /// [`settle`](Model::settle).
    pub fn request(&mut self, client: ClientId, words: &[Vec<u8>]) {
        if words.is_empty() || self.is_closing(client) {
            return;
        }
        let words = words.to_vec();
        let was_asking = words[0].eq_ignore_ascii_case(b"asking");
        let mut out = Out::new(self.client(client).resp3);
        self.process(client, words, &mut out);
        let state = self.client(client);
        // ASKING is used up by any next command, but lasts for a transaction.
        if state.transaction.is_none() && !was_asking {
            state.asking = false;
        }
        state.out.append(&mut out.bytes);
        let behind = std::mem::take(&mut state.behind);
        state.out.extend(behind);
    }

    /// A protocol error: the text (with its code) is sent and the connection closes.
    pub fn protocol_error(&mut self, client: ClientId, text: &str) {
        let state = self.client(client);
        let mut out = Out::new(state.resp3);
        out.error(text);
        state.out.append(&mut out.bytes);
        state.closing = true;
    }

    fn process(&mut self, id: ClientId, words: Words, out: &mut Out) {
        let found = commands::find(&words[0]);
        if self.options.profile == Profile::Valkey9 && self.lacks_auth(id, found) {
            return self.reject(id, out, "NOAUTH Authentication required.");
        }
        let Some(command) = found else {
            let text = unknown(&words);
            return self.reject(id, out, text);
        };
        if let Err(text) = self.check_words(command, &words) {
            return self.reject(id, out, text);
        }
        if self.lacks_auth(id, found) {
            return self.reject(id, out, "NOAUTH Authentication required.");
        }
        if self.options.profile == Profile::Valkey9 && command.has(NOT_INSIDE) && self.client(id).transaction.is_some()
        {
            let text = format!("ERR Command '{}' not allowed inside a transaction", command.name);
            return self.reject(id, out, text);
        }
        let node = self.node_of(id);
        let queueing = self.client(id).transaction.is_some() && !command.has(AT_ONCE);
        if let Err(refusal) = self.route(id, command, &words) {
            self.redirects.count(&refusal);
            let text = self.refusal_text(&refusal);
            if command.name == "exec" {
                let state = self.client(id);
                state.transaction = None;
                state.unwatch();
            } else if let Some(transaction) = &mut self.client(id).transaction {
                transaction.refused = true;
            }
            return out.error(text);
        }
        let keyless_write = command.has(WRITE) && command.keys.2 == 0;
        if keyless_write && self.nodes[node].primary.is_some() {
            return self.reject(id, out, "READONLY You can't write against a read only replica.");
        }
        if self.client(id).restricted() && !command.has(IN_SUBSCRIBER) {
            let text = format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
                 context",
                full_name(command, &words)
            );
            return self.reject(id, out, text);
        }
        if queueing {
            let state = self.client(id);
            let touched = state.touched;
            // What cannot run any more is not kept (which shows when EXEC is redirected).
            if let Some(transaction) = state.transaction.as_mut().filter(|transaction| !transaction.refused && !touched)
            {
                transaction.queued.push(words);
            }
            return out.simple("QUEUED");
        }
        (command.run)(self, id, &words, out);
    }

    fn lacks_auth(&mut self, id: ClientId, command: Option<&Command>) -> bool {
        !self.client(id).authenticated && !command.is_some_and(|c| c.has(BEFORE_AUTH))
    }

    /// An error before the command runs spoils an open transaction.
    pub(super) fn reject(&mut self, id: ClientId, out: &mut Out, text: impl AsRef<[u8]>) {
        if let Some(transaction) = &mut self.client(id).transaction {
            transaction.refused = true;
        }
        out.error(text);
    }

    fn check_words(&self, command: &Command, words: &Words) -> Result<(), String> {
        if !command.fits(words.len()) {
            return Err(wrong_number(command.name));
        }
        match command.name {
            "cluster" => super::run_cluster::check_sub(words),
            "client" => super::run_connection::check_client_sub(self.options.profile, words),
            _ => Ok(()),
        }
    }

    /// Whether the node of the connection may run the command.
    pub(super) fn route(&mut self, id: ClientId, command: &Command, words: &Words) -> Result<(), Refusal> {
        if command.name == "exec" {
            // Looked at as one command with all keys of the queue.
            let Some(transaction) = self.client(id).transaction.take() else { return Ok(()) };
            // A transaction that will not run anyway: Redis still says that the slot has gone, Valkey why it does not run.
            let lost = transaction.refused || self.client(id).touched;
            let result = if lost && self.options.profile == Profile::Valkey9 {
                Ok(())
            } else {
                self.route_all(id, &transaction.queued, true)
            };
            self.client(id).transaction = Some(transaction);
            return result;
        }
        self.route_all(id, std::slice::from_ref(words), false)
    }

    /// The decision for some commands that have to run together. Order as in the servers: slots equal and served, cluster up,
    /// migration of the slot, importing with ASKING, reads at a replica, and at last the owner.
    fn route_all(&mut self, id: ClientId, all: &[Words], exec: bool) -> Result<(), Refusal> {
        let profile = self.options.profile;
        let (asking, readonly) = (self.client(id).asking, self.client(id).readonly);
        let in_multi = self.client(id).transaction.is_some() && !exec;
        let me = self.node_of(id);
        let store = self.store_of(me);
        let node = &self.nodes[me];
        let mut first: Option<(u16, usize, &Vec<u8>)> = None;
        let (mut several, mut missing, mut existing) = (false, false, false);
        let (mut writes, mut channels) = (false, false);
        for words in all {
            let Some(command) = commands::find(&words[0]) else { continue };
            writes |= command.has(WRITE);
            channels |= command.has(SHARD_CHANNEL);
            for key in command.keys_of(words) {
                let slot = slot_of(key);
                match first {
                    None => {
                        let owner = node.owner(slot).ok_or(Refusal::NotServed)?;
                        first = Some((slot, owner, key));
                    }
                    Some((other, ..)) if other != slot => return Err(Refusal::CrossSlot),
                    Some((_, _, other)) => several |= other != key,
                }
                let marked = node.migrating.contains_key(&slot) || node.importing.contains_key(&slot);
                if marked && !command.has(SHARD_CHANNEL) {
                    if self.nodes[store].store.contains(key) { existing = true } else { missing = true }
                }
            }
        }
        let Some((slot, owner, _)) = first else { return Ok(()) };
        if self.options.full_coverage && node.uncovered() > 0 {
            return Err(Refusal::Down);
        }
        // Valkey 9 looks at the keys of a transaction at EXEC only.
        let keys_count = !(in_multi && profile == Profile::Valkey9);
        // A Valkey replica knows of its primary's migrations; a Redis replica does not.
        let source = if profile == Profile::Valkey9 { store } else { me };
        if owner == source
            && let Some(&target) = self.nodes[source].migrating.get(&slot)
            && missing
            && keys_count
        {
            return Err(if existing { Refusal::TryAgain } else { Refusal::Ask(slot, target) });
        }
        if owner != me && asking && node.importing.contains_key(&slot) {
            return if several && missing && keys_count { Err(Refusal::TryAgain) } else { Ok(()) };
        }
        if node.primary == Some(owner) && ((readonly && !writes) || channels) {
            return Ok(());
        }
        if owner == me { Ok(()) } else { Err(Refusal::Moved(slot, owner)) }
    }

    /// How many commands were redirected so far.
    #[must_use]
    pub fn redirects(&self) -> Redirects {
        self.redirects
    }

    fn refusal_text(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Moved(slot, to) => format!("MOVED {slot} {}", self.nodes[*to].address()),
            Refusal::Ask(slot, to) => format!("ASK {slot} {}", self.nodes[*to].address()),
            Refusal::TryAgain => "TRYAGAIN Multiple keys request during rehashing of slot".to_owned(),
            Refusal::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot".to_owned(),
            Refusal::NotServed => "CLUSTERDOWN Hash slot not served".to_owned(),
            Refusal::Down => "CLUSTERDOWN The cluster is down".to_owned(),
        }
    }

    /// The node whose data a node serves: its own or its primary's.
    pub(super) fn store_of(&self, node: usize) -> usize {
        self.nodes[node].primary.unwrap_or(node)
    }
}

impl Redirects {
    fn count(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Moved(..) => self.moved += 1,
            Refusal::Ask(..) => self.ask += 1,
            _ => {}
        }
    }
}

/// The name in messages: a container command with its sub-command.
fn full_name(command: &Command, words: &Words) -> String {
    match (command.name, words.get(1)) {
        (container @ ("client" | "cluster"), Some(sub)) => {
            format!("{container}|{}", String::from_utf8_lossy(sub).to_ascii_lowercase())
        }
        (name, _) => name.to_owned(),
    }
}

pub(super) fn wrong_number(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// The error for an unknown command quotes the beginning of its arguments.
fn unknown(words: &Words) -> Vec<u8> {
    const MOST: usize = 128;
    let mut args = Vec::new();
    for word in &words[1..] {
        if args.len() >= MOST {
            break;
        }
        let room = MOST - args.len();
        args.push(b'\'');
        args.extend_from_slice(&word[..word.len().min(room)]);
        args.extend_from_slice(b"' ");
    }
    let name = &words[0][..words[0].len().min(MOST)];
    [b"ERR unknown command '", name, b"', with args beginning with: ", &args].concat()
}

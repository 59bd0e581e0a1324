//! Whether a node may run a command, or who may.

use super::client::Words;
use super::commands::{self, Command, SHARD_CHANNEL, WRITE};
use super::store::slot_of;
use super::{ClientId, Model, Profile, Redirects};

/// Why a command does not run here.
pub(super) enum Refusal {
    Moved(u16, usize),
    Ask(u16, usize),
    TryAgain,
    Trimming,
    CrossSlot,
    NotServed,
    Down,
}

impl Model {
    /// Whether the node of the connection may run the command.
    pub(super) fn route(&mut self, id: ClientId, command: &Command, words: &Words) -> Result<(), Refusal> {
        if command.name == "exec" {
            // Looked at as one command with all keys of the queue.
            let Some(transaction) = self.client(id).transaction.take() else { return Ok(()) };
            // A transaction that will not run anyway: Redis still says that the slot has gone, Valkey why it does not run.
            let lost = transaction.refused || self.client(id).touched;
            let result = if lost && self.profile(id) == Profile::Valkey9 {
                Ok(())
            } else {
                self.route_all(id, transaction.queued.iter().map(|(_, words)| words.as_slice()), true)
            };
            self.client(id).transaction = Some(transaction);
            return result;
        }
        self.route_all(id, std::iter::once(words), false)
    }

    /// The decision for some commands that have to run together. Order as in the servers: slots equal and served, cluster up,
    /// migration of the slot, importing with ASKING, reads at a replica, and at last the owner.
    fn route_all<'w>(&mut self, id: ClientId, all: impl Iterator<Item = &'w Words>, exec: bool) -> Result<(), Refusal> {
        let profile = self.profile(id);
        let (asking, readonly) = (self.client(id).asking, self.client(id).readonly);
        let in_multi = self.client(id).transaction.is_some() && !exec;
        let newest = profile == Profile::Valkey9;
        let me = self.node_of(id);
        // A Valkey replica knows of its primary's migrations; a Redis replica does not.
        let source = if profile.is_valkey() { self.shard_head(me) } else { me };
        let node = &self.nodes[me];
        let mut first: Option<(u16, usize, &Vec<u8>)> = None;
        let (mut several, mut missing, mut existing) = (false, false, false);
        let (mut writes, mut channels) = (false, false);
        for words in all {
            let Some(command) = commands::find(&words[0]) else { continue };
            writes |= command.has(WRITE) || writes_by_flags(command, words);
            channels |= command.has(SHARD_CHANNEL) || newest && command.name == "publish";
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
                let marked = node.importing.contains_key(&slot) || self.nodes[source].migrating.contains_key(&slot);
                if marked && !command.has(SHARD_CHANNEL) {
                    if node.store.contains(key) { existing = true } else { missing = true }
                }
            }
        }
        let Some((slot, owner, _)) = first else { return Ok(()) };
        if self.is_down(me) {
            return Err(Refusal::Down);
        }
        // Valkey 9 looks at the keys of a transaction at EXEC only, and not if something is published in it.
        let keys_count = !(newest && (in_multi || channels));
        if owner == source
            && let Some(&target) = self.nodes[source].migrating.get(&slot)
            && missing
            && keys_count
        {
            let some_left = existing && profile != Profile::Redis62;
            return Err(if some_left { Refusal::TryAgain } else { Refusal::Ask(slot, target) });
        }
        if owner != me && asking && node.importing.contains_key(&slot) {
            return if several && missing && keys_count { Err(Refusal::TryAgain) } else { Ok(()) };
        }
        if node.primary == Some(owner) && ((readonly && !writes) || channels) {
            return Ok(());
        }
        if owner == me && writes && node.trimming.contains(&slot) {
            return Err(Refusal::Trimming);
        }
        if owner == me { Ok(()) } else { Err(Refusal::Moved(slot, owner)) }
    }

    /// How many commands were redirected so far.
    #[must_use]
    pub fn redirects(&self) -> Redirects {
        self.redirects
    }

    pub(super) fn refusal_text(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Moved(slot, to) => format!("MOVED {slot} {}", self.redirect_to(*to)),
            Refusal::Ask(slot, to) => format!("ASK {slot} {}", self.redirect_to(*to)),
            Refusal::TryAgain => "TRYAGAIN Multiple keys request during rehashing of slot".to_owned(),
            Refusal::Trimming => "TRYAGAIN Slot is being trimmed".to_owned(),
            Refusal::CrossSlot => "CROSSSLOT Keys in request don't hash to the same slot".to_owned(),
            Refusal::NotServed => "CLUSTERDOWN Hash slot not served".to_owned(),
            Refusal::Down => "CLUSTERDOWN The cluster is down".to_owned(),
        }
    }

    /// A node's primary, or itself if it is one.
    pub(super) fn shard_head(&self, node: usize) -> usize {
        self.nodes[node].primary.unwrap_or(node)
    }
}

impl Redirects {
    pub(super) fn count(&mut self, refusal: &Refusal) {
        match refusal {
            Refusal::Moved(..) => self.moved += 1,
            Refusal::Ask(..) => self.ask += 1,
            _ => {}
        }
    }
}

/// Whether it is a script that says of itself that it may write.
fn writes_by_flags(command: &Command, words: &Words) -> bool {
    command.name == "eval" && super::run_script::shebang(&words[1]).0.is_some_and(|flags| !flags.contains("no-writes"))
}

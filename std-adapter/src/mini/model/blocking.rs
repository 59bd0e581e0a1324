//! Commands that wait: for lists, for replicas, for the node to go on.

use super::client::{Replies, Wait, WaitFor};
use super::commands;
use super::ledger::Inside;
use super::reply::Out;
use super::route::Refusal;
use super::store::{Object, slot_of};
use super::{ClientId, Model};
use std::time::Duration;

impl Model {
    /// The running command waits. Only called outside of transactions and scripts.
    pub(super) fn block(
        &mut self,
        id: ClientId,
        words: &[Vec<u8>],
        keys: Vec<Vec<u8>>,
        what: WaitFor,
        limit: Option<Duration>,
    ) {
        let deadline = limit.map(|limit| self.now.saturating_add(limit));
        let state = self.client(id);
        let number = state.number;
        state.wait = Some(Wait { words: words.to_vec(), keys, what, deadline, number });
        self.waiting.push(id.0);
    }

    /// Whether a command must answer at once because it runs inside a transaction or a script.
    pub(super) fn may_not_block(&mut self, id: ClientId) -> bool {
        let state = self.client(id);
        state.in_exec || state.in_script
    }

    /// Whether a blocked command of the connection waits.
    #[must_use]
    pub fn is_blocked(&self, client: ClientId) -> bool {
        self.clients.get(&client.0).is_some_and(|client| client.wait.is_some())
    }

    /// Whether a command of the connection has to wait for its turn.
    pub(super) fn must_wait(&self, id: ClientId) -> bool {
        self.clients.get(&id.0).is_some_and(|client| {
            client.wait.is_some()
                || client.held
                || !client.inbox.is_empty()
                || self.nodes.get(client.node).is_some_and(|node| node.switches.paused)
        })
    }

    /// Connections of the node look again whether their commands can run.
    pub(super) fn wake_node(&mut self, node: usize) {
        let found: Vec<u64> =
            self.clients.iter().filter(|(_, c)| c.node == node && !c.inbox.is_empty()).map(|(id, _)| *id).collect();
        for id in found {
            if let Some(client) = self.clients.get_mut(&id) {
                client.held = false;
            }
            self.awake.push_back(id);
        }
    }

    /// What has become possible happens: blocked commands are served, waiting ones run.
    pub(super) fn finish(&mut self) {
        // A command that runs here ends by calling this again.
        if std::mem::replace(&mut self.finishing, true) {
            return;
        }
        loop {
            if !self.waiting.is_empty() && self.serve_one() {
                continue;
            }
            let Some(id) = self.awake.pop_front() else { break };
            self.run_inbox(ClientId(id));
        }
        self.finishing = false;
    }

    fn run_inbox(&mut self, id: ClientId) {
        loop {
            let Some(client) = self.clients.get_mut(&id.0) else { return };
            let paused = self.nodes.get(client.node).is_some_and(|node| node.switches.paused);
            if client.closing || client.wait.is_some() || client.held || paused {
                return;
            }
            let Some(words) = client.inbox.pop_front() else { return };
            self.stirred = true;
            if let Some(words) = self.run_request(id, std::borrow::Cow::Owned(words)) {
                self.client(id).inbox.push_front(words);
                return;
            }
        }
    }

    /// Serves the first blocked command that can be; whether there was one.
    fn serve_one(&mut self) -> bool {
        self.waiting.retain(|id| self.clients.get(id).is_some_and(|client| client.wait.is_some() && !client.closing));
        for at in 0..self.waiting.len() {
            let id = ClientId(self.waiting[at]);
            if self.is_ready(id) {
                self.serve(id);
                return true;
            }
        }
        false
    }

    fn is_ready(&self, id: ClientId) -> bool {
        let Some(client) = self.clients.get(&id.0) else { return false };
        let Some(wait) = &client.wait else { return false };
        let node = &self.nodes[client.node];
        if node.switches.paused || node.primary.is_some() {
            return false;
        }
        match wait.what {
            WaitFor::Keys => wait
                .keys
                .iter()
                .any(|key| matches!(node.store.get(key), Some(e) if matches!(e.object, Object::List(_)))),
            WaitFor::Replicas(wanted) => self.acknowledged(client.node, client.wrote_at) >= wanted,
        }
    }

    /// Replicas that have everything up to a position in the node's history.
    pub(super) fn acknowledged(&self, node: usize, offset: u64) -> usize {
        self.live_replicas(node).filter(|replica| self.nodes[*replica].history.offset() >= offset).count()
    }

    /// Runs the blocked command, which will not block now.
    fn serve(&mut self, id: ClientId) {
        let Some(wait) = self.client(id).wait.take() else { return };
        let Some(command) = commands::find(&wait.words[0]) else { return };
        let mut out = Out::new(self.client(id).resp3);
        let before = self.changes;
        (command.run)(self, id, &wait.words, &mut out);
        self.note_execution(id, wait.number, Inside::Nothing, &wait.words, before, out.bytes.starts_with(b"-"));
        self.answer_blocked(id, out);
    }

    /// Gives a blocked command its reply. The connection goes on.
    fn answer_blocked(&mut self, id: ClientId, mut out: Out) {
        let state = self.client(id);
        state.wait = None;
        if state.replies != Replies::Off {
            state.out.append(&mut out.bytes);
        }
        self.stirred = true;
        self.awake.push_back(id.0);
    }

    /// Waits whose time is up.
    pub(super) fn end_waits(&mut self) {
        let now = self.now;
        let paused = |model: &Model, node: usize| model.nodes.get(node).is_some_and(|node| node.switches.paused);
        let over: Vec<u64> = self
            .waiting
            .iter()
            .copied()
            .filter(|id| {
                let client = self.clients.get(id);
                client.is_some_and(|client| {
                    let wait = client.wait.as_ref();
                    wait.is_some_and(|wait| wait.deadline.is_some_and(|d| d <= now)) && !paused(self, client.node)
                })
            })
            .collect();
        over.into_iter().for_each(|id| self.end_wait(ClientId(id)));
    }

    /// The wait is over without what was waited for.
    fn end_wait(&mut self, id: ClientId) {
        let Some(wait) = self.client(id).wait.take() else { return };
        let mut out = Out::new(self.client(id).resp3);
        match wait.what {
            WaitFor::Keys => out.null_array(),
            WaitFor::Replicas(_) => {
                let (node, offset) = (self.node_of(id), self.client(id).wrote_at);
                out.count(self.acknowledged(node, offset));
            }
        }
        // It ran to its end, without doing anything.
        self.note_execution(id, wait.number, Inside::Nothing, &wait.words, self.changes, false);
        self.answer_blocked(id, out);
    }

    /// Ends the wait of a connection, as CLIENT UNBLOCK does: as if its time were up, or with an error. Whether it waited.
    pub fn unblock(&mut self, client: ClientId, error: bool) -> bool {
        if !self.is_blocked(client) {
            return false;
        }
        if error {
            let mut out = Out::new(self.client(client).resp3);
            out.error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            self.answer_blocked(client, out);
        } else {
            self.end_wait(client);
        }
        self.finish();
        true
    }

    /// Blocked commands whose slot has left the node, or is not served any more, are told so.
    pub(super) fn redirect_blocked(&mut self, node: usize) {
        if self.waiting.is_empty() {
            return;
        }
        for id in self.waiting_at(node) {
            let Some(key) = self.client(id).wait.as_ref().and_then(|wait| wait.keys.first()).cloned() else { continue };
            let slot = slot_of(&key);
            let owner = self.nodes[node].owner(slot);
            let refusal = match owner {
                _ if self.is_down(node) => Refusal::Down,
                None => Refusal::NotServed,
                Some(owner) if owner == node => continue,
                Some(owner) => Refusal::Moved(slot, owner),
            };
            let text = self.refusal_text(&refusal);
            self.redirects.count(&refusal);
            let mut out = Out::new(self.client(id).resp3);
            out.error(text);
            self.answer_blocked(id, out);
        }
    }

    /// The node has become a replica: its blocked commands end.
    pub(super) fn unblock_demoted(&mut self, node: usize) {
        if self.nodes[node].profile == super::Profile::Valkey9 {
            return self.redirect_blocked(node);
        }
        for id in self.waiting_at(node) {
            let mut out = Out::new(self.client(id).resp3);
            out.error("UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)");
            self.answer_blocked(id, out);
            self.client(id).closing = true;
        }
    }

    fn waiting_at(&self, node: usize) -> Vec<ClientId> {
        let here = |id: &&u64| self.clients.get(*id).is_some_and(|client| client.node == node && client.wait.is_some());
        self.waiting.iter().filter(here).map(|id| ClientId(*id)).collect()
    }
}

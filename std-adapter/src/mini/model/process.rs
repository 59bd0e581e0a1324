//! What happens to a command before it runs: the checks in the order of real servers, queueing.

use super::client::{Replies, Words};
use super::commands::{self, AT_ONCE, BEFORE_AUTH, Command, GROWS, IN_SUBSCRIBER, LOADING, NOT_INSIDE, WRITE};
use super::ledger::Inside;
use super::reply::Out;
use super::{ClientId, Model, Profile};

/// What became of a command.
#[derive(PartialEq, Eq)]
enum Step {
    /// It is done with: run, refused, queued or blocked.
    Done,
    /// It has to be looked at again later.
    Later,
}

impl Model {
    /// Takes one command from a connection: name and arguments. The reply and all pushes it causes are put into the outputs,
    /// now or, if the connection or its node waits for something, later. An empty command does nothing, as on real servers.
    /// The slot views of the nodes may differ afterwards: [`settle`](Model::settle).
    pub fn request(&mut self, client: ClientId, words: &[Vec<u8>]) {
        if words.is_empty() || self.is_closing(client) {
            return;
        }
        if self.must_wait(client) {
            self.client(client).inbox.push_back(words.to_vec());
            return;
        }
        if let Some(words) = self.run_request(client, std::borrow::Cow::Borrowed(words)) {
            self.client(client).inbox.push_front(words);
        }
        self.finish();
    }

    /// Runs, refuses or queues one command. Those that have to wait are given back.
    pub(super) fn run_request(
        &mut self,
        client: ClientId,
        words: std::borrow::Cow<'_, [Vec<u8>]>,
    ) -> Option<Vec<Vec<u8>>> {
        let was_asking = words[0].eq_ignore_ascii_case(b"asking");
        let mut out = Out::new(self.client(client).resp3);
        let state = self.client(client);
        state.number += 1;
        state.replies = match state.replies {
            Replies::SkipNext => Replies::Skip,
            Replies::Skip => Replies::On,
            other => other,
        };
        self.running = Some(client);
        let step = self.process(client, &words, &mut out);
        self.running = None;
        if step == Step::Later {
            let state = self.client(client);
            state.number -= 1;
            state.held = true;
            return Some(words.into_owned());
        }
        let state = self.client(client);
        // ASKING is used up by any next command, but lasts for a transaction.
        if state.transaction.is_none() && !was_asking {
            state.asking = false;
        }
        if state.replies == Replies::On || out.pushes {
            state.out.append(&mut out.bytes);
        }
        if !state.behind.is_empty() {
            let behind = std::mem::take(&mut state.behind);
            state.out.extend(behind);
        }
        None
    }

    /// A protocol error: the text (with its code) is sent and the connection closes.
    pub fn protocol_error(&mut self, client: ClientId, text: &str) {
        let state = self.client(client);
        let mut out = Out::new(state.resp3);
        out.error(text);
        state.out.append(&mut out.bytes);
        state.closing = true;
    }

    fn process(&mut self, id: ClientId, words: &Words, out: &mut Out) -> Step {
        match self.check(id, words) {
            Ok((command, true)) => {
                self.queue(id, words);
                out.simple("QUEUED");
                debug_assert!(!command.has(AT_ONCE));
            }
            Ok((command, false)) => {
                if self.writes_wait(id, command) {
                    return Step::Later;
                }
                self.run(id, command, words, out);
            }
            Err(text) => self.reject(id, out, text),
        }
        Step::Done
    }

    /// All that can be said against a command before it runs; the command, and whether it is queued.
    fn check(&mut self, id: ClientId, words: &Words) -> Result<(&'static Command, bool), Vec<u8>> {
        let profile = self.profile(id);
        let found = commands::find(&words[0]).filter(|command| command.is_known_to(profile));
        let no_auth = || "NOAUTH Authentication required.".into();
        if profile == Profile::Valkey9 && self.lacks_auth(id, found) {
            return Err(no_auth());
        }
        let command = found.ok_or_else(|| unknown(profile, words))?;
        check_words(profile, command, words)?;
        if self.lacks_auth(id, found) {
            return Err(no_auth());
        }
        let inside = self.client(id).transaction.is_some();
        if profile == Profile::Valkey9 && command.has(NOT_INSIDE) && inside {
            return Err(format!("ERR Command '{}' not allowed inside a transaction", command.name).into());
        }
        self.check_rights(id, command, words)?;
        if let Err(refusal) = self.route(id, command, words) {
            self.redirects.count(&refusal);
            if command.name == "exec" {
                self.discard(id);
            }
            return Err(self.refusal_text(&refusal).into());
        }
        if let Err(text) = self.check_node(id, command, words) {
            if command.name != "exec" {
                return Err(text);
            }
            self.discard(id);
            return Err([b"EXECABORT Transaction discarded because of: ", text.as_slice()].concat());
        }
        Ok((command, inside && !command.has(AT_ONCE)))
    }

    fn check_rights(&mut self, id: ClientId, command: &Command, words: &Words) -> Result<(), Vec<u8>> {
        if command.has(BEFORE_AUTH) {
            return Ok(());
        }
        let profile = self.profile(id);
        let client = &self.clients[&id.0];
        let users = &self.nodes[client.node].users;
        if users.may_everything(&client.user) {
            return Ok(());
        }
        let full = full_name(command, words);
        let sub = Some(full.as_str()).filter(|full| *full != command.name);
        if users.may(&client.user, command.name, sub) {
            return Ok(());
        }
        let user = String::from_utf8_lossy(&client.user);
        Err(match profile {
            Profile::Redis62 => {
                format!("NOPERM this user has no permissions to run the '{}' command or its subcommand", command.name)
            }
            Profile::Redis7 => format!("NOPERM this user has no permissions to run the '{full}' command"),
            _ => format!("NOPERM User {user} has no permissions to run the '{full}' command"),
        }
        .into())
    }

    /// What the state of the node forbids.
    fn check_node(&mut self, id: ClientId, command: &Command, words: &Words) -> Result<(), Vec<u8>> {
        let me = self.node_of(id);
        let restricted = self.client(id).restricted();
        let subscribed = self.client(id).subscribed();
        let node = &self.nodes[me];
        let product = if node.profile.is_valkey() { "Valkey" } else { "Redis" };
        if node.switches.out_of_memory && self.grows(id, command) {
            return Err("OOM command not allowed when used memory > 'maxmemory'.".into());
        }
        let keyless_write = command.has(WRITE) && command.keys.2 == 0;
        if keyless_write && node.primary.is_some() {
            return Err("READONLY You can't write against a read only replica.".into());
        }
        if restricted && !command.has(IN_SUBSCRIBER) {
            let kinds = if node.profile.sharded_channels() { "P|S" } else { "P" };
            return Err(format!(
                "ERR Can't execute '{}': only ({kinds})SUBSCRIBE / ({kinds})UNSUBSCRIBE / PING / QUIT / RESET are allowed in \
                 this context",
                full_name(command, words)
            )
            .into());
        }
        // Valkey 8.0 alone.
        let nothing_to_end = command.name.ends_with("unsubscribe") && node.profile == Profile::Valkey8 && !subscribed;
        if nothing_to_end {
            return Err(format!("NOSUB '{}' command executed not in subscribed mode", command.name).into());
        }
        if node.switches.master_down && node.primary.is_some() && !command.has(LOADING) {
            return Err("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into());
        }
        let loadable = match command.name {
            "cluster" => node.profile.is_valkey() || !words[1].eq_ignore_ascii_case(b"info"),
            _ => command.has(LOADING),
        };
        if node.switches.loading && !loadable {
            return Err(format!("LOADING {product} is loading the dataset in memory").into());
        }
        if node.switches.busy
            && !matches!(command.name, "auth" | "hello" | "multi" | "discard" | "unwatch" | "reset" | "quit")
        {
            return Err(format!(
                "BUSY {product} is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
            )
            .into());
        }
        Ok(())
    }

    /// Whether the command, or EXEC one it would run, may need more memory.
    fn grows(&self, id: ClientId, command: &Command) -> bool {
        let client = &self.clients[&id.0];
        let queued = || client.transaction.iter().flat_map(|t| &t.queued);
        match command.name {
            "exec" => queued().any(|(_, words)| commands::find(&words[0]).is_some_and(|c| c.has(GROWS))),
            _ => command.has(GROWS),
        }
    }

    /// Whether the command has to wait because the node lets no writes through just now.
    fn writes_wait(&self, id: ClientId, command: &Command) -> bool {
        let client = &self.clients[&id.0];
        if self.nodes[client.node].writes_wait.is_none() {
            return false;
        }
        let queued = || client.transaction.iter().flat_map(|t| &t.queued);
        match command.name {
            "exec" => queued().any(|(_, words)| commands::find(&words[0]).is_some_and(|c| c.has(WRITE))),
            _ => command.may_write(),
        }
    }

    fn queue(&mut self, id: ClientId, words: &Words) {
        let state = self.client(id);
        let (touched, number) = (state.touched, state.number);
        // What cannot run any more is not kept (which shows when EXEC is redirected).
        if let Some(transaction) = state.transaction.as_mut().filter(|transaction| !transaction.refused && !touched) {
            transaction.queued.push((number, words.to_vec()));
        }
    }

    fn run(&mut self, id: ClientId, command: &'static Command, words: &Words, out: &mut Out) {
        let before = self.changes;
        let start = out.bytes.len();
        (command.run)(self, id, words, out);
        self.remember_read(id, command, words);
        let state = self.client(id);
        if state.wait.is_none() {
            let number = state.number;
            let failed = out.bytes.get(start) == Some(&b'-');
            self.note_execution(id, number, Inside::Nothing, words, before, failed);
        }
        if self.changes != before {
            let offset = self.nodes[self.node_of(id)].history.offset();
            self.client(id).wrote_at = offset;
        }
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

    fn discard(&mut self, id: ClientId) {
        let state = self.client(id);
        state.transaction = None;
        state.unwatch();
    }
}

const SCRIPT_SUBS: [(&str, i32); 3] = [("load", 3), ("exists", -3), ("flush", -2)];

fn check_words(profile: Profile, command: &Command, words: &Words) -> Result<(), String> {
    if !command.fits(words.len()) {
        return Err(wrong_number(command.name));
    }
    match command.name {
        "cluster" => super::run_cluster::check_sub(profile, words),
        "client" => super::run_connection::check_client_sub(profile, words),
        "acl" => super::run_acl::check_sub(profile, words),
        "script" => super::run_connection::check_sub_in(profile, "script", &SCRIPT_SUBS, words),
        _ => Ok(()),
    }
}

/// The name in messages: a container command with its sub-command.
fn full_name(command: &Command, words: &Words) -> String {
    match (command.name, words.get(1)) {
        (container @ ("acl" | "client" | "cluster" | "script"), Some(sub)) => {
            format!("{container}|{}", String::from_utf8_lossy(sub).to_ascii_lowercase())
        }
        (name, _) => name.to_owned(),
    }
}

pub(super) fn wrong_number(name: &str) -> String {
    format!("ERR wrong number of arguments for '{name}' command")
}

/// The error for an unknown command quotes the beginning of its arguments.
fn unknown(profile: Profile, words: &Words) -> Vec<u8> {
    const MOST: usize = 128;
    // Backquotes, and a comma behind every argument, before 7.0.
    let (open, close, behind): (u8, u8, &[u8]) =
        if profile == Profile::Redis62 { (b'`', b'`', b", ") } else { (b'\'', b'\'', b" ") };
    let mut args = Vec::new();
    for word in &words[1..] {
        if args.len() >= MOST {
            break;
        }
        let room = MOST - args.len();
        args.push(open);
        args.extend_from_slice(&word[..word.len().min(room)]);
        args.push(close);
        args.extend_from_slice(behind);
    }
    let name = &words[0][..words[0].len().min(MOST)];
    [b"ERR unknown command ".as_slice(), &[open], name, &[close], b", with args beginning with: ", &args].concat()
}

//! `slotwise route`: where a command would go.

use std::ffi::OsString;

use serde_json::{Value, json};
use slotwise::command::{self, Analysis, Command, CommandError, KeyRef, ResponsePolicy, Route};
use slotwise::slot::Slot;

use crate::escape;
use crate::exit::{Exit, Failure};
use crate::input::arg_bytes;
use crate::output::Output;

/// Show where a command would go, without a cluster: its keys, their slot, the route and how answers are put together.
///
/// Works from the built-in command table, which knows every key of every command of Redis 8.6 and Valkey 9.1.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise route GET foo
  slotwise route --json MGET a b            several slots: split into one MGET for each
  slotwise route XREAD COUNT 5 STREAMS s1 s2 0 0
  slotwise route SINTER a b                 refused: several slots, and it cannot be split
  slotwise route -- SET k --json            after -- nothing is read as an option

JSON: {\"command\":s,\"keys\":[s..],\"slot\":N|null,\"route\":r|null,\"readonly\":bool,\"error\":kind|null}
where r is one of
  slot           all keys are in one slot
  split          several slots; it may be cut into one command for each
  any_node       no key: any node will do
  any_primary    no key, and it writes: any primary
  all_primaries  every primary, the answers are put together
  all_nodes      every node, replicas too
  connection     about the state of one connection (WAIT, SELECT, a bare SUNSUBSCRIBE)
A command that cannot be sent has an error, and a route only where one is known. Unprintable bytes
of keys are written \\xHH. Channels and CLUSTERSCAN cursors, which are routed like keys, are listed with them.

Exit codes: 0 it has a route, 1 it is refused, 2 bad usage.")]
pub(crate) struct Args {
    /// One JSON object; may also stand last
    #[arg(long)]
    json: bool,
    /// The command and its arguments
    #[arg(value_name = "CMD ARG", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<OsString>,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut words: Vec<&[u8]> = args.command.iter().map(|word| arg_bytes(word)).collect();
    let mut as_json = args.json;
    // People put options last. What follows `--` is the command's, to the last word.
    let fenced = std::env::args_os().rev().nth(words.len()).is_some_and(|before| before == "--");
    if !as_json && !fenced && words.len() > 1 && words.last() == Some(&&b"--json"[..]) {
        words.pop();
        as_json = true;
    }
    let found = Found::new(&words);
    let mut out = Output::new();
    if as_json {
        out.line([found.json().to_string().as_bytes()])?;
    } else {
        out.raw(found.text().as_bytes())?;
    }
    out.flush()?;
    if let Some(error) = found.error {
        eprintln!("slotwise: {}: {error}", found.name);
        return Ok(Exit::Negative);
    }
    Ok(Exit::Done)
}

/// An argument that decides the slot.
struct Key<'a> {
    bytes: &'a [u8],
    /// Not a channel or a cursor.
    is_key: bool,
}

/// What is known of a command.
struct Found<'a> {
    name: String,
    command: Option<Command<'static>>,
    keys: Vec<Key<'a>>,
    analysis: Option<Analysis<'static>>,
    error: Option<CommandError>,
}

impl<'a> Found<'a> {
    fn new(words: &[&'a [u8]]) -> Self {
        let name = words.first().map_or(String::new(), |word| escape::escaped(word)).to_ascii_uppercase();
        let mut found = Self { name, command: None, keys: Vec::new(), analysis: None, error: None };
        if let Err(error) = found.look_up(words) {
            found.error = Some(error);
        }
        found
    }

    fn look_up(&mut self, words: &[&'a [u8]]) -> Result<(), CommandError> {
        let command = command::FULL.find(words)?;
        self.command = Some(command);
        let key = |key: KeyRef| Some(Key { bytes: words.get(key.index).copied()?, is_key: key.flags.is_key() });
        self.keys = command.routed(words)?.filter_map(key).collect();
        self.analysis = Some(command.analyse(words)?);
        Ok(())
    }

    fn route(&self) -> Option<Route> {
        self.analysis.map(|analysis| analysis.route())
    }

    fn slot(&self) -> Option<u16> {
        self.route().and_then(Route::slot).map(Slot::get)
    }

    fn read_only(&self) -> bool {
        self.command.is_some_and(|command| command.read_only())
    }

    fn json(&self) -> Value {
        json!({
            "command": self.name,
            "keys": self.keys.iter().map(|key| escape::json(key.bytes)).collect::<Vec<_>>(),
            "slot": self.slot(),
            "route": self.route().map(Route::name),
            "readonly": self.read_only(),
            "error": self.error.map(CommandError::name),
        })
    }
}

impl Found<'_> {
    fn text(&self) -> String {
        let mut text = format!("command  {}\n", self.name);
        for (index, key) in self.keys.iter().enumerate() {
            let label = if index == 0 { "keys" } else { "" };
            let slot = Slot::of_key(key.bytes).get();
            let what = if key.is_key { "" } else { ", routed like a key" };
            text.push_str(&format!("{label:<9}{} (slot {slot}{what})\n", escape::escaped(key.bytes)));
        }
        if let Some(route) = self.route() {
            text.push_str(&format!("route    {}: {}\n", route.name(), explain(route)));
        }
        if let Some(analysis) = self.analysis {
            let access = if self.read_only() { "read-only: a replica may serve it" } else { "not read-only" };
            text.push_str(&format!("access   {access}\n"));
            if let Some(answers) = answers(analysis) {
                text.push_str(&format!("answers  {}: {answers}\n", analysis.merge().name()));
            }
            if analysis.needs_guard() {
                text.push_str("guard    servers do not check its slot: it is only sent inside a guarded MULTI\n");
            }
        }
        text
    }
}

fn explain(route: Route) -> String {
    match route {
        Route::Slot(slot) => format!("to the owner of slot {}", slot.get()),
        Route::Split => "one command for each slot".to_owned(),
        Route::AnyNode => "any node will do".to_owned(),
        Route::AnyPrimary => "any primary will do".to_owned(),
        Route::AllPrimaries => "every primary".to_owned(),
        Route::AllNodes => "every node, replicas too".to_owned(),
        Route::Connection => "about the state of one connection".to_owned(),
    }
}

/// How several answers become one, for commands that get several.
fn answers(analysis: Analysis<'_>) -> Option<&'static str> {
    if !matches!(analysis.route(), Route::Split | Route::AllPrimaries | Route::AllNodes) {
        return None;
    }
    Some(match analysis.merge() {
        ResponsePolicy::DefaultKeyless => "all elements of all answers",
        ResponsePolicy::DefaultKeyed => "the elements in the order of the keys",
        ResponsePolicy::OneSucceeded => "the first that is no error",
        ResponsePolicy::AllSucceeded => "the first error, or any one",
        ResponsePolicy::AggLogicalAnd => "all of them true",
        ResponsePolicy::AggLogicalOr => "any of them true",
        ResponsePolicy::AggMin => "the least",
        ResponsePolicy::AggMax => "the greatest",
        ResponsePolicy::AggSum => "the sum",
        ResponsePolicy::Special => "each as it is",
    })
}

//! EVAL and its relatives.

use super::client::Words;
use super::commands::{self, Command, GROWS, NO_SCRIPT, WRITE};
use super::ledger::Inside;
use super::lua::{self, Expr, Statement};
use super::reply::Out;
use super::route::Refusal;
use super::run_strings::{NOT_INTEGER, number};
use super::{ClientId, Model, Profile, sha1};
use std::collections::BTreeMap;

/// A value of a script.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Nil,
    Bool(bool),
    Int(i64),
    Text(Vec<u8>),
    Table(Vec<Value>),
    Status(Vec<u8>),
    Error(Vec<u8>),
}

/// An error that ends the script, and in which line.
struct Raised(Vec<u8>, usize);

type Result<T> = std::result::Result<T, Raised>;

struct Script<'m, 'w> {
    model: &'m mut Model,
    id: ClientId,
    keys: &'w [Vec<u8>],
    args: &'w [Vec<u8>],
    names: BTreeMap<String, Value>,
    may_write: bool,
    /// Where the last call stands.
    line: usize,
}

pub(super) fn eval(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    run_source(model, id, words, words[1].clone(), out, true);
}

pub(super) fn eval_ro(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    run_source(model, id, words, words[1].clone(), out, false);
}

pub(super) fn evalsha(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    run_known(model, id, words, out, true);
}

pub(super) fn evalsha_ro(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    run_known(model, id, words, out, false);
}

fn run_known(model: &mut Model, id: ClientId, words: &Words, out: &mut Out, may_write: bool) {
    let name = String::from_utf8_lossy(&words[1]).to_ascii_lowercase();
    match model.nodes[model.node_of(id)].scripts.get(&name).cloned() {
        Some(source) => run_source(model, id, words, source, out, may_write),
        None if check_count(words, out).is_some() => out.error(if model.profile(id) == Profile::Valkey9 {
            "NOSCRIPT No matching script."
        } else {
            "NOSCRIPT No matching script. Please use EVAL."
        }),
        None => {}
    }
}

fn check_count(words: &Words, out: &mut Out) -> Option<usize> {
    match number(&words[2]) {
        None => out.error(NOT_INTEGER),
        Some(count) if count < 0 => out.error("ERR Number of keys can't be negative"),
        Some(count) => match usize::try_from(count) {
            Ok(count) if count <= words.len() - 3 => return Some(count),
            _ => out.error("ERR Number of keys can't be greater than number of args"),
        },
    }
    None
}

fn run_source(model: &mut Model, id: ClientId, words: &Words, source: Vec<u8>, out: &mut Out, may_write: bool) {
    let Some(count) = check_count(words, out) else { return };
    let (flags, body) = shebang(&source);
    let Some(body) = lua::parse(body) else {
        return out.error("ERR Error compiling script (new function): user_script:1: syntax error");
    };
    let name = sha1::hex(&source);
    let node = model.node_of(id);
    model.nodes[node].scripts.insert(name.clone(), source);
    let (keys, args) = words[3..].split_at(count);
    let may_write = may_write && !flags.is_some_and(|flags| flags.contains("no-writes"));
    let was_inside = std::mem::replace(&mut model.client(id).in_script, true);
    let mut script = Script { model, id, keys, args, names: BTreeMap::new(), may_write, line: 1 };
    let result = script.block(&body);
    model.client(id).in_script = was_inside;
    match result {
        Ok(value) => reply(&value.unwrap_or(Value::Nil), out),
        Err(Raised(text, line)) => out.error(match model.profile(id) {
            Profile::Redis62 => {
                let head = format!("ERR Error running script (call to f_{name}): @user_script:{line}: ");
                [head.as_bytes(), &text].concat()
            }
            Profile::Valkey9 => [&text[..], format!(" script: on @user_script:{line}.").as_bytes()].concat(),
            _ => [&text[..], format!(" script: {name}, on @user_script:{line}.").as_bytes()].concat(),
        }),
    }
}

/// Flags of a first line `#!lua flags=...`, and the rest.
pub(super) fn shebang(source: &[u8]) -> (Option<String>, &[u8]) {
    if !source.starts_with(b"#!") {
        return (None, source);
    }
    let end = source.iter().position(|b| *b == b'\n').unwrap_or(source.len());
    (Some(String::from_utf8_lossy(&source[..end]).into_owned()), &source[end..])
}

/// `SCRIPT LOAD source | EXISTS sum... | FLUSH`
pub(super) fn script(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    let scripts = &mut model.nodes[node].scripts;
    match (words[1].to_ascii_lowercase().as_slice(), &words[2..]) {
        (b"load", [source]) => {
            let name = sha1::hex(source);
            scripts.insert(name.clone(), source.clone());
            out.bulk(name);
        }
        (b"exists", names) => {
            out.array(names.len());
            for name in names {
                out.int(scripts.contains_key(&String::from_utf8_lossy(name).to_ascii_lowercase()).into());
            }
        }
        // flush
        _ => {
            scripts.clear();
            out.ok();
        }
    }
}

fn reply(value: &Value, out: &mut Out) {
    match value {
        Value::Nil | Value::Bool(false) => out.null(),
        Value::Bool(true) => out.int(1),
        Value::Int(number) => out.int(*number),
        Value::Text(text) => out.bulk(text),
        Value::Status(text) => out.status(text),
        Value::Error(text) => out.error(text),
        Value::Table(items) => {
            // A table ends at its first nil.
            let count = items.iter().position(|item| *item == Value::Nil).unwrap_or(items.len());
            out.array(count);
            items[..count].iter().for_each(|item| reply(item, out));
        }
    }
}

impl Script<'_, '_> {
    /// `Some` when the script returned.
    fn block(&mut self, statements: &[Statement]) -> Result<Option<Value>> {
        for statement in statements {
            match statement {
                Statement::Return(None) => return Ok(Some(Value::Nil)),
                Statement::Return(Some(value)) => return self.value(value).map(Some),
                Statement::Local(name, value) => {
                    let value = self.value(value)?;
                    self.names.insert(name.clone(), value);
                }
                Statement::Call(call) => drop(self.value(call)?),
                Statement::If(condition, then, otherwise) => {
                    let holds = !matches!(self.value(condition)?, Value::Nil | Value::Bool(false));
                    let returned = self.block(if holds { then } else { otherwise })?;
                    if returned.is_some() {
                        return Ok(returned);
                    }
                }
            }
        }
        Ok(None)
    }

    fn value(&mut self, expr: &Expr) -> Result<Value> {
        Ok(match expr {
            Expr::Nil => Value::Nil,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(number) => Value::Int(*number),
            Expr::Text(text) => Value::Text(text.clone()),
            Expr::Name(name) => self.names.get(name).cloned().unwrap_or(Value::Nil),
            Expr::Length(name) => Value::Int(self.list(name).len() as i64),
            Expr::Index(name, index) => match self.value(index)? {
                Value::Int(index) => {
                    let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1));
                    at.and_then(|at| self.list(name).get(at).cloned()).unwrap_or(Value::Nil)
                }
                _ => Value::Nil,
            },
            Expr::Concat(left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                match (text(&left), text(&right)) {
                    (Some(left), Some(right)) => Value::Text([left, right].concat()),
                    _ => return Err(self.raised("ERR user_script:1: attempt to concatenate a nil value")),
                }
            }
            Expr::Equal(left, right) => Value::Bool(self.value(left)? == self.value(right)?),
            Expr::Table(items, named) => self.table(items, named)?,
            Expr::Call(name, args, line) => {
                let args = args.iter().map(|arg| self.value(arg)).collect::<Result<Vec<Value>>>()?;
                self.line = *line;
                self.call(name, args)?
            }
        })
    }

    fn list(&self, name: &str) -> Vec<Value> {
        let bytes = |items: &[Vec<u8>]| items.iter().cloned().map(Value::Text).collect();
        match name {
            "KEYS" => bytes(self.keys),
            "ARGV" => bytes(self.args),
            _ => match self.names.get(name) {
                Some(Value::Table(items)) => items.clone(),
                _ => Vec::new(),
            },
        }
    }

    fn table(&mut self, items: &[Expr], named: &[(String, Expr)]) -> Result<Value> {
        for (name, value) in named {
            let value = self.value(value)?;
            match (name.as_str(), text(&value)) {
                ("err", Some(text)) => return Ok(Value::Error(text)),
                ("ok", Some(text)) => return Ok(Value::Status(text)),
                _ => {}
            }
        }
        items.iter().map(|item| self.value(item)).collect::<Result<Vec<Value>>>().map(Value::Table)
    }

    fn call(&mut self, name: &str, args: Vec<Value>) -> Result<Value> {
        match (name, args.as_slice()) {
            ("redis.error_reply" | "server.error_reply", [Value::Text(text)]) => {
                Ok(Value::Error(self.error_text(text)))
            }
            ("redis.status_reply" | "server.status_reply", [Value::Text(text)]) => Ok(Value::Status(text.clone())),
            ("tostring", [value]) => Ok(text(value).map_or(Value::Nil, Value::Text)),
            ("tonumber", [value]) => Ok(text(value).and_then(|text| number(&text)).map_or(Value::Nil, Value::Int)),
            ("error", [value]) => match value {
                Value::Error(text) => Err(self.raised(text.clone())),
                value => {
                    let text = text(value).unwrap_or_default();
                    Err(self.raised([b"ERR user_script:1: ".as_slice(), &text].concat()))
                }
            },
            ("redis.call" | "server.call", args) => match self.command(args)? {
                Value::Error(text) => Err(self.raised(text)),
                value => Ok(value),
            },
            ("redis.pcall" | "server.pcall", args) => {
                self.command(args).or_else(|Raised(text, _)| Ok(Value::Error(text)))
            }
            _ => Err(self.raised(format!("ERR user_script:1: attempt to call '{name}'"))),
        }
    }

    fn raised(&self, text: impl Into<Vec<u8>>) -> Raised {
        Raised(text.into(), self.line)
    }

    /// A text without code gets one (Redis from 7.0); a leading `-` is taken off.
    fn error_text(&self, text: &[u8]) -> Vec<u8> {
        if self.model.profile(self.id) == Profile::Redis62 {
            return text.to_vec();
        }
        let text = text.strip_prefix(b"-").unwrap_or(text);
        if text.contains(&b' ') { text.to_vec() } else { [b"ERR ", text].concat() }
    }

    /// Runs a command, or says why it must not run here.
    fn command(&mut self, args: &[Value]) -> Result<Value> {
        let valkey = self.model.profile(self.id) == Profile::Valkey9;
        let words: Option<Vec<Vec<u8>>> = args.iter().map(text).collect();
        let Some(words) = words else {
            let which = if valkey { "Command" } else { "Lua redis lib command" };
            return Err(self.raised(format!("ERR {which} arguments must be strings or integers")));
        };
        if words.is_empty() {
            let which = if valkey { "this call" } else { "this redis lib call" };
            return Err(self.raised(format!("ERR Please specify at least one argument for {which}")));
        }
        let command = self.allowed(&words).map_err(|text| self.raised(text))?;
        let (model, id) = (&mut *self.model, self.id);
        let mut out = Out::new(false);
        let before = model.changes;
        (command.run)(model, id, &words, &mut out);
        model.remember_called(id, &words);
        let number = model.client(id).number;
        model.note_execution(id, number, Inside::Script, &words, before, out.bytes.starts_with(b"-"));
        Ok(read(&mut out.bytes.as_slice()))
    }

    fn allowed(&mut self, words: &Words) -> std::result::Result<&'static Command, Vec<u8>> {
        let (model, id) = (&mut *self.model, self.id);
        let profile = model.profile(id);
        let newest = profile == Profile::Valkey9;
        let command = commands::find(&words[0])
            .filter(|command| command.is_known_to(profile))
            .ok_or_else(|| format!("ERR Unknown {}command called from script", if newest { "" } else { "Redis " }))?;
        if !command.fits(words.len()) {
            let which = if newest { "" } else { "Redis " };
            return Err(format!("ERR Wrong number of args calling {which}command from script").into());
        }
        // Blocking commands do not block in scripts; in old servers they are not there at all.
        let blocks = matches!(command.name, "blpop" | "brpop" | "blmove" | "wait") && profile <= Profile::Redis7;
        if command.has(NO_SCRIPT) || blocks {
            let which = if newest { "Valkey" } else { "Redis" };
            return Err(format!("ERR This {which} command is not allowed from script").into());
        }
        let node = model.node_of(id);
        if command.has(WRITE) {
            if !self.may_write {
                return Err(b"ERR Write commands are not allowed from read-only scripts.".to_vec());
            }
            // Valkey 9 finds first that the key is another node's.
            if model.nodes[node].primary.is_some() && !newest {
                return Err(b"READONLY You can't write against a read only replica.".to_vec());
            }
            if model.nodes[node].switches.out_of_memory && command.has(GROWS) {
                return Err(b"OOM command not allowed when used memory > 'maxmemory'.".to_vec());
            }
        }
        match model.route(id, command, words) {
            Ok(()) => Ok(command),
            Err(Refusal::CrossSlot) if matches!(profile, Profile::Redis8 | Profile::Redis84) => {
                let text = "attempted to access keys that don't hash to the same slot";
                Err(format!("ERR Command '{}' in script {text}", command.name).into())
            }
            Err(refusal) => Err(foreign(&refusal, profile).to_vec()),
        }
    }
}

/// What a script is told instead of a redirect.
fn foreign(refusal: &Refusal, profile: Profile) -> &'static [u8] {
    match (refusal, profile) {
        (Refusal::CrossSlot, Profile::Valkey9) => b"ERR Attempted to access keys that do not hash to the same slot",
        (Refusal::CrossSlot, Profile::Valkey8) => {
            b"ERR Script attempted to access keys that do not hash to the same slot"
        }
        (Refusal::NotServed, Profile::Valkey9) => b"ERR Attempted to access a slot not served",
        (Refusal::NotServed, _) => b"ERR Script attempted to access a slot not served",
        (Refusal::Down, Profile::Valkey9) => b"ERR Attempted to execute a command while the cluster is down",
        (Refusal::Down, _) => b"ERR Script attempted to execute a command while the cluster is down",
        (_, Profile::Valkey9) => b"ERR Attempted to access a non local key in a cluster node",
        _ => b"ERR Script attempted to access a non local key in a cluster node",
    }
}

/// What `..` and arguments take.
fn text(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// A RESP2 reply as a script sees it. The bytes are the model's own.
fn read(bytes: &mut &[u8]) -> Value {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap_or(bytes.len());
    let (line, rest) = bytes.split_at(end);
    *bytes = rest.get(2..).unwrap_or_default();
    let (kind, text) = line.split_first().map_or((0, &line[..0]), |(kind, text)| (*kind, text));
    let number: i64 = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(-1);
    match (kind, usize::try_from(number)) {
        (b'+', _) => Value::Status(text.to_vec()),
        (b'-', _) => Value::Error(text.to_vec()),
        (b':', _) => Value::Int(number),
        (b'$', Ok(length)) => {
            let text = bytes.get(..length).unwrap_or_default().to_vec();
            *bytes = bytes.get(length + 2..).unwrap_or_default();
            Value::Text(text)
        }
        (b'*', Ok(count)) => Value::Table((0..count).map(|_| read(bytes)).collect()),
        // A missing value is false to scripts.
        _ => Value::Bool(false),
    }
}

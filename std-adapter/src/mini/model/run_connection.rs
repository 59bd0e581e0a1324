//! Commands about the connection and the server.

use super::client::{Replies, Words};
use super::reply::Out;
use super::run_strings::{NOT_INTEGER, SYNTAX, number};
use super::{ClientId, Model, Profile};

const NAME_ERROR: &str = "ERR Client names cannot contain spaces, newlines or special characters.";

fn is_name(name: &[u8]) -> bool {
    name.iter().all(|b| (b'!'..=b'~').contains(b))
}

pub(super) fn ping(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let message = words.get(1);
    if words.len() > 2 {
        out.error(super::process::wrong_number("ping"));
    } else if model.client(id).restricted() {
        out.array(2);
        out.bulk("pong");
        out.bulk(message.map_or(&b""[..], Vec::as_slice));
    } else if let Some(message) = message {
        out.bulk(message);
    } else {
        out.simple("PONG");
    }
}

pub(super) fn echo(_model: &mut Model, _id: ClientId, words: &Words, out: &mut Out) {
    out.bulk(&words[1]);
}

pub(super) fn asking(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    model.client(id).asking = true;
    out.ok();
}

pub(super) fn readonly(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    model.client(id).readonly = true;
    out.ok();
}

pub(super) fn readwrite(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    model.client(id).readonly = false;
    out.ok();
}

pub(super) fn quit(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    model.client(id).closing = true;
    out.ok();
}

pub(super) fn reset(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    let open = model.nodes[model.node_of(id)].users.open();
    let client = model.client(id);
    let mut fresh = super::Client::new(client.node, open);
    std::mem::swap(&mut fresh.out, &mut client.out);
    std::mem::swap(&mut fresh.inbox, &mut client.inbox);
    fresh.number = client.number;
    *client = fresh;
    out.simple("RESET");
}

pub(super) fn select(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match number(&words[1]) {
        Some(0) => out.ok(),
        None => out.error(NOT_INTEGER),
        Some(_) if model.profile(id) == Profile::Valkey9 => out.error("ERR DB index is out of range"),
        Some(_) => out.error("ERR SELECT is not allowed in cluster mode"),
    }
}

/// `AUTH password` or `AUTH default password`
pub(super) fn auth(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match words {
        [_, _] if model.nodes[model.node_of(id)].users.open() => out.error(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration \
             is correct?",
        ),
        [_, password] if check(model, id, b"default", password, out) => out.ok(),
        [_, user, password] if check(model, id, user, password, out) => out.ok(),
        [_, _] | [_, _, _] => {}
        _ => out.error("ERR syntax error"),
    }
}

/// Marks the client, or writes an error.
fn check(model: &mut Model, id: ClientId, user: &[u8], password: &[u8], out: &mut Out) -> bool {
    let right = model.nodes[model.node_of(id)].users.accept(user, password);
    if right {
        let client = model.client(id);
        client.authenticated = true;
        user.clone_into(&mut client.user);
    } else {
        out.error("WRONGPASS invalid username-password pair or user is disabled.");
    }
    right
}

/// `HELLO [2|3 [AUTH user password] [SETNAME name]]`
pub(super) fn hello(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let version = match words.get(1).map(|word| number(word)) {
        None => None,
        Some(None) => return out.error("ERR Protocol version is not an integer or out of range"),
        Some(Some(n @ (2 | 3))) => Some(n == 3),
        Some(Some(_)) => return out.error("NOPROTO unsupported protocol version"),
    };
    let mut rest = words.get(2..).unwrap_or_default();
    let mut name = None;
    while let [option, tail @ ..] = rest {
        match (option.to_ascii_uppercase().as_slice(), tail) {
            (b"AUTH", [user, password, tail @ ..]) => {
                if !check(model, id, user, password, out) {
                    return;
                }
                rest = tail;
            }
            (b"SETNAME", [text, tail @ ..]) => {
                if !is_name(text) {
                    return out.error(NAME_ERROR);
                }
                name = Some(text.clone());
                rest = tail;
            }
            _ => return out.error([b"ERR Syntax error in HELLO option '".as_slice(), option, b"'"].concat()),
        }
    }
    if !model.client(id).authenticated {
        let form = if model.profile(id) <= Profile::Redis7 { "HELLO AUTH" } else { "HELLO <proto> AUTH" };
        return out.error(format!(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the {form} <user> <pass> option can \
             be used to authenticate the client and select the RESP protocol version at the same time"
        ));
    }
    if let Some(name) = name {
        model.client(id).name = name;
    }
    if let Some(resp3) = version {
        model.client(id).resp3 = resp3;
    }
    let resp3 = model.client(id).resp3;
    // Inside a transaction the reply has begun in the other protocol.
    out.switch(resp3);
    describe(model, id, resp3, out);
}

fn describe(model: &Model, id: ClientId, resp3: bool, out: &mut Out) {
    let replica = model.nodes[model.node_of(id)].primary.is_some();
    let (server, version) = model.profile(id).product();
    out.map(7);
    for (field, value) in [("server", server), ("version", version)] {
        out.bulk(field);
        out.bulk(value);
    }
    out.bulk("proto");
    out.int(if resp3 { 3 } else { 2 });
    out.bulk("id");
    out.int(id.0.cast_signed());
    for (field, value) in [("mode", "cluster"), ("role", if replica { "replica" } else { "master" })] {
        out.bulk(field);
        out.bulk(value);
    }
    out.bulk("modules");
    if model.profile(id) <= Profile::Redis7 {
        return out.array(0);
    }
    out.array(1);
    out.map(4);
    for (field, value) in [("name", Some("lua")), ("ver", None), ("path", Some("lua"))] {
        out.bulk(field);
        match value {
            Some(value) => out.bulk(value),
            None => out.int(1),
        }
    }
    out.bulk("args");
    out.array(0);
}

/// The sub-commands each profile has: name, number of words (negative: at least).
fn client_subs(profile: Profile) -> &'static [(&'static str, i32)] {
    match profile {
        Profile::Redis62 => {
            &[("id", 2), ("getname", 2), ("setname", 3), ("reply", 3), ("unblock", -3), ("tracking", -3)]
        }
        Profile::Redis7 => &[
            ("id", 2),
            ("getname", 2),
            ("setname", 3),
            ("reply", 3),
            ("unblock", -3),
            ("tracking", -3),
            ("no-evict", 3),
        ],
        Profile::Redis8 | Profile::Redis84 => &[
            ("id", 2),
            ("getname", 2),
            ("setname", 3),
            ("reply", 3),
            ("unblock", -3),
            ("tracking", -3),
            ("no-evict", 3),
            ("setinfo", 4),
            ("no-touch", 3),
        ],
        Profile::Valkey8 | Profile::Valkey9 => &[
            ("id", 2),
            ("getname", 2),
            ("setname", 3),
            ("reply", 3),
            ("unblock", -3),
            ("tracking", -3),
            ("no-evict", 3),
            ("setinfo", 4),
            ("no-touch", 3),
            ("capa", -3),
        ],
    }
}

pub(super) fn check_client_sub(profile: Profile, words: &Words) -> Result<(), String> {
    check_sub_in(profile, "client", client_subs(profile), words)
}

/// Existence and number of words of a sub-command.
pub(super) fn check_sub_in(profile: Profile, command: &str, subs: &[(&str, i32)], words: &Words) -> Result<(), String> {
    let name = String::from_utf8_lossy(&words[1]);
    let Some((sub, arity)) = subs.iter().find(|(sub, _)| sub.eq_ignore_ascii_case(&name)) else {
        let what = match profile {
            Profile::Redis62 => "Unknown subcommand or wrong number of arguments for",
            _ => "unknown subcommand",
        };
        return Err(format!("ERR {what} '{name}'. Try {} HELP.", command.to_uppercase()));
    };
    let wanted = arity.unsigned_abs() as usize;
    let fits = if *arity < 0 { words.len() >= wanted } else { words.len() == wanted };
    if fits { Ok(()) } else { Err(super::process::wrong_number(&format!("{command}|{sub}"))) }
}

pub(super) fn client(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    match words[1].to_ascii_lowercase().as_slice() {
        b"id" => out.int(id.0.cast_signed()),
        b"getname" => {
            let name = &model.client(id).name;
            out.opt_bulk(Some(name.as_slice()).filter(|name| !name.is_empty()));
        }
        b"setname" if is_name(&words[2]) => {
            model.client(id).name.clone_from(&words[2]);
            out.ok();
        }
        b"setname" => out.error(NAME_ERROR),
        b"setinfo" => match words[2].to_ascii_lowercase().as_slice() {
            option @ (b"lib-name" | b"lib-ver") if !is_name(&words[3]) => out.error(
                [b"ERR ".as_slice(), option, b" cannot contain spaces, newlines or special characters."].concat(),
            ),
            b"lib-name" | b"lib-ver" => out.ok(),
            _ => out.error([b"ERR Unrecognized option '".as_slice(), &words[2], b"'"].concat()),
        },
        b"capa" => out.ok(),
        b"unblock" => unblock(model, words, out),
        b"tracking" => super::tracking::tracking(model, id, words, out),
        b"reply" => match words[2].to_ascii_lowercase().as_slice() {
            b"on" => {
                model.client(id).replies = Replies::On;
                out.ok();
            }
            b"off" => model.client(id).replies = Replies::Off,
            b"skip" => {
                let client = model.client(id);
                if client.replies != Replies::Off {
                    client.replies = Replies::SkipNext;
                }
            }
            _ => out.error(SYNTAX),
        },
        // no-evict and no-touch: what they change does not show here
        _ if matches!(words[2].to_ascii_lowercase().as_slice(), b"on" | b"off") => out.ok(),
        _ => out.error(SYNTAX),
    }
}

/// `CLIENT UNBLOCK id [TIMEOUT | ERROR]`
fn unblock(model: &mut Model, words: &Words, out: &mut Out) {
    let error = match words.get(3).map(|word| word.to_ascii_lowercase()).as_deref() {
        None | Some(b"timeout") => false,
        Some(b"error") => true,
        Some(_) => return out.error("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR"),
    };
    match number(&words[2]) {
        Some(id) => out.int(u64::try_from(id).is_ok_and(|id| model.unblock(ClientId(id), error)).into()),
        None => out.error(NOT_INTEGER),
    }
}

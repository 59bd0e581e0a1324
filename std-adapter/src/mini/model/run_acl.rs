//! The ACL command, as far as clients and tests use it.

use super::client::Words;
use super::reply::Out;
use super::{ClientId, Model, Profile};

/// Sub-commands: name, number of words (negative: at least).
const SUBS: [(&str, i32); 4] = [("whoami", 2), ("setuser", -3), ("deluser", -3), ("users", 2)];

pub(super) fn check_sub(profile: Profile, words: &Words) -> Result<(), String> {
    super::run_connection::check_sub_in(profile, "acl", &SUBS, words)
}

pub(super) fn acl(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    match words[1].to_ascii_lowercase().as_slice() {
        b"whoami" => out.bulk(&model.client(id).user),
        b"users" => {
            let names: Vec<Vec<u8>> = model.nodes[node].users.names().cloned().collect();
            out.array(names.len());
            names.iter().for_each(|name| out.bulk(name));
        }
        b"deluser" => {
            let mut count = 0;
            for name in &words[2..] {
                if name == super::users::DEFAULT {
                    return out.error("ERR The 'default' user cannot be removed");
                }
                count += usize::from(model.nodes[node].users.get(name).is_some());
                model.remove_user(Some(node), name);
            }
            out.count(count);
        }
        // setuser
        _ => match rules(&words[3..]) {
            Ok(rules) => {
                let user = model.nodes[node].users.entry(&words[2]);
                rules.into_iter().for_each(|rule| rule.apply(user));
                out.ok();
            }
            Err(bad) => {
                let why = if matches!(bad.first(), Some(b'+' | b'-')) {
                    "Unknown command or category name in ACL"
                } else {
                    "Syntax error"
                };
                out.error(format!("ERR Error in ACL SETUSER modifier '{}': {why}", String::from_utf8_lossy(&bad)));
            }
        },
    }
}

/// One word of ACL SETUSER.
enum Rule {
    On(bool),
    Password(Vec<u8>),
    NoPassword,
    Reset,
    All(bool),
    Command(String, bool),
    /// Keys and channels: everything is allowed anyway.
    Ignored,
}

fn rules(words: &[Vec<u8>]) -> Result<Vec<Rule>, Vec<u8>> {
    words.iter().map(|word| rule(word).ok_or_else(|| word.clone())).collect()
}

fn rule(word: &[u8]) -> Option<Rule> {
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_ascii_lowercase();
    Some(match word.to_ascii_lowercase().as_slice() {
        b"on" => Rule::On(true),
        b"off" => Rule::On(false),
        b"nopass" => Rule::NoPassword,
        b"resetpass" | b"reset" => Rule::Reset,
        b"+@all" | b"allcommands" => Rule::All(true),
        b"-@all" | b"nocommands" => Rule::All(false),
        b"allkeys" | b"allchannels" | b"~*" | b"&*" => Rule::Ignored,
        _ => match word {
            [b'>', password @ ..] => Rule::Password(password.to_vec()),
            [sign @ (b'+' | b'-'), command @ ..] => {
                let command = name(command);
                super::commands::find(command.split('|').next().unwrap_or_default().as_bytes())?;
                Rule::Command(command, *sign == b'+')
            }
            _ => return None,
        },
    })
}

impl Rule {
    fn apply(self, user: &mut super::users::User) {
        match self {
            Rule::On(on) => user.enabled = on,
            Rule::Password(password) => {
                user.no_password = false;
                user.passwords.insert(password);
            }
            Rule::NoPassword => {
                user.no_password = true;
                user.passwords.clear();
            }
            Rule::Reset => {
                user.no_password = false;
                user.passwords.clear();
            }
            Rule::All(all) => {
                user.all_commands = all;
                user.except.clear();
            }
            Rule::Command(command, allowed) => user.allow(&command, allowed),
            Rule::Ignored => {}
        }
    }
}

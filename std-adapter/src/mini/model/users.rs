//! Users, their passwords and what they must not do.

use super::Model;
use std::collections::{BTreeMap, BTreeSet};

/// The user of connections that name none.
pub(super) const DEFAULT: &[u8] = b"default";

#[derive(Clone, Debug, Default)]
pub(super) struct User {
    pub(super) enabled: bool,
    /// Any password will do.
    pub(super) no_password: bool,
    pub(super) passwords: BTreeSet<Vec<u8>>,
    /// Everything is allowed but `except`; otherwise nothing but `except`.
    pub(super) all_commands: bool,
    /// Names of commands, or of sub-commands as in `cluster|slots`.
    pub(super) except: BTreeSet<String>,
}

impl User {
    pub(super) fn allow(&mut self, command: &str, allowed: bool) {
        if self.all_commands == allowed {
            self.except.remove(command);
        } else {
            self.except.insert(command.to_owned());
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Users {
    users: BTreeMap<Vec<u8>, User>,
}

impl Users {
    pub(super) fn new(password: Option<&[u8]>) -> Self {
        let user = User {
            enabled: true,
            no_password: password.is_none(),
            passwords: password.map(<[u8]>::to_vec).into_iter().collect(),
            all_commands: true,
            except: BTreeSet::new(),
        };
        Users { users: BTreeMap::from([(DEFAULT.to_vec(), user)]) }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&User> {
        self.users.get(name)
    }

    /// The user, made (switched off and without rights) if it is new.
    pub(super) fn entry(&mut self, name: &[u8]) -> &mut User {
        self.users.entry(name.to_vec()).or_default()
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> bool {
        self.users.remove(name).is_some()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &Vec<u8>> {
        self.users.keys()
    }

    /// A connection is let in without AUTH.
    pub(super) fn open(&self) -> bool {
        self.get(DEFAULT).is_some_and(|user| user.enabled && user.no_password)
    }

    pub(super) fn accept(&self, name: &[u8], password: &[u8]) -> bool {
        self.get(name).is_some_and(|user| user.enabled && (user.no_password || user.passwords.contains(password)))
    }

    pub(super) fn may_everything(&self, name: &[u8]) -> bool {
        self.get(name).is_some_and(|user| user.all_commands && user.except.is_empty())
    }

    /// Whether the user may run the command; `sub` is its full name with the sub-command.
    pub(super) fn may(&self, name: &[u8], command: &str, sub: Option<&str>) -> bool {
        let Some(user) = self.get(name) else { return false };
        let named = user.except.contains(command) || sub.is_some_and(|sub| user.except.contains(sub));
        named != user.all_commands
    }
}

impl Model {
    /// The password of the default user from now on, at one node or at all; `None`: no password is asked for. Connections
    /// stay as they are.
    pub fn set_password(&mut self, node: Option<usize>, password: Option<&[u8]>) {
        for node in self.chosen(node) {
            let user = self.nodes[node].users.entry(DEFAULT);
            user.passwords = password.map(<[u8]>::to_vec).into_iter().collect();
            user.no_password = password.is_none();
        }
    }

    /// A user who may run every command, at one node or at all.
    pub fn add_user(&mut self, node: Option<usize>, name: &[u8], password: &[u8]) {
        for node in self.chosen(node) {
            let user = self.nodes[node].users.entry(name);
            user.enabled = true;
            user.all_commands = true;
            user.passwords.insert(password.to_vec());
        }
    }

    /// Forbids a user a command (`get`) or sub-command (`cluster|slots`), or allows it again: NOPERM.
    pub fn set_allowed(&mut self, node: Option<usize>, name: &[u8], command: &str, allowed: bool) {
        for node in self.chosen(node) {
            let user = self.nodes[node].users.entry(name);
            user.allow(command, allowed);
        }
    }

    /// Removes a user and closes the connections that use it.
    pub fn remove_user(&mut self, node: Option<usize>, name: &[u8]) {
        for node in self.chosen(node) {
            if self.nodes[node].users.remove(name) {
                for client in self.clients.values_mut().filter(|c| c.node == node && c.user == name) {
                    client.closing = true;
                    self.stirred = true;
                }
            }
        }
        self.finish();
    }

    fn chosen(&self, node: Option<usize>) -> std::ops::Range<usize> {
        node.map_or(0..self.nodes.len(), |node| node..(node + 1).min(self.nodes.len()))
    }
}

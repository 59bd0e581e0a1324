//! What a script makes servers say, and what is looked at in what they are told.

use slotwise::slot::Slot;

use super::client::Served;
use super::net::Way;
use super::servers::Sent;
use super::serving::is_refusal;
use super::trace::hash_of;
use super::wire;
use super::world::{Ev, World};

impl World {
    /// What a script wants the node to say instead, and how much later. What it says counts as said by it.
    pub(super) fn prompted(&mut self, link: u32, words: &[Vec<u8>], sent: Sent) -> Option<(Vec<u8>, u64)> {
        let at = &self.links[link as usize];
        let (client, node) = (at.client, at.node?);
        let stage = self.stage.as_mut()?;
        let name = String::from_utf8_lossy(&words[0]).into_owned();
        let long = words.get(1).map(|sub| format!("{name}-{}", String::from_utf8_lossy(sub)));
        let fits = |command: &str| command == "*" || command == name || Some(command) == long.as_deref();
        let found = stage.prompts.iter().position(|prompt| prompt.node == node && fits(&prompt.command))?;
        let prompt = &mut stage.prompts[found];
        prompt.left -= 1;
        let (bytes, later) = (prompt.bytes.clone(), prompt.later);
        if prompt.left == 0 {
            stage.prompts.remove(found);
        }
        if let Sent::One(tag) | Sent::Member(tag, _) = sent {
            self.said(client, tag, &bytes);
        }
        Some((bytes, later))
    }

    /// The last answer to a request is this one.
    fn said(&mut self, client: usize, tag: u64, bytes: &[u8]) {
        if let Some(request) = self.clients[client].requests.get_mut(tag as usize)
            && let Some(last) = request.served.last_mut()
        {
            let len = wire::value_len(bytes).unwrap_or(bytes.len());
            last.hash = hash_of(&bytes[..len]);
            last.flat = Some(hash_of(&wire::flatten(&bytes[..len])));
            last.ran &= !is_refusal(bytes);
            last.redirect = bytes.starts_with(b"-MOVED ") || bytes.starts_with(b"-ASK ");
        }
    }

    /// A page of a scan as the script wants it.
    pub(super) fn noisy(&mut self, link: u32, sent: Sent, words: &[Vec<u8>], out: &[u8]) -> Option<Vec<u8>> {
        let noise = self.stage.as_mut()?.noise.as_mut().filter(|_| words[0] == b"SCAN")?;
        let page = noise.page(link, words, out)?;
        if let Sent::One(tag) = sent {
            self.said(self.links[link as usize].client, tag, &page);
        }
        Some(page)
    }

    /// What blocks at a node is answered with these bytes; says whether anything did.
    pub fn answer_blocked(&mut self, node: usize, bytes: &[u8]) -> bool {
        let mut any = false;
        for link in 0..self.links.len() as u32 {
            let at = &mut self.links[link as usize];
            let Some(session) = at.session.as_mut().filter(|_| at.node == Some(node)) else { continue };
            let Some((sent, _)) = session.blocked.take() else { continue };
            let (model, owner) = (session.client, at.client);
            any = true;
            self.servers.model.unblock(model, false);
            self.servers.model.take_output(model);
            self.servers.order += 1;
            let (order, at) = (self.servers.order, self.now);
            if let Sent::One(tag) = sent
                && let Some(request) = self.clients[owner].requests.get_mut(tag as usize)
            {
                let len = wire::value_len(bytes).unwrap_or(bytes.len());
                let (hash, flat) = (hash_of(&bytes[..len]), None);
                let (ran, redirect, strange, hostile) = (false, true, false, false);
                request.served.push(Served { order, at, node, link, hash, flat, ran, redirect, strange, hostile });
            }
            self.put(link, Way::Down, Some(bytes.to_vec()));
            self.at(self.now, Ev::Node(node));
        }
        any
    }

    /// I5 and I6: a cursor goes back where it came from, and a SSUBSCRIBE names channels of one slot.
    pub(super) fn check_words(&mut self, link: u32, words: &[Vec<u8>]) {
        let at = &self.links[link as usize];
        if at.hostile {
            return;
        }
        match words[0].as_slice() {
            b"SCAN" => {
                let cursor = words.get(1).and_then(|word| std::str::from_utf8(word).ok()?.parse::<u64>().ok());
                // The first cursor of a slot is made by the client, for servers whose cursors have slots in them.
                let known = cursor.is_some_and(|cursor| {
                    cursor < 16_384 || at.session.as_ref().is_some_and(|session| session.cursors.contains(&cursor))
                });
                self.check(5, known, || format!("link {link}: the cursor {cursor:?} did not come from there"));
            }
            b"SSUBSCRIBE" => {
                let mut slots = words[1..].iter().map(|name| Slot::of_key(name));
                let first = slots.next();
                let same = slots.all(|slot| Some(slot) == first);
                self.check(6, same, || format!("link {link}: a SSUBSCRIBE of channels of several slots"));
            }
            _ => {}
        }
    }

    /// Remembers which cursor a connection was given.
    pub(super) fn keep_cursor(&mut self, link: u32, words: &[Vec<u8>], page: &[u8]) {
        if words[0] != b"SCAN" {
            return;
        }
        let cursor = std::str::from_utf8(page).ok().and_then(|text| text.split("\r\n").nth(2)?.parse::<u64>().ok());
        if let (Some(session), Some(cursor)) = (&mut self.links[link as usize].session, cursor) {
            session.cursors.insert(cursor);
        }
    }
}

//! Plain and sharded publish and subscribe.

use super::client::{Client, Words};
use super::glob;
use super::reply::Out;
use super::store::slot_of;
use super::{ClientId, Model};
use std::collections::BTreeSet;

/// A kind of subscription: its words on the wire and its place in the client.
struct Kind {
    on: &'static str,
    off: &'static str,
    set: fn(&mut Client) -> &mut BTreeSet<Vec<u8>>,
    sharded: bool,
}

const PLAIN: Kind = Kind { on: "subscribe", off: "unsubscribe", set: |client| &mut client.channels, sharded: false };
const PATTERN: Kind =
    Kind { on: "psubscribe", off: "punsubscribe", set: |client| &mut client.patterns, sharded: false };
const SHARD: Kind =
    Kind { on: "ssubscribe", off: "sunsubscribe", set: |client| &mut client.shard_channels, sharded: true };

impl Kind {
    fn count(&self, client: &Client) -> usize {
        if self.sharded { client.shard_channels.len() } else { client.plain_count() }
    }

    fn add(&self, model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
        let client = model.client(id);
        for channel in &words[1..] {
            (self.set)(client).insert(channel.clone());
            confirm(out, self.on, Some(channel), self.count(client));
        }
    }

    fn remove(&self, model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
        let client = model.client(id);
        let channels = if words.len() > 1 { words[1..].to_vec() } else { (self.set)(client).iter().cloned().collect() };
        if channels.is_empty() {
            confirm(out, self.off, None, self.count(client));
        }
        for channel in channels {
            (self.set)(client).remove(&channel);
            confirm(out, self.off, Some(&channel), self.count(client));
        }
    }
}

fn confirm(out: &mut Out, what: &str, channel: Option<&[u8]>, count: usize) {
    out.pushes = true;
    out.push(3);
    out.bulk(what);
    out.opt_bulk(channel);
    out.count(count);
}

pub(super) fn subscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    PLAIN.add(model, id, words, out);
}

pub(super) fn unsubscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    PLAIN.remove(model, id, words, out);
}

pub(super) fn psubscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    PATTERN.add(model, id, words, out);
}

pub(super) fn punsubscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    PATTERN.remove(model, id, words, out);
}

pub(super) fn ssubscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    SHARD.add(model, id, words, out);
}

pub(super) fn sunsubscribe(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    SHARD.remove(model, id, words, out);
}

/// Goes to subscribers of every node; the reply counts those of the asked node.
pub(super) fn publish(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    let (channel, message) = (&words[1], &words[2]);
    let mut receivers = 0;
    let targets: Vec<u64> = model.clients.keys().copied().collect();
    for target in targets {
        let Some(client) = model.clients.get(&target) else { continue };
        let here = client.node == node;
        let plain = client.channels.contains(channel);
        let patterns: Vec<Vec<u8>> = client.patterns.iter().filter(|p| glob::matches(p, channel)).cloned().collect();
        receivers += if here { usize::from(plain) + patterns.len() } else { 0 };
        if plain {
            model.deliver(target, id, &[b"message", channel, message]);
        }
        for pattern in &patterns {
            model.deliver(target, id, &[b"pmessage", pattern, channel, message]);
        }
    }
    out.count(receivers);
}

/// Goes to subscribers of the shard's nodes; the reply counts those of the asked node.
pub(super) fn spublish(model: &mut Model, id: ClientId, words: &Words, out: &mut Out) {
    let node = model.node_of(id);
    let shard = model.shard_head(node);
    let (channel, message) = (&words[1], &words[2]);
    let mut receivers = 0;
    let targets: Vec<(u64, usize)> = model
        .clients
        .iter()
        .filter(|(_, client)| client.shard_channels.contains(channel))
        .map(|(target, client)| (*target, client.node))
        .collect();
    for (target, at) in targets {
        if model.shard_head(at) == shard {
            receivers += usize::from(at == node);
            model.deliver(target, id, &[b"smessage", channel, message]);
        }
    }
    out.count(receivers);
}

impl Model {
    /// Puts a push of bulks into a client's output. On the connection whose command caused it, newer servers write it behind
    /// the command's reply, Redis 7.0 in front.
    fn deliver(&mut self, target: u64, cause: ClientId, parts: &[&[u8]]) {
        let late = target == cause.0 && self.profile(cause).pushes_behind();
        let Some(client) = self.clients.get_mut(&target) else { return };
        let mut push = Out::new(client.resp3);
        push.push(parts.len());
        for part in parts {
            push.bulk(part);
        }
        self.stirred = true;
        if late { client.behind.append(&mut push.bytes) } else { client.out.append(&mut push.bytes) }
    }

    /// The node no longer serves the slots: shard subscriptions in them end, unasked.
    pub(super) fn drop_shard_channels(&mut self, node: usize, gone: impl Fn(u16) -> bool) {
        for client in self.clients.values_mut().filter(|client| client.node == node) {
            let leaving: Vec<Vec<u8>> = client.shard_channels.iter().filter(|c| gone(slot_of(c))).cloned().collect();
            for channel in leaving {
                client.shard_channels.remove(&channel);
                let mut push = Out::new(client.resp3);
                confirm(&mut push, SHARD.off, Some(&channel), client.shard_channels.len());
                client.out.append(&mut push.bytes);
                self.stirred = true;
            }
        }
    }
}

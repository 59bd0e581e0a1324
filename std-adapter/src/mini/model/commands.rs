//! The commands the model knows: a table of its own, so that a mistake in the client's table cannot hide here.

use super::client::Words;
use super::reply::Out;
use super::run_strings::number;
use super::{ClientId, Model, Profile};
use super::{
    run_acl, run_blocking, run_cluster, run_cluster_scan, run_connection, run_expiry, run_keys, run_lists, run_pubsub,
    run_scan, run_script, run_server, run_sets, run_strings, run_transaction,
};

/// Changes keys.
pub(super) const WRITE: u32 = 1;
/// Runs even inside MULTI instead of being queued.
pub(super) const AT_ONCE: u32 = 2;
/// Allowed on a RESP2 connection with subscriptions.
pub(super) const IN_SUBSCRIBER: u32 = 4;
/// Its "keys" are shard channels.
pub(super) const SHARD_CHANNEL: u32 = 8;
/// Allowed before authentication.
pub(super) const BEFORE_AUTH: u32 = 16;
/// Served by a READONLY replica.
pub(super) const READ: u32 = 32;

/// Refused inside MULTI by Valkey, before anything else is looked at.
pub(super) const NOT_INSIDE: u32 = 64;

/// Allowed while the node loads its data.
pub(super) const LOADING: u32 = 128;
/// Refused when memory is short.
pub(super) const GROWS: u32 = 256;
/// Not allowed in scripts.
pub(super) const NO_SCRIPT: u32 = 512;

pub(super) struct Command {
    pub(super) name: &'static str,
    /// Number of words with the name; negative: at least.
    pub(super) arity: i32,
    pub(super) flags: u32,
    /// First key, last key (negative: from the end), step; all 0: none.
    pub(super) keys: (usize, i32, usize),
    pub(super) run: fn(&mut Model, ClientId, &Words, &mut Out),
}

const fn command(
    name: &'static str,
    arity: i32,
    flags: u32,
    keys: (usize, i32, usize),
    run: fn(&mut Model, ClientId, &Words, &mut Out),
) -> Command {
    Command { name, arity, flags, keys, run }
}

const NONE: (usize, i32, usize) = (0, 0, 0);
const ONE: (usize, i32, usize) = (1, 1, 1);
const ALL: (usize, i32, usize) = (1, -1, 1);
const PAIRS: (usize, i32, usize) = (1, -1, 2);
const TWO: (usize, i32, usize) = (1, 2, 1);
const BUT_LAST: (usize, i32, usize) = (1, -2, 1);
/// As many as the second argument says, behind it.
const NUMBERED: (usize, i32, usize) = (3, 0, 1);

/// In order of the names.
pub(super) static COMMANDS: &[Command] = &[
    command("acl", -2, LOADING, NONE, run_acl::acl),
    command("append", 3, WRITE | GROWS, ONE, run_strings::append),
    command("asking", 1, 0, NONE, run_connection::asking),
    command("auth", -2, BEFORE_AUTH | LOADING | NO_SCRIPT, NONE, run_connection::auth),
    command("blmove", 6, WRITE | GROWS, TWO, run_blocking::blmove),
    command("blpop", -3, WRITE, BUT_LAST, run_blocking::blpop),
    command("brpop", -3, WRITE, BUT_LAST, run_blocking::brpop),
    command("client", -2, LOADING, NONE, run_connection::client),
    command("cluster", -2, 0, NONE, run_cluster::cluster),
    command("clusterscan", -2, READ, ONE, run_cluster_scan::cluster_scan),
    command("command", -1, LOADING, NONE, run_server::command),
    command("dbsize", 1, READ, NONE, run_keys::dbsize),
    command("decr", 2, WRITE | GROWS, ONE, run_strings::decr),
    command("del", -2, WRITE, ALL, run_keys::del),
    command("discard", 1, AT_ONCE | LOADING | NO_SCRIPT, NONE, run_transaction::discard),
    command("echo", 2, LOADING, NONE, run_connection::echo),
    command("eval", -3, NO_SCRIPT, NUMBERED, run_script::eval),
    command("eval_ro", -3, READ | NO_SCRIPT, NUMBERED, run_script::eval_ro),
    command("evalsha", -3, NO_SCRIPT, NUMBERED, run_script::evalsha),
    command("evalsha_ro", -3, READ | NO_SCRIPT, NUMBERED, run_script::evalsha_ro),
    command("exec", 1, AT_ONCE | LOADING | NO_SCRIPT, NONE, run_transaction::exec),
    command("exists", -2, READ, ALL, run_keys::exists),
    command("expire", -3, WRITE, ONE, run_expiry::expire),
    command("expireat", -3, WRITE, ONE, run_expiry::expireat),
    command("flushall", -1, WRITE, NONE, run_keys::flushall),
    command("get", 2, READ, ONE, run_strings::get),
    command("getdel", 2, WRITE, ONE, run_expiry::getdel),
    command("getex", -2, WRITE, ONE, run_expiry::getex),
    command("getset", 3, WRITE | GROWS, ONE, run_strings::getset),
    command("hdel", -3, WRITE, ONE, run_lists::hdel),
    command("hello", -1, BEFORE_AUTH | LOADING | NO_SCRIPT, NONE, run_connection::hello),
    command("hexists", 3, READ, ONE, run_lists::hexists),
    command("hget", 3, READ, ONE, run_lists::hget),
    command("hgetall", 2, READ, ONE, run_lists::hgetall),
    command("hlen", 2, READ, ONE, run_lists::hlen),
    command("hset", -4, WRITE | GROWS, ONE, run_lists::hset),
    command("incr", 2, WRITE | GROWS, ONE, run_strings::incr),
    command("incrby", 3, WRITE | GROWS, ONE, run_strings::incrby),
    command("info", -1, LOADING, NONE, run_server::info),
    command("keys", 2, READ, NONE, run_scan::keys),
    command("llen", 2, READ, ONE, run_lists::llen),
    command("lmove", 5, WRITE | GROWS, TWO, run_blocking::lmove),
    command("lpop", -2, WRITE, ONE, run_lists::lpop),
    command("lpush", -3, WRITE | GROWS, ONE, run_lists::lpush),
    command("lrange", 4, READ, ONE, run_lists::lrange),
    command("mget", -2, READ, ALL, run_strings::mget),
    command("mset", -3, WRITE | GROWS, PAIRS, run_strings::mset),
    command("msetnx", -3, WRITE | GROWS, PAIRS, run_strings::msetnx),
    command("multi", 1, AT_ONCE | NOT_INSIDE | LOADING | NO_SCRIPT, NONE, run_transaction::multi),
    command("persist", 2, WRITE, ONE, run_expiry::persist),
    command("pexpire", -3, WRITE, ONE, run_expiry::pexpire),
    command("pexpireat", -3, WRITE, ONE, run_expiry::pexpireat),
    command("ping", -1, IN_SUBSCRIBER, NONE, run_connection::ping),
    command("psetex", 4, WRITE | GROWS, ONE, run_expiry::psetex),
    command("psubscribe", -2, IN_SUBSCRIBER | LOADING | NO_SCRIPT, NONE, run_pubsub::psubscribe),
    command("pttl", 2, READ, ONE, run_expiry::pttl),
    command("publish", 3, LOADING, NONE, run_pubsub::publish),
    command("punsubscribe", -1, IN_SUBSCRIBER | LOADING | NO_SCRIPT, NONE, run_pubsub::punsubscribe),
    command("quit", -1, IN_SUBSCRIBER | AT_ONCE | BEFORE_AUTH | LOADING | NO_SCRIPT, NONE, run_connection::quit),
    command("readonly", 1, LOADING, NONE, run_connection::readonly),
    command("readwrite", 1, LOADING, NONE, run_connection::readwrite),
    command("reset", 1, IN_SUBSCRIBER | AT_ONCE | BEFORE_AUTH | LOADING | NO_SCRIPT, NONE, run_connection::reset),
    command("role", 1, LOADING | NO_SCRIPT, NONE, run_server::role),
    command("rpop", -2, WRITE, ONE, run_lists::rpop),
    command("rpoplpush", 3, WRITE | GROWS, TWO, run_blocking::rpoplpush),
    command("rpush", -3, WRITE | GROWS, ONE, run_lists::rpush),
    command("sadd", -3, WRITE | GROWS, ONE, run_sets::sadd),
    command("scan", -2, READ, NONE, run_scan::scan),
    command("scard", 2, READ, ONE, run_sets::scard),
    command("script", -2, 0, NONE, run_script::script),
    command("select", 2, LOADING, NONE, run_connection::select),
    command("set", -3, WRITE | GROWS, ONE, run_strings::set),
    command("setex", 4, WRITE | GROWS, ONE, run_expiry::setex),
    command("setnx", 3, WRITE | GROWS, ONE, run_strings::setnx),
    command("sismember", 3, READ, ONE, run_sets::sismember),
    command("smembers", 2, READ, ONE, run_sets::smembers),
    command("spublish", 3, SHARD_CHANNEL | LOADING, ONE, run_pubsub::spublish),
    command("srem", -3, WRITE, ONE, run_sets::srem),
    command("ssubscribe", -2, IN_SUBSCRIBER | SHARD_CHANNEL | LOADING | NO_SCRIPT, ALL, run_pubsub::ssubscribe),
    command("strlen", 2, READ, ONE, run_strings::strlen),
    command("subscribe", -2, IN_SUBSCRIBER | LOADING | NO_SCRIPT, NONE, run_pubsub::subscribe),
    command("sunsubscribe", -1, IN_SUBSCRIBER | SHARD_CHANNEL | LOADING | NO_SCRIPT, ALL, run_pubsub::sunsubscribe),
    command("touch", -2, READ, ALL, run_keys::exists),
    command("ttl", 2, READ, ONE, run_expiry::ttl),
    command("type", 2, READ, ONE, run_keys::type_of),
    command("unlink", -2, WRITE, ALL, run_keys::del),
    command("unsubscribe", -1, IN_SUBSCRIBER | LOADING | NO_SCRIPT, NONE, run_pubsub::unsubscribe),
    command("unwatch", 1, LOADING | NO_SCRIPT, NONE, run_transaction::unwatch),
    command("wait", 3, 0, NONE, run_keys::wait),
    command("watch", -2, AT_ONCE | NOT_INSIDE | LOADING | NO_SCRIPT, ALL, run_transaction::watch),
];

impl Command {
    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether a server of that version has it.
    pub(super) fn is_known_to(&self, profile: Profile) -> bool {
        match self.name {
            "ssubscribe" | "sunsubscribe" | "spublish" | "eval_ro" | "evalsha_ro" => profile.sharded_channels(),
            "clusterscan" => profile == Profile::Valkey9,
            _ => true,
        }
    }

    /// Whether it waits while the node lets no writes through: it changes data, or may have to be told to replicas.
    pub(super) fn may_write(&self) -> bool {
        self.has(WRITE) || matches!(self.name, "publish" | "spublish" | "eval" | "evalsha")
    }

    /// Whether that many words can be this command.
    pub(super) fn fits(&self, words: usize) -> bool {
        let wanted = self.arity.unsigned_abs() as usize;
        if self.arity < 0 { words >= wanted } else { words == wanted }
    }

    /// The keys (or shard channels) among the words.
    pub(super) fn keys_of<'w>(&self, words: &'w Words) -> impl Iterator<Item = &'w Vec<u8>> {
        let (first, last, step) = self.keys;
        let end = match usize::try_from(last) {
            Ok(0) if step > 0 => {
                let count = words.get(2).and_then(|word| number(word)).and_then(|count| usize::try_from(count).ok());
                // A count that cannot be: no keys, and an error later.
                count.map_or(0, |count| count.saturating_add(first)).min(words.len())
            }
            Ok(last) => last + 1,
            Err(_) => (words.len() + 1).saturating_sub(last.unsigned_abs() as usize),
        };
        let words = if step == 0 { &[] } else { words.get(first..end.min(words.len())).unwrap_or_default() };
        words.iter().step_by(step.max(1))
    }
}

/// The command called `name`, in any case of letters.
pub(super) fn find(name: &[u8]) -> Option<&'static Command> {
    let lower = || name.iter().map(u8::to_ascii_lowercase);
    let at = COMMANDS.binary_search_by(|command| command.name.bytes().cmp(lower())).ok()?;
    COMMANDS.get(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_found() {
        assert!(COMMANDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(COMMANDS.iter().all(|c| find(c.name.to_uppercase().as_bytes()).is_some_and(|f| f.name == c.name)));
        assert!(find(b"nosuch").is_none());
    }

    #[test]
    fn keys_are_where_the_table_says() {
        let keys = |line: &str| {
            let words: Vec<Vec<u8>> = line.split(' ').map(|w| w.as_bytes().to_vec()).collect();
            let keys: Vec<_> = find(&words[0]).unwrap().keys_of(&words).cloned().collect();
            String::from_utf8(keys.join(&b' ')).unwrap()
        };
        assert_eq!(keys("mset a 1 b 2"), "a b");
        assert_eq!(keys("get a"), "a");
        assert_eq!(keys("del a b c"), "a b c");
        assert_eq!(keys("spublish c m"), "c");
        assert_eq!(keys("blpop a b 0"), "a b");
        assert_eq!(keys("lmove a b left left"), "a b");
        assert_eq!(keys("eval s 2 a b c"), "a b");
        assert_eq!(keys("eval s -1 a"), "");
        assert_eq!(keys("eval s 9 a b"), "a b");
        assert_eq!(keys("ping a"), "");
    }
}

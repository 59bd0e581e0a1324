//! Random sequences over a few keys of a few slots, while the slots move: sequences of about 100 commands, each from its own
//! seed, with fresh connections and no keys at first.
//!
//! `SLOTWISE_SEQUENCES=n` runs that many per server, `SLOTWISE_SEED=n` starts at another seed.

use crate::pair::Pair;
use slotwise_tests::real::ServerKind;

/// Sequences per server when nothing else is said.
const SEQUENCES: u64 = 60;
const STEPS: usize = 100;

/// xorshift64*; the same sequence on every machine.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn pick<'a>(&mut self, items: &[&'a str]) -> &'a str {
        items[self.below(items.len())]
    }
}

const TAGS: [(&str, u16); 4] = [("foo", 12182), ("a", 15495), ("bar", 5061), ("b", 3300)];

fn key(rng: &mut Rng, tag: &str) -> String {
    format!("{{{tag}}}{}", rng.below(4))
}

/// A command; multi-key ones mostly stay in one slot.
fn command(rng: &mut Rng, kind: ServerKind) -> Vec<String> {
    let tag = TAGS[rng.below(TAGS.len())].0;
    let other = if rng.below(8) == 0 { TAGS[rng.below(TAGS.len())].0 } else { tag };
    let (one, two, three) = (key(rng, tag), key(rng, other), key(rng, tag));
    let value = rng.below(100).to_string();
    let line = match rng.below(40) {
        0..=2 => format!("SET {one} {value}"),
        3 => format!("SET {one} {value} {}", rng.pick(&["NX", "XX", "EX 1000", "PX 0", "XX GET", "KEEPTTL"])),
        4..=6 => format!("GET {one}"),
        7 => format!("{} {one}", rng.pick(&["INCR", "DECR", "STRLEN", "PERSIST", "TTL", "GETDEL"])),
        8 => format!("APPEND {one} {value}"),
        9 => format!("MGET {one} {two} {three}"),
        10 => format!("MSET {one} 1 {two} 2"),
        11 => format!("MSETNX {one} 1 {two} 2"),
        12 => format!("{} {one} {two}", rng.pick(&["DEL", "UNLINK", "TOUCH"])),
        13 => format!("EXISTS {one} {two} {three}"),
        14 => format!("{} {{{tag}}}l {value}", rng.pick(&["RPUSH", "LPUSH"])),
        15 => format!("LRANGE {{{tag}}}l 0 -1"),
        16 => format!("{} {{{tag}}}l", rng.pick(&["LPOP", "RPOP", "LLEN"])),
        17 => format!("TYPE {one}"),
        18..=19 => "ASKING".to_owned(),
        20 => rng
            .pick(&["PING", "DBSIZE", "BOGUS", "GET", "KEYS *", "READONLY", "READWRITE", "SCAN 0 COUNT 1000", "RESET"])
            .to_owned(),
        21 => "MULTI".to_owned(),
        22 => "EXEC".to_owned(),
        23 => rng.pick(&["EXEC", "DISCARD", "UNWATCH"]).to_owned(),
        24 => format!("WATCH {one} {two}"),
        25 => format!("HSET {{{tag}}}h f{} {value}", rng.below(3)),
        26 => format!("{} {{{tag}}}h f{}", rng.pick(&["HGET", "HDEL", "HEXISTS"]), rng.below(3)),
        27 => format!("{} {{{tag}}}s {value}", rng.pick(&["SADD", "SREM", "SISMEMBER"])),
        28 => format!("{} {one} {}", rng.pick(&["EXPIRE", "GETSET", "SETNX"]), rng.pick(&["1000", "-1", "x", "50"])),
        29 => format!("{} {{{tag}}}l {{{other}}}l LEFT RIGHT", rng.pick(&["LMOVE", "lmove"])),
        // Something to take, mostly: nobody waits long for the rest.
        30 => format!("{} {{{tag}}}l {{{other}}}l 0.01", rng.pick(&["BLPOP", "BRPOP"])),
        31 => format!("PUBLISH {value} x"),
        32 => format!("SPUBLISH {one} x"),
        33 => format!("CLUSTER COUNTKEYSINSLOT {}", TAGS[rng.below(TAGS.len())].1),
        34..=37 => return script(rng, kind, &one, &two, &value),
        38 => rng.pick(&["HELLO 3", "HELLO 2", "CLUSTER KEYSLOT x", "SELECT 0", "CLIENT GETNAME"]).to_owned(),
        _ => format!("GETEX {one} {}", rng.pick(&["EX 1000", "PERSIST", "EX 0", "BOGUS"])),
    };
    line.split(' ').map(str::to_owned).collect()
}

/// A script: of reads, writes, foreign keys, imitated errors.
fn script(rng: &mut Rng, kind: ServerKind, one: &str, two: &str, value: &str) -> Vec<String> {
    let bodies = [
        "return redis.call('get',KEYS[1])",
        "return redis.call('set',KEYS[1],ARGV[1])",
        "return redis.pcall('incr',KEYS[1])",
        "return redis.error_reply(ARGV[2])",
        "return {redis.error_reply(ARGV[2]),KEYS[1]}",
        "if redis.call('exists',KEYS[1]) == 1 then return redis.call('del',KEYS[1]) else return 'none' end",
        "return redis.call('get',ARGV[3])",
        "return redis.pcall('set',ARGV[3],1)",
    ];
    // Some servers are upset for long by a script that leaves its slot: there they do not try.
    let most = if kind == ServerKind::Valkey9 { 6 } else { bodies.len() };
    let body = bodies[rng.below(most)];
    let text = rng.pick(&["MOVED 12182 10.0.0.1:6379", "ASK 5061 127.0.0.1:1", "TRYAGAIN x", "CLUSTERDOWN x", "short"]);
    ["EVAL", body, "1", one, value, text, two].map(str::to_owned).to_vec()
}

fn sequence(pair: &mut Pair, seed: u64) {
    let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1));
    let mut moving: Option<u16> = None;
    for _ in 0..STEPS {
        match (rng.below(40), moving) {
            (0, None) => {
                let slot = TAGS[rng.below(TAGS.len())].1;
                let to = (pair.owner(slot) + 1 + rng.below(2)) % 3;
                pair.begin_move(slot, to);
                moving = Some(slot);
            }
            (0, Some(slot)) if rng.below(3) == 0 => {
                pair.finish_move(slot);
                moving = None;
            }
            (1..=3, Some(slot)) => {
                let tag = TAGS.iter().find(|(_, s)| *s == slot).expect("one of ours").0;
                let key = key(&mut rng, tag);
                pair.move_key(slot, &key);
            }
            _ => {
                let name = format!("{}{}", rng.pick(&["x", "y"]), rng.below(3));
                let words = command(&mut rng, pair.kind);
                // Behind ASKING its command, often to the node that imports.
                let asking = words[0] == "ASKING";
                pair.send(&name, &words, 1);
                if asking && rng.below(4) > 0 {
                    let words = command(&mut rng, pair.kind);
                    pair.send(&name, &words, 1);
                }
            }
        }
    }
    if let Some(slot) = moving {
        pair.finish_move(slot);
    }
}

fn run(kind: ServerKind, first: u64) {
    let Some(mut pair) = Pair::start(kind, 0) else { return };
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (first, count) = (number("SLOTWISE_SEED", first), number("SLOTWISE_SEQUENCES", SEQUENCES));
    for seed in first..first + count {
        let before = pair.disagreements.len();
        sequence(&mut pair, seed);
        if pair.disagreements.len() > before {
            pair.disagreements[before].insert_str(0, &format!("seed {seed}: "));
        }
        pair.fresh();
    }
    let [real, mini] = pair.scan_all();
    assert_eq!(real, mini, "keys at the end");
    println!("{kind:?}: {count} random sequences, {} commands, {} replies compared", pair.commands, pair.compared);
    assert!(pair.compared as u64 > count * STEPS as u64 / 2, "only {} replies were compared", pair.compared);
    pair.check("random sequences");
}

#[test]
fn redis7_random_sequences() {
    run(ServerKind::Redis7, 1000);
}

#[test]
fn redis8_random_sequences() {
    run(ServerKind::Redis8, 2000);
}

#[test]
fn valkey9_random_sequences() {
    run(ServerKind::Valkey9, 3000);
}

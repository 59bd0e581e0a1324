//! Random sequences over a few keys of a few slots, while the slots move. `SLOTWISE_SEED=n` runs another sequence.

use crate::pair::Pair;
use slotwise_tests::real::ServerKind;

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
fn command(rng: &mut Rng) -> Vec<String> {
    let tag = TAGS[rng.below(TAGS.len())].0;
    let other = if rng.below(8) == 0 { TAGS[rng.below(TAGS.len())].0 } else { tag };
    let (one, two, three) = (key(rng, tag), key(rng, other), key(rng, tag));
    let value = rng.below(100).to_string();
    let line = match rng.below(26) {
        0..=2 => format!("SET {one} {value}"),
        3 => format!("SET {one} {value} NX"),
        4..=6 => format!("GET {one}"),
        7 => format!("INCR {one}"),
        8 => format!("APPEND {one} {value}"),
        9 => format!("MGET {one} {two} {three}"),
        10 => format!("MSET {one} 1 {two} 2"),
        11 => format!("MSETNX {one} 1 {two} 2"),
        12 => format!("DEL {one} {two}"),
        13 => format!("EXISTS {one} {two} {three}"),
        14 => format!("RPUSH {{{tag}}}l {value}"),
        15 => format!("LRANGE {{{tag}}}l 0 -1"),
        16 => format!("LPOP {{{tag}}}l"),
        17 => format!("TYPE {one}"),
        18..=19 => "ASKING".to_owned(),
        20 => rng.pick(&["PING", "DBSIZE", "BOGUS", "GET", "KEYS *", "READONLY", "READWRITE"]).to_owned(),
        21 => "MULTI".to_owned(),
        22 => "EXEC".to_owned(),
        23 => rng.pick(&["EXEC", "DISCARD", "UNWATCH"]).to_owned(),
        24 => format!("WATCH {one} {two}"),
        _ => format!("HSET {{{tag}}}h f{} {value}", rng.below(3)),
    };
    line.split(' ').map(str::to_owned).collect()
}

fn run(kind: ServerKind, seed: u64, steps: usize) {
    let Some(mut pair) = Pair::start(kind, 0) else { return };
    let seed = std::env::var("SLOTWISE_SEED").map_or(seed, |text| text.parse().expect("a number above 0"));
    let mut rng = Rng(seed.max(1));
    let mut moving: Option<u16> = None;
    for _ in 0..steps {
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
                let words = command(&mut rng);
                // Behind ASKING its command, often to the node that imports.
                let asking = words[0] == "ASKING";
                pair.send(&name, &words, 1);
                if asking && rng.below(4) > 0 {
                    let words = command(&mut rng);
                    pair.send(&name, &words, 1);
                }
            }
        }
    }
    let [real, mini] = pair.scan_all();
    assert_eq!(real, mini, "keys at the end, seed {seed}");
    println!("{kind:?}: seed {seed}, {} commands, {} replies compared", pair.commands, pair.compared);
    assert!(pair.compared > steps / 2, "only {} replies were compared", pair.compared);
    pair.check("random commands");
}

#[test]
fn redis7_random_commands() {
    run(ServerKind::Redis7, 0x1234_5678, 6000);
}

#[test]
fn redis8_random_commands() {
    run(ServerKind::Redis8, 0x5678_1234, 6000);
}

#[test]
fn valkey9_random_commands() {
    run(ServerKind::Valkey9, 0x8765_4321, 6000);
}

//! Key to slot.

mod ours;
mod redis_protocol;
mod redis_rs;
mod table;

use crate::report::{Mark, Row, Table};
use crate::timing::{Effort, Pass, interleaved};
use std::hint::black_box;

const OURS: &str = "slotwise (fast-crc)";
const LIMIT: &str = "sum of the bytes";

/// One hasher in the race.
pub trait Hasher {
    fn name(&self) -> &'static str;
    /// Tables and tricks.
    fn makes(&self) -> &'static str;
    /// The slot of one key, for checking; `None` for the limit.
    fn slot(&self, key: &[u8]) -> Option<u16>;
    /// The timed pass over all keys.
    fn pass(&self, keys: &[Vec<u8>]) -> u64;
}

/// A limit: every byte of the key is read once, eight at a time.
struct Sum;

impl Hasher for Sum {
    fn name(&self) -> &'static str {
        LIMIT
    }
    fn makes(&self) -> &'static str {
        "limit: reads every byte"
    }
    fn slot(&self, _key: &[u8]) -> Option<u16> {
        None
    }
    fn pass(&self, keys: &[Vec<u8>]) -> u64 {
        fn sum(key: &[u8]) -> u64 {
            let (words, rest) = key.as_chunks::<8>();
            let words = words.iter().fold(0_u64, |sum, word| sum.wrapping_add(u64::from_le_bytes(*word)));
            rest.iter().fold(words, |sum, byte| sum.wrapping_add(u64::from(*byte)))
        }
        keys.iter().fold(0, |total, key| total ^ sum(black_box(key)))
    }
}

/// The plainest definition, eight shifts per byte: what every answer is checked against.
fn reference(key: &[u8]) -> u16 {
    let hashed = match key.iter().position(|&byte| byte == b'{') {
        Some(open) => match key[open + 1..].iter().position(|&byte| byte == b'}') {
            Some(len) if len > 0 => &key[open + 1..open + 1 + len],
            _ => key,
        },
        None => key,
    };
    let crc = hashed.iter().fold(0_u16, |crc, &byte| {
        (0..8).fold(
            crc ^ (u16::from(byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    crc % 16384
}

/// 256 keys of one length.
fn keys(len: usize, tag: usize) -> Vec<Vec<u8>> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ len as u64;
    (0..256)
        .map(|_| {
            let mut key: Vec<u8> = (0..len)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    b'a' + ((state >> 33) % 26) as u8
                })
                .collect();
            if tag > 0 {
                key[4] = b'{';
                key[5 + tag] = b'}';
            }
            key
        })
        .collect()
}

/// Runs the bench.
pub fn run(quick: bool, json: bool) {
    let effort = Effort::new(quick);
    let hashers: Vec<Box<dyn Hasher>> = vec![
        Box::new(Sum),
        Box::new(ours::Ours),
        Box::new(table::SmallTable::new()),
        Box::new(redis_rs::RedisRs),
        Box::new(redis_protocol::RedisProtocol),
    ];
    let sizes = [(8, 0), (16, 0), (24, 0), (64, 0), (256, 0), (64, 8)];
    let mut rows: Vec<Row> =
        hashers.iter().map(|hasher| Row { name: hasher.name(), makes: hasher.makes(), cells: Vec::new() }).collect();
    for (len, tag) in sizes {
        let keys = keys(len, tag);
        for hasher in &hashers {
            for key in &keys {
                let slot = hasher.slot(key);
                assert!(slot.is_none_or(|slot| slot == reference(key)), "{} on {key:?}", hasher.name());
            }
        }
        let passes = hashers
            .iter()
            .map(|hasher| {
                let keys = &keys;
                let pass: Pass<'_> = Box::new(move |_| {
                    black_box(hasher.pass(black_box(keys)));
                    None
                });
                Ok(pass)
            })
            .collect();
        for (row, figure) in rows.iter_mut().zip(interleaved(passes, keys.len() as f64, effort)) {
            row.cells.push(figure);
        }
    }
    let name =
        |(len, tag): &(usize, usize)| if *tag > 0 { format!("{len} B, tag {tag} B") } else { format!("{len} B") };
    let position = |name: &str| rows.iter().position(|row| row.name == name).expect("always in the race");
    let table = Table {
        bench: "slot",
        title: "slot of a key".into(),
        id: "slot".into(),
        unit: "ns per key",
        columns: sizes.iter().map(name).collect(),
        limit: position(LIMIT),
        ours: position(OURS),
        rows,
    };
    if json {
        table.print_json()
    } else {
        table.print()
    }
    if !json {
        println!("\nmarks");
    }
    for (column, target) in [2.0, 3.0, 4.0, 6.0].into_iter().enumerate() {
        let figure = |name| table.value(name, column).unwrap_or(f64::NAN);
        Mark {
            name: format!("slot of a key of {}: redis-rs behind slotwise", table.columns[column]),
            measured: figure("redis-rs") / figure(OURS),
            target,
            at_most: false,
        }
        .print(json);
    }
}

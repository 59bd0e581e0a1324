//! Command encoding: arguments in, bytes at the end of one reused buffer out.

mod hand;
#[cfg(hiredis)]
mod hiredis;
mod ours;
mod redis_protocol;
mod redis_rs;
mod rustis;

use crate::report::{Mark, Row, Table};
use crate::timing::{Effort, Pass, interleaved};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set while answers are checked, before the clock starts.
static CHECKING: AtomicBool = AtomicBool::new(false);

/// A contestant whose result lies in a buffer of its own shows it only while answers are checked.
fn checking() -> bool {
    CHECKING.load(Ordering::Relaxed)
}

/// A command's arguments, its name first. Text, because one peer takes bytes only through another crate.
pub type Command = Vec<String>;

const OURS: &str = "slotwise encode";
const LIMIT: &str = "hand-written";
/// Commands per pass; their encoding stays in the second-level cache.
const COMMANDS: usize = 500;

/// One encoder in the race.
pub trait Encoder {
    fn name(&self) -> &'static str;
    /// A word on what it builds on the way.
    fn makes(&self) -> &'static str;
    /// Appends all commands to `out`.
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>);
}

fn encoders() -> Vec<Box<dyn Encoder>> {
    vec![
        Box::new(hand::Memcpy::default()),
        Box::new(hand::Hand),
        Box::new(ours::Ours),
        Box::new(redis_rs::RedisRs),
        Box::new(redis_protocol::Borrowed::default()),
        Box::new(redis_protocol::Owned::default()),
        Box::new(rustis::Rustis::default()),
        #[cfg(hiredis)]
        Box::new(hiredis::Hiredis),
    ]
}

fn workloads() -> Vec<(&'static str, &'static str, Vec<Command>)> {
    let key = |index: usize| format!("key:{index:012}");
    let make = |one: &dyn Fn(usize) -> Command| (0..COMMANDS).map(one).collect();
    let set = |size: usize| make(&|index| vec!["SET".into(), key(index), "v".repeat(size)]);
    vec![
        ("set16", "SET, key of 16 B, value of 16 B", set(16)),
        ("set64", "SET, key of 16 B, value of 64 B", set(64)),
        ("set1k", "SET, key of 16 B, value of 1 KiB", set(1 << 10)),
        ("get", "GET, key of 16 B", make(&|index| vec!["GET".into(), key(index)])),
        (
            "mget10",
            "MGET of 10 keys of 16 B",
            make(&|index| std::iter::once("MGET".into()).chain((0..10).map(|more| key(index + more))).collect()),
        ),
        (
            "hset10",
            "HSET of 10 fields",
            make(&|index| {
                let pairs = (0..10).flat_map(|field| [format!("field:{field}"), format!("value of {field}")]);
                ["HSET".into(), key(index)].into_iter().chain(pairs).collect()
            }),
        ),
    ]
}

/// Runs the bench.
pub fn run(quick: bool, json: bool) {
    let effort = Effort::new(quick);
    let mut marks = Vec::new();
    if !json {
        println!("fred has no public encoder; it sends what `redis-protocol, owned frames` builds.");
    }
    for (id, title, commands) in workloads() {
        let mut encoders = encoders();
        let mut expected = Vec::new();
        hand::Hand.encode(&commands, &mut expected);
        let mut out = Vec::with_capacity(expected.len() * 2);
        CHECKING.store(true, Ordering::Relaxed);
        for encoder in &mut encoders {
            for _ in 0..2 {
                out.clear();
                encoder.encode(&commands, &mut out);
                assert!(out == expected, "{} encodes {title} otherwise", encoder.name());
            }
        }
        CHECKING.store(false, Ordering::Relaxed);
        let rows: Vec<(&str, &str)> = encoders.iter().map(|encoder| (encoder.name(), encoder.makes())).collect();
        let passes = encoders
            .iter_mut()
            .map(|encoder| {
                let (commands, mut out) = (&commands, Vec::with_capacity(expected.len() * 2));
                let pass: Pass<'_> = Box::new(move |_| {
                    out.clear();
                    encoder.encode(black_box(commands), &mut out);
                    black_box(&out);
                    None
                });
                Ok(pass)
            })
            .collect();
        let figures = interleaved(passes, commands.len() as f64, effort);
        let position = |name| rows.iter().position(|row| row.0 == name).expect("always in the race");
        let (limit, ours) = (position(LIMIT), position(OURS));
        let rows = rows.into_iter().zip(figures);
        let rows = rows.map(|((name, makes), figure)| Row { name, makes, cells: vec![figure] }).collect();
        let columns = vec!["one buffer".into()];
        let (title, id) = (title.into(), String::from(id));
        let table = Table { bench: "encode", title, id, unit: "ns per command", columns, rows, limit, ours };
        if json {
            table.print_json()
        } else {
            table.print()
        }
        if table.id == "set16" || table.id == "set64" {
            let peers = ["redis-rs", "redis-protocol, owned frames"];
            marks.extend(peers.into_iter().map(|peer| Mark {
                name: format!("encode {}: {peer} behind slotwise", table.id),
                measured: table.value(peer, 0).unwrap_or(f64::NAN) / table.value(OURS, 0).unwrap_or(f64::NAN),
                target: 3.0,
                at_most: false,
            }));
        }
    }
    if !json {
        println!("\nmarks");
    }
    marks.iter().for_each(|mark| mark.print(json));
}

//! The reply streams that are parsed.

use std::io::Write as _;

/// One stream of replies.
pub struct Workload {
    /// One letter, as in the published tables.
    pub id: &'static str,
    pub name: &'static str,
    pub stream: Vec<u8>,
    /// Contains RESP3 types, which not every peer reads.
    pub resp3: bool,
    /// Figures are nanoseconds per this; `None`: per value.
    pub per_mib: bool,
}

/// Streams of small values are this long, so that they stay in the second-level cache.
const SMALL_STREAM: usize = 256 << 10;

/// A small generator of our own: the same streams in every run.
struct Lcg(u64);

impl Lcg {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn repeat(mut one: impl FnMut(&mut Vec<u8>, &mut Lcg)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut lcg = Lcg(1);
    while out.len() < SMALL_STREAM {
        one(&mut out, &mut lcg);
    }
    out
}

macro_rules! put {
    ($out:expr, $($arg:tt)*) => { write!($out, $($arg)*).expect("writing to memory") };
}

/// An integer of one to seven digits, one in 64 negative.
fn int(out: &mut Vec<u8>, lcg: &mut Lcg) {
    let digits = lcg.below(7) as u32 + 1;
    let value = lcg.below(10_u64.pow(digits)) as i64;
    let value = if lcg.below(64) == 0 { -value } else { value };
    put!(out, ":{value}\r\n");
}

fn bulk(out: &mut Vec<u8>, lcg: &mut Lcg, len: usize) {
    put!(out, "${len}\r\n");
    out.extend((0..len).map(|_| b'a' + lcg.below(26) as u8));
    out.extend(b"\r\n");
}

/// One array of this many integers.
pub fn int_array(count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(count * 8);
    let mut lcg = Lcg(7);
    put!(out, "*{count}\r\n");
    (0..count).for_each(|_| int(&mut out, &mut lcg));
    out
}

fn scan_page(out: &mut Vec<u8>, lcg: &mut Lcg) {
    let cursor = lcg.below(1 << 30).to_string();
    put!(out, "*2\r\n${}\r\n{cursor}\r\n*10\r\n", cursor.len());
    (0..10).for_each(|_| bulk(out, lcg, 24));
}

/// A map of 20 fields: eight strings, four integers, four doubles, four booleans.
fn map(out: &mut Vec<u8>, lcg: &mut Lcg) {
    put!(out, "%20\r\n");
    for field in 0..20 {
        let name = format!("field:{field:02}");
        put!(out, "${}\r\n{name}\r\n", name.len());
        match field % 5 {
            0 | 1 => bulk(out, lcg, 12),
            2 => int(out, lcg),
            3 => put!(out, ",{}.{:02}\r\n", lcg.below(1000), lcg.below(99) + 1),
            _ => put!(out, "#{}\r\n", if lcg.below(2) == 0 { 't' } else { 'f' }),
        }
    }
}

/// Eight arrays in one another; each level but the last holds an integer, a string and the next level.
fn nest(out: &mut Vec<u8>, lcg: &mut Lcg) {
    for level in 0..8 {
        put!(out, "*{}\r\n", if level == 7 { 2 } else { 3 });
        int(out, lcg);
        bulk(out, lcg, 8);
    }
}

/// CLUSTER SLOTS of 500 shards, one primary and one replica each, as Redis 7.0 sends it.
fn cluster_slots(out: &mut Vec<u8>, lcg: &mut Lcg) {
    let shards = 500;
    put!(out, "*{shards}\r\n");
    for shard in 0..shards {
        let (first, next) = (shard * 16384 / shards, (shard + 1) * 16384 / shards);
        put!(out, "*4\r\n:{first}\r\n:{}\r\n", next - 1);
        for node in 0..2 {
            let host = format!("10.{node}.{}.{}", shard / 250, shard % 250 + 1);
            put!(out, "*4\r\n${}\r\n{host}\r\n:{}\r\n$40\r\n", host.len(), 6379 + node);
            (0..5).for_each(|_| put!(out, "{:08x}", lcg.next() as u32));
            put!(out, "\r\n*0\r\n");
        }
    }
}

/// All workloads, in the order of the tables.
pub fn all() -> Vec<Workload> {
    let once = |one: fn(&mut Vec<u8>, &mut Lcg)| {
        let mut out = Vec::new();
        one(&mut out, &mut Lcg(1));
        out
    };
    let small = |id, name, stream| Workload { id, name, stream, resp3: false, per_mib: false };
    vec![
        small("a", "+OK", repeat(|out, _| out.extend(b"+OK\r\n"))),
        small("b", "integers of up to 7 digits", repeat(int)),
        small("c", "bulks of 16 B", repeat(|out, lcg| bulk(out, lcg, 16))),
        small("d", "bulks of 1 KiB", repeat(|out, lcg| bulk(out, lcg, 1 << 10))),
        Workload {
            per_mib: true,
            ..small("e", "bulks of 1 MiB", once(|out, lcg| (0..4).for_each(|_| bulk(out, lcg, 1 << 20))))
        },
        small(
            "f",
            "one array of 100,000 bulks of 16 B",
            once(|out, lcg| {
                put!(out, "*100000\r\n");
                (0..100_000).for_each(|_| bulk(out, lcg, 16));
            }),
        ),
        small("g", "SCAN pages of 10 keys of 24 B", repeat(scan_page)),
        Workload { resp3: true, ..small("h", "RESP3 maps of 20 fields", repeat(map)) },
        small("i", "nesting of 8", repeat(nest)),
        small("j", "CLUSTER SLOTS of 1,000 nodes", once(cluster_slots)),
        small("k", "one array of 1,000,000 integers", int_array(1_000_000)),
    ]
}

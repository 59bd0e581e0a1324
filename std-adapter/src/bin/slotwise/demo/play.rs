//! What the demo does, and the proofs of what came of it.

use std::time::{Duration, Instant};

use slotwise_std::mini::MiniCluster;
use slotwise_std::slotwise::rand::Rand;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Batch, Client, Error, ScanOptions, Value};

/// Commands of a pipeline beside those for the slot that moves.
const AROUND: u32 = 200;
/// COUNT of the scan: small, so that it meets many moves on its way.
const COUNT: u32 = 200;

/// The load.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) keys: u64,
    /// Replies that were OK, each in its place.
    pub(super) right: u64,
    pub(super) per_node: Vec<usize>,
    pub(super) took: Duration,
}

/// The scan, and what went on meanwhile.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) took: Duration,
    /// Keys handed out.
    pub(super) returned: u64,
    /// Different keys among them.
    pub(super) different: u64,
    /// Keys that were never put there.
    pub(super) unknown: u64,
    /// Slots of which a key came again.
    pub(super) repeated_slots: u64,
    /// Slots the scan says it walked again.
    pub(super) walked_again: u64,
    pub(super) pages: u64,
    pub(super) proven: u16,
    /// Why the scan is not complete, if so.
    pub(super) incomplete: Option<String>,
    pub(super) moves: u64,
    pub(super) keys_moved: u64,
    pub(super) pipelines: u64,
    pub(super) commands: u64,
    /// Results that were right and in their place.
    pub(super) right: u64,
    /// Commands that came to their node by a redirect.
    pub(super) resent: u64,
    /// Redirects the nodes gave.
    pub(super) moved: u64,
    pub(super) ask: u64,
}

/// One thing that must be true.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) name: &'static str,
    pub(super) text: String,
    pub(super) holds: bool,
}

pub(super) struct Play<'c> {
    cluster: &'c MiniCluster,
    scanner: Client,
    workers: Workers,
    moves: u16,
}

/// The client of the pipelines, and what its keys should hold.
struct Workers {
    client: Client,
    rand: Rand,
    /// Value of each key.
    values: Vec<u64>,
    /// Keys of each slot.
    slots: Vec<Vec<u32>>,
}

fn name(key: u32) -> String {
    format!("demo:{key}")
}

impl<'c> Play<'c> {
    pub(super) fn new(cluster: &'c MiniCluster, keys: u32, moves: u16, seed: u64) -> Result<Self, Error> {
        let url = format!("redis://{}", cluster.seeds().join(","));
        let mut slots = vec![Vec::new(); usize::from(Slot::COUNT)];
        for key in 0..keys {
            slots[Slot::of_key(name(key).as_bytes()).index()].push(key);
        }
        let values = (0..keys).map(u64::from).collect();
        let workers = Workers { client: Client::connect(&url)?, rand: Rand::new(seed), values, slots };
        Ok(Self { cluster, scanner: Client::connect(&url)?, workers, moves })
    }

    /// Sets every key to its number, in one pipeline.
    pub(super) fn load(&mut self) -> Result<Loaded, Error> {
        let start = Instant::now();
        let mut batch = Batch::new();
        for (key, value) in (0..).zip(&self.workers.values) {
            batch.push(&["SET", &name(key), &value.to_string()]);
        }
        let results = self.workers.client.run(&batch)?;
        let right = results.iter().filter(|result| matches!(result, Ok(Value::Simple(ok)) if ok == "OK")).count();
        Ok(Loaded {
            keys: self.workers.values.len() as u64,
            right: right as u64,
            per_node: (0..3).map(|node| self.cluster.key_count_on(node)).collect(),
            took: start.elapsed(),
        })
    }

    /// Scans the cluster; in the midst of its pages, slots move and pipelines run.
    pub(super) fn scan_while_slots_move(&mut self) -> Result<Scanned, Error> {
        let start = Instant::now();
        let keys = self.workers.values.len();
        let mut seen = vec![0_u8; keys];
        let mut done = Scanned::default();
        // The moves are spread over the scan, and go on in halves: begin and move some keys, then the rest.
        let step = (keys as u64 / (2 * u64::from(self.moves) + 1)).max(1);
        let mut open: Option<u16> = None;
        let mut next = step;
        let mut scan = self.scanner.scan(ScanOptions::new().count(COUNT).tune(|options| options.checkpoint = 1));
        let end = loop {
            match scan.next_key() {
                Ok(Some(key)) => {
                    done.returned += 1;
                    match number(key).and_then(|key| seen.get_mut(key)) {
                        Some(times) => *times = times.saturating_add(1),
                        None => done.unknown += 1,
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if done.returned >= next && (open.is_some() || done.moves < u64::from(self.moves)) {
                next += step;
                open = self.workers.step(self.cluster, open, &mut done)?;
            }
        };
        done.incomplete = match end {
            Ok(()) => None,
            Err(Error::Scan(text)) => Some(text),
            Err(error) => return Err(error),
        };
        let certificate = scan.certificate();
        done.pages = certificate.counts().pages;
        done.walked_again = certificate.counts().restarts;
        done.proven = certificate.proven().len();
        drop(scan);
        // A small cluster is scanned before all moves had their turn.
        while open.is_some() || done.moves < u64::from(self.moves) {
            open = self.workers.step(self.cluster, open, &mut done)?;
        }
        done.took = start.elapsed();
        done.different = seen.iter().filter(|times| **times > 0).count() as u64;
        let repeated = |keys: &&Vec<u32>| keys.iter().any(|key| seen[*key as usize] > 1);
        done.repeated_slots = self.workers.slots.iter().filter(repeated).count() as u64;
        let redirects = self.cluster.with_model(|model| model.redirects());
        (done.moved, done.ask) = (redirects.moved, redirects.ask);
        Ok(done)
    }

    pub(super) fn proofs(&self, loaded: &Loaded, done: &Scanned) -> Vec<Proof> {
        let keys = loaded.keys;
        let held = self.cluster.key_count() as u64;
        let repeats = done.returned - done.different - done.unknown;
        let moves = self.moves;
        let proof = |name, holds, text| Proof { name, text, holds };
        vec![
            proof("loaded", loaded.right == keys, format!("{} of {keys} SETs were answered OK", loaded.right)),
            proof(
                "every_key_seen",
                done.different == keys && done.unknown == 0,
                format!(
                    "the scan returned {} of {keys} keys, and {} that nobody put there",
                    done.different, done.unknown
                ),
            ),
            proof(
                "certificate",
                done.incomplete.is_none() && done.proven == Slot::COUNT,
                match &done.incomplete {
                    None => format!("its certificate vouches for {} of {} slots", done.proven, Slot::COUNT),
                    Some(why) => why.clone(),
                },
            ),
            proof(
                "repeats",
                done.repeated_slots <= done.walked_again,
                format!(
                    "{repeats} keys came again, from {} slots; {} slots were walked again",
                    done.repeated_slots, done.walked_again
                ),
            ),
            proof(
                "pipelines",
                done.right == done.commands,
                format!("{} of {} pipelined results were right and in submission order", done.right, done.commands),
            ),
            proof(
                "redirects",
                moves == 0 || keys < u64::from(Slot::COUNT) || (done.moved > 0 && done.ask > 0),
                format!("the nodes redirected with MOVED {} times and with ASK {} times", done.moved, done.ask),
            ),
            proof("nothing_lost", held == keys, format!("the nodes hold {held} of {keys} keys at the end")),
        ]
    }

    pub(super) fn close(self) -> Result<(), Error> {
        self.workers.client.close()?;
        self.scanner.close()
    }
}

impl Workers {
    /// The next half of a move, and a pipeline that meets it: ASK while the slot is at two nodes, MOVED behind it.
    fn step(&mut self, cluster: &MiniCluster, open: Option<u16>, done: &mut Scanned) -> Result<Option<u16>, Error> {
        // No other hand moves slots here, so the cluster refuses nothing; if it did, the counts would tell.
        let slot = match open {
            Some(slot) => {
                done.keys_moved += cluster.move_keys(slot, usize::MAX).unwrap_or(0) as u64;
                done.moves += u64::from(cluster.finish_move(slot).is_ok());
                slot
            }
            None => {
                let slot = self.below(u32::from(Slot::COUNT)) as u16;
                let to = (cluster.owner(slot).unwrap_or(0) + 1 + self.below(2) as usize) % 3;
                let half = cluster.key_count_in_slot(slot).div_ceil(2);
                if cluster.begin_move(slot, to).is_ok() {
                    done.keys_moved += cluster.move_keys(slot, half).unwrap_or(0) as u64;
                }
                slot
            }
        };
        self.pipeline(slot, done)?;
        Ok(if open.is_some() { None } else { Some(slot) })
    }

    /// A pipeline over all keys of the slot and some others: GETs and INCRs whose results are known.
    fn pipeline(&mut self, slot: u16, done: &mut Scanned) -> Result<(), Error> {
        let mut keys: Vec<u32> = self.slots[usize::from(slot)].iter().flat_map(|key| [*key, *key]).collect();
        let all = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
        keys.extend((0..AROUND).map(|_| self.rand.below(all)));
        let mut batch = Batch::new();
        let mut wanted = Vec::with_capacity(keys.len());
        for key in keys {
            let value = &mut self.values[key as usize];
            if self.rand.below(2) == 0 {
                batch.push(&["GET", &name(key)]);
                wanted.push(Value::Bulk(value.to_string().into_bytes()));
            } else {
                *value += 1;
                batch.push(&["INCR", &name(key)]);
                wanted.push(Value::Integer(i64::try_from(*value).unwrap_or(i64::MAX)));
            }
        }
        let results = self.client.run(&batch)?;
        done.pipelines += 1;
        done.commands += wanted.len() as u64;
        for (index, wanted) in wanted.iter().enumerate() {
            done.right += u64::from(results.value(index).is_ok_and(|value| value == *wanted));
            done.resent += u64::from(results.was_resent(index));
        }
        Ok(())
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.rand.below(bound)
    }
}

/// The number in a key's name.
fn number(key: &[u8]) -> Option<usize> {
    std::str::from_utf8(key.strip_prefix(b"demo:")?).ok()?.parse().ok()
}

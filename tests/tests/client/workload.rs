//! Mixed commands with results that can be foretold.

use std::collections::HashMap;

use slotwise_std::{Batch, Error, Results, Value};

/// What a command should answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Want {
    Value(Value),
    /// Keys in several slots, refused by the client alone.
    CrossSlot,
    /// The server's WRONGTYPE.
    WrongType,
}

/// A batch and what it should answer, key by key from a model that starts empty.
pub(crate) struct Workload {
    pub(crate) batch: Batch,
    pub(crate) wants: Vec<Want>,
    strings: HashMap<String, String>,
    lists: HashMap<String, Vec<String>>,
    state: u64,
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

fn ok() -> Want {
    Want::Value(Value::Simple("OK".into()))
}

impl Workload {
    pub(crate) fn new(seed: u64) -> Self {
        Self { batch: Batch::new(), wants: Vec::new(), strings: HashMap::new(), lists: HashMap::new(), state: seed | 1 }
    }

    fn below(&mut self, n: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % n
    }

    fn push(&mut self, args: &[&str], want: Want) {
        self.batch.push(args);
        self.wants.push(want);
    }

    /// Adds `count` commands over `keys` keys; with `multi`, multi-key ones among them.
    pub(crate) fn fill(mut self, count: usize, keys: u64, multi: bool) -> Self {
        for n in 0..count {
            let key = format!("k:{}", self.below(keys));
            match self.below(if multi { 10 } else { 7 }) {
                0 => {
                    let value = format!("value {n}");
                    self.push(&["SET", &key, &value], ok());
                    self.strings.insert(key, value);
                }
                1 | 2 => {
                    let want = self.strings.get(&key).map_or(Value::Null, |value| bulk(value));
                    self.push(&["GET", &key], Want::Value(want));
                }
                3 => {
                    let entry = self.strings.entry(format!("n:{key}")).or_insert_with(|| "0".into());
                    let next = entry.parse::<i64>().unwrap() + 1;
                    *entry = next.to_string();
                    self.push(&["INCR", &format!("n:{key}")], Want::Value(Value::Integer(next)));
                }
                4 => {
                    let list = self.lists.entry(format!("l:{key}")).or_default();
                    list.push(n.to_string());
                    let len = i64::try_from(list.len()).unwrap();
                    self.push(&["RPUSH", &format!("l:{key}"), &n.to_string()], Want::Value(Value::Integer(len)));
                }
                5 => {
                    let name = format!("l:{key}");
                    let items = self.lists.get(&name).cloned().unwrap_or_default();
                    let want = Value::Array(items.iter().map(|item| bulk(item)).collect());
                    self.push(&["LRANGE", &name, "0", "-1"], Want::Value(want));
                }
                6 => {
                    let name = format!("l:{key}");
                    let want = if self.lists.contains_key(&name) { Want::WrongType } else { Want::Value(Value::Null) };
                    self.push(&["GET", &name], want);
                }
                _ => self.multi(n, keys),
            }
        }
        self
    }

    /// One DEL for each key that [`Workload::fill`] may have made, so that the batch can run again.
    pub(crate) fn wipe(keys: u64) -> Batch {
        let mut batch = Batch::new();
        for key in 0..keys {
            for prefix in ["", "n:", "l:"] {
                batch.push(&["DEL", &format!("{prefix}k:{key}")]);
            }
        }
        batch
    }

    fn multi(&mut self, n: usize, keys: u64) {
        let names: Vec<String> = (0..=self.below(12)).map(|_| format!("k:{}", self.below(keys))).collect();
        let words = |first: &'static str, names: &[String]| -> Vec<String> {
            std::iter::once(first.to_owned()).chain(names.iter().cloned()).collect()
        };
        match self.below(5) {
            0 => {
                let values =
                    names.iter().map(|name| self.strings.get(name).map_or(Value::Null, |value| bulk(value))).collect();
                self.batch.push(&words("MGET", &names)[..]);
                self.wants.push(Want::Value(Value::Array(values)));
            }
            1 => {
                let mut args = vec!["MSET".to_owned()];
                for (i, name) in names.iter().enumerate() {
                    let value = format!("multi {n} {i}");
                    args.extend([name.clone(), value.clone()]);
                    self.strings.insert(name.clone(), value);
                }
                self.batch.push(&args[..]);
                self.wants.push(ok());
            }
            2 => {
                let found = names.iter().filter(|name| self.strings.contains_key(*name)).count();
                self.batch.push(&words("EXISTS", &names)[..]);
                self.wants.push(Want::Value(Value::Integer(i64::try_from(found).unwrap())));
            }
            3 => {
                let gone = names.iter().filter(|name| self.strings.remove(*name).is_some()).count();
                self.batch.push(&words("DEL", &names)[..]);
                self.wants.push(Want::Value(Value::Integer(i64::try_from(gone).unwrap())));
            }
            _ => self.push(&["RENAME", "k:1", "k:2"], Want::CrossSlot),
        }
    }

    /// Compares every result; says how many commands had been redirected or repeated.
    #[track_caller]
    pub(crate) fn check(&self, results: &Results) -> usize {
        assert_eq!(results.len(), self.wants.len());
        for (n, (want, result)) in self.wants.iter().zip(results.iter()).enumerate() {
            let right = match (want, &result) {
                (Want::Value(want), Ok(value)) => want == value,
                (Want::CrossSlot, Err(Error::Command { error, .. })) => error.name() == "cross_slot",
                (Want::WrongType, Err(error)) => error.name() == "wrong_type",
                _ => false,
            };
            assert!(right, "command {n}: wanted {want:?}, got {result:?}");
        }
        (0..results.len()).filter(|n| results.was_resent(*n)).count()
    }
}

//! Argument lists made from key specifications, with the places of the keys known from the making.

use serde_json::Value as Json;

/// One argument list.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The number of arguments the fact file gives.
    pub(crate) arity: i64,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) expect: Expect,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expect {
    /// Too few or too many arguments.
    Arity,
    /// Which arguments are keys, in order; and which decide the route.
    Keys { keys: Vec<usize>, routed: Vec<usize> },
}

impl Case {
    /// The command's name in upper case.
    pub(crate) fn command(&self) -> String {
        String::from_utf8_lossy(&self.args[0]).to_uppercase()
    }

    /// Whether some argument is this word, in any case.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.args.iter().any(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    }

    pub(crate) fn text(&self) -> String {
        let words: Vec<_> = self.args.iter().map(|arg| arg.escape_ascii().to_string()).collect();
        format!("{words:?}")
    }
}

/// Makes cases; the same ones every time.
pub(crate) struct Maker {
    state: u64,
}

/// What stands at one place.
#[derive(Clone, Debug)]
enum Part {
    Key,
    /// This key.
    Named(String),
    /// A key that is not empty.
    FullKey,
    /// A channel or cursor: decides the route, but is no key.
    NotKey,
    Filler,
    Word(String),
}

impl Maker {
    pub(crate) fn new() -> Self {
        Self { state: 0x5107_u64 }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.state >> 33) as usize) % below
    }

    /// Several lists for one command of a fact file.
    pub(crate) fn cases(&mut self, name: &str, entry: &Json) -> Vec<Case> {
        let arity = entry["arity"].as_i64().unwrap();
        let container = entry["subcommands"].as_array().is_some_and(|subs| !subs.is_empty());
        let specs: Vec<Spec> = entry["key_specs"].as_array().unwrap().iter().filter_map(Spec::read).collect();
        let mut lists = if let Some(lines) = templates(name) {
            lines.iter().flat_map(|line| self.template(line)).collect()
        } else if container {
            vec![]
        } else {
            assert_eq!(specs.len(), entry["key_specs"].as_array().unwrap().len(), "{name}: needs templates");
            self.lists(name, arity, &specs)
        };
        if container && arity == -1 {
            lists.push(vec![]);
        }
        let mut cases: Vec<Case> = lists.into_iter().map(|list| self.finish(name, arity, &list)).collect();
        let least = arity.unsigned_abs() as usize;
        let prefix = name.split('|').count();
        let wrong = [least.checked_sub(1).filter(|&few| few >= prefix), (arity > 0).then_some(least + 1)];
        for count in wrong.into_iter().flatten() {
            let mut case = self.finish(name, arity, &vec![Part::Filler; count - prefix]);
            case.expect = Expect::Arity;
            cases.push(case);
        }
        cases
    }

    /// Keys one to three at a time where their number is open, in the fewest arguments and with some more.
    fn lists(&mut self, name: &str, arity: i64, specs: &[Spec]) -> Vec<Vec<Part>> {
        let prefix = name.split('|').count();
        let least = arity.unsigned_abs() as usize;
        let open = specs.iter().any(Spec::open);
        let mut lists = Vec::new();
        for count in 1..=3 {
            for extra in 0..3 {
                let mut parts = vec![Part::Filler; prefix];
                for spec in specs {
                    spec.place(&mut parts, count);
                }
                if open {
                    // What follows an open range would be keys too, and what it lacks to the arity also is keys.
                    if extra == 0 && parts.len() >= least {
                        lists.push(parts.split_off(prefix));
                    }
                    continue;
                }
                while parts.len() < least {
                    parts.push(Part::Filler);
                }
                if arity < 0 {
                    parts.extend(vec![Part::Filler; extra]);
                }
                lists.push(parts.split_off(prefix));
            }
        }
        // Numbers of keys that are none, or more than there are arguments.
        if let [.., Spec { index, find: Find::Number, .. }] = specs {
            for bad in ["0", "-1", "x", "", "9", "18446744073709551617", "4294967296"] {
                let mut parts = vec![Part::Filler; least.max(index + 4)];
                parts[*index] = Part::Word(bad.to_owned());
                lists.push(parts.split_off(prefix));
            }
        }
        lists
    }

    /// `KEY` a key, `ONE` one that is not empty, `=name` this one, `ARG` anything, `lower` or `UPPER` words as they are; each line also with its words in the other
    /// case.
    fn template(&mut self, line: &str) -> Vec<Vec<Part>> {
        let part = |word: &str| match word {
            "KEY" => Part::Key,
            word if word.starts_with('=') => Part::Named(word[1..].to_owned()),
            // A key that must not be empty, which in MIGRATE means something else.
            "ONE" => Part::FullKey,
            "ARG" => Part::Filler,
            "''" => Part::Word(String::new()),
            word => Part::Word(word.to_owned()),
        };
        let list: Vec<Part> = line.split_whitespace().map(part).collect();
        let swapped = list
            .iter()
            .map(|part| match part {
                Part::Word(word) if word.chars().any(char::is_lowercase) => Part::Word(word.to_uppercase()),
                Part::Word(word) => Part::Word(word.to_lowercase()),
                other => other.clone(),
            })
            .collect();
        vec![list, swapped]
    }

    fn finish(&mut self, name: &str, arity: i64, parts: &[Part]) -> Case {
        let mut args: Vec<Vec<u8>> = name.split('|').map(|word| self.any_case(word)).collect();
        let (mut keys, mut routed) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Part::Key | Part::FullKey | Part::Named(_) => {
                    keys.push(args.len());
                    routed.push(args.len());
                    args.push(match part {
                        Part::Named(key) => key.clone().into_bytes(),
                        Part::FullKey => b"one".to_vec(),
                        _ => self.key(),
                    });
                }
                Part::NotKey => {
                    routed.push(args.len());
                    args.push(self.key());
                }
                Part::Filler => args.push(self.filler()),
                Part::Word(word) => args.push(word.clone().into_bytes()),
            }
        }
        Case { arity, args, expect: Expect::Keys { keys, routed } }
    }

    fn any_case(&mut self, word: &str) -> Vec<u8> {
        match self.pick(3) {
            0 => word.to_uppercase().into_bytes(),
            1 => word.to_lowercase().into_bytes(),
            _ => word.bytes().enumerate().map(|(at, b)| if at % 2 == 0 { b.to_ascii_lowercase() } else { b }).collect(),
        }
    }

    fn key(&mut self) -> Vec<u8> {
        match self.pick(8) {
            0 => b"".to_vec(),
            1 => b"{tag}\r\n\0\xff".to_vec(),
            2 => b"STORE".to_vec(),
            3 => b"streams".to_vec(),
            _ => format!("key:{}", self.pick(10_000)).into_bytes(),
        }
    }

    fn filler(&mut self) -> Vec<u8> {
        [b"x".as_slice(), b"0", b"-1", b"", b"KEYS", b"store", b"STREAMS", b"7", b"\xfe\r\n"][self.pick(9)].to_vec()
    }
}

/// A key specification as the fact files give it, apart from those found by a word.
#[derive(Debug)]
struct Spec {
    index: usize,
    find: Find,
    key: bool,
    step: usize,
}

#[derive(Debug)]
enum Find {
    /// So many keys more than one.
    Fixed(usize),
    /// Up to so many arguments before the end.
    ToEnd(usize),
    Number,
}

impl Spec {
    fn read(spec: &Json) -> Option<Spec> {
        let index = spec["begin_search"]["spec"]["index"].as_u64()? as usize;
        let key = !spec["flags"].as_array()?.iter().any(|flag| flag == "not_key");
        let find = &spec["find_keys"]["spec"];
        let step = find["keystep"].as_u64()? as usize;
        let find = match find["lastkey"].as_i64() {
            Some(last @ 0..) => Find::Fixed(last as usize),
            Some(last) => Find::ToEnd((-1 - last) as usize),
            None => Find::Number,
        };
        Some(Spec { index, find, key, step })
    }

    fn open(&self) -> bool {
        matches!(self.find, Find::ToEnd(_))
    }

    fn place(&self, parts: &mut Vec<Part>, count: usize) {
        let part = if self.key { Part::Key } else { Part::NotKey };
        let mut put = |at: usize, part: Part| {
            while parts.len() <= at {
                parts.push(Part::Filler);
            }
            parts[at] = part;
        };
        let (first, keys, rest) = match self.find {
            Find::Fixed(more) => (self.index, more + 1, 0),
            Find::ToEnd(rest) => (self.index, count, rest),
            Find::Number => {
                put(self.index, Part::Word(count.to_string()));
                (self.index + 1, count, 0)
            }
        };
        let mut end = first;
        for nth in 0..keys {
            end = first + nth * self.step;
            put(end, part.clone());
            for gap in 1..self.step {
                end += 1;
                debug_assert!(gap > 0);
                put(end, Part::Filler);
            }
        }
        for _ in 0..rest {
            end += 1;
            put(end, Part::Filler);
        }
    }
}

/// Commands whose keys stand behind a word, or whose specifications are marked unknown or incomplete: written by hand
/// from the documentation of their arguments.
fn templates(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "XREAD" => &[
            "STREAMS KEY 0",
            "STREAMS KEY KEY 0 $",
            "COUNT 2 BLOCK 10 STREAMS KEY KEY KEY 0 0 0",
            "block 0 count 1 streams KEY $",
            "BLOCK 0 STREAMS =streams 0",
        ],
        "XREADGROUP" => &[
            "GROUP g c STREAMS KEY >",
            "GROUP STREAMS STREAMS STREAMS KEY KEY > >",
            "group g c count 10 block 1 noack streams KEY KEY KEY > > >",
            "GROUP streams c NOACK STREAMS KEY 0",
        ],
        "SORT" => &[
            "KEY",
            "KEY ALPHA DESC LIMIT 0 5",
            "KEY BY w_* GET o_* GET #",
            "KEY STORE KEY",
            "KEY BY store GET store LIMIT store store STORE KEY ASC",
        ],
        "SORT_RO" => &["KEY", "KEY BY w_* GET o_* GET # LIMIT 0 1", "KEY BY store GET store"],
        "GEORADIUS" => &[
            "KEY 1 2 3 m",
            "KEY 1 2 3 m WITHCOORD COUNT 2 ASC",
            "KEY 1 2 3 m STORE KEY",
            "KEY 1 2 3 km COUNT 2 STOREDIST KEY",
            "KEY 1 2 3 m STORE KEY STOREDIST KEY",
        ],
        "GEORADIUSBYMEMBER" => &[
            "KEY member 3 m",
            "KEY STORE 3 m STORE KEY",
            "KEY member 3 km WITHDIST COUNT 2 STOREDIST KEY",
            "KEY member 3 m STORE KEY ASC STOREDIST KEY",
        ],
        "MIGRATE" => &[
            "host 6379 ONE 0 5000",
            "host 6379 ONE 0 5000 COPY REPLACE AUTH pw",
            "host 6379 ONE 0 5000 AUTH2 keys keys",
            "host 6379 '' 0 5000 KEYS KEY",
            "host 6379 '' 0 5000 KEYS KEY KEY KEY",
            "host 6379 '' 0 5000 COPY AUTH keys REPLACE KEYS KEY KEY",
            "host 6379 '' 0 5000 AUTH2 keys keys KEYS KEY KEY",
        ],
        _ => return None,
    })
}

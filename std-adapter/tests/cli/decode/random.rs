//! Random streams whose expected output is known from how they were made.

use std::fmt::Write;

use slotwise::rand::Rand;

use super::{decode, end};

/// What one value adds to the stream and to the output.
#[derive(Default)]
struct Made {
    bytes: Vec<u8>,
    json: String,
    /// Lines of pushes that stand inside the value.
    aside: Vec<String>,
}

struct Maker {
    rand: Rand,
}

impl Maker {
    fn below(&mut self, n: u32) -> u32 {
        self.rand.below(n)
    }

    fn blob(&mut self, most: u32) -> Vec<u8> {
        const ODD: &[u8] = b"\r\n\\\"\x00\x7f\xff";
        let len = self.below(most + 1);
        (0..len)
            .map(|_| match self.below(4) {
                0 => ODD[self.below(ODD.len() as u32) as usize],
                1 => self.below(256) as u8,
                _ => b'a' + self.below(26) as u8,
            })
            .collect()
    }

    fn line(&mut self) -> Vec<u8> {
        self.blob(12).into_iter().filter(|b| !matches!(b, b'\r' | b'\n')).collect()
    }

    fn text(&mut self, made: &mut Made, sign: char, name: &str) {
        let bytes = self.line();
        made.bytes.push(sign as u8);
        made.bytes.extend_from_slice(&bytes);
        made.bytes.extend_from_slice(b"\r\n");
        let _ = write!(made.json, "{{\"{name}\":{}}}", quoted(&bytes));
    }

    fn counted(&mut self, made: &mut Made, sign: char, name: &str) {
        let most = if self.below(10) == 0 { 300 } else { 8 };
        let bytes = self.blob(most);
        made.bytes.extend_from_slice(format!("{sign}{}\r\n", bytes.len()).as_bytes());
        made.bytes.extend_from_slice(&bytes);
        made.bytes.extend_from_slice(b"\r\n");
        let _ = write!(made.json, "{{\"{name}\":{}}}", quoted(&bytes));
    }

    fn scalar(&mut self, made: &mut Made) {
        let fixed = |made: &mut Made, bytes: &str, json: &str| {
            made.bytes.extend_from_slice(bytes.as_bytes());
            made.json.push_str(json);
        };
        match self.below(12) {
            0 => self.text(made, '+', "simple"),
            1 => self.text(made, '-', "err"),
            2 | 3 => self.counted(made, '$', "bulk"),
            4 => self.counted(made, '!', "blob_err"),
            5 => {
                let bits = u64::from(self.rand.next_u32()) << 32 | u64::from(self.rand.next_u32());
                let n = bits as i64 >> self.below(64);
                fixed(made, &format!(":{n}\r\n"), &format!("{{\"int\":{n}}}"));
            }
            6 => fixed(made, "$-1\r\n", r#"{"null":"bulk"}"#),
            7 => fixed(made, "*-1\r\n", r#"{"null":"array"}"#),
            8 => fixed(made, "_\r\n", r#"{"null":"resp3"}"#),
            9 => fixed(made, "#t\r\n", r#"{"bool":true}"#),
            10 => fixed(made, ",-1.25e-7\r\n", r#"{"double":"-1.25e-7"}"#),
            _ => {
                let text = self.blob(5);
                made.bytes.extend_from_slice(format!("={}\r\nt  :", text.len() + 4).as_bytes());
                made.bytes.extend_from_slice(&text);
                made.bytes.extend_from_slice(b"\r\n");
                let _ = write!(made.json, "{{\"verbatim\":[\"t  \",{}]}}", quoted(&text));
            }
        }
    }

    /// `parts` values, separated as JSON wants it, with a push slipped in now and then.
    fn parts(&mut self, made: &mut Made, parts: u32, paired: bool, level: u32, pushed: bool) {
        for part in 0..parts {
            made.json.push_str(match (paired, part) {
                (true, 0) => "[",
                (true, _) if part % 2 == 0 => "],[",
                (_, 0) => "",
                _ => ",",
            });
            if !pushed && self.below(12) == 0 {
                let mut push = Made::default();
                self.aggregate(&mut push, '>', level, true);
                made.bytes.extend_from_slice(&push.bytes);
                made.aside.push(push.json);
            }
            self.value(made, level, pushed);
        }
        if paired && parts > 0 {
            made.json.push(']');
        }
    }

    fn aggregate(&mut self, made: &mut Made, sign: char, level: u32, pushed: bool) {
        let name = match sign {
            '*' => "array",
            '%' => "map",
            '~' => "set",
            _ => "push",
        };
        let paired = sign == '%';
        let count = self.below(4) + u32::from(sign == '>');
        made.bytes.extend_from_slice(format!("{sign}{count}\r\n").as_bytes());
        let _ = write!(made.json, "{{\"{name}\":[");
        self.parts(made, count * if paired { 2 } else { 1 }, paired, level + 1, pushed || sign == '>');
        made.json.push_str("]}");
    }

    fn value(&mut self, made: &mut Made, level: u32, pushed: bool) {
        let attributed = self.below(15) == 0;
        if attributed {
            let pairs = self.below(3);
            made.bytes.extend_from_slice(format!("|{pairs}\r\n").as_bytes());
            made.json.push_str("{\"attr\":[");
            self.parts(made, pairs * 2, true, level + 1, pushed);
            made.json.push_str("],\"value\":");
        }
        match self.below(if level > 4 { 6 } else { 10 }) {
            0..=5 => self.scalar(made),
            6 | 7 => self.aggregate(made, '*', level, pushed),
            8 => self.aggregate(made, '%', level, pushed),
            _ => self.aggregate(made, '~', level, pushed),
        }
        if attributed {
            made.json.push('}');
        }
    }
}

/// The escape rules, written a second time and in another way than in the tool.
fn quoted(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b'\\' => text += "\\\\",
            b'\r' => text += "\\r",
            b'\n' => text += "\\n",
            32..127 => text.push(byte as char),
            _ => text += &format!("\\x{byte:02x}"),
        }
    }
    serde_json::to_string(&text).expect("a string")
}

/// A stream of `values` replies and pushes, and what the tool prints for them.
fn stream(maker: &mut Maker, values: u32) -> (Vec<u8>, String) {
    let mut input = Vec::new();
    let mut expected = String::new();
    for _ in 0..values {
        let mut made = Made::default();
        if maker.below(8) == 0 {
            maker.aggregate(&mut made, '>', 0, true);
        } else {
            maker.value(&mut made, 0, false);
        }
        input.extend_from_slice(&made.bytes);
        for line in made.aside.iter().chain([&made.json]) {
            expected += line;
            expected.push('\n');
        }
    }
    (input, expected)
}

#[test]
fn random_streams_cut_at_random() {
    for seed in 0..60 {
        let mut maker = Maker { rand: Rand::new(seed) };
        let (input, mut expected) = stream(&mut maker, 40);
        expected += &end("complete", input.len(), None);
        expected.push('\n');
        for chunk in [1, 2, 1 + maker.below(40), 1 + maker.below(1000), 1 << 20] {
            let run = decode(&["--chunk", &chunk.to_string()], &input);
            assert_eq!(run.text(), expected, "seed {seed}, --chunk {chunk}");
        }
    }
}

#[test]
fn damaged_streams_cut_at_random() {
    const LIMITS: &[&str] = &["--max-depth", "4", "--max-bulk", "200", "--max-line", "10", "--max-elements", "3"];
    let mut ends = std::collections::BTreeMap::new();
    for seed in 1000..1120 {
        let mut maker = Maker { rand: Rand::new(seed) };
        let (mut input, _) = stream(&mut maker, 12);
        let at = maker.below(input.len() as u32) as usize;
        match maker.below(5) {
            0 => input.truncate(at),
            1 => drop(input.remove(at)),
            2 => input.insert(at, b"\r\n:$*%>|?.;0-9"[maker.below(14) as usize]),
            3 => input[at] ^= 1 << maker.below(8),
            _ => {} // undamaged, under tight limits
        }
        let flags = if seed % 2 == 0 { LIMITS } else { &[] };
        let whole = decode(flags, &input);
        let lines = whole.lines();
        let last = *lines.last().expect("a last line");
        let word = last.split('"').nth(3).expect("the end's word").to_owned();
        let code = [("complete", 0), ("error", 1), ("incomplete", 4)].iter().find(|(name, _)| *name == word);
        assert_eq!(Some(whole.code), code.map(|(_, code)| *code), "seed {seed}: {last}");
        *ends.entry(word).or_insert(0) += 1;
        for chunk in [1, 2, 3, 1 + maker.below(40), 1 + maker.below(1000)] {
            let cut = decode(&[flags, &["--chunk", &chunk.to_string()]].concat(), &input);
            assert_eq!((cut.text(), cut.code), (whole.text(), whole.code), "seed {seed}, --chunk {chunk}");
        }
    }
    // The damage does what it should, or the test would show nothing.
    assert!(ends.values().filter(|count| **count >= 5).count() == 3, "{ends:?}");
}

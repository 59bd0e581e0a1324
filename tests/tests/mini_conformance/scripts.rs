//! Written sequences, played on real servers and the model. One line each:
//!
//! ```text
//! a2: GET foo        send on connection `a` to node 2, compare one reply
//! a2*3: SUBSCRIBE x  compare three frames (0: none yet)
//! a2*1:              compare one more frame without sending
//! a2 silent          nothing more may come
//! a2 same            one more frame has come from both, or from neither
//! !begin SLOT NODE   !key SLOT KEY   !finish SLOT   !atomic SLOT NODE   !failover NODE   !sync   !close a2   !sleep MS
//! only redis7 ...    the line is for these servers only; `not redis7,redis8 ...` for all others
//! ```
//!
//! Words with spaces stand in double quotes, with `\n`, `\r`, `\"` and `\\` inside.
//! Slots used: `foo` 12182 and `a` 15495 (node 2), `bar` 5061 (node 0), `b` 3300 (node 0), `c` 7365 (node 1).
//!
//! `SLOTWISE_RECORD=1` writes what the real servers said to `tests/fixtures/transcripts`.

use crate::pair::Pair;
use slotwise_tests::real::ServerKind;
use std::path::PathBuf;

/// Scripts for one server only.
const VALKEY9_ONLY: [&str; 1] = ["clusterscan"];

/// Whether a script is for that server.
pub(crate) fn is_for(kind: ServerKind, name: &str) -> bool {
    kind == ServerKind::Valkey9 || !VALKEY9_ONLY.contains(&name)
}

/// Names and texts; those that change roles come last.
pub(crate) const SCRIPTS: [(&str, &str); 13] = [
    ("plain", include_str!("plain.txt")),
    ("types", include_str!("types.txt")),
    ("expiry", include_str!("expiry.txt")),
    ("migration", include_str!("migration.txt")),
    ("transactions", include_str!("transactions.txt")),
    ("subscriptions", include_str!("subscriptions.txt")),
    ("tracking", include_str!("tracking.txt")),
    ("lua", include_str!("lua.txt")),
    ("users", include_str!("users.txt")),
    ("blocking", include_str!("blocking.txt")),
    ("atomic", include_str!("atomic.txt")),
    ("clusterscan", include_str!("clusterscan.txt")),
    ("replicas", include_str!("replicas.txt")),
];

/// The words of a line.
pub(crate) fn words_of(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(first) = chars.next() {
        let mut word = String::new();
        match first {
            ' ' => continue,
            '"' => {
                while let Some(c) = chars.next().filter(|c| *c != '"') {
                    word.push(match (c, if c == '\\' { chars.next() } else { None }) {
                        (_, Some('n')) => '\n',
                        (_, Some('r')) => '\r',
                        (_, Some(escaped)) => escaped,
                        (c, None) => c,
                    });
                }
            }
            c => {
                word.push(c);
                while let Some(c) = chars.next_if(|c| *c != ' ') {
                    word.push(c);
                }
            }
        }
        words.push(word);
    }
    words
}

/// The line without its condition, if it is for that server.
fn chosen(line: &str, kind: ServerKind) -> Option<&str> {
    let name = format!("{kind:?}").to_ascii_lowercase();
    for (word, wanted) in [("only ", true), ("not ", false)] {
        if let Some((kinds, rest)) = line.strip_prefix(word).and_then(|rest| rest.split_once(' ')) {
            return (kinds.split(',').any(|kind| kind == name) == wanted).then_some(rest);
        }
    }
    Some(line)
}

fn play(pair: &mut Pair, script: &str) {
    let lines = script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for line in lines {
        let Some(line) = chosen(line, pair.kind) else { continue };
        let words = words_of(line);
        let number = |at: usize| words[at].parse::<usize>().expect("a number");
        match words[0].as_str() {
            "!begin" => pair.begin_move(number(1) as u16, number(2)),
            "!key" => pair.move_key(number(1) as u16, &words[2]),
            "!finish" => pair.finish_move(number(1) as u16),
            "!atomic" => pair.move_atomically(number(1) as u16, number(2)),
            "!failover" => pair.failover(number(1)),
            "!sync" => pair.sync(),
            "!close" => pair.close(&words[1]),
            "!sleep" => pair.sleep(number(1) as u64),
            name if words.get(1).is_some_and(|word| word == "silent") => pair.expect_silence(name),
            name if words.get(1).is_some_and(|word| word == "same") => pair.same_or_silent(name),
            name => {
                let name = name.strip_suffix(':').unwrap_or_else(|| panic!("{line}"));
                let (name, frames) = name.split_once('*').unwrap_or((name, "1"));
                pair.send(name, &words[1..], frames.parse().expect("frames"));
            }
        }
    }
}

/// Where the transcript of a script lies.
pub(crate) fn transcript(kind: ServerKind, name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/transcripts");
    dir.join(format!("{kind:?}").to_ascii_lowercase()).join(format!("{name}.txt"))
}

fn all(kind: ServerKind) {
    let Some(mut pair) = Pair::start(kind, 1) else { return };
    let chosen = std::env::var("SLOTWISE_SCRIPT").ok();
    for (name, script) in SCRIPTS {
        if chosen.as_ref().is_some_and(|chosen| chosen != name) || !is_for(kind, name) {
            continue;
        }
        play(&mut pair, script);
        if std::env::var_os("SLOTWISE_RECORD").is_some() {
            let path = transcript(kind, name);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("a place for transcripts");
            std::fs::write(path, pair.transcript.join("\n") + "\n").expect("a writable transcript");
        }
        pair.reset();
    }
    pair.check("scripts");
    println!("{kind:?}: {} scripts, {} commands, {} replies compared", SCRIPTS.len(), pair.commands, pair.compared);
}

#[test]
fn redis7_follows_the_scripts() {
    all(ServerKind::Redis7);
}

#[test]
fn redis8_follows_the_scripts() {
    all(ServerKind::Redis8);
}

#[test]
fn valkey9_follows_the_scripts() {
    all(ServerKind::Valkey9);
}

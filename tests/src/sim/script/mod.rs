//! Runs that people can read: a text file, a line an act.
//!
//! First come lines that say what there is:
//!
//! ```text
//! cluster 3 1 redis7        primaries, replicas of each, the servers' habits
//! clients 1
//! option resp2 | password | window 4 | reads 1 | cut bytes | delay 2ms | receive 2048 | leases 1 | hops 5 | timeout 4s
//! option nodes 128 | channels 600                sizes of tables
//! option partial 300                         so many of a thousand writes are taken in part only
//! option canary                              two replies that come together are swapped: what a script must notice
//! option library                                 clients tell the servers a library name (CLIENT SETINFO)
//! for T in 0ms 1ms 5ms                           the whole script is run for each of them, with $T standing for it
//! ```
//!
//! Then come acts, done one after the other. Time only passes in `wait 5ms` and `until NAME within 2s` (`until all`).
//! Nodes are `A`, `B`, `C` for primaries and `A'` for their replicas; nodes that come later go on in the alphabet; `N77` is
//! any node by its number. `{A}` in a
//! key stands for a hash tag whose slot is A's at first, `{A:2}` for another one.
//!
//! ```text
//! c0 r1 = GET {A}k                       a request and its name; [timeout=50ms always stream domain=1] may stand before `=`
//! c0 t = MULTI ; SET {A}k 1 ; EXEC       a group
//! c0 r x 100 = GET {A}k#                 a hundred of them, r0 to r99; # is the number
//! c0 r x 100 serial = GET {A}k#          each when the one before has ended
//! repeat 100 ACT                         # is the number, #30 one of 1 to 30 in turn, in acts and in expectations
//! every 1ms x 500 [mod 50] ACT           from now on, while time passes; mod: the number begins again at 0 behind 49
//! c* r = SET k% v                        each client, named r0, r1 ...; % is its number
//! cancel r1
//! set {A}k v | keys 500 prefix           an operator writes
//! slow A 1s | pause A 5s | hole A | reset A | cut A 10 | finish A 1 | refuse A 1s | ignore A 1s | closes A 1s | partition A 1s
//! mute A 1s                              takes bytes and answers nothing
//! drip A 1s                              a byte of its answers each second
//! split A 17                             the next bytes are read in two pieces, the first this long
//! crash A | restart A | failover A' | takeover A' | loading A on | meet D | rename A 10.9.0.1 | forget {A}k at B
//! migrate {A}k to B | movekey {A}k | finish-move {A}k | move {A}k to B | settle
//! inject A "bytes"                       bytes from A to its clients, out of turn
//! answer A GET "bytes" 2 [later 4s]      what A says to the next two such commands, and how much later
//! answer-blocked A "bytes"               what A says to the commands that block there
//! scan c0 [lax] [restarts=1] [count=10]  a scan; lax: slots that nobody serves may be missing
//! resume c0 | retoken c0                 goes on where the last scan ended; saves the scan, throws it away and goes on
//! noise                                  pages of scans come empty, twice, and with greater cursors from now on
//! unlink c0 PREFIX 64                    deletes the keys that begin so, 64 in flight
//! want c0 {A}ch | unwant c0 {A}ch | publish {A}ch | refresh c0
//! mark                                   what is counted "since" is counted from here
//! ```
//!
//! In texts `@{A}` is the number of A's slot and `id{A}` A's node id.
//!
//! Expectations, each of which fails the run: see [`expects`].

mod acts;
pub mod expects;
pub mod noise;
mod plans;
mod scans;
mod start;

pub use expects::readable;
pub use scans::Scanned;
use std::collections::{BTreeMap, VecDeque};

use super::dice::{parts_of, tape_of};
use super::kinds::Fault;
use super::options::Wishes;
use super::report::{failure, fold};
use super::run::{Report, tape};
use super::world::World;

/// What a script has besides its world.
pub struct Script {
    /// The world.
    pub world: World,
    /// Requests by name: client and tag.
    pub names: BTreeMap<String, (usize, u64)>,
    /// The number of primaries, and of replicas of each.
    shards: (usize, usize),
    /// Hash tags by node, and which of its kind.
    tags: BTreeMap<(usize, usize), String>,
    /// Acts that are done again and again.
    plans: Vec<plans::Plan>,
    /// What is counted "since" is counted from then.
    mark: u64,
}

/// What a server is to say instead of its own answer: node, command, bytes, how often.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The node.
    pub node: usize,
    /// The command's name, with its sub-command if it has one; `*` for any.
    pub command: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// How often still.
    pub left: u32,
    /// How much later than usual.
    pub later: u64,
}

/// Prompts, and what requests of the script were answered.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// What servers are to say.
    pub prompts: VecDeque<Prompt>,
    /// Keys that an operator wrote, and when.
    pub keys: Vec<(String, u64)>,
    /// The last answers, readable.
    pub answers: BTreeMap<(usize, u64), String>,
    /// Every push that was handed out, readable: client and text.
    pub pushes: Vec<(usize, String)>,
    /// The scans that ended, the last one last.
    pub scans: Vec<Scanned>,
    /// Where the next scan begins.
    pub token: Option<String>,
    /// What is wrong with pages of scans.
    pub noise: Option<noise::Noise>,
    /// Connections closed for what came over them.
    pub refused: u64,
    /// Topology questions by node.
    pub questions: BTreeMap<usize, Vec<u64>>,
    /// Each node's share of them, if clients asked by lot among the nodes that they were connected to, in millionths.
    pub shares: BTreeMap<usize, u64>,
}

/// Runs a script, as often as its `for` lines want it. The report has the sum of what happened.
///
/// # Errors
/// The line that could not be read, or an expectation that was not met.
pub fn run(text: &str, shown: Option<usize>) -> Result<Report, String> {
    let mut sum: Option<Report> = None;
    for (name, text) in plans::variants(text)? {
        let mut report = run_one(&text, shown).map_err(|error| format!("{name}{error}"))?;
        if let Some(before) = sum {
            report.hash = fold(before.hash, report.hash);
            report.stats.add(&before.stats);
        }
        sum = Some(report);
    }
    sum.ok_or_else(|| "nothing to run".to_owned())
}

fn run_one(text: &str, shown: Option<usize>) -> Result<Report, String> {
    let lines: Vec<(usize, Vec<String>)> = (1..)
        .zip(text.lines())
        .filter_map(|(number, line)| {
            let words = words(line);
            (!words.is_empty()).then_some((number, words))
        })
        .collect();
    if lines.first().is_some_and(|(_, words)| words[0] == "tape") {
        return taped(&lines, shown);
    }
    let heads = lines.iter().take_while(|(_, words)| matches!(words[0].as_str(), "cluster" | "clients" | "option"));
    let count = heads.clone().count();
    let mut script = Script::new(heads.map(|(_, words)| words.as_slice()), shown)?;
    for (number, words) in &lines[count..] {
        let done = script.line(words);
        if let Some(violation) = &script.world.violation {
            let text = format!("line {number}: I{} is broken: {}", violation.invariant, violation.text);
            return Err(explain(text, &script.world));
        }
        done.map_err(|error| explain(format!("line {number}: {}: {error}", words.join(" ")), &script.world))?;
    }
    script.world.finish_script();
    if let Some(violation) = &script.world.violation {
        let text = format!("at the end: I{} is broken: {}", violation.invariant, violation.text);
        return Err(explain(text, &script.world));
    }
    Ok(script.world.report())
}

/// A script that is a tape: `tape NUMBER HEX`, `tape most 1 3 100us`, `tape without FAULT...`, `tape hostile`, `tape canary`.
fn taped(lines: &[(usize, Vec<String>)], shown: Option<usize>) -> Result<Report, String> {
    let mut wishes = Wishes { shown, ..Wishes::default() };
    let mut parts = parts_of(&[]);
    for (number, words) in lines {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let wrong = |what: &str| format!("line {number}: {what}");
        match words[..] {
            ["tape", "hostile"] => wishes.hostile = true,
            ["tape", "canary"] => wishes.canary = true,
            ["tape", "most", clients, primaries, length] => {
                wishes.most = Some((self::number(clients)?, self::number(primaries)?, span(length)?));
            }
            ["tape", "without", ref names @ ..] => {
                for name in names {
                    let fault = Fault::ALL.iter().find(|fault| fault.name().replace(' ', "-") == *name);
                    wishes.without.push(*fault.ok_or_else(|| wrong("no such fault"))?);
                }
            }
            ["tape", part, hex] => {
                let bytes = hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(&String::from_utf8_lossy(pair), 16));
                let bytes: Result<Vec<u8>, _> = bytes.collect();
                let part = parts.get_mut(self::number::<usize>(part)?).ok_or_else(|| wrong("no such part"))?;
                part.extend(bytes.map_err(|_| wrong("no bytes"))?);
            }
            _ => return Err(wrong("a tape has nothing beside it")),
        }
    }
    let report = tape(&tape_of(&parts), &wishes);
    match &report.violation {
        Some(violation) => Err(failure("the tape", &report, violation)),
        None => Ok(report),
    }
}

fn explain(text: String, world: &World) -> String {
    format!("{text}\n{}", world.trace.lines().join("\n"))
}

/// The words of a line: between blanks, or quoted, with `\r`, `\n`, `\"` and `\\`. `#` at the beginning of a word ends the
/// line, unless a digit or nothing follows.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '#' {
            break;
        }
        let mut word = String::new();
        let mut used = rest.len();
        if first == '"' {
            let mut chars = rest.char_indices().skip(1);
            while let Some((at, c)) = chars.next() {
                match c {
                    '"' => {
                        used = at + 1;
                        break;
                    }
                    '\\' => match chars.next() {
                        Some((_, 'r')) => word.push('\r'),
                        Some((_, 'n')) => word.push('\n'),
                        Some((_, other)) => word.push(other),
                        None => {}
                    },
                    c => word.push(c),
                }
            }
        } else {
            used = rest.find(char::is_whitespace).unwrap_or(rest.len());
            word.push_str(&rest[..used]);
        }
        words.push(word);
        rest = rest[used..].trim_start();
    }
    words
}

/// A span like `5ms`, `2s`, `100us`.
fn span(text: &str) -> Result<u64, String> {
    let units = [("us", 1), ("ms", 1_000), ("s", 1_000_000)];
    let found = units.iter().find_map(|(unit, micros)| Some(text.strip_suffix(unit)?.parse::<u64>().ok()? * micros));
    found.ok_or_else(|| format!("{text} is no span"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_into_words() {
        assert_eq!(words("c0 r = GET k # what"), ["c0", "r", "=", "GET", "k"]);
        assert_eq!(words("inject A \"a b\\r\\n\\\"\""), ["inject", "A", "a b\r\n\""]);
        assert_eq!(words("  # nothing"), Vec::<String>::new());
        assert_eq!(words("x \"\""), ["x", ""]);
    }

    #[test]
    fn spans_are_read() {
        assert_eq!((span("5ms"), span("2s"), span("7us")), (Ok(5_000), Ok(2_000_000), Ok(7)));
        assert!(span("5").is_err() && span("s").is_err());
    }

    #[test]
    fn an_expectation_that_is_not_met_fails_the_script() {
        let script = |expect: &str| {
            run(&format!("cluster 3 0 redis7\nset {{A}}k v\nc0 r = GET {{A}}k\nuntil r within 2s\n{expect}\n"), None)
        };
        assert!(script("expect r done v").is_ok());
        for wrong in [
            "expect r done w",
            "expect r error ERR",
            "expect r runs 2",
            "expect dials A <= 0",
            "expect r maybe",
            "nonsense",
        ] {
            assert!(script(wrong).is_err(), "{wrong}");
        }
    }
}

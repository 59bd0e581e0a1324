//! What real servers said once, against the model now: no server needed.
//!
//! A transcript has one step per line: `> CONNECTION COMMAND` sends, `< CONNECTION REPLY` is the next frame that came, `= CONNECTION` says
//! that none came, `! STEP` is done to the cluster.

use crate::scripts::{SCRIPTS, is_for, transcript, words_of};
use crate::side::Side;
use slotwise_tests::real::ServerKind;
use std::collections::BTreeMap;
use std::time::Duration;

struct Replay {
    mini: Side,
    moving: BTreeMap<u16, (usize, usize)>,
    homes: BTreeMap<u16, usize>,
    // The last command of each connection: replies are shown as its.
    last: BTreeMap<String, Vec<String>>,
    compared: usize,
    commands: usize,
    wrong: Vec<String>,
}

impl Replay {
    fn line(&mut self, line: &str, next_sends: bool) {
        let words = words_of(&line[1..]);
        let number = |at: usize| words[at].parse::<usize>().expect("a number");
        match line.as_bytes().first() {
            Some(b'>') => {
                self.last.insert(words[0].clone(), words[1..].to_vec());
                if words.len() > 1 {
                    self.mini.send(&words[0], &words[1..]);
                    self.commands += 1;
                    // Nobody waits for an answer: it may have to be there before others go on.
                    if next_sends {
                        std::thread::sleep(Duration::from_millis(30));
                    }
                }
            }
            Some(b'<') => {
                let (name, reply) = line[2..].split_once(' ').expect("a connection and a reply");
                let command = self.last.get(name).cloned().unwrap_or_default();
                let got = self.mini.read(name, &command);
                self.compared += 1;
                if got != reply {
                    self.wrong.push(format!("{name}: {command:?}\n  recorded: {reply}\n  model:    {got}"));
                }
            }
            Some(b'=') => {
                let got = self.mini.read_within(&words[0], Duration::from_millis(30));
                self.compared += 1;
                if let Some(got) = got {
                    self.wrong.push(format!("{}\n  recorded: silence\n  model:    {got}", words[0]));
                }
            }
            _ => match words[0].as_str() {
                "begin" => {
                    let (slot, to) = (number(1) as u16, number(2));
                    let from = self.mini.owner(slot);
                    self.mini.begin_move(slot, from, to);
                    self.moving.insert(slot, (from, to));
                    self.homes.entry(slot).or_insert(from);
                }
                "key" => {
                    let (from, to) = self.moving[&(number(1) as u16)];
                    self.mini.move_key(number(1) as u16, from, to, &words[2]);
                }
                "finish" => {
                    let slot = number(1) as u16;
                    let (from, to) = self.moving.remove(&slot).expect("a slot that moves");
                    self.mini.finish_move(slot, from, to);
                }
                "atomic" => {
                    let slot = number(1) as u16;
                    self.homes.entry(slot).or_insert(self.mini.owner(slot));
                    self.mini.move_atomically(slot, number(2));
                }
                "failover" => self.mini.failover(number(1)),
                "close" => self.mini.forget(&words[1]),
                "sleep" => std::thread::sleep(Duration::from_millis(number(1) as u64)),
                // sync: the model's replicas have everything
                _ => {}
            },
        }
    }
}

fn replay(kind: ServerKind) {
    if std::env::var_os("SLOTWISE_RECORD").is_some() {
        // They are being written.
        return;
    }
    let mini = Side::mini(kind, 1);
    let mut replay = Replay {
        mini,
        moving: BTreeMap::new(),
        homes: BTreeMap::new(),
        last: BTreeMap::new(),
        compared: 0,
        commands: 0,
        wrong: Vec::new(),
    };
    for (name, _) in SCRIPTS.into_iter().filter(|(name, _)| is_for(kind, name)) {
        let path = transcript(kind, name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            replay.line(line, lines.get(at + 1).is_none_or(|next| !next.starts_with('<')));
        }
        for (slot, (from, to)) in std::mem::take(&mut replay.moving) {
            replay.mini.finish_move(slot, from, to);
        }
        let homes: Vec<(u16, usize)> = std::mem::take(&mut replay.homes).into_iter().collect();
        replay.mini.reset(&homes);
        replay.last.clear();
    }
    println!("{kind:?}: transcripts of {} commands, {} replies compared", replay.commands, replay.compared);
    assert!(replay.compared > 800, "only {} replies", replay.compared);
    assert!(replay.wrong.is_empty(), "{kind:?}: {} differ:\n{}", replay.wrong.len(), replay.wrong.join("\n"));
}

#[test]
fn redis7_transcripts() {
    replay(ServerKind::Redis7);
}

#[test]
fn redis8_transcripts() {
    replay(ServerKind::Redis8);
}

#[test]
fn valkey9_transcripts() {
    replay(ServerKind::Valkey9);
}

//! Written sequences. One line each:
//!
//! ```text
//! a2: GET foo        send on connection `a` to node 2, compare one reply
//! a2*3: SUBSCRIBE x  compare three frames
//! a2*1:              compare one more frame without sending
//! a2 silent          nothing more may come
//! a2 same            one more frame has come from both, or from neither
//! !begin SLOT NODE   !key SLOT KEY   !finish SLOT   !failover NODE   !sync
//! ```
//!
//! Slots used: `foo` 12182 and `a` 15495 (node 2), `bar` 5061 (node 0), `b` 3300 (node 0), `c` 7365 (node 1).

use super::pair::Pair;
use slotwise_tests::real::ServerKind;

fn play(pair: &mut Pair, script: &str) {
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse().expect("a number");
        match words[0] {
            "!begin" => pair.begin_move(number(1) as u16, number(2)),
            "!key" => pair.move_key(number(1) as u16, words[2]),
            "!finish" => pair.finish_move(number(1) as u16),
            "!failover" => pair.failover(number(1)),
            "!sync" => pair.sync(),
            name if words.get(1) == Some(&"silent") => pair.expect_silence(name),
            name if words.get(1) == Some(&"same") => pair.same_or_silent(name),
            name => {
                let name = name.strip_suffix(':').unwrap_or_else(|| panic!("{line}"));
                let (name, frames) = name.split_once('*').unwrap_or((name, "1"));
                // "" stands for an empty argument.
                let args: Vec<&str> = words[1..].iter().map(|word| if *word == "\"\"" { "" } else { word }).collect();
                pair.send(name, &args, frames.parse().expect("frames"));
            }
        }
    }
}

fn on_both(replicas: usize, script: &str) {
    let lines = script.lines().filter(|line| line.contains(": ")).count();
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(mut pair) = Pair::start(kind, replicas) else { continue };
        play(&mut pair, script);
        pair.finish(lines);
    }
}

#[test]
fn plain_commands_and_their_errors() {
    on_both(0, include_str!("plain.txt"));
}

#[test]
fn redirects_and_migration() {
    on_both(0, include_str!("migration.txt"));
}

#[test]
fn transactions() {
    on_both(0, include_str!("transactions.txt"));
}

#[test]
fn subscriptions() {
    on_both(0, include_str!("subscriptions.txt"));
}

#[test]
fn replicas_and_failover() {
    on_both(1, include_str!("replicas.txt"));
}

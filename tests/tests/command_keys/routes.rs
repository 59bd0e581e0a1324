//! The slot of every keyed command, against the MOVED of real servers.
//!
//! The node that does not own the slot of a command answers it with `MOVED slot` or `CROSSSLOT` and does not run it.
//! Unlike `COMMAND GETKEYS` this shows what the server really routes by, channels and cursors
//! included.

use slotwise::command::{CommandError, FULL, Route, analyse};
use slotwise::slot::Slot;
use slotwise_tests::real::{Cluster, Conn, ServerKind, Value};

use crate::all_cases;
use crate::cases::{Case, Expect};

/// Why a server's redirect says less than the keys do.
struct Exception {
    reason: &'static str,
    applies: fn(ServerKind, &Case, &str) -> bool,
}

const EXCEPTIONS: &[Exception] = &[
    Exception {
        reason: "Valkey does not check the slot of MSETEX and runs it anywhere",
        applies: |kind, case, said| {
            kind == ServerKind::Valkey9 && case.command() == "MSETEX" && !said.starts_with("MOVED")
        },
    },
    Exception {
        reason: "ZRANK and ZREVRANK have taken WITHSCORE since Redis 7.2",
        applies: |kind, case, said| {
            kind == ServerKind::Redis7 && case.command().ends_with("RANK") && said.contains("wrong number of arguments")
        },
    },
];

#[test]
fn slots_are_those_of_the_servers() {
    let cases: Vec<Case> =
        all_cases().into_values().flatten().filter(keyed).flat_map(|case| [in_one_slot(&case), case]).collect();
    let mut wrong = Vec::new();
    for kind in ServerKind::ALL {
        let Some(cluster) = Cluster::start(kind, 2, 0) else { continue };
        let (mut moved, mut cross, mut excepted, mut unknown) = (0, 0, vec![0; EXCEPTIONS.len()], 0);
        // The first of two nodes owns the lower half of the slots: each is asked for the other's.
        for node in 0..2 {
            let mut conn = cluster.connect(node);
            let cases: Vec<&Case> = cases.iter().filter(|case| usize::from(first_slot(case) < 8192) == node).collect();
            for (case, said) in cases.iter().zip(answers(&mut conn, &cases)) {
                let ours = analyse(&FULL, case.args.as_slice()).map(|found| found.route());
                match (ours, said.split(' ').collect::<Vec<_>>().as_slice()) {
                    (_, ["ERR", "unknown", ..]) => unknown += 1,
                    (Ok(Route::Slot(slot)), ["MOVED", at, ..]) if *at == slot.to_string() => moved += 1,
                    (Err(CommandError::CrossSlot) | Ok(Route::Split), ["CROSSSLOT", ..]) => cross += 1,
                    (ours, _) => match EXCEPTIONS.iter().position(|exception| (exception.applies)(kind, case, &said)) {
                        Some(at) => excepted[at] += 1,
                        None => wrong.push(format!("{kind:?}: {}: {ours:?}, server {said}", case.text())),
                    },
                }
            }
        }
        println!("{kind:?}: MOVED to our slot {moved}, CROSSSLOT as ours {cross}, command unknown {unknown}");
        for (exception, count) in EXCEPTIONS.iter().zip(excepted).filter(|(_, count)| *count > 0) {
            println!("{kind:?}: exception ({count} answers): {}", exception.reason);
        }
        assert!(moved > 1000 && cross > 500, "hardly anything was compared");
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn keyed(case: &Case) -> bool {
    matches!(&case.expect, Expect::Keys { routed, .. } if !routed.is_empty())
}

/// The same with a common hash tag in front of all that decides the route.
fn in_one_slot(case: &Case) -> Case {
    let mut case = case.clone();
    if let Expect::Keys { routed, .. } = &case.expect {
        for &at in routed {
            case.args[at].splice(..0, *b"{one}");
        }
        assert!(routed.iter().all(|&at| Slot::of_key(&case.args[at]) == Slot::of_key(b"one")));
    }
    case
}

fn first_slot(case: &Case) -> u16 {
    let Expect::Keys { routed, .. } = &case.expect else { return 0 };
    routed.first().map_or(0, |&at| Slot::of_key(&case.args[at]).get())
}

/// What the server says, as text; confirmations of SUNSUBSCRIBE, one for each channel, as one word.
fn answers(conn: &mut Conn, cases: &[&Case]) -> Vec<String> {
    let mut texts = Vec::new();
    for chunk in cases.chunks(500) {
        for case in chunk {
            conn.send(&case.args).unwrap();
        }
        for case in chunk {
            let mut answer = conn.read().unwrap();
            if let Value::Array(items) | Value::Push(items) = &answer
                && let Some(kind) = items.first().filter(|kind| kind.text() == "sunsubscribe").cloned()
            {
                for _ in 2..case.args.len() {
                    conn.read().unwrap();
                }
                answer = kind;
            }
            texts.push(if answer.bytes().is_some() { answer.text() } else { format!("{answer:?}") });
        }
    }
    texts
}

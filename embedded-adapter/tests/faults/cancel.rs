//! A command that is given up at every stage of its life, between neighbours on the same connection.

use slotwise::cluster::{CancelStage, Config};
use slotwise::pipeline::{Outcome, Reason};
use slotwise::slot::Slot;

use crate::drive::Drive;
use crate::world::End;
use crate::{Rig, both_ways, rig};

/// The stage at which the command is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no connection and no map.
    NoMap,
    /// Behind a full window.
    Queued,
    /// In the transmit buffer; no byte has left.
    Buffered,
    /// Some bytes have left, some are not even in the buffer.
    HalfWritten,
    /// All bytes have left.
    Written,
    /// A part of the reply is in the receive buffer.
    HalfRead,
    /// A part of the reply has been handed out in tokens.
    HalfHandedOut,
    /// Redirected with MOVED to a node that cannot be reached yet.
    AtMoved,
    /// Redirected with ASK to such a node.
    AtAsk,
    /// Told to try again later.
    AtTryAgain,
}

both_ways!(at_every_stage);

fn at_every_stage<D: Drive>(how: D) {
    use Stage::*;
    for stage in [NoMap, Queued, Buffered, HalfWritten, Written, HalfRead, HalfHandedOut, AtMoved, AtAsk, AtTryAgain] {
        let change = |config: &mut Config| config.window = if stage == Queued { 1 } else { 64 };
        rig(how, change, |rig| give_up(rig, stage));
    }
}

/// Keys of one slot, whose node is number 1: two neighbours, and the victim's own.
const KEYS: [&str; 3] = ["{b}:before", "{b}:after", "{b}:victim"];

fn give_up<D: Drive>(rig: &mut Rig<'_, '_, D>, stage: Stage) {
    let (node, slot) = (rig.owner(KEYS[0]), Slot::of_key(KEYS[0].as_bytes()).get());
    let to = (node + 1) % 3;
    let large = "v".repeat(5 * crate::RX);
    if stage != Stage::NoMap {
        rig.warm_up();
        for key in KEYS {
            rig.app.push(&["SET", key, key]);
        }
        if stage == Stage::HalfHandedOut {
            rig.app.push(&["SET", KEYS[2], &large]);
        }
        rig.finish();
    }
    let neighbour = format!("${}\r\n{}\r\n", KEYS[0].len(), KEYS[0]);
    let (dials, closes) = (rig.net.dials, rig.net.closes);

    // What keeps it there.
    match stage {
        Stage::NoMap => {}
        Stage::Queued | Stage::Buffered => rig.net.shut.push(node),
        Stage::HalfWritten => drop(rig.net.take.insert(node, 500)),
        Stage::Written => drop(rig.net.give.insert(node, 0)),
        Stage::HalfRead => drop(rig.net.give.insert(node, neighbour.len() + 5)),
        Stage::HalfHandedOut => drop(rig.net.give.insert(node, 2_500)),
        Stage::AtMoved => rig.net.model.move_atomically(slot, to).unwrap(),
        Stage::AtAsk | Stage::AtTryAgain => {
            rig.net.model.begin_move(slot, to).unwrap();
            assert!(rig.net.model.move_key(slot, KEYS[2].as_bytes()).unwrap());
        }
    }
    rig.net.model.settle();
    let away = matches!(stage, Stage::AtMoved | Stage::AtAsk);
    if away {
        rig.net.cut(to);
        rig.net.dark.push(to);
        rig.settle();
    }

    let before = rig.app.push(&["GET", KEYS[0]]);
    let victim = match stage {
        Stage::HalfWritten => rig.app.push(&["SET", KEYS[2], &large]),
        Stage::AtTryAgain => rig.app.push(&["MGET", KEYS[2], KEYS[1]]),
        Stage::NoMap | Stage::Written => rig.app.push(&["SET", KEYS[2], "new"]),
        _ => rig.app.push(&["GET", KEYS[2]]),
    };
    let after = rig.app.push(&["GET", KEYS[1]]);
    if stage == Stage::NoMap {
        // Taken in, and no more than that.
        let _ = rig.how.turn(rig.driver, &mut rig.net, &mut rig.app, &mut rig.clock);
    } else {
        rig.settle();
    }
    if stage == Stage::HalfHandedOut {
        assert!(rig.app.partly(victim) > 1_000, "{}", rig.app.partly(victim));
    }
    assert!(!rig.app.ends.contains_key(&victim), "{stage:?}: too late: {:?}", rig.app.ends[&victim]);

    let (id, now) = (rig.app.ids[&victim], rig.now());
    let came = rig.driver.cancel(now, id);
    rig.settle();
    assert_eq!(rig.driver.cancel(now, id), CancelStage::Unknown, "{stage:?}: once only");
    let told = rig.app.ends.get(&victim).cloned();

    // The obstacle goes.
    rig.net.shut.clear();
    rig.net.take.clear();
    rig.net.give.clear();
    rig.net.dark.clear();
    if matches!(stage, Stage::AtAsk | Stage::AtTryAgain) {
        rig.net.model.move_keys(slot, 100).unwrap();
        rig.net.model.finish_move(slot).unwrap();
        rig.net.model.settle();
    }
    let last = rig.app.push(&["GET", KEYS[0]]);
    rig.finish();

    // Everybody else got what was theirs.
    for (tag, key) in [(before, KEYS[0]), (after, KEYS[1]), (last, KEYS[0])] {
        let expected = if stage == Stage::NoMap { "_\r\n".to_owned() } else { format!("${}\r\n{key}\r\n", key.len()) };
        assert_eq!(rig.app.reply(tag), expected, "{stage:?}");
    }
    let End::Failed(failure) = &rig.app.ends[&victim] else { panic!("{stage:?}: {:?}", rig.app.ends[&victim]) };
    assert_eq!(failure.reason, Reason::Cancelled, "{stage:?}");
    let expected = match came {
        CancelStage::NotSent => failure.outcome,
        CancelStage::InFlight if stage == Stage::HalfHandedOut => Outcome::ReplyLost,
        CancelStage::InFlight => Outcome::MaybeExecuted,
        CancelStage::Unknown => panic!("{stage:?}: it was not known"),
    };
    println!(
        "cancelled, {}, {stage:?}: {came:?}, {:?}, told {}; {} dials and {} closes after it",
        D::NAME,
        failure.outcome,
        if told.is_some() { "at once" } else { "when its bytes were not needed any more" },
        rig.net.dials - dials,
        rig.net.closes - closes,
    );
    assert_eq!(failure.outcome, expected, "{stage:?}");
    let unsent = matches!(stage, Stage::NoMap | Stage::Queued);
    let refused = matches!(stage, Stage::AtMoved | Stage::AtAsk | Stage::AtTryAgain);
    match (unsent, refused) {
        (true, _) => assert_eq!((came, failure.outcome), (CancelStage::NotSent, Outcome::NotSent), "{stage:?}"),
        // The server has refused it before, so it did not run.
        (_, true) => assert!(matches!(failure.outcome, Outcome::NotSent | Outcome::Rejected), "{stage:?}: {failure:?}"),
        _ => assert_eq!(came, CancelStage::InFlight, "{stage:?}"),
    }
    if failure.outcome == Outcome::NotSent && stage == Stage::NoMap {
        assert!(!rig.net.model.has_key(node, KEYS[2].as_bytes()));
    }
    // Its bytes are only kept while a stream needs them.
    assert_eq!(told.is_none(), stage == Stage::HalfWritten, "{stage:?}");
    if !away && stage != Stage::NoMap {
        assert_eq!((rig.net.dials, rig.net.closes), (dials, closes), "{stage:?}: no connection was given up for it");
    }
    rig.is_clean();
}

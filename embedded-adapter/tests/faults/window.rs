//! A window of 32 commands in flight on a node that dies, while the others go on.

use slotwise::pipeline::Outcome;

use crate::drive::Drive;
use crate::world::End;
use crate::{Rig, both_ways, rig};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// It carries out what it is sent and never answers.
    Mute,
    /// What it is sent is lost.
    Hole,
    /// It takes no byte.
    Shut,
    /// Its connections end, and it cannot be dialled.
    Gone,
    /// It takes a part of the window, and gives a part of the replies.
    Half,
}

both_ways!(mute, hole, shut, gone, half);

fn mute(how: impl Drive) {
    dead(how, Death::Mute);
}
fn hole(how: impl Drive) {
    dead(how, Death::Hole);
}
fn shut(how: impl Drive) {
    dead(how, Death::Shut);
}
fn gone(how: impl Drive) {
    dead(how, Death::Gone);
}
fn half(how: impl Drive) {
    dead(how, Death::Half);
}

fn dead<D: Drive>(how: D, death: Death) {
    rig(how, |config| config.window = 32, |rig| die(rig, death));
}

fn die<D: Drive>(rig: &mut Rig<'_, '_, D>, death: Death) {
    rig.warm_up();
    let node = 1;
    // They are on their way when it dies.
    match death {
        Death::Mute => rig.net.mute.push(node),
        Death::Hole => rig.net.hole.push(node),
        Death::Shut => rig.net.shut.push(node),
        Death::Gone => {}
        Death::Half => {
            rig.net.take.insert(node, 700);
            rig.net.give.insert(node, 7 * "+OK\r\n".len() + 3);
        }
    }
    let keys = rig.keys("dead", node, 32);
    let window: Vec<u64> = keys.iter().map(|key| rig.app.push(&["SET", key, "value"])).collect();
    if death == Death::Gone {
        // Written, not answered: cut before the next look.
        rig.net.give.insert(node, 0);
        rig.settle();
        rig.net.cut(node);
        rig.net.dark.push(node);
    }
    rig.settle();
    let in_flight = rig.driver.cluster().commands_live();

    // The others go on.
    let start = rig.clock.0;
    let others: Vec<String> = [0, 2].into_iter().flat_map(|other| rig.keys("live", other, 50)).collect();
    let answered: Vec<u64> = others.iter().map(|key| rig.app.push(&["SET", key, "value"])).collect();
    rig.settle();
    assert!(answered.iter().all(|tag| matches!(rig.app.ends.get(tag), Some(End::Reply { .. }))));
    let took = rig.clock.0 - start;

    rig.finish();
    let ended = (rig.clock.0 - start) / 1_000;
    let (mut replies, mut not_sent, mut maybe, mut wrong) = (0, 0, 0, 0);
    for (tag, key) in window.iter().zip(&keys) {
        let ran = rig.net.model.has_key(node, key.as_bytes());
        match &rig.app.ends[tag] {
            End::Reply { raw, .. } => {
                replies += 1;
                assert_eq!((raw.as_str(), ran), ("+OK\r\n", true), "{key}");
            }
            End::Failed(failure) if failure.outcome == Outcome::NotSent => {
                not_sent += 1;
                wrong += u32::from(ran);
            }
            End::Failed(failure) if failure.outcome == Outcome::MaybeExecuted => maybe += 1,
            other => panic!("{key} ended with {other:?}"),
        }
    }
    println!(
        "window of 32, {}, {death:?}: {in_flight} live; {} others answered within {took} us; after {ended} ms the 32 ended: \
         {replies} answered, {not_sent} not sent ({wrong} of them untrue), {maybe} maybe executed; {:?}",
        D::NAME,
        answered.len(),
        rig.app.closed
    );
    assert_eq!((replies + not_sent + maybe, wrong), (32, 0));
    let expected = match death {
        // All were told at once.
        Death::Gone => 0,
        // Seven have been answered.
        Death::Half => 25,
        Death::Mute | Death::Hole | Death::Shut => 32,
    };
    assert_eq!(in_flight, expected);
    match death {
        Death::Mute | Death::Hole => assert_eq!(maybe, 32),
        Death::Gone => assert_eq!(maybe, 32),
        Death::Shut => assert!(not_sent >= 28, "only what was in the transmit buffer may count as sent"),
        Death::Half => assert!(replies == 7 && maybe > 0),
    }

    // It comes back, and is as before.
    (rig.net.mute, rig.net.hole, rig.net.shut, rig.net.dark) = Default::default();
    rig.net.take.clear();
    rig.net.give.clear();
    rig.pass(20, false);
    let again: Vec<u64> = keys.iter().map(|key| rig.app.push(&["SET", key, "again"])).collect();
    rig.finish();
    assert!(again.iter().all(|tag| rig.app.reply(*tag) == "+OK\r\n"));
    rig.is_clean();
}

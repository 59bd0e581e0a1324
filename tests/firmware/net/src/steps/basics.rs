//! Joining, talking, leaving.

use slotwise::pipeline::Reorder;
use slotwise::topology::Node;

use super::LONG;
use crate::Orders;
use crate::app::{End, JOBS, Stage, What};
use crate::ensure;
use crate::rig::{Failed, Rig};
use crate::text::{Key, value_of};

/// Through one seed to the whole map, which is in many small pieces.
pub fn join(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let now = rig.now();
    rig.driver.cluster().connect(now);
    rig.wait(LONG, |rig| rig.map().covered() == 16_384)?;
    let map = rig.map();
    let (nodes, ranges, overflowed) = (map.node_count(), map.ranges().count(), map.overflowed());
    defmt::info!("map: {=usize} nodes, {=usize} ranges, overflowed: {=bool}", nodes, ranges, overflowed);
    ensure!(nodes == 3, "not three nodes", nodes);
    ensure!(ranges > 100 && !overflowed, "the map is not in pieces", ranges, overflowed);
    ensure!(map.nodes().all(|(_, node)| Node::is_primary(node)), "a node that is no primary");
    Ok(())
}

const PIPELINE: u16 = 120;

/// What the pipeline's command of this number is, and how it must end.
fn mixed(number: u16) -> (What, End) {
    match number % 4 {
        0 => (What::Set(Key::new("mixed:", number), value_of(number)), End::Ok),
        1 => (What::Get(Key::new("scan:", number)), End::Number(value_of(number))),
        2 => (What::Incr(Key::new("count:", number)), End::Integer(1)),
        _ => (What::Get(Key::new("absent:", number)), End::Nil),
    }
}

/// Mixed commands to all nodes at once; every reply is the right one, taken in the order of submission.
pub fn pipeline(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let mut results = Reorder::new([None::<End>; JOBS]);
    let mut numbers = [u16::MAX; JOBS];
    let mut at_node = [0_u16; 4];
    let (mut pushed, mut checked) = (0, 0);
    while checked < PIPELINE {
        // Results may be put in at most a window ahead of the next one to be taken out.
        while pushed < PIPELINE && usize::from(pushed - checked) < JOBS {
            let (what, _) = mixed(pushed);
            let Some(job) = rig.app.push(what) else { break };
            numbers[job] = pushed;
            pushed += 1;
        }
        rig.wait(LONG, |rig| rig.app.jobs.iter().any(|job| job.stage == Stage::Ended))?;
        for (job, number) in numbers.iter_mut().enumerate() {
            if *number != u16::MAX && rig.app.ended(job) {
                let end = rig.app.take(job).end;
                ensure!(results.put(u64::from(*number), end).is_ok(), "a result that has no place", *number);
                *number = u16::MAX;
            }
        }
        while let Some((number, end)) = results.take_next() {
            ensure!(number == u64::from(checked), "not in the order of submission", number, checked);
            let (what, expected) = mixed(checked);
            ensure!(end == expected, "another reply than expected", number, end, expected);
            let (What::Set(key, _) | What::Get(key) | What::Incr(key)) = what else { return Err("no key") };
            if let slotwise::topology::Owner::Node(node) = rig.map().owner(key.slot()) {
                at_node[node.index() % 4] += 1;
            }
            checked += 1;
        }
    }
    defmt::info!(
        "pipeline: {=u16} replies in order, by node {=u16} {=u16} {=u16}",
        checked,
        at_node[0],
        at_node[1],
        at_node[2]
    );
    ensure!(at_node[..3].iter().all(|count| *count >= 10), "a node got hardly anything", at_node);
    Ok(())
}

/// Nothing is left when the client has said that it leaves.
pub fn shutdown(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    rig.settle()?;
    ensure!(rig.app.jobs.iter().all(|job| job.stage == Stage::Free), "a job that nobody took");
    let now = rig.now();
    rig.driver.shutdown(now);
    rig.wait(LONG, |rig| rig.driver.cluster().is_drained())?;
    let steps = rig.driver.steps();
    defmt::info!("drained after {=u64} steps of the driver", steps);
    Ok(())
}

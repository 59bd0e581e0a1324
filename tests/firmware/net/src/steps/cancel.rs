//! Handles given up at every stage of a command's life.

use slotwise::cluster::CancelStage;
use slotwise::ids::NodeId;
use slotwise::pipeline::{Failure, Outcome, Reason};

use super::LONG;
use crate::app::{End, Job, Stage, What};
use crate::rig::{Failed, Rig};
use crate::text::{Key, value_of};
use crate::{Orders, ensure};

/// Longer than a transmit buffer and a TCP window together.
const LONG_VALUE: u32 = 6_000;

/// Drives in single steps, frames in and out between them if `polled`, until the job has come so far.
fn until(rig: &mut Rig, at: usize, polled: bool, far: impl Fn(&Job) -> bool) -> Result<(), Failed> {
    let end = rig.now() + LONG;
    while !far(&rig.app.jobs[at]) {
        ensure!(rig.now() < end, "the command does not come so far");
        ensure!(rig.app.jobs[at].stage != Stage::Ended, "the command was over too early", rig.app.jobs[at].end);
        if polled {
            rig.turn(1);
        } else {
            rig.drive_only(1);
        }
    }
    Ok(())
}

/// Gives a job up, and takes its one end.
fn cancel(rig: &mut Rig, at: usize, stage: CancelStage, outcome: Outcome) -> Result<(), Failed> {
    let id = rig.app.jobs[at].id.ok_or("not submitted")?;
    let now = rig.now();
    let said = rig.driver.cancel(now, id);
    ensure!(said == stage, "another stage", said, stage);
    rig.wait(LONG, |rig| rig.app.ended(at))?;
    let now = rig.now();
    ensure!(rig.driver.cancel(now, id) == CancelStage::Unknown, "the handle lives on");
    let job = rig.app.take(at);
    let End::Failed(Failure { outcome: said, reason, .. }) = job.end else { return Err("it did not fail") };
    ensure!(said == outcome && reason == Reason::Cancelled && job.ends == 1, "another end", said, reason, job.ends);
    Ok(())
}

/// Commands on the same connection still get their own replies.
fn neighbours(rig: &mut Rig, node: NodeId) -> Result<(), Failed> {
    let mut from = 0;
    for _ in 0..4 {
        let key = rig.key_at("scan:", from, |owner| owner == node)?;
        from = key.number + 1;
        let (end, _) = rig.call(What::Get(key))?;
        ensure!(end == End::Number(value_of(key.number)), "a reply of another command", key.number, end);
    }
    rig.settle()
}

/// Queued, half written, in flight and half read.
pub fn every_stage(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let node = rig.owner(Key::new("scan:", 1).slot()).ok_or("an unknown owner")?;
    neighbours(rig, node)?;
    let closed = rig.app.closed;

    // Queued: behind a window of others that were sent before it.
    let mut others = [0; 32];
    for (number, other) in others.iter_mut().enumerate() {
        *other = rig.push(What::Get(Key::new("scan:", 1)))?;
        let _ = number;
    }
    let key = rig.key_at("queued:", 0, |owner| owner == node)?;
    let queued = rig.push(What::Set(key, 1))?;
    until(rig, queued, false, |job| job.stage == Stage::Running)?;
    cancel(rig, queued, CancelStage::NotSent, Outcome::NotSent)?;
    rig.wait(LONG, |rig| rig.app.all_ended())?;
    for other in others {
        let job = rig.app.take(other);
        ensure!(job.end == End::Number(value_of(1)) && job.ends == 1, "a neighbour suffered", job.end);
    }
    let (end, _) = rig.call(What::Get(key))?;
    ensure!(end == End::Nil, "it was not sent, and ran", end);
    defmt::info!("cancel: queued: not sent, and it did not run");

    // Half written: some of its bytes are in the transmit buffer, the others nowhere yet.
    let key = rig.key_at("half:", 0, |owner| owner == node)?;
    let half = rig.push(What::Fill(key, LONG_VALUE))?;
    until(rig, half, false, |job| job.asked > 0)?;
    let asked = rig.app.jobs[half].asked;
    ensure!(asked < LONG_VALUE, "it was written at once", asked);
    cancel(rig, half, CancelStage::InFlight, Outcome::MaybeExecuted)?;
    neighbours(rig, node)?;
    let (end, _) = rig.call(What::StrLen(key))?;
    ensure!(end == End::Integer(i64::from(LONG_VALUE)), "it was finished, and did not run", end);
    defmt::info!("cancel: half written at {=u32} of {=u32}: finished, and its reply dropped", asked, LONG_VALUE);

    // In flight: all of it has left, no reply can have come, since no frame was let in.
    let key = rig.key_at("flight:", 0, |owner| owner == node)?;
    let flight = rig.push(What::Set(key, 5))?;
    until(rig, flight, false, |job| job.asked > 0)?;
    while !rig.drive_only(8) {}
    cancel(rig, flight, CancelStage::InFlight, Outcome::MaybeExecuted)?;
    neighbours(rig, node)?;
    let (end, _) = rig.call(What::Get(key))?;
    ensure!(end == End::Number(5), "it had left, and did not run", end);
    defmt::info!("cancel: in flight: it ran, and its reply was dropped");

    // Half read: the reply's first pieces were handed out.
    let list = Key::new("list:", 0);
    let read = rig.push(What::List(list))?;
    until(rig, read, true, |job| job.tokens > 20)?;
    let tokens = rig.app.jobs[read].tokens;
    cancel(rig, read, CancelStage::InFlight, Outcome::ReplyLost)?;
    let owner = rig.owner(list.slot()).ok_or("an unknown owner")?;
    neighbours(rig, owner)?;
    defmt::info!("cancel: half read after {=u32} tokens: the rest was dropped", tokens);
    ensure!(rig.app.closed == closed, "a connection was lost on the way", rig.app.closed);
    Ok(())
}

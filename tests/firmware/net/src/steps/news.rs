//! One sharded channel.

use slotwise::pubsub::{CommandDone, Kind};
use slotwise::server_error::ServerError;

use super::LONG;
use crate::app::{CHANNEL, End, What};
use crate::rig::{Failed, Rig};
use crate::{Orders, clock, ensure};

/// Does what the reconciler asks for, until every wish is fulfilled.
fn settle(rig: &mut Rig) -> Result<(), Failed> {
    let end = rig.now() + LONG;
    let mut job = None;
    while !rig.app.wishes.is_settled() || job.is_some() {
        ensure!(clock::now() < end, "the subscription took too long");
        let asked = rig.driver.cluster().map_asked();
        let map = rig.driver.cluster().map();
        if core::mem::take(&mut rig.app.map_changed) {
            rig.app.wishes.on_map(asked, &map);
        }
        if job.is_none() {
            rig.app.subscribing = rig.app.wishes.poll(clock::now(), &map);
            if rig.app.subscribing.is_some() {
                job = Some(rig.push(What::Subscribe)?);
            }
        }
        if rig.app.wishes.wants_refresh() {
            rig.driver.cluster().refresh(clock::now());
        }
        let idle = rig.turn(16);
        if let (Some(at), Some(request)) = (job.filter(|at| rig.app.ended(*at)), rig.app.subscribing) {
            let done = match rig.app.take(at).end {
                End::Confirmed(conn) => CommandDone::Fenced { conn },
                End::Refused(ref start) => {
                    let error = ServerError::parse(start);
                    defmt::info!("refused: {}", defmt::Debug2Format(&error.kind()));
                    rig.app.wishes.on_command_done(clock::now(), request.ticket, CommandDone::Refused { error: start });
                    job = None;
                    continue;
                }
                _ => CommandDone::Failed,
            };
            rig.app.wishes.on_command_done(clock::now(), request.ticket, done);
            job = None;
        } else if idle {
            cortex_m::asm::wfi();
        }
    }
    Ok(())
}

/// Publishes a number and waits for it.
fn hear(rig: &mut Rig, number: u32) -> Result<(), Failed> {
    let (end, _) = rig.call(What::Publish(number))?;
    ensure!(end == End::Integer(1), "the message has no receiver", end);
    rig.wait(LONG, |rig| rig.app.news & (1 << number) != 0)
}

/// Subscribes; a message of this image's own comes, and one that the host publishes.
pub fn subscribe(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    ensure!(rig.app.wishes.want(Kind::Sharded, CHANNEL.as_bytes()).is_ok(), "no room for a channel");
    settle(rig)?;
    hear(rig, 1)?;
    let order = rig.next_order();
    defmt::info!("order {=u16} publish {=str} 2", order, CHANNEL);
    rig.carried_out(order, LONG)?;
    rig.wait(LONG, |rig| rig.app.news & 4 != 0)?;
    ensure!(rig.app.news == 0b110, "other messages", rig.app.news);
    defmt::info!("news: both messages came on {=str}", CHANNEL);
    Ok(())
}

/// After all that happened to the cluster the wish still holds.
pub fn still(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    settle(rig)?;
    hear(rig, 3)?;
    let counts = *rig.app.wishes.counts();
    defmt::info!("news: the channel is still heard; interrupted {=u64} times", counts.interrupted);
    Ok(())
}

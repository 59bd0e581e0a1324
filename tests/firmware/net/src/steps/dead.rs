//! A node that takes everything and says nothing.

use slotwise::pipeline::{Failure, Outcome, Reason};
use slotwise::time::Duration;

use super::LONG;
use crate::app::{End, What};
use crate::rig::{Failed, Rig};
use crate::text::value_of;
use crate::{Orders, ensure};

/// As many as may be in flight on one connection.
const WINDOW: usize = 32;
const LIMIT: Duration = Duration::from_millis(1_500);

/// A window of commands on a stopped node: each ends once, in time, and what is said of it is true. The other nodes go on.
pub fn dead_node(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let safe = rig.owner(Rig::order_slot()).ok_or("an unknown owner")?;
    let first = rig.key_at("dead:", 0, |owner| owner != safe)?;
    let dead = rig.owner(first.slot()).ok_or("an unknown owner")?;
    let order = rig.next_order();
    defmt::info!("order {=u16} stop {=u16}", order, first.slot().get());
    rig.carried_out(order, LONG)?;

    let began = rig.now();
    let usual = core::mem::replace(&mut rig.app.timeout, LIMIT);
    let mut jobs = [(first, 0); WINDOW];
    let mut from = 0;
    for (key, job) in &mut jobs {
        *key = rig.key_at("dead:", from, |owner| owner == dead)?;
        from = key.number + 1;
        *job = rig.push(What::Set(*key, u32::from(key.number)))?;
    }
    rig.app.timeout = usual;
    // Meanwhile at the others.
    let (mut others, mut number) = (0, 0);
    while rig.now().since(began) < Duration::from_millis(1_000) {
        let key = rig.key_at("scan:", number, |owner| owner != dead)?;
        number = key.number + 1;
        let asked = rig.now();
        let (end, _) = rig.call(What::Get(key))?;
        ensure!(end == End::Number(value_of(key.number)), "another value", key.number, end);
        let took = rig.now().since(asked).as_millis();
        ensure!(took < 1_200, "another node waited for the dead one", took);
        others += 1;
        rig.pass(Duration::from_millis(5))?;
    }
    rig.wait(LONG, |rig| jobs.iter().all(|(_, job)| rig.app.ended(*job)))?;
    let took = rig.now().since(began).as_millis();
    ensure!((1_400..6_000).contains(&took), "not in time", took);

    let mut not_sent = [false; WINDOW];
    let mut maybe = 0_u16;
    for ((_, job), not_sent) in jobs.iter().zip(&mut not_sent) {
        let job = rig.app.take(*job);
        let End::Failed(Failure { outcome, reason, .. }) = job.end else { return Err("an answer from the dead") };
        ensure!(reason == Reason::TimedOut && job.ends == 1, "another end", reason, job.ends);
        match outcome {
            Outcome::MaybeExecuted => maybe += 1,
            Outcome::NotSent => *not_sent = true,
            other => ensure!(false, "an outcome that is not true", other),
        }
    }
    let order = rig.next_order();
    defmt::info!("order {=u16} go-on {=u16}", order, first.slot().get());
    rig.carried_out(order, LONG)?;
    // The node has done by now what it was sent.
    let mut ran = 0_u16;
    for ((key, _), not_sent) in jobs.iter().zip(&not_sent) {
        match rig.call(What::Get(*key))?.0 {
            End::Number(value) if value == u32::from(key.number) => {
                ensure!(!not_sent, "it was not sent, and ran", key.number);
                ran += 1;
            }
            End::Nil => {}
            other => ensure!(false, "another value", key.number, other),
        }
    }
    rig.settle()?;
    defmt::info!(
        "dead: of {=usize} commands {=u16} may have run, {=u16} did; {=u32} answers from the others meanwhile",
        WINDOW,
        maybe,
        ran,
        others
    );
    ensure!(usize::from(maybe) == WINDOW, "the window was not used", maybe);
    Ok(())
}

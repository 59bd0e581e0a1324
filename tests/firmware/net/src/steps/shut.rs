//! A server that does not read: its window closes, and opens again much later.

use slotwise::time::Duration;

use super::LONG;
use crate::app::{End, What};
use crate::rig::{Failed, Rig};
use crate::text::value_of;
use crate::{Orders, ensure};

/// More than all buffers on the way hold together.
const VALUE: u32 = 12 << 20;

/// A command is cut in the middle by a window that stays shut for as long as the host says. It arrives whole, and so do
/// those behind it, in order; the other nodes have been served all the time.
pub fn zero_window(rig: &mut Rig, orders: &Orders) -> Result<(), Failed> {
    let safe = rig.owner(Rig::order_slot()).ok_or("an unknown owner")?;
    let key = rig.key_at("shut:", 0, |owner| owner != safe)?;
    let node = rig.owner(key.slot()).ok_or("an unknown owner")?;
    let order = rig.next_order();
    defmt::info!("order {=u16} stop {=u16}", order, key.slot().get());
    rig.carried_out(order, LONG)?;

    let usual = core::mem::replace(&mut rig.app.timeout, Duration::from_secs(150));
    let fill = rig.push(What::Fill(key, VALUE))?;
    let mut behind = [(key, 0); 8];
    let mut from = 0;
    for (key, job) in &mut behind {
        *key = rig.key_at("scan:", from, |owner| owner == node)?;
        from = key.number + 1;
        *job = rig.push(What::Get(*key))?;
    }
    rig.app.timeout = usual;

    // Shut: for a second nothing more is taken.
    let (mut asked, mut since) = (0, rig.now());
    rig.wait(LONG, |rig| {
        let more = rig.app.jobs[fill].asked;
        if more != asked {
            (asked, since) = (more, rig.now());
        }
        rig.now().since(since) >= Duration::from_secs(1)
    })?;
    ensure!(asked > 4_096 && asked < VALUE, "the window did not shut", asked);
    defmt::info!("window shut after {=u32} of {=u32} bytes", asked, VALUE);

    let shut = Duration::from_millis(u64::from(orders.shut));
    let (mut others, mut number, mut told) = (0_u32, 0, 0);
    while rig.now().since(since) < shut {
        let key = rig.key_at("scan:", number % 2_000, |owner| owner != node)?;
        number = (key.number + 1) % 2_000;
        let began = rig.now();
        let (end, _) = rig.call(What::Get(key))?;
        ensure!(end == End::Number(value_of(key.number)), "another value", key.number, end);
        let took = rig.now().since(began).as_millis();
        ensure!(took < 1_000, "another node waited", took);
        others += 1;
        rig.pass(Duration::from_millis(20))?;
        let seconds = rig.now().since(since).as_millis() / 10_000;
        if seconds != told {
            told = seconds;
            defmt::info!("window shut for {=u64} s, {=u32} answers from the others", seconds * 10, others);
        }
        let now = rig.app.jobs[fill].asked;
        ensure!(now == asked, "bytes were taken through a shut window", now, asked);
    }
    let closed = rig.app.closed;
    ensure!(!rig.app.ended(fill) && behind.iter().all(|(_, job)| !rig.app.ended(*job)), "an end too early");

    let order = rig.next_order();
    defmt::info!("order {=u16} go-on {=u16}", order, key.slot().get());
    rig.carried_out(order, LONG)?;
    rig.wait(LONG.saturating_mul(3), |rig| rig.app.ended(fill) && behind.iter().all(|(_, job)| rig.app.ended(*job)))?;
    let job = rig.app.take(fill);
    ensure!(job.end == End::Ok && job.ends == 1, "the long command was lost", job.end);
    for (key, job) in behind {
        let job = rig.app.take(job);
        ensure!(job.end == End::Number(value_of(key.number)) && job.ends == 1, "one behind it was lost", job.end);
    }
    ensure!(rig.app.closed == closed, "a connection was lost on the way", rig.app.closed);
    // The host compares the value with the pattern.
    let order = rig.next_order();
    defmt::info!("order {=u16} compare {=str}{=u16} {=u32}", order, key.name, key.number, VALUE);
    ensure!(rig.carried_out(order, LONG)? == 1, "the value is another");
    defmt::info!(
        "shut: {=u32} ms; all {=u32} bytes and the 8 commands behind them arrived; {=u32} answers from the others meanwhile",
        orders.shut,
        VALUE,
        others
    );
    Ok(())
}

//! A server that does not read: its window closes, and opens again much later.

use slotwise::time::Duration;

use super::LONG;
use crate::app::{End, What};
use crate::rig::{Failed, Rig};
use crate::text::value_of;
use crate::{Orders, ensure};

/// Bytes of one long value, and the most of them that are sent: more than all buffers on the way hold together, whatever
/// the host's kernel allows them.
const VALUE: u32 = 4 << 20;
const VALUES: usize = 16;
/// Commands behind.
const BEHIND: usize = 8;

/// A command is cut in the middle by a window that stays shut for as long as the host says. It arrives whole, and so do
/// those behind it, in order; the other nodes have been served all the time.
pub fn zero_window(rig: &mut Rig, orders: &Orders) -> Result<(), Failed> {
    let safe = rig.owner(Rig::order_slot()).ok_or("an unknown owner")?;
    let key = rig.key_at("shut:", 0, |owner| owner != safe)?;
    let node = rig.owner(key.slot()).ok_or("an unknown owner")?;
    let order = rig.next_order();
    defmt::info!("order {=u16} stop {=u16}", order, key.slot().get());
    rig.carried_out(order, LONG)?;

    // Shut: for a second nothing more is taken.
    let usual = core::mem::replace(&mut rig.app.timeout, Duration::from_secs(150));
    let mut fills = [0; VALUES];
    let mut sent = 0;
    let (mut fill, mut asked, mut since) = (0, 0, rig.now());
    let end = rig.now() + LONG.saturating_mul(2);
    while rig.now().since(since) < Duration::from_secs(1) {
        ensure!(rig.now() < end, "the window does not shut");
        if sent == 0 || rig.app.jobs[fill].asked > VALUE {
            ensure!(sent < VALUES, "the window does not shut", sent);
            fill = rig.push(What::Fill(key, VALUE))?;
            fills[sent] = fill;
            sent += 1;
            (asked, since) = (0, rig.now());
        }
        rig.pass(Duration::from_millis(2))?;
        if rig.app.jobs[fill].asked != asked {
            (asked, since) = (rig.app.jobs[fill].asked, rig.now());
        }
    }
    let total = (sent as u32 - 1) * VALUE + asked;
    ensure!(total > 4_096 && asked < VALUE, "the window did not shut inside a command", total, asked);
    defmt::info!("window shut after {=u32} bytes, at {=u32} of {=u32} of a command", total, asked, VALUE);
    let mut behind = [(key, 0); BEHIND];
    let mut from = 0;
    for (key, job) in &mut behind {
        *key = rig.key_at("scan:", from, |owner| owner == node)?;
        from = key.number + 1;
        *job = rig.push(What::Get(*key))?;
    }
    rig.app.timeout = usual;
    let fills = &fills[..sent];

    let shut = Duration::from_millis(u64::from(orders.shut));
    let (mut others, mut number, mut told) = (0_u32, 0, 0);
    while rig.now().since(since) < shut {
        let key = rig.key_at("scan:", number % 2_000, |owner| owner != node)?;
        number = (key.number + 1) % 2_000;
        let began = rig.now();
        let (end, _) = rig.call(What::Get(key))?;
        ensure!(end == End::Number(value_of(key.number)), "another value", key.number, end);
        let took = rig.now().since(began).as_millis();
        ensure!(took < 2_000, "another node waited", took);
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
    let mut jobs = fills.iter().chain(behind.iter().map(|(_, job)| job));
    ensure!(jobs.all(|job| !rig.app.ended(*job)), "an end too early");

    let order = rig.next_order();
    defmt::info!("order {=u16} go-on {=u16}", order, key.slot().get());
    rig.carried_out(order, LONG)?;
    rig.wait(LONG.saturating_mul(3), |rig| rig.app.all_ended())?;
    for fill in fills {
        let job = rig.app.take(*fill);
        ensure!(job.end == End::Ok && job.ends == 1, "a long command was lost", job.end);
    }
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
        "shut: {=u32} ms; {=usize} values of {=u32} bytes and {=usize} commands behind them arrived; {=u32} answers from the others meanwhile",
        orders.shut,
        fills.len(),
        VALUE,
        BEHIND,
        others
    );
    Ok(())
}

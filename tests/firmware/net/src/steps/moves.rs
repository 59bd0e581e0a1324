//! Slots that move while commands are under way.

use slotwise::ids::NodeId;
use slotwise::topology::Owner;

use super::LONG;
use crate::app::{End, What};
use crate::rig::{Failed, Rig};
use crate::text::{Key, value_of};
use crate::{Orders, ensure};

/// A key of the host's and its value, checked by what the map and the reply say about the way it came.
fn read(rig: &mut Rig, number: u16) -> Result<bool, Failed> {
    let (end, resent) = rig.call(What::Get(Key::new("scan:", number)))?;
    ensure!(end == End::Number(value_of(number)), "another value", number, end);
    Ok(resent)
}

fn owner_of(rig: &mut Rig, number: u16) -> Result<NodeId, Failed> {
    rig.owner(Key::new("scan:", number).slot()).ok_or("an unknown owner")
}

/// A slot half moved: its key is at the target already, and the answer is ASK.
pub fn ask(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let number = 7;
    let before = owner_of(rig, number)?;
    ensure!(!read(rig, number)?, "a redirect too early");
    let order = rig.next_order();
    defmt::info!("order {=u16} begin-move {=u16}", order, Key::new("scan:", number).slot().get());
    rig.carried_out(order, LONG)?;
    // Once more and a command that writes: ASK is for one command only, and the map must not follow it.
    for _ in 0..3 {
        ensure!(read(rig, number)?, "no redirect though the key has left");
        ensure!(owner_of(rig, number)? == before, "ASK changed the map");
    }
    let (end, resent) = rig.call(What::Set(Key::new("scan:", number), value_of(number)))?;
    ensure!(end == End::Ok && resent, "a write was not redirected", end);
    let order = rig.next_order();
    defmt::info!("order {=u16} end-move {=u16}", order, Key::new("scan:", number).slot().get());
    rig.carried_out(order, LONG)?;
    ensure!(!rig.app.all_ended() || rig.app.broken.is_none(), "something is left");
    read(rig, number)?;
    defmt::info!("ask: 4 commands were redirected by ASK, and the map stayed");
    Ok(())
}

/// A slot moved for good: the answer is MOVED, and the map follows at once.
pub fn moved(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let mut tries = 0;
    for number in 20..26 {
        let before = owner_of(rig, number)?;
        let order = rig.next_order();
        defmt::info!("order {=u16} move {=u16}", order, Key::new("scan:", number).slot().get());
        rig.carried_out(order, LONG)?;
        // A refresh that was under way may have told the map already: then this was not the proof that is wanted.
        if owner_of(rig, number)? != before {
            continue;
        }
        ensure!(read(rig, number)?, "no redirect though the slot has left", number);
        ensure!(owner_of(rig, number)? != before, "MOVED did not change the map", number);
        ensure!(!read(rig, number)?, "redirected twice", number);
        tries += 1;
        if tries == 2 {
            defmt::info!("moved: 2 commands were redirected by MOVED, and the map followed");
            return Ok(());
        }
    }
    Err("the map knew of every move before a command was sent")
}

/// More ranges than the map has room for: what does not fit has an unknown owner, and is found all the same.
pub fn overflow(rig: &mut Rig, orders: &Orders) -> Result<(), Failed> {
    let order = rig.next_order();
    defmt::info!("order {=u16} shatter", order);
    let ranges = rig.carried_out(order, LONG.saturating_mul(2))?;
    let now = rig.now();
    rig.driver.cluster().refresh(now);
    rig.wait(LONG, |rig| rig.map().overflowed())?;
    let kept = rig.map().ranges().count();
    let unknown =
        |rig: &mut Rig, number: &u16| matches!(rig.map().owner(Key::new("scan:", *number).slot()), Owner::Unknown);
    let (mut lost, mut resent) = (0_u16, 0_u16);
    for number in (0..orders.keys).step_by(usize::from(orders.keys / 100)) {
        lost += u16::from(unknown(rig, &number));
        resent += u16::from(read(rig, number)?);
    }
    defmt::info!(
        "overflow: of {=u32} ranges {=usize} are kept; {=u16} of 100 owners unknown, {=u16} commands redirected, all answered",
        ranges,
        kept,
        lost,
        resent
    );
    ensure!(lost > 0 && resent > 0, "nothing was unknown", lost, resent);
    Ok(())
}

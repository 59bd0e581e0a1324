//! Replies much larger than memory.

use super::LONG;
use crate::app::{End, What};
use crate::rig::{Failed, Rig};
use crate::text::{Checksum, Key};
use crate::{Orders, ensure};

/// The host's list: so many strings of so many bytes.
const ELEMENTS: u32 = 1024;
const EACH: u32 = 1024;
/// The host's string.
const STRING: u32 = 1 << 20;

/// Walks a list of 1 MiB and a string of 1 MiB through 2 KiB.
pub fn tokens(rig: &mut Rig, _: &Orders) -> Result<(), Failed> {
    let at = rig.push(What::List(Key::new("list:", 0)))?;
    rig.wait(LONG, |rig| rig.app.ended(at))?;
    let list = rig.app.take(at);
    defmt::info!("list: {=u32} bytes in {=u32} tokens, {}", list.bytes, list.tokens, list.sum);
    ensure!(list.end == End::Other && list.bytes == ELEMENTS * EACH, "another list", list.end, list.bytes);
    // Its strings, one behind the other, are the pattern.
    ensure!(list.sum == Checksum::of_pattern(ELEMENTS * EACH), "a list of other bytes", list.sum);
    ensure!(list.tokens > ELEMENTS, "not token by token", list.tokens);

    let at = rig.push(What::Stream(Key::new("string:", 0)))?;
    rig.wait(LONG, |rig| rig.app.ended(at))?;
    let string = rig.app.take(at);
    defmt::info!("string: {=u32} bytes in {=u32} tokens, {}", string.bytes, string.tokens, string.sum);
    ensure!(string.bytes == STRING && string.sum == Checksum::of_pattern(STRING), "another string", string.bytes);
    Ok(())
}

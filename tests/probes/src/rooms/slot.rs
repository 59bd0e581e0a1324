//! Room `slot`.

use slotwise::slot::{Slot, SlotRange, SlotSet, hash_tag, tag_for};

#[inline(never)]
pub fn call(input: &[u8]) -> u32 {
    let slot = Slot::of_key(input);
    let mut set = SlotSet::new();
    set.insert(slot);
    if let Some(range) = SlotRange::new(Slot::masked(input.len() as u16), slot) {
        set.insert_range(range);
    }
    let ranges = set.ranges().map(|range| u32::from(range.len())).sum::<u32>();
    ranges ^ u32::from(tag_for(slot)[0]) ^ hash_tag(input).len() as u32
}

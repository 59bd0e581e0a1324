//! Functions of slots.

use super::*;
use slotwise::slot::*;

pub(super) fn keep() {
    keep![
        crc16,
        Slot::new,
        Slot::masked,
        Slot::of_key,
        Slot::get,
        Slot::index,
        Slot::next,
        <Slot as fmt::Display>::fmt,
        SlotRange::new,
        SlotRange::one,
        SlotRange::first,
        SlotRange::last,
        SlotRange::len,
        SlotRange::contains,
        SlotRange::overlaps,
        SlotRange::intersection,
        SlotRange::iter,
        <SlotRange as fmt::Display>::fmt,
        <SlotRangeIter as Iterator>::next,
        SlotSet::new,
        SlotSet::insert,
        SlotSet::remove,
        SlotSet::contains,
        SlotSet::insert_range,
        SlotSet::remove_range,
        SlotSet::contains_range,
        SlotSet::clear,
        SlotSet::len,
        SlotSet::is_empty,
        SlotSet::is_full,
        SlotSet::union,
        SlotSet::subtract,
        SlotSet::intersect,
        SlotSet::intersects,
        SlotSet::first,
        SlotSet::next_from,
        SlotSet::next_absent,
        SlotSet::count_in,
        SlotSet::insert_from,
        SlotSet::remove_from,
        SlotSet::nth,
        SlotSet::ranges,
        SlotSet::as_words,
        SlotSet::from_words,
        <SlotSetRanges as Iterator>::next,
        hash_tag,
        tag_for,
        with_closures,
    ];
}

fn with_closures(set: &SlotSet) {
    SlotSet::iter(set).for_each(used);
}

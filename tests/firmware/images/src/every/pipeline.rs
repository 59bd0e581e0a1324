//! Functions of splitting and merging.

use super::*;
use slotwise::pipeline::*;

pub(super) fn keep() {
    keep![
        Elements::new,
        Elements::place,
        Elements::begun,
        Answer::of,
        PartState::executed,
        PartState::is_failure,
        <MergeError as fmt::Display>::fmt,
        Merge::<[PartState; 2]>::new,
        Merge::<[PartState; 2]>::answer,
        Merge::<[PartState; 2]>::columns::<core::array::IntoIter<Option<i64>, 2>>,
        Merge::<[PartState; 2]>::fail,
        Merge::<[PartState; 2]>::is_finished,
        Merge::<[PartState; 2]>::finish,
        Merge::<[PartState; 2]>::partial,
        Merge::<[PartState; 2]>::states,
        Merge::<[PartState; 2]>::tally,
        Outcome::as_str,
        Outcome::name,
        <Outcome as fmt::Display>::fmt,
        Reason::name,
        <Reason as fmt::Display>::fmt,
        <Failure as fmt::Display>::fmt,
        <PlanError as fmt::Display>::fmt,
        Plan::<[Link; 4], [Lane; 2]>::new,
        Plan::<[Link; 4], [Lane; 2]>::clear,
        Plan::<[Link; 4], [Lane; 2]>::len,
        Plan::<[Link; 4], [Lane; 2]>::is_empty,
        Plan::<[Link; 4], [Lane; 2]>::push,
        Plan::<[Link; 4], [Lane; 2]>::pop,
        Plan::<[Link; 4], [Lane; 2]>::put_back,
        Plan::<[Link; 4], [Lane; 2]>::waiting,
        Plan::<[Link; 4], [Lane; 2]>::commands,
        Plan::<[Link; 4], [Lane; 2]>::links_mut,
        Plan::<[Link; 4], [Lane; 2]>::lanes_mut,
        <LaneCommands as Iterator>::next,
        <Refused<u8> as fmt::Display>::fmt,
        Reorder::<[Option<u8>; 4]>::new,
        Reorder::<[Option<u8>; 4]>::held,
        Reorder::<[Option<u8>; 4]>::taken,
        Reorder::<[Option<u8>; 4]>::clear::<u8>,
        Reorder::<[Option<u8>; 4]>::put::<u8>,
        Reorder::<[Option<u8>; 4]>::ready::<u8>,
        Reorder::<[Option<u8>; 4]>::first_missing::<u8>,
        Reorder::<[Option<u8>; 4]>::take_next::<u8>,
        Reorder::<[Option<u8>; 4]>::get::<u8>,
        decide,
        may_resend,
        Shape::of,
        Shape::merge,
        Shape::step,
        Shape::keys,
        <SplitError as fmt::Display>::fmt,
        split::<[&str]>,
        Layout::view::<[&str]>,
        Split::<[&str]>::layout,
        Split::<[&str]>::len,
        Split::<[&str]>::keys,
        Split::<[&str]>::shape,
        Split::<[&str]>::part,
        Split::<[&str]>::position,
        PartView::<[&str]>::slot,
        PartView::<[&str]>::keys,
        PartView::<[&str]>::position,
        <PartView<[&str]> as slotwise::resp::Args>::count,
        <PartView<[&str]> as slotwise::resp::Args>::arg,
        with_closures,
    ];
}

fn with_closures(
    plan: &Plan<[Link; 4], [Lane; 2]>,
    reorder: &Reorder<[Option<u8>; 4]>,
    split: &Split<'_, [&str]>,
    part: &PartView<'_, [&str]>,
) {
    Plan::<[Link; 4], [Lane; 2]>::lanes(plan).for_each(used);
    Reorder::<[Option<u8>; 4]>::prefix::<u8>(reorder).for_each(used);
    Split::<[&str]>::parts(split).for_each(used);
    PartView::<[&str]>::positions(part).for_each(used);
}

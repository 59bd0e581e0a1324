//! Replies that name none of the nodes that are known.

use super::freshness::{fresh, ms, view};
use super::*;
use crate::time::Duration;

#[test]
fn another_cluster_has_to_be_confirmed() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(10), id(0), &ours.map(), &ours.map()), Verdict::Same);
    assert_eq!(fresh.judge(ms(2_500), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_600), id(6), &ours.map(), &theirs.map()), Verdict::Newer, "it was built anew");
}

#[test]
fn as_many_as_the_caller_wants_have_to_say_that_it_is_another_cluster() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let mut fresh = fresh();
    fresh.set_quorum(3);
    assert_eq!(fresh.judge(ms(0), id(5), &ours.map(), &theirs.map()), Verdict::Suspect);
    // For long enough, and more than say otherwise, but two of the addresses may be another cluster's now.
    assert_eq!(fresh.judge(ms(2_500), id(6), &ours.map(), &theirs.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_600), id(5), &ours.map(), &theirs.map()), Verdict::Suspect, "one of the two again");
    assert_eq!(fresh.clone().judge(ms(2_700), id(7), &ours.map(), &theirs.map()), Verdict::Newer);
    let mut staged = view([5, 6, 7], None);
    assert_eq!(fresh.keep_redirects(ms(2_700), &ours.map(), &mut staged.map_mut()), Verdict::Suspect);
    fresh.set_quorum(2);
    assert_eq!(fresh.keep_redirects(ms(2_700), &ours.map(), &mut staged.map_mut()), Verdict::Newer);
    // Of one cluster it is enough that more say so.
    let mut fresh = Freshness::new(Duration::from_secs(2));
    fresh.set_quorum(3);
    let less = view([0, 1], None);
    assert_eq!(fresh.judge(ms(0), id(0), &ours.map(), &less.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_100), id(0), &ours.map(), &less.map()), Verdict::Newer);
}

#[test]
fn a_node_whose_id_nobody_told_has_a_say() {
    let (ours, theirs) = (view([0, 1, 2], None), view([5, 6, 7], None));
    let nobody = NodeId::from_bytes([0; 20]);
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), nobody, &theirs.map(), &ours.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(1_000), id(5), &theirs.map(), &theirs.map()), Verdict::Same);
    assert_eq!(fresh.judge(ms(2_100), nobody, &theirs.map(), &ours.map()), Verdict::Suspect, "one against one");
    assert_eq!(fresh.judge(ms(2_200), id(0), &theirs.map(), &ours.map()), Verdict::Newer);
}

#[test]
fn strangers_are_the_same_whatever_changes_among_them() {
    let ours = view([0, 1, 2], None);
    let mut fresh = fresh();
    // Slots change hands there all the time.
    for (at, theirs) in [(0, [5, 6, 7]), (700, [6, 5, 7]), (1_400, [7, 6, 5])] {
        assert_eq!(fresh.judge(ms(at), id(5), &ours.map(), &view(theirs, None).map()), Verdict::Suspect, "{at}");
    }
    let (others, less) = (view([8, 9, 10], None), view([7, 6], None));
    assert_eq!(fresh.clone().judge(ms(2_100), id(5), &ours.map(), &less.map()), Verdict::Suspect, "slots are lost");
    assert_eq!(fresh.clone().judge(ms(2_100), id(5), &ours.map(), &others.map()), Verdict::Suspect, "not these");
    assert_eq!(fresh.judge(ms(2_100), id(5), &ours.map(), &view([5, 7, 6], None).map()), Verdict::Newer);
}

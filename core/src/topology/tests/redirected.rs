//! What redirects have taught, against replies that say otherwise.

use super::freshness::{fresh, ms, view};
use super::*;
use crate::time::Duration;

#[test]
fn what_a_redirect_taught_is_not_taken_back() {
    let a = view([0, 1, 2], None);
    let mut current = view([0, 1, 2], None);
    let target = current.map().find(&id(1)).unwrap();
    assert_eq!(moved(&mut current.map_mut(), slot(7), target), MovedCase::OtherPrimary);
    let mut fresh = fresh();
    fresh.note_moved(ms(0), slot(7), id(1));
    assert_eq!(fresh.judge(ms(10), id(0), &current.map(), &a.map()), Verdict::Suspect);
    // A view that agrees on the slot is taken, whatever else it says.
    let mut newer = view([0, 1, 3], None);
    let target = newer.map().find(&id(1)).unwrap();
    moved(&mut newer.map_mut(), slot(7), target);
    assert_eq!(fresh.clone().judge(ms(20), id(3), &current.map(), &newer.map()), Verdict::Newer);
    // The redirect may have been wrong, or overtaken: after the hold time others decide.
    assert_eq!(fresh.judge(ms(2_020), id(0), &current.map(), &a.map()), Verdict::Newer);
}

#[test]
fn a_redirect_goes_into_the_reply_that_does_not_know_it() {
    let give = |tables: &mut Tables, at: u16, to: u16| {
        let target = tables.map().find(&id(to)).unwrap();
        moved(&mut tables.map_mut(), slot(at), target);
    };
    let owner = |tables: &Tables, at: u16| {
        let map = tables.map();
        let Owner::Node(node) = map.owner(slot(at)) else { panic!("{at} has no owner") };
        map.node(node).unwrap().id()
    };
    let mut current = view([0, 1, 2], None);
    give(&mut current, 7, 1);
    let mut fresh = fresh();
    fresh.note_moved(ms(0), slot(7), id(1));
    // It lags behind in one slot, and is ahead in others.
    let mut reply = view([0, 1, 3], None);
    assert_eq!(fresh.judge(ms(10), id(0), &current.map(), &reply.map()), Verdict::Suspect);
    assert_eq!(fresh.clone().keep_redirects(ms(10), &current.map(), &mut reply.map_mut()), Verdict::Newer);
    assert_eq!((owner(&reply, 7), owner(&reply, 8), owner(&reply, 250)), (id(1), id(0), id(3)));
    // All it says is what the redirect has overtaken.
    let mut behind = view([0, 1, 2], None);
    assert_eq!(fresh.clone().keep_redirects(ms(10), &current.map(), &mut behind.map_mut()), Verdict::Same);
    // It does not have the node that the redirect led to: nothing to give the slot to.
    let mut without = view([0, 4, 2], None);
    assert_eq!(fresh.clone().keep_redirects(ms(30), &current.map(), &mut without.map_mut()), Verdict::Suspect);
    // Slots are lost as well.
    let mut less = view([0, 1, 2], None);
    less.map_mut().clear();
    let index = less.map_mut().add_node(&primary(0, 1));
    less.map_mut().add_node(&primary(1, 2));
    less.map_mut().add_range(range(0, 99), index).unwrap();
    less.map_mut().finish().unwrap();
    assert_eq!(fresh.clone().keep_redirects(ms(40), &current.map(), &mut less.map_mut()), Verdict::Suspect);
    // A view that was just replaced is not made to look like news.
    let mut old = view([0, 1, 2], None);
    let mut next = view([0, 1, 3], None);
    give(&mut next, 7, 1);
    let mut swapped = fresh.clone();
    assert_eq!(swapped.judge(ms(50), id(3), &old.map(), &next.map()), Verdict::Newer);
    assert_eq!(swapped.judge(ms(60), id(0), &next.map(), &old.map()), Verdict::Suspect);
    assert_eq!(swapped.keep_redirects(ms(60), &next.map(), &mut old.map_mut()), Verdict::Suspect);
    // The same after a view that was made to agree.
    let mut made = view([0, 1, 3], None);
    assert_eq!(fresh.keep_redirects(ms(70), &current.map(), &mut made.map_mut()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(80), id(2), &made.map(), &current.map()), Verdict::Suspect);
}

#[test]
fn who_takes_a_redirect_back_is_believed_in_time() {
    let mut current = view([0, 1, 2], None);
    let target = current.map().find(&id(1)).unwrap();
    moved(&mut current.map_mut(), slot(7), target);
    let mut fresh = fresh();
    // The redirect comes again and again, and so do replies of all the others, with other changes between them.
    let mut served = view([0, 1, 2], None);
    for n in 0..24_u16 {
        let now = ms(u64::from(n) * 100);
        fresh.note_moved(now, slot(7), id(1));
        let mut reply = view([0, 1, 10 + n], None);
        let verdict = fresh.judge(now, id(n % 3), &current.map(), &reply.map());
        if n > 20 {
            assert_eq!(verdict, Verdict::Newer, "{n}");
            // What was replaced while it waited to be confirmed is as old as before.
            let later = now + Duration::from_millis(50);
            assert_eq!(fresh.judge(later, id(0), &reply.map(), &served.map()), Verdict::Suspect);
            return;
        }
        assert_eq!(verdict, Verdict::Suspect, "{n}");
        assert_eq!(fresh.keep_redirects(now, &current.map(), &mut reply.map_mut()), Verdict::Newer, "{n}");
        served = core::mem::replace(&mut current, reply);
    }
    panic!("never: {}", print(&served.map()));
}

#[test]
fn a_redirect_that_says_the_same_does_not_begin_the_hold_time_anew() {
    let mut current = view([0, 1, 2, 4], Some([5, 6, 7, 3]));
    let reply = view([0, 1, 4, 3], Some([5, 6, 3, 9]));
    let target = current.map().find(&id(4)).unwrap();
    let mut fresh = fresh();
    for (at, taught) in [(0, 200), (900, 250), (1_800, 299)] {
        assert_eq!(fresh.judge(ms(at), id(0), &current.map(), &reply.map()), Verdict::Suspect, "{at}");
        moved(&mut current.map_mut(), slot(taught), target);
        fresh.note_moved(ms(at), slot(taught), id(4));
    }
    assert_eq!(fresh.judge(ms(2_010), id(0), &current.map(), &reply.map()), Verdict::Newer);
}

#[test]
fn a_redirect_stays_when_something_else_is_confirmed() {
    let mut current = view([0, 1, 2], None);
    let target = current.map().find(&id(1)).unwrap();
    let less = view([0, 1], None);
    let mut fresh = fresh();
    assert_eq!(fresh.judge(ms(0), id(0), &current.map(), &less.map()), Verdict::Suspect, "slots are lost");
    moved(&mut current.map_mut(), slot(7), target);
    fresh.note_moved(ms(1_500), slot(7), id(1));
    // Who confirms it knows of the redirect already.
    let mut agrees = view([0, 1], None);
    let target = agrees.map().find(&id(1)).unwrap();
    moved(&mut agrees.map_mut(), slot(7), target);
    assert_eq!(fresh.judge(ms(2_010), id(1), &current.map(), &agrees.map()), Verdict::Newer);
    assert_eq!(fresh.judge(ms(2_020), id(0), &agrees.map(), &less.map()), Verdict::Suspect, "it lags behind");
}

#[test]
fn what_is_confirmed_is_taken_with_the_redirect_learnt_meanwhile() {
    let mut current = view([0, 1, 2], None);
    let (mut part, mut too_early, mut less) = (view([0, 1], None), view([0, 1], None), view([0], None));
    let mut fresh = fresh();
    for (at, from) in [(0, 3), (1_000, 4)] {
        assert_eq!(fresh.judge(ms(at), id(from), &current.map(), &part.map()), Verdict::Suspect);
    }
    let target = current.map().find(&id(1)).unwrap();
    moved(&mut current.map_mut(), slot(7), target);
    fresh.note_moved(ms(2_000), slot(7), id(1));
    let early = fresh.clone().keep_redirects(ms(1_950), &current.map(), &mut too_early.map_mut());
    assert_eq!(early, Verdict::Suspect, "it is not confirmed yet");
    let other = fresh.clone().keep_redirects(ms(2_105), &current.map(), &mut less.map_mut());
    assert_eq!(other, Verdict::Suspect, "this is not what was confirmed");
    assert_eq!(fresh.judge(ms(2_105), id(3), &current.map(), &part.map()), Verdict::Suspect);
    assert_eq!(fresh.keep_redirects(ms(2_105), &current.map(), &mut part.map_mut()), Verdict::Newer);
    assert_eq!(print(&part.map()), "0-6=1 7=2 8-99=1 100-199=2 200-16383=-");
}

#[test]
fn memory_is_bounded_and_the_newest_redirects_stay() {
    let mut fresh = fresh();
    let mut current = view([0, 1, 2], None);
    let target = current.map().find(&id(1)).unwrap();
    for n in 0..60 {
        current.map_mut().patch(slot(n), target);
        fresh.note_moved(ms(u64::from(n)), slot(n), id(1));
    }
    let mut forgets = view([0, 1, 2], None);
    for n in 0..59 {
        forgets.map_mut().patch(slot(n), target);
    }
    assert_eq!(fresh.judge(ms(100), id(0), &current.map(), &forgets.map()), Verdict::Suspect);
    assert!(size_of::<Freshness>() <= 1024 + 256, "{}", size_of::<Freshness>());
}

#[test]
fn redirects_that_go_on_do_not_keep_a_confirmed_view_out() {
    // The redirects lead to a node that the view does not have, or to one that it has.
    for (to, kept) in [(3, 0), (1, 1)] {
        let (old, mut current) = (view([0, 1, 2], None), view([0, 1, 3], None));
        let mut fresh = fresh();
        assert_eq!(fresh.judge(ms(0), id(1), &old.map(), &current.map()), Verdict::Newer);
        let target = current.map().find(&id(to)).unwrap();
        for at in [100, 1_100, 2_050] {
            moved(&mut current.map_mut(), slot(7), target);
            fresh.note_moved(ms(at), slot(7), id(to));
            let mut reply = view([0, 1, 2], None);
            assert_eq!(fresh.judge(ms(at + 1), id(0), &current.map(), &reply.map()), Verdict::Suspect, "{at}");
            let verdict = fresh.keep_redirects(ms(at + 1), &current.map(), &mut reply.map_mut());
            assert_eq!(verdict, Verdict::Suspect, "{at}");
        }
        let mut reply = view([0, 1, 2], None);
        assert_eq!(fresh.judge(ms(2_150), id(1), &current.map(), &reply.map()), Verdict::Suspect);
        assert_eq!(fresh.keep_redirects(ms(2_150), &current.map(), &mut reply.map_mut()), Verdict::Newer);
        assert_eq!(reply.map().owner(slot(7)), Owner::Node(reply.map().find(&id(kept)).unwrap()));
    }
}

#[test]
fn redirects_of_many_slots_do_not_keep_out_what_all_say() {
    // They come late, one slot after the other, and lead to a node that has left.
    let mut current = view([0, 1, 2, 9], None);
    let reply = view([0, 1, 2, 2], None);
    let target = current.map().find(&id(9)).unwrap();
    let mut fresh = fresh();
    for n in 0..30 {
        moved(&mut current.map_mut(), slot(n), target);
        fresh.note_moved(ms(u64::from(n) * 100), slot(n), id(9));
        let verdict = fresh.judge(ms(u64::from(n) * 100 + 1), id(n % 3), &current.map(), &reply.map());
        let expected = if n <= 20 { Verdict::Suspect } else { Verdict::Newer };
        assert_eq!(verdict, expected, "{n}");
        if n > 20 {
            break;
        }
    }
}

#[test]
fn what_all_have_said_for_long_is_not_said_against_a_redirect_that_has_just_come() {
    let (old, mut now) = (view([0, 1, 2], None), view([0, 1, 2], None));
    let mut fresh = Freshness::new(Duration::from_secs(2));
    for at in [0, 1_000, 2_000] {
        assert_eq!(fresh.judge(ms(at), id(0), &now.map(), &old.map()), Verdict::Same);
    }
    let target = now.map().find(&id(1)).unwrap();
    moved(&mut now.map_mut(), slot(7), target);
    fresh.note_moved(ms(2_100), slot(7), id(1));
    assert_eq!(fresh.judge(ms(2_200), id(0), &now.map(), &old.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(2_300), id(2), &now.map(), &old.map()), Verdict::Suspect);
}

#[test]
fn a_redirect_that_cannot_be_kept_is_not_lost_with_lost_slots() {
    // A shard is lost, say all; with other news each time, with the same ones for a while, or with none.
    for (same_since, verdict) in [(u16::MAX, Verdict::Suspect), (10, Verdict::Suspect), (0, Verdict::Newer)] {
        let mut current = view([0, 1, 2, 3], None);
        let target = current.map().find(&id(3)).unwrap();
        let mut fresh = fresh();
        let reply = |n: u16| view([0, 10 + n.min(same_since), 2], None);
        for n in 0..=20 {
            let at = u64::from(n) * 100;
            assert_eq!(fresh.judge(ms(at), id(n % 3), &current.map(), &reply(n).map()), Verdict::Suspect, "{at}");
        }
        moved(&mut current.map_mut(), slot(7), target);
        fresh.note_moved(ms(2_050), slot(7), id(3));
        let mut last = reply(21);
        assert_eq!(fresh.judge(ms(2_100), id(1), &current.map(), &last.map()), Verdict::Suspect);
        let kept = fresh.keep_redirects(ms(2_100), &current.map(), &mut last.map_mut());
        assert_eq!(kept, verdict, "the same since {same_since}");
    }
}

/// Who else is said to have a slot is a part of the doubt, also of the first slot.
#[test]
fn another_owner_than_the_redirects_is_another_doubt() {
    let mut current = view([0, 1, 2], None);
    let target = current.map().find(&id(1)).unwrap();
    moved(&mut current.map_mut(), slot(0), target);
    let (one, other) = (view([5, 1, 2], None), view([6, 1, 2], None));
    let mut fresh = fresh();
    for (at, said) in [(0, &one), (1_500, &other), (2_100, &other)] {
        if at < 2_000 {
            fresh.note_moved(ms(at), slot(0), id(1));
        }
        assert_eq!(fresh.judge(ms(at), id(2), &current.map(), &said.map()), Verdict::Suspect, "{at}");
    }
    // The same for as long: it is believed.
    fresh.note_moved(ms(3_000), slot(0), id(1));
    assert_eq!(fresh.judge(ms(3_600), id(2), &current.map(), &other.map()), Verdict::Newer);
}

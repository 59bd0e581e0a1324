//! Every packed fact of an entry alone, and beside the others.

use super::entry::{Aim, Entry, Flag, GroupRetry};
use super::*;
use crate::command::{Access, CommandSpec, RetryPermission, Target};
use crate::slot::Slot;
use crate::time::{Instant, Stamp};
use crate::topology::{Map, NodeIndex};

const ALL: [Flag; 12] = [
    Flag::ASKING,
    Flag::STARTED,
    Flag::MAYBE,
    Flag::DELAYED,
    Flag::ASKED,
    Flag::FAILED,
    Flag::READ,
    Flag::BLOCKING,
    Flag::STREAMED,
    Flag::SCRIPT,
    Flag::SUBSCRIBE,
    Flag::RESEND,
];

fn spec() -> CommandSpec {
    CommandSpec::new(Target::Slot(Slot::masked(9_999)), Access::Write, 31)
}

fn entry(change: impl FnOnce(&mut CommandSpec)) -> Entry {
    let mut spec = spec();
    change(&mut spec);
    let mut entry = Entry::EMPTY;
    entry.admit(&spec, None);
    entry
}

#[test]
fn flags_do_not_touch_each_other() {
    for flag in ALL {
        let mut entry = entry(|_| {});
        entry.set_group_retry(Some(GroupRetry::Later));
        entry.set(flag, true);
        for other in ALL {
            assert_eq!(entry.has(other), other == flag, "{flag:?} {other:?}");
        }
        assert_eq!(entry.aim(), Aim::Slot(Slot::masked(9_999)));
        assert_eq!(entry.group_retry(), Some(GroupRetry::Later));
        entry.set(flag, false);
        assert!(!entry.has(flag));
    }
}

#[test]
fn each_fact_of_a_spec_alone() {
    type Fact = (Flag, fn(&mut CommandSpec));
    let facts: [Fact; 6] = [
        (Flag::BLOCKING, |spec| spec.blocking = true),
        (Flag::STREAMED, |spec| spec.streamed = true),
        (Flag::SCRIPT, |spec| spec.script_like = true),
        (Flag::SUBSCRIBE, |spec| spec.subscribe = true),
        (Flag::RESEND, |spec| spec.retry = RetryPermission::Always),
        (Flag::MAYBE, |_| {}),
    ];
    for (flag, change) in facts {
        for target in [Target::Slot(Slot::masked(9_999)), Target::AnyNode, Target::AnyPrimary] {
            let entry = entry(|spec| {
                spec.target = target;
                change(spec);
            });
            for other in ALL {
                assert_eq!(entry.has(other), other == flag && flag != Flag::MAYBE, "{flag:?} {other:?} {target:?}");
            }
            assert_eq!(entry.slot(), target.slot());
            let back = entry.spec();
            assert_eq!((back.script_like, back.access, back.len), (flag == Flag::SCRIPT, Access::Write, 31));
            assert_eq!(back.target.slot(), target.slot());
            assert_eq!(entry.is_streamed(), flag == Flag::STREAMED);
        }
    }
    // A read may also be sent again, and a group is not handed out token by token.
    let read = entry(|spec| spec.access = Access::Read);
    assert!(read.has(Flag::READ) && read.has(Flag::RESEND) && read.spec().access == Access::Read);
    assert!(!entry(|spec| (spec.streamed, spec.replies) = (true, 3)).is_streamed());
}

#[test]
fn replies_are_counted_down() {
    let mut entry = entry(|spec| spec.replies = 4);
    entry.set_replies_left(entry.replies);
    let left: [u16; 5] = core::array::from_fn(|_| entry.take_reply());
    assert_eq!(left, [3, 2, 1, 0, 0]);
    assert_eq!(entry.replies_left(), 0);
}

#[test]
fn an_answer_that_was_cut() {
    for (replies, started, outcome) in [
        (1, false, Outcome::MaybeExecuted),
        (1, true, Outcome::ReplyLost),
        (4, false, Outcome::MaybeExecuted),
        (4, true, Outcome::MaybeExecuted),
    ] {
        let mut entry = entry(|spec| spec.replies = replies);
        entry.set(Flag::STARTED, started);
        assert_eq!(entry.cut_outcome(), outcome, "{replies} {started}");
    }
}

#[test]
fn hops_and_attempts_stop_at_their_greatest() {
    let mut entry = entry(|_| {});
    for n in 1..=300_u16 {
        entry.count_hop();
        entry.count_attempt();
        assert_eq!((u16::from(entry.hops), u16::from(entry.attempts())), (n.min(255), n.min(255)));
    }
    entry.set_ask(NodeIndex::new(5));
    assert_eq!(entry.ask(), NodeIndex::new(5));
    entry.renumber(|at| NodeIndex::new(at.index() + 2));
    assert_eq!(entry.ask(), NodeIndex::new(7));
    entry.renumber(|_| None);
    assert_eq!(entry.ask(), None);
}

#[test]
fn words_for_people() {
    use std::string::ToString;
    for (text, words) in [
        (SplitError::NotSplittable.to_string(), "cannot be split"),
        (SplitError::Arity.to_string(), "wrong number of arguments"),
        (SplitError::TooManyKeys { needed: 12 }.to_string(), "needs 12 entries"),
        (SplitError::TooManyParts.to_string(), "more slots than"),
        (Refused { why: Why::Duplicate, value: () }.to_string(), "already here"),
        (Refused { why: Why::Late, value: () }.to_string(), "already taken out"),
        (Refused { why: Why::BeyondWindow, value: () }.to_string(), "beyond the window"),
    ] {
        assert!(text.contains(words), "{text}");
    }
    for error in [PlanError::Full, PlanError::NoSuchLane, PlanError::NoSuchCommand] {
        assert!(!error.to_string().is_empty());
    }
    for outcome in [Outcome::Rejected, Outcome::NotSent, Outcome::MaybeExecuted, Outcome::ReplyLost] {
        assert!(!outcome.to_string().is_empty());
    }
}

#[test]
fn a_part_knows_how_many_keys_it_has() {
    let command = ["MGET", "{a}1", "b", "{a}2"];
    let (mut keys, mut parts) = ([KeyPlace::EMPTY; 3], [Part::EMPTY; 3]);
    let split = split(&command, &mut keys, &mut parts).unwrap();
    let counts: std::vec::Vec<usize> = split.parts().map(|part| part.keys()).collect();
    assert_eq!(counts, [2, 1]);
}

#[test]
fn what_is_packed_can_be_read() {
    let mut entry = Entry::EMPTY;
    entry.renew(Kind::User);
    let slot = Slot::masked(16_383);
    let spec = CommandSpec {
        target: Target::Slot(slot),
        blocking: true,
        replies: 700,
        tag: u64::MAX,
        ..CommandSpec::new(Target::AnyNode, Access::Read, 77)
    };
    entry.admit(&spec, None);
    assert_eq!((entry.slot(), entry.replies, entry.len, entry.tag), (Some(slot), 700, 77, u64::MAX));
    for (flag, is) in [
        (Flag::READ, true),
        (Flag::BLOCKING, true),
        (Flag::RESEND, true),
        (Flag::STREAMED, false),
        (Flag::SCRIPT, false),
        (Flag::SUBSCRIBE, false),
        (Flag::FAILED, false),
    ] {
        assert_eq!(entry.has(flag), is);
    }
    for (target, aim) in [
        (Target::AnyNode, Aim::AnyNode),
        (Target::AnyPrimary, Aim::AnyPrimary),
        (Target::Node(crate::ids::NodeId::from_bytes([7; 20])), Aim::Node(NodeIndex::new(3))),
    ] {
        entry.admit(&CommandSpec { target, ..spec }, NodeIndex::new(3));
        assert_eq!(entry.aim(), aim);
    }
    for place in [Place::Free, Place::Parked, Place::Held, Place::Queued, Place::InFlight, Place::Done] {
        for kind in [Kind::User, Kind::Tombstone, Kind::Refresh, Kind::MyId, Kind::Fence, Kind::Probe] {
            entry.set_place(place);
            entry.set_kind(kind);
            assert_eq!((entry.place(), entry.kind(), entry.generation()), (place, kind, 0));
        }
    }
}

#[test]
fn a_group_remembers_where_to_ask() {
    let mut entry = Entry::EMPTY;
    let node = NodeIndex::new(9).unwrap();
    for retry in [None, Some(GroupRetry::Moved), Some(GroupRetry::Later), Some(GroupRetry::Ask(node))] {
        entry.set_group_retry(retry);
        assert_eq!(entry.group_retry(), retry);
    }
    entry.renumber(|_| NodeIndex::new(2));
    assert_eq!(entry.group_retry(), NodeIndex::new(2).map(GroupRetry::Ask));
    entry.renumber(|_| None);
    assert_eq!(entry.group_retry(), Some(GroupRetry::Later), "the node is gone");
}

#[test]
fn failures_are_kept() {
    for outcome in [Outcome::Rejected, Outcome::NotSent, Outcome::MaybeExecuted, Outcome::ReplyLost] {
        for reason in Reason::ALL {
            let mut entry = Entry::EMPTY;
            entry.count_attempt();
            assert_eq!(entry.attempts(), 1);
            entry.set_failure(outcome, reason, None);
            assert_eq!(entry.failure(&Map::empty()), Some(Failure { outcome, reason, node: None }));
            assert_eq!(entry.attempts(), 0);
        }
    }
}

#[test]
fn generations_wrap_within_their_bits() {
    let mut entry = Entry::EMPTY;
    for _ in 0..3 {
        entry.renew(Kind::Probe);
        entry.retire();
    }
    assert_eq!((entry.generation(), entry.place(), entry.kind()), (3, Place::Free, Kind::User));
    entry.word = u32::MAX;
    entry.retire();
    assert_eq!(entry.generation(), 0);
}

#[test]
fn the_words_that_change_their_meaning_hold_each() {
    let at = Instant::from_micros(77_000_000);
    let mut entry = entry(|_| {});
    entry.set_deadline(Stamp::at(at));
    assert_eq!(entry.deadline(), Stamp::at(at));
    entry.set_event_next(31);
    assert_eq!(entry.event_next(), 31);
    entry.set_event_next(u32::MAX);
    assert_eq!(entry.event_next(), u32::MAX);
    entry.set_wake(Some(at));
    assert_eq!(entry.wake(), Stamp::at(at));
    entry.set_wake(None);
    assert_eq!(entry.wake(), Stamp::NEVER);
    entry.set_confirmed_by(0x8000_0107);
    assert_eq!(entry.confirmed_by(), 0x8000_0107);
}

#[test]
fn questions_are_older_or_younger_than_a_command() {
    let mut entry = entry(|_| {});
    entry.set_replies_left(0xa5c3);
    for last in [0, 1, 100, 200, 255_u8] {
        entry.set_asked(last);
        assert_eq!(entry.replies_left(), 0xa5c3);
        for ahead in 0..=255_u8 {
            let question = last.wrapping_add(ahead);
            assert_eq!(entry.is_older_than(question), (1..=127).contains(&ahead), "{question} after {last}");
        }
    }
    entry.set_asked(200);
    for left in [0, 0xffff, 0x5a3c, 1] {
        entry.set_replies_left(left);
        assert_eq!(entry.replies_left(), left);
        assert!(entry.is_older_than(201) && !entry.is_older_than(200));
    }
}

#[test]
fn what_was_sent_once_more_says_so() {
    assert!(!entry(|_| {}).was_resent());
    let mut hop = entry(|_| {});
    hop.count_hop();
    let mut attempt = entry(|_| {});
    attempt.count_attempt();
    let mut delayed = entry(|_| {});
    delayed.set(Flag::DELAYED, true);
    assert!(hop.was_resent() && attempt.was_resent() && delayed.was_resent());
    attempt.set_failure(Outcome::NotSent, Reason::QueueFull, None);
    assert!(!attempt.was_resent(), "of a failure the attempts are not kept");
}

#[test]
fn a_new_use_begins_with_nothing_of_the_old_one() {
    let mut entry = entry(|spec| (spec.blocking, spec.target) = (true, Target::AnyPrimary));
    for _ in 0..3 {
        entry.retire();
    }
    for kind in [Kind::Probe, Kind::User, Kind::Tombstone] {
        for place in [Place::Parked, Place::InFlight, Place::Done] {
            entry.set_place(place);
            entry.set_failure(Outcome::ReplyLost, Reason::QueueFull, NodeIndex::new(1));
            entry.count_hop();
            entry.renew(kind);
            assert_eq!((entry.kind(), entry.place(), entry.generation()), (kind, Place::Done, 3));
            assert_eq!((entry.hops, entry.replies, entry.aim(), entry.ask()), (0, 1, Aim::AnyNode, None));
            assert!(ALL.iter().all(|flag| !entry.has(*flag)));
        }
    }
    assert_eq!(Entry::EMPTY.aim(), Aim::AnyNode);
}

#[test]
fn a_groups_answer_can_change() {
    let mut entry = entry(|_| {});
    let node = NodeIndex::new(9).unwrap();
    let all = [None, Some(GroupRetry::Moved), Some(GroupRetry::Later), Some(GroupRetry::Ask(node))];
    for before in all {
        for after in all {
            entry.set_group_retry(before);
            entry.set_group_retry(after);
            assert_eq!(entry.group_retry(), after, "{before:?}");
        }
    }
}

#[test]
fn failures_replace_each_other() {
    let mut entry = entry(|_| {});
    for outcome in [Outcome::ReplyLost, Outcome::Rejected, Outcome::MaybeExecuted, Outcome::NotSent] {
        for reason in Reason::ALL {
            entry.set_failure(outcome, reason, None);
            assert_eq!(entry.failure(&Map::empty()), Some(Failure { outcome, reason, node: None }));
        }
    }
}

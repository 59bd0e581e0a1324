use super::*;
use proptest::prelude::*;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use ResponsePolicy as P;

fn merge(policy: P, parts: usize) -> Merge<Vec<PartState>> {
    Merge::new(policy, vec![PartState::Done; parts])
}

#[derive(Clone, Debug)]
enum End {
    Integer(i64),
    Elements(u32),
    Ok,
    Moved,
    Oom,
    NotSent,
    Maybe,
    Lost,
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![
        6 => (-4..5_i64).prop_map(End::Integer),
        3 => (0..4_u32).prop_map(End::Elements),
        3 => Just(End::Ok),
        1 => prop_oneof![
            Just(End::Moved), Just(End::Oom), Just(End::NotSent), Just(End::Maybe), Just(End::Lost),
            Just(End::Integer(i64::MAX)),
        ],
    ]
}

const POLICIES: [P; 10] = [
    P::DefaultKeyless,
    P::DefaultKeyed,
    P::OneSucceeded,
    P::AllSucceeded,
    P::AggLogicalAnd,
    P::AggLogicalOr,
    P::AggMin,
    P::AggMax,
    P::AggSum,
    P::Special,
];

/// What the part's state must be, with two keys a part.
fn expected_state(policy: P, end: &End) -> PartState {
    let folds = matches!(policy, P::AggLogicalAnd | P::AggLogicalOr | P::AggMin | P::AggMax | P::AggSum);
    let any = matches!(policy, P::OneSucceeded | P::AllSucceeded | P::Special);
    let good = match end {
        End::Moved | End::Oom => return PartState::Error(Executed::No),
        End::NotSent => return PartState::NotSent,
        End::Maybe => return PartState::MaybeExecuted,
        End::Lost => return PartState::ReplyLost,
        End::Integer(_) => folds || any,
        End::Elements(n) => any || policy == P::DefaultKeyless || (policy == P::DefaultKeyed && *n == 2),
        End::Ok => any,
    };
    if good { PartState::Done } else { PartState::WrongAnswer }
}

fn expected_value(policy: P, parts: &[(usize, End)]) -> Option<Merged> {
    let integers = || {
        parts.iter().map(|(_, end)| match end {
            End::Integer(n) => i128::from(*n),
            _ => 0,
        })
    };
    let counts = parts.iter().map(|(_, end)| match end {
        End::Elements(n) => u64::from(*n),
        _ => 0,
    });
    let integer = match policy {
        P::AggSum => integers().sum(),
        P::AggMin => integers().min()?,
        P::AggMax => integers().max()?,
        P::AggLogicalAnd => i128::from(integers().all(|n| n != 0)),
        P::AggLogicalOr => i128::from(integers().any(|n| n != 0)),
        P::DefaultKeyed | P::DefaultKeyless => return Some(Merged::Elements(counts.sum())),
        P::Special => return Some(Merged::Each),
        P::OneSucceeded | P::AllSucceeded => return Some(Merged::Same(parts.first()?.0 as u16)),
    };
    i64::try_from(integer).ok().map(Merged::Integer)
}

proptest! {
    #[test]
    fn agrees_with_the_model(
        policy in proptest::sample::select(&POLICIES[..]),
        ends in proptest::collection::vec(end(), 1..12),
        order in any::<proptest::sample::Index>(),
        uniform in any::<bool>(),
    ) {
        let ends: Vec<End> = if uniform { vec![ends[0].clone(); ends.len()] } else { ends };
        let mut order_of: Vec<usize> = (0..ends.len()).collect();
        order_of.rotate_left(order.index(ends.len()));
        order_of.reverse();

        let mut merge = merge(policy, ends.len());
        let (mut done, mut failed) = (Vec::new(), None);
        for (i, part) in order_of.iter().enumerate() {
            prop_assert!(!merge.is_finished());
            prop_assert_eq!(merge.tally().pending as usize, ends.len() - i);
            let end = &ends[*part];
            let state = expected_state(policy, end);
            let got = match end {
                End::Integer(n) => merge.answer(*part, Answer::Integer(*n), 2),
                End::Elements(n) => merge.answer(*part, Answer::Elements(*n), 2),
                End::Ok => merge.answer(*part, Answer::Other, 2),
                End::Moved => merge.answer(*part, Answer::Error(b"MOVED 1 h:1"), 2),
                End::Oom => merge.answer(*part, Answer::Error(b"OOM command not allowed"), 2),
                _ => merge.fail(*part, state),
            };
            prop_assert_eq!(got, Ok(state));
            prop_assert_eq!(merge.states()[*part], state);
            // A second end of the same part changes nothing.
            prop_assert_eq!(merge.answer(*part, Answer::Integer(77), 2), Err(MergeError::Duplicate));
            if state == PartState::Done {
                done.push((*part, end.clone()));
            } else {
                failed = failed.or(Some(*part));
            }
        }
        prop_assert!(merge.is_finished());
        prop_assert_eq!(merge.answer(ends.len(), Answer::Other, 2), Err(MergeError::NoSuchPart));

        // The order of a sum decides whether it overflows on the way; only a sum that never does is compared.
        let steady = done.iter().filter(|(_, end)| matches!(end, End::Integer(i64::MAX))).count() == 0;
        let value = expected_value(policy, &done);
        if done.is_empty() {
            prop_assert_eq!(merge.partial(), Err(MergeError::NoParts));
        } else if steady {
            prop_assert_eq!(merge.partial().ok(), value);
        }
        match failed {
            Some(part) if policy != P::OneSucceeded || done.is_empty() => {
                let state = merge.states()[part];
                prop_assert_eq!(merge.finish(), Err(MergeError::Part { part: part as u16, state }));
            }
            _ => prop_assert_eq!(merge.finish(), merge.partial()),
        }
    }

    #[test]
    fn columns_agree_with_the_model(
        policy in proptest::sample::select(&[P::AggLogicalAnd, P::AggLogicalOr, P::AggSum, P::AggMin, P::AggMax][..]),
        rows in proptest::collection::vec(
            proptest::collection::vec(proptest::option::weighted(0.97, -2..3_i64), 2..4), 1..6),
    ) {
        let mut merge = merge(policy, rows.len());
        let mut columns = [99; 3];
        let width = rows.iter().find(|row| row.iter().all(Option::is_some)).map(Vec::len);
        let mut good: Vec<Vec<i64>> = Vec::new();
        for (part, row) in rows.iter().enumerate() {
            let whole: Option<Vec<i64>> = row.iter().copied().collect();
            let state = merge.columns(part, row.iter().copied(), &mut columns).unwrap();
            match whole.filter(|row| Some(row.len()) == width) {
                Some(row) => {
                    prop_assert_eq!(state, PartState::Done);
                    good.push(row);
                }
                None => prop_assert_eq!(state, PartState::WrongAnswer),
            }
        }
        for (i, column) in columns.iter().take(width.unwrap_or(0)).enumerate() {
            let values = || good.iter().map(|row| row[i]);
            let expected = match policy {
                P::AggLogicalAnd => i64::from(values().all(|n| n != 0)),
                P::AggLogicalOr => i64::from(values().any(|n| n != 0)),
                P::AggSum => values().sum(),
                P::AggMin => values().min().unwrap(),
                _ => values().max().unwrap(),
            };
            prop_assert_eq!(*column, expected);
        }
        prop_assert_eq!(merge.partial().ok(), width.map(|n| Merged::Columns(n as u32)));
    }
}

#[test]
fn a_failed_part_is_named_and_the_rest_stays_readable() {
    let mut merge = merge(P::AggSum, 4);
    assert_eq!(merge.finish(), Err(MergeError::Unfinished));
    merge.answer(2, Answer::Integer(2), 0).unwrap();
    merge.fail(1, PartState::MaybeExecuted).unwrap();
    merge.answer(3, Answer::Error(b"OOM command not allowed when used memory > 'maxmemory'."), 0).unwrap();
    merge.answer(0, Answer::Integer(5), 0).unwrap();
    let failure = MergeError::Part { part: 1, state: PartState::MaybeExecuted };
    assert_eq!(merge.finish(), Err(failure));
    assert_eq!(failure.to_string(), "part 1 may have been executed");
    assert_eq!(merge.partial(), Ok(Merged::Integer(7)));
    assert_eq!(merge.tally(), Tally { pending: 0, done: 2, not_executed: 1, executed: 0, unknown: 1 });
}

#[test]
fn one_success_is_enough_and_notbusy_is_the_last_error_named() {
    let mut kill = merge(P::OneSucceeded, 3);
    kill.answer(0, Answer::Error(b"NOTBUSY No scripts in execution right now."), 0).unwrap();
    kill.answer(2, Answer::Other, 0).unwrap();
    // Known before the last part has ended.
    assert_eq!(kill.finish(), Ok(Merged::Same(2)));

    let mut kill = merge(P::OneSucceeded, 3);
    kill.answer(0, Answer::Error(b"NOTBUSY No scripts in execution right now."), 0).unwrap();
    kill.answer(1, Answer::Error(b"UNKILLABLE Sorry the script already executed write commands"), 0).unwrap();
    kill.answer(2, Answer::Error(b"NOTBUSY No scripts in execution right now."), 0).unwrap();
    assert!(matches!(kill.finish(), Err(MergeError::Part { part: 1, .. })));
}

#[test]
fn sums_that_overflow_say_so() {
    let mut sum = merge(P::AggSum, 2);
    sum.answer(0, Answer::Integer(i64::MAX), 0).unwrap();
    sum.answer(1, Answer::Integer(1), 0).unwrap();
    assert_eq!(sum.finish(), Err(MergeError::Overflow));
    assert_eq!(merge(P::AggMin, 0).finish(), Err(MergeError::NoParts));
}

#[test]
fn failures_cannot_pass_for_successes() {
    let mut all = merge(P::AllSucceeded, 1);
    assert_eq!(all.fail(0, PartState::Done), Ok(PartState::WrongAnswer));
    assert!(all.finish().is_err());
    // A mixture of columns and plain integers is no answer.
    let mut mixed = merge(P::AggLogicalOr, 2);
    let mut columns = [0; 2];
    mixed.columns(0, [Some(1), Some(0)].into_iter(), &mut columns).unwrap();
    assert_eq!(mixed.answer(1, Answer::Integer(1), 0), Ok(PartState::WrongAnswer));
    // More columns than the slice has room for.
    let mut wide = merge(P::AggLogicalOr, 1);
    assert_eq!(wide.columns(0, [Some(1); 3].into_iter(), &mut columns), Ok(PartState::WrongAnswer));
}

#[test]
fn answers_are_read_from_first_tokens() {
    for (token, answer) in [
        (Token::Integer(-3), Answer::Integer(-3)),
        (Token::Error(b"ERR x"), Answer::Error(b"ERR x")),
        (Token::BlobError(b"ERR y"), Answer::Error(b"ERR y")),
        (Token::Array(4), Answer::Elements(4)),
        (Token::Set(2), Answer::Elements(2)),
        (Token::Simple(b"OK"), Answer::Other),
        (Token::Bulk(b"5"), Answer::Other),
    ] {
        assert_eq!(Answer::of(&token), answer);
    }
}

#[test]
fn elements_are_as_many_as_keys() {
    let mut values = merge(P::DefaultKeyed, 3);
    assert_eq!(values.answer(0, Answer::Elements(2), 2), Ok(PartState::Done));
    assert_eq!(values.answer(1, Answer::Elements(2), 3), Ok(PartState::WrongAnswer));
    assert_eq!(values.answer(2, Answer::Elements(3), 3), Ok(PartState::Done));
    assert_eq!(values.partial(), Ok(Merged::Elements(5)));
    let mut keys = merge(P::DefaultKeyless, 2);
    assert_eq!(keys.answer(0, Answer::Elements(7), 0), Ok(PartState::Done));
    assert_eq!(keys.answer(1, Answer::Integer(7), 0), Ok(PartState::WrongAnswer));
}

#[test]
fn parts_beyond_those_that_can_be_numbered() {
    let mut many = merge(P::AggSum, 65_540);
    assert_eq!(many.answer(65_535, Answer::Integer(3), 0), Ok(PartState::Done));
    assert_eq!(many.answer(65_535, Answer::Integer(3), 0), Err(MergeError::Duplicate));
    assert_eq!(many.answer(65_536, Answer::Integer(3), 0), Err(MergeError::NoSuchPart));
    assert_eq!(many.fail(65_539, PartState::NotSent), Err(MergeError::NoSuchPart));
    assert_eq!(many.fail(65_540, PartState::NotSent), Err(MergeError::NoSuchPart));
}

#[test]
fn columns_are_only_for_policies_that_fold_and_not_beside_a_single_number() {
    let mut columns = [0; 4];
    for policy in POLICIES {
        let folds = matches!(policy, P::AggSum | P::AggMin | P::AggMax | P::AggLogicalAnd | P::AggLogicalOr);
        let mut merge = merge(policy, 2);
        let state = merge.columns(0, [Some(1), Some(1)].into_iter(), &mut columns).unwrap();
        assert_eq!(state, if folds { PartState::Done } else { PartState::WrongAnswer }, "{policy:?}");
    }
    let mut both = merge(P::AggSum, 2);
    assert_eq!(both.answer(0, Answer::Integer(7), 0), Ok(PartState::Done));
    assert_eq!(both.columns(1, [Some(1)].into_iter(), &mut columns), Ok(PartState::WrongAnswer));
}

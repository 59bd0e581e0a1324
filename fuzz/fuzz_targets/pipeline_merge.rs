//! A command cut by slot and answered part by part, in any order, in pieces, with some parts failing, comes to what
//! the whole command comes to on one server that has all keys.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};

use libfuzzer_sys::fuzz_target;
use slotwise::limits::Limits;
use slotwise::pipeline::{
    Answer, Element, Elements, KeyPlace, Merge, MergeError, Merged, Part, PartState, SplitError, split,
};
use slotwise::resp::{Args, Text, Token, Tokens};
use slotwise::server_error::Executed;
use slotwise::slot::Slot;
use slotwise_fuzz::Plan;

const NAMES: [&str; 7] = ["MGET", "MSET", "DEL", "unlink", "Exists", "TOUCH", "MSETNX"];

type Data = BTreeMap<Vec<u8>, Vec<u8>>;

fuzz_target!(|input: &[u8]| {
    let Some((plan, rest)) = Plan::split(input) else { return };
    let Some((&[count, room], rest)) = rest.split_first_chunk::<2>() else { return };
    let name = NAMES[usize::from(plan.choice) % NAMES.len()];
    // Arguments are apart by 0xff; what is behind the last of them decides the order and the ends of the parts.
    let mut pieces = rest.splitn(usize::from(count) + 1, |&byte| byte == 0xff);
    let mut args: Vec<&[u8]> = vec![name.as_bytes()];
    args.extend(pieces.by_ref().take(usize::from(count)));
    let mut decisions = pieces.next().unwrap_or_default().iter().copied();

    let pairs = name == "MSET";
    let step = if pairs { 2 } else { 1 };
    let keys = args.len() - 1;
    let good = name != "MSETNX" && keys > 0 && keys % step == 0;
    let slots: BTreeSet<Slot> = args[1..].iter().step_by(step).map(|key| Slot::of_key(key)).collect();
    let mut places = vec![KeyPlace::EMPTY; keys / step];
    let room = if plan.tiny { usize::from(room) } else { slots.len() };
    let mut parts = vec![Part::EMPTY; room];
    let layout = match split(&args[..], &mut places, &mut parts) {
        Ok(cut) => cut.layout(),
        Err(SplitError::NotSplittable) => return assert_eq!(name, "MSETNX"),
        Err(SplitError::Arity) => return assert!(!good),
        Err(SplitError::TooManyParts) => return assert!(good && room < slots.len()),
        Err(error) => panic!("{error}"),
    };
    let cut = layout.view(&args[..], &places, &parts);
    assert!(good && cut.len() == slots.len() && room >= slots.len());
    assert!(cut.parts().map(|part| part.slot()).eq({
        let mut seen = BTreeSet::new();
        args[1..].iter().step_by(step).map(|key| Slot::of_key(key)).filter(move |slot| seen.insert(*slot))
    }));

    // Half of the keys exist before.
    let mut data = Data::new();
    for key in args[1..].iter().step_by(step).filter(|key| key.len() % 2 == 0) {
        data.insert(key.to_vec(), [b"old ", *key].concat());
    }
    let mut whole = data.clone();
    let expected = run(&mut whole, &args);
    let mut left: Vec<usize> = (0..cut.len()).collect();
    let mut merge = Merge::new(cut.shape().merge(), vec![PartState::Done; cut.len()]);
    let mut gathered: Vec<Option<Vec<u8>>> = vec![None; cut.keys()];
    let (mut ran, mut first_failure, mut sum) = (BTreeSet::new(), None, 0);
    while !left.is_empty() {
        assert_eq!(merge.tally().pending as usize, left.len());
        assert_eq!(merge.finish(), Err(MergeError::Unfinished));
        let pick = decisions.next().unwrap_or(0);
        let part = left.swap_remove(usize::from(pick >> 3) % left.len());
        let view = cut.part(part).expect("there are so many");
        let words: Vec<&[u8]> = (0..view.count()).map(|at| view.arg(at).expect("in range")).collect();
        assert!(words[1..].iter().step_by(step).all(|key| Slot::of_key(key) == view.slot()));
        // The first five ends are answers, so that most parts succeed; the others are failures of every kind.
        let end = pick & 7;
        let executes = !matches!(end, 5 | 6);
        let reply = if executes { run(&mut data, &words) } else { Reply::Error("MOVED 1 127.0.0.1:7001") };
        let state = match end {
            5 => merge.fail(part, PartState::NotSent),
            7 => merge.fail(part, PartState::ReplyLost),
            _ => answer(&mut merge, part, view.keys(), &reply, plan, |nth, value| {
                let position = cut.position(part, nth).expect("an element for each key");
                assert_eq!(args[1 + position * step], words[1 + nth * step]);
                gathered[position] = value;
            }),
        }
        .expect("each part ends once");
        let wanted = match end {
            5 => PartState::NotSent,
            6 => PartState::Error(Executed::No),
            7 => PartState::ReplyLost,
            _ => PartState::Done,
        };
        assert_eq!(state, wanted);
        assert_eq!(state.executed(), Some(executes), "what is said of a part is what happened to it");
        assert_eq!(merge.states()[part], wanted);
        if wanted == PartState::Done {
            ran.insert(part);
            if let Reply::Integer(n) = reply {
                sum += n;
            }
        } else {
            first_failure = first_failure.or(Some((part as u16, wanted)));
        }
        assert_eq!(merge.fail(part, PartState::NotSent), Err(MergeError::Duplicate));
        assert_eq!(merge.states()[part], wanted);
    }
    assert!(merge.is_finished());
    assert_eq!(merge.fail(cut.len(), PartState::NotSent), Err(MergeError::NoSuchPart));

    let whole_answer = merge.finish();
    if let Some((part, state)) = first_failure {
        assert_eq!(whole_answer, Err(MergeError::Part { part, state }));
        let done: usize = ran.iter().filter_map(|part| cut.part(*part)).map(|part| part.keys()).sum();
        match merge.partial() {
            Ok(Merged::Integer(n)) => assert_eq!(n, sum),
            Ok(Merged::Elements(n)) => assert_eq!(n, done as u64),
            Ok(Merged::Same(part)) => assert!(ran.contains(&usize::from(part))),
            other => assert!(other == Err(MergeError::NoParts) && ran.is_empty(), "{other:?}"),
        }
        return;
    }
    assert_eq!(data, whole, "the parts change what the whole command changes");
    match expected {
        Reply::Integer(n) => assert_eq!(whole_answer, Ok(Merged::Integer(n))),
        Reply::Ok => assert!(matches!(whole_answer, Ok(Merged::Same(_)))),
        Reply::Values(values) => {
            assert_eq!(whole_answer, Ok(Merged::Elements(values.len() as u64)));
            assert_eq!(gathered, values);
        }
        Reply::Error(_) => unreachable!("a command that was cut is known"),
    }
});

enum Reply {
    Integer(i64),
    Ok,
    Values(Vec<Option<Vec<u8>>>),
    Error(&'static str),
}

/// A server's view of these commands.
fn run(data: &mut Data, args: &[&[u8]]) -> Reply {
    let keys = &args[1..];
    match args[0].to_ascii_uppercase().as_slice() {
        b"MGET" => Reply::Values(keys.iter().map(|key| data.get(*key).cloned()).collect()),
        b"MSET" => {
            for pair in keys.chunks(2) {
                data.insert(pair[0].to_vec(), pair[1].to_vec());
            }
            Reply::Ok
        }
        b"DEL" | b"UNLINK" => Reply::Integer(keys.iter().filter(|key| data.remove(**key).is_some()).count() as i64),
        b"EXISTS" | b"TOUCH" => Reply::Integer(keys.iter().filter(|key| data.contains_key(**key)).count() as i64),
        _ => Reply::Error("ERR unknown command"),
    }
}

/// Sends a reply through the token reader, in pieces, into the merge; `element` gets each element of an array.
fn answer(
    merge: &mut Merge<Vec<PartState>>,
    part: usize,
    keys: usize,
    reply: &Reply,
    plan: Plan,
    mut element: impl FnMut(usize, Option<Vec<u8>>),
) -> Result<PartState, MergeError> {
    let mut bytes = Vec::new();
    match reply {
        Reply::Integer(n) => bytes.extend(format!(":{n}\r\n").bytes()),
        Reply::Ok => bytes.extend(b"+OK\r\n"),
        Reply::Error(line) => bytes.extend(format!("-{line}\r\n").bytes()),
        Reply::Values(values) => {
            bytes.extend(format!("*{}\r\n", values.len()).bytes());
            for value in values {
                match value {
                    Some(value) => {
                        bytes.extend(format!("${}\r\n", value.len()).bytes());
                        bytes.extend(value);
                        bytes.extend(b"\r\n");
                    }
                    None => bytes.extend(b"$-1\r\n"),
                }
            }
        }
    }
    let mut tokens = Tokens::<4>::new(Limits::DEFAULT);
    let mut elements = Elements::new();
    let mut text: Option<Vec<u8>> = None;
    let (mut start, mut whole) = (0, None);
    for end in plan.cuts(bytes.len()) {
        let mut reader = tokens.reader(&bytes[start..end]);
        while let Some(token) = reader.next().expect("well formed") {
            // Owned, since the answer is handed over when the reply has ended.
            whole = whole.or(Some(match token {
                Token::Integer(n) => Reply::Integer(n),
                Token::Error(_) | Token::Begin { kind: Text::Error, .. } => Reply::Error("MOVED 1 127.0.0.1:7001"),
                Token::Array(n) => Reply::Values(vec![None; n as usize]),
                _ => Reply::Ok,
            }));
            match &token {
                Token::Bulk(bytes) | Token::Chunk { bytes, .. } => text.get_or_insert_default().extend(*bytes),
                _ => {}
            }
            match elements.place(&token, reader.depth()) {
                Element::Inside { nth, last: true, .. } => element(nth as usize, text.take()),
                Element::Header(n) => assert_eq!(n as usize, keys),
                Element::Inside { .. } | Element::Outside => {}
            }
        }
        start += reader.consumed();
    }
    assert_eq!(start, bytes.len());
    match whole.expect("a reply has a first token") {
        Reply::Integer(n) => merge.answer(part, Answer::Integer(n), keys),
        Reply::Ok => merge.answer(part, Answer::Other, keys),
        Reply::Values(values) => merge.answer(part, Answer::Elements(values.len() as u32), keys),
        Reply::Error(line) => merge.answer(part, Answer::Error(line.as_bytes()), keys),
    }
}

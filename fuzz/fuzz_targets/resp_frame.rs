//! The views of a complete value agree: walking it gives what the pull reader gives, children are what the walk
//! sees at depth 1, skipping a subtree leaves out exactly that, and every child's bytes are a value by themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::limits::Limits;
use slotwise::resp::{Frame, Status, Token, Tokens, Visit};
use slotwise_fuzz::Plan;

fuzz_target!(|data: &[u8]| {
    let Some((plan, input)) = Plan::split(data) else { return };
    let limits = Limits { depth: if plan.tiny { 3 } else { 100 }, ..Limits::DEFAULT };
    let Ok(Status::Complete((frame, len))) = Frame::new_checked(input, &limits) else { return };
    assert_eq!(frame.raw(), &input[..len]);

    if !frame.too_deep() {
        walk_is_tokens(&frame);
        skipping(&frame, plan.choice);
    }
    children(&frame, 0);
    for attribute in frame.attributes() {
        assert!(frame.raw().len() > attribute.raw().len());
        children(&attribute, 0);
    }
    if !frame.too_deep() {
        let headers = frame.walk().filter(|visit| visit.out_of_band && matches!(visit.token, Token::Push(_))).count();
        assert_eq!(frame.pushes().count(), headers);
    }
    for push in frame.pushes() {
        children(&push, 0);
    }
    let _ = frame.double();
});

fn walk_is_tokens(frame: &Frame<'_>) {
    let mut tokens = Tokens::<128>::new(Limits::DEFAULT);
    let mut reader = tokens.reader(frame.raw());
    let mut walk = frame.walk();
    let mut before = 0;
    while let Some(token) = reader.next().expect("checked before") {
        let visit = walk.next().expect("as many");
        assert_eq!((visit.token, visit.out_of_band), (token, reader.out_of_band()));
        assert_eq!(visit.in_attribute, reader.in_attribute());
        if token != Token::Close {
            assert_eq!(visit.depth, before);
        }
        before = reader.depth();
    }
    assert!(walk.next().is_none());
    assert!(reader.at_boundary());
}

/// Skips the children of every `nth` aggregate, by hand and by the walk's own skip.
fn skipping(frame: &Frame<'_>, nth: u8) {
    let opens = |visit: &Visit<'_>| match visit.token {
        Token::Array(n) | Token::Map(n) | Token::Set(n) | Token::Push(n) | Token::Attribute(n) => n != 0,
        Token::Open(_) => true,
        _ => false,
    };
    let chosen = |count: usize| count % (usize::from(nth) + 1) == 0;

    let mut expected = Vec::new();
    let mut count = 0;
    let mut skip_below: Option<usize> = None;
    for visit in frame.walk() {
        if let Some(depth) = skip_below {
            // The end mark of a streamed aggregate is at the depth of its header.
            if visit.depth > depth || visit.token == Token::Close && visit.depth == depth {
                continue;
            }
            skip_below = None;
        }
        expected.push(visit);
        if opens(&visit) {
            if chosen(count) {
                skip_below = Some(visit.depth);
            }
            count += 1;
        }
    }

    let mut found = Vec::new();
    let mut count = 0;
    let mut walk = frame.walk();
    while let Some(visit) = walk.next() {
        found.push(visit);
        if opens(&visit) {
            if chosen(count) {
                walk.skip_children();
            }
            count += 1;
        }
    }
    assert_eq!(found, expected);
}

/// Attributes in a row are only counted roughly below the depth limit.
const LIMITS: Limits = Limits { attributes: u16::MAX, ..Limits::DEFAULT };

fn children(frame: &Frame<'_>, depth: usize) {
    let found: Vec<_> = frame.children().collect();
    if let Some(len) = frame.len() {
        assert_eq!(found.len(), len);
    }
    // Deep values are quadratic this way; that is what `walk` is for.
    if depth > 6 {
        return;
    }
    for child in &found {
        let Ok(Status::Complete((alone, len))) = Frame::new_checked(child.raw(), &LIMITS) else {
            panic!("a child is a value: {:?}", child.raw().escape_ascii().to_string());
        };
        assert_eq!(len, child.raw().len());
        assert_eq!((alone.kind(), alone.token(), alone.len()), (child.kind(), child.token(), child.len()));
        assert!(!child.is_push());
        children(child, depth + 1);
    }
}

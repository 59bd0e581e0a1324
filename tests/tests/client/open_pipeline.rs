use std::collections::HashMap;
use std::time::{Duration, Instant};

use slotwise_std::Pipeline;
use slotwise_std::slotwise::cluster::CancelStage;
use slotwise_std::slotwise::pipeline::Outcome;
use slotwise_std::slotwise::slot::Slot;

use crate::each;

const LONG: Duration = Duration::from_secs(10);

/// A key for each of three shards, in their order.
fn keys() -> [String; 3] {
    let find = |shard: u16| {
        let inside = |key: &String| Slot::of_key(key.as_bytes()).get() / 5_462 == shard;
        (0..).map(|n| format!("key:{n}")).find(inside).unwrap()
    };
    [find(0), find(1), find(2)]
}

#[test]
fn answers_come_one_by_one_and_say_whose_they_are() {
    each(3, 0, |_, client| {
        let mut pipeline = client.pipeline();
        let mut wants = HashMap::new();
        for n in 0..2_000 {
            let text = n.to_string();
            wants.insert(pipeline.push(&["SET", &format!("s:{n}"), &text]), "OK".to_owned());
            wants.insert(pipeline.push(&["GET", &format!("s:{n}")]), text.clone());
            wants.insert(pipeline.push(&["ECHO", &text]), text);
        }
        let split = pipeline.push(&["MGET", "s:1", "s:2", "s:3", "s:1"]);
        let refused = pipeline.push(&["RENAME", "s:1", "s:2"]);
        let block = pipeline.push_transaction(&[["INCR", "n"], ["INCR", "n"]]);
        assert_eq!(pipeline.len(), 6_003);
        while let Some(answer) = pipeline.next(LONG).unwrap() {
            if answer.ticket == refused {
                assert_eq!(answer.result.unwrap_err().name(), "cross_slot");
                continue;
            }
            let value = answer.result.unwrap();
            if let Some(want) = wants.remove(&answer.ticket) {
                assert_eq!(value.as_str(), Some(&*want));
            } else if answer.ticket == split {
                let values: Vec<_> = value.as_slice().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
                assert_eq!(values, ["1", "2", "3", "1"]);
            } else {
                assert_eq!(answer.ticket, block);
                let counts: Vec<_> = value.as_slice().unwrap().iter().map(|value| value.as_i64().unwrap()).collect();
                assert_eq!(counts, [1, 2]);
            }
        }
        assert!(wants.is_empty() && pipeline.is_empty());
    });
}

#[test]
fn a_node_that_stands_still_holds_up_nobody_else_and_its_commands_can_be_given_up() {
    each(3, 0, |cluster, client| {
        let [stuck, free, _] = keys();
        client.command(&["SET", &stuck, "before"]).unwrap();
        cluster.pause(0);
        let mut pipeline = client.pipeline();
        let waiting = [pipeline.push(&["GET", &stuck]), pipeline.push(&["INCR", &format!("{{{stuck}}}:n")])];
        pipeline.flush().unwrap();
        // Added behind the flush: no byte of it has left.
        let unsent = pipeline.push(&["SET", &stuck, "never"]);
        assert_eq!(pipeline.cancel(unsent), CancelStage::NotSent);
        let answer = pipeline.next(LONG).unwrap().unwrap();
        assert_eq!((answer.ticket, answer.result.unwrap_err().outcome()), (unsent, Some(Outcome::NotSent)));
        others_go_on(&mut pipeline, &free);
        for ticket in waiting {
            assert_eq!(pipeline.cancel(ticket), CancelStage::InFlight);
            let answer = pipeline.next(LONG).unwrap().unwrap();
            assert_eq!((answer.ticket, answer.result.unwrap_err().outcome()), (ticket, Some(Outcome::MaybeExecuted)));
            assert_eq!(pipeline.cancel(ticket), CancelStage::Unknown);
        }
        // One is left on its way when the pipeline is dropped.
        pipeline.push(&["GET", &stuck]);
        pipeline.flush().unwrap();
        drop(pipeline);
        cluster.resume(0);
        // The replies of what was given up are nobody's.
        assert_eq!(client.command(&["ECHO", "mine"]).unwrap().as_str(), Some("mine"));
        assert_eq!(client.command(&["GET", &stuck]).unwrap().as_str(), Some("before"));
    });
}

fn others_go_on(pipeline: &mut Pipeline<'_>, key: &str) {
    let start = Instant::now();
    for n in 0..100 {
        let ticket = pipeline.push(&["SET", key, &n.to_string()]);
        let answer = pipeline.next(LONG).unwrap().unwrap();
        assert!(answer.ticket == ticket && answer.result.unwrap().is_ok());
    }
    assert!(start.elapsed() < Duration::from_secs(2), "they waited {:?}", start.elapsed());
}

//! What a client is set up with, against the mini cluster: bounds, observers, counters, and what is never shown.

mod finding;
mod observing;
mod secrets;

use std::time::Duration;

use slotwise::cluster::SubmitError;
use slotwise_std::mini::MiniCluster;
use slotwise_std::url::Url;
use slotwise_std::{Batch, Client, Error, Event, Subscriber};

/// What must not be seen in any text: a password, and what it would be as a list of bytes.
const CANARY: [&str; 2] = ["c4nary", "99, 52, 110"];

#[track_caller]
fn quiet(text: &str) {
    for canary in CANARY {
        assert!(!text.contains(canary), "{text}");
    }
}

fn cluster() -> (MiniCluster, String) {
    let mini = MiniCluster::start(3).unwrap();
    let url = format!("redis://{}", mini.seeds().join(","));
    (mini, url)
}

#[test]
fn a_batch_keeps_within_the_bytes_that_are_allowed() {
    let (_mini, url) = cluster();
    let mut client = Client::builder(&url).unwrap().max_bytes(4_096).connect().unwrap();
    let mut batch = Batch::new();
    for key in 0..500 {
        batch.push(&["SET", &format!("k{key}"), &"v".repeat(100)]);
    }
    // One alone is larger than the bound.
    batch.push(&["SET", "large", &"v".repeat(10_000)]);
    for result in client.run(&batch).unwrap().iter() {
        result.unwrap();
    }
    // A pipeline tells instead of waiting.
    let mut pipeline = client.pipeline();
    for key in 0..100 {
        pipeline.push(&["SET", &format!("k{key}"), &"v".repeat(100)]);
    }
    let mut refused = 0;
    while let Some(answer) = pipeline.next(Duration::from_secs(10)).unwrap() {
        match answer.result {
            Ok(_) => {}
            Err(Error::Submit { error: SubmitError::FullBytes, command }) if command == "SET" => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!((50..100).contains(&refused), "{refused} of 100 refused");
}

#[test]
fn strict_order_and_repeatable_commands_bring_the_same_answers() {
    let (_mini, url) = cluster();
    let mut client = Client::builder(&url).unwrap().strict_order().resend_unsure().connect().unwrap();
    let mut batch = Batch::new();
    for n in 0..200 {
        batch.push(&["RPUSH", &format!("list:{}", n % 5), &n.to_string()]);
    }
    batch.push_repeatable(&["MGET", "a", "b", "c"]);
    let results = client.run(&batch).unwrap();
    for n in 0..200_i64 {
        // Each list grew by one with each command, in order.
        assert_eq!(results.value(usize::try_from(n).unwrap()).unwrap().as_i64(), Some(n / 5 + 1));
    }
    assert!(results.value(200).is_ok());
}

#[test]
fn messages_that_nobody_takes_are_bounded_and_counted() {
    let (_mini, url) = cluster();
    let mut subscriber = Subscriber::connect(&url).unwrap();
    subscriber.set_max_waiting(10);
    subscriber.ssubscribe(b"news");
    while !matches!(subscriber.next(Duration::from_secs(10)).unwrap(), Some(Event::Subscribed { .. })) {}
    let mut client = Client::connect(&url).unwrap();
    for n in 0..50 {
        assert_eq!(client.spublish(b"news", format!("{n}").as_bytes()).unwrap(), 1);
    }
    std::thread::sleep(Duration::from_millis(300));
    let (mut messages, mut lost) = (0, 0);
    while let Some(event) = subscriber.next(Duration::from_millis(300)).unwrap() {
        match event {
            Event::Message(message) => {
                assert!(lost == 0 || messages >= 10, "{message:?}");
                messages += 1;
            }
            Event::Overflow { dropped } => lost += dropped,
            _ => {}
        }
    }
    assert_eq!(messages + lost, 50);
    assert!(lost > 0 && messages >= 10, "{messages} messages, {lost} lost");
}

#[test]
fn neither_passwords_nor_values_are_shown() {
    let url = Url::parse("redis://app:c4nary@127.0.0.1:1").unwrap();
    quiet(&format!("{url} {url:?} {url:#?}"));
    let builder = Client::builder("redis://app:c4nary@127.0.0.1:1").unwrap();
    quiet(&format!("{builder:?} {builder:#?}"));
    let error = builder.connect_timeout(Duration::from_millis(300)).connect().unwrap_err();
    quiet(&format!("{error} {error:?} {error:#?}"));

    let mut batch = Batch::new();
    batch.push(&["SET", "k", "c4nary"]).push(&["NOSUCH", "c4nary"]).push(&["MSET", "a", "c4nary", "b", "c4nary"]);
    quiet(&format!("{batch:?} {batch:#?}"));

    let (_mini, url) = cluster();
    let mut client = Client::connect(&url).unwrap();
    let results = client.run(&batch).unwrap();
    quiet(&format!("{results:?} {results:#?} {client:?}"));
    for result in results.iter() {
        if let Err(error) = result {
            quiet(&format!("{error} {error:?}"));
        }
    }
    client.run(Batch::new().push(&["SET", "k", "c4nary"])).unwrap();
    // The server says why, and what was asked of it stays unsaid.
    for words in [&["INCR", "k"][..], &["LPUSH", "k", "c4nary"], &["SET", "k", "v", "EX", "c4nary"]] {
        let error = client.command(words).unwrap_err();
        assert!(error.to_string().contains(words[0]), "{error}");
        quiet(&format!("{error} {error:?}"));
    }
    let to = slotwise::command::Target::AnyNode;
    let error = client.command_to(to, &["NOSUCHCOMMAND", "c4nary", "c4nary"]).unwrap_err();
    quiet(&format!("{error} {error:?}"));
    let mut pipeline = client.pipeline();
    pipeline.push(&["SET", "k", "c4nary"]);
    quiet(&format!("{pipeline:?}"));
}

//! A whole session with a password, all of whose texts are kept: none holds the password or a value, and none a byte
//! that would act on a terminal or begin a line of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use slotwise::slot::Slot;
use slotwise_std::mini::MiniCluster;
use slotwise_std::mini::model::ModelOptions;
use slotwise_std::{Batch, Client, Error, Notice, Subscriber};

use super::quiet;

/// As it stands in the server's configuration, and in a URL.
const PASSWORD: &[u8] = b"c4nary\x1b[31m\r\nAUTH";
const IN_URL: &str = "c4nary%1B%5B31m%0D%0AAUTH";

/// Every text of the session.
#[derive(Clone, Debug, Default)]
struct Texts(Arc<Mutex<Vec<String>>>);

impl Texts {
    fn keep(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn error(&self, error: &Error) {
        self.keep(format!("{error}"));
        self.keep(format!("{error:?}"));
    }

    fn observer(&self) -> impl Fn(&Notice<'_>) + Send + Sync + 'static {
        let texts = self.clone();
        move |notice| texts.keep(format!("{} {notice:?}", notice.name()))
    }

    /// How many there are, after each was looked at.
    #[track_caller]
    fn check(&self) -> usize {
        let texts = self.0.lock().unwrap();
        for text in &*texts {
            quiet(text);
            assert!(!text.chars().any(char::is_control), "a raw control character: {text:?}");
        }
        texts.len()
    }
}

fn session(resp2: bool) -> usize {
    let options = ModelOptions { password: Some(PASSWORD.to_vec()), ..ModelOptions::default() };
    let mini = MiniCluster::with_options(options).unwrap();
    let seeds = mini.seeds().join(",");
    let texts = Texts::default();
    let builder = |password: &str| {
        let url = format!("redis://:{password}@{seeds}");
        let builder = Client::builder(&url).unwrap().observe(texts.observer());
        if resp2 { builder.resp2() } else { builder }
    };
    // Refused: nearly the right one, and none at all.
    let wrong = builder(&format!("{IN_URL}c4nary")).connect_timeout(Duration::from_millis(400)).connect().unwrap_err();
    assert!(wrong.to_string().contains("WRONGPASS") || matches!(wrong, Error::NoCluster { .. }), "{wrong}");
    texts.error(&wrong);
    let none = Client::builder(&format!("redis://{seeds}")).unwrap().observe(texts.observer());
    texts.error(&none.connect_timeout(Duration::from_millis(400)).connect().unwrap_err());

    let builder = builder(IN_URL).client_name("gateway");
    texts.keep(format!("{builder:?}"));
    let mut subscriber = Subscriber::with(builder.clone()).unwrap();
    let mut client = builder.connect().unwrap();
    subscriber.ssubscribe("{k}c4nary\x1b[2J\r\n");
    client.command(&["SET", "{k}", "c4nary\x1b]0;c4nary\x07"]).unwrap();
    // Redirects, from both sides of a move, and connections that end.
    let slot = Slot::of_key(b"{k}").get();
    for round in 0..3 {
        let to = (mini.owner(slot).unwrap() + 1) % 3;
        mini.begin_move(slot, to).unwrap();
        while mini.move_keys(slot, 1).unwrap() > 0 {}
        client.command(&["GET", "{k}"]).unwrap();
        mini.finish_move(slot).unwrap();
        client.command(&["GET", "{k}"]).unwrap();
        if round == 1 {
            mini.disconnect_clients(None);
        }
        while subscriber.next(Duration::from_millis(20)).unwrap().is_some() {}
    }
    texts.keep(format!("{client:?} {subscriber:?} {:?}", client.counters()));
    // What servers and scripts say. A line cannot hold a line break, all else it can.
    let scripts = ["ERR \x1b[2J\x07 script", "MOVED 1 6.6.6.6:6", "\x1b[31mRED alert\x7f", "WRONGPASS \t\x08\u{9b}2J"];
    let mut batch = Batch::new();
    for text in scripts {
        batch.push(&["EVAL", &format!("return redis.error_reply('{text}')"), "1", "{k}"]);
    }
    batch.push(&["INCR", "{k}"]).push(&["SET", "{k}", "v", "EX", "c4nary\x1b"]);
    batch.push(&["MGET", "{k}", "c4nary\x1b", "another"]);
    texts.keep(format!("{batch:?}"));
    let results = client.run(&batch).unwrap();
    texts.keep(format!("{results:?}"));
    let mut errors = 0;
    for error in results.iter().filter_map(Result::err) {
        errors += 1;
        texts.error(&error);
    }
    assert_eq!(errors, scripts.len() + 2);
    let any = slotwise::command::Target::AnyNode;
    for words in [&["NO\x1bSUCH\r\n", "c4nary"][..], &["CLIENT", "SETNAME", "c4nary\x1b\n"], &["AUTH", "c4nary\x1b"]] {
        match client.command_to(any, words) {
            Ok(_) => panic!("{words:?} was carried out"),
            Err(error) => texts.error(&error),
        }
    }
    // And the cluster is gone.
    drop(mini);
    let gone = Client::builder(&format!("redis://:{IN_URL}@{seeds}")).unwrap().observe(texts.observer());
    texts.error(&gone.connect_timeout(Duration::from_millis(300)).connect().unwrap_err());
    texts.check()
}

#[test]
fn no_text_of_a_session_shows_secrets_or_control_characters() {
    for resp2 in [false, true] {
        let texts = session(resp2);
        assert!(texts > 100, "{texts} texts");
    }
}

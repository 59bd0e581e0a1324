//! Scripts that answer with what looks like a redirect.

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use slotwise_std::slotwise::server_error::ErrorKind;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::{Client, Error};
use slotwise_tests::real::{ClusterOptions, ServerKind};

const PASSWORD: &str = "c4nary-of-a-password";

/// A host that no topology reply names: it keeps what it is sent.
struct Stranger {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<u8>>,
}

impl Stranger {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut guests, mut heard) = (Vec::new(), Vec::new());
            while !seen.load(Ordering::Relaxed) {
                if let Ok((guest, _)) = listener.accept() {
                    guest.set_nonblocking(true).unwrap();
                    heard.extend_from_slice(b"(connected)");
                    guests.push(guest);
                }
                for guest in &mut guests {
                    let mut piece = [0; 4_096];
                    while let Ok(count @ 1..) = guest.read(&mut piece) {
                        heard.extend_from_slice(&piece[..count]);
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            heard
        });
        Self { port, stop, thread }
    }

    fn heard(self) -> Vec<u8> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn owners(client: &Client) -> Vec<(u16, String)> {
    let map = client.map();
    map.ranges().map(|(range, _)| (range.first().get(), format!("{:?}", map.owner(range.first())))).collect()
}

#[test]
fn a_script_that_imitates_a_redirect_is_answered_with_its_own_words() {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let options = ClusterOptions::new(kind, 3, 0);
        let Some(cluster) = options.start() else { continue };
        let admin = cluster.admin();
        for node in admin.primaries() {
            admin.ask(node, &["ACL", "SETUSER", "app", "on", "+@all", "~*", "&*", &format!(">{PASSWORD}")]).unwrap();
        }
        let stranger = Stranger::start();
        let url = format!("redis://app:{PASSWORD}@{}", admin.seeds().join(","));
        let mut client = Client::connect(&url).unwrap();
        let key = "imitated";
        let slot = Slot::of_key(key.as_bytes()).get();
        let other = admin.primaries().find(|node| admin.owner(slot) != Some(*node)).unwrap();
        let before = owners(&client);
        let mut counted = 0;
        for word in ["MOVED", "ASK"] {
            for slot in [slot, slot ^ 0x2000] {
                for port in [stranger.port, admin.port(other)] {
                    let line = format!("{word} {slot} 127.0.0.1:{port}");
                    let script = "redis.call('INCR', KEYS[1]); return redis.error_reply(ARGV[1])";
                    counted += 1;
                    match client.command(&["EVAL", script, "1", key, &line]) {
                        Err(Error::Server { reply, .. }) => {
                            assert!(reply.line().starts_with(&line), "{} for {line}", reply.line());
                            assert!(matches!(reply.kind(), ErrorKind::Moved | ErrorKind::Ask), "{:?}", reply.kind());
                        }
                        other => panic!("{kind:?}: {line}: {other:?}"),
                    }
                    // Once, at the slot's owner, and nowhere else.
                    assert_eq!(client.command(&["GET", key]).unwrap().as_str(), Some(&*counted.to_string()), "{line}");
                }
            }
        }
        assert_eq!(owners(&client), before, "the map was changed");
        assert!(client.dialled().all(|(addr, _)| addr != format!("127.0.0.1:{}", stranger.port)), "it was dialled");
        client.close().unwrap();
        let heard = stranger.heard();
        assert!(heard.is_empty(), "{}", heard.escape_ascii());
        println!("{kind:?}: {counted} imitated redirects, each the caller's answer and run once");
    }
}

//! What servers say instead of a confirmation, row by row, and what becomes of the channels it is about.

use super::*;
use std::vec;

/// What a refused subscribe comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum After {
    /// Asked again at once: the map is right by then.
    AtOnce,
    /// Asked again after the first, short wait, and nothing told.
    Soon,
    /// Told, and asked again after the longest wait.
    Told,
}

/// Error lines as servers of these versions send them.
const ROWS: [(&str, After); 13] = [
    // Not the owner of the slot, or not any more.
    ("MOVED 7365 10.0.0.1:7201", After::AtOnce),
    ("ASK 7365 10.0.0.1:7201", After::Soon),
    ("TRYAGAIN Multiple keys request during rehashing of slot", After::Soon),
    ("CLUSTERDOWN Hash slot not served", After::Soon),
    ("CLUSTERDOWN The cluster is down", After::Soon),
    ("LOADING Redis is loading the dataset in memory", After::Soon),
    ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", After::Soon),
    // An ACL forbids one channel of the command: the line stands for all.
    ("NOPERM No permissions to access a channel", After::Told),
    ("NOPERM this user has no permissions to access one of the channels used as arguments", After::Told),
    ("NOPERM User app has no permissions to run the 'ssubscribe' command", After::Told),
    ("NOAUTH Authentication required.", After::Told),
    // Servers before 7.0, and a node that is no cluster node.
    ("ERR unknown command 'SSUBSCRIBE', with args beginning with: 'c' ", After::Told),
    // A RESP2 connection in subscribed mode refuses what is not about subscriptions.
    (
        "ERR Can't execute 'ssubscribe': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this \
         context",
        After::Told,
    ),
];

fn client(names: &[&str]) -> (Reconciler<StaticStorage<8, 4, 200>>, BTreeMap<u16, usize>) {
    let mut client = Reconciler::new(Policy::DEFAULT, 1, StaticStorage::new());
    let owner = names.iter().map(|name| (Slot::of_key(name.as_bytes()).get(), 0)).collect();
    names.iter().for_each(|name| assert!(client.want(Kind::Sharded, name.as_bytes()).is_ok()));
    (client, owner)
}

fn confirm(client: &mut Reconciler<StaticStorage<8, 4, 200>>, word: &str, name: &str) {
    let wire = format!(">3\r\n{}{}:1\r\n", bulk(word), bulk(name));
    let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else { panic!() };
    assert!(matches!(client.on_push(conn(0, 0), &frame), PushEvent::Handled));
}

#[test]
fn every_refusal_is_told_or_tried_again_and_costs_no_other_channel() {
    let start = 1_000_u64;
    let at = |ms: u64| Instant::from_micros(ms * 1_000);
    for (line, after) in ROWS {
        // Two channels of one slot share the refused request; a third of another slot is subscribed before it.
        let (mut client, owner) = client(&["c", "{c}2", "b"]);
        let mut requests = Vec::new();
        while let Some(request) = with_map(&owner, |map| client.poll(at(start), map)) {
            requests.push(request);
        }
        assert_eq!(requests.len(), 2);
        let slot = Slot::of_key(b"c");
        let (refused, other): (Vec<_>, Vec<_>) = requests.into_iter().partition(|request| request.slot == Some(slot));
        confirm(&mut client, "ssubscribe", "b");
        client.on_command_done(at(start), other[0].ticket, CommandDone::Fenced { conn: conn(0, 0) });
        client.on_command_done(at(start), refused[0].ticket, CommandDone::Refused { error: line.as_bytes() });
        let [c, c2, b] = ["c", "{c}2", "b"].map(|name| client.find(Kind::Sharded, name.as_bytes()).unwrap());
        let mut told: Vec<Event> = core::iter::from_fn(|| client.poll_event()).collect();
        told.sort_by_key(|event| format!("{event:?}"));
        let mut expected = vec![Event::Confirmed(b)];
        if after == After::Told {
            expected.extend([Event::Refused(c), Event::Refused(c2)]);
        }
        expected.sort_by_key(|event| format!("{event:?}"));
        assert_eq!(told, expected, "{line}");
        assert_eq!(client.state(b), Some(State::Active(node(0))), "{line}");
        assert!(client.wants_refresh(), "{line}: the map is asked for");
        // Both wait alike, and both are asked for again.
        let mut asked = Vec::new();
        for ms in 0..=5_000 {
            while let Some(request) = with_map(&owner, |map| client.poll(at(start + ms), map)) {
                assert_eq!(request.action, Action::Subscribe);
                asked.extend(client.args(&request).channels().map(|_| ms));
            }
        }
        let (first, last) = (asked[0], asked[asked.len() - 1]);
        let wait = match after {
            After::AtOnce => 0..=0,
            After::Soon => 25..=50,
            After::Told => 5_000..=5_000,
        };
        assert!(asked.len() == 2 && wait.contains(&first) && wait.contains(&last), "{line}: {asked:?}");
    }
}

/// An unsubscribe that is refused has nothing to end: the slot has left, nothing was subscribed (NOSUB, Valkey 8.0), or a rule
/// took the channel away.
#[test]
fn a_refused_unsubscribe_is_done() {
    let lines =
        ["MOVED 7365 10.0.0.1:7201", "CROSSSLOT Keys in request don't hash to the same slot", "NOSUB x", "NOPERM x"];
    for line in lines {
        let (mut client, owner) = client(&["c", "b"]);
        for _ in 0..2 {
            let request = with_map(&owner, |map| client.poll(Instant::EPOCH, map)).unwrap();
            let name = if request.slot == Some(Slot::of_key(b"c")) { "c" } else { "b" };
            confirm(&mut client, "ssubscribe", name);
            client.on_command_done(Instant::EPOCH, request.ticket, CommandDone::Fenced { conn: conn(0, 0) });
        }
        assert!(client.unwant(Kind::Sharded, b"c"));
        let request = with_map(&owner, |map| client.poll(Instant::EPOCH, map)).unwrap();
        assert_eq!(request.action, Action::Unsubscribe);
        client.on_command_done(Instant::EPOCH, request.ticket, CommandDone::Refused { error: line.as_bytes() });
        assert_eq!(client.find(Kind::Sharded, b"c"), None, "{line}");
        let b = client.find(Kind::Sharded, b"b").unwrap();
        assert!(client.is_settled() && client.state(b) == Some(State::Active(node(0))), "{line}");
    }
}

//! The reconciler step by step.

use super::*;
use std::vec::Vec;

struct Client(Reconciler<StaticStorage<8, 2, 200>>, BTreeMap<u16, usize>);

impl Client {
    fn new(names: &[&str]) -> Self {
        let mut client = Reconciler::new(Policy::DEFAULT, 1, StaticStorage::new());
        let mut owner = BTreeMap::new();
        for name in names {
            client.want(Kind::Sharded, name.as_bytes()).unwrap();
            owner.insert(Slot::of_key(name.as_bytes()).get(), 0);
        }
        Self(client, owner)
    }

    fn poll(&mut self, ms: u64) -> Option<SubRequest> {
        let client = &mut self.0;
        with_map(&self.1, |map| client.poll(Instant::from_micros(ms * 1_000), map))
    }

    fn push(&mut self, generation: u32, wire: &str) -> String {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else { panic!() };
        match self.0.on_push(conn(0, generation), &frame) {
            PushEvent::Message(message) => format!("message {:?}", message.gap.map(|gap| gap.since.as_micros())),
            PushEvent::Dropped => "dropped".into(),
            PushEvent::Handled => "handled".into(),
            other => format!("{other:?}"),
        }
    }

    fn done(&mut self, ms: u64, request: SubRequest, done: CommandDone<'_>) {
        self.0.on_command_done(Instant::from_micros(ms * 1_000), request.ticket, done);
    }
}

const FENCED: CommandDone<'static> = CommandDone::Fenced { conn: ConnId::new(0, 0) };

#[test]
fn a_gap_comes_with_the_first_message_and_begins_at_the_last_proof() {
    let mut client = Client::new(&["c"]);
    let request = client.poll(10).unwrap();
    assert_eq!((request.action, request.channels), (Action::Subscribe, 1));
    assert_eq!(client.push(0, "*3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n"), "handled");
    client.done(12, request, FENCED);
    assert!(client.0.is_settled() && client.poll(13).is_none());
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n1\r\n"), "message None");
    let map = client.1.clone();
    with_map(&map, |map| client.0.on_map(Instant::from_micros(30_000), map));
    client.0.on_alive(conn(0, 0), Instant::from_micros(20_000));
    // Unasked.
    assert_eq!(client.push(0, "*3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n"), "handled");
    assert!(client.0.wants_refresh());
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n"), "dropped");
    let request = client.poll(40).unwrap();
    client.done(41, request, CommandDone::Refused { error: b"MOVED 7365 10.0.0.1:7200" });
    let request = client.poll(41).expect("the first MOVED is followed at once");
    client.done(42, request, CommandDone::Refused { error: b"MOVED 7365 10.0.0.1:7200" });
    assert!(client.poll(42).is_none(), "the second waits");
    let at = client.0.poll_timeout().unwrap().as_micros() / 1_000 + 1;
    let request = client.poll(at).unwrap();
    assert_eq!(client.push(0, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n"), "handled");
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n3\r\n"), "message Some(20000)");
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n4\r\n"), "message None");
    client.done(at + 1, request, FENCED);
    let mut events = Vec::new();
    while let Some(event) = client.0.poll_event() {
        events.push(event);
    }
    let id = client.0.find(Kind::Sharded, b"c").unwrap();
    assert_eq!(events, [Event::Interrupted(id), Event::Confirmed(id)]);
    assert_eq!(client.0.state(id), Some(State::Active(node(0))));
}

/// A connection that answers proves that the subscription is alive, not that its node still owns the slot.
#[test]
fn a_gap_begins_before_the_last_map_that_named_the_owner() {
    let mut client = Client::new(&["c"]);
    let request = client.poll(10).unwrap();
    client.push(0, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
    client.done(12, request, FENCED);
    let mut map = client.1.clone();
    with_map(&map, |map| client.0.on_map(Instant::from_micros(30_000), map));
    client.0.on_alive(conn(0, 0), Instant::from_micros(50_000));
    map.values_mut().for_each(|owner| *owner = 1);
    with_map(&map, |map| client.0.on_map(Instant::from_micros(60_000), map));
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n"), "dropped");
    client.1 = map;
    let request = client.poll(61).unwrap();
    assert_eq!(request.node, node(1));
    client.push(1, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
    let id = client.0.find(Kind::Sharded, b"c").unwrap();
    let since = Instant::from_micros(30_000);
    assert_eq!(client.0.poll_event(), Some(Event::Interrupted(id)));
    assert_eq!(client.0.poll_event(), Some(Event::Gap { channel: id, since }));
    assert_eq!(client.0.poll_event(), Some(Event::Confirmed(id)));
    assert_eq!(client.0.poll_event(), None);
}

/// The map changes while a subscribe is under way to the old owner, which confirms it all the same.
#[test]
fn a_confirmation_of_an_old_owner_is_not_believed() {
    let mut client = Client::new(&["c"]);
    let request = client.poll(10).unwrap();
    client.1.values_mut().for_each(|owner| *owner = 1);
    let map = client.1.clone();
    with_map(&map, |map| client.0.on_map(Instant::from_micros(12_000), map));
    client.push(0, ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n");
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n"), "dropped");
    client.done(14, request, FENCED);
    let request = client.poll(14).unwrap();
    assert_eq!((request.node, request.action), (node(1), Action::Subscribe));
    assert_eq!(client.0.poll_event(), None);
}

/// With one bucket all channels share a chain; the requests are still of one slot each.
#[test]
fn slots_do_not_mix_in_one_chain() {
    let (mut channels, mut buckets) = ([Channel::EMPTY; 8], [Bucket::EMPTY; 1]);
    let (mut links, mut names) = ([Link::EMPTY; 2], [0; 200]);
    let parts = Parts { channels: &mut channels, buckets: &mut buckets, links: &mut links, names: &mut names };
    let mut client = Reconciler::new(Policy::DEFAULT, 1, parts);
    let names = ["{a}1", "b", "{a}2", "c", "{b}2"];
    for name in names {
        client.want(Kind::Sharded, name.as_bytes()).unwrap();
    }
    client.want(Kind::Plain, b"b").unwrap();
    let owner = names.iter().map(|name| (Slot::of_key(name.as_bytes()).get(), 0)).collect();
    let mut sizes = Vec::new();
    while let Some(request) = with_map(&owner, |map| client.poll(Instant::EPOCH, map)) {
        let args = client.args(&request);
        assert!(request.kind == Kind::Plain || args.channels().all(|name| Some(Slot::of_key(name)) == request.slot));
        sizes.push(request.channels);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2, 2]);
}

/// The slot leaves while the unsubscribe is under way: its push, then MOVED.
#[test]
fn an_unsubscribe_that_races_with_a_move_wins() {
    let mut client = Client::new(&["c"]);
    let request = client.poll(1).unwrap();
    client.push(0, ">3\r\n+ssubscribe\r\n$1\r\nc\r\n:1\r\n");
    client.done(2, request, FENCED);
    assert!(client.0.unwant(Kind::Sharded, b"c"));
    let request = client.poll(3).unwrap();
    assert_eq!(request.action, Action::Unsubscribe);
    client.push(0, ">3\r\n+sunsubscribe\r\n$1\r\nc\r\n:0\r\n");
    client.done(4, request, CommandDone::Refused { error: b"MOVED 7365 10.0.0.1:7201" });
    assert!(client.poll(10_000).is_none() && client.0.find(Kind::Sharded, b"c").is_none());
    assert!(!client.0.unwant(Kind::Sharded, b"c"));
}

/// One request for each slot, within the bound, and none for a channel that has one under way.
#[test]
fn channels_of_a_slot_share_a_request() {
    let mut client = Client::new(&["{a}1", "b", "{a}2", "{a}3"]);
    client.0.core.policy.channels = 2;
    let mut sizes = Vec::new();
    while let Some(request) = client.poll(1) {
        let args = client.0.args(&request);
        assert_eq!(args.arg(0), Some(&b"SSUBSCRIBE"[..]));
        assert!(args.channels().all(|name| Some(Slot::of_key(name)) == request.slot));
        assert_eq!(args.channels().count(), usize::from(request.channels));
        sizes.push(request.channels);
    }
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 1, 2]);
}

#[test]
fn full_tables_say_so() {
    let mut client = Client::new(&[]);
    for n in 0..8 {
        client.0.want(Kind::Plain, format!("{n}").as_bytes()).unwrap();
    }
    assert_eq!(client.0.want(Kind::Plain, b"9"), Err(Full::Channels));
    assert!(client.0.want(Kind::Plain, b"3").is_ok(), "it is there already");
    assert!(client.0.unwant(Kind::Plain, b"3"));
    assert_eq!(client.0.want(Kind::Plain, &[b'x'; 200]), Err(Full::Names));
    assert!(client.0.want(Kind::Plain, b"9").is_ok());
}

/// What the documentation says.
#[test]
fn sizes() {
    assert!(size_of::<Channel>() <= 72, "{}", size_of::<Channel>());
    assert!(size_of::<Link>() <= 48, "{}", size_of::<Link>());
    assert!(size_of::<Bucket>() == 8 && size_of::<SubRequest>() <= 48);
    assert!(size_of::<Reconciler<Parts<'_>>>() <= 300, "{}", size_of::<Reconciler<Parts<'_>>>());
}

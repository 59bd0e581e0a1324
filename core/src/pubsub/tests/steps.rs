//! The reconciler step by step.

use super::*;
use std::vec::Vec;

pub(super) struct Client(pub(super) Reconciler<StaticStorage<8, 2, 200>>, pub(super) BTreeMap<u16, usize>);

impl Client {
    pub(super) fn new(names: &[&str]) -> Self {
        let mut client = Reconciler::new(Policy::DEFAULT, 1, StaticStorage::new());
        let mut owner = BTreeMap::new();
        for name in names {
            client.want(Kind::Sharded, name.as_bytes()).unwrap();
            owner.insert(Slot::of_key(name.as_bytes()).get(), 0);
        }
        Self(client, owner)
    }

    pub(super) fn poll(&mut self, ms: u64) -> Option<SubRequest> {
        let client = &mut self.0;
        with_map(&self.1, |map| client.poll(Instant::from_micros(ms * 1_000), map))
    }

    pub(super) fn push(&mut self, generation: u32, wire: &str) -> String {
        self.push_on(conn(0, generation), wire)
    }

    pub(super) fn push_on(&mut self, from: ConnId, wire: &str) -> String {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else { panic!() };
        match self.0.on_push(from, &frame) {
            PushEvent::Message(message) => {
                let overlap = if message.overlap { " overlap" } else { "" };
                format!("message {:?}{overlap}", message.gap.map(|gap| gap.since.as_micros()))
            }
            PushEvent::Dropped => "dropped".into(),
            PushEvent::Handled => "handled".into(),
            other => format!("{other:?}"),
        }
    }

    pub(super) fn done(&mut self, ms: u64, request: SubRequest, done: CommandDone<'_>) {
        self.0.on_command_done(Instant::from_micros(ms * 1_000), request.ticket, done);
    }

    /// Subscribed at the first node by 12 ms, owned by it at 30 ms, alive at 50; at 60 ms the map names the second.
    pub(super) fn moving() -> Self {
        let mut client = Self::new(&["c"]);
        let request = client.poll(10).unwrap();
        client.push(0, SUBSCRIBED);
        client.done(12, request, FENCED);
        client.map(30, 0);
        assert!(client.poll(40).is_none());
        client.0.on_alive(conn(0, 0), Instant::from_micros(50_000));
        assert_eq!(client.events().len(), 1);
        client.map(60, 1);
        client
    }

    pub(super) fn map(&mut self, ms: u64, owner: usize) {
        self.1.values_mut().for_each(|its| *its = owner);
        let client = &mut self.0;
        with_map(&self.1, |map| client.on_map(Instant::from_micros(ms * 1_000), map));
    }

    /// The second node is asked for what it may still have to send, and answers.
    pub(super) fn settle(&mut self, ms: u64) {
        let request = self.poll(ms).unwrap();
        assert_eq!((request.node, request.action), (node(1), Action::Subscribe));
        assert_eq!(self.push_on(SECOND, MESSAGE), "message None overlap");
        self.push_on(SECOND, SUBSCRIBED);
        assert!(!self.0.is_settled());
        self.done(ms + 1, request, CommandDone::Fenced { conn: SECOND });
        assert!(self.events().is_empty(), "nothing has changed");
    }

    pub(super) fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.0.poll_event()).collect()
    }

    pub(super) fn id(&self) -> ChannelId {
        self.0.find(Kind::Sharded, b"c").unwrap()
    }
}

pub(super) const SUBSCRIBED: &str = ">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n";
pub(super) const ENDED: &str = ">3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n";
pub(super) const MESSAGE: &str = ">3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n2\r\n";
pub(super) const FENCED: CommandDone<'static> = CommandDone::Fenced { conn: ConnId::new(0, 0) };

#[test]
fn a_gap_comes_with_the_first_message_and_begins_at_the_last_proof() {
    let mut client = Client::new(&["c"]);
    client.map(5, 0);
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
    assert_eq!(client.push(0, "*3\r\n$8\r\nsmessage\r\n$1\r\nc\r\n$1\r\n3\r\n"), "message Some(5000)");
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

pub(super) const SECOND: ConnId = ConnId::new(1, 0);

/// A connection that answers proves that the subscription is alive, not that its node still owns the slot: the gap
/// begins with the last map that named the owner. Until the new node confirms, the old one is heard.
#[test]
fn a_channel_moves_without_being_given_up_first() {
    let mut client = Client::moving();
    assert_eq!(client.push(0, MESSAGE), "message None");
    let request = client.poll(61).unwrap();
    assert_eq!((request.node, request.action), (node(1), Action::Subscribe));
    assert_eq!(client.push(0, MESSAGE), "message None");
    assert_eq!(client.0.state(client.id()), Some(State::Active(node(0))));
    assert!(client.events().is_empty() && !client.0.is_settled());
    client.push_on(SECOND, SUBSCRIBED);
    assert_eq!(client.0.state(client.id()), Some(State::Active(node(1))));
    // Both are heard, and what the old one sends stands before the gap.
    assert_eq!(client.push(0, MESSAGE), "message None overlap");
    assert_eq!(client.push_on(SECOND, MESSAGE), "message Some(30000) overlap");
    assert_eq!(client.events(), [Event::Confirmed(client.id())], "the gap was told with the message");
    assert!(client.poll(62).is_none(), "the old one is not let go before the fence is answered");
    client.done(63, request, CommandDone::Fenced { conn: SECOND });
    let request = client.poll(64).unwrap();
    assert_eq!((request.node, request.action, request.channels), (node(0), Action::Unsubscribe, 1));
    assert_eq!(client.push(0, MESSAGE), "message None overlap");
    assert_eq!(client.push(0, ENDED), "handled");
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None overlap", "it may have come over the old one before");
    assert!(!client.0.is_settled());
    client.done(65, request, FENCED);
    client.settle(66);
    assert!(client.0.is_settled() && client.poll(10_000).is_none() && client.events().is_empty());
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert_eq!(client.push(0, MESSAGE), "dropped");
    assert_eq!(client.0.counts().interrupted, 0);
}

/// Where the old node ends the subscription before the new one has confirmed, or its connection is lost, nobody is heard.
#[test]
fn a_channel_that_moves_is_interrupted_when_its_old_node_lets_go_first() {
    for lost in [false, true] {
        let mut client = Client::moving();
        let request = client.poll(61).unwrap();
        if lost {
            client.0.on_lost(conn(0, 0));
        } else {
            client.push(0, ENDED);
        }
        assert_eq!(client.push(0, MESSAGE), "dropped");
        assert_eq!(client.events(), [Event::Interrupted(client.id())]);
        assert_eq!(client.0.state(client.id()), Some(State::Pending));
        client.push_on(SECOND, SUBSCRIBED);
        client.done(70, request, CommandDone::Fenced { conn: SECOND });
        let since = Instant::from_micros(30_000);
        assert_eq!(client.events(), [Event::Gap { channel: client.id(), since }, Event::Confirmed(client.id())]);
        // It was asked before the old one ended, so it may have more of what that has brought.
        assert_eq!(client.push_on(SECOND, MESSAGE), "message None overlap");
        client.settle(71);
        assert!(client.0.is_settled() && client.poll(73).is_none(), "there is nothing to let go");
        assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
        assert_eq!(client.0.counts().interrupted, 1);
    }
}

/// The new node refuses it and the map turns back: it is subscribed where it belongs already.
#[test]
fn a_channel_stays_when_the_map_turns_back() {
    let mut client = Client::moving();
    let request = client.poll(61).unwrap();
    client.done(62, request, CommandDone::Refused { error: b"MOVED 7365 10.0.0.1:7200" });
    client.map(63, 0);
    assert!(client.poll(64).is_none());
    assert!(client.0.is_settled());
    let since = Instant::from_micros(30_000);
    assert_eq!(client.events(), [Event::Gap { channel: client.id(), since }, Event::Confirmed(client.id())]);
    assert_eq!(client.push(0, MESSAGE), "message None");
    // A wish that ends on the way ends at both.
    client.map(70, 1);
    let request = client.poll(71).unwrap();
    assert!(client.0.unwant(Kind::Sharded, b"c"));
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.push_on(SECOND, SUBSCRIBED);
    client.done(72, request, CommandDone::Fenced { conn: SECOND });
    let mut left = [73, 75].map(|at| {
        let request = client.poll(at).unwrap();
        let from = ConnId::new(u32::from(request.node == node(1)), 0);
        client.push_on(from, ENDED);
        client.done(at + 1, request, CommandDone::Fenced { conn: from });
        (request.node.as_bytes()[0], request.action)
    });
    left.sort_by_key(|(node, _)| *node);
    assert_eq!(left, [(1, Action::Unsubscribe), (2, Action::Unsubscribe)]);
    assert!(client.0.find(Kind::Sharded, b"c").is_none());
}

/// The old node's answer never comes: it is asked again, and then let be; its messages are not handed out any more.
#[test]
fn an_old_node_that_does_not_answer_is_let_be() {
    let mut client = Client::moving();
    let request = client.poll(61).unwrap();
    client.push_on(SECOND, SUBSCRIBED);
    client.done(62, request, CommandDone::Fenced { conn: SECOND });
    let mut asked = 0;
    for at in (63..60_000).step_by(100) {
        let Some(request) = client.poll(at) else { continue };
        assert_eq!((request.node, request.action), (node(0), Action::Unsubscribe));
        client.done(at + 1, request, CommandDone::Failed);
        asked += 1;
        if asked == 4 {
            break;
        }
    }
    assert_eq!(client.push(0, MESSAGE), "dropped");
    assert_eq!(client.events().len(), 2, "the gap, and that it is subscribed");
    client.settle(60_000);
    assert!(client.0.is_settled());
    assert_eq!(client.push(0, MESSAGE), "dropped");
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
    // It must not go on sending either.
    assert_eq!(client.push(0, MESSAGE), "dropped");
    let request = client.poll(1_000).unwrap();
    assert_eq!((request.node, request.action), (node(0), Action::Unsubscribe));
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.done(1_001, request, CommandDone::Refused { error: b"MOVED 7365 10.0.0.1:7201" });
    let request = client.poll(1_001).unwrap();
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

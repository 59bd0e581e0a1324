//! What comes late: copies of messages, confirmations of requests that were given up, news of slots that left and came back.

use super::steps::{Client, ENDED, FENCED, MESSAGE, SECOND, SUBSCRIBED};
use super::*;

const OTHER: CommandDone<'static> = CommandDone::Fenced { conn: SECOND };

/// The fence behind a move is not answered: what comes says so until another one is.
#[test]
fn a_move_ends_when_the_new_node_answers() {
    let mut client = Client::moving();
    let request = client.poll(61).unwrap();
    client.push_on(SECOND, SUBSCRIBED);
    client.done(62, request, OTHER);
    let request = client.poll(63).unwrap();
    client.push(0, ENDED);
    client.done(64, request, FENCED);
    assert_eq!(client.events().len(), 2, "the gap, and that it is subscribed");
    let request = client.poll(65).unwrap();
    client.done(66, request, CommandDone::Failed);
    assert_eq!(client.0.state(client.id()), Some(State::Active(node(1))), "its subscription goes on");
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None overlap");
    assert!(client.poll(67).is_none() && client.0.poll_timeout().is_some());
    client.settle(10_000);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert!(client.0.is_settled() && client.0.counts().interrupted == 0);
    // Another move begins while a fence is under way: the channel is begun anew.
    client.map(10_010, 0);
    let request = client.poll(10_011).unwrap();
    client.push(0, SUBSCRIBED);
    client.done(10_012, request, FENCED);
    let request = client.poll(10_013).unwrap();
    client.done(10_014, request, OTHER);
    let fence = client.poll(10_015).unwrap();
    client.map(10_016, 1);
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.done(10_017, fence, FENCED);
    let request = client.poll(10_100).unwrap();
    assert_eq!((request.node, request.action), (node(0), Action::Unsubscribe));
    client.done(10_101, request, FENCED);
    let request = client.poll(10_200).unwrap();
    client.push_on(SECOND, SUBSCRIBED);
    client.done(10_201, request, OTHER);
    assert!(client.push_on(SECOND, MESSAGE).starts_with("message Some("));
    assert!(client.0.is_settled() && client.poll(20_000).is_none());
}

/// A subscribe at a node was given up, and is carried out all the same while the channel is asked for at another one.
#[test]
fn a_confirmation_of_a_node_that_was_not_asked_counts_for_nothing() {
    let mut client = Client::new(&["c"]);
    client.map(5, 0);
    let request = client.poll(10).unwrap();
    client.push(0, SUBSCRIBED);
    client.done(12, request, FENCED);
    assert_eq!(client.events(), [Event::Confirmed(client.id())]);
    client.push(0, ENDED);
    let given_up = client.poll(61).unwrap();
    client.map(62, 1);
    client.done(63, given_up, CommandDone::Failed);
    let request = client.poll(1_000).unwrap();
    assert_eq!((request.node, request.action), (node(1), Action::Subscribe));
    assert_eq!(client.events(), [Event::Interrupted(client.id())]);
    client.push(0, SUBSCRIBED);
    assert!(client.events().is_empty(), "no gap is told before the subscription that ends it");
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.push_on(SECOND, SUBSCRIBED);
    assert!(client.push_on(SECOND, MESSAGE).starts_with("message Some("));
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.done(1_001, request, OTHER);
    // It is ended there.
    let request = client.poll(1_002).unwrap();
    assert_eq!((request.node, request.action), (node(0), Action::Unsubscribe));
    client.push(0, ENDED);
    client.done(1_003, request, FENCED);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert!(client.0.is_settled() && client.poll(20_000).is_none());
}

/// The same, but nothing has told yet which node the connection belongs to: it is believed until the right one comes.
#[test]
fn a_confirmation_of_an_unknown_node_is_replaced_by_the_right_one() {
    let mut client = Client::new(&["c"]);
    client.map(5, 0);
    let given_up = client.poll(10).unwrap();
    client.map(11, 1);
    client.done(12, given_up, CommandDone::Failed);
    let request = client.poll(1_000).unwrap();
    client.push(0, SUBSCRIBED);
    assert_eq!(client.push(0, MESSAGE), "message None");
    client.push_on(SECOND, SUBSCRIBED);
    // What the right one sent in between is lost, and what the other one brought may come again.
    assert_eq!(client.push_on(SECOND, MESSAGE), "message Some(0) overlap");
    assert_eq!(client.push(0, MESSAGE), "dropped");
    client.done(1_001, request, OTHER);
    assert_eq!(client.events(), [Event::Confirmed(client.id())]);
    client.settle(1_002);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert!(client.0.is_settled());
}

/// A map gives the node another id: what is asked of it comes on the connection that it has.
#[test]
fn a_node_with_a_new_id_keeps_its_subscriptions() {
    let mut client = Client::moving();
    let request = client.poll(61).unwrap();
    assert_eq!(request.node, node(1));
    client.push(0, SUBSCRIBED);
    assert!(client.push(0, MESSAGE).starts_with("message"));
    client.done(62, request, FENCED);
    let fence = client.poll(63).unwrap();
    assert_eq!((fence.node, fence.action), (node(1), Action::Subscribe), "there is nothing to let go");
    client.done(64, fence, FENCED);
    assert_eq!(client.push(0, MESSAGE), "message None");
    assert!(client.0.is_settled() && client.0.counts().interrupted == 0);
    client.push(0, ENDED);
    assert_eq!(client.0.state(client.id()), Some(State::Pending));
}

/// The slot leaves and comes back between two maps. The map that shows it back proves nothing of the time before, and
/// neither does an answer that was asked for before that map had come.
#[test]
fn a_map_proves_a_subscription_with_an_answer_that_was_asked_for_after_it() {
    for (uncovered, alive, since) in [(false, 35, 20_000), (false, 41, 20_000), (false, 42, 40_000), (true, 42, 20_000)]
    {
        let mut client = Client::new(&["c"]);
        client.map(5, 0);
        let request = client.poll(10).unwrap();
        client.push(0, SUBSCRIBED);
        client.done(12, request, FENCED);
        client.map(20, 0);
        assert!(client.poll(21).is_none());
        client.0.on_alive(conn(0, 0), Instant::from_micros(25_000));
        if uncovered {
            with_map(&BTreeMap::from([(1, 0)]), |map| client.0.on_map(Instant::from_micros(40_000), map));
        } else {
            client.map(40, 0);
        }
        assert!(client.poll(41).is_none());
        client.0.on_alive(conn(0, 0), Instant::from_micros(alive * 1_000));
        client.push(0, ENDED);
        let request = client.poll(50).unwrap();
        client.push(0, SUBSCRIBED);
        client.done(51, request, FENCED);
        assert_eq!(client.push(0, MESSAGE), format!("message Some({since})"));
    }
}

/// A subscribe at a slow node was given up, and the channel has been elsewhere since. What the node has to say of that
/// comes when the channel is back.
#[test]
fn what_a_subscribe_that_was_given_up_has_brought_may_be_old() {
    let mut client = Client::new(&["c"]);
    client.map(5, 1);
    let given_up = client.poll(10).unwrap();
    assert_eq!(given_up.node, node(1));
    client.map(11, 0);
    client.done(12, given_up, CommandDone::Failed);
    let request = client.poll(1_000).unwrap();
    client.push(0, SUBSCRIBED);
    client.done(1_001, request, FENCED);
    assert_eq!(client.push(0, MESSAGE), "message None", "this node has given up nothing");
    client.push(0, ENDED);
    client.map(1_002, 1);
    let request = client.poll(1_003).unwrap();
    assert_eq!(request.node, node(1));
    client.push_on(SECOND, SUBSCRIBED);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message Some(11000) overlap");
    client.push_on(SECOND, SUBSCRIBED);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None overlap");
    client.done(1_004, request, OTHER);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert!(client.0.is_settled() && client.poll(2_000).is_none());
    // From then on it is as others are.
    client.push_on(SECOND, ENDED);
    let request = client.poll(2_001).unwrap();
    client.push_on(SECOND, SUBSCRIBED);
    assert!(client.push_on(SECOND, MESSAGE).ends_with(")"));
    client.done(2_002, request, OTHER);
    assert!(client.0.is_settled());
}

/// The slot is elsewhere by a second map, and the new node has not confirmed yet: what the old one has to say then has a gap
/// before it, since the slot may have come back there with nothing to tell so.
#[test]
fn an_old_node_that_a_second_map_does_not_name_either_is_heard_after_a_gap() {
    let mut client = Client::moving();
    let _ = client.poll(61).unwrap();
    assert_eq!(client.push(0, MESSAGE), "message None");
    client.map(60, 1);
    assert_eq!(client.push(0, MESSAGE), "message None", "this was known");
    client.map(70, 1);
    assert_eq!(client.push(0, MESSAGE), "message Some(30000)");
    assert_eq!(client.push(0, MESSAGE), "message None");
    client.map(80, 0);
    assert_eq!(client.push(0, MESSAGE), "message None", "named again");
}

/// The same, with another node that is believed for a while: what it has sent may come once more.
#[test]
fn what_another_node_has_sent_meanwhile_may_come_again() {
    let mut client = Client::new(&["c"]);
    for (ms, owner) in [(5, 1), (1_000, 0)] {
        client.map(ms, owner);
        let given_up = client.poll(ms + 1).unwrap();
        client.map(ms + 2, 1 - owner);
        client.done(ms + 3, given_up, CommandDone::Failed);
    }
    let request = client.poll(9_000).unwrap();
    assert_eq!(request.node, node(1));
    client.push(0, SUBSCRIBED);
    assert_eq!(client.push(0, MESSAGE), "message None overlap");
    client.push(0, ENDED);
    client.push_on(SECOND, SUBSCRIBED);
    assert!(client.push_on(SECOND, MESSAGE).ends_with(" overlap"));
    client.done(9_001, request, OTHER);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
}

/// The new node has an old confirmation and its end to tell before the one that counts. What it brings then may be what the
/// old one has brought before.
#[test]
fn what_the_old_node_brought_may_come_again_after_an_end_at_the_new_one() {
    let mut client = Client::moving();
    let request = client.poll(61).unwrap();
    assert_eq!(client.push(0, MESSAGE), "message None");
    client.push_on(SECOND, SUBSCRIBED);
    client.push_on(SECOND, ENDED);
    assert_eq!(client.push(0, MESSAGE), "dropped", "older than what the new one has sent");
    client.push_on(SECOND, SUBSCRIBED);
    assert!(client.push_on(SECOND, MESSAGE).ends_with(" overlap"));
    client.done(62, request, OTHER);
    let request = client.poll(63).unwrap();
    assert_eq!((request.node, request.action), (node(0), Action::Unsubscribe));
    client.push(0, ENDED);
    client.done(64, request, FENCED);
    let fence = client.poll(65).unwrap();
    assert_eq!((fence.node, fence.action), (node(1), Action::Subscribe));
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None overlap");
    client.done(66, fence, OTHER);
    assert_eq!(client.push_on(SECOND, MESSAGE), "message None");
    assert!(client.0.is_settled() && client.poll(20_000).is_none());
}

/// Two channels leave a node. That the first has ended there says nothing of the second, which is still heard.
#[test]
fn a_channel_that_has_left_takes_no_other_along() {
    let mut client = Client::new(&["c", "d"]);
    let of_d = |wire: &str| wire.replace("$1\r\nc", "$1\r\nd");
    client.map(5, 0);
    while let Some(request) = client.poll(10) {
        // Of whichever it is; the other one is not asked for yet, or has been.
        client.push(0, SUBSCRIBED);
        client.push(0, &of_d(SUBSCRIBED));
        client.done(12, request, FENCED);
    }
    client.events();
    client.map(60, 1);
    let (join_c, join_d) = (client.poll(61).unwrap(), client.poll(61).unwrap());
    client.push_on(SECOND, SUBSCRIBED);
    client.done(62, join_c, OTHER);
    let drop_c = client.poll(63).unwrap();
    assert_eq!((drop_c.node, drop_c.action), (node(0), Action::Unsubscribe));
    client.push(0, ENDED);
    client.done(64, drop_c, FENCED);
    // The other one is not subscribed elsewhere yet.
    assert_eq!(client.push(0, &of_d(MESSAGE)), "message None");
    client.push_on(SECOND, &of_d(SUBSCRIBED));
    client.done(65, join_d, OTHER);
    let left: Vec<_> = core::iter::from_fn(|| client.poll(66)).map(|request| (request.node, request.action)).collect();
    assert!(left.contains(&(node(0), Action::Unsubscribe)), "{left:?}");
    assert_eq!(client.0.counts().interrupted, 0);
}

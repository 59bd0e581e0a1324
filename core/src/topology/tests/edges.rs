//! Corners that the larger tests pass by.

use super::*;
use crate::time::{Duration, Instant};

fn ms(n: u64) -> Instant {
    Instant::from_micros(n * 1_000)
}

/// Slots 0-99 and 100-199 of these nodes, with these epochs.
fn view(owners: [u16; 2], epochs: Option<[u64; 2]>) -> Tables {
    let mut tables = Tables::new(8, 16, 64, false);
    let mut map = tables.map_mut();
    map.clear();
    for (n, owner) in owners.into_iter().enumerate() {
        let epoch = epochs.map(|epochs| epochs[n]);
        let index = map.add_node(&NewNode { epoch, ..primary(owner, owner + 1) });
        map.add_range(range(n as u16 * 100, n as u16 * 100 + 99), index).unwrap();
    }
    map.finish().unwrap();
    tables
}

#[test]
fn epochs_decide_only_where_both_views_have_them() {
    let mut fresh = Freshness::new(Duration::from_secs(2));
    let (old, new) = (view([0, 1], None), view([0, 2], Some([1, 2])));
    assert_eq!(fresh.judge(ms(0), id(0), &old.map(), &new.map()), Verdict::Newer);
    // The view of before comes back, without epochs: that it was replaced a moment ago is all there is to go by.
    assert_eq!(fresh.judge(ms(10), id(1), &new.map(), &old.map()), Verdict::Suspect);
    // With epochs it is told by them, also when they are equal.
    for (epochs, verdict) in [([1, 1], Verdict::Suspect), ([1, 2], Verdict::Newer), ([1, 3], Verdict::Newer)] {
        let again = view([0, 1], Some(epochs));
        assert_eq!(fresh.clone().judge(ms(20), id(1), &new.map(), &again.map()), verdict, "{epochs:?}");
    }
}

#[test]
fn a_view_of_long_ago_may_come_back() {
    let mut fresh = Freshness::new(Duration::from_secs(2));
    let (a, b) = (view([0, 1], None), view([0, 2], None));
    assert_eq!(fresh.judge(ms(0), id(0), &a.map(), &b.map()), Verdict::Newer);
    assert_eq!(fresh.clone().judge(ms(7_000), id(0), &b.map(), &a.map()), Verdict::Suspect);
    assert_eq!(fresh.judge(ms(60_000), id(0), &b.map(), &a.map()), Verdict::Newer);
}

#[test]
fn a_refused_address_marks_its_node_alone() {
    let mut tables = view([0, 1], Some([4, 5]));
    let flags = |tables: &Tables| {
        let nodes: Vec<_> = tables.map().nodes().map(|(_, node)| *node).collect();
        nodes.iter().map(|node| (node.is_routable(), node.is_myself(), node.epoch())).collect::<Vec<_>>()
    };
    assert_eq!(flags(&tables), [(true, false, Some(4)), (true, false, Some(5))]);
    tables.map_mut().refuse(|addr| addr.port() == 2);
    assert_eq!(flags(&tables), [(true, false, Some(4)), (false, false, Some(5))]);
}

#[test]
fn a_copy_keeps_hosts_and_replicas() {
    let mut tables = Tables::new(8, 16, 256, false);
    let mut map = tables.map_mut();
    map.clear();
    let first = map.add_node(&NewNode { host: "one.example", ..primary(0, 7001) });
    let second = map.add_node(&NewNode { host: "10.9.8.7", ..primary(1, 7002) });
    for n in 2..5 {
        let primary_of = if n == 4 { second } else { first };
        map.add_node(&NewNode { role: Role::Replica, primary: primary_of, ..primary(n, 7001 + n) });
    }
    map.add_range(range(0, 8191), first).unwrap();
    map.add_range(range(8192, 16383), second).unwrap();
    map.finish().unwrap();

    let mut copy = Tables::new(8, 16, 256, false);
    copy.map_mut().copy_from(&tables.map()).unwrap();
    let describe = |tables: &Tables| {
        let map = tables.map();
        let mut text = print(&map);
        for (index, node) in map.nodes() {
            let replicas: Vec<_> = map.replicas(index).map(|at| map.node(at).unwrap().port()).collect();
            text +=
                &format!("; {:?} {} {replicas:?}", map.addr(index).map(|addr| addr.host().to_string()), node.port());
        }
        text
    };
    assert!(describe(&tables).contains("[7003, 7004]"), "{}", describe(&tables));
    assert_eq!(describe(&copy), describe(&tables));
}

/// Reads a CLUSTER NODES text in chunks of `piece` bytes.
#[cfg(feature = "nodes-reply")]
fn nodes_in_pieces(text: &str, piece: usize) -> Result<String, Rejection> {
    reply_in_pieces(&format!("${}\r\n{text}\r\n", text.len()), piece)
}

#[cfg(feature = "nodes-reply")]
fn reply_in_pieces(reply: &str, piece: usize) -> Result<String, Rejection> {
    use crate::limits::Limits;
    use crate::resp::{Level, Status, TokenState};
    let mut tables = Tables::new(4, 8, 400, false);
    let mut levels = [Level::EMPTY; 4];
    let mut state = TokenState::new();
    let mut reader = Reader::new(ReplyKind::Nodes);
    let context = Context::new(NodeAddr::new("reached", 7000).unwrap());
    let (mut buffer, mut status) = (vec![], Status::Incomplete);
    for part in reply.as_bytes().chunks(piece) {
        buffer.extend_from_slice(part);
        let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &buffer);
        status = reader.feed(&mut tokens, &context, &mut tables.map_mut(), &mut |_| {})?;
        let consumed = tokens.consumed();
        buffer.drain(..consumed);
    }
    assert_eq!(status, Status::Complete(()));
    Ok(print(&tables.map()))
}

#[test]
#[cfg(feature = "nodes-reply")]
fn an_attribute_in_front_of_a_text_is_no_part_of_it() {
    let line = format!("{} h:1@2 myself,master - 0 0 1 connected 0-9", id_text(1));
    let reply = format!("|1\r\n+key\r\n*2\r\n$3\r\nabc\r\n+d\r\n${}\r\n{line}\r\n", line.len());
    for piece in 1..reply.len() {
        assert_eq!(reply_in_pieces(&reply, piece), Ok("0-9=1 10-16383=-".to_string()), "{piece}");
    }
    // What is left of a push's last string is none either.
    let reply = format!(">1\r\n$9\r\n0-9\n10-19\r\n${}\r\n{line}\r\n", line.len());
    assert_eq!(reply_in_pieces(&reply, 10), Ok("0-9=1 10-16383=-".to_string()));
}

#[test]
#[cfg(feature = "nodes-reply")]
fn nodes_text_that_ends_early_or_goes_on_too_long() {
    let line = format!("{} h:1@2 myself,master - 0 0 1 connected 0-9", id_text(1));
    for piece in [1, 7, 2_000] {
        let good = Ok("0-9=1 10-16383=-".to_string());
        assert_eq!(nodes_in_pieces(&line, piece), good);
        assert_eq!(nodes_in_pieces(&format!("{line}\n"), piece), good);
        // The beginning of one more line.
        assert!(nodes_in_pieces(&format!("{line}\nabc"), piece).is_err());
        assert!(nodes_in_pieces(&format!("{line}\n{}", id_text(2)), piece).is_err());
        // Too long is refused in an address; of a name and its value nothing depends.
        let long = "x".repeat(300);
        assert!(nodes_in_pieces(&line.replace("h:1", &format!("{long}:1")), piece).is_err());
        assert_eq!(nodes_in_pieces(&line.replace("@2", &format!("@2,host,aux={long}")), piece), good);
    }
}

#[test]
fn zones_of_any_length() {
    use crate::limits::Limits;
    for (len, kept) in [(0, false), (1, true), (255, true), (256, false), (300, false)] {
        let zone = "z".repeat(len);
        let reply = format!(
            "*1\r\n*3\r\n:0\r\n:9\r\n*4\r\n+h\r\n:1\r\n+{}\r\n*2\r\n$17\r\navailability-zone\r\n${len}\r\n{zone}\r\n",
            id_text(1)
        );
        let mut tables = Tables::new(4, 8, 600, false);
        let mut tokens = crate::resp::Tokens::<8>::new(Limits::DEFAULT);
        let mut reader = Reader::new(ReplyKind::Slots);
        let context = Context::new(NodeAddr::new("reached", 7000).unwrap());
        let status =
            reader.feed(&mut tokens.reader(reply.as_bytes()), &context, &mut tables.map_mut(), &mut |_| {}).unwrap();
        assert_eq!(status, crate::resp::Status::Complete(()));
        let map = tables.map();
        let node = map.find(&id(1)).unwrap();
        assert_eq!(map.zone(node), Some(zone.as_str()).filter(|_| kept), "{len}");
    }
}

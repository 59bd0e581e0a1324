use super::*;
use crate::limits::Limits;
use crate::resp::{Level, Status, TokenState};
use std::string::String;

pub(super) type Small = StaticMap<16, 64, 2048>;

pub(super) fn context() -> Context<'static> {
    Context::new(NodeAddr::new("reached", 7000).unwrap())
}

/// RESP from a short notation: `[a b]` arrays, `{k v}` maps, `:1` integers, `_` null, `""` the empty string, other
/// words bulk strings; `@3` is the id of node 3 (`#3 ` in the text of CLUSTER NODES).
pub(super) fn resp(text: &str) -> Vec<u8> {
    let spaced = text.replace('[', " [ ").replace(']', " ] ").replace('{', " { ").replace('}', " } ");
    let mut stack: Vec<(bool, usize, Vec<u8>)> = vec![(false, 0, vec![])];
    for word in spaced.split_whitespace() {
        let bytes = match word {
            "[" | "{" => {
                stack.push((word == "{", 0, vec![]));
                continue;
            }
            "]" | "}" => {
                let (map, count, inner) = stack.pop().unwrap();
                let head = if map { format!("%{}\r\n", count / 2) } else { format!("*{count}\r\n") };
                [head.as_bytes(), &inner].concat()
            }
            "_" => b"_\r\n".to_vec(),
            "\"\"" => b"$0\r\n\r\n".to_vec(),
            word if word.starts_with(':') && !word.starts_with("::") => format!("{word}\r\n").into_bytes(),
            word => {
                let text = word.strip_prefix('@').map_or(word.to_string(), |n| id_text(n.parse().unwrap()));
                format!("${}\r\n{text}\r\n", text.len()).into_bytes()
            }
        };
        let (_, count, out) = stack.last_mut().unwrap();
        *count += 1;
        out.extend(bytes);
    }
    stack.pop().unwrap().2
}

pub(super) fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// `host:port` of every node, `-` for one that cannot be dialled.
fn addrs(map: &Map<'_>) -> String {
    let addr = |index| map.addr(index).map_or("-".to_string(), |addr| addr.to_string());
    map.nodes().map(|(index, _)| addr(index)).collect::<Vec<_>>().join(" ")
}

fn read(kind: ReplyKind, bytes: &[u8]) -> Result<(String, String), Rejection> {
    let mut map = Small::new();
    map.apply(bytes, kind, &context())?;
    Ok((print(&map.map()), addrs(&map.map())))
}

pub(super) fn slots(text: &str) -> Result<(String, String), Rejection> {
    read(ReplyKind::Slots, &resp(text))
}

#[cfg(feature = "shards-reply")]
pub(super) fn shards(text: &str) -> Result<(String, String), Rejection> {
    read(ReplyKind::Shards, &resp(text))
}

#[cfg(feature = "nodes-reply")]
pub(super) fn nodes(text: &str) -> Result<(String, String), Rejection> {
    let text = (0..10).fold(text.to_string(), |text, n| text.replace(&format!("#{n} "), &(id_text(n) + " ")));
    read(ReplyKind::Nodes, &bulk(&text))
}

pub(super) fn ok(ranges: &str, addrs: &str) -> Result<(String, String), Rejection> {
    Ok((ranges.to_string(), addrs.to_string()))
}

#[test]
fn slots_in_every_endpoint_form() {
    for (node, addr) in [
        ("[10.0.0.1 :1 @0]", "10.0.0.1:1"),
        ("[10.0.0.1 :1]", "10.0.0.1:1"), // no id, as betas of 3.0 sent it
        ("[10.0.0.1 :1 @0 [] extra [more {k v}]]", "10.0.0.1:1"),
        ("[host-0.example.com :1 @0 {ip 10.0.0.1}]", "host-0.example.com:1"),
        ("[::1 :1 @0 []]", "[::1]:1"),
        ("[_ :1 @0 {ip 10.0.0.1}]", "reached:1"),
        ("[\"\" :1 @0 {}]", "reached:1"),
        ("[? :1 @0 {ip 10.0.0.1}]", "10.0.0.1:1"),
        ("[? :1 @0 [ip 10.0.0.1]]", "10.0.0.1:1"),
        ("[? :1 @0 {hostname a.example}]", "a.example:1"),
        ("[? :1 @0 {}]", "-"),
        ("[? :1 @0 {ip ?}]", "-"),
        ("[0.0.0.0 :1 @0 {}]", "reached:1"),
        ("[0.0.0.0 :1 @0 {ip 10.0.0.1}]", "10.0.0.1:1"),
        ("[10.0.0.1 :0 @0]", "-"),
        ("[10.0.0.1 :1 @0 {new-key [a {b c}] ip 10.0.0.2 availability-zone z}]", "10.0.0.1:1"),
        ("[10.0.0.1 :1 not-hexadecimal]", "10.0.0.1:1"),
        ("[10.0.0.1 :1 _]", "10.0.0.1:1"),
    ] {
        let want = if node.contains(":0") { "0-16383=0" } else { "0-16383=1" };
        assert_eq!(slots(&format!("[[:0 :16383 {node}]]")), ok(want, addr), "{node}");
    }
    // The order of the metadata is not fixed, and each value has its own getter.
    let mut map = Small::new();
    let reply = resp("[[:0 :9 [h :1 @0 {availability-zone z-1 hostname name.example ip 10.0.0.1}]]]");
    map.apply(&reply, ReplyKind::Slots, &context()).unwrap();
    let (index, _) = map.map().nodes().next().unwrap();
    let map = map.map();
    assert_eq!(
        (map.ip(index), map.hostname(index), map.zone(index)),
        (Some("10.0.0.1"), Some("name.example"), Some("z-1"))
    );
    for host in ["h", "H", "10.0.0.1", "NAME.example"] {
        assert_eq!(map.find_addr(host, 1), Some(index));
    }
    assert_eq!(map.find_addr("z-1", 1), None, "a zone is not a host");
}

#[test]
fn slots_of_many_ranges() {
    // Grouped by node, not sorted, adjacent ranges, replicas repeated: Redis 3.0 to 6.0.
    let (a, b) = ("[h :1 @1] [h :3 @3]", "[h :2 @2] [h :4 @4]");
    let reply = format!("[[:200 :299 {b}] [:0 :0 {b}] [:1 :99 {a}] [:100 :199 {a}] [:16383 :16383 {a}]]");
    assert_eq!(slots(&reply), ok("0=2 1-199=1 200-299=2 300-16382=- 16383=1", "h:2 h:4 h:1 h:3"));
    let mut map = Small::new();
    map.apply(&resp(&reply), ReplyKind::Slots, &context()).unwrap();
    let map = map.map();
    let first = map.find(&id(1)).unwrap();
    assert_eq!(map.replicas(first).collect::<Vec<_>>(), [map.find(&id(3)).unwrap()]);
    assert_eq!(map.shards().count(), 2);
    // A replica of one entry that is the primary of another.
    let reply = "[[:0 :9 [h :1 @1] [h :2 @2]] [:10 :19 [h :2 @2] [h :1 @1]]]";
    assert_eq!(slots(reply), ok("0-9=1 10-19=2 20-16383=-", "h:1 h:2"));
    // One address for two ids, as a proxy shows it.
    assert_eq!(
        slots("[[:0 :9 [h :1 @1]] [:10 :19 [h :1 @2]]]"),
        ok("0-19=1 20-16383=-", "h:1 h:1").map(|(_, a)| { ("0-9=1 10-19=1 20-16383=-".to_string(), a) })
    );
}

#[test]
#[cfg(all(feature = "nodes-reply", feature = "shards-reply"))]
fn slots_rejected() {
    let name = |text: &str| slots(text).unwrap_err().name();
    assert_eq!(name("[]"), "empty");
    for text in [
        "_",
        ":1",
        "word",
        "[:1]",
        "[word]",
        "[[]]",
        "[[:0 :1]]",
        "[[:0]]",
        "[[:0 :1 :2]]",
        "[[:0 :1 [h]]]",
        "[[:0 :1 []]]",
        "[[:0 :16384 [h :1 @1]]]",
        "[[:16384 :16385 [h :1 @1]]]",
        "[[:65536 :65537 [h :1 @1]]]",
        "[[:5 :4 [h :1 @1]]]",
        "[[:-1 :4 [h :1 @1]]]",
        "[[x :4 [h :1 @1]]]",
        "[[[:0] :4 [h :1 @1]]]",
        "[[:0 :1 [u@h :1 @1]]]",
        "[[:0 :1 [a/b :1 @1]]]",
        "[[:0 :1 [h :65536 @1]]]",
        "[[:0 :1 [h :-1 @1]]]",
        "[[:0 :1 [h x @1]]]",
        "[[:0 :1 [[h] :1 @1]]]",
        "[[:0 :1 [h :1 [@1]]]]",
        "[[:0 :1 [h :1 @1] [h :1]] :5]",
        "[[:0 :1 [:5 :1 @1]]]",
    ] {
        assert_eq!(name(text), "malformed", "{text}");
    }
    for text in [
        "[[:0 :5 [h :1 @1]] [:5 :9 [h :2 @2]]]",
        "[[:6 :9 [h :2 @2]] [:0 :6 [h :1 @1]]]",
        "[[:0 :16383 [h :1 @1]] [:0 :16383 [h :1 @1]]]",
        "[[:0 :1 [h :1 @1]] [:0 :1 [h :1 @1]]]",
    ] {
        assert_eq!(name(text), "overlap", "{text}");
    }
    for (bytes, want) in [
        (&b"-ERR This instance has cluster support disabled\r\n"[..], Rejection::NoCluster),
        (b"-LOADING x\r\n", Rejection::ServerError(crate::server_error::ErrorKind::Loading)),
        (b"!9\r\nNOPERM no\r\n", Rejection::ServerError(crate::server_error::ErrorKind::NoPerm)),
        (b"", Rejection::Incomplete),
        (b"*2\r\n*3\r\n:0\r\n:1\r\n*3\r\n$1\r\nh\r\n:1\r\n$1\r\nx\r\n", Rejection::Incomplete),
        (b"?", Rejection::Protocol),
        (b"*1\r\n*3\r\n:0\n", Rejection::Protocol),
    ] {
        for kind in [ReplyKind::Slots, ReplyKind::Shards, ReplyKind::Nodes] {
            if kind == ReplyKind::Slots || bytes.first() != Some(&b'*') {
                assert_eq!(read(kind, bytes), Err(want), "{kind:?} {:?}", bytes.escape_ascii());
            }
        }
    }
}

#[test]
fn pushes_and_attributes_are_no_part_of_the_reply() {
    let plain = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\nh\r\n:1\r\n$1\r\nx\r\n".to_vec();
    let push = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n".to_vec();
    let attribute = b"|1\r\n+key\r\n*2\r\n:1\r\n:2\r\n".to_vec();
    let want = read(ReplyKind::Slots, &plain);
    assert!(want.is_ok());
    assert_eq!(read(ReplyKind::Slots, &[push.clone(), plain.clone()].concat()), want);
    assert_eq!(read(ReplyKind::Slots, &[attribute.clone(), plain.clone()].concat()), want);
    // In front of a reply that is one string, a push of strings.
    let line = bulk(&format!("{} h:1@2 myself,master - 0 0 0 connected 0-16383\n", id_text(1)));
    let message = b">3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$3\r\nabc\r\n".to_vec();
    for front in [&push, &message, &attribute] {
        assert_eq!(read(ReplyKind::Nodes, &[front, &line[..]].concat()), read(ReplyKind::Nodes, &line));
    }
    // In the middle, at every place a value may begin.
    for at in [4, 8, 12, 20, 24, 31, 35] {
        let (head, tail) = plain.split_at(at);
        assert_eq!(read(ReplyKind::Slots, &[head, &push, tail].concat()), want, "push at {at}");
        assert_eq!(read(ReplyKind::Slots, &[head, &attribute, tail].concat()), want, "attribute at {at}");
    }
}

#[test]
#[cfg(feature = "shards-reply")]
fn shards_in_any_order_and_form() {
    let node = "{id @1 port :1 ip 10.0.0.1 endpoint 10.0.0.1 role master replication-offset :5 health online}";
    let replica = "{health online role replica endpoint h2 ip 10.0.0.2 id @2 port :2}";
    let want = ok("0-99=1 100-199=- 200-299=1 300-16383=-", "10.0.0.1:1 h2:2");
    for text in [
        format!("[{{slots [:0 :99 :200 :299] nodes [{node} {replica}]}}]"),
        format!("[{{nodes [{node} {replica}] slots [:0 :99 :200 :299]}}]"),
        format!("[{{nodes [{replica} {node}] slots [:200 :299 :0 :99] id abc future [a {{b c}}]}}]"),
        format!("[[slots [0 99 200 299] nodes [{node} {replica}] id abc]]").replace('{', "[").replace('}', "]"),
    ] {
        assert_eq!(shards(&text), want, "{text}");
    }
    let one = |fields: &str| {
        shards(&format!("[{{slots [:0 :9] nodes [{{id @1 role master {fields} health online}}]}}]")).unwrap().1
    };
    assert_eq!(one("port :1 ip 10.0.0.1 endpoint \"\""), "reached:1");
    assert_eq!(one("port :1 ip 10.0.0.1 endpoint _"), "reached:1");
    assert_eq!(one("port :1 ip 10.0.0.1 endpoint ?"), "10.0.0.1:1");
    assert_eq!(one("port :1 ip 10.0.0.1"), "10.0.0.1:1");
    assert_eq!(one("port :1 endpoint ? hostname a.example ip \"\""), "a.example:1");
    assert_eq!(one("port :1 tls-port :2 endpoint h"), "h:1");
    assert_eq!(one("tls-port :2 endpoint h"), "h:2");
    assert_eq!(one("endpoint h"), "-");
    let mut map = Small::new();
    let reply = resp("[{slots [:0 :9] nodes [{port :1 tls-port :2 id @1 endpoint h role master health online}]}]");
    map.apply(&reply, ReplyKind::Shards, &context().tls(true)).unwrap();
    assert_eq!(addrs(&map.map()), "h:2");
}

#[test]
#[cfg(feature = "shards-reply")]
fn shards_elect_the_healthy_primary() {
    let node =
        |n: u16, role: &str, health: &str| format!("{{id @{n} port :{n} endpoint h role {role} health {health}}}");
    let shard = |nodes: &[String]| format!("[{{slots [:0 :16383] nodes [{}]}}]", nodes.join(" "));
    let text = shard(&[node(1, "master", "fail"), node(2, "master", "online"), node(3, "replica", "online")]);
    let mut map = Small::new();
    map.apply(&resp(&text), ReplyKind::Shards, &context()).unwrap();
    assert_eq!(print(&map.map()), "0-16383=2");
    let owner = map.map().find(&id(2)).unwrap();
    assert_eq!(map.map().replicas(owner).collect::<Vec<_>>(), [map.map().find(&id(3)).unwrap()]);
    let dead = map.map().find(&id(1)).unwrap();
    assert_eq!(map.map().node(dead).unwrap().health(), Health::Failed);
    assert_eq!(map.map().addr(dead), Some(NodeAddr::new("h", 1).unwrap()));

    // Not yet replaced: the failed one is still the owner. A loading replica is not read from.
    let text = shard(&[node(1, "replica", "loading"), node(2, "master", "fail"), node(3, "replica", "online")]);
    map.apply(&resp(&text), ReplyKind::Shards, &context()).unwrap();
    assert_eq!(print(&map.map()), "0-16383=2");
    let owner = map.map().find(&id(2)).unwrap();
    assert_eq!(map.map().all_replicas(owner).count(), 2);
    assert_eq!(map.map().replicas(owner).collect::<Vec<_>>(), [map.map().find(&id(3)).unwrap()]);

    // No primary at all: somebody has the slots, the map does not know who.
    let text = shard(&[node(1, "replica", "online"), node(2, "replica", "online")]);
    for replicas in [true, false] {
        map.apply(&resp(&text), ReplyKind::Shards, &context().replicas(replicas)).unwrap();
        assert_eq!(print(&map.map()), "0-16383=?");
    }
    // Of the other shards it is known.
    let whole = format!("{{slots [:9 :9] nodes [{}]}}", node(5, "master", "online"));
    let text = format!("[{whole} {{slots [:0 :8] nodes [{}]}}]", node(1, "replica", "online"));
    map.apply(&resp(&text), ReplyKind::Shards, &context()).unwrap();
    assert_eq!(print(&map.map()), "0-8=? 9=5 10-16383=-");
    // One node per shard without replicas, the elected one.
    let (x, y) = (node(1, "replica", "online"), node(4, "master", "online"));
    let text = shard(&[x, node(2, "master", "fail"), node(3, "master", "online"), y]);
    map.apply(&resp(&text), ReplyKind::Shards, &context().replicas(false)).unwrap();
    assert_eq!((print(&map.map()), addrs(&map.map())), ("0-16383=3".to_string(), "h:3".to_string()));
    assert!(map.map().find(&id(3)).is_some() && map.map().find(&id(1)).is_none());
}

#[test]
#[cfg(feature = "shards-reply")]
fn shards_rejected() {
    let node = "{id @1 port :1 endpoint h role master health online}";
    for text in [
        "[{slots [:0 :9] nodes []}]".to_string(),
        "[{slots [:0 :9]}]".to_string(),
        format!("[{{slots [:0] nodes [{node}]}}]"),
        format!("[{{slots [:0 :16384] nodes [{node}]}}]"),
        format!("[{{slots [[:0 :1]] nodes [{node}]}}]"),
        format!("[{{slots [:0 :9 {node}] nodes [{node}]}}]"),
        format!("[{{slots [:0 [:9] :9] nodes [{node}]}}]"),
        format!("[{{slots [:0 :9] nodes [:100 :101 {node}]}}]"),
        format!("[{{slots :5 nodes [{node}]}}]"),
        "[{slots [:0 :9] nodes [{id @1 port :1 endpoint h}]}]".to_string(),
        "[{slots [:0 :9] nodes [{id @1 port :1 endpoint h role emperor}]}]".to_string(),
        "[{slots [:0 :9] nodes [[id]]}]".to_string(),
        "[[slots]]".to_string(),
        "[:1]".to_string(),
        "[{slots [:0 :9] nodes [:1]}]".to_string(),
    ] {
        assert_eq!(shards(&text).unwrap_err().name(), "malformed", "{text}");
    }
    let text = format!("[{{slots [:0 :9] nodes [{node}]}} {{slots [:9 :9] nodes [{node}]}}]");
    assert_eq!(shards(&text), Err(Rejection::Overlap));
    assert_eq!(shards(&format!("[{{slots [] nodes [{node}]}}]")), Err(Rejection::Empty));
    assert_eq!(shards("[]"), Err(Rejection::Empty));
}

#[test]
#[cfg(feature = "nodes-reply")]
fn nodes_of_every_version() {
    // 3.0: no cluster port; 4.0: @port; 7.0: host name; 7.2 and later: names and values.
    for addr in ["10.0.0.1:1", "10.0.0.1:1@10001", "10.0.0.1:1@10001,", "10.0.0.1:1@10001,h.example,shard-id=abc,x=y"] {
        let text = format!("#1 {addr} myself,master - 0 0 3 connected 0-5 7 9-16383\n");
        assert_eq!(nodes(&text), ok("0-5=1 6=- 7=1 8=- 9-16383=1", "10.0.0.1:1"), "{addr}");
        assert_eq!(nodes(text.trim_end()), ok("0-5=1 6=- 7=1 8=- 9-16383=1", "10.0.0.1:1"), "{addr}");
    }
    assert_eq!(nodes("#1 :1@2 myself,master - 0 0 0 connected 0-9\n").unwrap().1, "reached:1");
    assert_eq!(nodes("#1 ::1:1@2 myself,master - 0 0 0 connected 0-9\n").unwrap().1, "[::1]:1");
    assert_eq!(nodes("#1 h:0@2 myself,master - 0 0 0 connected 0-9\n").unwrap().1, "-");

    // A replica in front of its primary, a node without slots, one in handshake, a failed one, one without address.
    let text = "#2 h:2@1 slave #1 0 0 5 connected\n#1 h:1@1 myself,master - 0 0 5 connected 0-16383\n\
        #3 h:3@1 master - 0 0 18446744073709551615 connected\n#4 h:4@1 handshake - 0 0 0 connected\n\
        #5 h:5@1 slave,fail #1 0 0 5 disconnected\n#6 :0@0 master,noaddr - 0 0 1 disconnected\n\
        #7 h:7@1 slave,fail? #1 0 0 5 connected\n#8 h:8@1 slave,nofailover #9 0 0 5 connected\n";
    let mut map = Small::new();
    let text = (0..10).fold(text.to_string(), |text, n| text.replace(&format!("#{n} "), &(id_text(n) + " ")));
    map.apply(&bulk(&text), ReplyKind::Nodes, &context()).unwrap();
    let map = map.map();
    assert_eq!(print(&map), "0-16383=1");
    let at = |n| map.find(&id(n)).unwrap();
    let states: Vec<_> = (1..10).map(|n| map.node(at(n)).unwrap().health().name()).collect();
    assert_eq!(states, ["online", "online", "online", "joining", "failed", "joining", "suspect", "online", "unknown"]);
    let replicas: Vec<_> = map.replicas(at(1)).map(|r| map.node(r).unwrap().port()).collect();
    assert_eq!(replicas, [2, 7], "failed ones are not read from");
    assert_eq!(map.all_replicas(at(1)).count(), 3);
    assert_eq!(map.node(at(3)).unwrap().epoch(), Some(u64::MAX));
    for (n, dialled) in [(1, true), (2, true), (3, true), (4, false), (5, true), (6, false), (9, false)] {
        assert_eq!(map.addr(at(n)).is_some(), dialled, "{n}");
    }
    assert_eq!(map.endpoint(at(4)), Some(NodeAddr::new("h", 4).unwrap()));
}

#[test]
#[cfg(feature = "nodes-reply")]
fn nodes_rejected() {
    for text in [
        "garbage\n",
        "#1 h:1@2 master - 0 0 0\n",
        "#1 h@2 master - 0 0 0 connected 0-9\n",
        "#1 h:1@2 master - 0 0 x connected 0-9\n",
        "#1 h:1@2 master - 0 0 0 connected 16384\n",
        "#1 h:1@2 master - 0 0 0 connected 0-16384\n",
        "#1 h:1@2 master - 0 0 0 connected 9-0\n",
        "#1 h:1@2 master - 0 0 0 connected x\n",
        "#1 h:1@2 master - 0 0 0 connected 1-\n",
        "#1 h:1@2 master - 0 0 0 connected [1\n",
        "#1 h:1@2 master - 0 0 0 connected [1->#2 ]\n",
        "#1 h:1@2 master - 0 0 0 connected [99999->-#2 ]\n",
        "#1 h:65536@2 master - 0 0 0 connected 0-9\n",
        "#1 u@h:1@2 master - 0 0 0 connected 0-9\n",
        "#1 h:1@2 slave #2 0 0 0 connected 0-9\n",
        "#1 h:1@2 master - 0 0 0 connected 0-9\n#1 h:1@2 master - 0 0 0 connected\n",
        "#1 h:1@2 master - 0 0 0 connected 0-9\n#2 h:",
        " \n",
    ] {
        assert_eq!(nodes(text).map_err(|why| why.name()), Err("malformed"), "{text:?}");
    }
    for text in ["", "\n", "\n\n", "#1 h:1@2 myself,master - 0 0 0 connected\n"] {
        assert_eq!(nodes(text), Err(Rejection::Empty), "{text:?}");
    }
    let two = "#1 h:1@2 master - 0 0 0 connected 0-9\n#2 h:2@2 master - 0 0 0 connected 5\n";
    assert_eq!(nodes(two), Err(Rejection::Overlap));
    assert_eq!(slots("[[:0 :9 [h :1 @1]]]").map(|_| ()), Ok(()));
    assert_eq!(read(ReplyKind::Nodes, &resp("[[:0 :9 [h :1 @1]]]")).unwrap_err().name(), "malformed");
    assert_eq!(read(ReplyKind::Slots, &bulk("x")).unwrap_err().name(), "malformed");
}

/// A line of 8,192 ranges, marks at its end, long unknown fields: read in chunks of any size through the scratch.
#[test]
#[cfg(feature = "nodes-reply")]
fn a_line_longer_than_any_buffer() {
    let mut text = format!("{} h:1@2,name.example,aux={} myself,master - 0 0 4 connected", id_text(1), "x".repeat(999));
    for n in (0..16384).step_by(2) {
        text += &format!(" {n}");
    }
    text += &format!(" [5->-{}] [16383-<-{}]\n", id_text(2), id_text(3));
    let bytes = bulk(&text);
    for piece in [1, 2, 3, 61, 512, 4096] {
        let mut tables = Tables::large(true);
        let mut marks = vec![];
        let mut levels = [Level::EMPTY; 4];
        let mut state = TokenState::new();
        let mut reader = Reader::new(ReplyKind::Nodes);
        let mut rest: &[u8] = &bytes;
        let mut buffer = vec![];
        let mut status = Status::Incomplete;
        while !rest.is_empty() {
            let (head, tail) = rest.split_at(piece.min(rest.len()));
            buffer.extend_from_slice(head);
            rest = tail;
            let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &buffer);
            let mut on_mark = |mark| marks.push(mark);
            status = reader.feed(&mut tokens, &context(), &mut tables.map_mut(), &mut on_mark).unwrap();
            let consumed = tokens.consumed();
            buffer.drain(..consumed);
        }
        assert_eq!(status, Status::Complete(()), "{piece}");
        let map = tables.map();
        assert_eq!((map.covered(), map.runs().count(), map.node_count()), (8192, 16384, 1), "{piece}");
        assert_eq!(map.hostname(NodeIndex::new(0).unwrap()), Some("name.example"));
        let mark = |n, direction, peer| Mark { node: id(1), slot: slot(n), direction, peer: id(peer) };
        assert_eq!(marks, [mark(5, Direction::Migrating, 2), mark(16383, Direction::Importing, 3)], "{piece}");
    }
}

#[test]
fn a_reader_reads_one_reply() {
    let reply = resp("[[:0 :9 [h :1 @1]]]");
    let mut tables = Tables::new(4, 8, 64, false);
    let mut reader = Reader::new(ReplyKind::Slots);
    let mut levels = [Level::EMPTY; 8];
    let two = [reply.clone(), reply].concat();
    let mut state = TokenState::new();
    let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &two);
    let mut feed = |tokens: &mut _| reader.feed(tokens, &context(), &mut tables.map_mut(), &mut |_| {});
    assert_eq!(feed(&mut tokens), Ok(Status::Complete(())));
    assert_eq!(tokens.consumed() * 2, two.len(), "not a byte of the next reply");
    assert!(matches!(feed(&mut tokens), Err(Rejection::Malformed(_))));
}

#[test]
fn a_rejected_reply_leaves_the_map_in_use() {
    let mut map = Small::new();
    map.apply(&resp("[[:0 :9 [h :1 @1]]]"), ReplyKind::Slots, &context()).unwrap();
    let before = (print(&map.map()), addrs(&map.map()), map.map().version());
    for text in ["[]", "[[:0 :5 [h :2 @1]] [:5 :9 [h :3 @2]]]", "[[:0 :16384 [h :1 @1]]]"] {
        assert!(map.apply(&resp(text), ReplyKind::Slots, &context()).is_err());
        assert_eq!((print(&map.map()), addrs(&map.map()), map.map().version()), before);
    }
    map.apply(&resp("[[:0 :9 [h :2 @1]]]"), ReplyKind::Slots, &context()).unwrap();
    assert_eq!(map.map().version(), before.2 + 1);
    assert_eq!(map.moved(slot(4), NodeAddr::new("h", 9).unwrap()), MovedCase::NewNode);
    assert_eq!(print(&map.map()), "0-3=2 4=9 5-9=2 10-16383=-");
}

#[test]
#[cfg(all(feature = "nodes-reply", feature = "shards-reply"))]
fn a_field_too_long_is_refused_however_it_comes() {
    for (field, fine) in [("x".repeat(280), true), ("x".repeat(281), false)] {
        let text = format!("{} h:1@2 master - {field} 0 0 connected 0-9\n", id_text(1));
        let bytes = bulk(&text);
        for piece in [1, 100, bytes.len()] {
            let mut tables = Tables::new(4, 8, 64, false);
            let mut levels = [Level::EMPTY; 4];
            let mut state = TokenState::new();
            let mut reader = Reader::new(ReplyKind::Nodes);
            let (mut buffer, mut result) = (vec![], Ok(Status::Incomplete));
            for part in bytes.chunks(piece) {
                buffer.extend_from_slice(part);
                let mut tokens = state.reader(&mut levels, &Limits::DEFAULT, &buffer);
                result = result.and_then(|_| reader.feed(&mut tokens, &context(), &mut tables.map_mut(), &mut |_| {}));
                let consumed = tokens.consumed();
                buffer.drain(..consumed);
            }
            assert_eq!(result.is_ok(), fine, "{} in {piece}", field.len());
        }
    }
}

//! What the host does: the cluster as the image finds it, and what happens to it meanwhile.

use slotwise::slot::Slot;
use slotwise_tests::real::{Cluster, Conn};

/// Keys of the host that the scan must find.
pub(crate) const KEYS: u16 = 3_000;
/// Slots given away one by one before the start: each makes two more ranges, 121 in all and about 11 KB of CLUSTER SLOTS.
const PIECES: u16 = 59;
/// And when the image asks for it: more ranges than its map has room for.
const MORE: u16 = 90;
/// The keys that tell of orders.
const DONE: &str = "{order}:done:";

/// The value of the host's key of this number.
fn value_of(number: u16) -> u32 {
    u32::from(number).wrapping_mul(0x9e37_79b1)
}

/// The first bytes of what every long value is made of.
fn pattern(len: usize) -> Vec<u8> {
    (0..u32::try_from(len).expect("not that long")).map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24) as u8).collect()
}

/// The cluster, and who has what.
pub(crate) struct Prepared {
    cluster: Cluster,
    /// Owners by slot, as moved from here.
    owners: Vec<usize>,
    half_moved: Option<(u16, usize, usize)>,
    stopped: Option<usize>,
}

impl Prepared {
    /// Fills the cluster and cuts its map to pieces.
    pub(crate) fn new(cluster: Cluster) -> Self {
        // Equal parts, as the harness forms its clusters.
        let owners = (0..3).flat_map(|node| vec![node; (node + 1) * 16_384 / 3 - node * 16_384 / 3]).collect();
        let mut this = Self { cluster, owners, half_moved: None, stopped: None };
        this.cut(PIECES, 0);
        this.fill();
        this.cluster.wait_agreed().expect("the nodes agree");
        let text = this.slots_reply();
        println!("CLUSTER SLOTS: {} ranges, {} bytes", text.0, text.1);
        assert!((100..150).contains(&text.0) && (9_000..14_000).contains(&text.1), "{text:?}");
        this
    }

    /// The port of the one node that the image is told of.
    pub(crate) fn seed_port(&self) -> u16 {
        self.cluster.port(0)
    }

    /// Ranges and bytes of what a client is told.
    fn slots_reply(&self) -> (usize, usize) {
        let mut conn = self.cluster.connect(0);
        conn.call(&["HELLO", "3"]);
        let reply = conn.call(&["CLUSTER", "SLOTS"]);
        // Each range: its numbers, host, port, id and an empty map, with their headers.
        let digits = |n: i64| n.to_string().len();
        let bytes = |range: &slotwise_tests::real::Value| {
            let [first, last, ..] = range.items() else { return 0 };
            let bounds = [first, last].map(|n| digits(n.int().unwrap_or(0)) + 3);
            bounds.iter().sum::<usize>() + 4 + 4 + 15 + 8 + 47 + 4
        };
        (reply.items().len(), 6 + reply.items().iter().map(bytes).sum::<usize>())
    }

    /// Gives single slots away, far from each other. No two cuts touch.
    fn cut(&mut self, count: u16, offset: u16) {
        let step = Slot::COUNT / count;
        let order_slot = Slot::of_key(DONE.as_bytes()).get();
        let mut done = 0;
        for slot in (0..count).map(|n| n * step + step / 2 + offset) {
            let slot = if slot == order_slot { slot + 2 } else { slot };
            self.give_away(slot);
            done += 1;
        }
        assert_eq!(done, count);
    }

    /// Moves a slot to the next node.
    fn give_away(&mut self, slot: u16) {
        let to = (self.owners[usize::from(slot)] + 1) % 3;
        self.cluster.move_slot(slot, to).unwrap_or_else(|error| panic!("slot {slot} does not move: {error}"));
        self.owners[usize::from(slot)] = to;
    }

    fn at(&self, key: &str) -> Conn {
        self.cluster.connect(self.owners[Slot::of_key(key.as_bytes()).index()])
    }

    /// The keys of the scan, a list and a string of 1 MiB.
    fn fill(&mut self) {
        let mut nodes: Vec<Vec<[String; 3]>> = vec![Vec::new(); 3];
        for number in 0..KEYS {
            let key = format!("scan:{number}");
            let owner = self.owners[Slot::of_key(key.as_bytes()).index()];
            nodes[owner].push(["SET".to_owned(), key, value_of(number).to_string()]);
        }
        for (node, commands) in nodes.iter().enumerate() {
            let replies = self.cluster.connect(node).pipeline(commands).expect("the node answers");
            assert!(replies.iter().all(|reply| reply.is_simple(b"OK")), "a key was not taken");
        }
        let text = pattern(1 << 20);
        assert!(self.at("string:0").call(&[b"SET".as_slice(), b"string:0", &text]).is_simple(b"OK"));
        let mut list = vec![b"RPUSH".as_slice(), b"list:0"];
        list.extend(text.chunks(1024));
        assert_eq!(self.at("list:0").call(&list).int(), Some(1024));
    }

    /// Does what a line of the image's log asks for, and says so.
    pub(crate) fn carry_out(&mut self, order: &str) {
        let words: Vec<&str> = order.split(' ').collect();
        let slot = |text: &str| text.parse::<u16>().expect("a slot");
        let said = match words[..] {
            [_, "publish", channel, message] => {
                let reply = self.at(channel).call(&["SPUBLISH", channel, message]);
                reply.int().and_then(|count| u32::try_from(count).ok()).expect("a number of receivers")
            }
            [_, "begin-move", text] => {
                let slot = slot(text);
                let from = self.owners[usize::from(slot)];
                let to = (from + 1) % 3;
                self.cluster.begin_move(slot, from, to).expect("the move begins");
                self.cluster.move_keys(slot, from, to, usize::MAX).expect("the keys move");
                self.half_moved = Some((slot, from, to));
                1
            }
            [_, "end-move", _] => {
                let (slot, from, to) = self.half_moved.take().expect("a move under way");
                self.cluster.finish_move(slot, from, to).expect("the move ends");
                self.owners[usize::from(slot)] = to;
                1
            }
            [_, "move", text] => {
                self.give_away(slot(text));
                1
            }
            [_, "stop", text] => {
                let node = self.owners[usize::from(slot(text))];
                self.cluster.pause(node);
                self.stopped = Some(node);
                1
            }
            [_, "go-on", _] => {
                self.cluster.resume(self.stopped.take().expect("a stopped node"));
                self.cluster.wait_agreed().expect("the nodes agree");
                1
            }
            [_, "shatter"] => {
                self.cut(MORE, 3);
                self.cluster.wait_agreed().expect("the nodes agree");
                u32::try_from(self.slots_reply().0).expect("not that many")
            }
            [_, "compare", key, len] => {
                let value = self.at(key).call(&["GET", key]);
                u32::from(value.bytes() == Some(&pattern(len.parse().expect("a length"))))
            }
            _ => panic!("an order that is not understood: {order}"),
        };
        let key = format!("{DONE}{}", words[0]);
        let reply = self.at(&key).call(&["SET", &key, &said.to_string()]);
        assert!(reply.is_simple(b"OK"), "{key}: {reply:?}");
    }
}

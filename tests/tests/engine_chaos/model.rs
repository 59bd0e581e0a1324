//! The fake cluster: who owns what, who knows it, and what was executed.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::dice::Dice;

/// The slots are dealt out in this many equal ranges.
pub(crate) const BUCKETS: usize = 8;
const WIDTH: usize = 16_384 / BUCKETS;

pub(crate) fn bucket(slot: u16) -> usize {
    usize::from(slot) / WIDTH
}

pub(crate) fn slot(bucket: usize, at: usize) -> u16 {
    (bucket * WIDTH + at) as u16
}

pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) up: bool,
    /// Whose replica it is.
    pub(crate) primary: Option<usize>,
    /// What it believes: the owner of each bucket.
    pub(crate) view: [usize; BUCKETS],
    pub(crate) loading: bool,
    pub(crate) listens: bool,
}

/// One run of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub(crate) order: u64,
}

/// The server's side of one connection.
#[derive(Default)]
pub(crate) struct Session {
    pub(crate) node: usize,
    pub(crate) input: Vec<u8>,
    pub(crate) resp3: bool,
    pub(crate) readonly: bool,
    pub(crate) asking: bool,
    pub(crate) multi: Option<Multi>,
    pub(crate) subscribed: bool,
    /// A blocking command answers at this time (microseconds).
    pub(crate) blocked: Option<(u64, u64)>,
}

#[derive(Default)]
pub(crate) struct Multi {
    asking: bool,
    dirty: bool,
    queued: Vec<(u64, u16)>,
}

pub(crate) struct Model {
    pub(crate) nodes: Vec<Node>,
    pub(crate) owner: [usize; BUCKETS],
    /// Buckets on their way: source to target.
    pub(crate) moving: [Option<usize>; BUCKETS],
    pub(crate) ledger: BTreeMap<u64, Vec<Execution>>,
    pub(crate) executed: u64,
    pub(crate) faults: bool,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) topology_questions: u64,
}

impl Model {
    pub(crate) fn new(dice: &mut Dice) -> Self {
        let primaries = 2 + dice.below(3);
        let replicas = dice.below(3);
        let owner = std::array::from_fn(|bucket| bucket % primaries);
        let node = |at: usize| Node {
            id: format!("{:040x}", 0xabcd_0000_u64 + at as u64 + (7_u64 << 60))
                .replace(' ', "0")
                .replacen("000000", "abcdef", 1),
            port: 7_100 + at as u16,
            up: true,
            primary: (at >= primaries).then_some(at % primaries),
            view: owner,
            loading: false,
            listens: true,
        };
        Self {
            nodes: (0..primaries + replicas).map(node).collect(),
            owner,
            moving: [None; BUCKETS],
            ledger: BTreeMap::new(),
            executed: 0,
            faults: true,
            counts: BTreeMap::new(),
            topology_questions: 0,
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn runs(&self, id: u64) -> usize {
        self.ledger.get(&id).map_or(0, Vec::len)
    }

    fn run(&mut self, id: u64) {
        self.executed += 1;
        let order = self.executed;
        self.ledger.entry(id).or_default().push(Execution { order });
    }

    /// A bucket's new owner, known at once to both sides only.
    pub(crate) fn hand_over(&mut self, bucket: usize, to: usize) {
        let from = self.owner[bucket];
        self.owner[bucket] = to;
        self.moving[bucket] = None;
        self.nodes[from].view[bucket] = to;
        self.nodes[to].view[bucket] = to;
        self.nodes[to].primary = None;
    }

    /// A replica takes over all its primary has.
    pub(crate) fn fail_over(&mut self, replica: usize) {
        let Some(old) = self.nodes[replica].primary.take() else { return };
        for bucket in 0..BUCKETS {
            if self.owner[bucket] == old {
                self.hand_over(bucket, replica);
            }
            self.nodes[old].view[bucket] = self.owner[bucket];
        }
        self.nodes[old].primary = Some(replica);
    }

    pub(crate) fn gossip(&mut self, dice: &mut Dice) {
        let (node, bucket) = (dice.below(self.nodes.len()), dice.below(BUCKETS));
        self.nodes[node].view[bucket] = self.owner[bucket];
    }

    pub(crate) fn heal(&mut self) {
        self.faults = false;
        for bucket in 0..BUCKETS {
            if let Some(to) = self.moving[bucket] {
                self.hand_over(bucket, to);
            }
        }
        for node in &mut self.nodes {
            (node.up, node.loading, node.listens, node.view) = (true, false, true, self.owner);
        }
    }

    /// Runs every whole request in the session's input and appends the answers.
    pub(crate) fn serve(&mut self, now: u64, session: &mut Session, dice: &mut Dice, out: &mut Vec<u8>) {
        loop {
            if let Some((until, id)) = session.blocked {
                if now < until {
                    return;
                }
                session.blocked = None;
                self.run(id);
                self.answer(session, dice, id, out);
            }
            let Some((words, used)) = parse(&session.input) else { return };
            session.input.drain(..used);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            self.request(now, session, dice, &words, out);
        }
    }

    fn request(&mut self, now: u64, session: &mut Session, dice: &mut Dice, words: &[&str], out: &mut Vec<u8>) {
        let asking = std::mem::take(&mut session.asking);
        match words {
            ["HELLO", "3", ..] => {
                session.resp3 = true;
                out.extend_from_slice(b"%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster\r\n");
            }
            ["PING", nonce] if session.subscribed && !session.resp3 => {
                out.extend_from_slice(format!("*2\r\n$4\r\npong\r\n${}\r\n{nonce}\r\n", nonce.len()).as_bytes());
            }
            ["PING", nonce] => bulk(out, nonce),
            ["ASKING"] => {
                session.asking = true;
                out.extend_from_slice(b"+OK\r\n");
            }
            ["READONLY"] => {
                session.readonly = true;
                out.extend_from_slice(b"+OK\r\n");
            }
            ["CLUSTER", "MYID"] => bulk(out, &self.nodes[session.node].id),
            ["CLUSTER", "SLOTS"] => {
                self.topology_questions += 1;
                let reply = self.slots(session.node);
                out.extend_from_slice(reply.as_bytes());
            }
            ["CLUSTER", "NODES"] => {
                self.topology_questions += 1;
                let reply = self.lines(session.node);
                bulk(out, &reply);
            }
            ["MULTI"] => {
                session.multi = Some(Multi { asking, ..Multi::default() });
                out.extend_from_slice(b"+OK\r\n");
            }
            ["EXEC"] => self.exec(session, dice, out),
            ["X", id, slot, kind] => {
                let (id, slot) = (id.parse().unwrap(), slot.parse::<i32>().unwrap());
                self.command(now, session, dice, asking, id, u16::try_from(slot).ok(), kind, out);
            }
            _ => panic!("the engine sent {words:?}"),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a command's facts, each used once")]
    fn command(
        &mut self,
        now: u64,
        session: &mut Session,
        dice: &mut Dice,
        asking: bool,
        id: u64,
        slot: Option<u16>,
        kind: &str,
        out: &mut Vec<u8>,
    ) {
        let asking = asking || session.multi.as_ref().is_some_and(|multi| multi.asking);
        if let Some(slot) = slot
            && let Some(line) = self.refusal(session, dice, asking, slot, kind)
        {
            if let Some(multi) = &mut session.multi {
                multi.dirty = true;
            }
            out.extend_from_slice(line.as_bytes());
            return;
        }
        if let Some(multi) = &mut session.multi {
            multi.queued.push((id, slot.unwrap_or_default()));
            out.extend_from_slice(b"+QUEUED\r\n");
            return;
        }
        match kind {
            "block" => session.blocked = Some((now + dice.below(1_500_000) as u64, id)),
            "forge" => {
                self.run(id);
                self.count("forged redirect");
                let port = self.nodes[dice.below(self.nodes.len())].port;
                let word = if dice.one_in(2) { "MOVED" } else { "ASK" };
                let line = format!("-{word} {} 127.0.0.1:{port}\r\n", slot.unwrap_or_default());
                out.extend_from_slice(line.as_bytes());
            }
            "sub" => {
                self.run(id);
                session.subscribed = true;
                let kind = if session.resp3 { '>' } else { '*' };
                out.extend_from_slice(format!("{kind}3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:1\r\n").as_bytes());
            }
            _ => {
                self.run(id);
                self.answer(session, dice, id, out);
            }
        }
    }

    fn answer(&mut self, session: &Session, dice: &mut Dice, id: u64, out: &mut Vec<u8>) {
        if self.faults && session.resp3 && dice.one_in(12) {
            self.count("push between replies");
            out.extend_from_slice(b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n");
        }
        if self.faults && session.resp3 && dice.one_in(20) {
            self.count("attribute");
            out.extend_from_slice(b"|1\r\n+ttl\r\n:3\r\n");
        }
        let long = if dice.one_in(10) { 300 } else { 0 };
        bulk(out, &format!("{id} {}", "x".repeat(long)));
    }

    fn exec(&mut self, session: &mut Session, dice: &mut Dice, out: &mut Vec<u8>) {
        let multi = session.multi.take().unwrap_or_default();
        if multi.dirty {
            out.extend_from_slice(b"-EXECABORT Transaction discarded because of previous errors.\r\n");
            return;
        }
        let Some((id, slot)) = multi.queued.first().copied() else {
            return out.extend_from_slice(b"-ERR EXEC without MULTI\r\n");
        };
        if let Some(line) = self.refusal(session, dice, multi.asking, slot, "group") {
            return out.extend_from_slice(line.as_bytes());
        }
        self.run(id);
        let _ = write!(Text(out), "*{}\r\n", multi.queued.len());
        for (id, _) in multi.queued {
            bulk(out, &format!("{id} "));
        }
    }

    /// What a server says instead of running a keyed command.
    fn refusal(&mut self, session: &Session, dice: &mut Dice, asking: bool, slot: u16, kind: &str) -> Option<String> {
        let (at, bucket) = (session.node, bucket(slot));
        let node = &self.nodes[at];
        if node.loading {
            self.count("loading");
            return Some("-LOADING Redis is loading the dataset in memory\r\n".into());
        }
        let owner = node.view[bucket];
        let target = self.moving[bucket];
        let replica_read = session.readonly && kind == "read" && node.primary == Some(owner);
        if owner == at || replica_read {
            let target = target.filter(|_| owner == at && self.owner[bucket] == at)?;
            return match dice.below(3) {
                0 => {
                    self.count("ask");
                    Some(format!("-ASK {slot} 127.0.0.1:{}\r\n", self.nodes[target].port))
                }
                1 => {
                    self.count("tryagain");
                    Some("-TRYAGAIN Multiple keys request during rehashing of slot\r\n".into())
                }
                _ => None,
            };
        }
        if asking && target == Some(at) {
            return None;
        }
        if self.faults && dice.one_in(25) {
            self.count("clusterdown");
            return Some("-CLUSTERDOWN Hash slot not served\r\n".into());
        }
        let port = if self.faults && dice.one_in(30) {
            self.count("redirect to a stranger");
            9_999
        } else {
            self.nodes[owner].port
        };
        self.count("moved");
        let host = if dice.one_in(10) { "" } else { "127.0.0.1" };
        Some(format!("-MOVED {slot} {host}:{port}\r\n"))
    }

    fn slots(&self, at: usize) -> String {
        let mut out = format!("*{BUCKETS}\r\n");
        for (bucket, owner) in self.nodes[at].view.iter().enumerate() {
            let (first, last) = (bucket * WIDTH, (bucket + 1) * WIDTH - 1);
            let replicas: Vec<&Node> = self.nodes.iter().filter(|node| node.primary == Some(*owner)).collect();
            let _ = write!(out, "*{}\r\n:{first}\r\n:{last}\r\n", 3 + replicas.len());
            for node in std::iter::once(&self.nodes[*owner]).chain(replicas) {
                let _ = write!(out, "*4\r\n$9\r\n127.0.0.1\r\n:{}\r\n$40\r\n{}\r\n*0\r\n", node.port, node.id);
            }
        }
        out
    }

    fn lines(&self, at: usize) -> String {
        let mut out = String::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let me = if index == at { "myself," } else { "" };
            let (role, primary) = match node.primary {
                Some(primary) => ("slave", self.nodes[primary].id.as_str()),
                None => ("master", "-"),
            };
            let (id, port, epoch) = (&node.id, node.port, index + 1);
            let _ = write!(out, "{id} 127.0.0.1:{port}@1{port} {me}{role} {primary} 0 0 {epoch} connected");
            for (bucket, owner) in self.nodes[at].view.iter().enumerate() {
                if *owner == index && node.primary.is_none() {
                    let _ = write!(out, " {}-{}", bucket * WIDTH, (bucket + 1) * WIDTH - 1);
                }
            }
            out.push('\n');
        }
        out
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> std::fmt::Result {
        self.0.extend_from_slice(s.as_bytes());
        Ok(())
    }
}

fn bulk(out: &mut Vec<u8>, text: &str) {
    let _ = write!(Text(out), "${}\r\n{text}\r\n", text.len());
}

/// One whole request, and its length.
fn parse(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| {
        let end = bytes[*at..].windows(2).position(|two| two == b"\r\n")? + *at;
        assert_eq!(bytes[*at], mark, "{:?}", String::from_utf8_lossy(bytes));
        let value: usize = std::str::from_utf8(&bytes[*at + 1..end]).unwrap().parse().unwrap();
        *at = end + 2;
        Some(value)
    };
    let count = number(b'*', &mut at)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let len = number(b'$', &mut at)?;
        let word = bytes.get(at..at + len)?;
        bytes.get(at + len + 1)?;
        words.push(String::from_utf8_lossy(word).into_owned());
        at += len + 2;
    }
    Some((words, at))
}

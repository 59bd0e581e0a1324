//! The reader of a node's own line in its CLUSTER NODES reply, over bytes in pieces of any size.
//!
//! One line for each node: `id addr flags primary ping pong epoch link slot...`, where a slot is `n`, `n-m`, or on the
//! `myself` line a migration mark `[n->-id]` or `[n-<-id]` (seen on Redis 3.0.7 to 8.6.3 and Valkey 8.0.1 to 9.1.2).

use crate::ids::NodeId;
use crate::resp::number::parse_u64;
use crate::slot::{Slot, SlotRange};

/// Longest word that is read: a mark is `[16383->-` and 40 digits and `]`. Longer ones (addresses) are cut.
const WORD: usize = 64;

/// What stands on the `myself` line, in the order it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// The node owns these slots.
    Owned(SlotRange),
    /// A key-by-key migration of the slot is open, to (`out`) or from the other node.
    Mark { slot: Slot, out: bool, other: Option<NodeId> },
}

/// What the whole reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// The node that answered.
    pub(crate) id: NodeId,
    /// Whether it takes itself for a primary.
    pub(crate) primary: bool,
    /// Its config epoch.
    pub(crate) epoch: u64,
    /// Whether it sees fewer than half of the primaries with slots as reachable: then a majority of the others may
    /// have replaced it without its knowledge.
    pub(crate) isolated: bool,
}

/// The reply is not a CLUSTER NODES reply, or has no `myself` line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadReply;

/// A CLUSTER NODES reply being read; about 140 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LineReader {
    word: [u8; WORD],
    len: u8,   // <= WORD
    field: u8, // of the word being read; stays at 8 for all slots
    id: NodeId,
    line: Flags,
    has_slots: bool,
    primaries: u16,
    reachable: u16,
    myself: Option<(NodeId, bool, u64)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    myself: bool,
    primary: bool,
    failing: bool,
}

impl LineReader {
    pub(crate) const fn new() -> Self {
        Self {
            word: [0; WORD],
            len: 0,
            field: 0,
            id: NodeId::from_bytes([0; 20]),
            line: Flags { myself: false, primary: false, failing: false },
            has_slots: false,
            primaries: 0,
            reachable: 0,
            myself: None,
        }
    }

    /// Takes the next bytes; `each` gets what stands on the `myself` line.
    pub(crate) fn bytes(&mut self, bytes: &[u8], each: &mut impl FnMut(Item)) -> Result<(), BadReply> {
        for &byte in bytes {
            match byte {
                b' ' => self.end_word(each)?,
                b'\n' => {
                    self.end_word(each)?;
                    self.end_line()?;
                }
                b'\r' => {}
                _ => {
                    if let Some(place) = self.word.get_mut(usize::from(self.len)) {
                        *place = byte;
                        self.len = self.len.saturating_add(1);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the reply.
    pub(crate) fn finish(&mut self, each: &mut impl FnMut(Item)) -> Result<Summary, BadReply> {
        if self.len > 0 || self.field > 0 {
            self.end_word(each)?;
            self.end_line()?;
        }
        let (id, primary, epoch) = self.myself.ok_or(BadReply)?;
        let isolated = self.reachable.saturating_mul(2) < self.primaries;
        Ok(Summary { id, primary, epoch, isolated })
    }

    fn end_word(&mut self, each: &mut impl FnMut(Item)) -> Result<(), BadReply> {
        let word = self.word;
        let word = word.get(..usize::from(self.len)).ok_or(BadReply)?;
        self.len = 0;
        match self.field {
            // An empty line, or none: nothing.
            0 if word.is_empty() => return Ok(()),
            0 => self.id = NodeId::parse(word).ok_or(BadReply)?,
            2 => self.line = flags(word),
            6 if self.line.myself => {
                if self.myself.is_some() {
                    return Err(BadReply);
                }
                self.myself = Some((self.id, self.line.primary, parse_u64(word).ok_or(BadReply)?));
            }
            8 => {
                if !word.is_empty() {
                    self.has_slots = true;
                    if self.line.myself {
                        each(item(word)?);
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        self.field = self.field.saturating_add(1);
        Ok(())
    }

    fn end_line(&mut self) -> Result<(), BadReply> {
        let (field, line, has_slots) = (self.field, self.line, self.has_slots);
        self.field = 0;
        self.line = Flags::default();
        self.has_slots = false;
        match field {
            0 => Ok(()),
            8.. => {
                if line.primary && has_slots {
                    self.primaries = self.primaries.saturating_add(1);
                    self.reachable = self.reachable.saturating_add(u16::from(!line.failing || line.myself));
                }
                Ok(())
            }
            _ => Err(BadReply),
        }
    }
}

fn flags(word: &[u8]) -> Flags {
    let mut flags = Flags::default();
    for flag in word.split(|&byte| byte == b',') {
        match flag {
            b"myself" => flags.myself = true,
            b"master" | b"primary" => flags.primary = true,
            b"fail" | b"fail?" => flags.failing = true,
            _ => {}
        }
    }
    flags
}

fn slot(text: &[u8]) -> Option<Slot> {
    Slot::new(u16::try_from(parse_u64(text)?).ok()?)
}

fn item(word: &[u8]) -> Result<Item, BadReply> {
    let read = || {
        if let Some(mark) = word.strip_prefix(b"[") {
            let mark = mark.strip_suffix(b"]")?;
            let dash = mark.iter().position(|&byte| byte == b'-')?;
            let (number, rest) = mark.split_at_checked(dash)?;
            let (out, other) = match (rest.strip_prefix(b"->-"), rest.strip_prefix(b"-<-")) {
                (Some(other), _) => (true, other),
                (_, Some(other)) => (false, other),
                _ => return None,
            };
            return Some(Item::Mark { slot: slot(number)?, out, other: NodeId::parse(other) });
        }
        let range = match word.iter().position(|&byte| byte == b'-') {
            None => SlotRange::one(slot(word)?),
            Some(dash) => {
                let (first, last) = word.split_at_checked(dash)?;
                SlotRange::new(slot(first)?, slot(last.strip_prefix(b"-")?)?)?
            }
        };
        Some(Item::Owned(range))
    };
    read().ok_or(BadReply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec::Vec;

    const A: &str = "07c37dfeb235213a872192d90877d0cd55635b91";
    const B: &str = "67ed2db8d677e59ec4a4cefb06858cf2a1a89fa1";
    const C: &str = "292f8b365bb7edb5e285caf0b7e6ddc7265d2f4f";

    fn id(text: &str) -> NodeId {
        NodeId::parse(text.as_bytes()).unwrap()
    }

    fn reply(b_flags: &str, c_flags: &str) -> String {
        format!(
            "{B} 127.0.0.1:30002@31002,host-2,shard-id=x {b_flags} - 0 1426238316232 2 connected 5461-10922\n\
             {A} :30001@31001 myself,master - 0 0 7 connected 0-5460 6000 [93->-{B}] [7-<-{C}]\n\
             {C} ::1:30003 {c_flags} - 0 1 3 connected 10923-16383\n"
        )
    }

    fn read(text: &str, piece: usize) -> Result<(Vec<Item>, Summary), BadReply> {
        let mut reader = LineReader::new();
        let mut items = Vec::new();
        for bytes in text.as_bytes().chunks(piece) {
            reader.bytes(bytes, &mut |item| items.push(item))?;
        }
        let summary = reader.finish(&mut |item| items.push(item))?;
        Ok((items, summary))
    }

    #[test]
    fn the_own_line_in_any_pieces() {
        let range = |a, b| Item::Owned(SlotRange::new(Slot::new(a).unwrap(), Slot::new(b).unwrap()).unwrap());
        let mark = |slot, out, other| Item::Mark { slot: Slot::new(slot).unwrap(), out, other: Some(id(other)) };
        let items = [range(0, 5460), range(6000, 6000), mark(93, true, B), mark(7, false, C)];
        let summary = Summary { id: id(A), primary: true, epoch: 7, isolated: false };
        let text = reply("master", "master");
        for piece in [1, 2, 3, 17, 64, text.len()] {
            assert_eq!(read(&text, piece), Ok((items.to_vec(), summary)));
            // The last line feed may be missing.
            assert_eq!(read(text.trim_end(), piece), Ok((items.to_vec(), summary)));
        }
    }

    #[test]
    fn isolated_below_half() {
        assert!(!read(&reply("master,fail?", "master"), 9).unwrap().1.isolated);
        assert!(read(&reply("master,fail?", "master,fail"), 9).unwrap().1.isolated);
        // A failed replica, or a failed primary without slots, has no vote.
        assert!(!read(&reply("slave,fail", "slave,fail?"), 9).unwrap().1.isolated);
        // One of two: the other cannot be a majority either.
        let text = format!("{A} :1 myself,master - 0 0 1 connected 0\n{B} :2 master,fail - 0 0 2 connected 1\n");
        assert!(!read(&text, 9).unwrap().1.isolated);
    }

    #[test]
    fn replicas_say_so() {
        let text = format!("{A} :1@2 myself,slave {B} 0 0 4 connected\n");
        let (items, summary) = read(&text, 5).unwrap();
        assert!(items.is_empty() && !summary.primary);
        assert_eq!(summary.epoch, 4);
    }

    #[test]
    fn what_is_not_such_a_reply() {
        for bad in [
            "",
            "\n",
            "hello\n",
            &format!("{A} :1 master - 0 0 1 connected 0-5\n"),
            &format!("{A} :1 myself,master - 0 0\n"),
            &format!("{A} :1 myself,master - 0 0 x connected 0-5\n"),
            &format!("{A} :1 myself,master - 0 0 1 connected 0-16384\n"),
            &format!("{A} :1 myself,master - 0 0 1 connected 5-4\n"),
            &format!("{A} :1 myself,master - 0 0 1 connected [5->-{B}\n"),
            &format!("{A} :1 myself,master - 0 0 1 connected [5=>-{B}]\n"),
            &format!("{A} :1 myself,master - 0 0 1 connected 0\n{A} :1 myself,master - 0 0 1 connected 1\n"),
        ] {
            assert_eq!(read(bad, 7), Err(BadReply), "{bad}");
        }
    }

    #[test]
    fn a_long_word_is_cut_not_refused() {
        let host = "h".repeat(300);
        let text = format!("{A} 1.2.3.4:1@2,{host} myself,master - 0 0 1 connected 3\n");
        assert_eq!(read(&text, 11).unwrap().0.len(), 1);
    }
}

//! A node that is an adversary: it knows the grammar, and what it is asked.

use slotwise::connection::ControlFrame;

use super::dice::Label;
use super::kinds::Fault;
use super::net::Stage;
use super::servers::Sent;
use super::world::{Ev, Phase, World};

/// A lie about a length is noticed within this time.
const LISTENS: u64 = 3_000_000;

impl World {
    /// What the adversary sends instead of a reply.
    pub fn twist(&mut self, link: u32, sent: Sent, out: Vec<u8>) -> Vec<u8> {
        if self.phase == Phase::Shutdown {
            return out;
        }
        let out = match self.lie(link, sent, &out) {
            Some(lie) => return lie,
            None => out,
        };
        let hostile = |fault: &Fault| fault.is_hostile() && !fault.is_drawn_apart();
        let kinds: Vec<Fault> = self.options.faults.iter().map(|rate| rate.fault).filter(hostile).collect();
        let dice = self.streams.of(Label::Hostile);
        if kinds.is_empty() || !dice.chance(250) {
            return out;
        }
        let kind = kinds[dice.below(kinds.len() as u32) as usize];
        let twisted = match kind {
            Fault::Surplus => [&out[..], b"+surplus\r\n"].concat(),
            Fault::Missing => Vec::new(),
            Fault::SplitReply => [&out[..out.len() / 2], b"$5\r\nsplit\r\n"].concat(),
            Fault::WrongType => {
                [&b":1\r\n"[..], b"*0\r\n", b"%0\r\n", b"_\r\n", b"#t\r\n"][dice.below(5) as usize].to_vec()
            }
            Fault::Redirects => redirect(dice.below(10), self.slot_of(link, sent)),
            Fault::PushFlood => {
                let mut flood = b">2\r\n$10\r\ninvalidate\r\n*0\r\n".repeat(1 + dice.below(300) as usize);
                flood.extend_from_slice(&out);
                flood
            }
            Fault::Attributes => {
                let mut many = b"|1\r\n+a\r\n+b\r\n".repeat(1 + dice.below(300) as usize);
                many.extend_from_slice(&out);
                many
            }
            Fault::Cursors if out.starts_with(b"*2\r\n$") => b"*2\r\n$5\r\n65536\r\n*0\r\n".to_vec(),
            Fault::Garbage => garbage(dice.below(10)),
            _ => return out,
        };
        self.strikes(kind, u64::from(link));
        // What comes then may be the rest of a string, and no length.
        self.links[link as usize].notes.cut |= matches!(kind, Fault::SplitReply | Fault::Garbage);
        twisted
    }

    /// Numbers that are larger than any may be, instead of a reply.
    fn lie(&mut self, link: u32, sent: Sent, out: &[u8]) -> Option<Vec<u8>> {
        let slots = matches!(sent, Sent::Own(ControlFrame::ClusterSlots));
        if slots && self.options.has(Fault::SlotNumbers) && self.fault_dice(Fault::SlotNumbers).chance(400) {
            let forged = overflown(out)?;
            self.strikes(Fault::SlotNumbers, u64::from(link));
            self.links[link as usize].notes.news.back_mut()?.forged = true;
            return Some(forged);
        }
        let fault = Fault::LyingLength;
        if !self.options.has(fault)
            || self.links[link as usize].notes.lied.is_some()
            || self.links[link as usize].notes.cut
            || !self.fault_dice(fault).chance(30)
        {
            return None;
        }
        let len = self.fault_dice(fault).pick(&[3, 600_000_000, u32::MAX - 1, u32::MAX]);
        self.strikes(fault, u64::from(link));
        // A string that is longer than it says, or one that nobody will wait for.
        let rest = if len == 3 { "abcde" } else { "" };
        let lie = format!("${len}\r\n{rest}").into_bytes();
        let start = self.links[link as usize].notes.sent_down;
        self.links[link as usize].notes.lied = Some((start, start + lie.len() as u64));
        self.after(LISTENS, Ev::Repair(fault, link));
        Some(lie)
    }

    /// I8: whoever announces more than there may be is not listened to any more.
    pub(super) fn check_unbelieved(&mut self, link: u32) {
        let at = &self.links[link as usize];
        let client = &self.clients[at.client];
        let Some((start, end)) = at.notes.lied else { return };
        // What has not come yet, or what waits behind something else, proves nothing.
        let read = at.received - at.rx.len() as u64;
        let seen = at.received >= end && read >= start && !client.dropped && client.frozen <= self.now;
        let open = at.stage == Stage::Open;
        self.check(8, !open || !seen, || format!("link {link}: a length that cannot be is believed"));
    }

    fn slot_of(&self, link: u32, sent: Sent) -> u16 {
        let (Sent::One(tag) | Sent::Member(tag, _)) = sent else { return 0 };
        let client = &self.clients[self.links[link as usize].client];
        let slot = client.requests.get(tag as usize).and_then(|request| request.spec.target.slot());
        slot.map_or(0, slotwise::slot::Slot::get)
    }
}

/// Redirect lines that lead nowhere good.
fn redirect(kind: u32, slot: u16) -> Vec<u8> {
    let line = match kind {
        0 => format!("MOVED {slot} 10.66.0.1:7000"),
        1 => format!("ASK {slot} 10.66.0.2:7000"),
        2 => format!("MOVED {} 10.0.0.1:7000", slot ^ 1),
        3 => "MOVED 99999 10.0.0.1:7000".to_owned(),
        4 => format!("MOVED {slot} 10.0.0.1:0"),
        5 => format!("ASK {slot} :"),
        6 => format!("MOVED {slot}"),
        7 => format!("MOVED -{slot} user@10.66.0.1:7000/path"),
        8 => format!("ASK {slot} [10.66.0.1]:7000"),
        _ => format!("MOVED {slot} 10.0.0.1:7000"),
    };
    format!("-{line}\r\n").into_bytes()
}

/// A slot list in which the numbers of a range are larger by 65,536: cut to 16 bits they would be right.
fn overflown(out: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(out).ok()?;
    let mut lines: Vec<String> = text.split("\r\n").map(str::to_owned).collect();
    // `*ranges`, `*elements`, `:first`, `:last`, ...
    for line in lines.get_mut(2..4)? {
        let number = line.strip_prefix(':')?.parse::<u32>().ok()?;
        *line = format!(":{}", number + 65_536);
    }
    Some(lines.join("\r\n").into_bytes())
}

/// Bytes that no server sends.
fn garbage(kind: u32) -> Vec<u8> {
    match kind {
        0 => b"*1000000000\r\n".to_vec(),
        1 => b"$-5\r\n".to_vec(),
        2 => b"\xff\xfe\0".to_vec(),
        3 => b"*1\r\n".repeat(2_000),
        4 => b":99999999999999999999\r\n".to_vec(),
        5 => b"$9999999999999\r\n".to_vec(),
        6 => b"+\r\r\n".to_vec(),
        7 => b">0\r\n".to_vec(),
        8 => b"$3\r\nabcde".to_vec(),
        _ => vec![b'+'; 5_000],
    }
}

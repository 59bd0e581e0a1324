//! A node that is an adversary: it knows the grammar, and what it is asked.

use slotwise::connection::ControlFrame;

use super::dice::Label;
use super::kinds::Fault;
use super::net::Stage;
use super::servers::Sent;
use super::world::{Ev, Phase, World};

/// A lie about a length is noticed within this time.
const LISTENS: u64 = 12_000_000;

impl World {
    /// What the adversary sends instead of a reply.
    pub fn twist(&mut self, link: u32, sent: Sent, out: Vec<u8>) -> Vec<u8> {
        if self.phase == Phase::Shutdown {
            return out;
        }
        let kinds: Vec<Fault> =
            self.options.faults.iter().map(|rate| rate.fault).filter(|fault| fault.is_hostile()).collect();
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
            Fault::LyingLength => {
                let len = [600_000_000_u64, 4_294_967_294, 1 << 40][dice.below(3) as usize];
                format!("${len}\r\n").into_bytes()
            }
            Fault::SlotNumbers => match overflown(&out) {
                Some(forged) if is_slots(sent) => forged,
                _ => return out,
            },
            _ => return out,
        };
        self.strikes(kind, u64::from(link));
        match kind {
            Fault::LyingLength => self.after(LISTENS, Ev::Repair(kind, link)),
            Fault::SlotNumbers => {
                if let Some(news) = self.links[link as usize].notes.news.back_mut() {
                    news.forged = true;
                }
            }
            _ => {}
        }
        twisted
    }

    /// I8: whoever announces more than there may be is not listened to any more.
    pub(super) fn check_unbelieved(&mut self, link: u32) {
        let at = &self.links[link as usize];
        let client = &self.clients[at.client];
        // What is still on the way, or was not read yet, proves nothing.
        let read = at.down.in_flight == 0 && at.rx.is_empty() && !client.dropped && client.frozen <= self.now;
        let open = at.stage == Stage::Open && !at.hole;
        self.check(8, !open || !read, || format!("link {link}: a length beyond the limit is believed"));
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

/// Whether the slots were asked for.
fn is_slots(sent: Sent) -> bool {
    matches!(sent, Sent::Own(ControlFrame::ClusterSlots))
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

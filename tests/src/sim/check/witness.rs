//! What the checks write down about links, requests and clients, beside what those are made of.

use std::collections::{BTreeMap, VecDeque};

use slotwise::ids::NodeId;
use slotwise::time::Instant;

use super::maps::{MapNotes, News};
use super::windows::Bucket;

/// What was noticed about a link.
#[derive(Clone, Debug)]
pub struct LinkNotes {
    /// The node it was dialled for; `None` for a seed.
    pub node: Option<NodeId>,
    /// When it was dialled.
    pub dialled: u64,
    /// Bytes the engine wanted to write.
    pub offered: u64,
    /// Bytes the transport took.
    pub taken: u64,
    /// When a probe was put in line last.
    pub probed: Option<u64>,
    /// When bytes came last, by the client's clock.
    pub heard: Instant,
    /// When it ended, if it was open then, and the node it led to.
    pub ended: Option<(u64, Option<NodeId>)>,
    /// When it was ready for commands.
    pub ready: Option<u64>,
    /// Commands that were written to it, and those of them that the server answered.
    pub commands: (u32, u32),
    /// Where a length that is none stands in what the server sent.
    pub lied: Option<(u64, u64)>,
    /// The server has sent less than it announced, or what may begin a string.
    pub cut: bool,
    /// When the server sent a command elsewhere last.
    pub redirected: Option<u64>,
    /// A map did not have its node: from then on it closes when its last reply is in.
    pub dismissed: bool,
    /// Bytes that were put on their way to the client.
    pub sent_down: u64,
    /// Topology replies on their way to the client.
    pub news: VecDeque<News>,
    /// Whether all that came since the last look had numbers in them that are none.
    pub forged: Option<bool>,
}

impl Default for LinkNotes {
    fn default() -> Self {
        Self {
            node: None,
            dialled: 0,
            offered: 0,
            taken: 0,
            probed: None,
            heard: Instant::from_micros(0),
            ended: None,
            ready: None,
            commands: (0, 0),
            lied: None,
            cut: false,
            redirected: None,
            dismissed: false,
            sent_down: 0,
            news: VecDeque::new(),
            forged: None,
        }
    }
}

/// What was noticed about a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct RequestNotes {
    /// The link it was written on last, and where in its stream it begins.
    pub place: Option<(u32, u64)>,
    /// It was given to a transport before, and no refusal is known of that.
    pub left: bool,
    /// It was submitted before there was a map.
    pub early: bool,
    /// The last answer was a refusal that time heals.
    pub passing: bool,
    /// The last answer was an ASK.
    pub asked: bool,
    /// How often it went on at once after a refusal.
    pub hasty: u32,
    /// How many answers there were when it was sent last.
    pub answered: usize,
}

/// What was noticed about a client.
#[derive(Clone, Debug, Default)]
pub struct ClientNotes {
    /// When its timer rang last, and how often at that time.
    pub rang: (u64, u32),
    /// What its map stands for.
    pub map: MapNotes,
    /// When its table of commands was seen full.
    pub full: u64,
    /// Requests before this one have ended.
    pub oldest: usize,
    /// Dials: when, by its clock, and for which node.
    pub dials: Vec<(u64, Option<NodeId>)>,
    /// Where a node was dialled last.
    pub places: BTreeMap<NodeId, (String, u16)>,
    /// Dials of a node at another place than before: when, by its clock.
    pub moves: Vec<(u64, Option<NodeId>)>,
    /// Topology questions without an answer: link, and when, by its clock.
    pub questions: Vec<(u32, u64)>,
    /// When nodes sent it MOVED.
    pub moved: Vec<u64>,
    /// How many topology questions it may ask.
    pub bucket: Bucket,
    /// Nodes whose last connections failed: how many of them, and when the last one did.
    pub failed: BTreeMap<Option<NodeId>, (usize, u64)>,
    /// Dials of each place that had no target, in a row.
    pub untargeted: BTreeMap<usize, u32>,
    /// Delays before dials, as parts of a thousand of the longest there may be.
    pub spread: Vec<u64>,
}

impl ClientNotes {
    /// A topology question was answered on that link at that time of the client's clock. Whether it was the last one asked,
    /// and answered before the next node may have been wished for, which is dialled first if need be.
    pub fn answered(&mut self, link: u32, clock: u64, timeout: u64) -> bool {
        let Some(at) = self.questions.iter().position(|question| question.0 == link) else { return false };
        let (_, asked) = self.questions.remove(at);
        at == self.questions.len() && clock.saturating_sub(asked) < timeout
    }
}

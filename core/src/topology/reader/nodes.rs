//! CLUSTER NODES: one string, a line per node.
//!
//! `id ip:port@cport[,hostname[,name=value]*] flags primary|- ping pong epoch link [slot|a-b|[slot->-id]|[slot-<-id]]*`
//! (`@cport` since 4.0, `,hostname` since 7.0). A line can be longer than any buffer, so the text is read piece by
//! piece (between spaces, and commas in the second and third field), and only a piece that is cut by the end of a
//! chunk is copied.

use super::entry::{Entry, node_id};
use super::slots::slot;
use super::walk::{Place, Scalar};
use super::{Context, Direction, Mark, Shape};
use crate::ids::NodeId;
use crate::resp::{Status, Text, Token};
use crate::slot::SlotRange;
use crate::topology::Rejection;
use crate::topology::build::MapMut;
use crate::topology::node::{EPOCH, Health, MYSELF, NONE, NOT_ROUTABLE, NodeIndex, PLACEHOLDER, REPLICA, Role};

/// The longest piece that matters: a host name of 255 bytes with its ports. Where memory is small, host names (and ids of
/// other software) of more than 80 bytes are given up.
const SCRATCH: usize = if cfg!(target_pointer_width = "64") { 280 } else { 80 };

#[derive(Clone, Debug)]
pub(super) struct Nodes {
    /// The beginning of a piece that the last chunk cut.
    scratch: [u8; SCRATCH],
    len: u16,
    /// The piece is longer than the scratch.
    cut: bool,
    in_text: bool,
    line: Line,
}

/// The line being read.
#[derive(Clone, Copy, Debug)]
struct Line {
    /// Which field, from 0; stays at 8 for slots.
    field: u8,
    /// Which piece of the field, from 0.
    piece: u8,
    entry: Entry,
    flags: u8,
    role: Option<Role>,
    health: Health,
    primary: Option<NodeId>,
    epoch: u64,
    /// Where the node went, once its fixed fields were read.
    index: Option<NodeIndex>,
}

impl Line {
    const fn new() -> Self {
        Self {
            field: 0,
            piece: 0,
            entry: Entry::new(),
            flags: 0,
            role: None,
            health: Health::Online,
            primary: None,
            epoch: 0,
            index: None,
        }
    }
}

impl Shape for Nodes {
    fn text(
        &mut self,
        token: &Token<'_>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<Option<Status<()>>, Rejection> {
        let (bytes, last) = match *token {
            Token::Bulk(text) | Token::Verbatim { text, .. } => (text, true),
            Token::Begin { kind: Text::Bulk | Text::Verbatim(_), .. } => {
                self.in_text = true;
                return Ok(Some(Status::Incomplete));
            }
            Token::Chunk { bytes, last } if self.in_text => (bytes, last),
            _ => return Ok(None),
        };
        self.chunk(bytes, context, map, on_mark)?;
        if !last {
            return Ok(Some(Status::Incomplete));
        }
        self.newline(context, map, on_mark)?;
        Ok(Some(Status::Complete(())))
    }

    fn opens(&mut self, _: Place, _: u64, _: &mut MapMut<'_>) -> Result<bool, Rejection> {
        Err(Rejection::Malformed("CLUSTER NODES is one string"))
    }

    fn scalar(&mut self, _: Place, _: Scalar<'_>, _: &mut MapMut<'_>) -> Result<(), Rejection> {
        Err(Rejection::Malformed("CLUSTER NODES is one string"))
    }

    fn close(&mut self, _: Place, _: &Context<'_>, _: &mut MapMut<'_>) -> Result<(), Rejection> {
        Ok(())
    }
}

impl Nodes {
    pub(super) const fn new() -> Self {
        Self { scratch: [0; SCRATCH], len: 0, cut: false, in_text: false, line: Line::new() }
    }

    fn chunk(
        &mut self,
        mut bytes: &[u8],
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<(), Rejection> {
        loop {
            let commas = matches!(self.line.field, 1 | 2);
            let ends = |byte: &u8| *byte == b' ' || *byte == b'\n' || (commas && *byte == b',');
            let Some(at) = bytes.iter().position(ends) else { break };
            let Some((piece, rest)) = bytes.split_at_checked(at) else { break };
            let Some((end, rest)) = rest.split_first() else { break };
            bytes = rest;
            self.stash_or(piece, map, on_mark)?;
            match end {
                b'\n' => self.end_of_line(context, map)?,
                b',' => self.line.piece = self.line.piece.saturating_add(1),
                _ => self.next_field(context, map)?,
            }
        }
        self.stash(bytes);
        Ok(())
    }

    /// Reads a piece, with what the chunks before held of it.
    fn stash_or(&mut self, piece: &[u8], map: &mut MapMut<'_>, on_mark: &mut dyn FnMut(Mark)) -> Result<(), Rejection> {
        // A piece too long for the scratch is refused even if it comes whole: how the bytes are cut must not matter.
        if self.len == 0 && !self.cut && piece.len() <= SCRATCH {
            return self.line.piece(piece, map, on_mark);
        }
        self.stash(piece);
        let whole = !core::mem::take(&mut self.cut);
        let len = core::mem::take(&mut self.len);
        match self.scratch.get(..usize::from(len)).filter(|_| whole) {
            Some(piece) => self.line.piece(piece, map, on_mark),
            // Nothing a reader needs is that long, but a name=value may be.
            None if self.line.field == 1 && self.line.piece > 0 => Ok(()),
            None => Err(Rejection::Malformed("a field of CLUSTER NODES is too long")),
        }
    }

    fn stash(&mut self, bytes: &[u8]) {
        let room = self.scratch.get_mut(usize::from(self.len)..).unwrap_or_default();
        self.cut |= bytes.len() > room.len();
        for (to, from) in room.iter_mut().zip(bytes) {
            *to = *from;
            self.len = self.len.saturating_add(1);
        }
    }

    /// The text ends: with or without a newline behind the last line.
    fn newline(
        &mut self,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<(), Rejection> {
        if self.len > 0 || self.cut || self.line.field > 0 {
            self.stash_or(&[], map, on_mark)?;
            self.end_of_line(context, map)?;
        }
        Ok(())
    }

    fn next_field(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        if self.line.field == 7 {
            self.line.commit(context, map)?;
        }
        self.line.field = self.line.field.saturating_add(1).min(8);
        self.line.piece = 0;
        Ok(())
    }

    fn end_of_line(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let line = core::mem::replace(&mut self.line, Line::new());
        match line.field {
            // An empty line.
            0 if line.entry.id.is_none() => Ok(()),
            7 => {
                let mut line = line;
                line.commit(context, map)
            }
            8 => Ok(()),
            _ => Err(Rejection::Malformed("a line of CLUSTER NODES has too few fields")),
        }
    }
}

impl Line {
    /// One piece of the current field.
    fn piece(&mut self, piece: &[u8], map: &mut MapMut<'_>, on_mark: &mut dyn FnMut(Mark)) -> Result<(), Rejection> {
        match (self.field, self.piece) {
            (0, _) => {
                self.entry = Entry::begin(map);
                self.entry.id(piece);
                Ok(())
            }
            (1, 0) => self.address(piece, map),
            (1, 1) if !piece.contains(&b'=') => {
                self.entry.hostname(piece, map);
                Ok(())
            }
            (2, _) => {
                self.flag(piece);
                Ok(())
            }
            (3, _) => {
                self.primary = if piece == b"-" { None } else { node_id(piece) };
                Ok(())
            }
            (6, _) => {
                let number = crate::resp::number::parse_u64(piece);
                self.epoch = number.ok_or(Rejection::Malformed("a config epoch is no number"))?;
                Ok(())
            }
            (8, _) if !piece.is_empty() => self.slots(piece, map, on_mark),
            // Names and values, ping and pong times, link state.
            _ => Ok(()),
        }
    }

    /// `ip:port`, `ip:port@cport`, with an empty ip for a node that does not know its own.
    fn address(&mut self, piece: &[u8], map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let why = Rejection::Malformed("an address is not ip:port");
        let end = piece.iter().rposition(|byte| *byte == b'@').unwrap_or(piece.len());
        let address = piece.get(..end).ok_or(why)?;
        let colon = address.iter().rposition(|byte| *byte == b':').ok_or(why)?;
        let (ip, port) = address.split_at_checked(colon).ok_or(why)?;
        self.entry.port(port.get(1..).and_then(crate::resp::number::parse_u64))?;
        if !ip.is_empty() && crate::topology::hosts::checked(ip).is_none() {
            return Err(why);
        }
        // The address is the IP whatever endpoint type clients are to prefer.
        self.entry.ip(ip, map);
        Ok(())
    }

    fn flag(&mut self, word: &[u8]) {
        match word {
            b"myself" => self.flags |= MYSELF,
            b"fail?" if self.health == Health::Online => self.health = Health::Suspect,
            b"fail" if self.health != Health::Joining => self.health = Health::Failed,
            b"handshake" | b"noaddr" => {
                self.flags |= NOT_ROUTABLE;
                self.health = Health::Joining;
            }
            _ => self.role = Role::parse(word).or(self.role),
        }
    }

    /// The fixed fields are read: the node goes into the map.
    fn commit(&mut self, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection> {
        let id = self.entry.id.ok_or(Rejection::Malformed("a line of CLUSTER NODES has no id"))?;
        // Nodes in handshake and forgotten ones have no role yet.
        let role = self.role.unwrap_or(Role::Primary);
        if role == Role::Replica && !context.replicas {
            return Ok(());
        }
        if self.flags & NOT_ROUTABLE == 0 {
            self.entry.settle(context, map);
        }
        let index = match map.map().find(&id) {
            Some(index) => {
                let placeholder = map.node_mut(index).is_some_and(|node| node.flags & PLACEHOLDER != 0);
                if !placeholder {
                    return Err(Rejection::Malformed("two lines of CLUSTER NODES have one id"));
                }
                self.entry.replace(index, map);
                Some(index)
            }
            None => self.entry.push(id, map).inspect(|index| map.chain(*index)),
        };
        self.index = index;
        let primary = self.primary.filter(|_| role == Role::Replica).and_then(|id| reserve(id, map));
        if let Some(node) = index.and_then(|index| map.node_mut(index)) {
            node.flags = self.flags | EPOCH;
            node.set_role(role);
            node.health = self.health;
            node.set_epoch(self.epoch);
            node.link = primary.map_or(NONE, |primary| primary.0);
        }
        Ok(())
    }

    /// One of `123`, `1-5`, `[123->-id]`, `[123-<-id]`.
    fn slots(&mut self, piece: &[u8], map: &mut MapMut<'_>, on_mark: &mut dyn FnMut(Mark)) -> Result<(), Rejection> {
        let why = Rejection::Malformed("a slot of CLUSTER NODES is neither number, range nor mark");
        if let Some(mark) = piece.strip_prefix(b"[") {
            let mark = mark.strip_suffix(b"]").ok_or(why)?;
            let dash = mark.iter().position(|byte| *byte == b'-').ok_or(why)?;
            let (number, rest) = mark.split_at_checked(dash).ok_or(why)?;
            let (arrow, peer) = rest.split_first_chunk::<3>().ok_or(why)?;
            let direction = match arrow {
                b"->-" => Direction::Migrating,
                b"-<-" => Direction::Importing,
                _ => return Err(why),
            };
            let slot = slot(Scalar::Text(number))?;
            if let (Some(node), Some(peer)) = (self.entry.id, node_id(peer)) {
                on_mark(Mark { node, slot, direction, peer });
            }
            return Ok(());
        }
        if self.role == Some(Role::Replica) {
            return Err(Rejection::Malformed("a replica of CLUSTER NODES has slots"));
        }
        let mut ends = piece.splitn(2, |byte| *byte == b'-');
        let first = slot(Scalar::Text(ends.next().ok_or(why)?))?;
        let last = ends.next().map_or(Ok(first), |last| slot(Scalar::Text(last)))?;
        let range = SlotRange::new(first, last).ok_or(Rejection::Malformed("a range ends before it begins"))?;
        map.add_range(range, self.index)
    }
}

/// The node of this id, added without an address if its line is still to come.
fn reserve(id: NodeId, map: &mut MapMut<'_>) -> Option<NodeIndex> {
    if let Some(index) = map.map().find(&id) {
        return Some(index);
    }
    let draft = map.draft();
    let index = map.push_node(id, 0, draft)?;
    map.chain(index);
    if let Some(node) = map.node_mut(index) {
        node.flags = PLACEHOLDER & !REPLICA;
        node.health = Health::Unknown;
    }
    Some(index)
}

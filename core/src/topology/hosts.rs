//! The arena of host names: each node has up to four tagged texts in a row.

use crate::addr;

/// What a text of a node's row is. The order of the numbers is the order of preference for dialling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    /// The preferred endpoint, the one to dial.
    Endpoint = 0,
    /// The IP address, where it is not the endpoint.
    Ip = 1,
    /// The announced host name, where it is not the endpoint.
    Hostname = 2,
    /// The availability zone (Valkey 9.1 and later).
    Zone = 3,
}

/// The texts of one node's row.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    bytes: &'a [u8],
}

impl<'a> Row<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn get(self, tag: Tag) -> Option<&'a str> {
        self.into_iter().find(|(t, _)| *t == tag as u8).and_then(|(_, text)| core::str::from_utf8(text).ok())
    }

    /// The host to dial.
    pub(super) fn host(self) -> Option<&'a str> {
        [Tag::Endpoint, Tag::Ip, Tag::Hostname].into_iter().find_map(|tag| self.get(tag))
    }

    /// Whether any of the node's hosts is `host`, letters of either case.
    pub(super) fn names(self, host: &str) -> bool {
        self.into_iter().any(|(tag, text)| tag != Tag::Zone as u8 && text.eq_ignore_ascii_case(host.as_bytes()))
    }
}

/// Walks a row: tag, length, text, and so on.
impl<'a> Iterator for Row<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let ([tag, len], rest) = self.bytes.split_first_chunk::<2>()?;
        let (text, rest) = rest.split_at_checked(usize::from(*len))?;
        self.bytes = rest;
        Some((*tag, text))
    }
}

/// A row in the making at the end of the arena.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draft {
    pub(super) at: u32,
    pub(super) len: u16,
    /// A text did not fit and was left out.
    pub(super) cut: bool,
}

impl Draft {
    pub(super) const fn at(at: u32) -> Self {
        Self { at, len: 0, cut: false }
    }

    /// Appends a text; one longer than a host may be is left out like one that does not fit.
    pub(super) fn push(&mut self, arena: &mut [u8], tag: Tag, text: &[u8]) {
        let start = (self.at as usize).saturating_add(usize::from(self.len));
        let Ok(len) = u8::try_from(text.len()) else {
            self.cut = true;
            return;
        };
        let room = arena.get_mut(start..).and_then(<[u8]>::split_first_chunk_mut::<2>);
        let Some((head, Some((room, _)))) = room.map(|(head, rest)| (head, rest.split_at_mut_checked(text.len())))
        else {
            self.cut = true;
            return;
        };
        *head = [tag as u8, len];
        // Of the same length by the line above, so this cannot panic.
        room.copy_from_slice(text);
        self.len = self.len.saturating_add(u16::from(len)).saturating_add(2);
    }
}

/// Whether a host says nothing about where the node is: empty, or an unspecified address a node reports before it
/// knows its own.
pub(super) fn unspecified(host: &[u8]) -> bool {
    matches!(host, b"" | b"0.0.0.0" | b"::" | b"::0")
}

/// A host as it may be dialled.
pub(super) fn checked(host: &[u8]) -> Option<&str> {
    addr::host(host).ok()
}

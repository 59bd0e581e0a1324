//! What the scan asks for.

use super::cursor::Cursor;
use super::options::ScanOptions;
use crate::ids::NodeId;
use crate::resp::Args;
use crate::resp::number::Decimal;

/// Which request a reply belongs to. Give it to the engine as the command's tag.
///
/// A ticket is used once. One whose walk has moved on (its connection was lost, say) is stale and ignored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Ticket {
    pub(crate) walk: u32,
    pub(crate) generation: u32,
}

impl Ticket {
    /// The ticket as a number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.walk as u64) << 32) | self.generation as u64
    }

    /// The ticket of a number from [`Ticket::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { walk: (bits >> 32) as u32, generation: bits as u32 }
    }

    /// The index of the walk among the caller's walks, the same for all requests of one walk. A caller that reads
    /// replies by tokens keeps one key buffer for each.
    #[must_use]
    pub const fn walk(self) -> usize {
        self.walk as usize
    }
}

/// One read-only command for one node, to be sent to that node and to no other.
///
/// Send it once: a page that was resent on a new connection carries a cursor of the old process. Mark the command
/// as streamed if pages may be larger than the receive buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "a request that is not sent stops its walk"]
pub struct ScanRequest {
    /// Whose reply it is.
    pub ticket: Ticket,
    /// The node to ask.
    pub node: NodeId,
    /// What to ask.
    pub kind: RequestKind,
}

/// The kinds of request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RequestKind {
    /// `CLUSTER NODES`, before or after a walk.
    Nodes,
    /// A SCAN page without MATCH and TYPE, whose keys only show how the server orders them.
    Probe {
        /// Where to look.
        cursor: Cursor,
        /// COUNT.
        count: u32,
    },
    /// A SCAN page with the scan's options.
    Page {
        /// Where to go on.
        cursor: Cursor,
        /// COUNT.
        count: u32,
    },
}

impl ScanRequest {
    /// The command's arguments, with the options the scan was made with.
    #[must_use]
    pub fn args<'a>(&self, options: &ScanOptions<'a>) -> ScanArgs<'a> {
        let none = ScanArgs {
            cursor: Decimal::unsigned(0),
            count: Decimal::unsigned(0),
            pattern: None,
            type_name: None,
            nodes: false,
        };
        match self.kind {
            RequestKind::Nodes => ScanArgs { nodes: true, ..none },
            RequestKind::Probe { cursor, count } => {
                ScanArgs { cursor: Decimal::unsigned(cursor.get()), count: Decimal::unsigned(u64::from(count)), ..none }
            }
            RequestKind::Page { cursor, count } => ScanArgs {
                cursor: Decimal::unsigned(cursor.get()),
                count: Decimal::unsigned(u64::from(count)),
                pattern: options.pattern,
                type_name: options.type_name,
                nodes: false,
            },
        }
    }
}

/// The arguments of a [`ScanRequest`]: `CLUSTER NODES`, or `SCAN cursor COUNT n [MATCH glob] [TYPE name]`.
#[derive(Clone, Copy, Debug)]
pub struct ScanArgs<'a> {
    cursor: Decimal,
    count: Decimal,
    pattern: Option<&'a [u8]>,
    type_name: Option<&'a [u8]>,
    nodes: bool,
}

impl Args for ScanArgs<'_> {
    fn count(&self) -> usize {
        if self.nodes {
            return 2;
        }
        4 + 2 * usize::from(self.pattern.is_some()) + 2 * usize::from(self.type_name.is_some())
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        if self.nodes {
            return match index {
                0 => Some(b"CLUSTER"),
                1 => Some(b"NODES"),
                _ => None,
            };
        }
        let filters = [(&b"MATCH"[..], self.pattern), (b"TYPE", self.type_name)];
        match index {
            0 => Some(b"SCAN"),
            1 => Some(self.cursor.as_bytes()),
            2 => Some(b"COUNT"),
            3 => Some(self.count.as_bytes()),
            _ => {
                let mut present = filters.into_iter().filter_map(|(word, value)| value.map(|value| (word, value)));
                let (word, value) = present.nth((index - 4) / 2)?;
                Some(if index.is_multiple_of(2) { word } else { value })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn text(kind: RequestKind, options: &ScanOptions<'_>) -> String {
        let ticket = Ticket { walk: 0, generation: 0 };
        let args = ScanRequest { ticket, node: NodeId::from_bytes([1; 20]), kind }.args(options);
        let words: Vec<_> =
            (0..args.count()).map(|i| String::from_utf8_lossy(args.arg(i).unwrap()).into_owned()).collect();
        assert_eq!(args.arg(args.count()), None);
        words.join(" ")
    }

    #[test]
    fn commands_as_sent() {
        let options = ScanOptions::new().pattern(b"a*").type_name(b"hash");
        let cursor = Cursor::new(u64::MAX);
        assert_eq!(text(RequestKind::Nodes, &options), "CLUSTER NODES");
        let page = RequestKind::Page { cursor, count: 7 };
        assert_eq!(text(page, &options), "SCAN 18446744073709551615 COUNT 7 MATCH a* TYPE hash");
        assert_eq!(text(page, &ScanOptions::new().type_name(b"set")), "SCAN 18446744073709551615 COUNT 7 TYPE set");
        assert_eq!(text(page, &ScanOptions::new()), "SCAN 18446744073709551615 COUNT 7");
        assert_eq!(text(RequestKind::Probe { cursor, count: 7 }, &options), "SCAN 18446744073709551615 COUNT 7");
    }

    #[test]
    fn tickets_are_numbers() {
        let ticket = Ticket { walk: 70_000, generation: u32::MAX };
        assert_eq!(Ticket::from_bits(ticket.to_bits()), ticket);
    }
}

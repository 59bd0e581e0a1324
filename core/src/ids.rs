//! Identifiers: cluster nodes, commands, connections.

use core::fmt::{self, Write};

/// A cluster node's identity: the 40 hexadecimal digits servers print, as 20 bytes.
///
/// A node is its id, not its address: addresses change, are shared behind proxies, and are reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId([u8; 20]);

impl NodeId {
    /// The id from its 20 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The 20 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// 32 bits of it, never 0: to tell a handful of nodes apart where taking one for another does no harm.
    pub(crate) fn short(&self) -> u32 {
        let word = |chunk: &[u8]| chunk.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let mixed = self.0.chunks_exact(4).fold(0_u32, |sum, chunk| sum.rotate_left(7) ^ word(chunk));
        mixed.max(1)
    }

    /// Reads exactly 40 hexadecimal digits of either case.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != 40 {
            return None;
        }
        let mut id = [0; 20];
        for (byte, pair) in id.iter_mut().zip(text.chunks_exact(2)) {
            let &[high, low] = pair else { return None };
            *byte = (hex(high)? << 4) | hex(low)?;
        }
        Some(Self(id))
    }

    /// An id for a node that was named without one (a seed, or CLUSTER SLOTS entries of two elements), derived
    /// from what is known of it. It begins with four zero bytes, which no real id is likely to do.
    #[must_use]
    pub fn derived(host: &[u8], port: u16) -> Self {
        let mut id = [0; 20];
        for (lane, chunk) in id.chunks_exact_mut(8).enumerate() {
            let hash = fnv1a(host, port, lane as u64);
            chunk.copy_from_slice(&hash.to_be_bytes());
        }
        let [_, _, _, _, rest @ ..] = id;
        let mut out = [0; 20];
        if let Some(tail) = out.get_mut(4..) {
            tail.copy_from_slice(&rest);
        }
        Self(out)
    }

    /// Whether the id was made by [`NodeId::derived`].
    #[must_use]
    pub fn is_derived(&self) -> bool {
        self.0.first_chunk::<4>() == Some(&[0; 4])
    }
}

fn fnv1a(host: &[u8], port: u16, lane: u64) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64 ^ lane.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in host.iter().copied().chain(port.to_be_bytes()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digit by digit: a format of its own for each byte takes ten times as long.
        let digit = |digit: u8| char::from(if digit < 10 { b'0' | digit } else { b'a' - 10 + digit });
        self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]).try_for_each(|half| f.write_char(digit(half)))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for NodeId {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=[u8]:02x}", self.0);
    }
}

macro_rules! generational {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        pub struct $name {
            index: u32,
            generation: u32,
        }

        impl $name {
            /// The id of place `index` in its table, in the `generation`-th use of that place.
            #[must_use]
            pub const fn new(index: u32, generation: u32) -> Self {
                Self { index, generation }
            }

            /// The place in the table; stable for the life of the id, reused afterwards.
            #[must_use]
            pub const fn index(self) -> usize {
                self.index as usize
            }

            /// How often the place was used before; an id with an old generation is ignored.
            #[must_use]
            pub const fn generation(self) -> u32 {
                self.generation
            }
        }
    };
}

generational! {
    /// A submitted command, until its one outcome was handed out.
    CommandId
}

generational! {
    /// A connection. A connection is not a node: a node may have none or several (a shared one, leases), and a
    /// late dial of an old one is told apart by the generation.
    ConnId
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn node_id_round_trip() {
        let text = "07c37dfeb235213a872192d90877d0cd55635b91";
        let id = NodeId::parse(text.as_bytes()).unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(NodeId::parse(text.to_uppercase().as_bytes()), Some(id));
        assert!(!id.is_derived());
        assert_eq!(NodeId::parse(&text.as_bytes()[1..]), None);
        assert_eq!(NodeId::parse(b"zzc37dfeb235213a872192d90877d0cd55635b91"), None);
    }

    #[test]
    fn derived_ids_differ() {
        let a = NodeId::derived(b"10.0.0.1", 6379);
        assert!(a.is_derived());
        assert_eq!(a, NodeId::derived(b"10.0.0.1", 6379));
        assert_ne!(a, NodeId::derived(b"10.0.0.1", 6380));
        assert_ne!(a, NodeId::derived(b"10.0.0.2", 6379));
    }
}

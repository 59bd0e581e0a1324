//! MOVED and ASK lines.

use core::fmt;

use super::first_word;
use crate::addr::{self, AddrError, NodeAddr};
use crate::slot::Slot;

/// A well-formed redirect. Whether it is obeyed is another question: only at the top level of a reply, for a keyed
/// command, and only when its slot is the slot of that command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Redirect<'a> {
    /// The slot belongs to the target from now on.
    Moved {
        /// The slot that moved.
        slot: Slot,
        /// Its owner.
        target: RedirectTarget<'a>,
    },
    /// This one command is to be sent to the target, behind ASKING on the same connection; the map stays as it is.
    Ask {
        /// The slot that is migrating.
        slot: Slot,
        /// The node it is migrating to.
        target: RedirectTarget<'a>,
    },
}

impl<'a> Redirect<'a> {
    /// The slot the server names.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        match self {
            Self::Moved { slot, .. } | Self::Ask { slot, .. } => *slot,
        }
    }

    /// Where to go.
    #[must_use]
    pub const fn target(&self) -> RedirectTarget<'a> {
        match self {
            Self::Moved { target, .. } | Self::Ask { target, .. } => *target,
        }
    }

    /// Whether it is an ASK.
    #[must_use]
    pub const fn is_ask(&self) -> bool {
        matches!(self, Self::Ask { .. })
    }
}

/// The endpoint of a redirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RedirectTarget<'a> {
    /// An empty host (`:7400`): the host of the node that answered, with this port. Sent with
    /// `cluster-preferred-endpoint-type unknown-endpoint`.
    SameHost {
        /// The port, never 0.
        port: u16,
    },
    /// The host `?`: the server prefers host names and this node announces none. Not the same host: refresh the map.
    Unknown,
    /// A host and a port.
    Addr(NodeAddr<'a>),
}

/// Why a redirect line is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum RedirectError {
    /// The slot is missing or not a canonical decimal number from 0 to 16383.
    BadSlot,
    /// No endpoint follows the slot.
    NoEndpoint,
    /// More words follow the endpoint.
    Trailing,
    /// The endpoint is not `host:port`.
    BadEndpoint(AddrError),
}

impl RedirectError {
    /// The reason in snake_case, for machine output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadSlot => "bad_slot",
            Self::NoEndpoint => "no_endpoint",
            Self::Trailing => "trailing_words",
            Self::BadEndpoint(AddrError::NoPort | AddrError::BadPort) => "bad_port",
            Self::BadEndpoint(_) => "bad_host",
        }
    }
}

impl fmt::Display for RedirectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadSlot => f.write_str("the redirect's slot is not a number from 0 to 16383"),
            Self::NoEndpoint => f.write_str("the redirect names no endpoint"),
            Self::Trailing => f.write_str("words follow the redirect's endpoint"),
            Self::BadEndpoint(why) => write!(f, "the redirect's endpoint is not host:port: {why}"),
        }
    }
}

impl core::error::Error for RedirectError {}

/// Reads `CODE slot host:port`.
pub(super) fn parse(line: &[u8], ask: bool) -> Result<Redirect<'_>, RedirectError> {
    let (_, rest) = first_word(line);
    let (slot, rest) = first_word(rest.ok_or(RedirectError::BadSlot)?);
    let slot = parse_slot(slot).ok_or(RedirectError::BadSlot)?;
    let target = endpoint(rest.ok_or(RedirectError::NoEndpoint)?)?;
    Ok(if ask { Redirect::Ask { slot, target } } else { Redirect::Moved { slot, target } })
}

/// Reads `REDIRECT host:port`.
pub(super) fn parse_whole(line: &[u8]) -> Result<RedirectTarget<'_>, RedirectError> {
    endpoint(first_word(line).1.ok_or(RedirectError::NoEndpoint)?)
}

/// Canonical decimal: no sign, no leading zero, below 16384.
fn parse_slot(digits: &[u8]) -> Option<Slot> {
    if digits.is_empty() || digits.len() > 5 || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let number = digits.iter().try_fold(0_u32, |number, digit| {
        digit.is_ascii_digit().then(|| number.wrapping_mul(10).wrapping_add(u32::from(digit.wrapping_sub(b'0'))))
    })?;
    Slot::new(u16::try_from(number).ok()?)
}

fn endpoint(text: &[u8]) -> Result<RedirectTarget<'_>, RedirectError> {
    if text.contains(&b' ') {
        return Err(RedirectError::Trailing);
    }
    if text.is_empty() {
        return Err(RedirectError::NoEndpoint);
    }
    let (host, port) = addr::split(text).map_err(RedirectError::BadEndpoint)?;
    match host {
        b"" => Ok(RedirectTarget::SameHost { port }),
        b"?" => Ok(RedirectTarget::Unknown),
        _ if colons_without_ipv6(host) => Err(RedirectError::BadEndpoint(AddrError::BadHost)),
        _ => addr::host(host)
            .and_then(|host| NodeAddr::new(host, port))
            .map(RedirectTarget::Addr)
            .map_err(RedirectError::BadEndpoint),
    }
}

/// Whether a host holds colons but cannot be a bare IPv6 address: `a:b` from `a:b:80`, or `:` from `::1`, an address
/// without a port.
fn colons_without_ipv6(host: &[u8]) -> bool {
    let colons = host.iter().filter(|byte| **byte == b':').count();
    let address = host.split(|byte| *byte == b'%').next().unwrap_or(host);
    let ipv6 = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    colons > 0 && (colons < 2 || !address.iter().all(ipv6))
}

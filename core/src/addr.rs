//! Host and port pairs as cluster nodes name each other.

use core::fmt;

/// A host (name, IPv4 or bare IPv6 text) and a port, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeAddr<'a> {
    host: &'a str,
    port: u16,
}

/// Why a host or an address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum AddrError {
    /// No `:` between host and port.
    NoPort,
    /// The port is not a number from 1 to 65535 without sign, space or leading zero.
    BadPort,
    /// The host holds a byte that no host name or IP address has, or is longer than 255 bytes.
    BadHost,
    /// The host is empty where a host was needed.
    EmptyHost,
}

impl fmt::Display for AddrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPort => "no colon between host and port",
            Self::BadPort => "the port is not a number from 1 to 65535",
            Self::BadHost => "the host is not a host name or an IP address",
            Self::EmptyHost => "the host is empty",
        })
    }
}

impl core::error::Error for AddrError {}

/// Longest host name in bytes (RFC 1035).
pub const MAX_HOST: usize = 255;

impl<'a> NodeAddr<'a> {
    /// An address from a host and a port; the host is checked as by [`host`].
    ///
    /// # Errors
    /// [`AddrError::BadHost`], [`AddrError::EmptyHost`], or [`AddrError::BadPort`] for port 0.
    pub fn new(host_text: &'a str, port: u16) -> Result<Self, AddrError> {
        if port == 0 {
            return Err(AddrError::BadPort);
        }
        Ok(Self { host: host(host_text.as_bytes())?, port })
    }

    /// The host: a name, an IPv4 address, or an IPv6 address without brackets.
    #[must_use]
    pub const fn host(&self) -> &'a str {
        self.host
    }

    /// The port, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Reads `host:port` as servers write it: split at the last colon, IPv6 bare (brackets are accepted too).
    ///
    /// # Errors
    /// Any [`AddrError`].
    pub fn parse(text: &'a [u8]) -> Result<Self, AddrError> {
        let (host_text, port) = split(text)?;
        let host_text = match host_text {
            [b'[', inner @ .., b']'] => inner,
            bare => bare,
        };
        Ok(Self { host: host(host_text)?, port })
    }
}

impl fmt::Display for NodeAddr<'_> {
    /// `host:port`, with brackets around IPv6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for NodeAddr<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "{=str}:{=u16}", self.host, self.port);
    }
}

/// Splits `host:port` at the last colon without judging the host, which may be empty (same host) or `?` (unknown).
///
/// # Errors
/// [`AddrError::NoPort`] or [`AddrError::BadPort`].
pub fn split(text: &[u8]) -> Result<(&[u8], u16), AddrError> {
    let colon = text.iter().rposition(|b| *b == b':').ok_or(AddrError::NoPort)?;
    let (host_text, rest) = text.split_at_checked(colon).ok_or(AddrError::NoPort)?;
    let port = rest.split_first().map_or(&[][..], |(_, digits)| digits);
    Ok((host_text, parse_port(port)?))
}

/// Reads a port: decimal digits, 1 to 65535, no leading zero.
///
/// # Errors
/// [`AddrError::BadPort`].
pub fn parse_port(digits: &[u8]) -> Result<u16, AddrError> {
    if digits.first().is_none_or(|d| *d == b'0') || digits.len() > 5 {
        return Err(AddrError::BadPort);
    }
    let mut port = 0_u32;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return Err(AddrError::BadPort);
        }
        port = port * 10 + u32::from(*digit - b'0');
    }
    u16::try_from(port).map_err(|_| AddrError::BadPort)
}

/// Checks a host as it stands in topology replies and redirects: letters, digits, `-`, `_`, `.`, and for IPv6 `:`
/// and a `%zone`. No user info, path, query, space or control byte passes.
///
/// # Errors
/// [`AddrError::EmptyHost`] or [`AddrError::BadHost`].
pub fn host(text: &[u8]) -> Result<&str, AddrError> {
    if text.is_empty() {
        return Err(AddrError::EmptyHost);
    }
    let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':' | b'%');
    if text.len() > MAX_HOST || !text.iter().all(plain) {
        return Err(AddrError::BadHost);
    }
    core::str::from_utf8(text).map_err(|_| AddrError::BadHost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn splits_at_the_last_colon() {
        let a = NodeAddr::parse(b"::1:7400").unwrap();
        assert_eq!((a.host(), a.port()), ("::1", 7400));
        assert_eq!(a.to_string(), "[::1]:7400");
        assert_eq!(NodeAddr::parse(b"[::1]:7400").unwrap(), a);
        assert_eq!(split(b":7400"), Ok((&b""[..], 7400)));
        assert_eq!(split(b"?:7402"), Ok((&b"?"[..], 7402)));
    }

    #[test]
    fn refuses_what_is_not_an_address() {
        for (text, why) in [
            (&b"host"[..], AddrError::NoPort),
            (b"host:", AddrError::BadPort),
            (b"host:0", AddrError::BadPort),
            (b"host:065", AddrError::BadPort),
            (b"host:65536", AddrError::BadPort),
            (b"host:+80", AddrError::BadPort),
            (b":80", AddrError::EmptyHost),
            (b"?:80", AddrError::BadHost),
            (b"user@host:80", AddrError::BadHost),
            (b"host/path:80", AddrError::BadHost),
            (b"ho st:80", AddrError::BadHost),
            (b"h\r\n:80", AddrError::BadHost),
        ] {
            assert_eq!(NodeAddr::parse(text), Err(why), "{text:?}");
        }
        assert!(NodeAddr::parse(&[&[b'a'; 256][..], b":80"].concat()).is_err());
    }
}

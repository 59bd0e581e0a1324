//! Reading HELLO's reply, and what a finished handshake knows about its server.

use super::handshake::Steps;
use crate::resp::Token;

/// Whose server answered, as it says itself. Valkey can be told to call itself Redis (`extended-redis-compatibility`),
/// so nothing may be decided by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Server {
    /// No HELLO reply, or no such field in it.
    #[default]
    Unknown,
    /// `redis`.
    Redis,
    /// `valkey`.
    Valkey,
    /// Another name.
    Other,
}

/// How the server runs, HELLO's `mode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Mode {
    /// No HELLO reply, or no such field in it.
    #[default]
    Unknown,
    /// `cluster`.
    Cluster,
    /// `standalone`: it will refuse CLUSTER commands.
    Standalone,
    /// `sentinel`: no data here at all.
    Sentinel,
}

/// The server's role, HELLO's `role`, at the time it answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Role {
    /// No HELLO reply, or no such field in it.
    #[default]
    Unknown,
    /// `master`.
    Primary,
    /// `replica` (or `slave`).
    Replica,
}

/// A server version, for display and logs; zeros when it was not told or is not three numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
    /// The third number.
    pub patch: u16,
}

/// An availability zone, kept as a 32-bit hash: zones are only ever compared for being the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Zone(u32);

impl Zone {
    /// The zone of this name (FNV-1a).
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        Self::from_bits(name.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)))
    }

    /// The hash, as a number to keep.
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }

    /// The zone of a hash.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}

/// What a finished handshake knows. 40 bytes or less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Session {
    /// Whether replies come in RESP3 (pushes are told apart from replies).
    pub resp3: bool,
    /// Whose server it is.
    pub server: Server,
    /// Its version.
    pub version: Version,
    /// How it runs. `Unknown` in RESP2: HELLO was not sent or not understood.
    pub mode: Mode,
    /// Its role.
    pub role: Role,
    /// The connection's id on the server, for CLIENT KILL and logs.
    pub client_id: Option<i64>,
    /// The server's availability zone (Valkey 8.1 and later, where configured).
    pub zone: Option<Zone>,
    /// Optional steps that the server refused.
    pub refused: Steps,
}

impl Session {
    pub(super) const UNKNOWN: Self = Self {
        resp3: false,
        server: Server::Unknown,
        version: Version { major: 0, minor: 0, patch: 0 },
        mode: Mode::Unknown,
        role: Role::Unknown,
        client_id: None,
        zone: None,
        refused: Steps::NONE,
    };
}

/// Reads the map of a HELLO reply one token at a time: `server`, `version`, `proto`, `id`, `mode`, `role`,
/// `availability_zone`, and skips whatever else there is, nested or not (`modules` holds maps).
///
/// RESP3 sends a map, RESP2 the same as a flat array.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HelloReader {
    /// Elements still to come inside a nested value that is being skipped.
    nested: u32,
    /// The key whose value comes next.
    key: Key,
    /// Whether the next element at the top is a value.
    at_value: bool,
    /// Nothing more is read from this reply: it is shaped in a way that HELLO's reply is not.
    given_up: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Key {
    #[default]
    Other,
    Server,
    Version,
    Proto,
    Id,
    Mode,
    Role,
    Zone,
}

impl HelloReader {
    pub(super) const NEW: Self = Self { nested: 0, key: Key::Other, at_value: false, given_up: false };

    /// Takes a token behind the reply's header.
    pub(super) fn token(&mut self, token: &Token<'_>, session: &mut Session) {
        if self.given_up {
            return;
        }
        let inside = match token {
            Token::Array(n) | Token::Set(n) | Token::Push(n) => Some(*n),
            Token::Map(pairs) => Some(pairs.saturating_mul(2)),
            // A string in pieces is one element, which ends with its last piece.
            Token::Begin { .. } | Token::Chunk { last: false, .. } => return,
            Token::Attribute(_) | Token::Open(_) | Token::Close | Token::TooDeep => {
                self.given_up = true;
                return;
            }
            _ => None,
        };
        if self.nested > 0 {
            self.nested = (self.nested - 1).saturating_add(inside.unwrap_or(0));
            return;
        }
        if let Some(n) = inside {
            self.nested = n;
        } else if self.at_value {
            self.value(token, session);
        } else {
            self.key = text(token).map_or(Key::Other, key);
        }
        self.at_value = !self.at_value;
        if inside.is_some() && self.at_value {
            // A key that is an aggregate: its value is skipped like any unknown one.
            self.key = Key::Other;
        }
    }

    fn value(&self, token: &Token<'_>, session: &mut Session) {
        match (self.key, token) {
            (Key::Proto, Token::Integer(n)) => session.resp3 = *n >= 3,
            (Key::Id, Token::Integer(n)) => session.client_id = Some(*n),
            (key, token) => {
                if let Some(text) = text(token) {
                    words(key, text, session);
                }
            }
        }
    }
}

fn words(key: Key, text: &[u8], session: &mut Session) {
    match key {
        Key::Server => {
            session.server = match text {
                b"redis" => Server::Redis,
                b"valkey" => Server::Valkey,
                _ => Server::Other,
            }
        }
        Key::Version => session.version = version(text),
        Key::Mode => {
            session.mode = match text {
                b"cluster" => Mode::Cluster,
                b"standalone" => Mode::Standalone,
                b"sentinel" => Mode::Sentinel,
                _ => Mode::Unknown,
            }
        }
        Key::Role => {
            session.role = match text {
                b"master" | b"primary" => Role::Primary,
                b"replica" | b"slave" => Role::Replica,
                _ => Role::Unknown,
            }
        }
        Key::Zone => session.zone = (!text.is_empty()).then(|| Zone::of(text)),
        Key::Proto | Key::Id | Key::Other => {}
    }
}

fn key(text: &[u8]) -> Key {
    match text {
        b"server" => Key::Server,
        b"version" => Key::Version,
        b"proto" => Key::Proto,
        b"id" => Key::Id,
        b"mode" => Key::Mode,
        b"role" => Key::Role,
        b"availability_zone" => Key::Zone,
        _ => Key::Other,
    }
}

fn text<'a>(token: &Token<'a>) -> Option<&'a [u8]> {
    match token {
        Token::Simple(text) | Token::Bulk(text) | Token::Verbatim { text, .. } => Some(text),
        _ => None,
    }
}

/// `7.0.15`, or zeros.
fn version(text: &[u8]) -> Version {
    let mut numbers = [0_u16; 3];
    let mut parts = text.split(|b| *b == b'.');
    for number in &mut numbers {
        let Some(value) = parts.next().and_then(small) else { return Version::default() };
        *number = value;
    }
    let [major, minor, patch] = numbers;
    Version { major, minor, patch }
}

/// The leading digits (`15` of `15-rc1`), or nothing.
fn small(text: &[u8]) -> Option<u16> {
    let mut value = None;
    for digit in text.iter().take_while(|b| b.is_ascii_digit()) {
        value = Some(value.unwrap_or(0_u16).checked_mul(10)?.checked_add(u16::from(*digit - b'0'))?);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(tokens: &[Token<'_>]) -> Session {
        let mut session = Session::default();
        let mut reader = HelloReader::default();
        for token in tokens {
            reader.token(token, &mut session);
        }
        session
    }

    #[test]
    fn skips_what_it_does_not_know() {
        let session = read(&[
            Token::Bulk(b"modules"),
            Token::Array(2),
            Token::Map(2),
            Token::Bulk(b"name"),
            Token::Bulk(b"mode"),
            Token::Bulk(b"role"),
            Token::Array(0),
            Token::Map(0),
            Token::Bulk(b"future"),
            Token::Map(1),
            Token::Array(1),
            Token::Null(crate::resp::Null::Resp3),
            Token::Bulk(b"master"),
            Token::Bulk(b"role"),
            Token::Bulk(b"replica"),
            Token::Array(1),
            Token::Bulk(b"mode"),
            Token::Bulk(b"sentinel"),
            Token::Bulk(b"mode"),
            Token::Bulk(b"cluster"),
        ]);
        assert_eq!((session.role, session.mode), (Role::Replica, Mode::Cluster));
    }

    #[test]
    fn reads_every_field() {
        let session = read(&[
            Token::Bulk(b"server"),
            Token::Bulk(b"valkey"),
            Token::Bulk(b"version"),
            Token::Bulk(b"9.1.2"),
            Token::Bulk(b"proto"),
            Token::Integer(3),
            Token::Bulk(b"id"),
            Token::Integer(77),
            Token::Simple(b"mode"),
            Token::Simple(b"standalone"),
            Token::Bulk(b"role"),
            Token::Bulk(b"master"),
            Token::Bulk(b"availability_zone"),
            Token::Bulk(b"eu-1a"),
        ]);
        assert_eq!(
            session,
            Session {
                resp3: true,
                server: Server::Valkey,
                version: Version { major: 9, minor: 1, patch: 2 },
                mode: Mode::Standalone,
                role: Role::Primary,
                client_id: Some(77),
                zone: Some(Zone::of(b"eu-1a")),
                refused: Steps::NONE,
            }
        );
        assert_ne!(Zone::of(b"eu-1a"), Zone::of(b"eu-1b"));
        assert!(size_of::<Session>() <= 40);
    }

    #[test]
    fn a_value_in_pieces_counts_once() {
        let session = read(&[
            Token::Bulk(b"version"),
            Token::Begin { kind: crate::resp::Text::Bulk, len: Some(300) },
            Token::Chunk { bytes: b"mode", last: false },
            Token::Chunk { bytes: b"mode", last: true },
            Token::Bulk(b"mode"),
            Token::Bulk(b"cluster"),
        ]);
        assert_eq!(session.mode, Mode::Cluster);
        assert_eq!(session.version, Version::default());
    }

    #[test]
    fn odd_versions() {
        let v = |major, minor, patch| Version { major, minor, patch };
        assert_eq!(version(b"7.0.15"), v(7, 0, 15));
        assert_eq!(version(b"8.0.0-rc1"), v(8, 0, 0));
        assert_eq!(version(b"255.255.255"), v(255, 255, 255));
        for text in [&b""[..], b"7", b"7.0", b"a.b.c", b"7..1", b"70000.0.0"] {
            assert_eq!(version(text), Version::default(), "{text:?}");
        }
    }
}

//! Why a handshake failed, and what servers say when they refuse one.

use core::fmt;

/// Why a connection did not become usable. The connection is to be closed in every case; what the server said is
/// in the bytes the caller still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum HandshakeError {
    /// The server wants a password and the settings have none (`NOAUTH`).
    AuthRequired,
    /// The server refused user and password (`WRONGPASS`, before Redis 6.0 `ERR invalid password`).
    AuthFailed,
    /// A password was sent to a server that has none (`ERR Client sent AUTH, but no password is set`; from Redis
    /// 6.0 on `ERR AUTH <password> called without any password configured`).
    NoPasswordSet,
    /// HELLO was understood and refused for another reason.
    HelloRefused,
    /// The database cannot be selected (`ERR SELECT is not allowed in cluster mode`, `ERR DB index is out of
    /// range`).
    DatabaseRefused,
    /// READONLY was refused (`ERR This instance has cluster support disabled`).
    ReadOnlyRefused,
    /// The user may not run a command that the handshake needs (`NOPERM`).
    NoPermission,
    /// The server answers nothing but LOADING, BUSY or MASTERDOWN. Worth a retry.
    NotReady,
    /// `ERR max number of clients reached`. Comes unasked, before the server reads anything. Worth a retry.
    MaxClients,
    /// `DENIED`: protected mode. Comes unasked.
    Denied,
    /// The server could not read what was sent (`ERR Protocol error`): not the server one thinks it is, or an
    /// argument over the limits for clients that are not yet authenticated.
    Protocol,
    /// A reply nobody asked for, with a text that is none of the above.
    Unsolicited,
    /// A reply of a type that the request cannot have.
    UnexpectedReply,
}

impl HandshakeError {
    /// A name in snake_case for machine-readable output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AuthRequired => "auth_required",
            Self::AuthFailed => "auth_failed",
            Self::NoPasswordSet => "no_password_set",
            Self::HelloRefused => "hello_refused",
            Self::DatabaseRefused => "database_refused",
            Self::ReadOnlyRefused => "read_only_refused",
            Self::NoPermission => "no_permission",
            Self::NotReady => "not_ready",
            Self::MaxClients => "max_clients",
            Self::Denied => "denied",
            Self::Protocol => "protocol",
            Self::Unsolicited => "unsolicited",
            Self::UnexpectedReply => "unexpected_reply",
        }
    }

    /// Whether another try with the same settings cannot be expected to end differently until somebody changes the
    /// settings or the server. (The server may: passwords are rotated. Such endpoints are worth the slowest retry.)
    #[must_use]
    pub const fn needs_settings(self) -> bool {
        matches!(
            self,
            Self::AuthRequired
                | Self::AuthFailed
                | Self::NoPasswordSet
                | Self::DatabaseRefused
                | Self::ReadOnlyRefused
                | Self::NoPermission
                | Self::Denied
        )
    }

    /// What an error line means on a connection with nothing in flight, during a handshake or later: the server's
    /// reason for the close that follows. `line` is without the leading `-`.
    #[must_use]
    pub fn unsolicited(line: &[u8]) -> Self {
        match Refusal::of(line) {
            Refusal::Fatal(error) => error,
            Refusal::NoAuth => Self::AuthRequired,
            Refusal::NotReady => Self::NotReady,
            _ => Self::Unsolicited,
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthRequired => "the server wants a password and none is set",
            Self::AuthFailed => "the server refused the user or password",
            Self::NoPasswordSet => "a password is set but the server has none",
            Self::HelloRefused => "the server refused HELLO",
            Self::DatabaseRefused => "the server refused to select the database",
            Self::ReadOnlyRefused => "the server refused READONLY",
            Self::NoPermission => "the user may not run a command of the handshake",
            Self::NotReady => "the server is not ready for commands",
            Self::MaxClients => "the server has no room for another client",
            Self::Denied => "the server is in protected mode",
            Self::Protocol => "the server could not read the request",
            Self::Unsolicited => "the server sent a reply nobody asked for",
            Self::UnexpectedReply => "the server sent a reply of the wrong type",
        })
    }
}

impl core::error::Error for HandshakeError {}

/// An error line of a handshake, as far as the handshake tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Fatal whatever was asked.
    Fatal(HandshakeError),
    /// NOAUTH: fatal without a password; on HELLO with one, the server did not read it as HELLO.
    NoAuth,
    /// The command, or the sub-command, is not known.
    Unknown,
    /// The protocol version is not known.
    NoProto,
    /// The server is up but not ready for commands: proof enough of a working connection.
    NotReady,
    /// Anything else; the step decides.
    Other,
}

impl Refusal {
    pub(super) fn of(line: &[u8]) -> Self {
        let code = line.split(|b| *b == b' ').next().unwrap_or_default();
        match code {
            b"NOAUTH" => Self::NoAuth,
            b"WRONGPASS" => Self::Fatal(HandshakeError::AuthFailed),
            b"NOPROTO" => Self::NoProto,
            b"DENIED" => Self::Fatal(HandshakeError::Denied),
            b"NOPERM" => Self::Fatal(HandshakeError::NoPermission),
            b"LOADING" | b"BUSY" | b"MASTERDOWN" => Self::NotReady,
            b"ERR" => Self::plain(line.get(4..).unwrap_or_default()),
            _ => Self::Other,
        }
    }

    /// An `ERR` text, which is all that older servers have.
    fn plain(text: &[u8]) -> Self {
        const TEXTS: [(&[u8], Refusal); 11] = [
            (b"max number of clients", Refusal::Fatal(HandshakeError::MaxClients)),
            (b"Protocol error", Refusal::Fatal(HandshakeError::Protocol)),
            (b"unknown command", Refusal::Unknown),
            (b"unknown subcommand", Refusal::Unknown),
            // Redis 6.2 and later, where 6.0 says NOPROTO.
            (b"Protocol version is not an integer", Refusal::NoProto),
            (b"invalid password", Refusal::Fatal(HandshakeError::AuthFailed)),
            (b"invalid username-password", Refusal::Fatal(HandshakeError::AuthFailed)),
            (b"Client sent AUTH, but no password", Refusal::Fatal(HandshakeError::NoPasswordSet)),
            (b"AUTH <password> called without", Refusal::Fatal(HandshakeError::NoPasswordSet)),
            (b"operation not permitted", Refusal::NoAuth),
            (b"invalid DB index", Refusal::Fatal(HandshakeError::DatabaseRefused)),
        ];
        TEXTS.iter().find(|(start, _)| starts_with(text, start)).map_or(Self::Other, |(_, refusal)| *refusal)
    }
}

/// Servers changed the case of their texts over the years.
fn starts_with(text: &[u8], start: &[u8]) -> bool {
    text.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn texts_of_many_versions() {
        use HandshakeError as E;
        for (line, refusal) in [
            // Redis 3.x, 4 and 5, 6 and later, Valkey.
            ("ERR unknown command 'HELLO'", Refusal::Unknown),
            ("ERR unknown command `HELLO`, with args beginning with: `3`, ", Refusal::Unknown),
            ("ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.", Refusal::Unknown),
            ("ERR Unknown subcommand or wrong number of arguments for 'CAPA'", Refusal::Unknown),
            ("NOPROTO unsupported protocol version", Refusal::NoProto),
            ("NOPROTO sorry this protocol version is not supported", Refusal::NoProto),
            ("ERR Protocol version is not an integer or out of range", Refusal::NoProto),
            ("NOAUTH Authentication required.", Refusal::NoAuth),
            ("NOAUTH HELLO must be called with the client already authenticated, otherwise", Refusal::NoAuth),
            ("WRONGPASS invalid username-password pair or user is disabled.", Refusal::Fatal(E::AuthFailed)),
            ("ERR invalid password", Refusal::Fatal(E::AuthFailed)),
            ("ERR Client sent AUTH, but no password is set", Refusal::Fatal(E::NoPasswordSet)),
            (
                "ERR AUTH <password> called without any password configured for the default user.",
                Refusal::Fatal(E::NoPasswordSet),
            ),
            ("ERR max number of clients reached", Refusal::Fatal(E::MaxClients)),
            ("DENIED Redis is running in protected mode because", Refusal::Fatal(E::Denied)),
            ("ERR Protocol error: unauthenticated bulk length", Refusal::Fatal(E::Protocol)),
            ("NOPERM User app has no permissions to run the 'client' command", Refusal::Fatal(E::NoPermission)),
            ("LOADING Redis is loading the dataset in memory", Refusal::NotReady),
            ("ERR Syntax error in HELLO option 'X'", Refusal::Other),
            ("ERR", Refusal::Other),
            ("", Refusal::Other),
            ("err unknown", Refusal::Other),
        ] {
            assert_eq!(Refusal::of(line.as_bytes()), refusal, "{line}");
        }
    }

    #[test]
    fn unsolicited_lines() {
        use HandshakeError as E;
        assert_eq!(E::unsolicited(b"ERR max number of clients reached"), E::MaxClients);
        assert_eq!(E::unsolicited(b"DENIED Running in protected mode"), E::Denied);
        assert_eq!(E::unsolicited(b"MOVED 1 127.0.0.1:7000"), E::Unsolicited);
        assert_eq!(E::unsolicited(b"ERR unknown command 'x'"), E::Unsolicited);
        assert!(!E::MaxClients.needs_settings() && E::AuthFailed.needs_settings());
        assert!(E::Denied.to_string().contains("protected"));
    }
}

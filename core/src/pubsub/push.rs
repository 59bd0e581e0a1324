//! What a push means.

use super::channel::Kind;
use crate::resp::Frame;

/// A push of RESP3, or a RESP2 array on a subscriber's connection, by its first element, which may be a bulk or a simple string.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Push<'a> {
    /// `subscribe`, `psubscribe`, `ssubscribe`: the channel is subscribed.
    Subscribed {
        /// Of which kind.
        kind: Kind,
        /// The channel or pattern.
        channel: &'a [u8],
        /// Subscriptions the connection has now: sharded ones, or plain ones and patterns together.
        count: i64,
    },
    /// `unsubscribe`, `punsubscribe`, `sunsubscribe`: the channel is not subscribed any more, asked or unasked.
    Unsubscribed {
        /// Of which kind.
        kind: Kind,
        /// The channel or pattern; `None` where there was none to unsubscribe from.
        channel: Option<&'a [u8]>,
        /// Subscriptions the connection still has, as above.
        count: i64,
    },
    /// `message` and `smessage`.
    Message {
        /// [`Kind::Plain`] or [`Kind::Sharded`].
        kind: Kind,
        /// The channel.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
    /// `pmessage`.
    PatternMessage {
        /// The pattern.
        pattern: &'a [u8],
        /// The channel.
        channel: &'a [u8],
        /// What was published.
        payload: &'a [u8],
    },
    /// `invalidate`, or a message on `__redis__:invalidate` (RESP2): keys to drop from a client-side cache.
    Invalidate {
        /// The keys, as the children of this frame; `None`: all keys.
        keys: Option<Frame<'a>>,
    },
    /// `tracking-redir-broken`: the connection that got the invalidations is gone.
    TrackingLost,
    /// `pong`: the reply to PING on a RESP2 connection with subscriptions.
    Pong {
        /// The argument of the PING, or nothing.
        message: &'a [u8],
    },
    /// Something else: maintenance announcements, pushes of modules.
    Other {
        /// The first element.
        name: &'a [u8],
    },
}

/// The channel on which RESP2 clients get invalidations.
const INVALIDATE: &[u8] = b"__redis__:invalidate";

impl<'a> Push<'a> {
    /// Reads a push. `None` when it has no name, or is not of the form its name calls for.
    ///
    /// The frame may be a RESP3 push or an array: whether an array is a push or a reply is for the caller to know.
    #[must_use]
    pub fn read(frame: &Frame<'a>) -> Option<Self> {
        let mut parts = frame.children();
        let name = parts.next()?.bytes()?;
        let mut part = || parts.next();
        let push = match name {
            b"message" => {
                let (channel, payload) = (part()?.bytes()?, part()?);
                if channel == INVALIDATE && payload.bytes().is_none() {
                    Self::Invalidate { keys: Some(payload).filter(|keys| !keys.is_null()) }
                } else {
                    Self::Message { kind: Kind::Plain, channel, payload: payload.bytes()? }
                }
            }
            b"smessage" => Self::Message { kind: Kind::Sharded, channel: part()?.bytes()?, payload: part()?.bytes()? },
            b"pmessage" => {
                let (pattern, channel, payload) = (part()?.bytes()?, part()?.bytes()?, part()?.bytes()?);
                Self::PatternMessage { pattern, channel, payload }
            }
            b"invalidate" => Self::Invalidate { keys: Some(part()?).filter(|keys| !keys.is_null()) },
            b"tracking-redir-broken" => Self::TrackingLost,
            b"pong" => Self::Pong { message: part()?.bytes()? },
            _ => match confirmation(name) {
                Some((kind, true)) => Self::Subscribed { kind, channel: part()?.bytes()?, count: part()?.integer()? },
                Some((kind, false)) => {
                    let channel = part()?;
                    let channel = if channel.is_null() { None } else { Some(channel.bytes()?) };
                    Self::Unsubscribed { kind, channel, count: part()?.integer()? }
                }
                None => Self::Other { name },
            },
        };
        Some(push)
    }

    /// Whether an array that begins like this may be a push on a RESP2 connection with subscriptions.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !matches!(self, Self::Other { .. })
    }
}

fn confirmation(name: &[u8]) -> Option<(Kind, bool)> {
    Some(match name {
        b"subscribe" => (Kind::Plain, true),
        b"psubscribe" => (Kind::Pattern, true),
        b"ssubscribe" => (Kind::Sharded, true),
        b"unsubscribe" => (Kind::Plain, false),
        b"punsubscribe" => (Kind::Pattern, false),
        b"sunsubscribe" => (Kind::Sharded, false),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::resp::Status;
    use std::format;
    use std::string::String;

    fn read(wire: &str) -> String {
        let Ok(Status::Complete((frame, _))) = Frame::new_checked(wire.as_bytes(), &Limits::DEFAULT) else {
            panic!("{wire:?}")
        };
        match Push::read(&frame) {
            None => "none".into(),
            Some(Push::Invalidate { keys: None }) => "invalidate all".into(),
            Some(Push::Invalidate { keys: Some(keys) }) => format!("invalidate {}", keys.children().count()),
            Some(Push::Message { kind, channel, payload }) => {
                format!("{} {} {}", kind.name(), text(channel), text(payload))
            }
            Some(Push::PatternMessage { pattern, channel, payload }) => {
                format!("{} {} {}", text(pattern), text(channel), text(payload))
            }
            Some(Push::Subscribed { kind, channel, count }) => format!("+{} {} {count}", kind.name(), text(channel)),
            Some(Push::Unsubscribed { kind, channel, count }) => {
                format!("-{} {} {count}", kind.name(), channel.map_or("null".into(), text))
            }
            Some(Push::TrackingLost) => "tracking lost".into(),
            Some(Push::Pong { message }) => format!("pong {}", text(message)),
            Some(Push::Other { name }) => format!("other {}", text(name)),
        }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn pushes_and_arrays() {
        for (wire, meaning) in [
            (">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "plain c hi"),
            ("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n", "plain c hi"),
            (">3\r\n+smessage\r\n$1\r\nc\r\n$0\r\n\r\n", "sharded c "),
            (">4\r\n$8\r\npmessage\r\n$2\r\nc*\r\n$1\r\nc\r\n$1\r\nx\r\n", "c* c x"),
            (">3\r\n$10\r\nssubscribe\r\n$1\r\nc\r\n:2\r\n", "+sharded c 2"),
            ("*3\r\n$9\r\nsubscribe\r\n$0\r\n\r\n:1\r\n", "+plain  1"),
            ("*3\r\n$10\r\npsubscribe\r\n$1\r\n*\r\n:1\r\n", "+pattern * 1"),
            (">3\r\n$12\r\nsunsubscribe\r\n$1\r\nc\r\n:0\r\n", "-sharded c 0"),
            (">3\r\n$12\r\nsunsubscribe\r\n_\r\n:0\r\n", "-sharded null 0"),
            ("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", "-plain null 0"),
            ("*3\r\n$12\r\npunsubscribe\r\n$1\r\n*\r\n:0\r\n", "-pattern * 0"),
            (">2\r\n$10\r\ninvalidate\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n", "invalidate 2"),
            (">2\r\n$10\r\ninvalidate\r\n_\r\n", "invalidate all"),
            ("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*1\r\n$1\r\na\r\n", "invalidate 1"),
            ("*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n*-1\r\n", "invalidate all"),
            (">2\r\n$21\r\ntracking-redir-broken\r\n:5\r\n", "tracking lost"),
            ("*2\r\n$4\r\npong\r\n$0\r\n\r\n", "pong "),
            (">2\r\n+MOVING\r\n:5\r\n", "other MOVING"),
            (">0\r\n", "none"),
            (">1\r\n:1\r\n", "none"),
            (">2\r\n$7\r\nmessage\r\n$1\r\nc\r\n", "none"),
            (">3\r\n$9\r\nsubscribe\r\n_\r\n:1\r\n", "none"),
            (">3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n$1\r\n1\r\n", "none"),
        ] {
            assert_eq!(read(wire), meaning, "{wire:?}");
        }
    }
}

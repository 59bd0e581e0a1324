//! Errors: what failed, where, and whether anything ran.

use std::fmt;
use std::io;

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::CommandError;
use slotwise::connection::SettingsError;
use slotwise::ids::NodeId;
use slotwise::pipeline::{Failure, Outcome};
use slotwise::scan::RestoreError;
use slotwise::server_error::{ErrorKind, Executed, ServerError};

use crate::url::UrlError;

/// Longest part of a server's error line that is kept and shown, in bytes.
const KEPT: usize = 1_024;
/// Longest part of a command's name that is shown, in characters.
const NAMED: usize = 64;

/// Foreign text as error texts show it: cut, and with control characters escaped.
struct Shown<'a>(&'a str, usize);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(self.1).map(|(at, _)| at);
        for c in self.0[..cut.unwrap_or(self.0.len())].chars() {
            // Quotes and letters of all languages stay as they are.
            if c.is_control() || !c.escape_debug().eq([c]) && !matches!(c, '\'' | '"') {
                write!(f, "{}", c.escape_debug())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        if cut.is_some() { f.write_str("...") } else { Ok(()) }
    }
}

/// Servers repeat the arguments of a command they do not know (`, with args beginning with: ...`), and those may be
/// values: that part is left out.
fn without_arguments(line: &[u8]) -> &[u8] {
    const ECHO: &[u8] = b"with args beginning with";
    let at = line.windows(ECHO.len()).position(|part| part.eq_ignore_ascii_case(ECHO));
    let kept = line.get(..at.unwrap_or(line.len())).unwrap_or(line);
    if at.is_some() { kept.trim_ascii_end().strip_suffix(b",").unwrap_or(kept) } else { kept }
}

/// An error reply of a server: the command was answered, with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReply {
    line: String,
    kind: ErrorKind,
    executed: Executed,
    node: Option<NodeId>,
}

impl ServerReply {
    pub(crate) fn new(line: &[u8]) -> Self {
        let error = ServerError::parse(line);
        let kept = without_arguments(line);
        let kept = kept.get(..KEPT).unwrap_or(kept);
        Self {
            line: String::from_utf8_lossy(kept).into_owned(),
            kind: error.kind(),
            executed: error.class().executed,
            node: None,
        }
    }

    /// The same, with the node it came from.
    pub(crate) fn at(mut self, node: Option<NodeId>) -> Self {
        self.node = node;
        self
    }

    /// The error line, at most 1 KiB of it.
    #[must_use]
    pub fn line(&self) -> &str {
        &self.line
    }

    /// What kind of error it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the command ran in spite of it, as far as the text of a plain command's error tells.
    #[must_use]
    pub const fn executed(&self) -> Executed {
        self.executed
    }

    /// The node it came from, where that was kept.
    #[must_use]
    pub const fn node(&self) -> Option<NodeId> {
        self.node
    }

    /// What it says of the command, in words.
    const fn state(&self) -> &'static str {
        match self.executed {
            Executed::No => "rejected before execution",
            Executed::Unknown => "sent, and this is the answer",
            Executed::Partly => "sent, and executed in part",
        }
    }
}

impl fmt::Display for ServerReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Shown(&self.line, KEPT))
    }
}

/// What can go wrong. Every error of a command says whether the command ran; see [`Error::outcome`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The server answered with an error.
    Server {
        /// The command's name.
        command: String,
        /// The reply.
        reply: ServerReply,
    },
    /// No reply came.
    Failed {
        /// The command's name.
        command: String,
        /// What is known of it.
        failure: Failure,
    },
    /// Some parts of a split or fanned-out command succeeded and this one did not; the others ran.
    Partial {
        /// The command's name.
        command: String,
        /// How many parts there were.
        parts: usize,
        /// How many of them succeeded.
        succeeded: usize,
        /// The first failure.
        first: Box<Error>,
    },
    /// The command was refused before anything was sent.
    Command {
        /// The command's name, as far as it was given.
        command: String,
        /// Why.
        error: CommandError,
    },
    /// The engine refused the command; nothing was sent.
    Submit {
        /// The command's name.
        command: String,
        /// Why.
        error: SubmitError,
    },
    /// The URL is not one.
    Url(UrlError),
    /// TLS cannot be set up; nothing was dialled.
    #[cfg(feature = "tls")]
    Tls(crate::tls::TlsError),
    /// The settings would be refused by every server.
    Settings(SettingsError),
    /// No seed led to a cluster.
    NoCluster {
        /// What the last attempt met.
        last: Option<(CloseReason, String)>,
        /// Why the last topology reply was refused, if one came.
        rejected: Option<String>,
    },
    /// A reply was not of the form the command should have.
    UnexpectedReply {
        /// The command's name.
        command: String,
    },
    /// A scan cannot vouch for some slots.
    Scan(String),
    /// A saved scan from which none can go on.
    ScanToken(RestoreError),
    /// The operating system refused something.
    Io(io::Error),
}

impl Error {
    /// What is known about the execution of the command that failed; `None` where a reply came, or no command is
    /// meant.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Failed { failure, .. } => Some(failure.outcome),
            Self::Command { .. } | Self::Submit { .. } => Some(Outcome::NotSent),
            Self::Server { reply, .. } if reply.executed == Executed::No => Some(Outcome::Rejected),
            _ => None,
        }
    }

    /// The node that answered with the error or had the command last, where it is known.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Server { reply, .. } => reply.node,
            Self::Failed { failure, .. } => failure.node,
            Self::Partial { first, .. } => first.node(),
            _ => None,
        }
    }

    /// The server's error kind, if this is a server's error.
    #[must_use]
    pub fn server_kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Server { reply, .. } => Some(reply.kind),
            _ => None,
        }
    }

    /// The error as a word for machines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Server { reply, .. } => reply.kind.name(),
            Self::Failed { failure, .. } => failure.outcome.name(),
            Self::Partial { .. } => "partial",
            Self::Command { error, .. } => error.name(),
            Self::Submit { .. } => "not_sent",
            Self::Url(_) => "bad_url",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "tls",
            Self::Settings(_) => "bad_settings",
            Self::NoCluster { .. } => "no_cluster",
            Self::UnexpectedReply { .. } => "unexpected_reply",
            Self::Scan(_) => "scan_incomplete",
            Self::ScanToken(_) => "scan_token",
            Self::Io(_) => "io",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { command, reply } => {
                write!(f, "{}: {reply} ({}", Shown(command, NAMED), reply.state())?;
                match reply.node {
                    Some(node) => write!(f, "; node {node})"),
                    None => f.write_str(")"),
                }
            }
            Self::Failed { command, failure } => write!(f, "{}: {failure}", Shown(command, NAMED)),
            Self::Partial { command, parts, succeeded, first } => {
                let command = Shown(command, NAMED);
                write!(f, "{command}: {succeeded} of {parts} parts were executed, one was not: {first}")
            }
            Self::Command { command, error } => write!(f, "{}: {error}; nothing was sent", Shown(command, NAMED)),
            Self::Submit { command, error } => write!(f, "{}: {error}", Shown(command, NAMED)),
            Self::Url(error) => error.fmt(f),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "TLS: {}", Shown(&error.to_string(), KEPT)),
            Self::Settings(error) => error.fmt(f),
            Self::NoCluster { last, rejected } => {
                f.write_str("no seed led to a cluster")?;
                if let Some((reason, text)) = last {
                    write!(f, "; last connection: {}", reason.name())?;
                    if !text.is_empty() {
                        write!(f, " ({})", Shown(text, KEPT))?;
                    }
                }
                match rejected {
                    Some(why) => write!(f, "; last topology reply: {}", Shown(why, KEPT)),
                    None => Ok(()),
                }
            }
            Self::UnexpectedReply { command } => {
                write!(f, "{}: sent and answered, in an unexpected form", Shown(command, NAMED))
            }
            Self::Scan(why) => Shown(why, KEPT).fmt(f),
            Self::ScanToken(error) => error.fmt(f),
            Self::Io(error) => {
                let text = error.to_string();
                write!(f, "the event loop failed: {}; commands on their way may have been executed", Shown(&text, KEPT))
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Partial { first, .. } => Some(first),
            Self::Command { error, .. } => Some(error),
            Self::Submit { error, .. } => Some(error),
            Self::Url(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            Self::Settings(error) => Some(error),
            Self::ScanToken(error) => Some(error),
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<UrlError> for Error {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

#[cfg(feature = "tls")]
impl From<crate::tls::TlsError> for Error {
    fn from(error: crate::tls::TlsError) -> Self {
        Self::Tls(error)
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;

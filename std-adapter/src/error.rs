//! Errors: what failed, where, and whether anything ran.

use std::fmt;
use std::io;

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::CommandError;
use slotwise::connection::SettingsError;
use slotwise::pipeline::{Failure, Outcome};
use slotwise::scan::RestoreError;
use slotwise::server_error::{ErrorKind, Executed, ServerError};

use crate::url::UrlError;

/// Longest part of a server's error line that is kept and shown, in bytes.
const KEPT: usize = 1_024;

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
}

impl ServerReply {
    pub(crate) fn new(line: &[u8]) -> Self {
        let error = ServerError::parse(line);
        let kept = without_arguments(line);
        let kept = kept.get(..KEPT).unwrap_or(kept);
        Self { line: String::from_utf8_lossy(kept).into_owned(), kind: error.kind(), executed: error.class().executed }
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
}

impl fmt::Display for ServerReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.line.escape_debug())
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
    Submit(SubmitError),
    /// The URL is not one.
    Url(UrlError),
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
            Self::Command { .. } | Self::Submit(_) => Some(Outcome::NotSent),
            Self::Server { reply, .. } if reply.executed == Executed::No => Some(Outcome::Rejected),
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
            Self::Submit(_) => "not_sent",
            Self::Url(_) => "bad_url",
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
            Self::Server { command, reply } => write!(f, "{command}: {reply}"),
            Self::Failed { command, failure } => write!(f, "{command}: {failure}"),
            Self::Partial { command, parts, succeeded, first } => {
                write!(f, "{command}: {succeeded} of {parts} parts succeeded, one did not: {first}")
            }
            Self::Command { command, error } => write!(f, "{command}: {error}; nothing was sent"),
            Self::Submit(error) => error.fmt(f),
            Self::Url(error) => error.fmt(f),
            Self::Settings(error) => error.fmt(f),
            Self::NoCluster { last, rejected } => {
                f.write_str("no seed led to a cluster")?;
                if let Some((reason, text)) = last {
                    write!(f, "; last connection: {}", reason.name())?;
                    if !text.is_empty() {
                        write!(f, " ({text})")?;
                    }
                }
                match rejected {
                    Some(why) => write!(f, "; last topology reply: {why}"),
                    None => Ok(()),
                }
            }
            Self::UnexpectedReply { command } => write!(f, "{command}: a reply of an unexpected form"),
            Self::Scan(why) => f.write_str(why),
            Self::ScanToken(error) => error.fmt(f),
            Self::Io(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed { failure, .. } => Some(failure),
            Self::Partial { first, .. } => Some(first),
            Self::Command { error, .. } => Some(error),
            Self::Submit(error) => Some(error),
            Self::Url(error) => Some(error),
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

impl From<SubmitError> for Error {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

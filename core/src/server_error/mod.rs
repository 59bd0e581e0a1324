//! Error replies: what kind, did the command run, where to try again.
//!
//! A server's error reply is one line of text whose first word is a code (`-MOVED 3999 127.0.0.1:6381`), or has no
//! code at all. [`ServerError`] is a borrowed view of that line without the leading `-` and the CRLF; it allocates
//! nothing and every method is linear in the length of the line.
//!
//! ```
//! use slotwise::server_error::{ErrorKind, Executed, RedirectTarget, RetryWhere, ServerError};
//!
//! let error = ServerError::parse(b"MOVED 3999 ::1:7400");
//! assert_eq!(error.kind(), ErrorKind::Moved);
//! assert_eq!(error.class().executed, Executed::No);
//! assert_eq!(error.class().retry, RetryWhere::Redirect);
//! let redirect = error.redirect().unwrap();
//! assert_eq!(redirect.slot().get(), 3999);
//! assert!(matches!(redirect.target(), RedirectTarget::Addr(addr) if addr.host() == "::1" && addr.port() == 7400));
//! ```
//!
//! # What an error proves
//!
//! A cluster node checks a command in a fixed order (arity, ACL, slot, memory, role, loading, busy script) and answers
//! every one of those refusals **before** it runs the command, so the plain refusals are proofs of non-execution.
//! They stop being proofs in two cases: the text says that a script raised it ([`ServerError::from_script`]), and the
//! command itself was script-like (EVAL, FCALL, module commands), because a script can return any error text it
//! likes, byte for byte ([`ServerError::class_for`]).

mod class;
mod kind;
mod redirect;
#[cfg(test)]
mod tests;

pub use class::{Class, Executed, RetryWhere};
pub use kind::ErrorKind;
pub use redirect::{Redirect, RedirectError, RedirectTarget};

use core::fmt;

/// A borrowed error line of a server, classified once. Small and `Copy`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ServerError<'a> {
    text: &'a [u8],
    kind: ErrorKind,
    from_script: bool,
}

impl<'a> ServerError<'a> {
    /// Reads an error line: its text without the leading `-` (or without the `!` header of a blob error) and without
    /// the CRLF. Any bytes are accepted; what is not known is [`ErrorKind::Other`].
    #[must_use]
    pub fn parse(line: &'a [u8]) -> Self {
        Self { text: line, kind: ErrorKind::of(line), from_script: class::raised_by_script(line) }
    }

    /// The kind of error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text up to the first space: `MOVED`, `ERR`; the whole line when there is no space, empty for an empty line.
    #[must_use]
    pub fn code(&self) -> &'a [u8] {
        first_word(self.text).0
    }

    /// The whole line.
    #[must_use]
    pub const fn text(&self) -> &'a [u8] {
        self.text
    }

    /// Whether the text says that it was raised inside a script (it ends in ` script: <sha or name>, on ...` since
    /// 7.0, or begins with `ERR Error running script` before): part of the script may have run.
    #[must_use]
    pub const fn from_script(&self) -> bool {
        self.from_script
    }

    /// The redirect of a well-formed MOVED or ASK; `None` for every other error and for a malformed redirect, which
    /// must not be followed ([`ServerError::redirect_error`] says why).
    #[must_use]
    pub fn redirect(&self) -> Option<Redirect<'a>> {
        match self.kind {
            ErrorKind::Moved | ErrorKind::Ask => redirect::parse(self.text, self.kind == ErrorKind::Ask).ok(),
            _ => None,
        }
    }

    /// Why a MOVED or ASK line is not a redirect that can be followed; `None` when it can, and for other kinds.
    #[must_use]
    pub fn redirect_error(&self) -> Option<RedirectError> {
        match self.kind {
            ErrorKind::Moved | ErrorKind::Ask => redirect::parse(self.text, self.kind == ErrorKind::Ask).err(),
            ErrorKind::Redirect => redirect::parse_whole(self.text).err(),
            _ => None,
        }
    }

    /// Where the line points: the target of MOVED, ASK, and of the `REDIRECT host:port` which a standalone Valkey 8.0
    /// or later replica sends to clients that announced the capability (it has no slot).
    #[must_use]
    pub fn target(&self) -> Option<RedirectTarget<'a>> {
        match self.kind {
            ErrorKind::Redirect => redirect::parse_whole(self.text).ok(),
            _ => self.redirect().map(|redirect| redirect.target()),
        }
    }

    /// The error inside `EXECABORT Transaction discarded because of: <error>` (its text has no `-`).
    #[must_use]
    pub fn inner(&self) -> Option<ServerError<'a>> {
        const MARK: &[u8] = b" because of: ";
        if self.kind != ErrorKind::ExecAbort {
            return None;
        }
        let at = self.text.windows(MARK.len()).position(|window| window == MARK)?;
        let inner = self.text.get(at + MARK.len()..)?;
        // One level only: an inner error that is itself an EXECABORT has no inner error of its own in real servers.
        if ErrorKind::of(inner) == ErrorKind::ExecAbort { None } else { Some(Self::parse(inner)) }
    }

    /// What the error says about a command whose answer cannot imitate an error (every built-in command that does
    /// not run scripts).
    #[must_use]
    pub fn class(&self) -> Class {
        class::of(self)
    }

    /// What the error says about a command; `script_like` marks those that run scripts or module code. For them no
    /// text proves that nothing ran, and only MOVED and ASK may lead to another try, once a topology reply confirms
    /// them.
    #[must_use]
    pub fn class_for(&self, script_like: bool) -> Class {
        let class = self.class();
        if script_like { class.weakened() } else { class }
    }
}

impl fmt::Debug for ServerError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerError({:?}, \"{}\")", self.kind, self.text.escape_ascii())
    }
}

impl fmt::Display for ServerError<'_> {
    /// The line with unprintable bytes escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.text.escape_ascii())
    }
}

impl core::error::Error for ServerError<'_> {}

/// Splits at the first space: the word and what follows the space, `None` when there was no space.
fn first_word(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    (word, rest.split_first().map(|(_, rest)| rest))
}

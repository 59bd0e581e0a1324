//! From a fresh byte stream to a usable connection.

use super::control::{ControlFrame, hexadecimal};
use super::hello::{HelloReader, Session};
use super::refusal::{HandshakeError, Refusal};
use super::settings::{Protocol, Settings};
use crate::resp::{Text, Token};

/// One request of a handshake, in the order in which they are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum Step {
    /// HELLO, with AUTH and SETNAME inside. Nothing is sent behind it before its reply.
    Hello = 0,
    /// AUTH on its own. Nothing is sent behind it before its reply.
    Auth = 1,
    /// CLIENT SETNAME; optional.
    SetName = 2,
    /// SELECT.
    Select = 3,
    /// READONLY.
    ReadOnly = 4,
    /// CLIENT CAPA redirect; optional.
    Capa = 5,
    /// CLIENT SETINFO LIB-NAME; optional.
    LibName = 6,
    /// CLIENT SETINFO LIB-VER; optional.
    LibVersion = 7,
    /// CLIENT NO-EVICT ON; optional.
    NoEvict = 8,
    /// CLIENT NO-TOUCH ON; optional.
    NoTouch = 9,
    /// PING, where nothing else proves that the server answers.
    Ping = 10,
}

impl Step {
    const ALL: [Self; 11] = [
        Self::Hello,
        Self::Auth,
        Self::SetName,
        Self::Select,
        Self::ReadOnly,
        Self::Capa,
        Self::LibName,
        Self::LibVersion,
        Self::NoEvict,
        Self::NoTouch,
        Self::Ping,
    ];

    const fn is_alone(self) -> bool {
        matches!(self, Self::Hello | Self::Auth)
    }
}

/// A set of [`Step`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Steps(u16);

impl Steps {
    /// No step.
    pub const NONE: Self = Self(0);

    /// Whether `step` is in the set.
    #[must_use]
    pub const fn contains(self, step: Step) -> bool {
        self.0 & (1 << step as u8) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn insert(&mut self, step: Step) {
        self.0 |= 1 << step as u8;
    }

    const fn remove(&mut self, step: Step) {
        self.0 &= !(1 << step as u8);
    }

    fn first(self) -> Option<Step> {
        Step::ALL.into_iter().find(|step| self.contains(*step))
    }
}

/// Where a handshake stands after a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use]
pub enum Progress {
    /// More is to be sent or to come: ask [`Handshake::poll`] again.
    Continue,
    /// Every reply is in: commands may use the connection.
    Ready(Session),
}

/// The handshake of one connection: HELLO 3 with AUTH and SETNAME inside it, or in RESP2 AUTH and SETNAME, then
/// SELECT, READONLY and the optional CLIENT settings in one go.
///
/// The engine writes each frame of [`poll`](Self::poll) and feeds each token of each reply to
/// [`on_token`](Self::on_token). AUTH and HELLO are never followed by anything before their replies are in: what
/// stands behind a refused AUTH would be run as another user or not at all.
///
/// RESP2 is fallen back to only on HELLO's own reply: an unknown command (before Redis 6.0) or a refused version.
/// From Valkey 9 on, a client that has not authenticated gets NOAUTH for a command that does not exist as well, so
/// NOAUTH on a HELLO that carried a password means that AUTH has to be sent first; HELLO is then tried once more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handshake {
    greeting: Greeting,
    session: Session,
}

/// A [`Handshake`] without the [`Session`] it learns, which the engine has no use for but whether it speaks RESP3.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Greeting {
    /// Steps not yet sent.
    todo: Steps,
    /// Steps sent and not yet answered; replies come in the order of the steps.
    awaiting: Steps,
    phase: Phase,
    read_only: bool,
    /// HELLO got NOAUTH although it carried the password; the next one goes without.
    authenticated_apart: bool,
    reply: Reply,
    hello: HelloReader,
    resp3: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Fresh,
    Running,
    Ready,
    Failed(HandshakeError),
}

/// What is known of the reply being read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Reply {
    /// Its first token has not come.
    #[default]
    None,
    /// An error line in pieces, nothing of which has come.
    ErrorLine,
    /// Judged, or of no interest; the rest is passed over.
    Skip,
    /// HELLO's fields.
    Hello,
    /// A push, which is no reply at all.
    Push,
    /// A text in pieces.
    Text,
    Refused(Refusal),
}

impl Handshake {
    /// A handshake that has sent nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { greeting: Greeting::new(), session: Session::UNKNOWN }
    }

    /// With READONLY (or without it, unless the settings want it on every connection), for connections to
    /// replicas.
    #[must_use]
    pub const fn with_read_only(mut self, read_only: bool) -> Self {
        self.greeting.read_only = read_only;
        self
    }

    /// The next frame to write. `None` means wait for replies, or that the handshake is over.
    pub fn poll(&mut self, settings: &Settings<'_>) -> Option<ControlFrame> {
        self.greeting.poll(settings)
    }

    /// Replies still to come for what was sent.
    #[must_use]
    pub const fn replies_awaited(&self) -> u32 {
        self.greeting.awaiting.0.count_ones()
    }

    /// Whether every reply is in and nothing is left to send.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.greeting.phase == Phase::Ready
    }

    /// Takes one token of the server's bytes. `end_of_reply` says that the token ends its top-level value
    /// ([`TokenReader::at_boundary`](crate::resp::TokenReader::at_boundary)). Tokens of attributes and of pushes
    /// found inside another value are not to be passed; a push of its own is passed over here. Read with
    /// [`TokenState::with_whole`](crate::resp::TokenState::with_whole) of at least 40: older servers tell their errors
    /// apart only in the words behind `ERR`.
    ///
    /// # Errors
    /// A [`HandshakeError`]: the connection is to be closed. The same error comes again for every further token.
    pub fn on_token(
        &mut self,
        settings: &Settings<'_>,
        token: &Token<'_>,
        end_of_reply: bool,
    ) -> Result<Progress, HandshakeError> {
        self.greeting.on_token(settings, token, end_of_reply, &mut self.session)
    }
}

impl Greeting {
    pub(crate) const fn new() -> Self {
        Self {
            todo: Steps::NONE,
            awaiting: Steps::NONE,
            phase: Phase::Fresh,
            read_only: false,
            authenticated_apart: false,
            reply: Reply::None,
            hello: HelloReader::NEW,
            resp3: false,
        }
    }

    pub(crate) const fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// See [`Handshake::poll`].
    pub(crate) fn poll(&mut self, settings: &Settings<'_>) -> Option<ControlFrame> {
        if self.phase == Phase::Fresh {
            self.phase = Phase::Running;
            match settings.protocol {
                Protocol::Resp3OrFallback => self.todo.insert(Step::Hello),
                Protocol::Resp2 => self.plan_resp2(settings),
            }
        }
        let step = self.todo.first()?;
        let alone_in_flight = self.awaiting.first().is_some_and(Step::is_alone);
        if self.phase != Phase::Running || alone_in_flight || (step.is_alone() && !self.awaiting.is_empty()) {
            return None;
        }
        self.todo.remove(step);
        self.awaiting.insert(step);
        Some(match step {
            Step::Hello => {
                let auth = settings.password.is_some() && !self.authenticated_apart;
                ControlFrame::Hello { proto: 3, auth }
            }
            Step::Auth => ControlFrame::Auth,
            Step::SetName => ControlFrame::SetName,
            Step::Select => ControlFrame::Select,
            Step::ReadOnly => ControlFrame::ReadOnly,
            Step::Capa => ControlFrame::Capa,
            Step::LibName => ControlFrame::SetInfoLibName,
            Step::LibVersion => ControlFrame::SetInfoLibVersion,
            Step::NoEvict => ControlFrame::NoEvict,
            Step::NoTouch => ControlFrame::NoTouch,
            Step::Ping => ControlFrame::Ping { nonce: PING_NONCE },
        })
    }

    /// See [`Handshake::on_token`]. What is learned goes to `session`, which need not be the same for each token.
    pub(crate) fn on_token(
        &mut self,
        settings: &Settings<'_>,
        token: &Token<'_>,
        end_of_reply: bool,
        session: &mut Session,
    ) -> Result<Progress, HandshakeError> {
        session.resp3 = self.resp3;
        if let Phase::Failed(error) = self.phase {
            return Err(error);
        }
        let result = self.take(settings, token, end_of_reply, session);
        self.resp3 = session.resp3;
        if let Err(error) = result {
            self.phase = Phase::Failed(error);
        }
        result
    }

    fn take(
        &mut self,
        settings: &Settings<'_>,
        token: &Token<'_>,
        end: bool,
        session: &mut Session,
    ) -> Result<Progress, HandshakeError> {
        match self.reply {
            Reply::None => self.first(token, session)?,
            Reply::ErrorLine => {
                if let Token::Chunk { bytes, .. } = token {
                    self.refused(bytes)?;
                }
            }
            Reply::Hello => self.hello.token(token, session),
            Reply::Skip | Reply::Push | Reply::Text | Reply::Refused(_) => {}
        }
        if !end {
            return Ok(Progress::Continue);
        }
        match core::mem::take(&mut self.reply) {
            Reply::Push => Ok(Progress::Continue),
            Reply::Refused(refusal) => self.step_refused(settings, refusal, session),
            // An error line that ended before any of it came.
            Reply::ErrorLine => self.step_refused(settings, Refusal::Other, session),
            Reply::None | Reply::Skip | Reply::Hello | Reply::Text => self.step_done(settings, session),
        }
    }

    /// Judges the first token of a top-level value.
    fn first(&mut self, token: &Token<'_>, session: &mut Session) -> Result<(), HandshakeError> {
        self.reply = match token {
            Token::Push(_) => Reply::Push,
            Token::Error(line) | Token::BlobError(line) => return self.refused(line),
            Token::Begin { kind: Text::Error | Text::BlobError, .. } => Reply::ErrorLine,
            _ => self.accepted(token, session)?,
        };
        Ok(())
    }

    fn refused(&mut self, line: &[u8]) -> Result<(), HandshakeError> {
        if self.awaiting.is_empty() {
            return Err(HandshakeError::unsolicited(line));
        }
        self.reply = Reply::Refused(Refusal::of(line));
        Ok(())
    }

    /// Whether a token that is no error can begin the reply that is due.
    fn accepted(&mut self, token: &Token<'_>, session: &mut Session) -> Result<Reply, HandshakeError> {
        let step = self.awaiting.first().ok_or(HandshakeError::Unsolicited)?;
        let fits = match (step, token) {
            (Step::Hello, Token::Map(_) | Token::Array(_)) => {
                self.hello = HelloReader::default();
                session.resp3 = matches!(token, Token::Map(_));
                return Ok(Reply::Hello);
            }
            (Step::Hello, _) => false,
            // PING with an argument sends a bulk back.
            (Step::Ping, Token::Bulk(echo)) => *echo == hexadecimal(PING_NONCE),
            (Step::Ping, Token::Begin { kind: Text::Bulk, len }) => len.is_none_or(|n| n == 8),
            (Step::Ping, _) => false,
            (_, Token::Simple(text)) => *text == b"OK",
            (_, Token::Begin { kind: Text::Simple, .. }) => true,
            _ => false,
        };
        match (fits, token) {
            (true, Token::Begin { .. }) => Ok(Reply::Text),
            (true, _) => Ok(Reply::Skip),
            (false, _) => Err(HandshakeError::UnexpectedReply),
        }
    }

    /// The step that is due has been answered, and not with an error.
    fn step_done(&mut self, settings: &Settings<'_>, session: &Session) -> Result<Progress, HandshakeError> {
        let step = self.awaiting.first().ok_or(HandshakeError::Unsolicited)?;
        self.awaiting.remove(step);
        match step {
            // The name went along with HELLO.
            Step::Hello => self.plan_rest(settings),
            Step::Auth if self.authenticated_apart => self.todo.insert(Step::Hello),
            _ => {}
        }
        Ok(self.progress(session))
    }

    /// The step that is due has been answered with an error.
    fn step_refused(
        &mut self,
        settings: &Settings<'_>,
        refusal: Refusal,
        session: &mut Session,
    ) -> Result<Progress, HandshakeError> {
        let step = self.awaiting.first().ok_or(HandshakeError::Unsolicited)?;
        self.awaiting.remove(step);
        match (step, refusal) {
            (Step::Hello, Refusal::Unknown | Refusal::NoProto) => {
                session.refused.insert(Step::Hello);
                session.resp3 = false;
                self.plan_resp2(settings);
                if self.authenticated_apart {
                    self.todo.remove(Step::Auth);
                }
            }
            (Step::Hello, Refusal::NoAuth) if settings.password.is_some() && !self.authenticated_apart => {
                self.authenticated_apart = true;
                self.todo.insert(Step::Auth);
            }
            (_, Refusal::NoAuth) => return Err(HandshakeError::AuthRequired),
            (Step::Ping, Refusal::NotReady) => {}
            (Step::Hello | Step::Auth | Step::Select | Step::ReadOnly, Refusal::NotReady) => {
                return Err(HandshakeError::NotReady);
            }
            (Step::Hello, Refusal::Fatal(error)) => return Err(error),
            (Step::Hello, _) => return Err(HandshakeError::HelloRefused),
            (_, Refusal::Fatal(error @ (HandshakeError::MaxClients | HandshakeError::Denied))) => return Err(error),
            (_, Refusal::Fatal(HandshakeError::Protocol)) => return Err(HandshakeError::Protocol),
            (Step::Auth, Refusal::Fatal(error)) => return Err(error),
            (Step::Auth, _) => return Err(HandshakeError::AuthFailed),
            (Step::Select | Step::ReadOnly | Step::Ping, Refusal::Fatal(HandshakeError::NoPermission)) => {
                return Err(HandshakeError::NoPermission);
            }
            (Step::Select, _) => return Err(HandshakeError::DatabaseRefused),
            (Step::ReadOnly, _) => return Err(HandshakeError::ReadOnlyRefused),
            (Step::Ping, _) => return Err(HandshakeError::UnexpectedReply),
            (optional, _) => session.refused.insert(optional),
        }
        Ok(self.progress(session))
    }

    fn progress(&mut self, session: &Session) -> Progress {
        if !self.todo.is_empty() || !self.awaiting.is_empty() {
            return Progress::Continue;
        }
        self.phase = Phase::Ready;
        Progress::Ready(*session)
    }

    fn plan_resp2(&mut self, settings: &Settings<'_>) {
        self.resp3 = false;
        if settings.password.is_some() {
            self.todo.insert(Step::Auth);
        }
        if settings.client_name.is_some() {
            self.todo.insert(Step::SetName);
        }
        self.plan_rest(settings);
        if self.todo.is_empty() {
            // A connection on which nothing is asked is not known to work: a server out of room accepts it first,
            // and one that wants a password may not have said so yet.
            self.todo.insert(Step::Ping);
        }
    }

    fn plan_rest(&mut self, settings: &Settings<'_>) {
        for (step, wanted) in [
            (Step::Select, settings.database != 0),
            (Step::ReadOnly, settings.read_only || self.read_only),
            (Step::Capa, settings.capa_redirect),
            (Step::LibName, settings.lib_name.is_some()),
            (Step::LibVersion, settings.lib_version.is_some()),
            (Step::NoEvict, settings.no_evict),
            (Step::NoTouch, settings.no_touch),
        ] {
            if wanted {
                self.todo.insert(step);
            }
        }
    }
}

/// Any value does: nothing else is in flight.
const PING_NONCE: u32 = 0x510f_0000;

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;

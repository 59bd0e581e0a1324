//! The results of a batch, in submission order, borrowed from one buffer.

use slotwise::ids::NodeId;
use slotwise::limits::Limits;
use slotwise::pipeline::Failure;
use slotwise::resp::{Frame, Status};

use crate::error::{Error, ServerReply};
use crate::value::Value;

/// How one command of a batch ended.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Pending,
    /// A reply: where it lies in the buffer.
    Reply {
        start: usize,
        len: usize,
        resent: bool,
    },
    Failed(Failure),
    /// Anything else that is an error, boxed since it is rare.
    Error(Box<ErrorItem>),
}

/// Errors of split and refused commands.
#[derive(Clone, Debug)]
pub(crate) enum ErrorItem {
    Refused(slotwise::command::CommandError),
    Submit(slotwise::cluster::SubmitError),
    Partial { parts: usize, succeeded: usize, first: Item, line: Option<ServerReply> },
    UnexpectedReply,
}

/// The results of [`Client::run`](crate::Client::run): one for each command, in the order in which they were added.
#[derive(Clone, Default)]
pub struct Results {
    pub(crate) names: Vec<String>,
    pub(crate) items: Vec<Item>,
    pub(crate) bytes: Vec<u8>,
    /// Who gave the error replies, by where they begin in the buffer, ascending.
    pub(crate) refusers: Vec<(usize, NodeId)>,
}

/// How much there is, and nothing of what it is.
impl std::fmt::Debug for Results {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Results").field("commands", &self.items.len()).field("bytes", &self.bytes.len()).finish()
    }
}

impl Results {
    /// How many results there are: as many as the batch had commands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The reply of a command, borrowed. `None` where no reply came; [`Results::value`] tells why.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<Frame<'_>> {
        match self.items.get(index)? {
            Item::Reply { start, len, .. } => frame(self.bytes.get(*start..start + len)?),
            _ => None,
        }
    }

    /// Whether the command was redirected or sent again on its way, so that later commands on its slot may have run
    /// before it.
    #[must_use]
    pub fn was_resent(&self, index: usize) -> bool {
        matches!(self.items.get(index), Some(Item::Reply { resent: true, .. }))
    }

    /// The result of a command, owned.
    ///
    /// # Errors
    /// The server's error reply, or why no reply came and whether the command ran.
    pub fn value(&self, index: usize) -> Result<Value, Error> {
        let command = || self.names.get(index).cloned().unwrap_or_default();
        match self.items.get(index) {
            Some(Item::Reply { start, .. }) => {
                let frame = self.frame(index).ok_or_else(|| Error::UnexpectedReply { command: command() })?;
                match frame.error() {
                    Some(line) => {
                        let reply = ServerReply::new(line).at(self.refuser(*start));
                        Err(Error::Server { command: command(), reply })
                    }
                    None => Ok(Value::from_frame(&frame)),
                }
            }
            Some(Item::Failed(failure)) => Err(Error::Failed { command: command(), failure: *failure }),
            Some(Item::Error(item)) => Err(self.error_of(command(), item)),
            Some(Item::Pending) | None => Err(Error::UnexpectedReply { command: command() }),
        }
    }

    /// Every result in order.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value, Error>> + '_ {
        (0..self.len()).map(|index| self.value(index))
    }

    /// Who gave the error reply that begins there.
    fn refuser(&self, start: usize) -> Option<NodeId> {
        let at = self.refusers.binary_search_by_key(&start, |(start, _)| *start).ok()?;
        self.refusers.get(at).map(|(_, node)| *node)
    }

    fn error_of(&self, command: String, item: &ErrorItem) -> Error {
        match item {
            ErrorItem::Refused(error) => Error::Command { command, error: *error },
            ErrorItem::Submit(error) => Error::Submit { command, error: *error },
            ErrorItem::UnexpectedReply => Error::UnexpectedReply { command },
            ErrorItem::Partial { parts, succeeded, first, line } => {
                let inner = match (first, line) {
                    (Item::Reply { start, .. }, Some(reply)) => {
                        let reply = reply.clone().at(self.refuser(*start));
                        Error::Server { command: command.clone(), reply }
                    }
                    (Item::Failed(failure), _) => Error::Failed { command: command.clone(), failure: *failure },
                    (Item::Error(inner), _) => self.error_of(command.clone(), inner),
                    _ => Error::UnexpectedReply { command: command.clone() },
                };
                if *succeeded == 0 {
                    return inner;
                }
                Error::Partial { command, parts: *parts, succeeded: *succeeded, first: Box::new(inner) }
            }
        }
    }
}

/// A whole frame that was checked when it arrived.
pub(crate) fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    match Frame::new_checked(bytes, &Limits::DEFAULT) {
        Ok(Status::Complete((frame, _))) => Some(frame),
        _ => None,
    }
}

//! Making one answer of the answers to the parts of a command.

use core::fmt;

use crate::command::ResponsePolicy;
use crate::resp::Token;
use crate::server_error::{ErrorKind, Executed, ServerError};

/// One part's whole answer, as far as merging looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Answer<'a> {
    /// An integer.
    Integer(i64),
    /// An error, without its type byte.
    Error(&'a [u8]),
    /// An array or set of so many elements. The elements themselves are handed on as they come.
    Elements(u32),
    /// Anything else: a status, a string, a null.
    Other,
}

impl<'a> Answer<'a> {
    /// What a reply is, from its first token. Hand it over when the reply has ended: what was cut is no answer.
    #[must_use]
    pub const fn of(first: &Token<'a>) -> Self {
        match first {
            Token::Integer(n) => Self::Integer(*n),
            Token::Error(line) | Token::BlobError(line) => Self::Error(line),
            Token::Array(n) | Token::Set(n) => Self::Elements(*n),
            _ => Self::Other,
        }
    }
}

/// How one part ended. One byte or two of storage for each part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum PartState {
    /// Not yet.
    #[default]
    Pending,
    /// It ran, and its answer went into the result.
    Done,
    /// The server answered with an error, which tells this much of whether it ran.
    Error(Executed),
    /// It ran, and its answer has a type or a size it cannot have: the answer is not in the result.
    WrongAnswer,
    /// The server refused it before it ran.
    Rejected,
    /// No byte of it left.
    NotSent,
    /// Bytes of it left and no answer came.
    MaybeExecuted,
    /// It ran, its answer was lost.
    ReplyLost,
}

impl PartState {
    /// Whether it ran: `Some(false)` is a proof that it did not, `None` is not knowing.
    #[must_use]
    pub const fn executed(self) -> Option<bool> {
        match self {
            Self::Done | Self::WrongAnswer | Self::ReplyLost | Self::Error(Executed::Partly) => Some(true),
            Self::Pending | Self::Error(Executed::No) | Self::Rejected | Self::NotSent => Some(false),
            Self::Error(Executed::Unknown) | Self::MaybeExecuted => None,
        }
    }

    /// Whether it ended without its answer in the result.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Pending | Self::Done)
    }
}

/// A finished merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Merged {
    /// The parts' integers made one.
    Integer(i64),
    /// The answer of this part stands for all (its `OK`, or the one success that was wanted).
    Same(u16),
    /// So many elements were handed on, each in its place (MGET) or one behind the other (KEYS).
    Elements(u64),
    /// So many columns of integers are in the caller's slice (SCRIPT EXISTS).
    Columns(u32),
    /// The answers have no sum (INFO): each stands for itself.
    Each,
}

/// Why there is no merged answer. What was done is done: the parts' states tell which ones ran, and the parts that
/// are done have been handed on or are in [`Merge::partial`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum MergeError {
    /// Not all parts have ended.
    Unfinished,
    /// This part failed, the first one to do so that counts.
    Part {
        /// Which.
        part: u16,
        /// How.
        state: PartState,
    },
    /// The sum does not fit into 64 bits.
    Overflow,
    /// There are no parts.
    NoParts,
    /// The part is not one of this command; nothing was changed.
    NoSuchPart,
    /// The part had ended before; the first end counts.
    Duplicate,
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfinished => f.write_str("not all parts have ended"),
            Self::Part { part, state } => write!(f, "part {part} {}", words(*state)),
            Self::Overflow => f.write_str("the sum does not fit into 64 bits"),
            Self::NoParts => f.write_str("there are no parts"),
            Self::NoSuchPart => f.write_str("no such part"),
            Self::Duplicate => f.write_str("the part had ended before"),
        }
    }
}

impl core::error::Error for MergeError {}

const fn words(state: PartState) -> &'static str {
    match state {
        PartState::Pending => "has not ended",
        PartState::Done => "is done",
        PartState::Error(Executed::No) => "was refused before it ran",
        PartState::Error(_) => "ended with an error",
        PartState::WrongAnswer => "had an answer of the wrong type or size",
        PartState::Rejected => "was rejected before it ran",
        PartState::NotSent => "was not sent",
        PartState::MaybeExecuted => "may have been executed",
        PartState::ReplyLost => "was executed, its reply was lost",
    }
}

/// How many parts ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Tally {
    /// Still to end.
    pub pending: u32,
    /// With their answer in the result.
    pub done: u32,
    /// Failed, with proof that they did not run.
    pub not_executed: u32,
    /// Failed although they ran.
    pub executed: u32,
    /// Failed, and nobody knows whether they ran.
    pub unknown: u32,
}

/// Merges the answers to the parts of one command by its response policy (Redis documentation, "Command tips").
///
/// `S` lends one [`PartState`] for each part. The parts may end in any order, each once. Every policy but
/// [`OneSucceeded`](ResponsePolicy::OneSucceeded) fails if a part fails, and then names the part that failed first:
/// its error reply, if it had one, is where the caller put it.
#[derive(Clone, Debug)]
pub struct Merge<S> {
    policy: ResponsePolicy,
    states: S,
    pending: usize,
    /// Sum, least, greatest and so on of the integers so far.
    value: Option<i64>,
    overflow: bool,
    elements: u64,
    /// Columns of an array that is folded element by element.
    width: Option<u32>,
    /// The first part that succeeded.
    succeeded: Option<u16>,
    /// The failed part to name; `weak` if another failure says more.
    failed: Option<u16>,
    weak: bool,
}

impl<S: AsRef<[PartState]> + AsMut<[PartState]>> Merge<S> {
    /// A merge of as many parts as there are states, at most 65,536 of them.
    #[must_use]
    pub fn new(policy: ResponsePolicy, mut states: S) -> Self {
        for state in states.as_mut() {
            *state = PartState::Pending;
        }
        let pending = states.as_ref().len();
        Self {
            policy,
            states,
            pending,
            value: None,
            overflow: false,
            elements: 0,
            width: None,
            succeeded: None,
            failed: None,
            weak: false,
        }
    }

    /// A part has been answered. `keys` is how many keys it has, for policies where that is the number of elements
    /// its answer must have (MGET); other policies do not look at it. Returns what became of the part.
    ///
    /// # Errors
    /// [`MergeError::NoSuchPart`], [`MergeError::Duplicate`].
    pub fn answer(&mut self, part: usize, answer: Answer<'_>, keys: usize) -> Result<PartState, MergeError> {
        self.check(part)?;
        let state = match answer {
            Answer::Error(line) => {
                let error = ServerError::parse(line);
                return self.end(part, PartState::Error(error.class().executed), is_weak(&error));
            }
            Answer::Integer(n) if is_fold(self.policy) && self.width.is_none() => {
                self.fold(n);
                PartState::Done
            }
            Answer::Elements(n) if self.policy == ResponsePolicy::DefaultKeyed => {
                self.take_elements(n, usize::try_from(n).is_ok_and(|n| n == keys))
            }
            Answer::Elements(n) if self.policy == ResponsePolicy::DefaultKeyless => self.take_elements(n, true),
            _ if matches!(
                self.policy,
                ResponsePolicy::OneSucceeded | ResponsePolicy::AllSucceeded | ResponsePolicy::Special
            ) =>
            {
                PartState::Done
            }
            _ => PartState::WrongAnswer,
        };
        self.end(part, state, false)
    }

    /// A part has been answered with an array of integers, which the policy folds element by element (SCRIPT
    /// EXISTS): into `columns`, as many of which are used as the first such answer has elements. `None` stands for an
    /// element that is no integer. The iterator is walked twice, so that a bad answer leaves no trace in the columns.
    ///
    /// # Errors
    /// [`MergeError::NoSuchPart`], [`MergeError::Duplicate`].
    pub fn columns<I>(&mut self, part: usize, values: I, columns: &mut [i64]) -> Result<PartState, MergeError>
    where
        I: Iterator<Item = Option<i64>> + Clone,
    {
        self.check(part)?;
        let (mut count, mut fits) = (0_usize, is_fold(self.policy) && self.value.is_none());
        for value in values.clone() {
            fits &= value.is_some();
            count = count.saturating_add(1);
        }
        let width = u32::try_from(count).ok().filter(|n| self.width.is_none_or(|width| width == *n));
        let (true, Some(width), Some(columns)) = (fits, width, columns.get_mut(..count)) else {
            return self.end(part, PartState::WrongAnswer, false);
        };
        let first = self.width.replace(width).is_none();
        for (column, value) in columns.iter_mut().zip(values.flatten()) {
            let so_far = (!first).then_some(*column);
            match apply(self.policy, so_far, value) {
                Some(value) => *column = value,
                None => self.overflow = true,
            }
        }
        self.end(part, PartState::Done, false)
    }

    /// A part has ended without an answer.
    ///
    /// # Errors
    /// [`MergeError::NoSuchPart`], [`MergeError::Duplicate`].
    pub fn fail(&mut self, part: usize, state: PartState) -> Result<PartState, MergeError> {
        self.check(part)?;
        // `Done` and `Pending` are no failures.
        let state = if state.is_failure() { state } else { PartState::WrongAnswer };
        self.end(part, state, false)
    }

    /// Whether every part has ended.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        self.pending == 0
    }

    /// The merged answer.
    ///
    /// # Errors
    /// Any [`MergeError`]; [`states`](Self::states), [`tally`](Self::tally) and [`partial`](Self::partial) tell more.
    pub fn finish(&self) -> Result<Merged, MergeError> {
        let one_is_enough = self.policy == ResponsePolicy::OneSucceeded;
        if let (true, Some(part)) = (one_is_enough, self.succeeded) {
            return Ok(Merged::Same(part));
        }
        if self.pending > 0 {
            return Err(MergeError::Unfinished);
        }
        if let Some(part) = self.failed {
            let state = self.states.as_ref().get(usize::from(part)).copied().unwrap_or_default();
            return Err(MergeError::Part { part, state });
        }
        self.partial()
    }

    /// The merge of the parts that are done, whatever became of the others.
    ///
    /// # Errors
    /// [`MergeError::Overflow`]; [`MergeError::NoParts`] if no part is done.
    pub fn partial(&self) -> Result<Merged, MergeError> {
        let Some(part) = self.succeeded else { return Err(MergeError::NoParts) };
        match (self.policy, self.value, self.width) {
            _ if self.overflow => Err(MergeError::Overflow),
            (ResponsePolicy::OneSucceeded | ResponsePolicy::AllSucceeded, ..) => Ok(Merged::Same(part)),
            (ResponsePolicy::DefaultKeyed | ResponsePolicy::DefaultKeyless, ..) => Ok(Merged::Elements(self.elements)),
            (ResponsePolicy::Special, ..) => Ok(Merged::Each),
            (_, Some(value), _) => Ok(Merged::Integer(value)),
            (_, None, Some(width)) => Ok(Merged::Columns(width)),
            (_, None, None) => Err(MergeError::NoParts),
        }
    }

    /// How each part stands.
    #[must_use]
    pub fn states(&self) -> &[PartState] {
        self.states.as_ref()
    }

    /// How many parts ended how.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for state in self.states.as_ref() {
            let count = match (state, state.executed()) {
                (PartState::Pending, _) => &mut tally.pending,
                (PartState::Done, _) => &mut tally.done,
                (_, Some(false)) => &mut tally.not_executed,
                (_, Some(true)) => &mut tally.executed,
                (_, None) => &mut tally.unknown,
            };
            *count = count.saturating_add(1);
        }
        tally
    }

    fn check(&self, part: usize) -> Result<(), MergeError> {
        let known = u16::try_from(part).is_ok();
        match self.states.as_ref().get(part) {
            Some(PartState::Pending) if known => Ok(()),
            Some(_) if known => Err(MergeError::Duplicate),
            _ => Err(MergeError::NoSuchPart),
        }
    }

    /// Books the end of a part that [`check`](Self::check) let pass.
    fn end(&mut self, part: usize, state: PartState, weak: bool) -> Result<PartState, MergeError> {
        let number = u16::try_from(part).map_err(|_| MergeError::NoSuchPart)?;
        *self.states.as_mut().get_mut(part).ok_or(MergeError::NoSuchPart)? = state;
        self.pending = self.pending.saturating_sub(1);
        if !state.is_failure() {
            self.succeeded = self.succeeded.or(Some(number));
        } else if self.failed.is_none() || (self.weak && !weak) {
            (self.failed, self.weak) = (Some(number), weak);
        }
        Ok(state)
    }

    fn fold(&mut self, n: i64) {
        match apply(self.policy, self.value, n) {
            Some(value) => self.value = Some(value),
            None => self.overflow = true,
        }
    }

    fn take_elements(&mut self, n: u32, fits: bool) -> PartState {
        if !fits {
            return PartState::WrongAnswer;
        }
        self.elements = self.elements.saturating_add(u64::from(n));
        PartState::Done
    }
}

/// NOTBUSY is what FUNCTION KILL and SCRIPT KILL get from every node that runs no script: any other error says more.
fn is_weak(error: &ServerError<'_>) -> bool {
    error.kind() == ErrorKind::Other && error.code() == b"NOTBUSY"
}

const fn is_fold(policy: ResponsePolicy) -> bool {
    matches!(
        policy,
        ResponsePolicy::AggSum
            | ResponsePolicy::AggMin
            | ResponsePolicy::AggMax
            | ResponsePolicy::AggLogicalAnd
            | ResponsePolicy::AggLogicalOr
    )
}

/// One step of a fold; `None` is an overflow.
fn apply(policy: ResponsePolicy, so_far: Option<i64>, n: i64) -> Option<i64> {
    let bit = |truth: bool| Some(i64::from(truth));
    match (policy, so_far) {
        (ResponsePolicy::AggSum, so_far) => so_far.unwrap_or(0).checked_add(n),
        (ResponsePolicy::AggMin, Some(least)) => Some(least.min(n)),
        (ResponsePolicy::AggMax, Some(greatest)) => Some(greatest.max(n)),
        (ResponsePolicy::AggLogicalAnd, so_far) => bit(so_far.unwrap_or(1) != 0 && n != 0),
        (ResponsePolicy::AggLogicalOr, so_far) => bit(so_far.unwrap_or(0) != 0 || n != 0),
        _ => Some(n),
    }
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;

//! Tokens of one complete reply put together to the text of the reply and of the pushes inside it.

use slotwise::limits::Limits;
use slotwise::resp::{Aggregate, Level, Null, RespError, Text, Token, TokenReader, TokenState};

use super::{End, Totals};

/// How values look. The assembler calls these in the order of the values and keeps track of the nesting.
pub(crate) trait Form {
    /// Before a value or its attribute begins in `place`.
    fn begin(&self, out: &mut String, place: Place);
    /// A value without parts.
    fn scalar(&self, out: &mut String, place: Place, scalar: Scalar<'_>);
    /// The head of an aggregate or attribute; its parts follow. `count` is `None` for streamed ones.
    fn open(&self, out: &mut String, place: Place, kind: Kind, count: Option<u64>);
    /// The end of an aggregate's or attribute's parts. After an attribute's comes the value it belongs to.
    fn close(&self, out: &mut String, kind: Kind);
    /// After a value that had an attribute.
    fn end_attributed(&self, out: &mut String);
    /// After a part of an aggregate, its attributes included.
    fn end_part(&self, out: &mut String, kind: Kind, index: u64);
    /// A reply that was nested too deep to show.
    fn too_deep(&self, out: &mut String, offset: u64);
    /// After a top-level value, or a push that was found inside one.
    fn end_line(&self, out: &mut String, nested: bool);
    /// The last line.
    fn end(&self, end: End, totals: Totals) -> String;
}

/// What kind of thing holds other values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Array,
    Map,
    Set,
    Push,
    Attribute,
}

impl Kind {
    /// Whether its parts are keys and values in turn.
    pub(crate) const fn paired(self) -> bool {
        matches!(self, Self::Map | Self::Attribute)
    }
}

/// Where a value stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// Offset of its first byte in the whole input.
    pub(crate) offset: u64,
    /// Aggregates around it.
    pub(crate) depth: usize,
    /// The innermost aggregate and the value's position in it (keys and values count alike).
    pub(crate) parent: Option<(Kind, u64)>,
    /// The value belongs to an attribute just shown.
    pub(crate) attributed: bool,
}

/// A value without parts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    Integer(i64),
    Bulk(&'a [u8]),
    Null(Null),
    Boolean(bool),
    Double(&'a [u8]),
    BigNumber(&'a [u8]),
    BlobError(&'a [u8]),
    Verbatim([u8; 3], &'a [u8]),
}

/// An open aggregate, or an attribute whose value is awaited.
#[derive(Clone, Copy)]
enum Nest {
    Parts {
        kind: Kind,
        count: Option<u64>,
        done: u64,
    },
    /// Where the attribute's text begins, before and after what [`Form::begin`] wrote.
    AwaitValue {
        outer: usize,
        inner: usize,
    },
}

/// A line being put together: the reply's own, or that of a push inside it.
#[derive(Default)]
struct Line {
    text: String,
    nests: Vec<Nest>,
    /// How many of `nests` are `Parts`.
    depth: usize,
}

impl Line {
    fn place(&self, offset: u64) -> Place {
        let parent = self.nests.iter().rev().find_map(|nest| match nest {
            Nest::Parts { kind, done, .. } => Some((*kind, *done)),
            Nest::AwaitValue { .. } => None,
        });
        let attributed = matches!(self.nests.last(), Some(Nest::AwaitValue { .. }));
        Place { offset, depth: self.depth, parent, attributed }
    }
}

/// A string that comes in pieces.
struct Pieces {
    kind: Text,
    offset: u64,
    bytes: Vec<u8>,
}

/// Puts replies together, one after the other.
pub(crate) struct Assembler<F> {
    pub(crate) form: F,
    limits: Limits,
    levels: Vec<Level>,
    text: String,
    lines: Vec<Line>,
    pieces: Option<Pieces>,
    pushes: u64,
}

impl<F: Form> Assembler<F> {
    pub(crate) fn new(form: F, limits: Limits) -> Self {
        let levels = vec![Level::EMPTY; usize::from(limits.depth)];
        Self { form, limits, levels, text: String::new(), lines: Vec::new(), pieces: None, pushes: 0 }
    }

    /// The lines of the last reply: first the pushes it held, then itself.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Reads one complete reply that begins at `base` of the input; says how many pushes were inside.
    pub(crate) fn reply(&mut self, reply: &[u8], base: u64) -> Result<u64, RespError> {
        self.text.clear();
        self.lines.clear();
        self.lines.push(Line::default());
        self.pieces = None;
        self.pushes = 0;
        let mut levels = std::mem::take(&mut self.levels);
        let limits = self.limits;
        let mut state = TokenState::new();
        let done = self.tokens(&mut state.reader(&mut levels, &limits, reply), base);
        self.levels = levels;
        done.map(|()| self.pushes)
    }

    fn tokens(&mut self, reader: &mut TokenReader<'_, '_>, base: u64) -> Result<(), RespError> {
        loop {
            let offset = base + reader.consumed() as u64;
            let Some(token) = reader.next()? else { return Ok(()) };
            match token {
                Token::Simple(bytes) => self.scalar(offset, Scalar::Simple(bytes)),
                Token::Error(bytes) => self.scalar(offset, Scalar::Error(bytes)),
                Token::Integer(value) => self.scalar(offset, Scalar::Integer(value)),
                Token::Bulk(bytes) => self.scalar(offset, Scalar::Bulk(bytes)),
                Token::Null(null) => self.scalar(offset, Scalar::Null(null)),
                Token::Boolean(value) => self.scalar(offset, Scalar::Boolean(value)),
                Token::Double(bytes) => self.scalar(offset, Scalar::Double(bytes)),
                Token::BigNumber(bytes) => self.scalar(offset, Scalar::BigNumber(bytes)),
                Token::BlobError(bytes) => self.scalar(offset, Scalar::BlobError(bytes)),
                Token::Verbatim { format, text } => self.scalar(offset, Scalar::Verbatim(format, text)),
                Token::Array(n) => self.open(offset, Kind::Array, Some(n.into())),
                Token::Map(n) => self.open(offset, Kind::Map, Some(n.into())),
                Token::Set(n) => self.open(offset, Kind::Set, Some(n.into())),
                Token::Push(n) => self.open(offset, Kind::Push, Some(n.into())),
                Token::Attribute(n) => self.open(offset, Kind::Attribute, Some(n.into())),
                Token::Open(aggregate) => self.open(offset, kind_of(aggregate), None),
                Token::Close => self.close(),
                Token::Begin { kind, .. } => self.pieces = Some(Pieces { kind, offset, bytes: Vec::new() }),
                Token::Chunk { bytes, last } => self.chunk(bytes, last),
                Token::TooDeep => {
                    self.too_deep(base);
                    return Ok(());
                }
            }
        }
    }

    fn scalar(&mut self, offset: u64, scalar: Scalar<'_>) {
        let Some(line) = self.lines.last_mut() else { return };
        let place = line.place(offset);
        if !place.attributed {
            self.form.begin(&mut line.text, place);
        }
        self.form.scalar(&mut line.text, place, scalar);
        self.value_done();
    }

    fn open(&mut self, offset: u64, kind: Kind, count: Option<u64>) {
        if kind == Kind::Push {
            self.step_aside();
        }
        let Some(line) = self.lines.last_mut() else { return };
        let place = line.place(offset);
        let outer = line.text.len();
        if !place.attributed {
            self.form.begin(&mut line.text, place);
        }
        if kind == Kind::Attribute {
            // Put under the attribute's parts: it is met again when they are done.
            line.nests.push(Nest::AwaitValue { outer, inner: line.text.len() });
        }
        self.form.open(&mut line.text, place, kind, count);
        line.nests.push(Nest::Parts { kind, count, done: 0 });
        line.depth += 1;
        if count == Some(0) {
            self.close();
        }
    }

    /// A push inside another value gets a line of its own, and takes along the attributes in front of it.
    fn step_aside(&mut self) {
        let Some(line) = self.lines.last_mut() else { return };
        let bare = line.nests.iter().rposition(|nest| matches!(nest, Nest::Parts { .. })).map(|at| at + 1);
        let Some(first) = bare else { return };
        self.pushes += 1;
        let mut aside = Line { nests: line.nests.split_off(first), ..Line::default() };
        if let Some(&Nest::AwaitValue { outer, inner }) = aside.nests.first() {
            aside.text = line.text.split_off(inner);
            line.text.truncate(outer);
        }
        self.lines.push(aside);
    }

    fn close(&mut self) {
        let Some(line) = self.lines.last_mut() else { return };
        let Some(Nest::Parts { kind, .. }) = line.nests.pop() else { return };
        line.depth -= 1;
        self.form.close(&mut line.text, kind);
        if kind != Kind::Attribute {
            self.value_done();
        }
    }

    /// A value is complete, and with it perhaps what held it.
    fn value_done(&mut self) {
        loop {
            let Some(line) = self.lines.last_mut() else { return };
            let Some(nest) = line.nests.last_mut() else { break };
            match nest {
                Nest::AwaitValue { .. } => {
                    line.nests.pop();
                    self.form.end_attributed(&mut line.text);
                }
                Nest::Parts { kind, count, done } => {
                    let kind = *kind;
                    self.form.end_part(&mut line.text, kind, *done);
                    *done += 1;
                    let per = if kind.paired() { 2 } else { 1 };
                    if count.is_none_or(|count| *done < count * per) {
                        return;
                    }
                    line.nests.pop();
                    line.depth -= 1;
                    self.form.close(&mut line.text, kind);
                    if kind == Kind::Attribute {
                        return;
                    }
                }
            }
        }
        let Some(mut line) = self.lines.pop() else { return };
        self.form.end_line(&mut line.text, !self.lines.is_empty());
        self.text.push_str(&line.text);
    }

    fn chunk(&mut self, bytes: &[u8], last: bool) {
        let Some(pieces) = &mut self.pieces else { return };
        pieces.bytes.extend_from_slice(bytes);
        if !last {
            return;
        }
        let Some(Pieces { kind, offset, bytes }) = self.pieces.take() else { return };
        let scalar = match kind {
            Text::Simple => Scalar::Simple(&bytes),
            Text::Error => Scalar::Error(&bytes),
            Text::Bulk => Scalar::Bulk(&bytes),
            Text::Double => Scalar::Double(&bytes),
            Text::BigNumber => Scalar::BigNumber(&bytes),
            Text::BlobError => Scalar::BlobError(&bytes),
            Text::Verbatim(format) => Scalar::Verbatim(format, &bytes),
        };
        self.scalar(offset, scalar);
    }

    fn too_deep(&mut self, base: u64) {
        self.lines.clear();
        self.form.too_deep(&mut self.text, base);
        self.form.end_line(&mut self.text, false);
    }
}

fn kind_of(aggregate: Aggregate) -> Kind {
    match aggregate {
        Aggregate::Array => Kind::Array,
        Aggregate::Map => Kind::Map,
        Aggregate::Set => Kind::Set,
        Aggregate::Push => Kind::Push,
        Aggregate::Attribute => Kind::Attribute,
    }
}

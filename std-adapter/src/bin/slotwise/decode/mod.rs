//! `slotwise decode`: the RESP inspector.

mod assemble;
mod class;
mod json;
mod text;

use std::ffi::OsString;

use slotwise::limits::Limits;
use slotwise::resp::{FrameState, Level, RespError, Status};

use crate::exit::{Exit, Failure};
use crate::input::Source;
use crate::output::Output;

pub(crate) use self::assemble::Assembler;
use self::assemble::Form;
pub(crate) use self::json::Json;
use self::text::Text;

/// Show what a RESP stream holds, value by value.
///
/// Reads what a server sends (RESP2 or RESP3, every type, attributes and pushes included) from a file or standard
/// input and prints each reply with the byte offset, type and content of every part. A push inside a reply is shown
/// before the reply that held it. At the end it says whether the input ended between two replies, in the middle of
/// one, or in bytes that are no RESP.
///
/// Input may be larger than memory; one reply of it must fit.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  printf '*2\\r\\n:1\\r\\n$3\\r\\nfoo\\r\\n' | slotwise decode
  slotwise decode --json capture.resp | head -n 1
  slotwise decode --explain errors.resp      what every error means for the command it answers
  slotwise decode --max-depth 4 deep.resp    a reply that is only too deep is skipped, not fatal

JSON, one value per line:
  {\"simple\":s} {\"err\":s} {\"int\":n} {\"bulk\":s} {\"null\":\"bulk\"|\"array\"|\"resp3\"} {\"array\":[..]}
  {\"map\":[[k,v]..]} {\"set\":[..]} {\"push\":[..]} {\"attr\":[[k,v]..],\"value\":v} {\"double\":\"text\"}
  {\"bool\":b} {\"bignum\":s} {\"verbatim\":[fmt,s]} {\"blob_err\":s} {\"too_deep\":true}
  In strings, bytes that are not printable ASCII are written \\xHH, CR and LF \\r and \\n, and a
  backslash \\\\, before JSON's own quoting. Integers are exact (64 bits). The last line is
  {\"end\":\"complete\"|\"incomplete\"|\"error\",\"consumed\":N,\"kind\":kind|null}; consumed counts the
  bytes of complete replies. With --explain a reply that is an error also has
  \"class\":{\"kind\",\"executed\":\"no|unknown|partly\",\"refresh\":bool,
  \"retry\":\"never|delay|redirect|other_node\",\"slot\",\"host\",\"port\"}; the last three are null when
  it is no redirect, and an empty host means the node that answered.

Exit codes: 0 complete, 1 the bytes are no RESP or pass a limit, 4 the input ends inside a reply,
2 bad usage, 3 the input cannot be read.")]
pub(crate) struct Args {
    /// The captured bytes; - or nothing means standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    /// One JSON value per line (described below)
    #[arg(long)]
    json: bool,
    /// Feed the parser N bytes at a time; changes nothing in the output
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    chunk: Option<u64>,
    /// Add to each reply that is an error what it means: did the command run, what to do next
    #[arg(long)]
    explain: bool,
    /// Longest bulk, verbatim or blob error in bytes
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.bulk)]
    max_bulk: u64,
    /// Longest status, error or number line in bytes
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.line)]
    max_line: u64,
    /// Deepest nesting of aggregates
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.depth)]
    max_depth: u16,
    /// Most elements (pairs, for maps) of one aggregate
    #[arg(long, value_name = "N", default_value_t = Limits::DEFAULT.elements)]
    max_elements: u64,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    if args.json {
        Decoder::new(args, Json::new(args.explain)).run(args)
    } else {
        Decoder::new(args, Text::new(args.explain)).run(args)
    }
}

/// How the input ended.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// Between two replies.
    Complete,
    /// Inside a reply.
    Incomplete,
    /// In bytes that cannot be read on from.
    Error(RespError),
}

/// Totals for the last line.
#[derive(Clone, Copy, Default)]
pub(crate) struct Totals {
    /// Bytes of complete replies.
    pub(crate) consumed: u64,
    /// Complete top-level values, pushes between replies included.
    pub(crate) values: u64,
    /// Pushes found inside other values.
    pub(crate) nested_pushes: u64,
}

/// Finds the replies in the bytes and prints each when it is complete.
struct Decoder<F> {
    limits: Limits,
    levels: Vec<Level>,
    scan: FrameState,
    /// The bytes of the reply at hand, from its first byte on.
    held: Vec<u8>,
    assembler: Assembler<F>,
    totals: Totals,
    out: Output,
}

impl<F: Form> Decoder<F> {
    fn new(args: &Args, form: F) -> Self {
        let limits = Limits {
            line: args.max_line,
            bulk: args.max_bulk,
            elements: args.max_elements,
            depth: args.max_depth,
            ..Limits::DEFAULT
        };
        Self {
            limits,
            levels: vec![Level::EMPTY; usize::from(args.max_depth)],
            scan: FrameState::new(),
            held: Vec::new(),
            assembler: Assembler::new(form, limits),
            totals: Totals::default(),
            out: Output::new(),
        }
    }

    fn run(mut self, args: &Args) -> Result<Exit, Failure> {
        let mut source = Source::open(args.file.as_deref(), "RESP")?;
        let mut block = vec![0; 64 << 10];
        let chunk = args.chunk.map_or(block.len(), |n| usize::try_from(n).unwrap_or(usize::MAX));
        let end = loop {
            // What is known is shown before waiting for more.
            self.out.flush()?;
            let n = source.read(&mut block)?;
            if n == 0 {
                break if self.held.is_empty() { End::Complete } else { End::Incomplete };
            }
            if let Some(error) = block[..n].chunks(chunk).find_map(|piece| self.feed(piece).transpose()) {
                break End::Error(error?);
            }
        };
        self.out.raw(self.assembler.form.end(end, self.totals).as_bytes())?;
        self.out.flush()?;
        Ok(match end {
            End::Complete => Exit::Done,
            End::Incomplete => Exit::Incomplete,
            End::Error(_) => Exit::Negative,
        })
    }

    /// Takes the next bytes; hands back the error after which nothing more can be read.
    fn feed(&mut self, piece: &[u8]) -> Result<Option<RespError>, Failure> {
        self.held.extend_from_slice(piece);
        let mut start = 0;
        let error = loop {
            let rest = &self.held[start..];
            if rest.is_empty() {
                break None;
            }
            let extent = match self.scan.scan(&mut self.levels, &self.limits, rest) {
                Ok(Status::Complete(extent)) => extent,
                Ok(Status::Incomplete) => break None,
                Err(error) => break Some(error),
            };
            let reply = &rest[..extent.len];
            match self.assembler.reply(reply, self.totals.consumed) {
                Ok(pushes) => self.totals.nested_pushes += pushes,
                Err(error) => break Some(error),
            }
            self.out.raw(self.assembler.text().as_bytes())?;
            self.totals.values += 1;
            self.totals.consumed += extent.len as u64;
            start += extent.len;
        };
        self.held.drain(..start);
        Ok(error)
    }
}

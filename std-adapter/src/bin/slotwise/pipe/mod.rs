//! `slotwise pipe`: many commands, results in order.

mod feed;
mod readable;

use std::ffi::OsString;
use std::fmt::Write;
use std::time::Instant;

use slotwise::limits::Limits;
use slotwise_std::{Batch, Client, Results};

use crate::connect::Cluster;
use crate::decode::{Assembler, Json};
use crate::escape;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;

use self::feed::{Feed, Item};

/// Send commands as fast as the cluster takes them, and print the results in order.
///
/// One command per line, quoted as in redis-cli: "a\x41\n" with escapes, 'as it is', blanks separate. Empty lines and
/// lines that begin with # are passed over. Commands on several slots (MGET, MSET, DEL, UNLINK, EXISTS, TOUCH) are
/// split and their results put together. MULTI, the lines behind it and EXEC are sent as one block, which runs on one
/// node or not at all, and whose one result is EXEC's; DISCARD drops the block. A line that cannot be sent fails alone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  printf 'SET a 1\\nINCR a\\nGET a\\n' | slotwise pipe redis://10.0.0.1:7000
  slotwise pipe redis://10.0.0.1:7000 commands.txt --json > results
  slotwise pipe redis://10.0.0.1:7000 --resp dump.resp    commands as raw RESP

Results look as in redis-cli. JSON: one value per line, as of slotwise decode --json; an error also
tells what became of its command, and the line it stands on (with --resp: which command it is):
  {\"err\":s,\"outcome\":\"done\"|\"rejected\"|\"not_sent\"|\"maybe_executed\"|\"reply_lost\",\"line\":N}
done: it was answered by the error. rejected, not_sent: it did not run.

The summary goes to standard error: commands, errors, how many were redirected or sent again,
seconds, commands written to each node. A command may have run before an earlier one on another key.

Exit codes: 0 every command was answered without an error, 1 some were not, 2 bad usage, 3 no
connection, 4 the input ends inside a command or a MULTI block.")]
pub(crate) struct Args {
    #[command(flatten)]
    cluster: Cluster,
    /// The commands; - or nothing means standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
    /// The input is RESP as clients send it, not lines
    #[arg(long)]
    resp: bool,
    /// One JSON value per result
    #[arg(long)]
    json: bool,
    /// Print no results, only the summary
    #[arg(long, short)]
    quiet: bool,
}

/// Commands that are run in one go, and bytes of them: what bounds the memory.
const BATCH: usize = 16_384;
const BATCH_BYTES: usize = 4 << 20;

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let client = args.cluster.open()?;
    let mut feed = Feed::new(args.file.clone(), args.resp);
    let mut pipe = Pipe::new(args, client);
    let ended = loop {
        match feed.next(pipe.is_idle())? {
            Item::Command { number, words } => pipe.command(number, words),
            Item::Bad { number, why } => pipe.bad(number, why),
            Item::Pause => pipe.flush()?,
            Item::End { cut } => break cut,
        }
        if pipe.is_full() {
            pipe.flush()?;
        }
    };
    pipe.finish(ended)
}

/// Where a result comes from.
enum Source {
    /// From the batch, in order.
    Batch,
    /// From here: nothing was sent.
    Here(String),
}

/// A transaction being collected.
struct Block {
    number: u64,
    commands: Vec<Vec<Vec<u8>>>,
    broken: Option<String>,
}

/// Most commands of one block.
const BLOCK: usize = 65_000;

struct Pipe {
    client: Client,
    batch: Batch,
    bytes: usize,
    /// The results to print after the batch: their lines, and where they come from.
    results: Vec<(u64, Source)>,
    block: Option<Block>,
    form: Option<Assembler<Json>>,
    quiet: bool,
    out: Output,
    progress: Progress,
    began: Instant,
    commands: u64,
    errors: u64,
    resent: u64,
}

impl Pipe {
    fn new(args: &Args, client: Client) -> Self {
        Self {
            client,
            batch: Batch::new(),
            bytes: 0,
            results: Vec::new(),
            block: None,
            form: args.json.then(|| Assembler::new(Json::new(false), Limits::DEFAULT)),
            quiet: args.quiet,
            out: Output::new(),
            progress: Progress::spinner(!args.quiet),
            began: Instant::now(),
            commands: 0,
            errors: 0,
            resent: 0,
        }
    }

    /// Whether nothing waits to be run.
    fn is_idle(&self) -> bool {
        self.results.is_empty()
    }

    fn is_full(&self) -> bool {
        self.results.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    fn command(&mut self, number: u64, words: Vec<Vec<u8>>) {
        let is = |name: &[u8]| words.len() == 1 && words[0].eq_ignore_ascii_case(name);
        match &mut self.block {
            Some(_) if is(b"DISCARD") => self.block = None,
            Some(_) if is(b"EXEC") => self.end_block(),
            Some(block) if is(b"MULTI") => block.break_at(number, "MULTI inside a MULTI block"),
            Some(block) if block.commands.len() >= BLOCK => block.break_at(number, "the MULTI block is too long"),
            Some(block) => block.commands.push(words),
            None if is(b"MULTI") => self.block = Some(Block { number, commands: Vec::new(), broken: None }),
            None if is(b"EXEC") || is(b"DISCARD") => self.bad(number, "not inside a MULTI block".to_owned()),
            None => {
                self.bytes += words.iter().map(|word| word.len() + 16).sum::<usize>();
                self.batch.push(&words[..]);
                self.results.push((number, Source::Batch));
            }
        }
    }

    fn end_block(&mut self) {
        let Some(block) = self.block.take() else { return };
        let source = match block.broken {
            Some(why) => Source::Here(why),
            None => {
                let commands: Vec<&[Vec<u8>]> = block.commands.iter().map(Vec::as_slice).collect();
                self.bytes += block.commands.iter().flatten().map(|word| word.len() + 16).sum::<usize>();
                self.batch.push_transaction(&commands);
                Source::Batch
            }
        };
        self.results.push((block.number, source));
    }

    /// A line that is no command: fails alone, or with the block it stands in.
    fn bad(&mut self, number: u64, why: String) {
        match &mut self.block {
            Some(block) => block.break_at(number, &why),
            None => self.results.push((number, Source::Here(why))),
        }
    }

    /// Runs what was collected and prints its results.
    fn flush(&mut self) -> Result<(), Failure> {
        let (before, progress) = (self.commands, &self.progress);
        let told = |done: usize| progress.at(0, || format!("{} commands", before + done as u64));
        let results = self.client.run_with(&self.batch, told).map_err(Failure::Cluster)?;
        let mut next = 0;
        for (number, source) in std::mem::take(&mut self.results) {
            self.commands += 1;
            match source {
                Source::Batch => {
                    self.print(number, &results, next)?;
                    next += 1;
                }
                Source::Here(why) => self.error(number, &format!("{why}; nothing was sent"), "not_sent")?,
            }
        }
        self.batch.clear();
        self.bytes = 0;
        self.out.flush()
    }

    fn print(&mut self, number: u64, results: &Results, index: usize) -> Result<(), Failure> {
        self.resent += u64::from(results.was_resent(index));
        let Some(frame) = results.frame(index).filter(|frame| !frame.is_error()) else {
            let error = match results.value(index) {
                Err(error) => error,
                // A frame that is no error has a value, and all other results are errors.
                Ok(value) => return self.error(number, &value.to_string(), "done"),
            };
            let outcome = error.outcome().map_or("done", |outcome| outcome.name());
            return match &error {
                slotwise_std::Error::Server { reply, .. } => self.server_error(number, reply.line(), outcome),
                error => self.error(number, &error.to_string(), outcome),
            };
        };
        if self.quiet {
            return Ok(());
        }
        match &mut self.form {
            Some(form) => match form.reply(frame.raw(), 0) {
                Ok(_) => self.out.raw(form.text().as_bytes()),
                Err(error) => self.error(number, &error.to_string(), "done"),
            },
            None => {
                let text = readable::text(&frame);
                self.out.raw(text.as_bytes())
            }
        }
    }

    /// An error of this program's own: the line is said, since nothing else tells which command it was.
    fn error(&mut self, number: u64, text: &str, outcome: &str) -> Result<(), Failure> {
        let text = if self.form.is_some() { text.to_owned() } else { format!("line {number}: {text} ({outcome})") };
        self.server_error(number, &text, outcome)
    }

    fn server_error(&mut self, number: u64, text: &str, outcome: &str) -> Result<(), Failure> {
        self.errors += 1;
        if self.quiet {
            self.progress.note(&format!("line {number}: {}", escape::escaped(text.as_bytes())));
            return Ok(());
        }
        let text = text.as_bytes();
        if self.form.is_some() {
            let line = serde_json::json!({ "err": escape::escaped(text), "outcome": outcome, "line": number });
            return self.out.line([line.to_string().as_bytes()]);
        }
        self.out.line([b"(error) ", escape::escaped(text).as_bytes()])
    }

    /// The rest, and the summary.
    fn finish(mut self, mut cut: Option<String>) -> Result<Exit, Failure> {
        if let Some(block) = self.block.take() {
            cut =
                cut.or_else(|| Some(format!("the MULTI block of line {} has no EXEC; it was not sent", block.number)));
        }
        self.flush()?;
        let seconds = self.began.elapsed().as_secs_f64();
        let mut text = format!(
            "{} commands, {} errors, {} redirected or sent again, {seconds:.2} s",
            self.commands, self.errors, self.resent
        );
        let map = self.client.map();
        let mut nodes: Vec<(String, u64)> = self
            .client
            .sent_to()
            .map(|(node, count)| {
                let addr = map.find(&node).and_then(|at| map.endpoint(at)).map(|addr| addr.to_string());
                (addr.unwrap_or_else(|| node.to_string()), count)
            })
            .collect();
        nodes.sort();
        for (at, (addr, count)) in nodes.iter().enumerate() {
            let _ = write!(text, "{} {addr} {count}", if at == 0 { ";" } else { "," });
        }
        drop(self.progress);
        eprintln!("slotwise: {text}");
        if let Some(why) = &cut {
            eprintln!("slotwise: {why}");
            return Ok(Exit::Incomplete);
        }
        Ok(if self.errors == 0 { Exit::Done } else { Exit::Negative })
    }
}

impl Block {
    /// Nothing of the block is sent; the first reason counts.
    fn break_at(&mut self, number: u64, why: &str) {
        self.commands.clear();
        self.broken.get_or_insert_with(|| format!("the MULTI block cannot be sent: line {number}: {why}"));
    }
}

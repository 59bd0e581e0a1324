//! `slotwise topology`: who serves which slots.

mod offline;
mod show;

use std::ffi::OsString;

use clap::ValueEnum;
use slotwise::topology::ReplyKind;

use crate::escape;
use crate::exit::{Exit, Failure};
use crate::output::Output;

use self::offline::Snapshot;

/// Show which nodes serve which slots, from a captured topology reply.
///
/// Reads the raw reply (RESP2 or RESP3) to CLUSTER SLOTS, CLUSTER SHARDS or CLUSTER NODES as a server sent it, and
/// applies it as a client would: whole, or not at all. An empty, contradictory or malformed reply is refused with the
/// reason.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  printf 'CLUSTER SLOTS\\r\\n' | nc -q1 10.0.0.1 7000 > slots.resp
  slotwise topology --from slots.resp --kind slots --answered-by 10.0.0.1:7000
  slotwise topology --from nodes.resp --kind nodes --answered-by 10.0.0.1:7000 --json

JSON of slots and shards:
  {\"ranges\":[{\"start\":N,\"end\":N,\"primary\":\"host:port\",\"replicas\":[\"host:port\"..]}..],
   \"uncovered\":[[first,last]..]}
JSON of nodes:
  {\"uncovered\":[[first,last]..],\"nodes\":[{\"id\":s,\"addr\":\"host:port\",\"role\":\"primary\"|\"replica\",
   \"slots\":[[first,last]..],\"migrating\":[[slot,id]..],\"importing\":[[slot,id]..],\"epoch\":N}..]}
A refused reply: {\"rejected\":why}
An address that the reply does not give is null; replicas are those fit to be read from. IPv6
addresses are written as servers write them: the port follows the last colon.

Exit codes: 0 a topology, 1 the reply was rejected, 2 bad usage, 3 the file cannot be read.")]
pub(crate) struct Args {
    /// The file with the captured reply; - means standard input
    #[arg(long, value_name = "FILE")]
    from: OsString,
    /// Which command the reply answers
    #[arg(long, value_enum)]
    kind: Kind,
    /// The node that answered: replies leave its host out, or name a host only by it
    #[arg(long, value_name = "HOST:PORT")]
    answered_by: String,
    /// One JSON object (described below)
    #[arg(long)]
    json: bool,
}

/// A topology command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// CLUSTER SLOTS
    Slots,
    /// CLUSTER SHARDS (Redis 7.0 and later, Valkey)
    Shards,
    /// CLUSTER NODES
    Nodes,
}

impl From<Kind> for ReplyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Slots => Self::Slots,
            Kind::Shards => Self::Shards,
            Kind::Nodes => Self::Nodes,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let read = offline::read(&args.from, args.kind, &args.answered_by)?;
    let mut out = Output::new();
    let exit = match read {
        Ok(snapshot) => {
            print(&mut out, args, &snapshot)?;
            Exit::Done
        }
        Err(rejection) => {
            if args.json {
                out.line([serde_json::json!({ "rejected": rejection.name() }).to_string().as_bytes()])?;
            }
            eprintln!("slotwise: rejected: {}", escape::escaped(rejection.to_string().as_bytes()));
            Exit::Negative
        }
    };
    out.flush()?;
    Ok(exit)
}

fn print(out: &mut Output, args: &Args, snapshot: &Snapshot) -> Result<(), Failure> {
    let map = snapshot.map();
    if args.json {
        let value = match args.kind {
            Kind::Nodes => show::nodes_json(&map, snapshot.marks()),
            Kind::Slots | Kind::Shards => show::ranges_json(&map),
        };
        out.line([value.to_string().as_bytes()])
    } else {
        out.raw(show::table(&map, snapshot.marks()).as_bytes())
    }
}

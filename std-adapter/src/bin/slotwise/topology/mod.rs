//! `slotwise topology`: who serves which slots.

mod offline;
mod online;
mod show;

use std::ffi::{OsStr, OsString};

use clap::ValueEnum;
use slotwise::topology::ReplyKind;

use crate::connect::{self, Speech};
use crate::escape;
use crate::exit::{Exit, Failure};
use crate::output::Output;

use self::offline::Snapshot;

/// Show which nodes serve which slots: of a running cluster, or from a captured topology reply.
///
/// With a URL every primary is asked; slots on the move are told as their nodes see them. With --from the raw reply
/// (RESP2 or RESP3) to CLUSTER SLOTS, CLUSTER SHARDS or CLUSTER NODES, as a server sent it, is applied as a client
/// would: whole, or not at all. An empty, contradictory or malformed reply is refused with the reason.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise topology redis://10.0.0.1:7000
  slotwise topology redis://10.0.0.1:7000 --json
  printf 'CLUSTER SLOTS\\r\\n' | nc -q1 10.0.0.1 7000 > slots.resp
  slotwise topology --from slots.resp --kind slots --answered-by 10.0.0.1:7000
  slotwise topology --from nodes.resp --kind nodes --answered-by 10.0.0.1:7000 --json

JSON of slots and shards:
  {\"ranges\":[{\"start\":N,\"end\":N,\"primary\":\"host:port\",\"replicas\":[\"host:port\"..]}..],
   \"uncovered\":[[first,last]..]}
JSON of nodes:
  {\"uncovered\":[[first,last]..],\"nodes\":[{\"id\":s,\"addr\":\"host:port\",\"role\":\"primary\"|\"replica\",
   \"slots\":[[first,last]..],\"migrating\":[[slot,id]..],\"importing\":[[slot,id]..],\"epoch\":N}..]}
JSON of a running cluster: both, in one object. A refused reply: {\"rejected\":why}
An address that the reply does not give is null; replicas are those fit to be read from. IPv6
addresses are written as servers write them: the port follows the last colon.

Exit codes: 0 a topology, 1 the reply was rejected, 2 bad usage, 3 no connection, or the file
cannot be read.")]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub(crate) struct Args {
    /// redis://[user[:password]@]host[:port][,host[:port]..]; any node of the cluster will do. What the URL leaves out
    /// is taken from SLOTWISE_USERNAME and SLOTWISE_PASSWORD
    #[arg(value_name = "URL", group = "source")]
    url: Option<String>,
    #[command(flatten)]
    speech: Speech,
    /// The file with the captured reply; - means standard input
    #[arg(long, value_name = "FILE", group = "source", requires = "kind", requires = "answered_by")]
    from: Option<OsString>,
    /// Which command the reply answers
    #[arg(long, value_enum, requires = "from")]
    kind: Option<Kind>,
    /// The node that answered: replies leave its host out, or name a host only by it
    #[arg(long, value_name = "HOST:PORT", requires = "from")]
    answered_by: Option<String>,
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
    if let Some(url) = &args.url {
        let snapshot = online::read(&connect::builder(url, &args.speech)?)?;
        let mut out = Output::new();
        print(&mut out, args, None, &snapshot)?;
        out.flush()?;
        return Ok(Exit::Done);
    }
    match (&args.from, args.kind, &args.answered_by) {
        (Some(from), Some(kind), Some(answered_by)) => captured(args, from, kind, answered_by),
        _ => Err(Failure::Usage("--from takes --kind and --answered-by".to_owned())),
    }
}

fn captured(args: &Args, from: &OsStr, kind: Kind, answered_by: &str) -> Result<Exit, Failure> {
    let read = offline::read(from, kind, answered_by)?;
    let mut out = Output::new();
    let exit = match read {
        Ok(snapshot) => {
            print(&mut out, args, Some(kind), &snapshot)?;
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

/// Prints what a reply of that kind told, or all there is.
fn print(out: &mut Output, args: &Args, kind: Option<Kind>, snapshot: &Snapshot) -> Result<(), Failure> {
    let map = snapshot.map();
    if args.json {
        let value = match kind {
            Some(Kind::Nodes) => show::nodes_json(&map, snapshot.marks()),
            Some(Kind::Slots | Kind::Shards) => show::ranges_json(&map),
            None => show::both_json(&map, snapshot.marks()),
        };
        out.line([value.to_string().as_bytes()])
    } else {
        out.raw(show::table(&map, snapshot.marks()).as_bytes())
    }
}

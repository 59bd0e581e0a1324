//! `slotwise slot`: key to slot.

use std::ffi::OsString;

use serde_json::json;
use slotwise::slot::Slot;

use crate::escape;
use crate::exit::{Exit, Failure};
use crate::input::{Source, arg_bytes};
use crate::output::Output;

/// Print the hash slot of keys, one `SLOT<TAB>KEY` line each.
///
/// Keys come from the arguments or, without any, from standard input, one per line (an empty line is the empty key).
/// Keys are bytes: nothing is trimmed or re-encoded. Works offline.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise slot foo '{user1000}.following'   12182 and 3443
  redis-cli --scan | slotwise slot           the slot of every key of a node
  slotwise slot < keys | cut -f1 | sort -n | uniq -c | sort -rn | head    the fullest slots
  slotwise slot -- -key                      a key that begins with a dash")]
pub(crate) struct Args {
    /// Keys; none means standard input
    #[arg(value_name = "KEY")]
    keys: Vec<OsString>,
    /// One JSON object per line: {"slot":N,"key":s}, unprintable bytes of the key as \xHH
    #[arg(long)]
    json: bool,
    /// Keys on standard input end with a zero byte instead of a line feed
    #[arg(long, short = '0', conflicts_with = "keys")]
    null: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let mut out = Output::new();
    if args.keys.is_empty() {
        let end = if args.null { 0 } else { b'\n' };
        Source::open(None, "keys")?.split(end, |key| print(&mut out, args.json, key))?;
    } else {
        args.keys.iter().try_for_each(|key| print(&mut out, args.json, arg_bytes(key)))?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn print(out: &mut Output, as_json: bool, key: &[u8]) -> Result<(), Failure> {
    let slot = Slot::of_key(key).get();
    if as_json {
        out.line([json!({ "slot": slot, "key": escape::json(key) }).to_string().as_bytes()])
    } else {
        out.line([slot.to_string().as_bytes(), b"\t", key])
    }
}

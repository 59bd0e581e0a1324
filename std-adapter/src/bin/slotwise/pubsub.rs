//! `slotwise subscribe` and `slotwise publish`.

use std::ffi::OsString;

use crate::connect::Cluster;
use crate::exit::{Exit, Failure};
use crate::input::arg_bytes;
use crate::output::Output;

/// Publish one message.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise publish redis://10.0.0.1:7000 news 'hello'
  slotwise publish redis://10.0.0.1:7000 --sharded '{room:1}' 'hello'

Prints how many subscribers of the asked node got it; others on other nodes are not counted.

Exit codes: 0 published, 1 the server refused, 2 bad usage, 3 no connection.")]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    cluster: Cluster,
    /// A sharded channel (SPUBLISH)
    #[arg(long)]
    sharded: bool,
    /// The channel
    channel: OsString,
    /// The message
    message: OsString,
}

pub(crate) fn publish(args: &PublishArgs) -> Result<Exit, Failure> {
    let mut client = args.cluster.open()?;
    let (channel, message) = (arg_bytes(&args.channel), arg_bytes(&args.message));
    let published = if args.sharded { client.spublish(channel, message) } else { client.publish(channel, message) };
    let receivers = published.map_err(Failure::Cluster)?;
    let mut out = Output::new();
    out.line([receivers.to_string().as_bytes()])?;
    out.flush()?;
    Ok(Exit::Done)
}

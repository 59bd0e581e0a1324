//! `slotwise subscribe` and `slotwise publish`.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use slotwise_std::{Event, Subscriber};

use crate::connect::Cluster;
use crate::escape;
use crate::exit::{Exit, Failure};
use crate::input::arg_bytes;
use crate::output::Output;

/// Print the messages of channels as they come, until interrupted.
///
/// A subscription is kept through failovers and slot migrations. Where messages may have been lost meanwhile, a gap
/// is reported before the next message.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise subscribe redis://10.0.0.1:7000 news
  slotwise subscribe redis://10.0.0.1:7000 --pattern 'news.*' --count 1
  slotwise subscribe redis://10.0.0.1:7000 --sharded '{room:1}' '{room:2}' --json

Messages are printed as CHANNEL<TAB>MESSAGE, unprintable bytes as \\xHH. JSON:
  {\"channel\":s,\"message\":s,\"pattern\":s|null} and {\"gap\":channel}
Confirmations, interruptions and gaps are told on standard error.

Exit codes: 0 the output was closed, or --count or --timeout was reached, 1 the server refused a
subscription, 2 bad usage, 3 no connection.")]
pub(crate) struct SubscribeArgs {
    #[command(flatten)]
    cluster: Cluster,
    /// Sharded channels (SSUBSCRIBE): each lives in the shard of its slot
    #[arg(long, conflicts_with = "pattern")]
    sharded: bool,
    /// The channels are glob patterns (PSUBSCRIBE)
    #[arg(long)]
    pattern: bool,
    /// JSON lines (described below)
    #[arg(long)]
    json: bool,
    /// End after so many messages
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..1 << 32))]
    timeout: Option<u64>,
    /// Channels or patterns
    #[arg(value_name = "CHANNEL", required = true)]
    channels: Vec<OsString>,
}

pub(crate) fn subscribe(args: &SubscribeArgs) -> Result<Exit, Failure> {
    let mut subscriber = Subscriber::with(args.cluster.builder()?).map_err(Failure::Cluster)?;
    for channel in &args.channels {
        let channel = arg_bytes(channel);
        match (args.sharded, args.pattern) {
            (true, _) => subscriber.ssubscribe(channel),
            (_, true) => subscriber.psubscribe(channel),
            _ => subscriber.subscribe(channel),
        }
    }
    let until = args.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut out = Output::new();
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let wait = until.map_or(Duration::from_secs(3_600), |until| until.saturating_duration_since(Instant::now()));
        let Some(event) = subscriber.next(wait).map_err(Failure::Cluster)? else {
            if until.is_some_and(|until| until <= Instant::now()) {
                break;
            }
            continue;
        };
        left -= u64::from(matches!(event, Event::Message(_)));
        if let Some(exit) = show(&mut out, args.json, &event)? {
            return Ok(exit);
        }
    }
    Ok(Exit::Done)
}

/// Prints an event; says so when there is no point in waiting for more.
fn show(out: &mut Output, json: bool, event: &Event) -> Result<Option<Exit>, Failure> {
    let note = |what: &str, channel: &[u8]| eprintln!("slotwise: {what} {}", escape::escaped(channel));
    match event {
        Event::Message(message) => {
            let (channel, payload) = (escape::escaped(&message.channel), escape::escaped(&message.payload));
            if json {
                let pattern = message.pattern.as_deref().map(escape::json);
                let line = serde_json::json!({ "channel": channel, "message": payload, "pattern": pattern });
                out.line([line.to_string().as_bytes()])?;
            } else {
                out.line([channel.as_bytes(), b"\t", payload.as_bytes()])?;
            }
        }
        Event::Subscribed { channel, .. } => note("subscribed to", channel),
        Event::Unsubscribed { channel, .. } => note("unsubscribed from", channel),
        Event::Interrupted { channel, .. } => note("interrupted, subscribing again:", channel),
        Event::Gap { channel, since, .. } => {
            let seconds = since.elapsed().as_secs_f64();
            note(&format!("messages of the last {seconds:.1} s may be lost:"), channel);
            if json {
                out.line([serde_json::json!({ "gap": escape::escaped(channel) }).to_string().as_bytes()])?;
            }
        }
        Event::Error { channel, error, .. } => {
            note(&format!("refused ({error}):"), channel);
            return Ok(Some(Exit::Negative));
        }
        _ => {}
    }
    out.flush()?;
    Ok(None)
}

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

//! Turns what a client does into events of `tracing`: what changes now and then as `info`, what went wrong as `warn`, and
//! each command as `trace`. No event holds a key, a value or a password, since no [`Notice`] does.
//!
//! ```text
//! cargo run -p slotwise-std --features mini-cluster --example observe_tracing [redis://host:port]
//! ```
//!
//! Without a URL it plays against an in-process cluster, moves a slot under the client's hands and breaks its connections.

use slotwise_std::mini::MiniCluster;
use slotwise_std::slotwise::cluster::CloseReason;
use slotwise_std::slotwise::ids::NodeId;
use slotwise_std::slotwise::slot::Slot;
use slotwise_std::slotwise::topology::MapChange;
use slotwise_std::{Client, Error, Notice};
use tracing::{debug, info, trace, warn};

/// Most changes of one map that are listed; the event says how many there are.
const LISTED: usize = 16;

/// The first eight digits of a node's id, as `CLUSTER NODES` has it; `-` where no node is known.
fn short(node: Option<NodeId>) -> String {
    node.map_or_else(|| "-".to_owned(), |node| node.to_string()[..8].to_owned())
}

fn words(change: MapChange) -> String {
    match change {
        MapChange::NodeNew(id) => format!("+{}", short(Some(id))),
        MapChange::NodeGone(id) => format!("-{}", short(Some(id))),
        MapChange::Slots { range, from, to } => {
            format!("{}-{}: {} to {}", range.first().get(), range.last().get(), short(from), short(to))
        }
    }
}

/// One event for each notice. `kind` is the notice's name, so that a filter or a metric can go by it.
fn trace_notice(notice: &Notice<'_>) {
    let (kind, node) = (notice.name(), short(notice.node()));
    match notice {
        Notice::Connecting { conn, .. } => debug!(kind, node, conn = conn.index(), "connecting"),
        Notice::Ready { conn, .. } => info!(kind, node, conn = conn.index(), "ready"),
        Notice::Lost { conn, reason: reason @ (CloseReason::Retired | CloseReason::Shutdown), .. } => {
            debug!(kind, node, conn = conn.index(), reason = reason.name(), "connection closed");
        }
        Notice::Lost { conn, reason, in_flight, .. } => {
            warn!(kind, node, conn = conn.index(), reason = reason.name(), in_flight, "connection lost");
        }
        Notice::Redirected { tag, slot, kind: redirect, to, .. } => {
            info!(kind, node, tag, slot = slot.get(), redirect = redirect.name(), to = short(*to), "redirected");
        }
        Notice::Retried { tag, why, attempt, .. } => {
            info!(kind, node, tag, why = why.name(), cause = ?why, attempt, "sent again");
        }
        Notice::Dropped { tag, failure, .. } => {
            warn!(kind, node, tag, outcome = failure.outcome.name(), reason = failure.reason.name(), "no reply");
        }
        Notice::RefreshStarted { .. } => debug!(kind, node, "asking for the topology"),
        Notice::RefreshFailed { reason, .. } => warn!(kind, node, reason = reason.name(), "no topology: {reason}"),
        Notice::Refreshed { changed, .. } => debug!(kind, node, changed, "topology is known"),
        Notice::MapChanged { version, diff } => {
            let count = diff.count();
            let listed: Vec<String> = diff.changes().take(LISTED).map(words).collect();
            let all = usize::from(count.nodes_new) + usize::from(count.nodes_gone) + usize::from(count.ranges);
            let (slots, cut) = (count.slots, diff.is_cut());
            info!(kind, version, slots, left_out = all - listed.len(), cut, "map changed: {}", listed.join(", "));
        }
        Notice::Answered { tag, error, resent, .. } => trace!(kind, node, tag, error, resent, "answered"),
        Notice::Written { bytes, .. } | Notice::Received { bytes, .. } => trace!(kind, node, bytes),
        _ => trace!(kind, node),
    }
}

fn main() -> Result<(), Error> {
    let level = std::env::var("LEVEL").ok().and_then(|level| level.parse().ok()).unwrap_or(tracing::Level::INFO);
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    if let Some(url) = std::env::args().nth(1) {
        let mut client = Client::builder(&url)?.observe(trace_notice).connect()?;
        client.command(&["PING"])?;
        return client.close();
    }
    let mini = MiniCluster::start(3)?;
    let url = format!("redis://{}", mini.seeds().join(","));
    let mut client = Client::builder(&url)?.observe(trace_notice).connect()?;
    client.command(&["SET", "{user:1}name", "Ada"])?;
    let slot = Slot::of_key(b"user:1").get();
    let from = mini.owner(slot).unwrap_or(0);
    // Half of the way: the new owner is asked for what is not there. Then all of it: the map changes.
    if mini.begin_move(slot, (from + 1) % 3).is_ok() {
        client.command(&["SET", "{user:1}mail", "ada@example.org"])?;
        while mini.move_keys(slot, 100).is_ok_and(|moved| moved > 0) {}
        let _ = mini.finish_move(slot);
    }
    client.command(&["GET", "{user:1}name"])?;
    mini.disconnect_clients(None);
    client.command(&["GET", "{user:1}mail"])?;
    client.close()
}

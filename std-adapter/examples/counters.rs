//! A table of every node's counters, again every second while the client works.
//!
//! ```text
//! cargo run -p slotwise-std --features mini-cluster --example counters [redis://host:port [seconds]]
//! ```
//!
//! Without a URL it plays against an in-process cluster whose slots move while it writes.

use std::time::{Duration, Instant};

use slotwise_std::mini::MiniCluster;
use slotwise_std::{Batch, Client, Error, NodeCounters};

/// The columns: a heading and what stands below it.
type Column = (&'static str, fn(&NodeCounters) -> u64);

const COLUMNS: [Column; 12] = [
    ("commands", |node| node.commands),
    ("replies", |node| node.replies),
    ("errors", |node| node.errors),
    ("moved", |node| node.moved),
    ("ask", |node| node.asked),
    ("retries", |node| node.retries),
    ("failed", |node| node.failed),
    ("in flight", NodeCounters::in_flight),
    ("dials", |node| node.dials),
    ("lost", |node| node.closed),
    ("bytes in", |node| node.bytes_in),
    ("bytes out", |node| node.bytes_out),
];

fn row(name: &str, counters: &NodeCounters, queued: u32) {
    print!("{name:10}");
    for (heading, count) in COLUMNS {
        print!(" {:>width$}", count(counters), width = heading.len().max(9));
    }
    println!(" {queued:>6}");
}

/// One line for each node, one for what happened at none, and the sum.
fn table(client: &Client) {
    print!("{:10}", "node");
    for (heading, _) in COLUMNS {
        print!(" {heading:>width$}", width = heading.len().max(9));
    }
    println!(" {:>6}", "queued");
    let mut sum = client.other_counters();
    for (id, counters) in client.node_counters() {
        row(&id.to_string()[..8], &counters, client.node_load(&id).queued);
        sum.add(&counters);
    }
    row("elsewhere", &client.other_counters(), 0);
    row("all", &sum, 0);
    let all = client.counters();
    println!(
        "{} commands: {} answered, {} failed, {} pending; {} maps, {} of {} refreshes failed\n",
        all.submitted, all.answered, all.failed, all.pending, all.maps, all.refreshes_failed, all.refreshes_started
    );
}

fn main() -> Result<(), Error> {
    let mut args = std::env::args().skip(1);
    let url = args.next();
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let mini = if url.is_none() { Some(MiniCluster::start(3)?) } else { None };
    let seeds = mini.as_ref().map(|mini| format!("redis://{}", mini.seeds().join(",")));
    let mut client = Client::connect(&url.or(seeds).unwrap_or_default())?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut next_table, mut slot) = (Instant::now() + Duration::from_secs(1), 0);
    while Instant::now() < end {
        let mut batch = Batch::new();
        for n in 0..1_000 {
            batch.push(&["INCR", &format!("slotwise:example:{n}")]);
        }
        // What happens to single commands is in the counters; here only the event loop itself may fail.
        client.run(&batch)?;
        if let Some(mini) = &mini {
            let to = mini.owner(slot).map_or(0, |owner| (owner + 1) % 3);
            let _ = mini.move_slot(slot, to);
            slot = (slot + 61) % 16_384;
        }
        if Instant::now() >= next_table {
            table(&client);
            next_table += Duration::from_secs(1);
        }
    }
    table(&client);
    client.close()
}

//! `slotwise demo`: the whole of it on a cluster inside this process.

mod play;
mod tell;

use slotwise_std::mini::MiniCluster;

use crate::exit::{Exit, Failure};
use play::Play;

/// Show what slotwise does, on a small cluster inside this process. Needs nothing else.
///
/// Three primaries listen on loopback. They are filled by one pipeline; then slots move from node to node, key by key,
/// while a scan of the whole cluster and further pipelines go on. At the end the counts are proven: every key was seen,
/// every result was right and in its place.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  slotwise demo
  slotwise demo --keys 1000000 --moves 500
  slotwise demo --json --seed 7

JSON: one object; \"ok\" says whether every proof held, \"proofs\" lists them.

Exit codes: 0 every proof held, 1 one did not, 3 the cluster could not be started.")]
pub(crate) struct Args {
    /// How many keys
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    keys: u32,
    /// How many slots move while the scan runs
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(0..=8_192))]
    moves: u16,
    /// Which slots move, and what the pipelines do
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<Exit, Failure> {
    let cluster = MiniCluster::start(3).map_err(|error| Failure::Io("cannot start the cluster".to_owned(), error))?;
    let mut tell = tell::Tell::new(args.json);
    let seeds = cluster.seeds();
    tell.head(&seeds)?;
    let mut play = Play::new(&cluster, args.keys, args.moves, args.seed).map_err(Failure::Cluster)?;
    let loaded = play.load().map_err(Failure::Cluster)?;
    tell.loaded(&loaded)?;
    let scanned = play.scan_while_slots_move().map_err(Failure::Cluster)?;
    tell.scanned(&scanned)?;
    let proofs = play.proofs(&loaded, &scanned);
    play.close().map_err(Failure::Cluster)?;
    cluster.shutdown();
    let ok = tell.end(&loaded, &scanned, &proofs)?;
    Ok(if ok { Exit::Done } else { Exit::Negative })
}

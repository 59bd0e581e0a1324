//! A topology from a running cluster.

use slotwise::addr::NodeAddr;
use slotwise::command::Target;
use slotwise::ids::NodeId;
use slotwise_std::{Batch, Builder, Error};

use super::Kind;
use super::offline::{Refusal, Snapshot};
use crate::exit::Failure;

/// Asks every primary for CLUSTER NODES: one answer is the map, the one that knows the newest epoch, and each brings
/// the migration marks of its own slots.
pub(crate) fn read(builder: &Builder) -> Result<Snapshot, Failure> {
    let mut client = builder.clone().connect().map_err(Failure::Cluster)?;
    let asked: Vec<(NodeId, String)> = {
        let map = client.map();
        let primaries = map.nodes().filter(|(_, node)| node.is_primary() && node.is_routable());
        primaries.filter_map(|(at, node)| Some((node.id(), map.addr(at)?.to_string()))).collect()
    };
    let mut batch = Batch::new();
    for (id, _) in &asked {
        batch.push_to(Target::Node(*id), &["CLUSTER", "NODES"]);
    }
    let results = client.run(&batch).map_err(Failure::Cluster)?;

    let mut best: Option<Snapshot> = None;
    let mut marks = Vec::new();
    let mut failed: Option<Error> = None;
    for (index, (_, addr)) in asked.iter().enumerate() {
        let Some(frame) = results.frame(index).filter(|frame| !frame.is_error()) else {
            failed = failed.or(results.value(index).err());
            continue;
        };
        let Ok(answered_by) = NodeAddr::parse(addr.as_bytes()) else { continue };
        match Snapshot::of(Kind::Nodes, frame.raw(), answered_by) {
            Ok(snapshot) => {
                marks.extend_from_slice(snapshot.marks());
                if best.as_ref().is_none_or(|best| newest(best) < newest(&snapshot)) {
                    best = Some(snapshot);
                }
            }
            Err(refusal) => failed = failed.or_else(|| Some(no_topology(&refusal))),
        }
    }
    match (best, failed) {
        (Some(mut best), _) => {
            best.add_marks(&marks);
            Ok(best)
        }
        (None, Some(error)) => Err(Failure::Cluster(error)),
        (None, None) => Err(Failure::Cluster(Error::NoCluster { last: None, rejected: None })),
    }
}

fn no_topology(refusal: &Refusal) -> Error {
    Error::NoCluster { last: None, rejected: Some(refusal.to_string()) }
}

/// The newest configuration epoch that a snapshot knows.
fn newest(snapshot: &Snapshot) -> u64 {
    snapshot.map().nodes().filter_map(|(_, node)| node.epoch()).max().unwrap_or(0)
}

//! The blocking client against real clusters.

mod comings;
mod connections;
mod endpoints;
mod failover;
mod imitation;
mod migration;
mod multi_key;
mod open_pipeline;
mod pipeline;
mod refusals;
mod roles;
mod tls;
mod workload;

use slotwise_std::Client;
use slotwise_tests::real::{Cluster, ServerKind};

/// Every server family that is here.
pub(crate) fn each(primaries: usize, replicas: usize, test: impl Fn(&mut Cluster, &mut Client)) {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(mut cluster) = Cluster::start(kind, primaries, replicas) else { continue };
        let url = format!("redis://{}", cluster.admin().seeds().join(","));
        let mut client = Client::connect(&url).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        test(&mut cluster, &mut client);
        assert!(client.counters().commands > 0);
        client.close().unwrap();
    }
}

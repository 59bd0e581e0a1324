//! Clusters whose nodes announce what cannot be dialled, and clients that refuse what is announced.

use slotwise::pipeline::{Outcome, Reason};
use slotwise_std::{Batch, Client, Error};
use slotwise_tests::real::{Cluster, ClusterOptions, ServerKind};

/// Clusters that tell their clients host names which no name service knows.
fn each_unreachable(test: impl Fn(&Cluster, &str)) {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let options = ClusterOptions::new(kind, 3, 0)
            .line("cluster-announce-hostname inside.invalid")
            .line("cluster-preferred-endpoint-type hostname");
        let Some(cluster) = options.start() else { continue };
        test(&cluster, &format!("redis://{}", cluster.seeds().join(",")));
    }
}

fn batch() -> Batch {
    let mut batch = Batch::new();
    for key in 0..300 {
        batch.push(&["SET", &format!("k{key}"), "v"]);
    }
    batch
}

#[test]
fn announced_addresses_are_translated() {
    each_unreachable(|_, url| {
        let short = |url| Client::builder(url).unwrap().command_timeout(std::time::Duration::from_millis(1_500));
        let mut lost = short(url).connect().unwrap();
        let failed = lost.run(&batch()).unwrap().iter().filter(Result::is_err).count();
        assert!(failed > 0, "the announced names can be dialled: nothing is shown");

        let outside = |host: &str, port| (host == "inside.invalid").then(|| ("127.0.0.1".to_owned(), port));
        let mut client = short(url).address_map(outside).connect().unwrap();
        for result in client.run(&batch()).unwrap().iter() {
            result.unwrap();
        }
        assert!(client.dialled().all(|(addr, _)| addr.starts_with("127.0.0.1:")));
    });
}

#[test]
fn refused_nodes_are_never_dialled() {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(cluster) = Cluster::start(kind, 3, 0) else { continue };
        let refused = cluster.port(2);
        let seeds = [cluster.port(0), cluster.port(1)].map(|port| format!("127.0.0.1:{port}")).join(",");
        let builder = Client::builder(&format!("redis://{seeds}")).unwrap();
        let mut client = builder.endpoint_filter(move |_, port| port != refused).connect().unwrap();
        let mut served = 0;
        for result in client.run(&batch()).unwrap().iter() {
            match result {
                Ok(_) => served += 1,
                Err(Error::Failed { failure, .. }) => {
                    assert_eq!((failure.outcome, failure.reason), (Outcome::NotSent, Reason::EndpointRefused));
                }
                Err(error) => panic!("{kind:?}: {error}"),
            }
        }
        assert!((1..300).contains(&served), "{kind:?}: {served} of 300 served");
        assert!(client.dialled().all(|(addr, _)| !addr.ends_with(&format!(":{refused}"))), "{kind:?}");
    }
}

//! Real Redis and Valkey clusters on loopback, started and ended by the tests themselves.
//!
//! [`Cluster::start`] picks free ports, starts the processes in a temporary directory, forms the cluster over the wire
//! (no command-line client is needed) and returns when every node agrees about it. Dropping the [`Cluster`] ends its
//! processes, by pid, and removes the directory; a watchdog does the same when the test process itself is killed.
//!
//! ```no_run
//! use slotwise_tests::real::{Cluster, ServerKind};
//! let Some(mut cluster) = Cluster::start(ServerKind::Redis7, 3, 1) else { return }; // said loudly on stderr
//! let mut conn = cluster.connect(0);
//! assert!(conn.call(&["PING"]).is_simple(b"PONG"));
//! cluster.move_slot(42, 1).unwrap();
//! let migrator = cluster.migrator((0..200).map(|slot| (slot, 2)).collect(), 100);
//! cluster.failover(cluster.replicas_of(0)[0]).unwrap();
//! let report = migrator.join();
//! assert_eq!(report.moved, 200, "{report:?}");
//! ```
//!
//! Nodes are numbered: primaries `0..P` first, then `R` replicas for each primary in order. The numbers stay with the
//! process, whatever role a failover gives it.
//!
//! Nothing here uses the code under test: the RESP reader in [`Conn`] is this module's own.

mod admin;
mod cluster;
mod conn;
mod form;
mod migrate;
mod ports;
mod process;
mod servers;
#[cfg(test)]
mod tests;

pub use admin::{Admin, AdminError, NodeInfo};
pub use cluster::{Cluster, ClusterOptions};
pub use conn::{Conn, ReadError, Value};
pub use migrate::{Migrator, MigratorReport};
pub use ports::PortLock;
pub use process::ServerProcess;
pub use servers::{ServerKind, Servers};

//! Cluster-wide SCAN with slot coverage: a scan that says it is complete is complete.
//!
//! [`ClusterScan`] speaks in requests and replies and knows neither sockets nor the engine. [`ClusterScan::poll`]
//! gives out [`ScanRequest`]s (a SCAN page or a CLUSTER NODES, each for one node), their replies come back through
//! [`ClusterScan::on_reply`] or, token by token, [`ClusterScan::on_token`], so that a page may be larger than any
//! buffer. What happened to a request that got no reply comes back through [`ClusterScan::on_failed`], and every
//! lost connection through [`ClusterScan::on_lost`].
//!
//! # What a walk proves, and why
//!
//! Call a key *present* while a client that follows redirects can read it. The scan owes the caller every key that
//! is present from the first request to the last reply. SCAN itself is never redirected and lists whatever lies in
//! a node's table, so the proof is per slot:
//!
//! > A slot is **proven** when one node N walked it from its beginning to its end, and N's own `CLUSTER NODES` line
//! > (`myself`), once before the walk of that slot began and once after it ended, says that N is a primary and owns
//! > the slot, under the same config epoch, without a migration mark for it; at neither time N saw fewer than half of the
//! > primaries; and the caller's map names N as the owner when the proof is closed.
//!
//! Let k be present throughout, in slot s.
//!
//! * *Atomic slot migration* shows no mark. The source drops the slot when the target takes it, so the line after
//!   the walk lacks s. Were s taken away and given back in between, each taking bumps the taker's config epoch
//!   unless it is already the greatest in the cluster; the other side took the slot in between, so its epoch is
//!   now greater than N's old one, and N's epoch changed when it took s back. The same holds for a failover: every
//!   promotion has a new epoch. Keys staged on the target of an atomic migration are hidden from SCAN there.
//! * *Key-by-key migration* shows a mark on the source from before the first key leaves until s changes hands. A mark
//!   in either reply spoils the proof. A mark that came and went between the two replies means that the migration
//!   was aborted (a finished one changes the owner). While the mark stands, keys only move forward: a
//!   marked source answers ASK to the RESTORE that would bring a key back. So a key that left and came back did so
//!   after the mark was gone, and could not be read in between: it was not present throughout. A target is
//!   given the slot after the keys (cluster specification, "Live resharding"), so an unmarked owner has them all.
//! * *A deposed primary that does not know it* would vouch for old data. A replica is elected only by a majority of
//!   primaries; a primary on the other side of a partition sees fewer than half of them as reachable, and does not
//!   vouch. The map, which the caller refreshes from several nodes, must agree too.
//! * *A walk* is one chain of cursors inside one process. A cursor is never sent to another node, nor to the same node
//!   after a connection to it was lost (it may be another process with another hash seed): then the slot (slot-wise) or
//!   the walk (node-wise) begins again, which is counted. SCAN returns every element that stays in the table from
//!   the beginning to the end of such a chain.
//!
//! # Two ways to walk
//!
//! From Redis 7.4 and Valkey 8.0 the low 14 bits of a cursor are the slot and slots ascend (seen on Redis 7.4.1,
//! 8.0.6, 8.6.3 and Valkey 8.0.1, 8.1.1, 9.1.2), so a walk can start at any slot, skip slots, and restart one slot only:
//! *slot-wise*. Everything below the slot of the returned cursor is finished. On other servers a walk vouches for
//! nothing until it is finished: *node-wise*. Which it is, is found out by each walk: a few pages are read from
//! slots spread over the node's range, without MATCH, and every key in them must hash into the interval between the
//! two cursors; when the keys that ascend to a new slot would have done so by chance once in 2^40, the walk is
//! slot-wise. Every page after that is checked the same way, and one that fails turns the walk into a node-wise one.
//!
//! A long slot-wise walk asks for `CLUSTER NODES` again after every [`ScanOptions::checkpoint`] pages: the reply ends
//! one proof and begins the next.
//!
//! # Passes
//!
//! The scan works in passes. In each pass every slot without a proof is tried once, at the owner the map names; what
//! fails is tried again in the next pass, after a delay. Passes that prove nothing new are bounded by
//! [`ScanOptions::stalls`]. Then the [`Certificate`] names every slot without a proof, and why.
//!
//! # Memory
//!
//! [`ClusterScan`] holds 6 KiB (three bitmaps) and each [`Walk`] about 2.3 KiB, in an array, a slice or a vector of
//! the caller's. One walk suffices for any cluster; as many walks as primaries keep every node busy.

mod certificate;
mod cluster_scan;
mod cursor;
mod options;
mod own_line;
mod page;
mod proof;
mod reply;
mod request;
mod save;
mod start;
mod unlink;
mod walk;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, Counts, Ended, Incomplete, Unproven, Why};
pub use cluster_scan::ClusterScan;
pub use cursor::{BadCursor, Cursor};
pub use options::{Adapt, Coverage, ScanOptions, fixed_slot};
pub use reply::{Handled, ScanError};
pub use request::{RequestKind, ScanArgs, ScanRequest, Ticket};
pub use save::{MAX_TOKEN, RestoreError, TokenTooLong};
pub use unlink::{UnlinkBatch, UnlinkCommand, UnlinkError, UnlinkKey};
pub use walk::Walk;

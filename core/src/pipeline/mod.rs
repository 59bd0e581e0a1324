//! Many commands on many nodes, read back in submission order.
//!
//! Three steps around whatever sends and receives, each over memory the caller lends and each the same code for eight
//! commands and for a million:
//!
//! - [`split`] cuts a multi-slot MGET, MSET, DEL, UNLINK, EXISTS or TOUCH into one part for each slot; a part is
//!   [`Args`](crate::resp::Args), so it is encoded like any command, and knows which of the original keys it has.
//! - [`Plan`] groups commands by node and keeps submission order within each node.
//! - [`Reorder`] takes results in any order and gives them back in submission order; [`Merge`] makes one answer of
//!   the answers to the parts of one command.
//!
//! ```
//! use slotwise::pipeline::{KeyPlace, Part, split};
//! use slotwise::resp::Args;
//!
//! let command = ["MGET", "{a}1", "b", "{a}2"];
//! let (mut keys, mut parts) = ([KeyPlace::EMPTY; 3], [Part::EMPTY; 3]);
//! let split = split(&command, &mut keys, &mut parts)?;
//!
//! let first = split.part(0).unwrap();
//! assert_eq!(first.count(), 3);
//! assert_eq!(first.arg(2), Some(&b"{a}2"[..]));
//! assert_eq!(first.positions().collect::<Vec<_>>(), [0, 2]);
//! assert_eq!(split.len(), 2);
//! # Ok::<(), slotwise::pipeline::SplitError>(())
//! ```

mod elements;
mod entry;
mod list;
mod merge;
mod outcome;
mod plan;
mod reorder;
mod retry;
mod shape;
mod slab;
mod split;

pub use elements::{Element, Elements};
pub use entry::Entry;
pub(crate) use entry::{Aim, Flag, GroupRetry, Kind, Place};
pub(crate) use list::{Ix, List, NONE};
pub use merge::{Answer, Merge, MergeError, Merged, PartState, Tally};
pub use outcome::{Failure, Outcome, Reason};
pub use plan::{Lane, LaneCommands, Link, Plan, PlanError};
pub use reorder::{Refused, Reorder, Why};
pub use retry::{Budget, Decision, decide, may_resend};
pub use shape::Shape;
pub(crate) use slab::SlabHead;
pub use split::{KeyPlace, Layout, Part, PartView, Split, SplitError, split};

#[cfg(test)]
mod entry_tests;

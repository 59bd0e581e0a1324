//! The cluster's nodes and who serves which slot.
//!
//! A [`Map`] is read-only and `Copy`; a [`MapMut`] fills or changes one. Both work on tables the caller lends
//! ([`MapParts`]) and on a small [`MapHead`]; [`StaticMap`] owns its tables for those who use only this room.
//!
//! Replies are read by a [`Reader`] into a second set of tables; the caller makes them the current ones when the
//! reader says that the reply is complete, so half a reply is never applied. A reply that is empty, malformed or
//! contradicts itself is a [`Rejection`], and the old map goes on.

mod build;
mod diff;
mod enrich;
mod freshness;
mod hosts;
mod map;
mod moved;
mod node;
mod ranges;
mod reader;
mod refresh;
mod rejection;
mod static_map;
#[cfg(test)]
mod tests;

pub use build::{MapMut, NewNode};
pub use diff::{MapChange, MapChangeIter, MapChanges, MapDiff};
pub use freshness::{Freshness, Verdict, digest};
pub use map::{Map, MapHead, MapParts, Owner, Shard};
pub use moved::{MovedCase, moved, moved_to};
pub use node::{Health, MAX_NODES, Node, NodeIndex, Role};
pub use ranges::{RangeEntry, Runs};
pub use reader::{Context, Direction, Mark, Reader, ReplyKind, WHOLE};
pub use refresh::{Ask, Reason, Refresh, RefreshPolicy};
pub use rejection::Rejection;
pub use static_map::StaticMap;

//! std driver of slotwise, the Redis/Valkey Cluster client core.

pub mod url;

#[cfg(feature = "mini-cluster")]
pub mod mini;

//! Commands: which keys they touch, where they go, and how several answers become one.
//!
//! ```
//! use slotwise::command::{FULL, Route, analyse, keys};
//!
//! let command = ["zunionstore", "{t}out", "2", "{t}a", "{t}b"];
//! let found = analyse(&FULL, &command).unwrap();
//! assert_eq!(found.route().name(), "slot");
//! assert!(!found.read_only());
//! assert!(keys(&FULL, &command).unwrap().map(|key| key.index).eq([1, 3, 4]));
//!
//! assert_eq!(analyse(&FULL, &["MGET", "a", "b"]).unwrap().route(), Route::Split);
//! assert_eq!(analyse(&FULL, &["DBSIZE"]).unwrap().route(), Route::AllPrimaries);
//! ```
//!
//! The table is read off live servers by a generator (`gen-commands` in the tests package). A firmware links a part of
//! it ([`command_table!`](crate::command_table)); commands of modules are learnt from a server's COMMAND reply
//! ([`Extension`]). A command that is in neither is not guessed: its caller gives a route.

mod analysis;
mod entry;
mod error;
mod extension;
mod extension_read;
mod generated;
mod hash;
mod key_spec;
mod keys;
mod pack;
mod route;
mod spec;
mod table;

pub use analysis::{Analysis, analyse};
pub use entry::Entry;
pub use error::{CommandError, Unshared};
pub use extension::{Extension, ExtensionStorage};
pub use key_spec::{KeyAccess, KeyFlags, KeySpec};
pub use keys::{KeyRef, Keys, keys};
#[doc(hidden)]
pub use pack::Packed;
pub use route::{Access, ChannelKind, RequestPolicy, ResponsePolicy, Route, SubscribeClass};
pub use spec::{CommandSpec, RetryPermission, Target};
pub use table::{Command, FULL, Table};

#[cfg(test)]
mod detail_tests;
#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod extension_tests;
#[cfg(test)]
mod tests;

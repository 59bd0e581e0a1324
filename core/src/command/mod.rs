//! Commands: which keys they touch, where they go, and how several answers become one.

mod error;
mod route;
mod spec;

pub use error::{CommandError, Unshared};
pub use route::{Access, ChannelKind, RequestPolicy, ResponsePolicy, Route, SubscribeClass};
pub use spec::{CommandSpec, RetryPermission, Target};

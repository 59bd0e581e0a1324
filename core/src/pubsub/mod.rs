//! Pub/sub as a wish that is kept: which channels are wanted, which are subscribed where, and what to do about the
//! difference.
//!
//! [`Reconciler`] speaks in requests and pushes and knows neither sockets nor the engine. The application says
//! [`want`](Reconciler::want) and [`unwant`](Reconciler::unwant); [`poll`](Reconciler::poll) gives out [`SubRequest`]s, each
//! for one node and, for sharded channels, of one slot; pushes come in through [`on_push`](Reconciler::on_push), the ends
//! of requests through [`on_command_done`](Reconciler::on_command_done), lost connections through
//! [`on_lost`](Reconciler::on_lost), new maps through [`on_map`](Reconciler::on_map).
//!
//! [`Push`] can be used alone: it tells what a push, or a RESP2 array on a subscriber's connection, means.
//!
//! # What is promised
//!
//! * A wanted channel is subscribed again whenever its subscription ends: an unasked `sunsubscribe` (which servers send when the
//!   slot leaves and after a failover, on a connection that stays open), MOVED, a lost connection. Where a map names another
//!   owner while the old one still serves it, it is subscribed at the new one first and given up at the old one
//!   once that is confirmed; messages that may come from both say so ([`Message::overlap`]). All others come once, in order.
//! * After any interval in which messages may have been lost, a [`Event::Gap`], or [`Message::gap`] of the first message
//!   that follows, says so, once, before or with that message. The gap begins at the last proof that the subscription was
//!   owned (a map asked for then named the node as the owner) and alive (its connection answered a request sent after that
//!   map had come), not where the loss was noticed: [`Gap::since`].
//! * A message of a channel that is not wanted, or that comes on another connection than those the channel is
//!   subscribed on now, is not handed out.
//! * One request at a time concerns a channel, so an unsubscribe cannot overtake a subscribe: whatever
//!   is wanted last wins.
//!
//! # Protocol facts
//!
//! `SSUBSCRIBE` takes channels of one slot and is answered by one push (RESP3) or array (RESP2) for each; an error
//! stands for all of them. `SUNSUBSCRIBE` is checked for its slot by Valkey 9.1.2, so it is sent per slot too and
//! MOVED to it means that nothing is left to do. `SUBSCRIBE` works on any node and sees what is published on all, so the
//! plain channels and patterns share one node. Subscribe commands have no reply of their own in RESP3: whoever
//! sends them sends a PING behind and calls the request done when that is answered.
//!
//! # Memory
//!
//! All tables are lent by a [`Storage`]: at most 72 bytes for each channel and 8 bytes more than its name, 8 bytes a hash bucket, 48
//! bytes a node.

mod channel;
mod handle;
mod moving;
mod push;
mod reconciler;
mod request;
mod storage;
mod table;
#[cfg(test)]
mod tests;

pub use channel::{Channel, ChannelId, Kind, Link};
pub use handle::{CommandDone, Gap, Message, PushEvent};
pub use push::Push;
pub use reconciler::{Counts, Event, Policy, Reconciler, State};
pub use request::{Action, SubArgs, SubRequest, SubTicket};
pub use storage::{Bucket, Full, Parts, StaticStorage, Storage, View};

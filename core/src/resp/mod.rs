//! RESP2 and RESP3: reading replies and requests, writing commands.
//!
//! There are two ways to read, over one scanner:
//!
//! - [`Tokens`] (or [`TokenState`] with lent memory) pulls values one by one out of whatever bytes are there.
//!   It reads replies larger than any buffer, and is what the rest of this crate uses.
//! - [`Frames`] (or [`FrameState`]) finds where a whole value ends; [`Frame`] is the view of one, whose children
//!   are read when asked for.
//!
//! Both read on at any byte: n bytes in pieces of any size cost O(n) and give the same values and the same error.
//! No number from the peer is believed before it is held against [`Limits`](crate::limits::Limits), and nothing is
//! ever reserved for one.
//!
//! What is fatal ([`RespError`]) is what puts the place in the stream in doubt. What is not: a reply nested too
//! deep (skipped to its end and reported), a big number that is not a number (servers pass on what scripts
//! return), pairs of a map that come twice (kept as sent).
//!
//! A push may stand inside another value (seen on Redis 6.0 to 7.0, in the middle of an EXEC reply). It is
//! not counted as an element there; readers mark it as out of band.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod args;
mod bodies;
mod children;
mod double;
pub mod encode;
mod error;
mod extent;
mod frame;
mod grammar;
mod header;
#[cfg(feature = "request-parser")]
mod inline;
mod level;
mod lines;
pub mod number;
mod parked;
mod reader;
#[cfg(feature = "request-parser")]
pub mod reply;
#[cfg(feature = "request-parser")]
pub mod request;
mod resume;
mod token;
mod tokens;
mod walk;

#[cfg(test)]
mod edge_tests;
#[cfg(test)]
mod fast_tests;
#[cfg(test)]
mod frame_tests;
#[cfg(test)]
mod tests;
#[cfg(all(test, feature = "request-parser"))]
mod wire_tests;

pub use args::Args;
pub use children::{Attributes, Children, Pushes};
pub use encode::EncodeError;
pub use error::{RespError, RespErrorKind};
pub use extent::{Extent, FrameState, Frames};
pub use frame::{Frame, Kind};
pub use level::Level;
pub(crate) use parked::Parked;
pub use reader::{TokenReader, TokenState};
pub use token::{Aggregate, Null, Status, Text, Token};
pub use tokens::Tokens;
pub use walk::{Visit, Walk};

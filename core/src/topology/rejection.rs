//! Why a topology reply was not applied.

use core::fmt;

use crate::server_error::ErrorKind;

/// Why a topology reply was not applied. The map in use stays as it is; asking another node may help with each of
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Rejection {
    /// No slot has an owner: the node is fresh, or was reset.
    Empty,
    /// The reply has not the form of this command's reply; the word says what is wrong.
    Malformed(&'static str),
    /// Two ranges share a slot.
    Overlap,
    /// The node answered with an error.
    ServerError(ErrorKind),
    /// The node is not part of a cluster (`ERR This instance has cluster support disabled`).
    NoCluster,
    /// The bytes end before the reply does.
    Incomplete,
    /// The bytes are not RESP.
    Protocol,
    /// The reader for this reply was left out of the build (features `nodes-reply`, `shards-reply`).
    NotBuilt,
}

impl Rejection {
    /// The reason in snake_case, for machine output.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Malformed(_) => "malformed",
            Self::Overlap => "overlap",
            Self::ServerError(_) => "server_error",
            Self::NoCluster => "no_cluster",
            Self::Incomplete => "incomplete",
            Self::Protocol => "protocol",
            Self::NotBuilt => "not_built",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the reply gives no slot to any node"),
            Self::Malformed(what) => write!(f, "the reply is malformed: {what}"),
            Self::Overlap => f.write_str("two ranges of the reply share a slot"),
            Self::ServerError(kind) => write!(f, "the node answered with an error ({})", kind.name()),
            Self::NoCluster => f.write_str("the node is not part of a cluster"),
            Self::Incomplete => f.write_str("the bytes end before the reply does"),
            Self::Protocol => f.write_str("the bytes are not RESP"),
            Self::NotBuilt => f.write_str("this build has no reader for the reply"),
        }
    }
}

impl core::error::Error for Rejection {}

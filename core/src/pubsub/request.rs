//! What the reconciler asks for.

use super::channel::{Channel, Kind};
use super::storage::View;
use super::table::name_of;
use crate::ids::NodeId;
use crate::resp::Args;
use crate::slot::Slot;

/// Which request it was. Give it to the engine as the command's tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SubTicket {
    pub(crate) head: u32,
    pub(crate) serial: u32,
}

impl SubTicket {
    /// The ticket as a number.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        ((self.head as u64) << 32) | self.serial as u64
    }

    /// The ticket of a number from [`SubTicket::to_bits`].
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self { head: (bits >> 32) as u32, serial: bits as u32 }
    }
}

/// What a request does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Action {
    /// (S|P)SUBSCRIBE.
    Subscribe,
    /// (S|P)UNSUBSCRIBE.
    Unsubscribe,
}

/// One subscribe or unsubscribe command for one node; the channels of a sharded one are of one slot.
///
/// Send it to that node, on the connection that carries its subscriptions, with a PING behind it, and report its end
/// with [`on_command_done`](super::Reconciler::on_command_done). Encode it before anything else
/// is done with the reconciler.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[must_use = "the channels of a request that is never done wait for ever"]
pub struct SubRequest {
    /// Which request it is.
    pub ticket: SubTicket,
    /// The node to send it to.
    pub node: NodeId,
    /// Subscribe or unsubscribe.
    pub action: Action,
    /// The name space.
    pub kind: Kind,
    /// The slot of all its channels, if they are sharded.
    pub slot: Option<Slot>,
    /// How many channels it has; at least 1.
    pub channels: u16,
}

impl SubRequest {
    pub(crate) fn command(&self) -> &'static [u8] {
        match (self.kind, self.action) {
            (Kind::Sharded, Action::Subscribe) => b"SSUBSCRIBE",
            (Kind::Plain, Action::Subscribe) => b"SUBSCRIBE",
            (Kind::Pattern, Action::Subscribe) => b"PSUBSCRIBE",
            (Kind::Sharded, Action::Unsubscribe) => b"SUNSUBSCRIBE",
            (Kind::Plain, Action::Unsubscribe) => b"UNSUBSCRIBE",
            (Kind::Pattern, Action::Unsubscribe) => b"PUNSUBSCRIBE",
        }
    }

    pub(crate) fn args<'v>(&self, view: View<'v>) -> SubArgs<'v> {
        SubArgs { view, head: self.ticket.head, channels: self.channels, command: self.command() }
    }
}

/// The arguments of a [`SubRequest`]: the command and its channels. Finding the n-th takes n steps.
#[derive(Clone, Copy, Debug)]
pub struct SubArgs<'v> {
    view: View<'v>,
    head: u32,
    channels: u16,
    command: &'static [u8],
}

impl<'v> SubArgs<'v> {
    /// The channels, in one pass.
    pub fn channels(&self) -> impl Iterator<Item = &'v [u8]> + use<'v> {
        let view = self.view;
        let entry = move |index: u32| view.channels.get(index as usize);
        let next = move |channel: &&'v Channel| entry(channel.next_request);
        let entries = core::iter::successors(entry(self.head), next);
        entries.take(usize::from(self.channels)).map(move |channel| name_of(&view, channel))
    }
}

impl Args for SubArgs<'_> {
    fn count(&self) -> usize {
        usize::from(self.channels).saturating_add(1)
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        match index.checked_sub(1) {
            None => Some(self.command),
            Some(index) => self.channels().nth(index),
        }
    }
}

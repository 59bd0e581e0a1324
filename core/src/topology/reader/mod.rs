//! The readers of topology replies, written once, over tokens.
//!
//! A [`Reader`] takes the tokens of one reply as they arrive, so a reply of any size is read through a small buffer:
//! CLUSTER SLOTS is half a kilobyte for six nodes and 3 MB at worst. Give the token state
//! `with_whole(`[`WHOLE`]`)`, so that hosts and ids come in one piece; CLUSTER NODES is one large string and may come
//! in chunks of any size.

mod entry;
#[cfg(feature = "nodes-reply")]
mod nodes;
#[cfg(feature = "shards-reply")]
mod shards;
mod slots;
mod walk;

use super::Rejection;
use super::build::MapMut;
use crate::addr::NodeAddr;
use crate::ids::NodeId;
use crate::resp::{Status, Token, TokenReader};
use crate::server_error::{ErrorKind, ServerError};
use crate::slot::Slot;
use walk::{Item, Place, Scalar, Walk};

/// Strings of at most this many bytes should come whole (`TokenState::with_whole`): the longest host name and more.
/// Longer ones (but for the text of CLUSTER NODES) are not looked at, however they come.
pub const WHOLE: usize = 512;

/// Which command's reply is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum ReplyKind {
    /// CLUSTER SLOTS: every version, owners are unambiguous, unusable replicas are left out.
    Slots,
    /// CLUSTER SHARDS (7.0 and later): health and availability zones.
    Shards,
    /// CLUSTER NODES: every version; config epochs, migration marks, nodes without slots.
    Nodes,
}

/// What a reader has to know besides the reply.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The address the answering node was reached at: nodes without a host of their own are on this host. Behind
    /// address translation this is the address as the client sees it.
    pub answered_by: NodeAddr<'a>,
    /// Whether the connection is a TLS one: CLUSTER SHARDS gives both ports. (SLOTS and NODES give the port for the
    /// kind of connection they are asked on.)
    pub tls: bool,
    /// Whether replicas are kept; without them a map of primaries fits in half the nodes.
    pub replicas: bool,
}

impl<'a> Context<'a> {
    /// A plain connection to `answered_by`, replicas kept.
    #[must_use]
    pub const fn new(answered_by: NodeAddr<'a>) -> Self {
        Self { answered_by, tls: false, replicas: true }
    }

    /// The same for a TLS connection or a plain one.
    #[must_use]
    pub const fn tls(self, tls: bool) -> Self {
        Self { tls, ..self }
    }

    /// The same with or without replicas.
    #[must_use]
    pub const fn replicas(self, replicas: bool) -> Self {
        Self { replicas, ..self }
    }
}

/// A slot on its way from one node to another, as a line of CLUSTER NODES shows it (legacy, key by key migration;
/// the atomic migration of Redis 8.4 and Valkey 9.0 shows no marks). Only the line of the node that answered carries
/// marks, on Valkey its replicas' lines too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Mark {
    /// The node whose line it is.
    pub node: NodeId,
    /// The slot.
    pub slot: Slot,
    /// Whether the slot leaves the node (`[slot->-peer]`) or comes to it (`[slot-<-peer]`).
    pub direction: Direction,
    /// The other node.
    pub peer: NodeId,
}

/// The direction of a [`Mark`], seen from its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Direction {
    /// The slot leaves the node.
    Migrating,
    /// The slot comes to the node.
    Importing,
}

/// Reads one reply into a map, token by token.
#[derive(Clone, Debug)]
pub struct Reader {
    state: State,
    started: bool,
    ended: bool,
}

#[derive(Clone, Debug)]
#[cfg_attr(
    feature = "nodes-reply",
    allow(
        clippy::large_enum_variant,
        reason = "which variant is the largest goes by features and pointers; one reader per refresh; there is no heap to put the scratch on"
    )
)]
enum State {
    Slots(slots::Slots, Walk),
    #[cfg(feature = "shards-reply")]
    Shards(shards::Shards, Walk),
    #[cfg(feature = "nodes-reply")]
    Nodes(nodes::Nodes),
    #[cfg(not(all(feature = "shards-reply", feature = "nodes-reply")))]
    NotBuilt,
}

impl Reader {
    /// A reader for one reply of this kind.
    #[must_use]
    pub const fn new(kind: ReplyKind) -> Self {
        let state = match kind {
            ReplyKind::Slots => State::Slots(slots::Slots::new(), Walk::new()),
            #[cfg(feature = "shards-reply")]
            ReplyKind::Shards => State::Shards(shards::Shards::new(), Walk::new()),
            #[cfg(feature = "nodes-reply")]
            ReplyKind::Nodes => State::Nodes(nodes::Nodes::new()),
            #[cfg(not(all(feature = "shards-reply", feature = "nodes-reply")))]
            _ => State::NotBuilt,
        };
        Self { state, started: false, ended: false }
    }

    /// Takes the next token of the reply. The first one empties `map`, which must not be the map in use;
    /// `Complete` says that the reply is whole and `map` ready to be swapped in.
    ///
    /// Tokens of pushes that are no part of the reply must be left out by the caller; [`Reader::feed`] does.
    ///
    /// # Errors
    /// Any [`Rejection`]: `map` must then not be used. The rest of the reply is to be read past by the caller.
    pub fn token(
        &mut self,
        token: &Token<'_>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
    ) -> Result<Status<()>, Rejection> {
        self.token_with_marks(token, context, map, &mut |_| {})
    }

    /// Like [`Reader::token`], and hands each migration mark of a CLUSTER NODES reply to `on_mark` as it is met.
    /// Marks of a reply that is rejected later are worth nothing.
    ///
    /// # Errors
    /// As [`Reader::token`].
    pub fn token_with_marks(
        &mut self,
        token: &Token<'_>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<Status<()>, Rejection> {
        let mut token = Some(*token);
        self.drive(&mut || Ok(token.take()), context, map, on_mark)
    }

    /// Reads all tokens that `tokens` can give of the reply.
    ///
    /// # Errors
    /// As [`Reader::token`]; [`Rejection::Protocol`] where the bytes are not RESP.
    pub fn feed(
        &mut self,
        tokens: &mut TokenReader<'_, '_>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<Status<()>, Rejection> {
        let mut source = || loop {
            match tokens.next() {
                Ok(Some(_)) if tokens.out_of_band() || tokens.in_attribute() => {}
                other => return other.map_err(|_| Rejection::Protocol),
            }
        };
        self.drive(&mut source, context, map, on_mark)
    }

    /// Reads tokens until `source` has none or the reply ends. One loop per kind of reply, so that the kind is not
    /// looked at for every token.
    fn drive<'t>(
        &mut self,
        source: &mut impl FnMut() -> Result<Option<Token<'t>>, Rejection>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<Status<()>, Rejection> {
        if self.ended {
            return Err(Rejection::Malformed("tokens after the end of the reply"));
        }
        if !self.started {
            map.clear();
            self.started = true;
        }
        let result = match &mut self.state {
            State::Slots(slots, walk) => run(walk, slots, source, context, map, on_mark),
            #[cfg(feature = "shards-reply")]
            State::Shards(shards, walk) => run(walk, shards, source, context, map, on_mark),
            #[cfg(feature = "nodes-reply")]
            // One string: nothing to walk through, but to tell a reply that is something else.
            State::Nodes(nodes) => run(&mut Walk::new(), nodes, source, context, map, on_mark),
            #[cfg(not(all(feature = "shards-reply", feature = "nodes-reply")))]
            State::NotBuilt => Err(Rejection::NotBuilt),
        };
        let result = match result {
            Ok(true) => map.finish().map(Status::Complete),
            Ok(false) => Ok(Status::Incomplete),
            Err(why) => Err(why),
        };
        self.ended = !matches!(result, Ok(Status::Incomplete));
        result
    }
}

/// What is special about one kind of reply.
trait Shape {
    /// Takes a token that is (part of) a reply which is one string. `None`: the token is not.
    fn text(
        &mut self,
        token: &Token<'_>,
        context: &Context<'_>,
        map: &mut MapMut<'_>,
        on_mark: &mut dyn FnMut(Mark),
    ) -> Result<Option<Status<()>>, Rejection> {
        let _ = (token, context, map, on_mark);
        Ok(None)
    }

    /// Whether the aggregate that begins here is read (else it is skipped).
    fn opens(&mut self, place: Place, count: u64, map: &mut MapMut<'_>) -> Result<bool, Rejection>;

    /// A value without children.
    fn scalar(&mut self, place: Place, scalar: Scalar<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection>;

    /// The aggregate whose children have the depth of `place` is over.
    fn close(&mut self, place: Place, context: &Context<'_>, map: &mut MapMut<'_>) -> Result<(), Rejection>;
}

/// Reads tokens until there are none (`false`) or the reply ends (`true`).
fn run<'t, S: Shape>(
    walk: &mut Walk,
    shape: &mut S,
    source: &mut impl FnMut() -> Result<Option<Token<'t>>, Rejection>,
    context: &Context<'_>,
    map: &mut MapMut<'_>,
    on_mark: &mut dyn FnMut(Mark),
) -> Result<bool, Rejection> {
    while let Some(token) = source()? {
        if !walk.skipping() {
            match shape.text(&token, context, map, on_mark)? {
                Some(Status::Complete(())) => return Ok(true),
                Some(Status::Incomplete) => continue,
                None => {}
            }
        }
        match walk.token(&token)? {
            Item::Nothing => continue,
            Item::Open(count) => {
                if !shape.opens(walk.place(), count, map)? {
                    walk.skip(count);
                } else if count > 0 {
                    walk.enter(count);
                    continue;
                } else {
                    shape.close(walk.place().child(), context, map)?;
                }
            }
            Item::Scalar(scalar) => {
                if walk.depth() == 0 {
                    return Err(top_level(scalar));
                }
                shape.scalar(walk.place(), scalar, map)?;
            }
        }
        // The value at this place is over; what ends with it is closed.
        while walk.step_over() {
            shape.close(walk.place().child(), context, map)?;
        }
        if walk.at_end() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A reply that is a single value where a whole topology was expected.
fn top_level(scalar: Scalar<'_>) -> Rejection {
    match scalar {
        Scalar::Error(text) => match ServerError::parse(text).kind() {
            ErrorKind::ClusterDisabled => Rejection::NoCluster,
            kind => Rejection::ServerError(kind),
        },
        Scalar::LongError => Rejection::ServerError(ErrorKind::Other),
        _ => Rejection::Malformed("not a topology reply"),
    }
}

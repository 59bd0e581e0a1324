//! What the caller knows of addresses that the cluster does not.

use core::fmt;

use crate::addr::NodeAddr;

/// Decides, for an address that a node goes by in a topology reply, where it is dialled and whether it is dialled at
/// all. For clusters behind address translation (where what nodes announce cannot be reached from here), for TLS names
/// that differ from what is announced, and to keep a client within a network.
///
/// The engine asks once for each node of a topology reply that was read to its end, and again before each dial. A node
/// that is refused is never dialled; commands that only it can serve end with
/// [`Reason::EndpointRefused`](crate::pipeline::Reason::EndpointRefused). Redirects name nodes by announced addresses and
/// are followed to nodes that a topology reply has named, so they need no question of their own.
///
/// Seeds are the caller's own and are not asked about. But a node that announces no host (a server before it was met by
/// others) counts as announced at the host of the seed through which it was found.
///
/// ```
/// use slotwise::addr::NodeAddr;
/// use slotwise::cluster::{Endpoint, Endpoints};
///
/// /// Containers announce 172.17.0.x; their ports are published on this host, 10,000 higher.
/// struct Published;
///
/// impl Endpoints for Published {
///     fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>> {
///         if !announced.host().starts_with("172.17.0.") {
///             return None;
///         }
///         let addr = NodeAddr::new("192.0.2.7", announced.port().checked_add(10_000)?).ok()?;
///         Some(Endpoint { addr, tls_name: "redis.example" })
///     }
/// }
///
/// let announced = NodeAddr::new("172.17.0.3", 6379)?;
/// assert_eq!(Published.endpoint(announced).map(|to| to.addr.port()), Some(16_379));
/// # Ok::<(), slotwise::addr::AddrError>(())
/// ```
pub trait Endpoints {
    /// Where to dial the node announced at this address; `None` refuses it. The same address must get the same answer
    /// each time, but for changes of the network; a refusal takes effect with the next topology reply.
    fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>>;
}

impl fmt::Debug for dyn Endpoints + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoints(..)")
    }
}

/// Where a node is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Endpoint<'a> {
    /// Host and port to dial.
    pub addr: NodeAddr<'a>,
    /// The name that the node's certificate must carry, on TLS connections.
    pub tls_name: &'a str,
}

impl<'a> Endpoint<'a> {
    /// What a node is dialled at when nobody says otherwise: the address itself, its host as the TLS name.
    #[must_use]
    pub const fn announced(addr: NodeAddr<'a>) -> Self {
        Self { addr, tls_name: addr.host() }
    }
}

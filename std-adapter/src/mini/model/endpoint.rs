//! What a node tells clients about where nodes are: `cluster-preferred-endpoint-type` and its corner cases.

use super::Model;
use super::reply::Out;

/// What stands for a node in CLUSTER SLOTS, CLUSTER SHARDS and redirects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Endpoint {
    /// Its address.
    #[default]
    Address,
    /// A host name that it announces.
    Host(String),
    /// Host names are preferred, but it announces none: `?`.
    MissingHost,
    /// `unknown-endpoint`: null in CLUSTER SLOTS, an empty host in CLUSTER SHARDS and redirects.
    Unknown,
    /// The node does not know its own address, as before anybody met it: an empty host everywhere.
    Empty,
}

impl Model {
    /// What stands for the node in replies from now on.
    pub fn set_endpoint(&mut self, node: usize, endpoint: Endpoint) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.endpoint = endpoint;
        }
    }

    /// Host and port in a redirect to the node.
    pub(super) fn redirect_to(&self, node: usize) -> String {
        let node = &self.nodes[node];
        let host = match &node.endpoint {
            Endpoint::Address => &node.host,
            Endpoint::Host(name) => name,
            Endpoint::MissingHost => "?",
            Endpoint::Unknown | Endpoint::Empty => "",
        };
        format!("{host}:{}", node.port)
    }

    /// First element of the node's entry in CLUSTER SLOTS.
    pub(super) fn slots_host(&self, node: usize, out: &mut Out) {
        let node = &self.nodes[node];
        match &node.endpoint {
            Endpoint::Address => out.bulk(&node.host),
            Endpoint::Host(name) => out.bulk(name),
            Endpoint::MissingHost => out.bulk("?"),
            Endpoint::Unknown => out.null(),
            Endpoint::Empty => out.bulk(""),
        }
    }

    /// Fourth element of it, from Redis 7.0 on: what the first does not tell.
    pub(super) fn slots_extra(&self, node: usize, out: &mut Out) {
        let node = &self.nodes[node];
        match &node.endpoint {
            Endpoint::Address | Endpoint::Empty => out.map(0),
            _ => {
                out.map(1);
                out.bulk("ip");
                out.bulk(&node.host);
            }
        }
    }

    /// `ip`, `endpoint` and `hostname` in CLUSTER SHARDS.
    pub(super) fn shards_hosts(&self, node: usize) -> (&str, &str, Option<&str>) {
        let node = &self.nodes[node];
        match &node.endpoint {
            Endpoint::Address => (&node.host, &node.host, None),
            Endpoint::Host(name) => (&node.host, name, Some(name)),
            Endpoint::MissingHost => (&node.host, "?", None),
            Endpoint::Unknown => (&node.host, "", None),
            Endpoint::Empty => ("", "", None),
        }
    }

    /// The address part of a line of CLUSTER NODES, which never shows the preferred endpoint.
    pub(super) fn nodes_address(&self, node: usize) -> String {
        let node = &self.nodes[node];
        // The cluster bus does not exist; its port is shown as if it did.
        let bus = node.port.wrapping_add(10000);
        match &node.endpoint {
            Endpoint::Empty => format!(":{}@{bus}", node.port),
            Endpoint::Host(name) if node.profile.sharded_channels() => format!("{}@{bus},{name}", node.address()),
            _ => format!("{}@{bus}", node.address()),
        }
    }
}

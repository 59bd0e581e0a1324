//! Addresses that are not what they seem: announced and dialled ones differ, names lead elsewhere.

use std::collections::BTreeMap;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Endpoint, Endpoints};
use slotwise_std::mini::model::Endpoint as Announced;

use super::kinds::Fault;
use super::servers::{node_name, port_of, seed_name};
use super::world::{Ev, World};

/// A client's own table of addresses: announced ones, and where they lead.
#[derive(Clone, Debug, Default)]
pub struct AddressMap {
    dialled: BTreeMap<(String, u16), (String, u16)>,
}

impl Endpoints for AddressMap {
    fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>> {
        let found = self.dialled.get(&(announced.host().to_owned(), announced.port()));
        let addr = found.and_then(|(host, port)| NodeAddr::new(host, *port).ok()).unwrap_or(announced);
        Some(Endpoint::announced(addr))
    }
}

impl World {
    pub(super) fn announce(&mut self) {
        let mut kind = self.fault_dice(Fault::Endpoints).below(5);
        if kind == 3 && self.options.has(Fault::Nameless) {
            // One port would not tell them apart.
            kind = 2;
        }
        self.strikes(Fault::Endpoints, u64::from(kind));
        self.servers.by_port |= kind == 3;
        for node in 0..self.servers.nodes.len() {
            let endpoint = match kind {
                0 => Announced::Address,
                1 => Announced::Host(node_name(node)),
                2 => Announced::MissingHost,
                3 => Announced::Unknown,
                _ if node % 2 == 0 => Announced::Host(node_name(node)),
                _ => Announced::Address,
            };
            self.servers.model.set_endpoint(node, endpoint);
        }
    }

    /// A node is announced at another address than before, and listens at both.
    pub(super) fn translate(&mut self, fault: Fault) {
        let node = self.some_node(fault);
        let (host, port) = self.servers.nodes[node].addr.clone();
        let announced = match fault {
            Fault::Nat => (format!("192.168.0.{}", node + 1), port),
            _ => (host, port_of(node) + 100),
        };
        self.strikes(fault, node as u64);
        self.servers.model.set_address(node, &announced.0, announced.1);
        self.servers.by_addr.insert(announced.clone(), node);
        self.servers.ever.insert(announced, node);
    }

    /// A node is announced at an address at which nobody listens: the clients' own tables say where it is dialled.
    pub(super) fn map_address(&mut self) {
        let fault = Fault::Mapped;
        let node = self.some_node(fault);
        let announced = (format!("172.31.0.{}", node + 1), port_of(node) + 1_000);
        self.strikes(fault, node as u64);
        self.servers.model.set_address(node, &announced.0, announced.1);
        let real = self.servers.nodes[node].addr.clone();
        for client in &mut self.clients {
            client.profile.addresses.dialled.insert(announced.clone(), real.clone());
        }
    }

    /// The names of a node lead to another one.
    pub(super) fn misname(&mut self) {
        let fault = Fault::NameMoved;
        let (node, other) = (self.some_node(fault), self.some_node(fault));
        if node == other {
            return;
        }
        self.strikes(fault, node as u64);
        for name in [seed_name(node), node_name(node)] {
            let name = (name, port_of(node));
            self.servers.by_addr.insert(name.clone(), other);
            self.servers.strayed.insert(name, node);
        }
        let until = self.span(fault, 10_000_000);
        self.after(until, Ev::Repair(fault, node as u32));
    }

    /// The names of a node, or all, lead to it again.
    pub(super) fn name_again(&mut self, node: Option<usize>) {
        let servers = &mut self.servers;
        servers.strayed.retain(|name, own| {
            let right = node.is_none_or(|node| node == *own);
            if right {
                servers.by_addr.insert(name.clone(), *own);
            }
            !right
        });
    }
}

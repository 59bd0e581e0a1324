//! The servers' side: one host with a port for each node of the mini cluster's model, and a name server.

use std::collections::VecDeque;

use slotwise::time::Instant;
use slotwise_embedded::smoltcp_time;
use slotwise_std::mini::model::{ClientId, Model, ModelOptions};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::socket::{tcp, udp};
use smoltcp::wire::{EthernetAddress, IpAddress, IpCidr};

use crate::link::Plug;
use crate::world::{PORT, request};

/// Sockets for each node.
const EACH: usize = 6;

/// An interface at 10.0.0.`last` and fd00::`last`.
pub(crate) fn interface(plug: &mut Plug, last: u8) -> Interface {
    let mut config = Config::new(EthernetAddress([2, 0, 0, 0, 0, last]).into());
    config.random_seed = u64::from(last);
    let mut iface = Interface::new(config, plug, smoltcp::time::Instant::ZERO);
    iface.update_ip_addrs(|addrs| {
        addrs.push(IpCidr::new(IpAddress::v4(10, 0, 0, last), 24)).unwrap();
        addrs.push(IpCidr::new(IpAddress::v6(0xfd00, 0, 0, 0, 0, 0, 0, last.into()), 64)).unwrap();
    });
    iface
}

pub(crate) fn tcp_socket(bytes: usize) -> tcp::Socket<'static> {
    tcp::Socket::new(tcp::SocketBuffer::new(vec![0; bytes]), tcp::SocketBuffer::new(vec![0; bytes]))
}

struct Seat {
    socket: SocketHandle,
    node: usize,
    client: Option<ClientId>,
    sent: Vec<u8>,
    coming: VecDeque<u8>,
}

pub(crate) struct Host {
    pub(crate) plug: Plug,
    iface: Interface,
    sockets: SocketSet<'static>,
    pub(crate) model: Model,
    seats: Vec<Seat>,
    names: SocketHandle,
    /// Nodes that read nothing, so that their windows fill.
    pub(crate) deaf: Vec<usize>,
    pub(crate) accepted: usize,
    pub(crate) asked: usize,
    /// Remote ports that were seen.
    pub(crate) ports: Vec<u16>,
    pub(crate) most_slots_reply: usize,
}

impl Host {
    pub(crate) fn new(mut plug: Plug, primaries: usize, address: &str) -> Self {
        let mut model = Model::new(ModelOptions { primaries, ..ModelOptions::default() });
        let iface = interface(&mut plug, 1);
        let mut sockets = SocketSet::new(vec![]);
        let mut seats = Vec::new();
        for node in 0..primaries {
            model.set_address(node, address, PORT + u16::try_from(node).unwrap());
            for _ in 0..EACH {
                let socket = sockets.add(tcp_socket(2_048));
                seats.push(Seat { socket, node, client: None, sent: Vec::new(), coming: VecDeque::new() });
            }
        }
        let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 2_048]);
        let mut names = udp::Socket::new(buffer(), buffer());
        names.bind(53).unwrap();
        let names = sockets.add(names);
        let (deaf, ports) = (Vec::new(), Vec::new());
        Self { plug, iface, sockets, model, seats, names, deaf, accepted: 0, asked: 0, ports, most_slots_reply: 0 }
    }

    pub(crate) fn poll(&mut self, now: Instant) {
        self.iface.poll(smoltcp_time(now), &mut self.plug, &mut self.sockets);
        for at in 0..self.seats.len() {
            self.serve(at);
        }
        self.name();
        self.iface.poll(smoltcp_time(now), &mut self.plug, &mut self.sockets);
    }

    pub(crate) fn wake(&mut self, now: Instant) -> Option<Instant> {
        let at = self.iface.poll_at(smoltcp_time(now), &self.sockets)?;
        Some(Instant::from_micros(u64::try_from(at.total_micros()).unwrap()).max(now))
    }

    /// Clients that are connected.
    pub(crate) fn served(&self) -> usize {
        self.seats.iter().filter(|seat| seat.client.is_some()).count()
    }

    fn serve(&mut self, at: usize) {
        let seat = &mut self.seats[at];
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(seat.socket);
        if !socket.is_open() {
            if let Some(client) = seat.client.take() {
                self.model.disconnect(client);
            }
            seat.sent.clear();
            seat.coming.clear();
            socket.listen(PORT + u16::try_from(seat.node).unwrap()).unwrap();
            return;
        }
        if !socket.may_send() && !socket.can_recv() {
            return;
        }
        let client = *seat.client.get_or_insert_with(|| {
            self.accepted += 1;
            self.ports.extend(socket.remote_endpoint().map(|remote| remote.port));
            self.model.connect(seat.node)
        });
        if !self.deaf.contains(&seat.node) {
            let mut bytes = [0; 700];
            while let Ok(count @ 1..) = socket.recv_slice(&mut bytes) {
                seat.sent.extend_from_slice(&bytes[..count]);
            }
        }
        while let Some((words, used)) = request(&seat.sent) {
            seat.sent.drain(..used);
            self.model.request(client, &words);
            if self.model.is_unsettled() {
                self.model.settle();
            }
            let reply = self.model.take_output(client);
            if words.last().is_some_and(|word| word == b"SLOTS") {
                self.most_slots_reply = self.most_slots_reply.max(reply.len());
            }
            seat.coming.extend(reply);
        }
        seat.coming.extend(self.model.take_output(client));
        while let Ok(count @ 1..) = socket.send_slice(seat.coming.as_slices().0) {
            seat.coming.drain(..count);
        }
        if socket.state() == tcp::State::CloseWait || self.model.is_closing(client) {
            socket.close();
        }
    }

    /// Answers questions for `cluster.test` with this host's address of the asked kind: of names that begin with `six`
    /// only the IPv6 one, of names that begin with `no` none.
    fn name(&mut self) {
        let socket = self.sockets.get_mut::<udp::Socket<'_>>(self.names);
        while let Ok((question, from)) = socket.recv() {
            self.asked += 1;
            let question = question.to_vec();
            let first = &question[13..13 + usize::from(question[12])];
            let kind = question[question.len() - 3];
            let address: Option<Vec<u8>> = match (kind, first.starts_with(b"six"), first.starts_with(b"no")) {
                (1, false, false) => Some(vec![10, 0, 0, 1]),
                (28, _, false) => Some(vec![0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
                _ => None,
            };
            let mut answer = question[..2].to_vec();
            // A response, recursion available; NXDOMAIN if there is nothing.
            answer.extend([
                0x81,
                if address.is_some() { 0x80 } else { 0x83 },
                0,
                1,
                0,
                u8::from(address.is_some()),
                0,
                0,
                0,
                0,
            ]);
            answer.extend(&question[12..]);
            if let Some(address) = address {
                answer.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, u8::try_from(address.len()).unwrap()]);
                answer.extend(address);
            }
            socket.send_slice(&answer, from).unwrap();
        }
    }
}

//! `embedded-nal`: calls that say "would block".

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use embedded_nal::{AddrType, Dns, TcpClientStack, TcpError, TcpErrorKind, nb};
use slotwise::cluster::CloseReason;
use slotwise::ids::ConnId;
use slotwise::pipeline::Outcome;
use slotwise::time::Instant;
use slotwise_embedded::{Dial, Driven, Moved, NalSet, Transport};

use super::*;
use crate::world::Ticks;

pub(crate) struct Stack {
    pub(crate) net: Net,
    next: u32,
    live: BTreeSet<u32>,
    /// The name that is being looked up, and looks it still needs.
    query: Option<(String, u32)>,
    queries: u32,
    /// Most sockets.
    most: usize,
}

#[derive(Debug)]
pub(crate) struct Broken;

impl TcpError for Broken {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

fn io(moved: Moved) -> nb::Result<usize, Broken> {
    match moved {
        Moved::Bytes(count) => Ok(count),
        Moved::WouldBlock => Err(nb::Error::WouldBlock),
        Moved::Closed => Err(nb::Error::Other(Broken)),
    }
}

/// The network knows connections by their number.
fn known(socket: &u32) -> ConnId {
    ConnId::new(*socket, 0)
}

impl TcpClientStack for Stack {
    type TcpSocket = u32;
    type Error = Broken;

    fn socket(&mut self) -> Result<u32, Broken> {
        if self.live.len() >= self.most {
            return Err(Broken);
        }
        self.next += 1;
        self.live.insert(self.next);
        Ok(self.next)
    }

    fn connect(&mut self, socket: &mut u32, remote: SocketAddr) -> nb::Result<(), Broken> {
        assert!(self.live.contains(socket));
        match self.net.dial(known(socket), &remote.ip().to_string(), remote.port()) {
            Dial::Open => Ok(()),
            Dial::Pending => Err(nb::Error::WouldBlock),
            Dial::Failed => Err(nb::Error::Other(Broken)),
        }
    }

    fn send(&mut self, socket: &mut u32, buffer: &[u8]) -> nb::Result<usize, Broken> {
        assert!(self.live.contains(socket));
        io(self.net.send(known(socket), buffer))
    }

    fn receive(&mut self, socket: &mut u32, buffer: &mut [u8]) -> nb::Result<usize, Broken> {
        assert!(self.live.contains(socket));
        io(self.net.recv(known(socket), buffer))
    }

    fn close(&mut self, socket: u32) -> Result<(), Broken> {
        assert!(self.live.remove(&socket), "closed twice");
        self.net.close(known(&socket));
        Ok(())
    }
}

impl Dns for Stack {
    type Error = Broken;

    fn get_host_by_name(&mut self, hostname: &str, _: AddrType) -> nb::Result<IpAddr, Broken> {
        let (asked, looks) = self.query.get_or_insert_with(|| {
            self.queries += 1;
            (hostname.to_owned(), 3)
        });
        assert_eq!(asked, hostname, "another name before the first one is found");
        *looks -= 1;
        if *looks > 0 {
            return Err(nb::Error::WouldBlock);
        }
        self.query = None;
        if hostname == NAME { Ok(Ipv4Addr::LOCALHOST.into()) } else { Err(nb::Error::Other(Broken)) }
    }

    fn get_host_by_address(&mut self, _: IpAddr, _: &mut [u8]) -> nb::Result<usize, Broken> {
        panic!("nobody asks for names of addresses")
    }
}

fn stack(host: &str) -> Stack {
    Stack { net: network(host), next: 0, live: BTreeSet::new(), query: None, queries: 0, most: 4 }
}

fn finish(driver: &mut Driver<'_, Store>, set: &mut impl Transport, app: &mut App, clock: &mut Ticks) {
    for _ in 0..1_000_000 {
        let Driven { idle, wake, .. } = driver.drive(clock, set, app, 20);
        if app.is_done() {
            return;
        }
        if idle {
            // What would block goes on soon, in this network.
            clock.0 = clock.0.saturating_add(1_000).min(wake.expect("stuck").as_micros().max(clock.0));
        }
    }
    panic!("not done: {:?}", app.ends);
}

#[test]
fn a_pipeline_over_a_stack_without_names() {
    with_driver("127.0.0.1", |driver| {
        let (mut app, mut clock) = (App::default(), Ticks(0));
        let mut set = NalSet::<_, 4>::new(stack("127.0.0.1"));
        set.stack().net.dial_looks = 3;
        fill(&mut app);
        finish(driver, &mut set, &mut app, &mut clock);
        check(&app);
        moved(&mut set.stack().net, "key:1");
        let tag = app.push(&["GET", "key:1"]);
        finish(driver, &mut set, &mut app, &mut clock);
        was_followed(&app, tag, "1");
        assert_eq!((set.stack().live.len(), set.stack().next), (3, 3));
        driver.shutdown(Instant::from_micros(clock.0));
        while !driver.cluster().is_drained() || !driver.drive(&mut clock, &mut set, &mut app, 20).idle {
            let _ = driver.drive(&mut clock, &mut set, &mut app, 20);
        }
        assert!(set.stack().live.is_empty(), "every socket was given back");
    });
}

#[test]
fn names_are_looked_up_one_at_a_time() {
    with_driver(NAME, |driver| {
        let (mut app, mut clock) = (App::default(), Ticks(0));
        let mut set = NalSet::<_, 4, _>::with_dns(stack(NAME));
        fill(&mut app);
        finish(driver, &mut set, &mut app, &mut clock);
        check(&app);
        assert_eq!(set.stack().queries, 3);
    });
}

#[test]
fn what_cannot_be_dialled_fails() {
    for (seed, most) in [("other.test", 4), (NAME, 0)] {
        with_driver(seed, |driver| {
            let (mut app, mut clock) = (App::default(), Ticks(0));
            let mut set = NalSet::<_, 4, _>::with_dns(stack(NAME));
            set.stack().most = most;
            let tag = app.push(&["GET", "key"]);
            finish(driver, &mut set, &mut app, &mut clock);
            let End::Failed(failure) = &app.ends[&tag] else { panic!("{:?}", app.ends) };
            assert_eq!(failure.outcome, Outcome::NotSent);
            assert!(app.closed.iter().all(|reason| *reason == CloseReason::ConnectFailed));
            assert!(set.stack().live.is_empty());
        });
    }
}

#[test]
fn a_cut_connection_gives_its_socket_back() {
    with_driver("127.0.0.1", |driver| {
        let (mut app, mut clock) = (App::default(), Ticks(0));
        let mut set = NalSet::<_, 4>::new(stack("127.0.0.1"));
        for round in 0..10 {
            for n in 0..6 {
                app.push(&["GET", &format!("key:{n}")]);
            }
            finish(driver, &mut set, &mut app, &mut clock);
            assert!(app.ends.values().all(|end| matches!(end, End::Reply { .. })), "round {round}: {:?}", app.ends);
            (0..3).for_each(|node| set.stack().net.cut(node));
        }
        assert!(set.stack().next >= 30 && set.stack().live.len() <= 4);
    });
}

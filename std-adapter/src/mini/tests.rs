//! The mini cluster through its sockets.

use super::MiniCluster;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

struct Wire(BufReader<TcpStream>);

impl Wire {
    fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Wire(BufReader::new(stream))
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// One inline command, one line of reply.
    fn ask(&mut self, text: &str) -> String {
        self.send(&format!("{text}\r\n"));
        self.line()
    }
}

#[test]
fn a_slot_moves_step_by_step_under_a_client() {
    let cluster = MiniCluster::start(3).unwrap();
    let addr = |node: usize| cluster.addresses()[node];
    // foo: 12182, of node 2
    assert_eq!(cluster.owner(12182), Some(2));
    let (mut old, mut new) = (Wire::open(addr(2)), Wire::open(addr(0)));
    assert_eq!(old.ask("SET {foo}1 a"), "+OK");
    assert_eq!(old.ask("SET {foo}2 b"), "+OK");
    assert_eq!(new.ask("GET {foo}1"), format!("-MOVED 12182 {}", addr(2)));
    assert_eq!(cluster.begin_move(12182, 0), Ok(2));
    assert_eq!(cluster.move_keys(12182, 1), Ok(1));
    let one = old.ask("EXISTS {foo}1");
    let two = old.ask("EXISTS {foo}2");
    let ask = format!("-ASK 12182 {}", addr(0));
    assert!([(":1", ask.as_str()), (ask.as_str(), ":1")].contains(&(&one, &two)), "{one} {two}");
    assert_eq!(old.ask("MGET {foo}1 {foo}2"), "-TRYAGAIN Multiple keys request during rehashing of slot");
    assert_eq!(new.ask("ASKING"), "+OK");
    assert_eq!(new.ask("SET {foo}3 c"), "+OK");
    assert_eq!(new.ask("GET {foo}3"), format!("-MOVED 12182 {}", addr(2)), "ASKING is used up");
    assert!(cluster.finish_move(12182).is_err(), "a key is left");
    assert_eq!(cluster.move_keys(12182, 10), Ok(1));
    cluster.finish_move(12182).unwrap();
    assert_eq!(cluster.owner(12182), Some(0));
    assert_eq!(old.ask("GET {foo}1"), format!("-MOVED 12182 {}", addr(0)));
    assert_eq!(new.ask("EXISTS {foo}1 {foo}2 {foo}3"), ":3");
    assert_eq!((cluster.key_count(), cluster.key_count_on(0), cluster.key_count_in_slot(12182)), (3, 3, 3));
}

#[test]
fn a_large_pipeline_in_odd_pieces_is_answered_in_order() {
    let cluster = MiniCluster::start(1).unwrap();
    let mut wire = Wire::open(cluster.addresses()[0]);
    let mut writer = wire.0.get_ref().try_clone().unwrap();
    let sender = std::thread::spawn(move || {
        let all: String = (0..20_000).map(|n| format!("*2\r\n$4\r\nECHO\r\n$5\r\n{n:05}\r\n")).collect();
        for piece in all.as_bytes().chunks(1237) {
            writer.write_all(piece).unwrap();
        }
    });
    for n in 0..20_000 {
        assert_eq!((wire.line().as_str(), wire.line()), ("$5", format!("{n:05}")));
    }
    sender.join().unwrap();
}

#[test]
fn a_protocol_error_is_told_and_closes() {
    let cluster = MiniCluster::start(1).unwrap();
    let mut wire = Wire::open(cluster.addresses()[0]);
    wire.send("PING\r\n*1\r\n$x\r\nPING\r\n");
    assert_eq!(wire.line(), "+PONG");
    assert_eq!(wire.line(), "-ERR Protocol error: invalid bulk length");
    assert_eq!(wire.0.read(&mut [0; 1]).unwrap_or(0), 0);
}

#[test]
fn pushes_reach_idle_connections_and_shutdown_closes_them() {
    let cluster = MiniCluster::start(2).unwrap();
    let mut subscriber = Wire::open(cluster.addresses()[1]);
    subscriber.send("SSUBSCRIBE foo\r\n");
    let confirmed: Vec<String> = (0..6).map(|_| subscriber.line()).collect();
    assert_eq!(confirmed, ["*3", "$10", "ssubscribe", "$3", "foo", ":1"]);
    cluster.move_slot(12182, 0).unwrap();
    let left: Vec<String> = (0..6).map(|_| subscriber.line()).collect();
    assert_eq!(left, ["*3", "$12", "sunsubscribe", "$3", "foo", ":0"]);
    let addr = cluster.addresses()[0];
    cluster.shutdown();
    assert_eq!(subscriber.0.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(TcpStream::connect(addr).is_err());
}

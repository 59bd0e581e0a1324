//! One client socket of the mini cluster.

use super::model::{ClientId, Model};
use super::request::{self, Next};
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read, Write};

/// A peer that lets more than this wait is cut off, as servers do with slow subscribers.
const MOST_UNSENT: usize = 256 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) client: ClientId,
    input: Vec<u8>,
    output: Vec<u8>,
    // Bytes of `output` already written; sent <= output.len()
    sent: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, client: ClientId) -> Self {
        Connection { stream, client, input: Vec::new(), output: Vec::new(), sent: 0 }
    }

    /// Reads all that has come and runs the commands in it. `false`: the connection has ended.
    pub(super) fn read(&mut self, model: &mut Model, scratch: &mut [u8]) -> bool {
        loop {
            match self.stream.read(scratch) {
                Ok(0) => return false,
                Ok(n) => self.input.extend_from_slice(&scratch[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return false,
            }
            self.run_commands(model);
        }
    }

    fn run_commands(&mut self, model: &mut Model) {
        let mut at = 0;
        while !model.is_closing(self.client) {
            match request::next(&self.input[at..]) {
                Next::More => break,
                Next::Command(words, used) => {
                    at += used;
                    model.request(self.client, &words);
                    if model.is_unsettled() {
                        model.settle();
                    }
                }
                Next::Bad(text) => model.protocol_error(self.client, text),
            }
        }
        self.input.drain(..at);
    }

    /// Writes what waits. `false`: the connection has ended, or is to be closed now.
    pub(super) fn write(&mut self, model: &mut Model) -> bool {
        let mut fresh = model.take_output(self.client);
        if self.output.is_empty() {
            self.output = fresh;
        } else {
            self.output.append(&mut fresh);
        }
        while self.sent < self.output.len() {
            match self.stream.write(&self.output[self.sent..]) {
                Ok(0) => return false,
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return self.output.len() - self.sent <= MOST_UNSENT,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.output.clear();
        self.sent = 0;
        if model.is_closing(self.client) {
            // Our side is closed in order, so that the peer reads what was written before it reads the end.
            let _: io::Result<()> = self.stream.shutdown(std::net::Shutdown::Write);
            return false;
        }
        true
    }
}

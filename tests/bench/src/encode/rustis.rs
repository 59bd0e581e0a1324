//! rustis: a command built by its builder, then copied by its connection encoder.

use super::{Command, Encoder};
use bytes::BytesMut;
use rustis::resp::bench_support::bench_encode_command;
use rustis::resp::{Command as RustisCommand, cmd};

#[derive(Default)]
pub struct Rustis {
    buf: BytesMut,
}

fn name(command: &Command) -> &'static str {
    match command[0].as_str() {
        "SET" => "SET",
        "GET" => "GET",
        "MGET" => "MGET",
        "HSET" => "HSET",
        other => panic!("{other} is in no workload"),
    }
}

impl Encoder for Rustis {
    fn name(&self) -> &'static str {
        "rustis"
    }
    fn makes(&self) -> &'static str {
        "encoded command, then a copy of it"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        for command in commands {
            let built = command[1..].iter().fold(cmd(name(command)), |cmd, arg| cmd.arg(arg.as_str()));
            // Its entry point clears the buffer first: one command at a time.
            bench_encode_command(&RustisCommand::from(built), &mut self.buf);
            super::redis_protocol::swap_out(&mut self.buf, out);
        }
    }
}

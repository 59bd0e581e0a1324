//! redis-rs: a `Cmd` built and packed.

use super::{Command, Encoder};

pub struct RedisRs;

impl Encoder for RedisRs {
    fn name(&self) -> &'static str {
        "redis-rs"
    }
    fn makes(&self) -> &'static str {
        "Cmd with owned arguments"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        for command in commands {
            let mut cmd = redis::cmd(&command[0]);
            for arg in &command[1..] {
                cmd.arg(arg);
            }
            cmd.write_packed_command(out);
        }
    }
}

//! slotwise: into the caller's buffer.

use super::{Command, Encoder};
use slotwise::resp::encode::{EncodeError, encode};

pub struct Ours;

impl Encoder for Ours {
    fn name(&self) -> &'static str {
        super::OURS
    }
    fn makes(&self) -> &'static str {
        "nothing: writes into the buffer"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        // As an adapter does it: write into what room there is, make more when the encoder asks for it.
        let mut used = out.len();
        out.resize(out.capacity(), 0);
        for command in commands {
            loop {
                match encode(command.as_slice(), &mut out[used..]) {
                    Ok(len) => {
                        used += len;
                        break;
                    }
                    Err(EncodeError::BufferTooSmall { .. }) => out.resize(out.len() * 2 + 64, 0),
                    Err(error) => panic!("a valid command: {error:?}"),
                }
            }
        }
        out.truncate(used);
    }
}

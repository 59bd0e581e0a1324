//! Where bytes come from: a file, standard input, an argument.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, IsTerminal, Read};

use crate::exit::Failure;

/// A named source of bytes.
pub(crate) struct Source {
    name: String,
    reader: Box<dyn Read>,
}

impl Source {
    /// The file, or standard input for `-` and for no name at all. When a person sits at standard input, `what`
    /// tells them what is awaited.
    pub(crate) fn open(path: Option<&OsStr>, what: &str) -> Result<Self, Failure> {
        match path {
            Some(path) if path != "-" => {
                let name = path.to_string_lossy().into_owned();
                match File::open(path) {
                    Ok(file) => Ok(Self { name, reader: Box::new(file) }),
                    Err(error) => Err(Failure::Io(format!("cannot open {name}"), error)),
                }
            }
            _ => {
                let stdin = io::stdin();
                if stdin.is_terminal() {
                    eprintln!("slotwise: reading {what} from the terminal, end with Ctrl-D");
                }
                Ok(Self { name: "standard input".to_owned(), reader: Box::new(stdin.lock()) })
            }
        }
    }

    /// Reads up to `buf.len()` bytes; 0 at the end.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.reader.read(buf) {
                Ok(n) => return Ok(n),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Io(format!("cannot read {}", self.name), error)),
            }
        }
    }

    /// Reads all there is.
    pub(crate) fn read_to_end(&mut self) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        match self.reader.read_to_end(&mut bytes) {
            Ok(_) => Ok(bytes),
            Err(error) => Err(Failure::Io(format!("cannot read {}", self.name), error)),
        }
    }

    /// Hands every piece that ends with `end` to `each`, without that byte; a last piece without it counts when it
    /// is not empty.
    pub(crate) fn split(&mut self, end: u8, mut each: impl FnMut(&[u8]) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut piece = Vec::new();
        let mut buf = vec![0; 64 << 10];
        loop {
            let n = self.read(&mut buf)?;
            let Some(mut rest) = buf.get(..n).filter(|read| !read.is_empty()) else { break };
            while let Some(at) = rest.iter().position(|b| *b == end) {
                piece.extend_from_slice(&rest[..at]);
                each(&piece)?;
                piece.clear();
                rest = &rest[at + 1..];
            }
            piece.extend_from_slice(rest);
        }
        if piece.is_empty() { Ok(()) } else { each(&piece) }
    }
}

/// The bytes of an argument: on Unix exactly what the caller passed.
pub(crate) fn arg_bytes(arg: &OsStr) -> &[u8] {
    arg.as_encoded_bytes()
}

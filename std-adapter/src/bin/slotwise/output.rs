//! Buffered standard output.

use std::io::{self, BufWriter, StdoutLock, Write};

use crate::exit::Failure;

/// Standard output, written in large pieces; [`Output::finish`] must be called to see the last errors.
pub(crate) struct Output(BufWriter<StdoutLock<'static>>);

impl Output {
    pub(crate) fn new() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout().lock()))
    }

    /// Writes the pieces and a line feed.
    pub(crate) fn line<const N: usize>(&mut self, pieces: [&[u8]; N]) -> Result<(), Failure> {
        pieces.iter().try_for_each(|piece| self.raw(piece))?;
        self.raw(b"\n")
    }

    /// Writes bytes as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.0.write_all(bytes).map_err(Failure::output)
    }

    /// Writes what is still buffered: at the end, and before waiting for more input.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(Failure::output)
    }
}

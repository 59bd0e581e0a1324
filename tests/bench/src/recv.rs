//! How bytes arrive: the stream is cut into chunks, and each chunk is copied once into a receive buffer.

use std::time::{Duration, Instant};

/// The chunks of one pass over a stream.
pub struct Feed<'s> {
    stream: &'s [u8],
    chunk: usize,
    position: usize,
    chunks: u32,
    deadline: Option<Instant>,
    late: bool,
}

impl<'s> Feed<'s> {
    /// Delivers `stream` in pieces of `chunk` bytes.
    pub fn new(stream: &'s [u8], chunk: usize) -> Self {
        Self { stream, chunk: chunk.max(1), position: 0, chunks: 0, deadline: None, late: false }
    }

    /// Stops delivering after this time: a reader that starts over at every chunk would run for hours.
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.deadline = Some(Instant::now() + budget);
        self
    }

    /// The next chunk; `None` at the end or past the deadline.
    #[inline]
    pub fn next(&mut self) -> Option<&'s [u8]> {
        let rest = &self.stream[self.position..];
        if rest.is_empty() {
            return None;
        }
        self.chunks += 1;
        if self.chunks.is_multiple_of(64) && self.deadline.is_some_and(|deadline| Instant::now() > deadline) {
            self.late = true;
            return None;
        }
        let chunk = &rest[..self.chunk.min(rest.len())];
        self.position += chunk.len();
        Some(chunk)
    }

    /// The part of the stream that was delivered, when the deadline cut the pass short.
    pub fn gave_up_at(&self) -> Option<f64> {
        self.late.then(|| self.position as f64 / self.stream.len() as f64)
    }
}

/// The receive buffer that every contestant without one of its own reads from.
#[derive(Default)]
pub struct Recv {
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Recv {
    /// Copies a chunk behind what is left. A remainder smaller than the chunk is moved to the front first: that keeps
    /// the buffer hot, and a large value is moved once at its beginning and not again when the room runs out.
    #[inline]
    pub fn push(&mut self, chunk: &[u8]) {
        let left = self.end - self.start;
        if self.start > 0 && (left <= chunk.len() || self.buf.len() - self.end < chunk.len()) {
            self.buf.copy_within(self.start..self.end, 0);
            self.start = 0;
            self.end = left;
        }
        if self.buf.len() - self.end < chunk.len() {
            let size = (self.end + chunk.len()).next_power_of_two().max(64 << 10);
            self.buf.resize(size, 0);
        }
        self.buf[self.end..self.end + chunk.len()].copy_from_slice(chunk);
        self.end += chunk.len();
    }

    #[inline]
    pub fn data(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    #[inline]
    pub fn consume(&mut self, bytes: usize) {
        self.start += bytes;
        debug_assert!(self.start <= self.end);
    }

    /// Forgets what is left, between two passes.
    pub fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

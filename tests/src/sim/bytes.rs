//! A queue of bytes: put in at the end, taken out at the front, without moving the rest each time.

use std::ops::Deref;

/// Bytes that wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    all: Vec<u8>,
    // So many at the front are taken out already.
    gone: usize,
}

impl Bytes {
    /// Puts bytes in.
    pub fn put(&mut self, bytes: &[u8]) {
        self.all.extend_from_slice(bytes);
    }

    /// Puts as many zeros in, for the caller to write over.
    pub fn put_room(&mut self, len: usize) -> &mut [u8] {
        let start = self.all.len();
        self.all.resize(start + len, 0);
        &mut self.all[start..]
    }

    /// Takes bytes out.
    pub fn skip(&mut self, len: usize) {
        self.gone = (self.gone + len).min(self.all.len());
        // What is left moves only when it is the smaller half: each byte moves about once.
        if self.gone * 2 >= self.all.len() {
            self.all.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Takes bytes out and gives them to the caller.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        if self.gone == 0 && len == self.all.len() {
            return std::mem::take(&mut self.all);
        }
        let taken = self[..len].to_vec();
        self.skip(len);
        taken
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        self.all.clear();
        self.gone = 0;
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.all[self.gone..]
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_come_out_in_the_order_in_which_they_went_in() {
        let mut queue = Bytes::default();
        let (mut put, mut got) = (Vec::new(), Vec::new());
        for n in 0..200_u8 {
            let more = vec![n; usize::from(n % 7)];
            queue.put(&more);
            put.extend(more);
            if n % 3 == 0 {
                queue.put_room(1).fill(n);
                put.push(n);
            }
            let len = queue.len() * usize::from(n % 4) / 3;
            if n % 2 == 0 {
                got.extend(queue.take(len));
            } else {
                got.extend_from_slice(&queue[..len]);
                queue.skip(len);
            }
        }
        got.extend(queue.take(queue.len()));
        assert_eq!(got, put);
        assert!(queue.is_empty() && queue.all.is_empty());
        queue.put(b"abc");
        queue.clear();
        assert!(queue.is_empty());
    }
}

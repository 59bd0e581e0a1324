//! Writing replies.

/// A reply under construction, in the protocol of the connection it is for.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) bytes: Vec<u8>,
    /// It consists of pushes (which CLIENT REPLY OFF lets through).
    pub(super) pushes: bool,
    resp3: bool,
}

impl Out {
    pub(super) fn new(resp3: bool) -> Self {
        Out { bytes: Vec::new(), pushes: false, resp3 }
    }

    /// What follows is in that protocol.
    pub(super) fn switch(&mut self, resp3: bool) {
        self.resp3 = resp3;
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.bytes.push(kind);
        // As servers do: a line break inside a status or error becomes a space.
        self.bytes.extend(text.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn number(&mut self, kind: u8, number: u64, negative: bool) {
        let mut digits = [0; 20];
        let (mut at, mut rest) = (digits.len(), number);
        while rest > 0 || at == digits.len() {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.bytes.push(kind);
        if negative {
            self.bytes.push(b'-');
        }
        self.bytes.extend_from_slice(&digits[at..]);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn header(&mut self, kind: u8, count: usize) {
        self.number(kind, u64::try_from(count).unwrap_or(u64::MAX), false);
    }

    pub(super) fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// A status of any bytes.
    pub(super) fn status(&mut self, text: &[u8]) {
        self.line(b'+', text);
    }

    pub(super) fn ok(&mut self) {
        self.simple("OK");
    }

    /// An error line; `text` begins with its code.
    pub(super) fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    pub(super) fn int(&mut self, number: i64) {
        self.number(b':', number.unsigned_abs(), number < 0);
    }

    pub(super) fn count(&mut self, number: usize) {
        self.header(b':', number);
    }

    pub(super) fn bulk(&mut self, bytes: impl AsRef<[u8]>) {
        self.header(b'$', bytes.as_ref().len());
        self.bytes.extend_from_slice(bytes.as_ref());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// A text that RESP3 marks as such.
    pub(super) fn verbatim(&mut self, text: &str) {
        if self.resp3 {
            self.header(b'=', text.len() + 4);
            self.bytes.extend_from_slice(b"txt:");
            self.bytes.extend_from_slice(text.as_bytes());
            self.bytes.extend_from_slice(b"\r\n");
        } else {
            self.bulk(text);
        }
    }

    pub(super) fn null(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    pub(super) fn null_array(&mut self) {
        self.bytes.extend_from_slice(if self.resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    pub(super) fn array(&mut self, count: usize) {
        self.header(b'*', count);
    }

    /// Header of a map of `pairs` pairs; in RESP2 a flat array.
    pub(super) fn map(&mut self, pairs: usize) {
        if self.resp3 { self.header(b'%', pairs) } else { self.array(pairs * 2) }
    }

    /// Header of a set; in RESP2 an array.
    pub(super) fn set(&mut self, count: usize) {
        self.header(if self.resp3 { b'~' } else { b'*' }, count);
    }

    /// Header of a push; in RESP2 an array.
    pub(super) fn push(&mut self, count: usize) {
        self.header(if self.resp3 { b'>' } else { b'*' }, count);
    }

    pub(super) fn opt_bulk(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Out;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 1, -1, 9, 10, -10, 1234567890, i64::MAX, i64::MIN] {
            let mut out = Out::new(true);
            out.int(number);
            assert_eq!(out.bytes, format!(":{number}\r\n").into_bytes());
        }
    }
}

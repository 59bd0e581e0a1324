//! Just enough RESP for the simulated servers and the checkers, written apart from the core's.

use std::borrow::Cow;

/// What stands at the start of a request stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// A command, and its length.
    Command(Vec<Vec<u8>>, usize),
    /// Not yet a whole command.
    More,
    /// No command at all: an honest client never sends this.
    Bad,
}

fn line(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let end = rest.iter().position(|byte| *byte == b'\r')?;
    rest.get(end + 1).filter(|byte| **byte == b'\n')?;
    Some((&rest[..end], at + end + 2))
}

fn number(text: &[u8]) -> Option<i64> {
    let (minus, digits) = text.strip_prefix(b"-").map_or((false, text), |digits| (true, digits));
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut n = 0;
    for digit in digits {
        n = n * 10 + i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
    }
    Some(if minus { -n } else { n })
}

/// Reads one command of the array form.
#[must_use]
pub fn request(bytes: &[u8]) -> Request {
    match bytes.first() {
        None => return Request::More,
        Some(b'*') => {}
        Some(_) => return Request::Bad,
    }
    let Some((header, mut at)) = line(bytes, 1) else {
        return if bytes.len() > 32 { Request::Bad } else { Request::More };
    };
    let Some(count) = number(header).filter(|n| (1..=100_000).contains(n)) else { return Request::Bad };
    let mut words = Vec::with_capacity(count as usize);
    for _ in 0..count {
        match bytes.get(at) {
            None => return Request::More,
            Some(b'$') => {}
            Some(_) => return Request::Bad,
        }
        let Some((header, start)) = line(bytes, at + 1) else {
            return if bytes.len() - at > 32 { Request::Bad } else { Request::More };
        };
        let Some(len) = number(header).filter(|n| *n >= 0) else { return Request::Bad };
        let end = start + len as usize;
        match (bytes.get(start..end), bytes.get(end..end + 2)) {
            (Some(word), Some(b"\r\n")) => words.push(word.to_vec()),
            (_, Some(_)) => return Request::Bad,
            _ => return Request::More,
        }
        at = end + 2;
    }
    Request::Command(words, at)
}

/// The length of the value at the start, attributes in front of it included; `None` if it is not whole.
#[must_use]
pub fn value_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    // Values still to come.
    let mut left = 1_u64;
    while left > 0 {
        let kind = *bytes.get(at)?;
        let (header, next) = line(bytes, at + 1)?;
        at = next;
        left -= 1;
        match kind {
            b'$' | b'!' | b'=' => {
                if let Ok(len) = usize::try_from(number(header)?) {
                    at += len + 2;
                    if at > bytes.len() {
                        return None;
                    }
                }
            }
            b'*' | b'~' | b'>' => left += u64::try_from(number(header)?).unwrap_or(0),
            b'%' => left += 2 * u64::try_from(number(header)?).unwrap_or(0),
            b'|' => left += 2 * u64::try_from(number(header)?).unwrap_or(0) + 1,
            _ => {}
        }
    }
    Some(at)
}

/// A value without the attributes in front of it.
#[must_use]
pub fn without_attributes(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    while rest.first() == Some(&b'|') {
        let Some((header, mut at)) = line(rest, 1) else { return rest };
        for _ in 0..2 * number(header).unwrap_or(0) {
            at += rest.get(at..).and_then(value_len).unwrap_or(0);
        }
        rest = rest.get(at..).unwrap_or_default();
    }
    rest
}

/// A value without any attributes, wherever they stand.
#[must_use]
pub fn bare(bytes: &[u8]) -> Cow<'_, [u8]> {
    if !bytes.contains(&b'|') {
        return Cow::Borrowed(bytes);
    }
    let mut at = 0;
    let mut rest = Vec::with_capacity(bytes.len());
    while let Some(kind) = bytes.get(at).copied() {
        let Some((header, mut next)) = line(bytes, at + 1) else { break };
        if kind == b'|' {
            for _ in 0..2 * number(header).unwrap_or(0) {
                next += bytes.get(next..).and_then(value_len).unwrap_or(0);
            }
        } else {
            if let (b'$' | b'!' | b'=', Some(Ok(len))) = (kind, number(header).map(usize::try_from)) {
                next = (next + len + 2).min(bytes.len());
            }
            rest.extend_from_slice(&bytes[at..next]);
        }
        at = next;
    }
    Cow::Owned(rest)
}

/// The payloads of a value in order, each behind its kind: what a reader of tokens sees of it.
#[must_use]
pub fn flatten(bytes: &[u8]) -> Vec<u8> {
    let mut at = 0;
    let mut flat = Vec::new();
    while let Some(kind) = bytes.get(at).copied() {
        let Some((header, next)) = line(bytes, at + 1) else { break };
        at = next;
        match kind {
            b'$' | b'!' | b'=' => match number(header).map(usize::try_from) {
                Some(Ok(len)) => {
                    flat.push(kind);
                    // The format of a verbatim text is no part of its tokens.
                    let format = if kind == b'=' { 4 } else { 0 };
                    flat.extend_from_slice(bytes.get(at + format..at + len).unwrap_or_default());
                    at += len + 2;
                }
                _ => flat.push(b'_'),
            },
            b'*' | b'~' | b'>' | b'%' | b'|' if header == b"-1" => flat.push(b'_'),
            b'_' => flat.push(b'_'),
            _ => {
                flat.push(kind);
                flat.extend_from_slice(header);
            }
        }
    }
    flat
}

fn header(kind: u8, mut number: usize, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    while number > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.push(kind);
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

/// Appends a command.
pub fn command(words: &[&[u8]], out: &mut Vec<u8>) {
    out.reserve(words.iter().map(|word| word.len() + 16).sum());
    header(b'*', words.len(), out);
    for word in words {
        header(b'$', word.len(), out);
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_cut_out_of_the_stream() {
        let mut bytes = Vec::new();
        command(&[b"SET", b"k", b"a\r\nb"], &mut bytes);
        let len = bytes.len();
        for cut in 0..len {
            assert_eq!(request(&bytes[..cut]), Request::More, "{cut}");
        }
        bytes.extend_from_slice(b"*1\r\n");
        let words = [&b"SET"[..], b"k", b"a\r\nb"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(request(&bytes), Request::Command(words, len));
        assert_eq!(request(b"PING\r\n"), Request::Bad);
        assert_eq!(request(b"*1\r\n:1\r\n"), Request::Bad);
    }

    #[test]
    fn values_are_measured() {
        for whole in [
            "+OK\r\n",
            "$3\r\nabc\r\n",
            "$-1\r\n",
            "*2\r\n:1\r\n*1\r\n_\r\n",
            "|1\r\n+a\r\n+b\r\n:3\r\n",
            "%1\r\n+a\r\n#t\r\n",
        ] {
            let mut bytes = whole.as_bytes().to_vec();
            bytes.extend_from_slice(b"+more\r\n");
            assert_eq!(value_len(&bytes), Some(whole.len()), "{whole:?}");
            for cut in 0..whole.len() {
                assert_eq!(value_len(&whole.as_bytes()[..cut]), None, "{whole:?} {cut}");
            }
        }
    }

    #[test]
    fn attributes_are_taken_off() {
        assert_eq!(without_attributes(b"|1\r\n+a\r\n|1\r\n+b\r\n+c\r\n:1\r\n+OK\r\n"), b"+OK\r\n");
        assert_eq!(without_attributes(b"+OK\r\n"), b"+OK\r\n");
        let inside = b"*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n$3\r\na|b\r\n|1\r\n+c\r\n%0\r\n:2\r\n";
        assert_eq!(*bare(inside), b"*2\r\n$3\r\na|b\r\n:2\r\n"[..]);
        assert_eq!(*bare(b"$3\r\na|b\r\n"), b"$3\r\na|b\r\n"[..]);
    }

    #[test]
    fn flattened_values_tell_contents_apart() {
        assert_eq!(flatten(b"*2\r\n$1\r\na\r\n:7\r\n"), b"*2$a:7");
        assert_ne!(flatten(b"$1\r\na\r\n"), flatten(b"$1\r\nb\r\n"));
        assert_eq!(flatten(b"$-1\r\n"), flatten(b"_\r\n"));
    }
}

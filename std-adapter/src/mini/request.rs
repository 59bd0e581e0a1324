//! Cutting a byte stream into commands.

/// What stands at the start of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A command (empty for `*0`, `*-1` and empty lines, which have no reply) and the number of its bytes.
    Command(Vec<Vec<u8>>, usize),
    /// Not yet a whole command.
    More,
    /// Bytes that are no command: the server's error text.
    Bad(&'static str),
}

const LONGEST_LINE: usize = 64 * 1024;
const LONGEST_BULK: usize = 512 * 1024 * 1024;
const MOST_WORDS: usize = 1024 * 1024;

/// Reads one command, in array or inline form.
pub(super) fn next(buf: &[u8]) -> Next {
    let Some(first) = buf.first() else { return Next::More };
    if *first != b'*' { inline(buf) } else { array(buf) }
}

/// The line at `at` without its end, and where the next one begins.
fn line(buf: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = buf.get(at..)?;
    let end = rest.iter().position(|b| *b == b'\n')?;
    let text = &rest[..end];
    Some((text.strip_suffix(b"\r").unwrap_or(text), at + end + 1))
}

fn inline(buf: &[u8]) -> Next {
    let Some((text, used)) = line(buf, 0) else {
        return if buf.len() > LONGEST_LINE {
            Next::Bad("ERR Protocol error: too big inline request")
        } else {
            Next::More
        };
    };
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    Next::Command(words.map(<[u8]>::to_vec).collect(), used)
}

/// A canonical decimal number.
fn number(text: &[u8]) -> Option<i64> {
    let n: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (n.to_string().as_bytes() == text).then_some(n)
}

fn array(buf: &[u8]) -> Next {
    let Some((header, mut at)) = line(buf, 1) else {
        let long = buf.len() > LONGEST_LINE;
        return if long { Next::Bad("ERR Protocol error: too big mbulk count string") } else { Next::More };
    };
    let count = match number(header) {
        Some(n) if n <= 0 => 0,
        Some(n) if usize::try_from(n).is_ok_and(|n| n <= MOST_WORDS) => n as usize,
        _ => return Next::Bad("ERR Protocol error: invalid multibulk length"),
    };
    let mut words = Vec::new();
    for _ in 0..count {
        match buf.get(at) {
            None => return Next::More,
            Some(b'$') => {}
            Some(_) => return Next::Bad("ERR Protocol error: expected '$'"),
        }
        let Some((header, start)) = line(buf, at + 1) else {
            let long = buf.len() - at > LONGEST_LINE;
            return if long { Next::Bad("ERR Protocol error: too big bulk count string") } else { Next::More };
        };
        let len = match number(header).map(usize::try_from) {
            Some(Ok(len)) if len <= LONGEST_BULK => len,
            _ => return Next::Bad("ERR Protocol error: invalid bulk length"),
        };
        match (buf.get(start..start + len), buf.get(start + len..start + len + 2)) {
            (Some(word), Some(b"\r\n")) => words.push(word.to_vec()),
            (_, Some(_)) => return Next::Bad("ERR Protocol error: invalid CRLF in request"),
            _ => return Next::More,
        }
        at = start + len + 2;
    }
    Next::Command(words, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_prefix_waits_and_the_whole_is_a_command() {
        let whole = b"*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n";
        for cut in 0..whole.len() {
            assert_eq!(next(&whole[..cut]), Next::More, "{cut}");
        }
        assert_eq!(next(whole), Next::Command(vec![b"GET".to_vec(), b"a\r\nb".to_vec()], whole.len()));
    }

    #[test]
    fn odd_forms() {
        assert_eq!(next(b"*0\r\n"), Next::Command(vec![], 4));
        assert_eq!(next(b"*-1\r\n"), Next::Command(vec![], 5));
        assert_eq!(next(b"\r\n"), Next::Command(vec![], 2));
        assert_eq!(next(b"PING  x\r\n"), Next::Command(vec![b"PING".to_vec(), b"x".to_vec()], 9));
        assert!(matches!(next(b"*01\r\n"), Next::Bad(_)));
        assert!(matches!(next(b"*1\r\n:1\r\n"), Next::Bad(_)));
        assert!(matches!(next(b"*1\r\n$-1\r\n"), Next::Bad(_)));
        assert!(matches!(next(b"*1\r\n$1\r\nabc"), Next::Bad(_)));
    }
}

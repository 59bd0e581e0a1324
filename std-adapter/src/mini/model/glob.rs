//! Patterns of KEYS, SCAN and PSUBSCRIBE.

/// Whether `text` fits `pattern`: `*`, `?`, `[a-z]`, `[^x]` and `\` as in Redis.
pub(super) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    // Where to go on after the last star: pattern behind it, text from which it may eat one byte more.
    let mut star: Option<(&[u8], &[u8])> = None;
    let (mut p, mut t) = (pattern, text);
    loop {
        if let [b'*', rest @ ..] = p {
            star = Some((rest, t));
            p = rest;
            continue;
        }
        let Some((&byte, t_rest)) = t.split_first() else { return p.is_empty() };
        match one(p, byte) {
            Some(p_rest) => (p, t) = (p_rest, t_rest),
            None => {
                let Some((p_again, [_, t_again @ ..])) = star else { return false };
                star = Some((p_again, t_again));
                (p, t) = (p_again, t_again);
            }
        }
    }
}

/// The pattern behind its first element, if that fits `byte`.
fn one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'\\', literal, rest @ ..] => (*literal == byte).then_some(rest),
        [b'[', rest @ ..] => {
            let (fits, rest) = class(rest, byte);
            fits.then_some(rest)
        }
        [literal, rest @ ..] => (*literal == byte).then_some(rest),
        [] => None,
    }
}

/// A class without its opening bracket; an unclosed one ends with the pattern.
fn class(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (not, mut p) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut fits = false;
    loop {
        match p {
            [] => return (fits != not, p),
            [b']', rest @ ..] => return (fits != not, rest),
            [b'\\', literal, rest @ ..] => {
                fits |= *literal == byte;
                p = rest;
            }
            [a, b'-', b, rest @ ..] => {
                fits |= (*a.min(b)..=*a.max(b)).contains(&byte);
                p = rest;
            }
            [literal, rest @ ..] => {
                fits |= *literal == byte;
                p = rest;
            }
        }
    }
}

/// The one slot in which keys fitting the pattern can lie: known when no wildcard stands before the end of its hash tag.
pub(super) fn only_slot(pattern: &[u8]) -> Option<u16> {
    let mut open = None;
    for (at, &byte) in pattern.iter().enumerate() {
        match byte {
            b'*' | b'?' | b'[' | b'\\' => return None,
            b'{' if open.is_none() => open = Some(at),
            b'}' if open.is_some_and(|open| at != open + 1) => break,
            _ => {}
        }
    }
    Some(super::store::slot_of(pattern))
}

#[cfg(test)]
mod tests {
    use super::{matches, only_slot};

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*b*c", "a--b--bc", true),
            ("a*b*c", "a--b--b", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h[c-a]llo", "hbllo", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("*aab", "aaaab", true),
            ("[ab", "a", true),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), fits, "{pattern} {text}");
        }
    }

    #[test]
    fn slots_of_patterns() {
        assert_eq!(only_slot(b"{foo}*"), Some(12182));
        assert_eq!(only_slot(b"foo"), Some(12182));
        assert_eq!(only_slot(b"*{foo}"), None);
        assert_eq!(only_slot(b"{f?o}"), None);
        assert_eq!(only_slot(b"x{foo}?"), Some(12182));
    }
}

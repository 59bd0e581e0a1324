//! IP addresses as text, read without a panicking path (the parser of `core::net` has some).

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that `host` spells, or `None` if it is a name. IPv6 stands without brackets and without a zone.
///
/// Four decimal parts are an IPv4 address; a part with a leading zero is not, since some read it as octal.
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    let text = host.as_bytes();
    if text.contains(&b':') {
        v6(text).map(IpAddr::V6)
    } else {
        v4(text).map(|octets| IpAddr::V4(Ipv4Addr::from(octets)))
    }
}

fn v4(text: &[u8]) -> Option<[u8; 4]> {
    let mut octets = [0; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        *octet = decimal(parts.next()?)?;
    }
    parts.next().is_none().then_some(octets)
}

fn decimal(digits: &[u8]) -> Option<u8> {
    if digits.is_empty() || digits.len() > 3 || (digits.len() > 1 && digits.first() == Some(&b'0')) {
        return None;
    }
    let mut value = 0_u16;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| digit.wrapping_sub(b'0'))?;
        value = value.wrapping_mul(10).wrapping_add(u16::from(digit));
    }
    u8::try_from(value).ok()
}

fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    let gap = text.windows(2).position(|pair| pair == b"::");
    let (mut head, mut tail) = ([0_u16; 8], [0_u16; 8]);
    let groups = match gap {
        None => {
            let count = run(text, &mut head)?;
            return (count == 8).then(|| Ipv6Addr::from(head));
        }
        Some(at) => {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at.saturating_add(2)..).unwrap_or_default();
            // An IPv4 tail stands at the end only.
            if before.contains(&b'.') {
                return None;
            }
            (run(before, &mut head)?, run(after, &mut tail)?)
        }
    };
    let total = groups.0.saturating_add(groups.1);
    // The gap stands for one group at least.
    if total > 7 {
        return None;
    }
    let skipped = 8_usize.saturating_sub(groups.1);
    for (place, group) in head.iter_mut().skip(skipped).zip(tail) {
        *place = group;
    }
    Some(Ipv6Addr::from(head))
}

/// Groups between colons into the front of `out`, the last of them perhaps as an IPv4 address; how many there are.
fn run(text: &[u8], out: &mut [u16; 8]) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let mut count = 0_usize;
    let mut parts = text.split(|byte| *byte == b':').peekable();
    while let Some(part) = parts.next() {
        if part.contains(&b'.') && parts.peek().is_none() {
            let [a, b, c, d] = v4(part)?;
            *out.get_mut(count)? = u16::from_be_bytes([a, b]);
            count = count.saturating_add(1);
            *out.get_mut(count)? = u16::from_be_bytes([c, d]);
        } else {
            *out.get_mut(count)? = hex(part)?;
        }
        count = count.saturating_add(1);
    }
    Some(count)
}

fn hex(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 4 {
        return None;
    }
    let mut value = 0_u16;
    for digit in digits {
        let digit = match digit {
            b'0'..=b'9' => digit.wrapping_sub(b'0'),
            b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
            b'A'..=b'F' => digit.wrapping_sub(b'A').wrapping_add(10),
            _ => return None,
        };
        value = (value << 4) | u16::from(digit);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::format;
    use std::string::String;
    use std::vec::Vec;

    use super::*;

    #[test]
    fn reads_what_the_standard_library_reads() {
        let texts = [
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.",
            ".1.2.3",
            "",
            "1.2.3.4 ",
            "redis-1",
            "::",
            "::1",
            "1::",
            "fe80::1",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "1:2:3:4:5:6:7",
            "1::2::3",
            ":::",
            ":1",
            "1:",
            "1:2:3:4:5:6:7::",
            "::2:3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "::ffff:10.0.0.1",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "::1.2.3.4:5",
            "::1.2.3",
            "12345::",
            "g::",
            "::G",
            "FE80::aBcD",
            "[::1]",
            "fe80::1%eth0",
            "::ffff:0:0",
            "1:2::7:8",
            "é",
        ];
        for text in texts {
            assert_eq!(literal(text), text.parse().ok(), "{text:?}");
        }
    }

    #[test]
    fn agrees_with_the_standard_library_on_random_texts() {
        let mut rand = slotwise::rand::Rand::new(1);
        let (mut addresses, pieces) = (0, ["0", "1", "ff", "10", "255", "256", "abcd", ":", "::", ".", ":", "."]);
        for _ in 0..200_000 {
            let length = 1 + rand.below(15);
            let picks: Vec<_> = (0..length).map(|_| pieces[rand.below(pieces.len() as u32) as usize]).collect();
            let text: String = picks.concat();
            assert_eq!(literal(&text), text.parse().ok(), "{text:?}");
            addresses += u32::from(literal(&text).is_some());
        }
        assert!(addresses > 100, "{addresses} addresses were tried");
        for _ in 0..1_000 {
            let address = Ipv6Addr::from([(); 8].map(|()| rand.below(3).wrapping_mul(rand.next_u32()) as u16));
            assert_eq!(literal(&format!("{address}")), Some(IpAddr::V6(address)));
        }
    }
}

//! Slots of keys, against `CLUSTER KEYSLOT` of real servers and against pairs noted from them.

use slotwise::slot::{Slot, SlotRange, tag_for};
use slotwise_tests::real::{Cluster, ServerKind};

/// Odd keys: empty, braces in every form, bytes that are no text.
const ODD: [&[u8]; 32] = [
    b"",
    b"{",
    b"}",
    b"{}",
    b"}{",
    b"{{",
    b"}}",
    b"{}{}",
    b"{{}}",
    b"{a",
    b"a{",
    b"a}",
    b"}a{",
    b"{a}",
    b"{a}{b}",
    b"{}{a}",
    b"a{}b{c}",
    b"{a{b}c}",
    b"{{a}}",
    b"x{y}z",
    b"{ }",
    b"{\0}",
    b"\0",
    b"\xff\xff",
    b"{\r\n}x",
    b"\r\n",
    b"{\xc3\xa9}:1",
    b"a{b{c{d}e}f}",
    b"}}}{{{a}}}",
    b"{}}",
    b"{}}a{b}",
    b"12345678{9}12345678",
];

#[test]
fn slots_are_those_of_the_servers() {
    let mut keys: Vec<Vec<u8>> = ODD.iter().map(|key| key.to_vec()).collect();
    // Braces at every distance from the ends, since the search goes by words of eight bytes and blocks of 32.
    for len in 1..80 {
        for open in 0..len {
            let mut key = vec![b'k'; len];
            key[open] = b'{';
            keys.push(key.clone());
            key[(open + 1 + len / 3).min(len - 1)] = b'}';
            keys.push(key);
        }
    }
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 11
    };
    let narrow = b"{}ab\0\xff\r\n";
    for round in 0..20_000 {
        let len = (random() % if round % 10 == 0 { 300 } else { 24 }) as usize;
        let byte = |n: u64| if round % 2 == 0 { narrow[(n % 8) as usize] } else { n as u8 };
        keys.push((0..len).map(|_| byte(random())).collect());
    }
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(cluster) = Cluster::start(kind, 1, 0) else { continue };
        let mut conn = cluster.connect(0);
        for chunk in keys.chunks(1000) {
            let questions: Vec<Vec<Vec<u8>>> =
                chunk.iter().map(|key| vec![b"CLUSTER".to_vec(), b"KEYSLOT".to_vec(), key.clone()]).collect();
            for (key, answer) in chunk.iter().zip(conn.pipeline(&questions).unwrap()) {
                let ours = i64::from(Slot::of_key(key).get());
                assert_eq!(answer.int(), Some(ours), "{kind:?}: {}", key.escape_ascii());
            }
        }
        println!("{kind:?}: {} keys", keys.len());
    }
}

#[test]
fn slots_are_those_noted() {
    let pairs: Vec<(String, u16)> = serde_json::from_str(include_str!("../facts/keyslot-table.json")).unwrap();
    assert!(pairs.len() >= 48);
    for (text, slot) in pairs {
        assert_eq!(Slot::of_key(&unescape(&text)).get(), slot, "{text}");
    }
}

/// `\xHH` as in C, and two keys of a thousand bytes that are noted by their beginning.
fn unescape(text: &str) -> Vec<u8> {
    let long = "a".repeat(1000);
    match text {
        "aaaaaaaaaaaa…(1000 bytes)" => return long.into_bytes(),
        "{aaaaaaaaaaa…(1003 bytes)" => return format!("{{{long}}}z").into_bytes(),
        _ => {}
    }
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\' {
            out.push(u8::from_str_radix(str::from_utf8(&rest[1..3]).unwrap(), 16).unwrap());
            rest = &rest[3..];
        } else {
            out.push(byte);
        }
    }
    out
}

/// The tags this crate finds are short, and a CLUSTERSCAN cursor made of one is of its slot.
#[test]
fn tags_hash_to_their_slots() {
    for slot in SlotRange::ALL {
        let tag = tag_for(slot);
        let cursor = [b"0-{", tag.as_slice(), b"}-0"].concat();
        assert_eq!(Slot::of_key(&cursor), slot);
    }
}

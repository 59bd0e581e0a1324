//! The slot of any key is that of the rule as the cluster specification words it, with CRC16 taken bit by bit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::slot::{Slot, crc16, hash_tag};

fuzz_target!(|key: &[u8]| {
    let tag = match key.iter().position(|&byte| byte == b'{') {
        Some(open) => match key[open + 1..].iter().position(|&byte| byte == b'}') {
            Some(len) if len > 0 => &key[open + 1..open + 1 + len],
            _ => key,
        },
        None => key,
    };
    assert_eq!(hash_tag(key), tag);
    let crc = tag.iter().fold(0_u16, |crc, &byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ if crc & 0x8000 != 0 { 0x1021 } else { 0 })
    });
    assert_eq!(crc16(tag), crc);
    assert_eq!(Slot::of_key(key).get(), crc % Slot::COUNT);
});

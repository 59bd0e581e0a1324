//! CLUSTER SLOTS: applied whole or rejected, the same however the bytes are cut, in both layouts of the map.
#![no_main]

use libfuzzer_sys::fuzz_target;
use slotwise::topology::ReplyKind;

fuzz_target!(|data: &[u8]| slotwise_fuzz::topology::check(data, ReplyKind::Slots));

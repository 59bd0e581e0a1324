//! The simulator in tape mode with an adversary among the servers, whose lies the tape decides: what is promised of
//! the honest ones still holds.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| slotwise_fuzz::simulated::play(data, true));

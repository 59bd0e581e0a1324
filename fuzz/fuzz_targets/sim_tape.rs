//! The simulator in tape mode: whatever the tape decides, no promise of the core is broken.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| slotwise_fuzz::simulated::play(data, false));

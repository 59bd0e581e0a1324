//! The connection state machine under any order of operations: every command ends once and truthfully, every reply
//! belongs to the command it is handed out for, and the engine comes to rest.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| slotwise_fuzz::connection::Run::play(data));

//! The simulator of the tests, played from the bytes of an input: every decision of the network, the servers, the
//! applications and the faults is read from it. A broken promise is a crash.

use slotwise_tests::sim::options::Wishes;
use slotwise_tests::sim::report::failure;
use slotwise_tests::sim::run;
use slotwise_tests::sim::trace::SHOWN;

/// Plays a tape: a saved one, or any bytes. With an adversary among the servers if wanted.
///
/// # Panics
/// When a promise is broken; the text is what the simulator prints of a failure.
pub fn play(input: &[u8], hostile: bool) {
    let wishes = Wishes::small(hostile);
    if run::tape(input, &wishes).violation.is_some() {
        let told = run::tape(input, &Wishes { shown: Some(SHOWN), ..wishes });
        if let Some(violation) = &told.violation {
            panic!("{}", failure("the input", &told, violation));
        }
    }
}

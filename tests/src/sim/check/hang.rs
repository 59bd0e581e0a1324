//! I11: a call that does not come back. Nothing inside of a run can notice that, so somebody outside looks whether runs go on.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

static SEED: AtomicU64 = AtomicU64::new(0);
static STEPS: AtomicU64 = AtomicU64::new(0);

/// No event of a run takes so long, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says which seed runs now; the first call sets the watchman. A run that stands still ends the process.
pub fn begin(seed: u64) {
    begin_with(seed, PATIENCE);
}

/// The same with another patience.
pub fn begin_with(seed: u64, patience: Duration) {
    static WATCH: Once = Once::new();
    SEED.store(seed, Ordering::Relaxed);
    step();
    WATCH.call_once(|| {
        std::thread::spawn(move || {
            let mut last = (0, 0);
            loop {
                std::thread::sleep(patience);
                let seen = (SEED.load(Ordering::Relaxed), STEPS.load(Ordering::Relaxed));
                if seen == last && seen.0 != 0 {
                    eprintln!("seed {}: invariant I11 is broken: a call does not come back", seen.0);
                    std::process::exit(3);
                }
                last = seen;
            }
        });
    });
}

/// The runs are over.
pub fn end() {
    SEED.store(0, Ordering::Relaxed);
}

/// A run goes on.
pub fn step() {
    STEPS.fetch_add(1, Ordering::Relaxed);
}

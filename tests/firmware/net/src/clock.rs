//! The time since the start, from the SysTick timer.

use core::cell::Cell;
use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::interrupt::{self, Mutex};
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use slotwise::time::Instant;
use slotwise_embedded::Clock;

/// The chip's clock after a reset, in ticks a millisecond.
const TICKS: u32 = 12_500;

/// Milliseconds since the start: enough for 49 days.
static MILLIS: AtomicU32 = AtomicU32::new(0);

/// The last time that was told.
static LAST: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

/// Starts the timer, which interrupts every millisecond.
pub fn start(mut timer: SYST) {
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(TICKS - 1);
    timer.clear_current();
    timer.enable_counter();
    timer.enable_interrupt();
}

/// For the timer's handler.
pub fn tick() {
    MILLIS.fetch_add(1, Ordering::Relaxed);
}

/// Microseconds since the start.
pub fn micros() -> u64 {
    interrupt::free(|section| {
        let millis = MILLIS.load(Ordering::Relaxed);
        let passed = TICKS.saturating_sub(1).saturating_sub(SYST::get_current());
        let now = u64::from(millis) * 1_000 + u64::from(passed) * 1_000 / u64::from(TICKS);
        // The counter may have begun anew before its interrupt came: the time must not go back meanwhile.
        let last = LAST.borrow(section);
        last.set(last.get().max(now));
        last.get()
    })
}

/// The time since the start.
pub fn now() -> Instant {
    Instant::from_micros(micros())
}

/// [`now`] for a driver.
#[derive(Clone, Copy)]
pub struct SysTick;

impl Clock for SysTick {
    fn now(&mut self) -> Instant {
        now()
    }
}

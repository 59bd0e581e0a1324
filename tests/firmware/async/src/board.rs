//! What differs from board to board. Here: time from SysTick, and an Ethernet port without a cable.

use core::cell::RefCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Waker};

use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;
use critical_section::Mutex;
use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use embassy_time_driver::{Driver as TimeDriver, time_driver_impl};
use embassy_time_queue_utils::Queue;

/// Where the cluster is.
pub(crate) const SEED: (&str, u16) = ("10.0.0.1", 7000);

/// A number no other device has, from the chip's serial number, say.
pub(crate) fn device_id() -> u64 {
    0x5e_ed0f_7415
}

// ---- time ----

/// Cycles of a millisecond.
const MILLISECOND: u32 = 12_500;

/// Milliseconds since the start, in two halves: there is no 64-bit counter that an interrupt could write at once.
struct Time {
    low: AtomicU32,
    high: AtomicU32,
    queue: Mutex<RefCell<Queue>>,
}

time_driver_impl!(static TIME: Time = Time {
    low: AtomicU32::new(0),
    high: AtomicU32::new(0),
    queue: Mutex::new(RefCell::new(Queue::new())),
});

pub(crate) fn start_clock() {
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        let mut systick = peripherals.SYST;
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(MILLISECOND - 1);
        systick.clear_current();
        systick.enable_counter();
        systick.enable_interrupt();
    }
}

#[exception]
fn SysTick() {
    let low = TIME.low.load(Ordering::Relaxed).wrapping_add(1);
    TIME.low.store(low, Ordering::Relaxed);
    if low == 0 {
        TIME.high.store(TIME.high.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
    critical_section::with(|token| TIME.queue.borrow_ref_mut(token).next_expiration(TIME.now()));
}

impl TimeDriver for Time {
    fn now(&self) -> u64 {
        let (high, low) =
            critical_section::with(|_| (self.high.load(Ordering::Relaxed), self.low.load(Ordering::Relaxed)));
        ((u64::from(high) << 32) | u64::from(low)) * 1_000
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        // The next millisecond looks whether it is due.
        critical_section::with(|token| self.queue.borrow_ref_mut(token).schedule_wake(at, waker));
    }
}

// ---- Ethernet ----

/// The place of the board's Ethernet driver; this one never sees a frame.
pub(crate) struct Ethernet;

pub(crate) enum NoFrame {}

impl RxToken for NoFrame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: F) -> R {
        match self {}
    }
}

impl TxToken for NoFrame {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, _: usize, _: F) -> R {
        match self {}
    }
}

impl Driver for Ethernet {
    type RxToken<'a> = NoFrame;
    type TxToken<'a> = NoFrame;

    fn receive(&mut self, _: &mut Context<'_>) -> Option<(NoFrame, NoFrame)> {
        None
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<NoFrame> {
        None
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet([2, 0, 0, 0, 0, 1])
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    cortex_m::interrupt::disable();
    loop {
        cortex_m::asm::wfi();
    }
}

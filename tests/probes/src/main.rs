//! A bare-metal program that calls the rooms of the core. It has no allocator: if anything it links needed one, the
//! build would stop with "no global memory allocator found". `tests/no-std.sh` builds it and looks at its symbols.
//!
//! The bytes that the rooms are given pass through `black_box`, so that nothing is computed at compile time and the
//! linker has to keep the code.
#![no_std]
#![no_main]

#[cfg(feature = "control-alloc")]
extern crate alloc;

mod rooms;

use core::hint::black_box;

/// Where the processor starts. The program is linked, not run.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> ! {
    let input = black_box(b"*2\r\n$3\r\nGET\r\n$5\r\nhello\r\n".as_slice());
    black_box(rooms::call_all(input));
    #[cfg(feature = "control-alloc")]
    black_box(alloc::vec::Vec::from(input));
    #[cfg(feature = "control-panic")]
    black_box(input[black_box(1)]);
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(feature = "no-panic")]
unsafe extern "C" {
    /// Defined nowhere.
    fn slotwise_can_panic() -> !;
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "no-panic")]
    // SAFETY: no such function exists, so a program that still holds this call does not link.
    unsafe {
        slotwise_can_panic()
    }
    #[cfg(not(feature = "no-panic"))]
    loop {
        core::hint::spin_loop();
    }
}

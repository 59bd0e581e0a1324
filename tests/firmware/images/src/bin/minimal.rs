//! The minimal image: parser, encoder, slot, map, splitter and scan, with a table cut to its commands.
#![no_std]
#![no_main]

#[cfg(feature = "control-alloc")]
extern crate alloc;

use slotwise_images::{Report, board, minimal};

/// Called by the board: 0 when every check held.
#[unsafe(no_mangle)]
pub extern "C" fn image() -> u32 {
    let mut report = Report::default();
    minimal::run(&mut report);
    #[cfg(feature = "control-alloc")]
    core::hint::black_box(alloc::vec::Vec::from(core::hint::black_box([1_u8]).as_slice()));
    #[cfg(feature = "control-panic")]
    core::hint::black_box([1_u8].as_slice()[core::hint::black_box(0)]);
    board::print_number("checks \0", report.checks);
    board::print_number("failed \0", report.failed);
    u32::from(report.failed != 0)
}

//! The image that links every public function of the core as it stands.
#![no_std]
#![no_main]

use slotwise_images::{board, every};

/// Called by the board.
#[unsafe(no_mangle)]
pub extern "C" fn image() -> u32 {
    every::keep();
    board::print_number("checks \0", 0);
    0
}

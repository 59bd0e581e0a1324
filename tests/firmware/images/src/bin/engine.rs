//! The engine image: everything, with the full command table.
#![no_std]
#![no_main]

use slotwise_images::adapter::Adapter;
use slotwise_images::engine::{self, Application};
use slotwise_images::{Report, board};

/// Called by the board: 0 when every check held.
#[unsafe(no_mangle)]
pub extern "C" fn image() -> u32 {
    let mut report = Report::default();
    engine::run(&mut Adapter::new(), &mut Application::new(), &mut report);
    #[cfg(all(feature = "measure", target_arch = "arm"))]
    {
        slotwise_images::measure::print_sizes();
        slotwise_images::measure::print();
    }
    board::print_number("checks \0", report.checks);
    board::print_number("failed \0", report.failed);
    u32::from(report.failed != 0)
}

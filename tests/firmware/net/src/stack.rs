//! How much of the stack was ever used.

use core::ptr;

/// What the runtime fills the stack with before `main`.
const PAINT: u32 = 0xcccc_cccc;

unsafe extern "C" {
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Bytes of the stack, and the most that was in use so far.
pub fn used() -> (usize, usize) {
    let (bottom, top) = (&raw const _stack_end, &raw const _stack_start);
    let mut at = bottom;
    // SAFETY: both symbols are aligned bounds of the stack's memory, which is readable from one to the other. What is
    // being written at the upper end at this time (our own frame) is not paint, so the walk ends before it.
    while at < top && unsafe { ptr::read_volatile(at) } == PAINT {
        at = at.wrapping_add(1);
    }
    (top as usize - bottom as usize, top as usize - at as usize)
}

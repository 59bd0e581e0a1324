//! I8: an allocator that counts what each thread holds.
//!
//! A program that installs it (`#[global_allocator] static HEAP: Counting = Counting;`) lets the simulator see what is
//! allocated inside an engine's calls: the core has no heap, so that can only be its tables growing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The system's allocator, counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

fn note(bytes: i64) {
    // A thread that is ending has no count any more.
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(bytes)));
}

/// Bytes that this thread has allocated and not freed, minus those of others that it has freed. Stays 0 where the
/// allocator is not installed.
#[must_use]
pub fn held() -> i64 {
    HELD.try_with(Cell::get).unwrap_or(0)
}

/// Whether this program counts.
#[must_use]
pub fn is_installed() -> bool {
    let before = held();
    let some = std::hint::black_box(vec![0_u8; 64]);
    let installed = held() == before + 64;
    drop(some);
    installed
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches no memory that is handed out.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: the caller's promise about the layout is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        note(-(layout.size() as i64));
        // SAFETY: `at` came from `System` with this layout.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as i64);
        // SAFETY: as for `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size as i64 - layout.size() as i64);
        // SAFETY: as for `dealloc`; the caller promises that `size` fits.
        unsafe { System.realloc(at, layout, size) }
    }
}

//! The little that lies under an image: the start of the processor, semihosting, and a panic handler that does not
//! link. No board crate is used, so that an image's size is what slotwise takes and what drives it.

use core::arch::{asm, global_asm};
use core::ptr::{addr_of, addr_of_mut};

unsafe extern "C" {
    static mut __bss_start: u32;
    static mut __bss_end: u32;
    static mut __data_start: u32;
    static mut __data_end: u32;
    static __data_load: u32;
    /// The image's own function.
    fn image() -> u32;
}

#[cfg(target_arch = "arm")]
global_asm!(
    ".section .vectors, \"a\"",
    ".word __stack_top",
    ".word start",
    ".rept 14",
    ".word fault",
    ".endr",
    ".text",
);

#[cfg(target_arch = "riscv32")]
global_asm!(".section .vectors, \"ax\"", ".global _start", "_start: la sp, __stack_top", "j start", ".text");

/// Where the processor starts: memory is set up, the image runs, and its result ends the emulation.
#[unsafe(no_mangle)]
unsafe extern "C" fn start() -> ! {
    // SAFETY: the linker script gives the bounds of the sections, all aligned to words; nothing has used them yet.
    let status = unsafe {
        let mut at = addr_of_mut!(__bss_start);
        while at < addr_of_mut!(__bss_end) {
            at.write_volatile(0);
            at = at.add(1);
        }
        let mut from = addr_of!(__data_load);
        let mut at = addr_of_mut!(__data_start);
        while at < addr_of_mut!(__data_end) {
            at.write_volatile(from.read_volatile());
            at = at.add(1);
            from = from.add(1);
        }
        image()
    };
    exit(status)
}

/// Any fault ends the emulation.
#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    print("fault\n\0");
    exit(0xff)
}

/// Prints a text that ends with a zero byte.
pub fn print(text: &str) {
    const WRITE0: usize = 4;
    if text.ends_with('\0') {
        semihost(WRITE0, text.as_ptr() as usize);
    }
}

/// Prints `name`, which ends with a zero byte, and a number.
pub fn print_number(name: &str, mut number: u32) {
    let mut text = *b"           \n\0";
    for byte in text.iter_mut().rev().skip(2) {
        *byte = b'0' + digit(&mut number);
        if number == 0 {
            break;
        }
    }
    print(name);
    print(core::str::from_utf8(&text).unwrap_or("?\0"));
}

/// Takes the last digit off without a division, which Cortex-M0 has not.
fn digit(number: &mut u32) -> u8 {
    let tenth = ((u64::from(*number) * 0xcccc_cccd) >> 35) as u32;
    let last = number.wrapping_sub(tenth.wrapping_mul(10));
    *number = tenth;
    last as u8
}

fn exit(status: u32) -> ! {
    const EXIT_EXTENDED: usize = 0x20;
    const APPLICATION_EXIT: usize = 0x2_0026;
    let block = [APPLICATION_EXIT, status as usize];
    semihost(EXIT_EXTENDED, block.as_ptr() as usize);
    loop {
        core::hint::spin_loop();
    }
}

#[cfg(target_arch = "arm")]
fn semihost(operation: usize, argument: usize) {
    // SAFETY: the debugger's call, as the Arm semihosting specification has it; it reads the argument's memory.
    unsafe { asm!("bkpt 0xab", inout("r0") operation => _, in("r1") argument) };
}

#[cfg(target_arch = "riscv32")]
fn semihost(operation: usize, argument: usize) {
    // SAFETY: the sequence of uncompressed instructions that the RISC-V semihosting specification names.
    unsafe {
        asm!(
            ".balign 16", ".option push", ".option norvc",
            "slli x0, x0, 0x1f", "ebreak", "srai x0, x0, 7",
            ".option pop",
            inout("a0") operation => _, in("a1") argument,
        );
    }
}

#[cfg(not(any(debug_assertions, feature = "may-panic")))]
unsafe extern "C" {
    /// Defined nowhere.
    fn slotwise_can_panic() -> !;
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(not(any(debug_assertions, feature = "may-panic")))]
    // SAFETY: no such function exists, so an image that still holds this call does not link.
    unsafe {
        slotwise_can_panic()
    }
    #[cfg(any(debug_assertions, feature = "may-panic"))]
    fault()
}

/// What a tick of [`ticks`] stands for under `-icount shift=0` on mps2-an385: its clock runs at 25 MHz, and an
/// instruction takes a nanosecond.
#[cfg(all(feature = "measure", target_arch = "arm"))]
pub const INSTRUCTIONS_PER_TICK: u32 = 40;

/// Ticks since some time ago, from the processor's 24-bit timer.
#[cfg(all(feature = "measure", target_arch = "arm"))]
pub fn ticks() -> u32 {
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
    const CONTROL: *mut u32 = 0xe000_e010 as *mut u32;
    const RELOAD: *mut u32 = 0xe000_e014 as *mut u32;
    const CURRENT: *mut u32 = 0xe000_e018 as *mut u32;
    static ON: AtomicU32 = AtomicU32::new(0);
    // SAFETY: SysTick's registers, which every Cortex-M of these boards has, and nobody else uses them.
    let left = unsafe {
        if ON.load(Relaxed) == 0 {
            ON.store(1, Relaxed);
            RELOAD.write_volatile(0x00ff_ffff);
            CURRENT.write_volatile(0);
            CONTROL.write_volatile(0b101);
        }
        CURRENT.read_volatile()
    };
    // It counts down; a call is far shorter than one round.
    (0x00ff_ffff_u32.wrapping_sub(left)) & 0x00ff_ffff
}

/// What unused stack is painted with.
#[cfg(all(feature = "measure", target_arch = "arm"))]
const PAINT: u32 = 0xc01d_beef;
/// Bytes of it that are painted.
#[cfg(all(feature = "measure", target_arch = "arm"))]
const PAINTED: usize = 8 << 10;

/// Paints the stack below the caller's frame and gives where that ends.
#[cfg(all(feature = "measure", target_arch = "arm"))]
#[inline(always)]
pub fn paint() -> usize {
    let floor: usize;
    // SAFETY: reads the stack pointer.
    unsafe { asm!("mov {}, sp", out(reg) floor) };
    let mut at = floor & !3;
    while at > floor - PAINTED {
        at -= 4;
        // SAFETY: below the stack pointer lies nothing that is in use, and the boards have more stack than this.
        unsafe { (at as *mut u32).write_volatile(PAINT) };
    }
    floor
}

/// How many bytes below `floor` were written to since they were painted.
#[cfg(all(feature = "measure", target_arch = "arm"))]
#[inline(always)]
pub fn touched(floor: usize) -> u32 {
    let mut at = (floor & !3) - PAINTED + 4;
    // SAFETY: as above.
    while at < floor && unsafe { (at as *const u32).read_volatile() } == PAINT {
        at += 4;
    }
    (floor - at.min(floor)) as u32
}

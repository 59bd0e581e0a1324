//! Writes the linker script of the boards QEMU emulates.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    // Flash is larger than any board's, so that unoptimised images link; the budgets are held elsewhere.
    let (flash, ram) = if target.starts_with("thumb") { (0, 0x2000_0000_u32) } else { (0x8000_0000_u32, 0x8040_0000) };
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    // The minimal image runs on a board with 16 KiB of RAM as well, the others on boards with 64 KiB.
    for (name, ram_len) in [("small.x", "16K"), ("image.x", "64K")] {
        fs::write(out.join(name), script(flash, ram, ram_len)).expect("OUT_DIR can be written");
    }
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=--nmagic");
    println!("cargo::rustc-link-arg-bin=minimal=-Tsmall.x");
    for image in ["engine", "every"] {
        println!("cargo::rustc-link-arg-bin={image}=-Timage.x");
    }
}

/// Flash for code and constants, RAM for data with the stack at its end.
fn script(flash: u32, ram: u32, ram_len: &str) -> String {
    format!(
        "ENTRY(start)
MEMORY {{
    FLASH (rx) : ORIGIN = {flash:#x}, LENGTH = 4M
    RAM (rwx) : ORIGIN = {ram:#x}, LENGTH = {ram_len}
}}
SECTIONS {{
    .text : {{ KEEP(*(.vectors)) *(.text .text.*) }} > FLASH
    .rodata : {{ *(.rodata .rodata.*) *(.srodata .srodata.*) }} > FLASH
    .data : ALIGN(4) {{ __data_start = .; *(.data .data.*) *(.sdata .sdata.*) . = ALIGN(4); __data_end = .; }} > RAM AT> FLASH
    __data_load = LOADADDR(.data);
    .bss (NOLOAD) : ALIGN(4) {{ __bss_start = .; *(.bss .bss.*) *(.sbss .sbss.*) *(COMMON) . = ALIGN(4); __bss_end = .; }} > RAM
    __stack_top = ORIGIN(RAM) + LENGTH(RAM);
    /DISCARD/ : {{ *(.ARM.exidx .ARM.exidx.* .ARM.extab .ARM.extab.* .eh_frame .eh_frame_hdr) }}
}}
"
    )
}

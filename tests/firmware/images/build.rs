//! Writes the linker script of the boards QEMU emulates.

use std::{env, fs, path::PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("none") {
        return;
    }
    let target = env::var("TARGET").expect("cargo sets TARGET");
    // Flash is larger than any board's, so that unoptimised images link; the budgets are held elsewhere.
    let (flash, ram, ram_len) = match target.as_str() {
        "thumbv6m-none-eabi" => (0, 0x2000_0000_u32, "16K"), // microbit
        _ if target.starts_with("thumb") => (0, 0x2000_0000, "64K"), // lm3s6965evb, mps2
        _ => (0x8000_0000_u32, 0x8040_0000, "64K"),          // riscv32 virt
    };
    let script = format!(
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
    );
    let out = PathBuf::from(env::var("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("image.x"), script).expect("OUT_DIR can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rustc-link-arg-bins=-Timage.x");
    println!("cargo::rustc-link-arg-bins=--nmagic");
}

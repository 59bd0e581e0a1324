//! Firmware that joins a cluster over Ethernet and shows, step by step, that nothing is lost on the way.
//!
//! It runs on the board that QEMU calls `lm3s6965evb`: a Cortex-M3 with 256 KiB of flash and 64 KiB of RAM. There is
//! no heap. Its log is defmt over semihosting, which is also how it ends, with a status. Some steps need things to
//! happen to the cluster: a line `order N ...` asks the host for them, and a key tells the image that it was done.
//!
//! Arguments: the host and the port of the one seed, how many keys the host has put into the cluster, the milliseconds
//! for which a window is to stay shut, and a number that seeds all jitter.
#![no_std]
#![no_main]

mod app;
mod clock;
mod enet;
mod memory;
mod rig;
mod stack;
mod steps;
mod text;

use cortex_m_rt::{entry, exception};
use defmt_semihosting as _;
use semihosting::process;
use slotwise::addr::NodeAddr;
use static_cell::StaticCell;

use rig::{Failed, Rig};

static SEEDS: StaticCell<[NodeAddr<'static>; 1]> = StaticCell::new();

defmt::timestamp!("{=u64:us}", clock::micros());

/// What the host has to say.
pub struct Orders {
    /// Keys in the cluster that the scan must find.
    pub keys: u16,
    /// Milliseconds for which a window stays shut.
    pub shut: u32,
}

#[entry]
fn main() -> ! {
    let Some(core) = cortex_m::Peripherals::take() else { process::exit(1) };
    clock::start(core.SYST);
    let status = match run() {
        Ok(()) => 0,
        Err(why) => {
            defmt::error!("FAIL {=str}", why);
            1
        }
    };
    let (size, used) = stack::used();
    defmt::info!("stack: {=usize} of {=usize} bytes were used", used, size);
    process::exit(status)
}

fn run() -> Result<(), Failed> {
    memory::report();
    let (mut rig, orders) = start()?;
    steps::all(&mut rig, &orders)
}

#[inline(never)]
fn start() -> Result<(Rig, Orders), Failed> {
    let args = semihosting::experimental::env::args::<96>().map_err(|_| "the arguments do not fit")?;
    let mut args = args.filter_map(Result::ok).skip(1);
    let host = args.next().ok_or("no host")?;
    let mut number = || args.next().and_then(|text| text.parse::<u32>().ok()).ok_or("a number is missing");
    let port = number()?;
    let orders = Orders { keys: number()? as u16, shut: number()? };
    let seed = number()?;
    let seed_addr = NodeAddr::new(memory::keep(host), port as u16).map_err(|_| "that is no address")?;
    let rig = Rig::new(SEEDS.init([seed_addr]), u64::from(seed))?;
    Ok((rig, orders))
}

#[exception]
fn SysTick() {
    clock::tick();
}

#[exception]
unsafe fn DefaultHandler(number: i16) {
    if number == enet::IRQ {
        enet::acknowledge();
    } else {
        defmt::panic!("interrupt {=i16}", number);
    }
}

#[exception]
unsafe fn HardFault(frame: &cortex_m_rt::ExceptionFrame) -> ! {
    // No stack to speak of is left if it ran over.
    let _ = frame;
    process::exit(3)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("PANIC {}", defmt::Display2Format(info));
    process::exit(2)
}

//! The LM3S6965's Ethernet controller as an smoltcp device. All of this image's unsafe code is here, in `clock` and in `stack`.
//!
//! Received frames wait in the controller's own memory, up to 31 of them, until they are copied out word by word; one
//! frame at a time is written the same way (LM3S6965 data sheet, chapter 17, "Ethernet Controller").

use core::ptr;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// The controller's interrupt number.
pub const IRQ: i16 = 42;

/// Longest frame without its checksum.
const FRAME: usize = 1514;
/// Two bytes of length in front of a frame, four of checksum behind.
const AROUND: usize = 6;

const BASE: usize = 0x4004_8000;

/// Registers, as offsets from the controller's base.
#[derive(Clone, Copy)]
#[repr(usize)]
enum Register {
    /// Read: raw interrupt status; write: acknowledge.
    Status = 0x00,
    InterruptMask = 0x04,
    ReceiveControl = 0x08,
    TransmitControl = 0x0c,
    /// The front of the receive queue, the back of the transmit buffer.
    Data = 0x10,
    Address0 = 0x14,
    Address1 = 0x18,
    /// Frames in the receive queue.
    Packets = 0x34,
    /// Bit 0: transmit what is in the buffer; reads as 1 until that is done.
    Request = 0x38,
}

const RECEIVED: u32 = 1;
const RECEIVER_ON: u32 = 1;
const REJECT_BAD_CHECKSUMS: u32 = 8;
const RESET_QUEUE: u32 = 16;
/// Transmitter on, short frames padded, checksum appended, full duplex.
const TRANSMITTER: u32 = 0x17;

fn read(register: Register) -> u32 {
    // SAFETY: `BASE + register` is an aligned, readable register of this chip. Reading `Data` takes a word off the queue, which is
    // harmless at any time (it reads as 0 when there is none).
    unsafe { ptr::read_volatile((BASE + register as usize) as *const u32) }
}

fn write(register: Register, value: u32) {
    // SAFETY: `BASE + register` is an aligned, writable register of this chip. The controller does not touch memory of its own
    // accord (it has no DMA on this path), whatever is written to it.
    unsafe { ptr::write_volatile((BASE + register as usize) as *mut u32, value) }
}

/// Says that the interrupt was seen. The frame stays in the queue for the main loop.
pub fn acknowledge() {
    write(Register::Status, RECEIVED);
}

/// The memory of [`Enet`]: one frame that smoltcp reads, and one that it answers while it still reads the other.
pub struct Frames {
    received: [u8; FRAME],
    sent: [u8; FRAME],
}

impl Frames {
    pub const EMPTY: Self = Self { received: [0; FRAME], sent: [0; FRAME] };
}

/// The controller, switched on.
pub struct Enet {
    frames: &'static mut Frames,
}

impl Enet {
    /// Switches the controller on, under this hardware address.
    pub fn new(address: [u8; 6], frames: &'static mut Frames) -> Self {
        let [a, b, c, d, e, f] = address;
        write(Register::ReceiveControl, RESET_QUEUE);
        write(Register::Address0, u32::from_le_bytes([a, b, c, d]));
        write(Register::Address1, u32::from_le_bytes([e, f, 0, 0]));
        write(Register::TransmitControl, TRANSMITTER);
        write(Register::ReceiveControl, RECEIVER_ON | REJECT_BAD_CHECKSUMS);
        write(Register::InterruptMask, RECEIVED);
        // SAFETY: the handler of this interrupt only acknowledges it, so it may come at any time.
        unsafe { cortex_m::peripheral::NVIC::unmask(Interrupt) };
        Self { frames }
    }
}

/// Takes the first frame off the queue; its length without the checksum.
fn take(frame: &mut [u8; FRAME]) -> Option<usize> {
    if read(Register::Packets) == 0 {
        return None;
    }
    // The first word holds the length of everything, itself and the checksum included, and two bytes of the frame.
    let [low, high, first, second] = read(Register::Data).to_le_bytes();
    let total = usize::from(u16::from_le_bytes([low, high]));
    frame[..2].copy_from_slice(&[first, second]);
    // Rounded up to words, of which one is read.
    for at in (2..total.saturating_sub(2)).step_by(4) {
        let word = read(Register::Data).to_le_bytes();
        for (place, byte) in frame.iter_mut().skip(at).zip(word) {
            *place = byte;
        }
    }
    // Nobody sends longer ones: the interface's MTU is the usual one.
    Some(total.saturating_sub(AROUND).min(FRAME))
}

fn send(frame: &[u8]) {
    while read(Register::Request) & 1 != 0 {}
    // The length in front does not count the header of 14 bytes.
    let length = (frame.len().saturating_sub(14) as u16).to_le_bytes();
    let mut bytes = length.into_iter().chain(frame.iter().copied());
    while let Some(first) = bytes.next() {
        let mut next = || bytes.next().unwrap_or_default();
        write(Register::Data, u32::from_le_bytes([first, next(), next(), next()]));
    }
    write(Register::Request, 1);
}

/// The controller's line in the interrupt controller.
#[derive(Clone, Copy)]
struct Interrupt;

// SAFETY: the number is that of the chip's vector table, and always the same.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        IRQ as u16
    }
}

impl Device for Enet {
    type RxToken<'a> = Received<'a>;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, Sending<'_>)> {
        let Frames { received, sent } = &mut *self.frames;
        let len = take(received)?;
        Some((Received(&received[..len]), Sending(sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(&mut self.frames.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = FRAME;
        capabilities.max_burst_size = Some(1);
        capabilities
    }
}

/// A received frame.
pub struct Received<'a>(&'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Room for a frame, which is sent once it is made.
pub struct Sending<'a>(&'a mut [u8; FRAME]);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let frame = &mut self.0[..len];
        let result = f(frame);
        send(frame);
        result
    }
}

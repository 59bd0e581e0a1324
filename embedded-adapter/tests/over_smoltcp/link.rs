//! A cable between two interfaces, which may lose, repeat, swap and hold back frames.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use slotwise::rand::Rand;
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

/// What happens to frames.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// Lost, repeated and swapped with the frame before, in 1/1000.
    pub(crate) lost: u32,
    pub(crate) repeated: u32,
    pub(crate) swapped: u32,
    /// Most frames under way in one direction; more are lost.
    pub(crate) most: usize,
    /// Most bytes of a frame, its header not counted.
    pub(crate) mtu: usize,
}

impl Rules {
    pub(crate) const FAIR: Self = Self { lost: 0, repeated: 0, swapped: 0, most: 64, mtu: 1_500 };
    pub(crate) const FOUL: Self = Self { lost: 60, repeated: 40, swapped: 100, most: 4, mtu: 600 };
}

/// The cable: frames on their way to each side.
pub(crate) struct Cable {
    frames: [VecDeque<Vec<u8>>; 2],
    pub(crate) rules: Rules,
    rand: Rand,
    pub(crate) carried: u32,
    pub(crate) lost: u32,
    pub(crate) swapped: u32,
}

impl Cable {
    pub(crate) fn new(rules: Rules) -> Rc<RefCell<Self>> {
        let frames = [VecDeque::new(), VecDeque::new()];
        Rc::new(RefCell::new(Self { frames, rules, rand: Rand::new(3), carried: 0, lost: 0, swapped: 0 }))
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.frames.iter().all(VecDeque::is_empty)
    }

    fn carry(&mut self, to: usize, frame: Vec<u8>) {
        let mut happens = |chance: u32| self.rand.below(1_000) < chance;
        let (lost, repeated, swapped) =
            (happens(self.rules.lost), happens(self.rules.repeated), happens(self.rules.swapped));
        let queue = &mut self.frames[to];
        if lost || queue.len() >= self.rules.most {
            self.lost += 1;
            return;
        }
        self.carried += 1;
        if repeated {
            queue.push_back(frame.clone());
        }
        queue.push_back(frame);
        if swapped && queue.len() > 1 {
            let last = queue.len() - 1;
            queue.swap(last, last - 1);
            self.swapped += 1;
        }
    }
}

/// One end of the cable.
pub(crate) struct Plug {
    pub(crate) cable: Rc<RefCell<Cable>>,
    pub(crate) side: usize,
}

pub(crate) struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub(crate) struct Sending<'a>(&'a Plug);

impl TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = vec![0; len];
        let result = f(&mut frame);
        self.0.cable.borrow_mut().carry(1 - self.0.side, frame);
        result
    }
}

impl Device for Plug {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.cable.borrow().rules.mtu + 14;
        capabilities
    }

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        let frame = self.cable.borrow_mut().frames[self.side].pop_front()?;
        Some((Received(frame), Sending(self)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        Some(Sending(self))
    }
}

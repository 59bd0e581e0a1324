//! Functions of random numbers.

use super::*;
use slotwise::rand::*;

pub(super) fn keep() {
    keep![Rand::new, Rand::next_u32, Rand::below, Rand::jitter,];
}

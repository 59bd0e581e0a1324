//! Functions of numbers in RESP.

use super::*;
use slotwise::resp::number::*;

pub(super) fn keep() {
    keep![parse_u64, parse_i64, Decimal::unsigned, Decimal::signed, Decimal::as_bytes,];
}

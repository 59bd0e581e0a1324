//! Functions of time.

use super::*;
use slotwise::time::*;

pub(super) fn keep() {
    keep![
        Duration::from_micros,
        Duration::from_millis,
        Duration::from_secs,
        Duration::as_micros,
        Duration::as_millis,
        Duration::saturating_mul,
        Duration::saturating_add,
        Instant::from_micros,
        Instant::as_micros,
        Instant::since,
    ];
}

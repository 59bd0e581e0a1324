//! What one call into slotwise costs: instructions and stack. With the feature `measure`, in an emulator that counts
//! instructions; otherwise nothing is measured and the call is just made.

/// A call into slotwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// `Cluster::handle_input`, with at most 2 KiB.
    Input,
    /// `Cluster::poll_transmit`.
    Transmit,
    /// `Cluster::poll_event`.
    Event,
    /// `Cluster::poll_timeout`.
    PollTimeout,
    /// `Cluster::handle_timeout`.
    Timeout,
    /// `Cluster::submit`.
    Submit,
    /// `Cluster::handle_connected`.
    Connected,
    /// `Cluster::handle_disconnected`.
    Disconnected,
    /// `Cluster::handle_written`.
    Written,
    /// `Cluster::connect` and `Cluster::refresh`.
    Refresh,
    /// `Cluster::cancel`.
    Cancel,
    /// `Cluster::shutdown`.
    Shutdown,
    /// `command::analyse` of a command of a few words.
    Analyse,
    /// `ClusterScan::poll`.
    ScanPoll,
    /// `ClusterScan::on_token`.
    ScanToken,
    /// `Reconciler::poll`.
    PubsubPoll,
    /// `Reconciler::on_push`.
    Push,
    /// `Reconciler::on_map`.
    PubsubMap,
}

impl Step {
    /// Their names, each with the zero byte that semihosting wants.
    pub const NAMES: [&'static str; 18] = [
        "Cluster::handle_input \0",
        "Cluster::poll_transmit \0",
        "Cluster::poll_event \0",
        "Cluster::poll_timeout \0",
        "Cluster::handle_timeout \0",
        "Cluster::submit \0",
        "Cluster::handle_connected \0",
        "Cluster::handle_disconnected \0",
        "Cluster::handle_written \0",
        "Cluster::refresh \0",
        "Cluster::cancel \0",
        "Cluster::shutdown \0",
        "command::analyse \0",
        "ClusterScan::poll \0",
        "ClusterScan::on_token \0",
        "Reconciler::poll \0",
        "Reconciler::on_push \0",
        "Reconciler::on_map \0",
    ];
}

#[cfg(not(all(feature = "measure", target_arch = "arm")))]
mod how {
    /// Makes the call.
    #[inline(always)]
    pub fn step<T>(_: super::Step, call: impl FnOnce() -> T) -> T {
        call()
    }
}

#[cfg(all(feature = "measure", target_arch = "arm"))]
mod how {
    use super::Step;
    use crate::board;
    use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static TICKS: [AtomicU32; Step::NAMES.len()] = [const { AtomicU32::new(0) }; Step::NAMES.len()];
    static STACK: [AtomicU32; Step::NAMES.len()] = [const { AtomicU32::new(0) }; Step::NAMES.len()];

    /// Makes the call and keeps its cost if it is the greatest of its kind.
    #[inline(never)]
    pub fn step<T>(kind: Step, call: impl FnOnce() -> T) -> T {
        board::ticks();
        let floor = board::paint();
        let before = board::ticks();
        let result = call();
        let ticks = board::ticks().wrapping_sub(before);
        let stack = board::touched(floor);
        for (place, cost) in [(&TICKS, ticks), (&STACK, stack)] {
            if let Some(place) = place.get(kind as usize) {
                place.store(place.load(Relaxed).max(cost), Relaxed);
            }
        }
        result
    }

    /// Prints the greatest costs: a line `instructions NAME N` and a line `stack NAME N` for each kind of call.
    pub fn print() {
        for (name, (ticks, stack)) in Step::NAMES.iter().zip(TICKS.iter().zip(&STACK)) {
            board::print("instructions \0");
            board::print_number(name, ticks.load(Relaxed).wrapping_mul(board::INSTRUCTIONS_PER_TICK));
            board::print("stack \0");
            board::print_number(name, stack.load(Relaxed));
        }
    }
}

pub use how::*;

/// Prints what the engine takes of RAM, and what lies beside it: a line `size NAME N` for each.
#[cfg(all(feature = "measure", target_os = "none"))]
pub fn print_sizes() {
    use crate::adapter::Storage;
    use slotwise::cluster::{Cluster, ConnEntry};
    use slotwise::pipeline::Entry;
    use slotwise::pubsub;
    use slotwise::resp::Level;
    use slotwise::scan::{ClusterScan, Walk};
    use slotwise::topology::{Node, RangeEntry};
    let rows = [
        ("size engine: 4 nodes, 64 ranges, 4 connections, 32 commands \0", size_of::<Cluster<Storage>>()),
        ("size of it 34 commands, two for the engine's own \0", 34 * size_of::<Entry>()),
        ("size of it 4 connections \0", 4 * size_of::<ConnEntry>()),
        ("size of it two maps of 4 nodes \0", 8 * size_of::<Node>()),
        ("size of it two maps of 64 ranges \0", 128 * size_of::<RangeEntry>()),
        ("size of it two times 96 bytes of host names \0", 192),
        ("size of it 28 nesting levels \0", 28 * size_of::<Level>()),
        ("size of it the rest \0", size_of::<Cluster<Storage>>() - size_of::<Storage>() + 16),
        ("size beside it: a scan with one walk \0", size_of::<ClusterScan<[Walk; 1]>>()),
        ("size beside it: each further walk \0", size_of::<Walk>()),
        (
            "size beside it: pub/sub with 8 channels and 256 bytes of names \0",
            size_of::<pubsub::Reconciler<pubsub::StaticStorage<8, 4, 256>>>(),
        ),
        ("size beside it: a receive buffer for each connection, at least \0", slotwise::topology::WHOLE + 64),
    ];
    for (name, size) in rows {
        crate::board::print_number(name, size as u32);
    }
}

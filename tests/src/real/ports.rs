//! Free ports that parallel test processes do not take from each other.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Ports tried by default: below the range from which systems draw ports of outgoing connections, so that a client's
/// own connection cannot take a server's port between our look and its bind.
const DEFAULT_RANGE: (u16, u16) = (11000, 31999);

/// Address on which a port is held as a mark while the server uses it on 127.0.0.1. Any address of 127.0.0.0/8 but that
/// one will do.
const MARK: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A port reserved for this process until dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct PortLock {
    port: u16,
    _mark: Option<TcpListener>,
}

impl PortLock {
    /// Reserves a port of 127.0.0.1 on which nobody listens. The range can be set with `SLOTWISE_PORTS=first-last`.
    ///
    /// # Panics
    ///
    /// When the range is malformed, or no port in it is free.
    pub fn take() -> Self {
        let (first, last) = range();
        let count = u32::from(last - first) + 1;
        // Processes start at different places; inside a process the counter goes on.
        let start = std::process::id().wrapping_mul(7919);
        for _ in 0..count {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let port = first + u16::try_from(start.wrapping_add(step) % count).unwrap_or(0);
            if let Some(lock) = Self::try_port(port) {
                return lock;
            }
        }
        panic!("no free port in {first}-{last}");
    }

    fn try_port(port: u16) -> Option<Self> {
        let mark = match TcpListener::bind((MARK, port)) {
            Ok(mark) => Some(mark),
            // Only Linux answers on the whole of 127.0.0.0/8 without being asked; elsewhere a clash shows when the server
            // cannot bind, and the start is repeated.
            Err(e) if e.kind() == ErrorKind::AddrNotAvailable => None,
            Err(_) => return None,
        };
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
        Some(PortLock { port, _mark: mark })
    }

    /// The port.
    pub fn get(&self) -> u16 {
        self.port
    }
}

fn range() -> (u16, u16) {
    let Ok(text) = std::env::var("SLOTWISE_PORTS") else { return DEFAULT_RANGE };
    let parsed = text.split_once('-').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    match parsed {
        Some((first, last)) if first > 0 && first <= last => (first, last),
        _ => panic!("SLOTWISE_PORTS is {text:?}, not first-last"),
    }
}

//! All memory of the image but its stack: statics with constant beginnings, so that nothing large is ever built on the
//! stack.

use slotwise::cluster::{Cluster, StaticStorage};
use slotwise::resp::Args;
use slotwise::scan::{ClusterScan, Walk};
use slotwise_embedded::StaticBuffers;
use smoltcp::iface::SocketStorage;
use static_cell::{ConstStaticCell, StaticCell};

use crate::app::{self, App, Job};
use crate::enet::Frames;
use crate::rig::Net;
use crate::steps::scan::Seen;

/// Connections: three primaries and a seed.
pub const CONNS: usize = 4;
/// Ranges of the map, and gaps between them. The cluster's map has 121 at first; later it has more than fit.
pub const RANGES: usize = 160;
/// Bytes received and not yet read, on each connection.
pub const RX: usize = 1536;
/// Bytes of one write.
const TX: usize = 256;
/// TCP windows.
const TCP_RX: usize = 2048;
const TCP_TX: usize = 1024;

/// 4 nodes, 64 bytes of host names, 48 commands, 8 levels for each connection.
pub type Tables = StaticStorage<4, RANGES, 64, CONNS, 48, { CONNS * 8 }>;
pub type Engine = Cluster<&'static mut Tables>;
pub type Scan = ClusterScan<[Walk; 1]>;

pub static TABLES: ConstStaticCell<Tables> = ConstStaticCell::new(Tables::new());
pub static ENGINE: StaticCell<Engine> = StaticCell::new();
pub static BUFFERS: ConstStaticCell<StaticBuffers<CONNS, RX, TX>> = ConstStaticCell::new(StaticBuffers::new());
pub static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::EMPTY);
pub static SOCKETS: ConstStaticCell<[SocketStorage<'static>; CONNS]> =
    ConstStaticCell::new([const { SocketStorage::EMPTY }; CONNS]);
pub static WINDOWS: ConstStaticCell<[([u8; TCP_RX], [u8; TCP_TX]); CONNS]> =
    ConstStaticCell::new([([0; TCP_RX], [0; TCP_TX]); CONNS]);
pub static JOBS: ConstStaticCell<[Job; app::JOBS]> = ConstStaticCell::new([Job::FREE; app::JOBS]);
pub static APP: StaticCell<App> = StaticCell::new();
pub static NET: StaticCell<Net> = StaticCell::new();
pub static SCAN: StaticCell<Scan> = StaticCell::new();
pub static SEEN: ConstStaticCell<Seen> = ConstStaticCell::new(Seen::NONE);
pub static SEED_HOST: StaticCell<crate::text::Words> = StaticCell::new();

/// Tells what the parts take.
pub fn report() {
    defmt::info!(
        "memory: engine {=usize}, driver buffers {=usize}, TCP windows {=usize}, frames {=usize}, scan {=usize}, jobs {=usize}",
        size_of::<Tables>() + size_of::<Engine>(),
        size_of::<StaticBuffers<CONNS, RX, TX>>(),
        (TCP_RX + TCP_TX) * CONNS,
        size_of::<Frames>(),
        size_of::<Scan>() + size_of::<Seen>(),
        size_of::<App>() + size_of::<[Job; app::JOBS]>(),
    );
}

/// The host of the seed, which the host computer named.
pub fn keep(host: &str) -> &'static str {
    let words = &*SEED_HOST.init(crate::text::Words::new().word(host));
    words.arg(0).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or_default()
}

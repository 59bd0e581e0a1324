//! The cluster that the images talk to: two primaries, in the bytes of their replies.

use slotwise::addr::NodeAddr;
use slotwise::ids::NodeId;

/// The node with slots 0 to 8191.
pub const A: NodeId = NodeId::from_bytes([0xaa; 20]);
/// The node with slots 8192 to 16383.
pub const B: NodeId = NodeId::from_bytes([0xbb; 20]);
/// Where A listens.
pub const A_PORT: u16 = 7001;
/// Where B listens.
pub const B_PORT: u16 = 7002;

/// The address of the node that listens on `port`.
pub fn addr(port: u16) -> Option<NodeAddr<'static>> {
    NodeAddr::new("127.0.0.1", port).ok()
}

/// CLUSTER SLOTS.
pub const SLOTS: &[u8] = b"*2\r\n\
    *3\r\n:0\r\n:8191\r\n*4\r\n$9\r\n127.0.0.1\r\n:7001\r\n$40\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n*0\r\n\
    *3\r\n:8192\r\n:16383\r\n*4\r\n$9\r\n127.0.0.1\r\n:7002\r\n$40\r\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n*0\r\n";

/// CLUSTER NODES as A tells it.
pub const NODES_A: &[u8] = b"$199\r\n\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 127.0.0.1:7001@17001 myself,master - 0 0 1 connected 0-8191\n\
    bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 127.0.0.1:7002@17002 master - 0 0 2 connected 8192-16383\n\r\n";

/// CLUSTER NODES as B tells it.
pub const NODES_B: &[u8] = b"$199\r\n\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 127.0.0.1:7001@17001 master - 0 0 1 connected 0-8191\n\
    bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb 127.0.0.1:7002@17002 myself,master - 0 0 2 connected 8192-16383\n\r\n";

/// The only page of a SCAN at A.
pub const PAGE_A: &[u8] = b"*2\r\n$1\r\n0\r\n*2\r\n$3\r\nbar\r\n$4\r\nuser\r\n";

/// The only page of a SCAN at B.
pub const PAGE_B: &[u8] = b"*2\r\n$1\r\n0\r\n*1\r\n$3\r\nfoo\r\n";

/// The reply of the node called `name` that a scan waits for.
pub const fn scan_reply(at_a: bool, nodes: bool) -> &'static [u8] {
    match (at_a, nodes) {
        (true, true) => NODES_A,
        (true, false) => PAGE_A,
        (false, true) => NODES_B,
        (false, false) => PAGE_B,
    }
}

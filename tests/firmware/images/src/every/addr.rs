//! Functions of addresses.

use super::*;
use slotwise::addr::*;

pub(super) fn keep() {
    keep![
        <AddrError as fmt::Display>::fmt,
        NodeAddr::new,
        NodeAddr::host,
        NodeAddr::port,
        NodeAddr::parse,
        <NodeAddr as fmt::Display>::fmt,
        split,
        parse_port,
        host,
    ];
}

//! Functions of names of nodes, commands and connections.

use super::*;
use slotwise::ids::*;

pub(super) fn keep() {
    keep![
        NodeId::from_bytes,
        NodeId::as_bytes,
        NodeId::parse,
        NodeId::derived,
        NodeId::is_derived,
        <NodeId as fmt::Display>::fmt,
        CommandId::new,
        CommandId::index,
        CommandId::generation,
        ConnId::new,
        ConnId::index,
        ConnId::generation,
    ];
}

//! Forming a cluster out of fresh nodes, over the wire.

use super::admin::{Admin, AdminError};
use super::conn::Value;

/// Gives out slots and epochs, introduces everybody to everybody, attaches replicas and waits for agreement.
pub(super) fn form(admin: &Admin) -> Result<(), AdminError> {
    let count = admin.nodes().len();
    let primaries = admin.primaries().len();
    for node in 0..count {
        // Different epochs from the start: otherwise the nodes have to notice and settle the ties first.
        admin.ask(node, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()])?;
    }
    for node in admin.primaries() {
        let (first, last) = share(node, primaries);
        admin.ask(node, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
    }
    for a in 0..count {
        for b in a + 1..count {
            admin.ask(
                a,
                &["CLUSTER", "MEET", "127.0.0.1", &admin.port(b).to_string(), &admin.bus_port(b).to_string()],
            )?;
        }
    }
    for primary in admin.primaries() {
        for replica in admin.replicas_of(primary) {
            // Refused until the replica has heard of the primary.
            let id = admin.nodes()[primary].id.clone();
            admin.wait(|| admin.ask(replica, &["CLUSTER", "REPLICATE", &id]).map(drop).map_err(|e| e.0))?;
        }
    }
    wait_complete(admin)
}

/// First and last slot of primary `index` out of `count`: equal shares.
pub(super) fn share(index: usize, count: usize) -> (usize, usize) {
    (index * 16384 / count, (index + 1) * 16384 / count - 1)
}

/// Every replica is listed (which servers do when it has data), by every node, and every replica's link is up.
fn wait_complete(admin: &Admin) -> Result<(), AdminError> {
    admin.wait_agreed_with(|map| {
        for primary in admin.primaries() {
            let (id, replicas) = (&admin.nodes()[primary].id, admin.replicas_of(primary).len());
            for (first, last, _, listed) in map.iter().filter(|(_, _, owner, _)| owner == id) {
                if listed.len() != replicas {
                    return Err(format!("slots {first}-{last} list {} replicas of {replicas}", listed.len()));
                }
            }
        }
        Ok(())
    })?;
    // A node learns which shard a replica is of later than whose replica it is. Servers before 7.0 have no such reply.
    if admin.ask(0, &["CLUSTER", "SHARDS"]).is_ok() {
        admin.wait(|| {
            for node in 0..admin.nodes().len() {
                let reply = admin.ask(node, &["CLUSTER", "SHARDS"]).map_err(|e| e.0)?;
                let placed = members_with_slots(&reply);
                if placed != admin.nodes().len() {
                    return Err(format!("node {node} has {placed} nodes in shards with slots"));
                }
            }
            Ok(())
        })?;
    }
    let replicas: Vec<usize> = admin.primaries().flat_map(|primary| admin.replicas_of(primary)).collect();
    admin.wait(|| {
        for replica in &replicas {
            let info = admin.ask(*replica, &["INFO", "replication"]).map_err(|e| e.0)?.text();
            if !info.contains("master_link_status:up") {
                return Err(format!("replica {replica} is not in sync"));
            }
        }
        Ok(())
    })
}

/// The nodes of a CLUSTER SHARDS reply that are in shards with slots.
fn members_with_slots(reply: &Value) -> usize {
    let field = |shard: &Value, name: &str| {
        let pairs = shard.items().chunks(2);
        let len = |pair: &[Value]| pair.get(1).map_or(0, |value| value.items().len());
        pairs.filter(|pair| pair.first().is_some_and(|key| key.text() == name)).map(len).sum::<usize>()
    };
    reply.items().iter().filter(|shard| field(shard, "slots") > 0).map(|shard| field(shard, "nodes")).sum()
}

#[cfg(test)]
mod tests {
    use super::{members_with_slots, share};
    use crate::real::Value;

    fn bulk(text: &str) -> Value {
        Value::Bulk(text.into())
    }

    #[test]
    fn members_of_shards_without_slots_are_not_counted() {
        let shard = |slots: usize, nodes: usize| {
            let slots = Value::Array(vec![Value::Int(0); slots]);
            let nodes = Value::Array(vec![bulk("a node"); nodes]);
            Value::Array(vec![bulk("slots"), slots, bulk("nodes"), nodes])
        };
        assert_eq!(members_with_slots(&Value::Array(vec![shard(2, 2), shard(0, 1), shard(4, 1)])), 3);
        assert_eq!(members_with_slots(&Value::Array(Vec::new())), 0);
    }

    #[test]
    fn shares_cover_all_slots_once() {
        for count in 1..50 {
            let mut next = 0;
            for index in 0..count {
                let (first, last) = share(index, count);
                assert_eq!(first, next);
                assert!(last >= first);
                next = last + 1;
            }
            assert_eq!(next, 16384);
        }
    }
}

//! Forming a cluster out of fresh nodes, over the wire.

use super::admin::{Admin, AdminError};

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

#[cfg(test)]
mod tests {
    use super::share;

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

//! What is done to the cluster, one thing after the other.

use std::time::{Duration, Instant};

use slotwise_tests::real::{Admin, AdminError, Cluster};

use crate::load::{Millis, millis};

/// How many slots are migrated: the first of a shard.
pub(crate) const MIGRATED: u16 = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// SIGKILL, a failover by itself, a restart as a replica.
    Kill,
    ManualFailover,
    /// 500 slots to the next shard and back.
    Migrate,
    /// SIGSTOP for ten seconds, so that a replica takes over, and SIGCONT.
    Pause,
    /// CLIENT KILL on every node.
    ClientKill,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) what: What,
    /// Shards with a fault; their other members count too.
    pub(crate) shards: [bool; 3],
    pub(crate) from: Millis,
    pub(crate) to: Millis,
}

impl Fault {
    /// Acknowledged writes may be lost with a primary that is replaced without being asked.
    pub(crate) fn may_lose(&self, shard: usize, answered: Millis) -> bool {
        let about = self.from.saturating_sub(1_500)..=self.to + 1_500;
        matches!(self.what, What::Kill | What::Pause) && self.shards[shard] && about.contains(&answered)
    }
}

/// Every fault in turn until the time is over; the last one is finished. An error leaves the cluster as it is.
pub(crate) fn run(cluster: &mut Cluster, start: Instant, seconds: u64) -> Result<Vec<Fault>, AdminError> {
    let admin = cluster.admin();
    let mut faults = Vec::new();
    let mut round = 0;
    std::thread::sleep(Duration::from_secs(1));
    loop {
        for what in [What::Kill, What::ManualFailover, What::Migrate, What::Pause, What::ClientKill] {
            if start.elapsed() >= Duration::from_secs(seconds) {
                return Ok(faults);
            }
            let shard = round % 3;
            round += 1;
            wait_synced(&admin)?;
            let from = millis(start);
            let shards = inflict(cluster, &admin, what, shard)?;
            faults.push(Fault { what, shards, from, to: millis(start) });
            std::thread::sleep(Duration::from_millis(500));
        }
    }
}

fn inflict(cluster: &mut Cluster, admin: &Admin, what: What, shard: usize) -> Result<[bool; 3], AdminError> {
    let mut shards = [false; 3];
    shards[shard] = true;
    let primary = || admin.primary_of(shard).ok_or_else(|| AdminError(format!("shard {shard} has no primary")));
    match what {
        What::Kill => {
            let victim = primary()?;
            cluster.kill(victim);
            wait_other_primary(admin, shard, victim)?;
            cluster.restart(victim)?;
            admin.wait_agreed()?;
        }
        What::ManualFailover => {
            let old = primary()?;
            let members = members(admin, shard);
            let replica = members.into_iter().find(|node| *node != old).expect("a replica");
            admin.failover(replica)?;
        }
        What::Migrate => {
            let to = (shard + 1) % 3;
            shards[to] = true;
            let (source, target) = (primary()?, admin.primary_of(to).ok_or_else(|| AdminError("no target".into()))?);
            let slots: Vec<u16> = (0..MIGRATED).map(|n| shard as u16 * 5_462 + n).collect();
            for (from, to) in [(source, target), (target, source)] {
                for slot in &slots {
                    admin.begin_move(*slot, from, to)?;
                    admin.move_keys(*slot, from, to, usize::MAX)?;
                    admin.finish_move(*slot, from, to)?;
                }
            }
            admin.wait_agreed()?;
        }
        What::Pause => {
            let victim = primary()?;
            cluster.pause(victim);
            std::thread::sleep(Duration::from_secs(10));
            cluster.resume(victim);
            wait_other_primary(admin, shard, victim)?;
            admin.wait_agreed()?;
        }
        What::ClientKill => {
            shards = [true; 3];
            for node in 0..admin.nodes().len() {
                admin.kill_clients(node)?;
            }
        }
    }
    Ok(shards)
}

fn members(admin: &Admin, shard: usize) -> Vec<usize> {
    let mut members = vec![shard];
    members.extend(admin.replicas_of(shard));
    members
}

fn wait_other_primary(admin: &Admin, shard: usize, old: usize) -> Result<(), AdminError> {
    let end = Instant::now() + Duration::from_secs(20);
    while !members(admin, shard).into_iter().any(|node| node != old && admin.is_primary(node)) {
        if Instant::now() > end {
            return Err(AdminError(format!("nobody took over shard {shard}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// Waits until every replica follows its primary.
fn wait_synced(admin: &Admin) -> Result<(), AdminError> {
    let end = Instant::now() + Duration::from_secs(20);
    for shard in admin.primaries() {
        loop {
            let primaries = members(admin, shard).into_iter().filter(|node| admin.is_primary(*node)).count();
            let replica = members(admin, shard).into_iter().find(|node| !admin.is_primary(*node));
            let synced = replica.is_some_and(|node| {
                admin
                    .ask(node, &["INFO", "replication"])
                    .is_ok_and(|info| info.text().contains("master_link_status:up"))
            });
            if synced && primaries == 1 {
                break;
            }
            if Instant::now() > end {
                return Err(AdminError(format!("the replica of shard {shard} does not follow")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

//! A node: identity, view of the slots, marks, data, place in its shard, and what is wrong with it.

use super::ModelOptions;
use super::Profile;
use super::endpoint::Endpoint;
use super::faults::Switches;
use super::replication::History;
use super::store::Store;
use super::users::Users;
use super::view::View;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Node {
    /// 40 hexadecimal digits.
    pub(super) id: String,
    /// 40 hexadecimal digits that the nodes of a shard have in common.
    pub(super) shard: String,
    pub(super) host: String,
    pub(super) port: u16,
    /// What it tells clients instead of its address.
    pub(super) endpoint: Endpoint,
    pub(super) profile: Profile,
    /// The primary, if this is a replica.
    pub(super) primary: Option<usize>,
    pub(super) epoch: u64,
    pub(super) view: View,
    pub(super) migrating: BTreeMap<u16, usize>,
    pub(super) importing: BTreeMap<u16, usize>,
    /// Slots whose keys are being deleted after they were moved away once: writes to them wait.
    pub(super) trimming: BTreeSet<u16>,
    pub(super) store: Store,
    pub(super) history: History,
    pub(super) users: Users,
    pub(super) switches: Switches,
    /// Its process runs.
    pub(super) up: bool,
    /// It belongs to the cluster.
    pub(super) member: bool,
    /// The others have given it up.
    pub(super) failed: bool,
    /// Writes wait until then.
    pub(super) writes_wait: Option<Duration>,
    /// What it last heard from each node: version of that one's view, its epoch, and the version of its own view then.
    pub(super) heard: BTreeMap<usize, (u64, u64, u64)>,
    /// Sources of scripts by their sums.
    pub(super) scripts: BTreeMap<String, Vec<u8>>,
    /// How often its process was started.
    pub(super) starts: u64,
}

impl Node {
    pub(super) fn new(options: &ModelOptions, index: usize, view: View) -> Self {
        let seed = mix(options.seed.wrapping_add(index as u64));
        let id = |seed: u64| format!("{:016x}{:016x}{:08x}", seed, mix(seed), mix(mix(seed)) >> 32);
        Node {
            id: id(seed),
            shard: id(mix(seed ^ 0x5a4d)),
            host: "127.0.0.1".to_owned(),
            port: 0,
            endpoint: Endpoint::Address,
            profile: options.profile,
            primary: None,
            epoch: index as u64 + 1,
            view,
            migrating: BTreeMap::new(),
            importing: BTreeMap::new(),
            trimming: BTreeSet::new(),
            store: Store::new(mix(seed ^ 0x5eed), options.profile.slot_cursors()),
            history: History::new(index as u64),
            users: Users::new(options.password.as_deref()),
            switches: Switches::default(),
            up: true,
            member: true,
            failed: false,
            writes_wait: None,
            heard: BTreeMap::new(),
            scripts: BTreeMap::new(),
            starts: 0,
        }
    }

    /// The address inside the cluster.
    pub(super) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Who owns the slot, as this node sees it.
    pub(super) fn owner(&self, slot: u16) -> Option<usize> {
        self.view.owner(slot)
    }
}

pub(super) fn formed(options: &ModelOptions) -> Vec<Node> {
    let primaries = options.primaries.clamp(1, 1000);
    let view = View::shared_by(primaries);
    let mut nodes: Vec<Node> =
        (0..primaries * (1 + options.replicas)).map(|index| Node::new(options, index, view.clone())).collect();
    for index in primaries..nodes.len() {
        let primary = (index - primaries) / options.replicas;
        nodes[index].primary = Some(primary);
        nodes[index].shard = nodes[primary].shard.clone();
        nodes[index].history = nodes[primary].history.clone();
    }
    nodes
}

/// SplitMix64.
pub(super) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

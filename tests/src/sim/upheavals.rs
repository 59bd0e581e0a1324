//! What happens to the cluster: slots move, roles change, processes end.

use slotwise_std::mini::model::Restart;

use super::check::health::Touched;
use super::kinds::Fault;
use super::servers::PASSWORDS;
use super::trace::What;
use super::working::{TAGS, slot_of_tag};
use super::world::{Ev, Phase, World};

impl World {
    /// Primaries that run and belong to the cluster.
    #[must_use]
    pub fn primaries(&self) -> Vec<usize> {
        let model = &self.servers.model;
        let fit =
            |node: &usize| model.primary_of(*node).is_none() && model.is_member(*node) && self.servers.nodes[*node].up;
        (0..self.servers.nodes.len()).filter(fit).collect()
    }

    pub(super) fn replicas(&self) -> Vec<usize> {
        let model = &self.servers.model;
        let fit =
            |node: &usize| model.primary_of(*node).is_some() && model.is_member(*node) && self.servers.nodes[*node].up;
        (0..self.servers.nodes.len()).filter(fit).collect()
    }

    pub(super) fn one_of(&mut self, fault: Fault, of: &[usize]) -> Option<usize> {
        if of.is_empty() {
            return None;
        }
        let at = self.fault_dice(fault).below(of.len() as u32) as usize;
        of.get(at).copied()
    }

    /// Whether a node is the source or the target of a move.
    pub(super) fn moves(&self, node: usize) -> bool {
        let model = &self.servers.model;
        self.servers.moving.iter().any(|(slot, to)| *to == node || model.owner(*slot) == Some(node))
    }

    pub(super) fn watch(&mut self, slot: u16) {
        if !self.servers.moved.contains(&slot) {
            self.servers.moved.push(slot);
        }
    }

    /// A kind of fault of the cluster strikes.
    pub fn upheaval(&mut self, fault: Fault) {
        match fault {
            Fault::Migration
            | Fault::MigrationAborted
            | Fault::MigrationAtomic
            | Fault::Aba
            | Fault::FailoverMigrating
            | Fault::DelSlots => self.move_slot(fault),
            Fault::Failover => {
                let replicas = self.replicas();
                if let Some(replica) = self.one_of(fault, &replicas) {
                    self.fail_over(fault, replica);
                }
            }
            Fault::Crash | Fault::RestartEmpty => self.crash(fault),
            Fault::Loading | Fault::Busy | Fault::OutOfMemory => self.switch(fault),
            Fault::Password => self.change_password(),
            Fault::Acl => {
                self.strikes(fault, 0);
                self.servers.model.set_allowed(None, b"default", "cluster|slots", false);
                let until = self.span(fault, 10_000_000);
                self.after(until, Ev::Repair(fault, 0));
            }
            Fault::Reset | Fault::ReplicaMoves => self.move_replica(fault),
            Fault::ScaleOut => self.scale_out(),
            Fault::ScaleIn => self.scale_in(),
            // There is nothing to choose before 7.0.
            Fault::Endpoints if !self.options.has_old_servers() => self.announce(),
            Fault::TlsPorts | Fault::Nat => self.translate(fault),
            Fault::Mapped => self.map_address(),
            Fault::NameMoved => self.misname(),
            Fault::Lag => self.fall_behind(),
            Fault::AskChain => self.chain(),
            Fault::Trimming => self.trim(),
            Fault::Thirty => self.grow(),
            Fault::DoubleMoved => self.move_under_blocked(),
            _ => {}
        }
        self.flush();
        self.unsettle();
    }

    fn move_slot(&mut self, fault: Fault) {
        let slot = slot_of_tag(self.fault_dice(fault).below(TAGS)).get();
        let primaries = self.primaries();
        let Some(to) = self.one_of(fault, &primaries) else { return };
        let owner = self.servers.model.owner(slot);
        let free = owner.is_some_and(|from| from != to && self.servers.nodes[from].up);
        if !free || self.is_busy(slot) {
            return;
        }
        let from = owner.unwrap_or(0);
        self.watch(slot);
        match fault {
            Fault::Migration | Fault::MigrationAborted | Fault::FailoverMigrating => {
                if self.servers.model.begin_move(slot, to).is_err() {
                    return;
                }
                self.strikes(fault, u64::from(slot));
                self.act(|_| format!("migrate {} to N{to}", super::render::key_of(slot)));
                self.servers.moving.insert(slot, to);
                let step = self.span(fault, 1_000_000);
                self.after(step, Ev::Repair(fault, u32::from(slot)));
            }
            Fault::DelSlots => {
                // The owner forgets it; the others may not.
                self.strikes(fault, u64::from(slot));
                self.act(|_| format!("forget {} at N{from}", super::render::key_of(slot)));
                self.servers.model.forget_owner(from, slot);
                self.servers.orphans.insert(slot, from);
                let until = self.span(fault, 5_000_000);
                self.after(until, Ev::Repair(fault, u32::from(slot)));
            }
            _ => {
                if self.servers.model.move_atomically(slot, to).is_err() {
                    return;
                }
                self.strikes(fault, u64::from(slot));
                self.act(|_| format!("move {} to N{to}", super::render::key_of(slot)));
                if fault == Fault::Aba {
                    let back = self.span(fault, 2_000_000);
                    self.after(back, Ev::Repair(fault, (from as u32) << 16 | u32::from(slot)));
                }
            }
        }
    }

    fn fail_over(&mut self, fault: Fault, replica: usize) {
        let Some(old) = self.servers.model.primary_of(replica) else { return };
        if !self.servers.nodes[old].up || (fault == Fault::Failover && self.moves(old)) {
            return;
        }
        let moving: Vec<u16> =
            self.servers.moving.iter().filter(|(_, to)| **to == old).map(|(slot, _)| *slot).collect();
        if self.servers.model.failover(replica).is_ok() {
            self.strikes(fault, replica as u64);
            self.act(|_| format!("failover N{replica}"));
            self.touch(Touched::Node(replica));
            self.touch(Touched::Node(old));
            // A move whose target is another node now is given up.
            for slot in moving {
                self.servers.moving.remove(&slot);
            }
            self.watch_all();
        }
    }

    fn watch_all(&mut self) {
        for tag in 0..TAGS {
            self.watch(slot_of_tag(tag).get());
        }
    }

    fn crash(&mut self, fault: Fault) {
        let primaries = self.primaries();
        let replicas = self.replicas();
        let node = if self.fault_dice(fault).chance(300) {
            self.one_of(fault, &replicas)
        } else {
            self.one_of(fault, &primaries)
        };
        let Some(node) = node.filter(|node| !self.moves(*node)) else { return };
        let heir = self.replicas().into_iter().find(|replica| self.servers.model.primary_of(*replica) == Some(node));
        let election = 100_000 + self.span(fault, 3_000_000);
        self.kill(fault, node, heir.map(|heir| (heir, election)));
    }

    /// A process ends. It comes back later; perhaps somebody else has taken over by then.
    pub(super) fn kill(&mut self, fault: Fault, node: usize, heir: Option<(usize, u64)>) {
        self.strikes(fault, node as u64);
        self.servers.nodes[node].up = false;
        self.servers.model.crash(node);
        self.act(|_| format!("crash N{node}"));
        self.watch_all();
        let until = 60_000 + self.span(fault, 8_000_000);
        self.after(until, Ev::Repair(fault, node as u32));
        if let Some((heir, election)) = heir.filter(|(_, election)| *election < until) {
            self.after(election, Ev::Elect(heir, node));
        }
    }

    /// A replica takes over from a primary that does not run.
    pub fn elect(&mut self, heir: usize, old: usize) {
        if self.servers.nodes[old].up {
            return self.lose_primary(heir, old);
        }
        let right = self.servers.model.primary_of(heir) == Some(old) && !self.servers.nodes[old].up;
        if right && self.servers.nodes[heir].up && self.servers.model.take_over(heir).is_ok() {
            self.note(What::Heal, [u64::MAX, heir as u64, old as u64]);
            self.act(|_| format!("takeover N{heir}"));
            self.touch(Touched::Node(heir));
            self.flush();
            self.unsettle();
        }
    }

    /// A node's process comes back with its data.
    pub fn restart_node(&mut self, node: usize) {
        self.restart(Fault::Crash, node);
        self.unsettle();
    }

    fn restart(&mut self, fault: Fault, node: usize) {
        let how = if fault == Fault::RestartEmpty { Restart::Empty } else { Restart::WithData };
        if !self.servers.nodes[node].up && self.servers.model.restart(node, how).is_ok() {
            self.servers.nodes[node].up = true;
            self.act(|_| format!("restart N{node}"));
            // The operator connects again.
            let operator = self.servers.model.connect(node);
            self.servers.operators[node] = operator;
            if self.options.password {
                let password = PASSWORDS[self.servers.password];
                self.servers.operate(node, &[b"AUTH", password.as_bytes()]);
            }
        }
    }

    fn switch(&mut self, fault: Fault) {
        let node = self.some_node(fault);
        self.strikes(fault, node as u64);
        self.servers.model.set_switches(node, |switches| match fault {
            Fault::Loading => switches.loading = true,
            Fault::Busy => switches.busy = true,
            _ => switches.out_of_memory = true,
        });
        let until = self.span(fault, 5_000_000);
        self.after(until, Ev::Repair(fault, node as u32));
    }

    fn change_password(&mut self) {
        if !self.options.password || self.servers.password + 1 == PASSWORDS.len() {
            return;
        }
        self.strikes(Fault::Password, 0);
        self.servers.password += 1;
        let password = PASSWORDS[self.servers.password];
        self.servers.model.set_password(None, Some(password.as_bytes()));
        self.servers.alien.set_password(None, Some(password.as_bytes()));
        // The clients hear of it a little later.
        let later = self.span(Fault::Password, 2_000_000);
        self.after(later, Ev::Repair(Fault::Password, self.servers.password as u32));
    }

    fn move_replica(&mut self, fault: Fault) {
        let replicas = self.replicas();
        let Some(replica) = self.one_of(fault, &replicas) else { return };
        if fault == Fault::Reset {
            if self.servers.model.reset_node(replica).is_ok() {
                self.strikes(fault, replica as u64);
                let until = self.span(fault, 5_000_000);
                self.after(until, Ev::Repair(fault, replica as u32));
            }
            return;
        }
        let primaries = self.primaries();
        let Some(to) = self.one_of(fault, &primaries) else { return };
        if self.servers.model.primary_of(replica) != Some(to) && self.servers.model.attach(replica, to).is_ok() {
            self.strikes(fault, replica as u64);
        }
    }

    /// What an upheaval began goes on, or ends.
    pub fn calm(&mut self, fault: Fault, of: u32) {
        self.note(What::Heal, [fault as u64, u64::from(of), 0]);
        match fault {
            Fault::Migration | Fault::MigrationAborted | Fault::FailoverMigrating => self.move_on(fault, of as u16),
            Fault::Aba if self.phase == Phase::Safety => {
                let (slot, from) = (of as u16, (of >> 16) as usize);
                let fit = self.servers.nodes[from].up
                    && !self.is_busy(slot)
                    && self.servers.model.owner(slot).is_some_and(|owner| self.servers.nodes[owner].up);
                if fit && self.servers.model.primary_of(from).is_none() {
                    let _ = self.servers.model.move_atomically(slot, from);
                }
            }
            Fault::DelSlots => self.adopt(of as u16),
            Fault::Nobody => self.ask_for_nobody(of),
            Fault::OldView => self.servers.model.set_allowed(None, b"default", "cluster|slots", true),
            Fault::NameMoved => self.name_again(Some(of as usize)),
            Fault::Lag => self.catch_up(of as usize),
            Fault::AskChain => self.unchain(of as u16),
            Fault::Trimming => self.trimmed(of as u16),
            Fault::Thirty if self.phase == Phase::Safety => self.shrink(),
            Fault::Crash | Fault::RestartEmpty => self.restart(fault, of as usize),
            Fault::Loading | Fault::Busy | Fault::OutOfMemory => {
                self.servers.model.set_switches(of as usize, |switches| match fault {
                    Fault::Loading => switches.loading = false,
                    Fault::Busy => switches.busy = false,
                    _ => switches.out_of_memory = false,
                });
            }
            Fault::Password => {
                for client in &mut self.clients {
                    let secret = slotwise::connection::Secret::from(PASSWORDS[self.servers.password]);
                    client.profile.settings.password = Some(secret);
                }
            }
            Fault::Acl => self.servers.model.set_allowed(None, b"default", "cluster|slots", true),
            Fault::Reset => {
                let node = of as usize;
                if !self.servers.model.is_member(node) && !self.servers.retired.contains(&node) {
                    self.servers.model.meet(node);
                    let primaries = self.primaries();
                    if let Some(to) = primaries.into_iter().find(|to| *to != node) {
                        let _ = self.servers.model.attach(node, to);
                    }
                }
            }
            Fault::ScaleIn => {
                // The process ends too.
                self.servers.nodes[of as usize].up = false;
                self.servers.model.crash(of as usize);
            }
            _ => {}
        }
        self.flush();
        self.unsettle();
    }

    /// Some keys of a moving slot move, or the move ends.
    fn move_on(&mut self, fault: Fault, slot: u16) {
        let Some(to) = self.servers.moving.get(&slot).copied() else { return };
        let owner = self.servers.model.owner(slot).unwrap_or(to);
        if !self.servers.nodes[to].up || !self.servers.nodes[owner].up {
            return self.after(500_000, Ev::Repair(fault, u32::from(slot)));
        }
        if fault == Fault::FailoverMigrating && self.fault_dice(fault).chance(400) {
            let replicas: Vec<usize> = self
                .replicas()
                .into_iter()
                .filter(|replica| {
                    let primary = self.servers.model.primary_of(*replica);
                    primary == Some(owner) || primary == Some(to)
                })
                .collect();
            if let Some(replica) = self.one_of(fault, &replicas) {
                self.fail_over(fault, replica);
            }
        }
        let given_up = fault == Fault::MigrationAborted && self.fault_dice(fault).chance(300);
        if given_up && self.servers.model.key_count_in_slot(to, slot) == 0 {
            // Nothing has moved yet: both sides forget about it.
            self.servers.moving.remove(&slot);
            for node in [owner, to] {
                let number = slot.to_string();
                self.servers.operate(node, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"STABLE"]);
            }
            return;
        }
        let most = self.fault_dice(fault).range(1, 3) as usize;
        let moved = self.servers.model.move_keys(slot, most);
        self.act(|_| format!("movekeys {}", super::render::key_of(slot)));
        if matches!(moved, Ok(n) if n > 0) {
            let step = self.span(fault, 1_000_000);
            return self.after(step, Ev::Repair(fault, u32::from(slot)));
        }
        self.servers.moving.remove(&slot);
        if moved.is_ok() {
            self.act(|_| format!("finish-move {}", super::render::key_of(slot)));
            let _ = self.servers.model.finish_move(slot);
        } else {
            // One side was demoted meanwhile: the operator gives up.
            let number = slot.to_string();
            self.servers.operate(owner, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"STABLE"]);
        }
    }

    /// A slot without an owner gets its old one back, or his heir.
    pub(super) fn adopt(&mut self, slot: u16) {
        let Some(from) = self.servers.orphans.remove(&slot) else { return };
        let node = self.servers.model.primary_of(from).unwrap_or(from);
        self.servers.model.forget_owner(node, slot);
        let _ = self.servers.model.add_slot(node, slot);
    }

    /// Everything about the cluster is repaired.
    pub fn calm_all(&mut self) {
        for node in 0..self.servers.nodes.len() {
            if !self.servers.retired.contains(&node) {
                self.restart(Fault::Crash, node);
                self.servers.model.set_switches(node, |switches| *switches = Default::default());
                if !self.servers.model.is_member(node) {
                    self.calm(Fault::Reset, node as u32);
                }
            }
        }
        let orphans: Vec<u16> = self.servers.orphans.keys().copied().collect();
        for slot in orphans {
            self.adopt(slot);
        }
        let chained: Vec<u16> = self.servers.chained.keys().copied().collect();
        chained.into_iter().for_each(|slot| self.unchain(slot));
        let trimmed: Vec<u16> = self.servers.trimmed.keys().copied().collect();
        trimmed.into_iter().for_each(|slot| self.trimmed(slot));
        self.name_again(None);
        self.servers.model.settle();
        let moving: Vec<u16> = self.servers.moving.keys().copied().collect();
        for slot in moving {
            self.servers.moving.remove(&slot);
            let _ = self.servers.model.move_keys(slot, usize::MAX);
            let _ = self.servers.model.finish_move(slot);
        }
        if self.servers.password > 0 {
            self.calm(Fault::Password, self.servers.password as u32);
        }
        self.servers.model.set_allowed(None, b"default", "cluster|slots", true);
        self.servers.model.settle();
        self.agree();
        self.flush();
    }

    /// What an operator does in the end: marks are taken away, slots that fell through between two views get an owner,
    /// and every node is told who owns what.
    fn agree(&mut self) {
        for slot in self.servers.moved.clone() {
            let number = slot.to_string();
            for node in self.primaries() {
                self.servers.operate(node, &[b"CLUSTER", b"SETSLOT", number.as_bytes(), b"STABLE"]);
            }
        }
        let nodes = 0..self.servers.nodes.len();
        for (slot, owner) in (0..).zip(self.servers.model.owners()) {
            let mut owner = owner;
            let model = &self.servers.model;
            if owner.is_none_or(|owner| !model.is_member(owner) || model.primary_of(owner).is_some()) {
                nodes.clone().for_each(|node| self.servers.model.forget_owner(node, slot));
                owner = self.primaries().first().copied();
                let _ = self.servers.model.add_slot(owner.unwrap_or(0), slot);
            }
            for node in nodes.clone() {
                if self.servers.model.owner_seen_by(node, slot) != owner {
                    self.servers.model.forget_owner(node, slot);
                }
            }
        }
        self.servers.model.settle();
    }
}

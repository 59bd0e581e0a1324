//! A batch under way: which part of which command each tag stands for, and where its answer goes.

use std::borrow::Borrow;

use slotwise::cluster::SubmitError;
use slotwise::command::{CommandSpec, Target};
use slotwise::ids::NodeId;
use slotwise::pipeline::{Failure, Outcome, Reason};

use crate::batch::{Batch, Plan};
use crate::driver::{Reply, Work};
use crate::merge::merge;
use crate::results::{ErrorItem, Item, Results};

/// One command, or one part of one, as the engine sees it.
#[derive(Clone, Copy, Debug)]
struct Unit {
    command: u32,
    part: u32,
}

/// The parts of a command that has several.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) items: Vec<Item>,
    /// Nodes the parts went to, for commands that go to nodes.
    pub(crate) nodes: Vec<NodeId>,
    left: usize,
}

/// A batch that is borrowed for a run, or owned by one entry of a pipeline.
pub(crate) struct BatchWork<B> {
    batch: B,
    pub(crate) results: Results,
    units: Vec<Unit>,
    parts: Vec<Option<Box<Parts>>>,
    /// First error inside a transaction block, by command.
    queue_errors: Vec<(u32, Item)>,
    /// Units submitted and not ended.
    pub(crate) open: usize,
}

impl<B: Borrow<Batch>> BatchWork<B> {
    pub(crate) fn new(owner: B) -> Self {
        let batch: &Batch = owner.borrow();
        let names = if batch.len() <= 64 { (0..batch.len()).map(|i| batch.name(i)).collect() } else { Vec::new() };
        let items = (0..batch.len()).map(|_| Item::Pending).collect();
        let units = Vec::with_capacity(batch.len());
        Self {
            batch: owner,
            results: Results { names, items, bytes: Vec::new(), refusers: Vec::new() },
            units,
            parts: Vec::new(),
            queue_errors: Vec::new(),
            open: 0,
        }
    }

    fn batch(&self) -> &Batch {
        self.batch.borrow()
    }

    /// Whether a command goes to every node, or every primary.
    pub(crate) fn goes_everywhere(&self, index: usize) -> bool {
        self.batch().commands.get(index).is_some_and(|command| matches!(command.plan, Plan::FanOut { .. }))
    }

    /// What to submit for a command: one unit, or several.
    pub(crate) fn units_of(&mut self, index: usize, nodes: impl Fn(bool) -> Vec<NodeId>) -> Vec<CommandSpec> {
        let batch: &Batch = self.batch.borrow();
        let Some(command) = batch.commands.get(index) else { return Vec::new() };
        match &command.plan {
            Plan::One(spec) | Plan::Group(spec) => vec![*spec],
            Plan::Refused(error) => {
                let error = *error;
                self.end(index, Item::Error(Box::new(ErrorItem::Refused(error))));
                Vec::new()
            }
            Plan::Split(plan) => {
                let count = Batch::split_parts(plan);
                let specs: Vec<CommandSpec> = (0..count)
                    .filter_map(|part| batch.part_facts(plan, part))
                    .map(|(slot, len)| CommandSpec { target: Target::Slot(slot), len, ..plan.spec })
                    .collect();
                self.open_parts(index, specs.len(), Vec::new());
                specs
            }
            Plan::FanOut { spec, replicas, .. } => {
                let nodes = nodes(*replicas);
                let specs = nodes.iter().map(|id| CommandSpec { target: Target::Node(*id), ..*spec }).collect();
                self.open_parts(index, nodes.len(), nodes);
                specs
            }
        }
    }

    fn open_parts(&mut self, index: usize, count: usize, nodes: Vec<NodeId>) {
        if self.parts.len() <= index {
            self.parts.resize_with(index + 1, || None);
        }
        self.parts[index] =
            Some(Box::new(Parts { items: (0..count).map(|_| Item::Pending).collect(), nodes, left: count }));
        if count == 0 {
            // There is nobody to send it to.
            let failure = Failure { outcome: Outcome::NotSent, reason: Reason::SlotUncovered, node: None };
            self.end(index, Item::Failed(failure));
        }
    }

    /// The tag of the next unit.
    pub(crate) fn tag(&mut self, index: usize, part: usize) -> u64 {
        let unit = Unit { command: narrow(index), part: narrow(part) };
        self.units.push(unit);
        self.open += 1;
        (self.units.len() - 1) as u64
    }

    pub(crate) fn refused(&mut self, tag: u64, error: SubmitError) {
        self.end_unit(tag, Item::Error(Box::new(ErrorItem::Submit(error))));
    }

    fn unit(&self, tag: u64) -> Option<Unit> {
        self.units.get(usize::try_from(tag).ok()?).copied()
    }

    fn end(&mut self, index: usize, item: Item) {
        if let Some(place) = self.results.items.get_mut(index) {
            debug_assert!(matches!(place, Item::Pending), "a command ended twice");
            *place = item;
        }
        let batch: &Batch = self.batch.borrow();
        if self.results.names.is_empty() && !batch.is_empty() {
            self.results.names = vec![String::new(); batch.len()];
        }
        let failed = !matches!(self.results.items.get(index), Some(Item::Reply { .. }));
        if failed && let Some(name) = self.results.names.get_mut(index) {
            *name = batch.name(index);
        }
    }

    fn end_unit(&mut self, tag: u64, item: Item) {
        let Some(unit) = self.unit(tag) else { return };
        self.open = self.open.saturating_sub(1);
        let index = unit.command as usize;
        let Some(parts) = self.parts.get_mut(index).and_then(Option::as_mut) else {
            return self.end(index, item);
        };
        if let Some(place) = parts.items.get_mut(unit.part as usize) {
            *place = item;
        }
        parts.left = parts.left.saturating_sub(1);
        if parts.left > 0 {
            return;
        }
        let Some(parts) = self.parts.get_mut(index).and_then(Option::take) else { return };
        let batch: &Batch = self.batch.borrow();
        let item = match batch.commands.get(index).map(|command| &command.plan) {
            Some(Plan::Split(plan)) => {
                let positions = |part| batch.part_positions(plan, part);
                merge(plan.merge, &parts, &mut self.results.bytes, positions)
            }
            Some(Plan::FanOut { merge: policy, .. }) => merge(*policy, &parts, &mut self.results.bytes, |_| Vec::new()),
            _ => Item::Error(Box::new(ErrorItem::UnexpectedReply)),
        };
        self.end(index, item);
    }

    fn keep(&mut self, reply: &Reply<'_>) -> Item {
        let raw = reply.frame.raw();
        let start = self.results.bytes.len();
        self.results.bytes.extend_from_slice(raw);
        if let Some(node) = reply.node {
            self.results.refusers.push((start, node));
        }
        Item::Reply { start, len: raw.len(), resent: reply.resent }
    }
}

impl<B: Borrow<Batch>> Work for BatchWork<B> {
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>) {
        if let Some(unit) = self.unit(tag) {
            self.batch().write(unit.command as usize, unit.part as usize, out);
        }
    }

    fn reply(&mut self, tag: u64, reply: Reply<'_>) {
        let Some(unit) = self.unit(tag) else { return };
        let item = self.keep(&reply);
        if !reply.last {
            // A command inside a transaction was refused when it was queued; EXEC will say EXECABORT.
            if self.queue_errors.iter().all(|(command, _)| *command != unit.command) {
                self.queue_errors.push((unit.command, item));
            }
            return;
        }
        let noted = self.queue_errors.iter().position(|(command, _)| *command == unit.command);
        let item = match noted.map(|at| self.queue_errors.swap_remove(at).1) {
            Some(first) if reply.frame.is_error() => first,
            _ => item,
        };
        self.end_unit(tag, item);
    }

    fn failed(&mut self, tag: u64, failure: Failure) {
        self.end_unit(tag, Item::Failed(failure));
    }
}

fn narrow(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

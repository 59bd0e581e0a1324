//! Which command goes to which node, in submission order.

use core::fmt;

/// The plan's entry for one command. 4 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    next: u32,
}

impl Link {
    /// What a table is filled with before use.
    pub const EMPTY: Self = Self { next: NONE };
}

/// The plan's entry for one node: the commands in line for it. 16 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Lane {
    /// `NONE` when nothing is in line; `tail` is of no meaning then.
    head: u32,
    tail: u32,
    count: u32,
    /// The next lane that was used, in order of first use; its own index at the end, `NONE` while unused.
    next_used: u32,
}

impl Lane {
    /// What a table is filled with before use.
    pub const EMPTY: Self = Self { head: NONE, tail: NONE, count: 0, next_used: NONE };
}

const NONE: u32 = u32::MAX;

/// Why a command was not taken into a plan. The plan is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// Every entry of the command table is taken: send what is planned, then clear.
    Full,
    /// The lane table has no such lane.
    NoSuchLane,
    /// No command of this number was pushed.
    NoSuchCommand,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the plan is full",
            Self::NoSuchLane => "no such lane",
            Self::NoSuchCommand => "no such command",
        })
    }
}

impl core::error::Error for PlanError {}

/// Groups commands by node, in submission order within each.
///
/// Commands are numbered as they are pushed, from 0. Each stands in one lane's queue; a lane is a node, or whatever
/// the caller sends over. Pushing, taking and putting back cost O(1) whatever the number of commands and lanes, and
/// [`clear`](Self::clear) costs only the lanes that were used.
///
/// The two tables are anything that lends slices: arrays, `Vec`s, or `&mut` slices of them. A `Vec` may be made
/// longer at any time through [`links_mut`](Self::links_mut) and [`lanes_mut`](Self::lanes_mut).
#[derive(Clone, Debug)]
pub struct Plan<L, N> {
    links: L,
    lanes: N,
    /// Commands pushed since the last clear.
    len: u32,
    /// First and last lane of those that were used.
    first_used: u32,
    last_used: u32,
}

impl<L, N> Plan<L, N>
where
    L: AsRef<[Link]> + AsMut<[Link]>,
    N: AsRef<[Lane]> + AsMut<[Lane]>,
{
    /// An empty plan: one link for each command, one lane for each node.
    #[must_use]
    pub fn new(links: L, mut lanes: N) -> Self {
        for lane in lanes.as_mut() {
            *lane = Lane::EMPTY;
        }
        Self { links, lanes, len: 0, first_used: NONE, last_used: NONE }
    }

    /// Forgets all commands.
    pub fn clear(&mut self) {
        let mut at = core::mem::replace(&mut self.first_used, NONE);
        while let Some(lane) = self.lanes.as_mut().get_mut(at as usize) {
            let next = lane.next_used;
            *lane = Lane::EMPTY;
            if next == at {
                break;
            }
            at = next;
        }
        self.last_used = NONE;
        self.len = 0;
    }

    /// How many commands were pushed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether none was.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The next command goes to the end of `lane`'s queue. Returns its number.
    ///
    /// # Errors
    /// [`PlanError::Full`], [`PlanError::NoSuchLane`].
    pub fn push(&mut self, lane: usize) -> Result<u32, PlanError> {
        let command = self.len;
        if command == NONE || self.links.as_ref().len() <= command as usize {
            return Err(PlanError::Full);
        }
        self.append(lane, command)?;
        self.len = command + 1;
        Ok(command)
    }

    /// Takes the command at the front of `lane`'s queue.
    pub fn pop(&mut self, lane: usize) -> Option<u32> {
        let entry = self.lanes.as_mut().get_mut(lane)?;
        let command = entry.head;
        let link = self.links.as_ref().get(command as usize)?;
        entry.head = link.next;
        entry.count = entry.count.wrapping_sub(1);
        Some(command)
    }

    /// Puts a command that was taken, and was then redirected, at the end of `lane`'s queue. Commands put back in
    /// the order in which they were refused keep that order.
    ///
    /// The command must not be in a queue at present: it would be in two.
    ///
    /// # Errors
    /// [`PlanError::NoSuchCommand`], [`PlanError::NoSuchLane`].
    pub fn put_back(&mut self, lane: usize, command: u32) -> Result<(), PlanError> {
        if command >= self.len {
            return Err(PlanError::NoSuchCommand);
        }
        self.append(lane, command)
    }

    /// How many commands are in line for `lane`.
    #[must_use]
    pub fn waiting(&self, lane: usize) -> usize {
        self.lanes.as_ref().get(lane).map_or(0, |lane| lane.count as usize)
    }

    /// The commands in line for `lane`, in order.
    #[must_use]
    pub fn commands(&self, lane: usize) -> LaneCommands<'_> {
        let next = self.lanes.as_ref().get(lane).map_or(NONE, |lane| lane.head);
        LaneCommands { links: self.links.as_ref(), next }
    }

    /// The lanes that were used since the last clear, in the order of their first use; their queues may be empty by
    /// now. Costs O(1) for each.
    pub fn lanes(&self) -> impl Iterator<Item = usize> {
        let lanes = self.lanes.as_ref();
        let mut at = self.first_used;
        core::iter::from_fn(move || {
            let lane = lanes.get(at as usize)?;
            let this = at;
            at = if lane.next_used == this { NONE } else { lane.next_used };
            Some(this as usize)
        })
    }

    /// The command table, to make it longer.
    pub const fn links_mut(&mut self) -> &mut L {
        &mut self.links
    }

    /// The lane table, to make it longer with [`Lane::EMPTY`].
    pub const fn lanes_mut(&mut self) -> &mut N {
        &mut self.lanes
    }

    fn append(&mut self, lane: usize, command: u32) -> Result<(), PlanError> {
        let links = self.links.as_mut();
        let entry = self.lanes.as_mut().get_mut(lane).ok_or(PlanError::NoSuchLane)?;
        links.get_mut(command as usize).ok_or(PlanError::NoSuchCommand)?.next = NONE;
        entry.count = entry.count.wrapping_add(1);
        let tail = core::mem::replace(&mut entry.tail, command);
        if entry.head != NONE {
            if let Some(tail) = links.get_mut(tail as usize) {
                tail.next = command;
            }
            return Ok(());
        }
        entry.head = command;
        if entry.next_used == NONE {
            self.use_lane(lane);
        }
        Ok(())
    }

    /// Puts a lane on the list of those to be cleared.
    fn use_lane(&mut self, lane: usize) {
        let lanes = self.lanes.as_mut();
        let number = u32::try_from(lane).unwrap_or(NONE);
        if let Some(entry) = lanes.get_mut(lane) {
            entry.next_used = number;
        }
        match lanes.get_mut(self.last_used as usize) {
            Some(last) => last.next_used = number,
            None => self.first_used = number,
        }
        self.last_used = number;
    }
}

/// Iterator over the commands in line for one lane.
#[derive(Clone, Debug)]
pub struct LaneCommands<'a> {
    links: &'a [Link],
    next: u32,
}

impl Iterator for LaneCommands<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let command = self.next;
        self.next = self.links.get(command as usize)?.next;
        Some(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::vec;
    use std::vec::Vec;

    #[derive(Clone, Debug)]
    enum Op {
        Push(usize),
        Pop(usize),
        Move(usize),
        Clear,
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            8 => (0..6_usize).prop_map(Op::Push),
            4 => (0..6_usize).prop_map(Op::Pop),
            2 => (0..6_usize).prop_map(Op::Move),
            1 => Just(Op::Clear),
        ]
    }

    proptest! {
        #[test]
        fn agrees_with_queues(ops in proptest::collection::vec(op(), 0..200)) {
            let mut plan = Plan::new([Link::EMPTY; 40], vec![Lane::EMPTY; 5]);
            let mut model: Vec<VecDeque<u32>> = vec![VecDeque::new(); 5];
            let (mut used, mut len, mut taken) = (Vec::new(), 0, VecDeque::new());
            for op in ops {
                match op {
                    Op::Push(lane) => {
                        let got = plan.push(lane);
                        if len == 40 {
                            prop_assert_eq!(got, Err(PlanError::Full));
                        } else if lane >= 5 {
                            prop_assert_eq!(got, Err(PlanError::NoSuchLane));
                        } else {
                            prop_assert_eq!(got, Ok(len));
                            model[lane].push_back(len);
                            len += 1;
                            if !used.contains(&lane) {
                                used.push(lane);
                            }
                        }
                    }
                    Op::Pop(lane) => {
                        let expected = model.get_mut(lane).and_then(VecDeque::pop_front);
                        prop_assert_eq!(plan.pop(lane), expected);
                        taken.extend(expected);
                    }
                    Op::Move(lane) if lane < 5 => if let Some(command) = taken.pop_front() {
                        prop_assert_eq!(plan.put_back(lane, command), Ok(()));
                        model[lane].push_back(command);
                        if !used.contains(&lane) {
                            used.push(lane);
                        }
                    },
                    Op::Move(lane) => {
                        let wanted = if len > 0 { PlanError::NoSuchLane } else { PlanError::NoSuchCommand };
                        prop_assert_eq!(plan.put_back(lane, 0), Err(wanted));
                    }
                    Op::Clear => {
                        plan.clear();
                        model.iter_mut().for_each(VecDeque::clear);
                        used.clear();
                        taken.clear();
                        len = 0;
                    }
                }
                prop_assert_eq!(plan.len(), len as usize);
                prop_assert_eq!(plan.is_empty(), len == 0);
                prop_assert_eq!(plan.lanes().collect::<Vec<_>>(), used.clone());
                for (lane, queue) in model.iter().enumerate() {
                    prop_assert_eq!(plan.waiting(lane), queue.len());
                    prop_assert!(plan.commands(lane).eq(queue.iter().copied()));
                }
            }
        }
    }

    #[test]
    fn tables_may_grow_on_the_way() {
        let mut plan = Plan::new(vec![Link::EMPTY; 1], vec![Lane::EMPTY; 1]);
        assert_eq!(plan.push(0), Ok(0));
        assert_eq!(plan.push(0), Err(PlanError::Full));
        plan.links_mut().resize(3, Link::EMPTY);
        assert_eq!(plan.push(1), Err(PlanError::NoSuchLane));
        plan.lanes_mut().push(Lane::EMPTY);
        assert_eq!((plan.push(1), plan.push(0)), (Ok(1), Ok(2)));
        assert_eq!(plan.commands(0).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(plan.commands(9).count(), 0);
    }

    #[test]
    fn borrowed_tables_are_reset() {
        let (mut links, mut lanes) = ([Link { next: 0 }; 2], [Lane { head: 1, tail: 1, count: 5, next_used: 0 }; 2]);
        let mut plan = Plan::new(&mut links[..], &mut lanes[..]);
        assert_eq!(plan.lanes().count(), 0);
        assert_eq!((plan.waiting(0), plan.pop(1)), (0, None));
        assert_eq!(plan.push(1), Ok(0));
        assert_eq!(plan.lanes().collect::<Vec<_>>(), [1]);
        assert_eq!((size_of::<Link>(), size_of::<Lane>()), (4, 16));
    }
}

//! A pipeline without an end: commands go out as they are added, answers come as they arrive.

use std::collections::{HashMap, VecDeque};
use std::time::Duration as StdDuration;

use slotwise::cluster::CancelStage;
use slotwise::command::{CommandSpec, Target};
use slotwise::ids::CommandId;
use slotwise::pipeline::Failure;
use slotwise::resp::Args;

use crate::batch::Batch;
use crate::client::{Client, everywhere};
use crate::driver::{Reply, Work};
use crate::error::Error;
use crate::value::Value;
use crate::work::BatchWork;

/// Bits of an engine tag that number the parts of one command.
const PART_BITS: u32 = 24;

/// One command of a [`Pipeline`]: a number that counts up from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The command's place in submission order.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// How one command of a [`Pipeline`] ended.
#[derive(Debug)]
pub struct Answer {
    /// Which command.
    pub ticket: Ticket,
    /// Its reply, or why none came and whether it ran.
    pub result: Result<Value, Error>,
    /// It was redirected or sent again on its way, so that later commands on its slot may have run before it.
    pub resent: bool,
}

/// Commands on their way, each with an answer of its own: a shard that is down holds up nobody but its own commands.
///
/// Nothing moves by itself: sending and receiving happen inside [`Pipeline::next`]. Commands of one slot run in
/// submission order, as in a batch. What is still on its way when the pipeline is dropped is cancelled.
///
/// ```no_run
/// use slotwise_std::Client;
/// use std::time::Duration;
///
/// let mut client = Client::connect("redis://127.0.0.1:7000")?;
/// let mut pipeline = client.pipeline();
/// for n in 0..100 {
///     pipeline.push(&["INCR", &format!("visits:{n}")]);
/// }
/// while let Some(answer) = pipeline.next(Duration::from_secs(1))? {
///     println!("command {}: {:?}", answer.ticket.number(), answer.result);
/// }
/// # Ok::<(), slotwise_std::Error>(())
/// ```
pub struct Pipeline<'c> {
    client: &'c mut Client,
    flow: Flow,
    next: u64,
}

impl std::fmt::Debug for Pipeline<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline").field("on_their_way", &self.flow.running.len()).finish_non_exhaustive()
    }
}

/// A command that has not ended.
struct Running {
    work: BatchWork<Batch>,
    ids: Vec<CommandId>,
}

/// The pipeline as the event loop sees it.
#[derive(Default)]
struct Flow {
    running: HashMap<u64, Running>,
    answers: VecDeque<Answer>,
}

impl Flow {
    fn of(&mut self, tag: u64) -> Option<(&mut Running, u64)> {
        let part = tag & ((1 << PART_BITS) - 1);
        self.running.get_mut(&(tag >> PART_BITS)).map(|running| (running, part))
    }

    /// Turns a command that has ended into an answer.
    fn settle(&mut self, ticket: u64) {
        if self.running.get(&ticket).is_some_and(|running| running.work.open == 0)
            && let Some(running) = self.running.remove(&ticket)
        {
            let results = running.work.results;
            let (result, resent) = (results.value(0), results.was_resent(0));
            self.answers.push_back(Answer { ticket: Ticket(ticket), result, resent });
        }
    }
}

impl Work for Flow {
    fn encode(&mut self, tag: u64, out: &mut Vec<u8>) {
        if let Some((running, part)) = self.of(tag) {
            running.work.encode(part, out);
        }
    }

    fn reply(&mut self, tag: u64, reply: Reply<'_>) {
        if let Some((running, part)) = self.of(tag) {
            running.work.reply(part, reply);
            self.settle(tag >> PART_BITS);
        }
    }

    fn failed(&mut self, tag: u64, failure: Failure) {
        if let Some((running, part)) = self.of(tag) {
            running.work.failed(part, failure);
            self.settle(tag >> PART_BITS);
        }
    }
}

impl<'c> Pipeline<'c> {
    pub(crate) fn new(client: &'c mut Client) -> Self {
        Self { client, flow: Flow::default(), next: 0 }
    }

    /// Adds a command, routed by its keys. It is sent by the next [`Pipeline::next`]; one that cannot be sent has its
    /// error as its answer.
    pub fn push<A: Args + ?Sized>(&mut self, args: &A) -> Ticket {
        let mut batch = Batch::new();
        batch.push(args);
        self.submit(batch)
    }

    /// Adds a command for a place of the caller's choice.
    pub fn push_to<A: Args + ?Sized>(&mut self, target: Target, args: &A) -> Ticket {
        let mut batch = Batch::new();
        batch.push_to(target, args);
        self.submit(batch)
    }

    /// Adds `MULTI`, the commands and `EXEC` as one block; see [`Batch::push_transaction`].
    pub fn push_transaction<A: Args>(&mut self, commands: &[A]) -> Ticket {
        let mut batch = Batch::new();
        batch.push_transaction(commands);
        self.submit(batch)
    }

    fn submit(&mut self, batch: Batch) -> Ticket {
        let ticket = self.next;
        self.next += 1;
        let driver = &mut self.client.driver;
        let mut running = Running { work: BatchWork::new(batch), ids: Vec::new() };
        let map = driver.cluster.map();
        let specs = running.work.units_of(0, |replicas| everywhere(&map, replicas));
        for (part, spec) in specs.into_iter().enumerate() {
            let part = running.work.tag(0, part);
            let now = driver.now();
            match driver.cluster.submit(now, CommandSpec { tag: ticket << PART_BITS | part, ..spec }) {
                Ok(id) => running.ids.push(id),
                Err(error) => running.work.refused(part, error),
            }
        }
        self.flow.running.insert(ticket, running);
        self.flow.settle(ticket);
        Ticket(ticket)
    }

    /// The next answer, in the order of arrival, waiting for it for at most `timeout`. `None` when that time is over
    /// or nothing is on its way.
    ///
    /// # Errors
    /// [`Error::Io`] when the event loop itself fails.
    pub fn next(&mut self, timeout: StdDuration) -> Result<Option<Answer>, Error> {
        let until = std::time::Instant::now().checked_add(timeout);
        loop {
            if let Some(answer) = self.flow.answers.pop_front() {
                return Ok(Some(answer));
            }
            if self.flow.running.is_empty() {
                return Ok(None);
            }
            let left = until.map(|until| until.saturating_duration_since(std::time::Instant::now()));
            self.client.driver.turn(&mut self.flow, left)?;
            if self.flow.answers.is_empty() && left.is_some_and(|left| left.is_zero()) {
                return Ok(None);
            }
        }
    }

    /// Sends what can be sent and receives what has come, without waiting.
    ///
    /// # Errors
    /// [`Error::Io`] when the event loop itself fails.
    pub fn flush(&mut self) -> Result<(), Error> {
        Ok(self.client.driver.turn(&mut self.flow, Some(StdDuration::ZERO))?)
    }

    /// Gives a command up. Its answer follows, and says whether it may have run; of a command that was split, parts
    /// may have run.
    pub fn cancel(&mut self, ticket: Ticket) -> CancelStage {
        let driver = &mut self.client.driver;
        let Some(running) = self.flow.running.get(&ticket.0) else { return CancelStage::Unknown };
        let mut stage = CancelStage::Unknown;
        for id in &running.ids {
            let now = driver.now();
            match driver.cluster.cancel(now, *id) {
                CancelStage::InFlight => stage = CancelStage::InFlight,
                CancelStage::NotSent if stage == CancelStage::Unknown => stage = CancelStage::NotSent,
                _ => {}
            }
        }
        stage
    }

    /// How many commands have not been answered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.flow.running.len() + self.flow.answers.len()
    }

    /// Whether every command was answered and every answer taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the event loop of the client did so far.
    #[must_use]
    pub const fn client(&self) -> &Client {
        self.client
    }
}

impl Drop for Pipeline<'_> {
    fn drop(&mut self) {
        let tickets: Vec<u64> = self.flow.running.keys().copied().collect();
        for ticket in tickets {
            self.cancel(Ticket(ticket));
        }
        // The ends of what was cancelled are due at once; replies that still come are eaten by the engine.
        for _ in 0..8 {
            if self.flow.running.is_empty() || self.flush().is_err() {
                break;
            }
        }
    }
}

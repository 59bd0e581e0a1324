//! A pipeline: commands collected once, run in one go, read in submission order.

use slotwise::command::{
    Analysis, CommandError, CommandSpec, FULL, ResponsePolicy, RetryPermission, Route, Target, Unshared, analyse,
};
use slotwise::pipeline::{KeyPlace, Layout, Part, split};
use slotwise::resp::Args;
use slotwise::resp::encode;
use slotwise::slot::Slot;
use slotwise::time::Duration;

/// How long a blocking command may take: it brings its own limit.
const BLOCKING: Duration = Duration::from_secs(24 * 3600);

/// Commands to run together, encoded as they are added.
///
/// A command that cannot be routed (unknown, wrong number of arguments, keys in several slots) fails alone, as its
/// own result; the others run.
///
/// ```
/// use slotwise_std::Batch;
///
/// let mut batch = Batch::new();
/// batch.push(&["SET", "user:1", "Ada"]).push(&["MGET", "user:1", "user:2"]);
/// assert_eq!(batch.len(), 2);
/// ```
#[derive(Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Start and length of arguments in `bytes`; kept for commands that are split, and for names.
    spans: Vec<(usize, u32)>,
    pub(crate) commands: Vec<BatchCommand>,
}

/// One command of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchCommand {
    start: usize,
    end: usize,
    name: (usize, u32),
    pub(crate) plan: Plan,
}

/// What is to be done with a command.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// One place.
    One(CommandSpec),
    /// A transaction block; its result is EXEC's reply.
    Group(CommandSpec),
    /// Cut by slot.
    Split(Box<SplitPlan>),
    /// Every primary, or every node.
    FanOut { spec: CommandSpec, replicas: bool, merge: ResponsePolicy },
    /// Not sent.
    Refused(CommandError),
}

/// A command that was cut by slot.
#[derive(Clone, Debug)]
pub(crate) struct SplitPlan {
    first_span: usize,
    spans: usize,
    layout: Layout,
    keys: Vec<KeyPlace>,
    parts: Vec<Part>,
    pub(crate) spec: CommandSpec,
    pub(crate) merge: ResponsePolicy,
}

/// Arguments that lie in a batch's bytes.
#[derive(Clone, Copy, Debug)]
struct SpanArgs<'a> {
    bytes: &'a [u8],
    spans: &'a [(usize, u32)],
}

impl Args for SpanArgs<'_> {
    fn count(&self) -> usize {
        self.spans.len()
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        let (start, len) = *self.spans.get(index)?;
        self.bytes.get(start..start + len as usize)
    }
}

/// How much there is, and nothing of what it is: arguments may be anybody's secrets.
impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("commands", &self.commands.len()).field("bytes", &self.bytes.len()).finish()
    }
}

impl Batch {
    /// A batch without commands.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many commands it has; a transaction counts as one.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Removes all commands and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.commands.clear();
    }

    /// Appends a command, routed by its keys.
    pub fn push<A: Args + ?Sized>(&mut self, args: &A) -> &mut Self {
        let plan = match analyse(&FULL, args) {
            Ok(analysis) => self.plan(args, &analysis),
            Err(error) => Plan::Refused(error),
        };
        self.append(args, plan)
    }

    /// Appends a command that may run twice: it is sent again also when its first try may have run.
    pub fn push_repeatable<A: Args + ?Sized>(&mut self, args: &A) -> &mut Self {
        self.push(args);
        match self.commands.last_mut().map(|command| &mut command.plan) {
            Some(Plan::One(spec) | Plan::Group(spec) | Plan::FanOut { spec, .. }) => {
                spec.retry = RetryPermission::Always;
            }
            Some(Plan::Split(split)) => split.spec.retry = RetryPermission::Always,
            Some(Plan::Refused(_)) | None => {}
        }
        self
    }

    /// Appends a command for a place of the caller's choice: module commands that no table knows, commands to a
    /// certain node.
    pub fn push_to<A: Args + ?Sized>(&mut self, target: Target, args: &A) -> &mut Self {
        let plan = match (analyse(&FULL, args), encode::encoded_len(args)) {
            (_, Err(_)) => Plan::Refused(CommandError::Empty),
            (Ok(analysis), Ok(len)) => match analysis.not_shared() {
                Some(why @ (Unshared::Replies | Unshared::Stream)) => Plan::Refused(CommandError::NotShared(why)),
                _ => Plan::One(analysis.spec_for(target, clamp(len))),
            },
            (Err(_), Ok(len)) => {
                let mut spec = CommandSpec::new(target, slotwise::command::Access::Write, clamp(len));
                spec.script_like = true;
                Plan::One(spec)
            }
        };
        self.append(args, plan)
    }

    /// Appends `MULTI`, the commands and `EXEC` as one block for one slot's owner. Its one result is EXEC's reply: an
    /// array of the commands' replies, null if a watched key changed, or an error, with which nothing ran.
    pub fn push_transaction<A: Args>(&mut self, commands: &[A]) -> &mut Self {
        let start = self.bytes.len();
        self.encode(&["MULTI"]);
        let mut plan = group_plan(commands);
        for command in commands {
            self.encode(command);
        }
        self.encode(&["EXEC"]);
        let len = self.bytes.len() - start;
        if let Plan::Group(spec) = &mut plan {
            spec.len = clamp(len as u64);
        }
        // "MULTI" itself: `*1\r\n$5\r\nMULTI\r\n`.
        self.commands.push(BatchCommand { start, end: start + len, name: (start + 8, 5), plan });
        self
    }

    fn append<A: Args + ?Sized>(&mut self, args: &A, mut plan: Plan) -> &mut Self {
        let start = self.bytes.len();
        self.encode(args);
        let end = self.bytes.len();
        let name = args.arg(0).map_or(0, <[u8]>::len);
        // The header is `*n\r\n$m\r\n`; the name stands right behind it.
        let name_at = start + digits(args.count()) + digits(name) + 6;
        if let Plan::Split(split) = &mut plan {
            let mut at = start + digits(args.count()) + 3;
            split.first_span = self.spans.len();
            split.spans = args.count();
            for index in 0..args.count() {
                let len = args.arg(index).map_or(0, <[u8]>::len);
                at += digits(len) + 3;
                self.spans.push((at, clamp(len as u64)));
                at += len + 2;
            }
        }
        self.commands.push(BatchCommand { start, end, name: (name_at, clamp(name as u64)), plan });
        self
    }

    fn encode<A: Args + ?Sized>(&mut self, args: &A) {
        let Ok(len) = encode::encoded_len(args) else { return };
        let start = self.bytes.len();
        self.bytes.resize(start + usize::try_from(len).unwrap_or(0), 0);
        if encode::encode(args, &mut self.bytes[start..]).is_err() {
            self.bytes.truncate(start);
        }
    }

    fn plan<A: Args + ?Sized>(&self, args: &A, analysis: &Analysis<'_>) -> Plan {
        let len = encode::encoded_len(args).map_or(0, clamp);
        if let Some(why) = analysis.not_shared() {
            return Plan::Refused(CommandError::NotShared(why));
        }
        if analysis.subscribe_class().is_some() {
            return Plan::Refused(CommandError::NotShared(Unshared::Subscriptions));
        }
        match analysis.route() {
            Route::Split => split_plan(args, analysis, len),
            Route::AllPrimaries | Route::AllNodes => Plan::FanOut {
                spec: analysis.spec_for(Target::AnyNode, len),
                replicas: analysis.route() == Route::AllNodes,
                merge: analysis.merge(),
            },
            _ => match analysis.spec(len) {
                Ok(mut spec) => {
                    if spec.blocking {
                        spec.timeout = Some(BLOCKING);
                    }
                    Plan::One(spec)
                }
                Err(error) => Plan::Refused(error),
            },
        }
    }

    /// The name of a command, for error texts: its first argument in upper case, shortened and escaped.
    pub(crate) fn name(&self, index: usize) -> String {
        let (start, len) = self.commands.get(index).map_or((0, 0), |command| command.name);
        let name = self.bytes.get(start..start + (len as usize).min(64)).unwrap_or_default();
        name.to_ascii_uppercase().escape_ascii().to_string()
    }

    /// How many parts a split command has.
    pub(crate) fn split_parts(split: &SplitPlan) -> usize {
        split.parts.len()
    }

    /// Slot of a part, and its encoded length.
    pub(crate) fn part_facts(&self, plan: &SplitPlan, part: usize) -> Option<(Slot, u32)> {
        self.with_part(plan, part, |view| (view.slot(), encode::encoded_len(&view).map_or(0, clamp)))
    }

    /// The positions of a part's keys among the command's keys.
    pub(crate) fn part_positions(&self, plan: &SplitPlan, part: usize) -> Vec<usize> {
        self.with_part(plan, part, |view| view.positions().collect()).unwrap_or_default()
    }

    fn with_part<T>(
        &self,
        plan: &SplitPlan,
        part: usize,
        f: impl FnOnce(slotwise::pipeline::PartView<'_, SpanArgs<'_>>) -> T,
    ) -> Option<T> {
        let spans = self.spans.get(plan.first_span..plan.first_span + plan.spans)?;
        let args = SpanArgs { bytes: &self.bytes, spans };
        let view = plan.layout.view(&args, &plan.keys, &plan.parts);
        view.part(part).map(f)
    }

    /// Appends a command's bytes, or those of one of its parts, to `out`.
    pub(crate) fn write(&self, index: usize, part: usize, out: &mut Vec<u8>) {
        let Some(command) = self.commands.get(index) else { return };
        match &command.plan {
            Plan::Split(plan) => {
                self.with_part(plan, part, |view| {
                    let start = out.len();
                    let len = encode::encoded_len(&view).unwrap_or(0);
                    out.resize(start + usize::try_from(len).unwrap_or(0), 0);
                    if encode::encode(&view, &mut out[start..]).is_err() {
                        out.truncate(start);
                    }
                });
            }
            _ => out.extend_from_slice(self.bytes.get(command.start..command.end).unwrap_or_default()),
        }
    }
}

fn split_plan<A: Args + ?Sized>(args: &A, analysis: &Analysis<'_>, len: u32) -> Plan {
    let mut keys = vec![KeyPlace::EMPTY; args.count()];
    let mut parts = vec![Part::EMPTY; args.count()];
    match split(args, &mut keys, &mut parts) {
        Ok(done) => {
            let (layout, used) = (done.layout(), done.len());
            parts.truncate(used);
            Plan::Split(Box::new(SplitPlan {
                first_span: 0,
                spans: 0,
                layout,
                keys,
                parts,
                spec: analysis.spec_for(Target::AnyNode, len),
                merge: analysis.merge(),
            }))
        }
        Err(_) => Plan::Refused(CommandError::Arity),
    }
}

/// Where a transaction goes: to the one slot of all its keys.
fn group_plan<A: Args>(commands: &[A]) -> Plan {
    let mut slot = None;
    for command in commands {
        let analysis = match analyse(&FULL, command) {
            Ok(analysis) => analysis,
            Err(error) => return Plan::Refused(error),
        };
        if !analysis.allowed_in_multi() || analysis.subscribe_class().is_some() {
            return Plan::Refused(CommandError::NotShared(Unshared::Transaction));
        }
        match analysis.route() {
            Route::Slot(found) if slot.is_none_or(|slot| slot == found) => slot = Some(found),
            Route::Slot(_) | Route::Split => return Plan::Refused(CommandError::CrossSlot),
            _ => {}
        }
    }
    let target = slot.map_or(Target::AnyPrimary, Target::Slot);
    let mut spec = CommandSpec::new(target, slotwise::command::Access::Write, 1);
    match u16::try_from(commands.len() + 2) {
        Ok(replies) => spec.replies = replies,
        Err(_) => return Plan::Refused(CommandError::Arity),
    }
    Plan::Group(spec)
}

/// Lengths beyond 4 GiB do not occur: a server takes at most 512 MiB an argument.
fn clamp(len: u64) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// Decimal digits of a number.
fn digits(n: usize) -> usize {
    n.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_parts_are_found_in_the_bytes() {
        let mut batch = Batch::new();
        batch.push(&["get", "k"]).push(&["MSET", "a", "1", "b", "22", "{a}", "3"]);
        batch.push_transaction(&[["INCR", "k"]]);
        assert_eq!(batch.name(0), "GET");
        assert_eq!(batch.name(1), "MSET");
        assert_eq!(batch.name(2), "MULTI");
        let Plan::Split(plan) = &batch.commands[1].plan else { panic!("MSET over slots is split") };
        assert_eq!(Batch::split_parts(plan), 2);
        let mut out = Vec::new();
        batch.write(1, 0, &mut out);
        assert_eq!(out, b"*5\r\n$4\r\nMSET\r\n$1\r\na\r\n$1\r\n1\r\n$3\r\n{a}\r\n$1\r\n3\r\n");
        assert_eq!(batch.part_positions(plan, 0), [0, 2]);
        out.clear();
        batch.write(2, 0, &mut out);
        assert_eq!(out, b"*1\r\n$5\r\nMULTI\r\n*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n*1\r\n$4\r\nEXEC\r\n");
    }

    #[test]
    fn what_cannot_be_routed_is_refused_alone() {
        let mut batch = Batch::new();
        batch.push(&["NOSUCH", "k"]).push(&["RENAME", "a", "b"]).push(&["GET"]).push(&["SUBSCRIBE", "c"]);
        batch.push_transaction(&[["INCR", "a"], ["INCR", "b"]]);
        let refused: Vec<_> = batch
            .commands
            .iter()
            .map(|command| match &command.plan {
                Plan::Refused(error) => error.name(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(refused, ["unknown_command", "cross_slot", "arity", "not_shared", "cross_slot"]);
    }
}

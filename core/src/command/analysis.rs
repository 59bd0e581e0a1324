//! From the arguments of a command to its route.

use super::entry::{Class, Flags};
use super::error::{CommandError, Unshared};
use super::key_spec::{Begin, Find, KeySpec};
use super::route::{Access, RequestPolicy, ResponsePolicy, Route, SubscribeClass};
use super::spec::{CommandSpec, RetryPermission, Target};
use super::table::{Command, Table};
use crate::resp::Args;
use crate::slot::Slot;

/// What a command is and where it goes.
///
/// # Errors
///
/// [`CommandError::Empty`], [`CommandError::Unknown`], [`CommandError::Arity`], and [`CommandError::CrossSlot`] when the
/// keys are in several slots and the command cannot be cut.
#[inline]
pub fn analyse<'t, A: Args + ?Sized>(table: &'t Table<'t>, args: &A) -> Result<Analysis<'t>, CommandError> {
    table.find(args)?.analyse(args)
}

/// What a command is and where it goes. Small, and borrows only the table.
#[derive(Clone, Copy, Debug)]
pub struct Analysis<'t> {
    command: Command<'t>,
    route: Route,
    routed: u32, // keys, channels, cursor
    blocking: bool,
}

impl<'t> Command<'t> {
    /// Where the command goes with these arguments, as [`analyse`].
    ///
    /// # Errors
    ///
    /// [`CommandError::Arity`] and [`CommandError::CrossSlot`].
    pub fn analyse<A: Args + ?Sized>(&self, args: &A) -> Result<Analysis<'t>, CommandError> {
        // Most commands have one key in a fixed place.
        if let [KeySpec { begin: Begin::Index(index), find: Find::Range { last: 0, .. }, .. }] = self.key_specs() {
            if !self.takes(args.count()) {
                return Err(CommandError::Arity);
            }
            if let Some(key) = args.arg(usize::from(*index)) {
                let blocking = self.entry.flags.has(Flags::BLOCKING);
                return Ok(Analysis { command: *self, route: Route::Slot(Slot::of_key(key)), routed: 1, blocking });
            }
        }
        let mut keys = self.routed(args)?;
        if !self.script_like() && self.cut_short(args.count()) {
            return Err(CommandError::Arity);
        }
        let routed = keys.len() as u32;
        let slot_of = |index| Slot::of_key(args.arg(index).unwrap_or_default());
        let route = match keys.next() {
            None => self.keyless_route(),
            Some(first) => {
                let slot = slot_of(first.index);
                if keys.all(|key| slot_of(key.index) == slot) {
                    Route::Slot(slot)
                } else if self.request_policy() == RequestPolicy::MultiShard && !self.entry.flags.has(Flags::GUARD) {
                    Route::Split
                } else {
                    return Err(CommandError::CrossSlot);
                }
            }
        };
        Ok(Analysis { command: *self, route, routed, blocking: self.blocks(args) })
    }

    /// Without keys: the connection if it is about one, else the tips, else by whether it writes.
    fn keyless_route(&self) -> Route {
        if self.entry.class.unshared().is_some() {
            return Route::Connection;
        }
        match self.request_policy() {
            RequestPolicy::AllNodes => Route::AllNodes,
            RequestPolicy::AllShards => Route::AllPrimaries,
            _ if self.writes() => Route::AnyPrimary,
            _ => Route::AnyNode,
        }
    }

    /// Whether the last of several key-value pairs lacks its value: `MSET a 1 b`.
    fn cut_short(&self, count: usize) -> bool {
        let &[KeySpec { begin: Begin::Index(first), find: Find::Range { last: -1, step, limit: 0..=1 }, .. }] =
            self.key_specs()
        else {
            return false;
        };
        let values = count.saturating_sub(usize::from(first));
        values.checked_rem(usize::from(step)).is_some_and(|rest| rest != 0)
    }
}

impl<'t> Analysis<'t> {
    /// The command.
    #[must_use]
    pub const fn command(&self) -> Command<'t> {
        self.command
    }

    /// The command's name in upper case, as [`Command::name`].
    #[must_use]
    pub fn name(&self) -> &'t str {
        self.command.name()
    }

    /// Where it goes.
    #[must_use]
    pub const fn route(&self) -> Route {
        self.route
    }

    /// Whether it only reads.
    #[must_use]
    pub const fn access(&self) -> Access {
        if self.command.read_only() { Access::Read } else { Access::Write }
    }

    /// Whether it only reads: servers flag it `readonly`.
    #[must_use]
    pub const fn read_only(&self) -> bool {
        self.command.read_only()
    }

    /// Whether it may wait inside the server: blocking pops, WAIT, XREAD with BLOCK.
    #[must_use]
    pub const fn blocking(&self) -> bool {
        self.blocking
    }

    /// Whether it runs a script or module code: EVAL, FCALL, commands of modules. Its error replies can imitate a
    /// refusal.
    #[must_use]
    pub const fn script_like(&self) -> bool {
        self.command.script_like()
    }

    /// How the answers of several nodes or parts become one.
    #[must_use]
    pub const fn merge(&self) -> ResponsePolicy {
        self.command.response_policy(self.routed > 0)
    }

    /// Whether servers are known not to check its slot, so that on a wrong node it would write there: MSETEX, seen on
    /// Valkey 9.1. To be sent inside MULTI behind a checked command on the same keys, or not at all.
    #[must_use]
    pub const fn needs_guard(&self) -> bool {
        self.command.entry.flags.has(Flags::GUARD)
    }

    /// Whether it subscribes or unsubscribes, and to what kind of channel.
    #[must_use]
    pub const fn subscribe_class(&self) -> Option<SubscribeClass> {
        self.command.entry.class.subscribe()
    }

    /// Why it cannot go on a connection that others share, if so.
    #[must_use]
    pub const fn not_shared(&self) -> Option<Unshared> {
        match self.command.entry.class {
            Class::ShardUnsubscribe if self.routed > 0 => None,
            class => class.unshared(),
        }
    }

    /// Whether it may stand between MULTI and EXEC, as [`Command::allowed_in_multi`].
    #[must_use]
    pub const fn allowed_in_multi(&self) -> bool {
        self.command.allowed_in_multi()
    }

    /// How many arguments decide the route: keys, or channels of sharded pub/sub, or a CLUSTERSCAN cursor.
    #[must_use]
    pub const fn key_count(&self) -> usize {
        self.routed as usize
    }

    /// The slot all keys are in.
    #[must_use]
    pub const fn slot(&self) -> Option<Slot> {
        self.route.slot()
    }

    /// What the engine takes, for a command of `len` encoded bytes with one target.
    ///
    /// # Errors
    ///
    /// [`CommandError::NotShared`], [`CommandError::Unguarded`], and [`CommandError::NotSingle`] for a command that goes
    /// to several nodes or parts: make one specification for each of them.
    pub fn spec(&self, len: u32) -> Result<CommandSpec, CommandError> {
        if let Some(why) = self.not_shared() {
            return Err(CommandError::NotShared(why));
        }
        if self.needs_guard() {
            return Err(CommandError::Unguarded);
        }
        let target = match self.route {
            Route::Slot(slot) => Target::Slot(slot),
            Route::AnyNode => Target::AnyNode,
            Route::AnyPrimary => Target::AnyPrimary,
            Route::AllPrimaries | Route::AllNodes | Route::Split => return Err(CommandError::NotSingle),
            Route::Connection => return Err(CommandError::NotShared(Unshared::About)),
        };
        Ok(self.spec_for(target, len))
    }

    /// What the engine takes for one part, or one node, of a command that goes to several; nothing is refused.
    #[must_use]
    pub fn spec_for(&self, target: Target, len: u32) -> CommandSpec {
        let mut spec = CommandSpec::new(target, self.access(), len);
        spec.blocking = self.blocking;
        spec.script_like = self.script_like();
        spec.subscribe = self.subscribe_class().is_some();
        if self.command.is_harmless() {
            spec.retry = RetryPermission::Always;
        }
        spec
    }
}

//! The command table and its look-up.

use core::fmt;

use super::entry::{Entry, Flags};
use super::error::CommandError;
use super::hash::{TOP, hash};
use super::key_spec::KeySpec;
use super::pack::Packed;
use super::route::{RequestPolicy, ResponsePolicy};
use crate::resp::Args;

/// What is known of commands: arity, keys, policies. A handle of a few words; the data lies in flash, or for an
/// [`Extension`](super::Extension) in storage the caller lends.
///
/// [`FULL`] knows every command of Redis 8.6 and Valkey 9.1. A firmware that sends a dozen commands takes a subset
/// with [`command_table!`](crate::command_table), since a linker cannot trim a table that is searched.
#[derive(Clone, Copy)]
pub struct Table<'t> {
    pub(super) names: &'t str,
    pub(super) entries: &'t [Entry],
    pub(super) buckets: &'t [u16], // a power of two of them; entry indices, or VACANT
    pub(super) specs: &'t [KeySpec],
    pub(super) base: Option<&'t Table<'t>>, // asked for what this one does not know
}

/// A bucket without an entry.
pub(super) const VACANT: u16 = u16::MAX;

const ROWS: usize = Packed::<0, 0, 0>::rows(&[]);
const BYTES: usize = Packed::<0, 0, 0>::bytes(&[]);
const BUCKETS: usize = Packed::<0, 0, 0>::buckets(&[]);
static FULL_PACKED: Packed<ROWS, BYTES, BUCKETS> = Packed::of(&[]);

/// Every command and subcommand of Redis 8.6 and Valkey 9.1, in less than 12 KiB.
pub static FULL: Table<'static> = FULL_PACKED.table();

impl<'t> Table<'t> {
    /// The entry for a command's name, and for its subcommand where it has any. The number of arguments is not
    /// checked.
    ///
    /// # Errors
    ///
    /// [`CommandError::Empty`], [`CommandError::Unknown`], and [`CommandError::Arity`] when a command that needs a
    /// subcommand has none.
    #[inline]
    pub fn find<A: Args + ?Sized>(&'t self, args: &A) -> Result<Command<'t>, CommandError> {
        let name = args.arg(0).ok_or(CommandError::Empty)?;
        let mut table = self;
        let mut bare = false;
        loop {
            if let Some((index, entry)) = table.search(TOP, name) {
                if !entry.flags.has(Flags::CONTAINER) {
                    return Ok(Command { table, entry });
                }
                match args.arg(1) {
                    // COMMAND alone is a command, CONFIG alone is not.
                    None if entry.arity >= -1 && entry.arity <= 1 => return Ok(Command { table, entry }),
                    None => bare = true,
                    Some(sub) => {
                        if let Some((_, entry)) = table.search(index as u8, sub) {
                            return Ok(Command { table, entry });
                        }
                    }
                }
            }
            match table.base {
                Some(base) => table = base,
                None if bare => return Err(CommandError::Arity),
                None => return Err(CommandError::Unknown),
            }
        }
    }

    /// Every command of this table, in no particular order, without those of the table it extends.
    pub fn commands(&'t self) -> impl Iterator<Item = Command<'t>> {
        self.entries.iter().map(move |entry| Command { table: self, entry })
    }

    /// How many commands and subcommands, without those of the table it extends.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no command in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of table data.
    #[must_use]
    pub const fn size(&self) -> usize {
        size_of_val(self.names) + size_of_val(self.entries) + size_of_val(self.buckets) + size_of_val(self.specs)
    }

    /// Whether this table or one it extends has a command, or a subcommand written `CONTAINER|SUB`.
    pub(super) fn knows(&self, name: &[u8]) -> bool {
        let mut parts = name.splitn(2, |&byte| byte == b'|');
        let (first, sub) = (parts.next().unwrap_or_default(), parts.next());
        let mut table = Some(self);
        while let Some(here) = table {
            if let Some((index, _)) = here.search(TOP, first)
                && sub.is_none_or(|sub| here.search(index as u8, sub).is_some())
            {
                return true;
            }
            table = here.base;
        }
        false
    }

    /// Open addressing with linear probing; one round at most.
    #[inline]
    pub(super) fn search(&self, parent: u8, name: &[u8]) -> Option<(u16, &'t Entry)> {
        let mask = self.buckets.len().wrapping_sub(1);
        let mut at = hash(parent, name) as usize;
        for _ in 0..self.buckets.len() {
            let &index = self.buckets.get(at & mask)?;
            let entry = self.entries.get(usize::from(index))?; // VACANT is no index
            if entry.parent == parent && usize::from(entry.name_len) == name.len() && self.is_name(entry, name) {
                return Some((index, entry));
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Whether `name`, which is of the right length, is the entry's. Names in the table are in upper case. Short ones
    /// are compared here, since the general comparison is made for long ones.
    #[inline]
    fn is_name(&self, entry: &Entry, name: &[u8]) -> bool {
        let at = usize::from(entry.name_at);
        let own = self.names.as_bytes().get(at..at.saturating_add(name.len()));
        let Some(own) = own else { return false };
        if own.len() < 12 {
            own.iter().zip(name).all(|(own, byte)| *own == byte.to_ascii_uppercase())
        } else {
            own.eq_ignore_ascii_case(name)
        }
    }

    #[inline]
    pub(super) fn name_of(&self, entry: &Entry) -> &'t str {
        let at = usize::from(entry.name_at);
        self.names.get(at..at.saturating_add(usize::from(entry.name_len))).unwrap_or("")
    }
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("commands", &self.len()).field("bytes", &self.size()).finish_non_exhaustive()
    }
}

/// One command or subcommand of a table.
#[derive(Clone, Copy)]
pub struct Command<'t> {
    pub(super) table: &'t Table<'t>,
    pub(super) entry: &'t Entry,
}

impl<'t> Command<'t> {
    /// Its name in upper case; for a subcommand that of the command it belongs to. `Display` writes both.
    #[must_use]
    pub fn name(&self) -> &'t str {
        self.table.name_of(self.parent().unwrap_or(self.entry))
    }

    /// The subcommand's name in upper case.
    #[must_use]
    pub fn subcommand(&self) -> Option<&'t str> {
        self.parent().map(|_| self.table.name_of(self.entry))
    }

    /// How many arguments, the name counted: exactly so many, or when negative at least so many.
    #[must_use]
    pub const fn arity(&self) -> i8 {
        self.entry.arity
    }

    /// Whether `count` arguments, the name counted, are neither too few nor too many.
    #[must_use]
    pub const fn takes(&self, count: usize) -> bool {
        let least = self.entry.arity.unsigned_abs() as usize;
        if self.entry.arity < 0 { count >= least } else { count == least }
    }

    /// Whether servers flag it `readonly`, so that replicas serve it.
    #[must_use]
    pub const fn read_only(&self) -> bool {
        self.entry.flags.has(Flags::READ)
    }

    /// Whether it asks for something that no key and no state of the server depends on, so that twice is as good as
    /// once though servers do not flag it `readonly`: PING, ECHO, TIME and the like.
    pub(super) fn is_harmless(&self) -> bool {
        let asks = ["PING", "ECHO", "TIME", "INFO", "LASTSAVE", "LOLWUT", "ROLE"];
        self.subcommand().is_none() && asks.iter().any(|name| self.name().eq_ignore_ascii_case(name))
    }

    /// Whether servers flag it `write`, so that replicas refuse it.
    #[must_use]
    pub const fn writes(&self) -> bool {
        self.entry.flags.has(Flags::WRITE)
    }

    /// Whether it may wait inside the server, possibly only with an option ([`Analysis::blocking`] looks for that).
    ///
    /// [`Analysis::blocking`]: super::Analysis::blocking
    #[must_use]
    pub const fn may_block(&self) -> bool {
        self.entry.flags.has(Flags::BLOCKING)
    }

    /// Whether it runs a script or module code, whose text can imitate any error reply.
    #[must_use]
    pub const fn script_like(&self) -> bool {
        self.entry.flags.has(Flags::SCRIPT)
    }

    /// Whether it may stand between MULTI and EXEC. Not so the subscribe family (its pushes take the place of
    /// elements of EXEC's reply and miscount it), HELLO, RESET, MONITOR, CLIENT REPLY, and what servers flag
    /// `no_multi`.
    #[must_use]
    pub const fn allowed_in_multi(&self) -> bool {
        !self.entry.flags.has(Flags::NO_MULTI)
    }

    /// Its `request_policy` tip.
    #[must_use]
    pub const fn request_policy(&self) -> RequestPolicy {
        self.entry.policy.request()
    }

    /// Its `response_policy` tip, with the default for commands with or without keys.
    #[must_use]
    pub const fn response_policy(&self, keyed: bool) -> ResponsePolicy {
        self.entry.policy.response(keyed)
    }

    /// Where its keys stand.
    #[must_use]
    pub fn key_specs(&self) -> &'t [KeySpec] {
        let at = usize::from(self.entry.spec_at);
        self.table.specs.get(at..at.saturating_add(usize::from(self.entry.spec_len))).unwrap_or(&[])
    }

    fn parent(&self) -> Option<&'t Entry> {
        if self.entry.parent == TOP { None } else { self.table.entries.get(usize::from(self.entry.parent)) }
    }
}

impl fmt::Display for Command<'_> {
    /// `XGROUP CREATE`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        self.subcommand().map_or(Ok(()), |sub| write!(f, " {sub}"))
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Command({self})")
    }
}

//! Commands a table does not have, learnt from a live server's COMMAND reply.

use super::entry::{Class, Entry, Flags};
use super::extension_read::{Legacy, has, read_policy, read_spec};
use super::hash::{TOP, hash};
use super::key_spec::KeySpec;
use super::table::{Table, VACANT};
use crate::resp::{Frame, Kind};

/// Memory an [`Extension`] fills; what is too small leaves commands out, which is counted.
#[derive(Debug)]
pub struct ExtensionStorage<'a> {
    /// Names and key words, 10 to 15 bytes a command; at most 64 KiB are used.
    pub names: &'a mut [u8],
    /// One for each command and subcommand, [`Entry::EMPTY`] before.
    pub entries: &'a mut [Entry],
    /// Hash buckets: the largest power of two of them is used, and should be about twice the entries.
    pub buckets: &'a mut [u16],
    /// Key specifications, [`KeySpec::EMPTY`] before; equal ones share a place. At most 255 are used.
    pub specs: &'a mut [KeySpec],
}

/// Reads COMMAND (or COMMAND INFO) replies for what a table does not know: commands of modules and of newer servers.
///
/// ```
/// use slotwise::command::{Entry, Extension, ExtensionStorage, FULL, KeySpec, analyse};
/// use slotwise::limits::Limits;
/// use slotwise::resp::{Frame, Status};
///
/// // COMMAND INFO json.get of a server before 7.0, where entries have six elements
/// let reply = b"*1\r\n*6\r\n$8\r\njson.get\r\n:-2\r\n*2\r\n+readonly\r\n+module\r\n:1\r\n:1\r\n:1\r\n";
/// let Status::Complete((frame, _)) = Frame::new_checked(reply, &Limits::DEFAULT)? else { panic!() };
///
/// let (mut names, mut entries) = ([0; 64], [Entry::EMPTY; 4]);
/// let (mut buckets, mut specs) = ([0; 8], [KeySpec::EMPTY; 4]);
/// let mut extension = Extension::new(
///     ExtensionStorage { names: &mut names, entries: &mut entries, buckets: &mut buckets, specs: &mut specs },
///     &FULL,
/// );
/// extension.read(&frame);
/// assert_eq!((extension.added(), extension.left_out()), (1, 0));
/// let table = extension.finish();
///
/// let found = analyse(&table, &["JSON.GET", "k", "$"]).unwrap();
/// assert!(found.read_only() && found.script_like() && found.slot().is_some());
/// assert!(analyse(&table, &["GET", "k"]).is_ok()); // what the base knows is still known
/// # Ok::<(), slotwise::resp::RespError>(())
/// ```
#[derive(Debug)]
pub struct Extension<'a> {
    names: &'a mut [u8],
    entries: &'a mut [Entry],
    buckets: &'a mut [u16], // a power of two of them, or none
    specs: &'a mut [KeySpec],
    base: &'a Table<'a>,
    used: Used,
    left_out: usize,
}

#[derive(Clone, Copy, Debug)]
struct Used {
    names: usize,   // <= names.len(), and these bytes are ASCII
    entries: usize, // <= entries.len()
    specs: usize,   // <= specs.len()
}

impl<'a> Extension<'a> {
    /// An empty extension of `base`, in lent storage.
    #[must_use]
    pub fn new(storage: ExtensionStorage<'a>, base: &'a Table<'a>) -> Self {
        let ExtensionStorage { names, entries, buckets, specs } = storage;
        let power = buckets.len().checked_ilog2().map_or(0, |bits| 1_usize << bits);
        let buckets = buckets.split_at_mut_checked(power).map_or(Default::default(), |(used, _)| used);
        buckets.fill(VACANT);
        Self { names, entries, buckets, specs, base, used: Used { names: 0, entries: 0, specs: 0 }, left_out: 0 }
    }

    /// Adds the commands of a COMMAND or COMMAND INFO reply that are not known yet. Those that are not understood are
    /// left out and stay unknown: keys that only the server's own code can find (`movablekeys` without specifications
    /// that name them all), a policy without a word here, no room. A reply of another kind adds nothing.
    pub fn read(&mut self, reply: &Frame<'_>) {
        // COMMAND INFO answers null for what the server does not know either.
        let commands = || reply.children().filter(|command| command.kind() == Kind::Array);
        // Commands with subcommands first: those name them by an index of one byte.
        for command in commands() {
            if let Some(list) = subcommands(&command) {
                self.read_container(&command, &list);
            }
        }
        for command in commands().filter(|command| subcommands(command).is_none()) {
            self.read_command(&command);
        }
    }

    /// How many commands and subcommands were added.
    #[must_use]
    pub const fn added(&self) -> usize {
        self.used.entries
    }

    /// How many were left out.
    #[must_use]
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// The table: these commands, and what `base` knows.
    #[must_use]
    pub fn finish(self) -> Table<'a> {
        let names: &[u8] = self.names;
        let names = names.get(..self.used.names).and_then(|names| str::from_utf8(names).ok()).unwrap_or_default();
        Table {
            names,
            entries: self.entries.get(..self.used.entries).unwrap_or_default(),
            buckets: self.buckets,
            specs: self.specs,
            base: Some(self.base),
        }
    }

    fn read_command(&mut self, command: &Frame<'_>) {
        match name_of(command) {
            Some(name) if self.base.knows(name) || self.has(TOP, name) => {}
            Some(name) if self.add(command, name, TOP, false).is_some() => {}
            _ => self.leave_out(),
        }
    }

    /// A command whose subcommands are known may have new ones on this server: it then stands in both tables.
    fn read_container(&mut self, command: &Frame<'_>, subcommands: &Frame<'_>) {
        let news = |sub: Frame<'_>| name_of(&sub).is_some_and(|name| !self.base.knows(name));
        let Some(name) = name_of(command) else { return self.leave_out() };
        if !subcommands.children().any(news) || self.has(TOP, name) {
            return;
        }
        // The entry of the command stays when its index is too large: without subcommands it is of no harm.
        let index = self.add(command, name, TOP, true).and_then(|index| u8::try_from(index).ok());
        let Some(index) = index.filter(|&index| index != TOP) else { return self.leave_out() };
        for sub in subcommands.children() {
            match name_of(&sub) {
                Some(name) if self.base.knows(name) => {}
                Some(name) if self.add(&sub, name, index, false).is_some() => {}
                _ => self.leave_out(),
            }
        }
    }

    fn leave_out(&mut self) {
        self.left_out = self.left_out.saturating_add(1);
    }

    /// Adds one command, or nothing and says so.
    fn add(&mut self, command: &Frame<'_>, name: &[u8], parent: u8, container: bool) -> Option<u16> {
        let before = self.used;
        let added = self.try_add(command, name, parent, container);
        if added.is_none() {
            self.used = before;
        }
        added
    }

    fn try_add(&mut self, command: &Frame<'_>, name: &[u8], parent: u8, container: bool) -> Option<u16> {
        let name = name.rsplit(|&byte| byte == b'|').next()?;
        let mut fields = command.children().skip(1);
        let arity = i8::try_from(fields.next()?.integer()?).ok()?;
        let words = fields.next()?;
        let legacy = Legacy {
            first: fields.next()?.integer()?,
            last: fields.next()?.integer()?,
            step: fields.next()?.integer()?,
            movable: has(&words, b"movablekeys"),
        };
        let mut rest = fields.skip(1); // past the ACL categories
        let policy = read_policy(rest.next().as_ref())?;
        let (spec_at, spec_len) = self.add_specs(rest.next(), &legacy)?;
        let (name_at, name_len) = self.add_name(name)?;
        let flag = |word: &[u8], bit: u8| if has(&words, word) { bit } else { 0 };
        let flags = flag(b"readonly", Flags::READ)
            | flag(b"write", Flags::WRITE)
            | flag(b"blocking", Flags::BLOCKING)
            | flag(b"module", Flags::SCRIPT)
            | flag(b"no_multi", Flags::NO_MULTI)
            | if container { Flags::CONTAINER } else { 0 };
        let at = self.used.entries;
        let index = u16::try_from(at).ok().filter(|&index| index != VACANT)?;
        let class = Class::Plain;
        *self.entries.get_mut(at)? =
            Entry { name_at, name_len, arity, flags: Flags(flags), policy, class, spec_at, spec_len, parent };
        self.link(index, hash(parent, name))?;
        self.used.entries = at.saturating_add(1);
        Some(index)
    }

    fn link(&mut self, index: u16, hash: u32) -> Option<()> {
        let mask = self.buckets.len().checked_sub(1)?;
        let mut at = hash as usize;
        for _ in 0..self.buckets.len() {
            let bucket = self.buckets.get_mut(at & mask)?;
            if *bucket == VACANT {
                *bucket = index;
                return Some(());
            }
            at = at.wrapping_add(1);
        }
        None
    }

    /// Whether a command was added already: a reply may be read twice.
    fn has(&self, parent: u8, name: &[u8]) -> bool {
        let mask = self.buckets.len().wrapping_sub(1);
        let start = hash(parent, name) as usize;
        let probes = (0..self.buckets.len()).map(|step| start.wrapping_add(step) & mask);
        let indices = probes.map_while(|at| self.buckets.get(at)).take_while(|&&index| index != VACANT);
        indices.filter_map(|&index| self.entries.get(usize::from(index))).any(|entry| {
            let at = usize::from(entry.name_at);
            let own = self.names.get(at..at.saturating_add(usize::from(entry.name_len)));
            entry.parent == parent && own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        })
    }

    /// The text in upper case behind the names there are.
    fn add_name(&mut self, name: &[u8]) -> Option<(u16, u8)> {
        let at = self.used.names;
        let place = self.names.get_mut(at..)?.get_mut(..name.len())?;
        if !name.is_ascii() {
            return None;
        }
        for (to, from) in place.iter_mut().zip(name) {
            *to = from.to_ascii_uppercase();
        }
        self.used.names = at.saturating_add(name.len());
        Some((u16::try_from(at).ok()?, u8::try_from(name.len()).ok()?))
    }

    fn add_specs(&mut self, specs: Option<Frame<'_>>, legacy: &Legacy) -> Option<(u8, u8)> {
        let mut list = [KeySpec::EMPTY; 3];
        let mut count = 0_usize;
        for spec in specs.iter().flat_map(Frame::children) {
            *list.get_mut(count)? = read_spec(&spec, |word| self.add_name(word))?;
            count = count.saturating_add(1);
        }
        if count == 0 && legacy.movable {
            return None;
        }
        if count == 0 && legacy.first > 0 {
            *list.first_mut()? = legacy.spec()?;
            count = 1;
        }
        let list = list.get(..count)?;
        let known = self.specs.get(..self.used.specs)?;
        let at = match known.windows(count.max(1)).position(|known| known == list) {
            _ if count == 0 => 0,
            Some(at) => at,
            None => {
                let at = self.used.specs;
                let end = at.saturating_add(count);
                // In two steps, so that the length is known to be right and the copy cannot panic.
                self.specs.get_mut(at..)?.get_mut(..list.len())?.copy_from_slice(list);
                self.used.specs = end;
                at
            }
        };
        Some((u8::try_from(at).ok()?, u8::try_from(count).ok()?))
    }
}

/// The subcommands, if there are any: the tenth element.
fn subcommands<'f>(command: &Frame<'f>) -> Option<Frame<'f>> {
    command.children().nth(9).filter(|list| list.children().next().is_some())
}

fn name_of<'f>(command: &Frame<'f>) -> Option<&'f [u8]> {
    command.children().next()?.bytes()
}

//! Packing of the generated rows into a table, whole or in part, at compile time.
#![expect(clippy::indexing_slicing, clippy::panic, reason = "evaluated at compile time, where it fails the build")]

use super::entry::{Class, Entry, Flags, Policy};
use super::generated::{ROWS, SPECS};
use super::hash::{TOP, hash};
use super::table::{Table, VACANT};

/// One command as the generator writes it; `name` of a subcommand is `CONTAINER|SUB`.
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) arity: i8,
    pub(super) flags: u8,
    pub(super) policy: Policy,
    pub(super) class: Class,
    pub(super) specs: (u8, u8),
}

/// The data of a table of so many commands, with names of so many bytes and so many hash buckets.
#[derive(Debug)]
pub struct Packed<const COMMANDS: usize, const BYTES: usize, const BUCKETS: usize> {
    names: [u8; BYTES],
    entries: [Entry; COMMANDS],
    buckets: [u16; BUCKETS],
}

impl Packed<0, 0, 0> {
    /// How many commands `wanted` selects; an empty list selects all.
    #[must_use]
    pub const fn rows(wanted: &[&str]) -> usize {
        check(wanted);
        let mut count = 0;
        let mut row = 0;
        while row < ROWS.len() {
            if selected(&ROWS[row], wanted) {
                count += 1;
            }
            row += 1;
        }
        count
    }

    /// The bytes of their names.
    #[must_use]
    pub const fn bytes(wanted: &[&str]) -> usize {
        let mut bytes = 0;
        let mut row = 0;
        while row < ROWS.len() {
            if selected(&ROWS[row], wanted) {
                bytes += ROWS[row].name.len() - own_name(ROWS[row].name);
            }
            row += 1;
        }
        bytes
    }

    /// The hash buckets: a power of two, at least twice the commands.
    #[must_use]
    pub const fn buckets(wanted: &[&str]) -> usize {
        (Self::rows(wanted) * 2 + 1).next_power_of_two()
    }
}

impl<const COMMANDS: usize, const BYTES: usize, const BUCKETS: usize> Packed<COMMANDS, BYTES, BUCKETS> {
    /// Packs the commands `wanted` selects: commands that have subcommands first, so that their index fits a byte.
    #[must_use]
    pub const fn of(wanted: &[&str]) -> Self {
        let mut packed = Self { names: [0; BYTES], entries: [Entry::EMPTY; COMMANDS], buckets: [VACANT; BUCKETS] };
        let mut containers = [""; 255];
        let (mut at, mut used) = (0, 0);
        let mut pass = 0;
        while pass < 2 {
            let mut row = 0;
            while row < ROWS.len() {
                let it = &ROWS[row];
                let container = it.flags & Flags::CONTAINER != 0;
                if container == (pass == 0) && selected(it, wanted) {
                    if container {
                        containers[at] = it.name;
                    }
                    packed.add(it, at, used, parent(it.name, &containers));
                    used += it.name.len() - own_name(it.name);
                    at += 1;
                }
                row += 1;
            }
            pass += 1;
        }
        packed
    }

    const fn add(&mut self, row: &Row, at: usize, used: usize, parent: u8) {
        let name = row.name.as_bytes().split_at(own_name(row.name)).1;
        let mut byte = 0;
        while byte < name.len() {
            self.names[used + byte] = name[byte];
            byte += 1;
        }
        self.entries[at] = Entry {
            name_at: used as u16,
            name_len: name.len() as u8,
            arity: row.arity,
            flags: Flags(row.flags),
            policy: row.policy,
            class: row.class,
            spec_at: row.specs.0,
            spec_len: row.specs.1,
            parent,
        };
        let mut bucket = hash(parent, name) as usize & (BUCKETS - 1);
        while self.buckets[bucket] != VACANT {
            bucket = (bucket + 1) & (BUCKETS - 1);
        }
        self.buckets[bucket] = at as u16;
    }

    /// The handle.
    #[must_use]
    pub const fn table(&'static self) -> Table<'static> {
        let names = match str::from_utf8(&self.names) {
            Ok(names) => names,
            Err(_) => panic!("names are ASCII"),
        };
        Table { names, entries: &self.entries, buckets: &self.buckets, specs: &SPECS, base: None }
    }
}

/// Where a subcommand's own name begins.
const fn own_name(name: &str) -> usize {
    let name = name.as_bytes();
    let mut at = 0;
    while at < name.len() {
        if name[at] == b'|' {
            return at + 1;
        }
        at += 1;
    }
    0
}

const fn parent(name: &str, containers: &[&str; 255]) -> u8 {
    let own = own_name(name);
    if own == 0 {
        return TOP;
    }
    let mut at = 0;
    while at < containers.len() {
        if containers[at].len() + 1 == own && starts_with(name, containers[at]) {
            return at as u8;
        }
        at += 1;
    }
    panic!("a subcommand needs its command");
}

/// A command is selected by its own name, by the name of one of its subcommands, or by that of its container.
const fn selected(row: &Row, wanted: &[&str]) -> bool {
    let mut at = 0;
    while at < wanted.len() {
        if related(row.name, wanted[at]) || related(wanted[at], row.name) {
            return true;
        }
        at += 1;
    }
    wanted.is_empty()
}

/// Whether `name` is `whole`, or the container of it.
const fn related(name: &str, whole: &str) -> bool {
    starts_with(whole, name) && (whole.len() == name.len() || is_bar(whole.as_bytes()[name.len()]))
}

const fn is_bar(byte: u8) -> bool {
    byte == b'|' || byte == b' '
}

const fn starts_with(text: &str, start: &str) -> bool {
    let (text, start) = (text.as_bytes(), start.as_bytes());
    if text.len() < start.len() {
        return false;
    }
    let mut at = 0;
    while at < start.len() {
        let (a, b) = (text[at].to_ascii_uppercase(), start[at].to_ascii_uppercase());
        if a != b && !(is_bar(a) && is_bar(b)) {
            return false;
        }
        at += 1;
    }
    true
}

const fn check(wanted: &[&str]) {
    let mut at = 0;
    while at < wanted.len() {
        let mut row = 0;
        while !(ROWS[row].name.len() == wanted[at].len() && starts_with(ROWS[row].name, wanted[at])) {
            row += 1;
            if row == ROWS.len() {
                panic!("a name that no command of the table has");
            }
        }
        at += 1;
    }
}

/// A table of some commands, for firmware: only these are linked.
///
/// The name of a command with subcommands takes all of them; `"XGROUP CREATE"` takes one. A name that is not known
/// fails the build.
///
/// ```
/// use slotwise::command::{CommandError, Route, analyse};
///
/// slotwise::command_table! {
///     /// What the gateway sends.
///     static COMMANDS = ["GET", "SET", "MGET", "XADD", "CLUSTER SLOTS"];
/// }
///
/// assert_eq!(COMMANDS.len(), 6); // CLUSTER itself counts
/// assert!(matches!(analyse(&COMMANDS, &["get", "k"]).unwrap().route(), Route::Slot(_)));
/// assert_eq!(analyse(&COMMANDS, &["DEL", "k"]).unwrap_err(), CommandError::Unknown);
/// ```
#[macro_export]
macro_rules! command_table {
    ($(#[$meta:meta])* $vis:vis static $name:ident = [$($command:literal),+ $(,)?];) => {
        $(#[$meta])*
        $vis static $name: $crate::command::Table<'static> = {
            const WANTED: &[&str] = &[$($command),+];
            const ROWS: usize = $crate::command::Packed::<0, 0, 0>::rows(WANTED);
            const BYTES: usize = $crate::command::Packed::<0, 0, 0>::bytes(WANTED);
            const BUCKETS: usize = $crate::command::Packed::<0, 0, 0>::buckets(WANTED);
            static PACKED: $crate::command::Packed<ROWS, BYTES, BUCKETS> = $crate::command::Packed::of(WANTED);
            PACKED.table()
        };
    };
}

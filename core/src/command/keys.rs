//! Which arguments of a command are keys.

use super::entry::Flags;
use super::error::CommandError;
use super::key_spec::{Begin, Find, KeyFlags, KeySpec};
use super::table::{Command, Table};
use crate::resp::Args;

/// The keys of a command in the order servers give them (COMMAND GETKEYS).
///
/// Channels of sharded pub/sub and CLUSTERSCAN cursors are not keys; [`Command::routed`] has them too. What a server
/// will refuse for its form (a number of keys that is not one) has no keys.
///
/// # Errors
///
/// As [`Table::find`], and [`CommandError::Arity`].
pub fn keys<A: Args + ?Sized>(table: &Table<'_>, args: &A) -> Result<Keys, CommandError> {
    table.find(args)?.keys(args)
}

/// One key of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct KeyRef {
    /// Which argument it is; the command's name is argument 0.
    pub index: usize,
    /// What the command does with it.
    pub flags: KeyFlags,
}

/// The keys of one command, as argument indices. Borrows nothing, so it can be kept beside the arguments.
#[derive(Clone, Copy, Debug)]
pub struct Keys {
    runs: [Run; RUNS], // empty ones only at the end
}

/// No command has more key specifications.
const RUNS: usize = 3;

/// Evenly spaced arguments.
#[derive(Clone, Copy, Debug)]
struct Run {
    next: u32,
    step: u32,
    left: u32,
    flags: KeyFlags,
}

impl Run {
    const EMPTY: Self = Self { next: 0, step: 1, left: 0, flags: KeyFlags(0) };
}

impl Keys {
    const NONE: Self = Self { runs: [Run::EMPTY; RUNS] };

    fn push(&mut self, run: Run) {
        if let Some(free) = self.runs.iter_mut().find(|run| run.left == 0) {
            *free = run;
        }
    }
}

impl Iterator for Keys {
    type Item = KeyRef;

    #[inline]
    fn next(&mut self) -> Option<KeyRef> {
        let [run, rest @ ..] = &mut self.runs;
        let key = KeyRef { index: run.next as usize, flags: run.flags };
        run.left = run.left.checked_sub(1)?;
        run.next = run.next.saturating_add(run.step);
        if run.left == 0 {
            let [second, third] = *rest;
            self.runs = [second, third, Run::EMPTY];
        }
        Some(key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.runs.iter().fold(0_usize, |sum, run| sum.saturating_add(run.left as usize));
        (left, Some(left))
    }
}

impl ExactSizeIterator for Keys {}

impl Command<'_> {
    /// The keys among these arguments of the command, as [`keys`].
    ///
    /// # Errors
    ///
    /// [`CommandError::Arity`].
    pub fn keys<A: Args + ?Sized>(&self, args: &A) -> Result<Keys, CommandError> {
        let mut keys = self.routed(args)?;
        if keys.runs.iter().any(|run| !run.flags.is_key()) {
            keys = Keys::NONE; // no command mixes keys with other routed arguments
        }
        Ok(keys)
    }

    /// The arguments that decide where the command goes: its keys, channels or cursor.
    ///
    /// # Errors
    ///
    /// [`CommandError::Arity`].
    #[inline]
    pub fn routed<A: Args + ?Sized>(&self, args: &A) -> Result<Keys, CommandError> {
        let count = args.count();
        if !self.takes(count) {
            return Err(CommandError::Arity);
        }
        let Ok(count) = u32::try_from(count) else { return Err(CommandError::Arity) };
        let mut keys = Keys::NONE;
        for spec in self.key_specs() {
            match resolve(spec, self.table.names, args, count) {
                Found::Run(run) => keys.push(run),
                Found::Nothing => {}
                Found::Invalid => return Ok(Keys::NONE),
            }
        }
        Ok(keys)
    }

    /// Whether it may wait inside the server with these arguments: XREAD and XREADGROUP only with BLOCK.
    pub(super) fn blocks<A: Args + ?Sized>(&self, args: &A) -> bool {
        self.entry.flags.has(Flags::BLOCKING)
            && (!self.key_specs().iter().any(|spec| spec.begin == Begin::Streams) || xread(args).blocks)
    }
}

enum Found {
    Run(Run),
    /// The specification does not apply, the others may.
    Nothing,
    /// A server will refuse the command for its form, and finds no keys in it.
    Invalid,
}

#[inline]
fn resolve<A: Args + ?Sized>(spec: &KeySpec, names: &str, args: &A, count: u32) -> Found {
    let first = match spec.begin {
        Begin::Index(index) => Some(u32::from(index)),
        Begin::Keyword { at, len, from } => keyword(args, count, names, at, len, from),
        Begin::Streams => xread(args).streams,
        Begin::SortStore => sort_store(args, count),
        Begin::GeoStore(from) => geo_store(args, count, u32::from(from), b"STORE"),
        Begin::GeoStoreDist(from) => geo_store(args, count, u32::from(from), b"STOREDIST"),
        Begin::Migrate => return migrate(args, count, spec.flags),
    };
    let Some(first) = first else { return Found::Nothing };
    match spec.find {
        Find::Range { last, step, limit } => range(first, last, step, limit, count, spec.flags),
        Find::Number { count: at, first: offset, step } => {
            let number = arg(args, first.saturating_add(u32::from(at))).map_or(0, number_of_keys);
            let first = first.saturating_add(u32::from(offset));
            let step = u32::from(step).max(1);
            let end = u64::from(first).saturating_add(u64::from(number).saturating_mul(u64::from(step)));
            // The last key must be an argument; what belongs to it (MSETEX: its value) is the server's to check.
            if number == 0 || end > u64::from(count).saturating_add(u64::from(step)).saturating_sub(1) {
                return Found::Invalid;
            }
            Found::Run(Run { next: first, step, left: number, flags: spec.flags })
        }
    }
}

fn range(first: u32, last: i8, step: u8, limit: u8, count: u32, flags: KeyFlags) -> Found {
    let back = u32::from(last.unsigned_abs());
    let end = match last {
        0.. => first.saturating_add(back).saturating_add(1),
        _ if limit > 1 => {
            let part = count.saturating_sub(first).checked_div(u32::from(limit)).unwrap_or(0);
            first.saturating_add(part).saturating_add(1).saturating_sub(back)
        }
        _ => count.saturating_add(1).saturating_sub(back),
    };
    if end > count {
        return Found::Invalid;
    }
    let step = u32::from(step).max(1);
    let left = if step == 1 { end.saturating_sub(first) } else { end.saturating_sub(first).div_ceil(step) };
    if left == 0 { Found::Nothing } else { Found::Run(Run { next: first, step, left, flags }) }
}

/// A number of keys as servers read it for routing, which is C's `atoi`: leading spaces, a sign, then digits, the rest
/// ignored. Zero for what is none, negative, or larger than any number of arguments.
fn number_of_keys(text: &[u8]) -> u32 {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    let mut number = 0_u32;
    for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
        number = number.saturating_mul(10).saturating_add(u32::from(digit & 0x0f));
    }
    if number == u32::MAX { 0 } else { number }
}

fn arg<A: Args + ?Sized>(args: &A, index: u32) -> Option<&[u8]> {
    args.arg(index as usize)
}

fn is<A: Args + ?Sized>(args: &A, index: u32, word: &[u8]) -> bool {
    arg(args, index).is_some_and(|arg| arg.eq_ignore_ascii_case(word))
}

fn keyword<A: Args + ?Sized>(args: &A, count: u32, names: &str, at: u16, len: u8, from: i8) -> Option<u32> {
    let at = usize::from(at);
    let word = names.as_bytes().get(at..at.saturating_add(usize::from(len)))?;
    let offset = u32::from(from.unsigned_abs());
    let found = if from >= 0 {
        (offset..count).find(|&index| is(args, index, word))
    } else {
        (1..=count.saturating_sub(offset)).rev().find(|&index| is(args, index, word))
    };
    found.map(|index| index.saturating_add(1)).filter(|&first| first < count)
}

struct Xread {
    streams: Option<u32>, // the first key
    blocks: bool,
}

/// `[GROUP g c] [COUNT n] [BLOCK ms] [CLAIM ms] [NOACK] STREAMS key... id...`, options in any order. What is no option
/// is passed over: a later server may have more of them.
fn xread<A: Args + ?Sized>(args: &A) -> Xread {
    let mut blocks = false;
    let mut index = 1_u32;
    while let Some(word) = arg(args, index) {
        let values = match word.len() {
            7 if word.eq_ignore_ascii_case(b"STREAMS") => {
                let first = index.saturating_add(1);
                return Xread { streams: Some(first), blocks };
            }
            5 if word.eq_ignore_ascii_case(b"BLOCK") => {
                blocks = true;
                1
            }
            5 if word.eq_ignore_ascii_case(b"COUNT") || word.eq_ignore_ascii_case(b"CLAIM") => 1,
            5 if word.eq_ignore_ascii_case(b"GROUP") => 2,
            _ => 0,
        };
        index = index.saturating_add(1).saturating_add(values);
    }
    Xread { streams: None, blocks }
}

/// The last STORE counts, as for the command itself. Patterns behind BY and GET look like keys and are none.
fn sort_store<A: Args + ?Sized>(args: &A, count: u32) -> Option<u32> {
    let mut found = None;
    let mut index = 2_u32;
    while let Some(word) = arg(args, index) {
        let values = match word.len() {
            5 if word.eq_ignore_ascii_case(b"LIMIT") => 2,
            3 if word.eq_ignore_ascii_case(b"GET") => 1,
            2 if word.eq_ignore_ascii_case(b"BY") => 1,
            5 if word.eq_ignore_ascii_case(b"STORE") => {
                found = Some(index.saturating_add(1)).filter(|&key| key < count).or(found);
                1
            }
            _ => 0,
        };
        index = index.saturating_add(1).saturating_add(values);
    }
    found
}

/// The key behind the last `wanted`. Servers write to whichever of STORE and STOREDIST comes last, but check the other
/// or not by version: both are reported.
fn geo_store<A: Args + ?Sized>(args: &A, count: u32, from: u32, wanted: &[u8]) -> Option<u32> {
    let mut found = None;
    let mut index = from;
    while let Some(word) = arg(args, index) {
        let store = word.eq_ignore_ascii_case(b"STORE") || word.eq_ignore_ascii_case(b"STOREDIST");
        if word.eq_ignore_ascii_case(wanted) {
            found = Some(index.saturating_add(1)).filter(|&key| key < count).or(found);
        }
        let values = u32::from(store || word.eq_ignore_ascii_case(b"COUNT"));
        index = index.saturating_add(1).saturating_add(values);
    }
    found
}

/// `MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p | AUTH2 u p] [KEYS key...]`
fn migrate<A: Args + ?Sized>(args: &A, count: u32, flags: KeyFlags) -> Found {
    let single = Found::Run(Run { next: 3, step: 1, left: 1, flags });
    if arg(args, 3).is_some_and(|key| !key.is_empty()) {
        return single;
    }
    let mut index = 6_u32;
    while let Some(word) = arg(args, index) {
        let values = match word.len() {
            4 if word.eq_ignore_ascii_case(b"KEYS") => {
                let first = index.saturating_add(1);
                let left = count.saturating_sub(first);
                return if left == 0 { Found::Invalid } else { Found::Run(Run { next: first, step: 1, left, flags }) };
            }
            4 if word.eq_ignore_ascii_case(b"AUTH") => 1,
            5 if word.eq_ignore_ascii_case(b"AUTH2") => 2,
            _ => 0,
        };
        index = index.saturating_add(1).saturating_add(values);
    }
    single
}

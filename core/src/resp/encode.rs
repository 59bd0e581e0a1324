//! Writing commands: arrays of bulks, always with lengths in front.
//!
//! Inline commands are never written: their quoting cannot carry every byte cheaply, and they save nothing.

use core::fmt;
use core::iter::FusedIterator;

use super::args::Args;
use super::number::{Decimal, digits};

/// Why a command was not written. Nothing of it may be sent then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// A command without arguments: servers accept `*0` and answer nothing, which would put the replies of
    /// all later commands out of step.
    Empty,
    /// More than 2^31 - 1 arguments, the most a server takes.
    TooManyArguments,
    /// [`Args::arg`] gave nothing for an index below [`Args::count`].
    MissingArgument,
    /// The output does not fit.
    BufferTooSmall {
        /// Bytes that the whole would take.
        needed: u64,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty command"),
            Self::TooManyArguments => f.write_str("too many arguments"),
            Self::MissingArgument => f.write_str("an argument is missing"),
            Self::BufferTooSmall { needed } => write!(f, "buffer too small: {needed} bytes needed"),
        }
    }
}

impl core::error::Error for EncodeError {}

/// How many bytes [`encode`] writes.
///
/// # Errors
///
/// [`EncodeError::Empty`], [`EncodeError::TooManyArguments`] and [`EncodeError::MissingArgument`].
pub fn encoded_len<A: Args + ?Sized>(args: &A) -> Result<u64, EncodeError> {
    let count = checked_count(args)?;
    let mut len = header_len(count as u64);
    for index in 0..count {
        let arg = args.arg(index).ok_or(EncodeError::MissingArgument)?.len() as u64;
        len = len.saturating_add(header_len(arg)).saturating_add(arg).saturating_add(2);
    }
    Ok(len)
}

/// Writes a command to the front of `out` and gives the number of bytes written.
///
/// ```
/// use slotwise::resp::encode;
/// let mut out = [0; 64];
/// let len = encode::encode(&["GET", "key"], &mut out)?;
/// assert_eq!(&out[..len], b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
/// # Ok::<(), encode::EncodeError>(())
/// ```
///
/// # Errors
///
/// Those of [`encoded_len`], and [`EncodeError::BufferTooSmall`]; `out` may have been written to.
pub fn encode<A: Args + ?Sized>(args: &A, out: &mut [u8]) -> Result<usize, EncodeError> {
    let count = checked_count(args)?;
    let len = out.len();
    let mut out = Cursor { rest: out };
    let mut fits = out.header(b'*', count as u64);
    for index in 0..count {
        let arg = args.arg(index).ok_or(EncodeError::MissingArgument)?;
        fits = fits.and_then(|()| {
            out.header(b'$', arg.len() as u64)?;
            out.bulk(arg)
        });
    }
    match fits {
        Some(()) => Ok(len.saturating_sub(out.rest.len())),
        None => Err(EncodeError::BufferTooSmall { needed: encoded_len(args)? }),
    }
}

fn checked_count<A: Args + ?Sized>(args: &A) -> Result<usize, EncodeError> {
    match args.count() {
        0 => Err(EncodeError::Empty),
        count if count > i32::MAX as usize => Err(EncodeError::TooManyArguments),
        count => Ok(count),
    }
}

/// Type byte, digits, CR LF.
const fn header_len(number: u64) -> u64 {
    (digits(number) as u64).saturating_add(3)
}

/// What is left of an output buffer.
struct Cursor<'a> {
    rest: &'a mut [u8],
}

impl Cursor<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let (place, rest) = core::mem::take(&mut self.rest).split_at_mut_checked(bytes.len())?;
        place.copy_from_slice(bytes);
        self.rest = rest;
        Some(())
    }

    #[inline]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) -> Option<()> {
        let (place, rest) = core::mem::take(&mut self.rest).split_first_chunk_mut()?;
        *place = bytes;
        self.rest = rest;
        Some(())
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn header(&mut self, kind: u8, number: u64) -> Option<()> {
        let digit = b'0'.wrapping_add(number as u8);
        // Shorter code where flash counts.
        let wide = cfg!(target_pointer_width = "64");
        if wide && number < 10 {
            return self.array([kind, digit, b'\r', b'\n']);
        }
        if wide && number < 100 {
            let number = number as u8;
            let (tens, ones) = (number.wrapping_div(10), number.wrapping_rem(10));
            return self.array([kind, b'0'.wrapping_add(tens), b'0'.wrapping_add(ones), b'\r', b'\n']);
        }
        self.array([kind])?;
        self.put(Decimal::unsigned(number).as_bytes())?;
        self.array(*b"\r\n")
    }

    #[cfg_attr(target_pointer_width = "64", inline)]
    #[cfg_attr(not(target_pointer_width = "64"), inline(never))]
    fn bulk(&mut self, bytes: &[u8]) -> Option<()> {
        self.put(bytes)?;
        self.array(*b"\r\n")
    }
}

/// How many bytes of scratch memory [`segments`] needs with the same arguments.
///
/// # Errors
///
/// Those of [`encoded_len`].
pub fn scratch_len<A: Args + ?Sized>(args: &A, min_borrow: usize) -> Result<u64, EncodeError> {
    let mut len = encoded_len(args)?;
    for index in 0..args.count() {
        let arg = args.arg(index).ok_or(EncodeError::MissingArgument)?;
        if arg.len() >= min_borrow {
            len = len.saturating_sub(arg.len() as u64);
        }
    }
    Ok(len)
}

/// Prepares a command for a vectored write: arguments of at least `min_borrow` bytes are borrowed where they
/// are, everything else is written into `scratch`. The segments one after the other are what [`encode`] writes.
///
/// ```
/// use slotwise::resp::encode;
/// let (big, mut scratch) = ([b'x'; 1000], [0; 64]);
/// let command: [&[u8]; 3] = [b"SET", b"key", &big];
/// let segments = encode::segments(&command, &mut scratch, 512)?;
/// assert_eq!(segments.count(), 3); // headers and small arguments, the value, the last CR LF
/// # Ok::<(), encode::EncodeError>(())
/// ```
///
/// # Errors
///
/// Those of [`scratch_len`], and [`EncodeError::BufferTooSmall`] with what `scratch` needs.
pub fn segments<'a, A: Args + ?Sized>(
    args: &'a A,
    scratch: &'a mut [u8],
    min_borrow: usize,
) -> Result<Segments<'a, A>, EncodeError> {
    let count = checked_count(args)?;
    let len = scratch.len();
    let mut out = Cursor { rest: &mut *scratch };
    let mut fits = out.header(b'*', count as u64);
    for index in 0..count {
        let arg = args.arg(index).ok_or(EncodeError::MissingArgument)?;
        fits = fits.and_then(|()| {
            out.header(b'$', arg.len() as u64)?;
            out.bulk(if arg.len() >= min_borrow { &[] } else { arg })
        });
    }
    if fits.is_none() {
        return Err(EncodeError::BufferTooSmall { needed: scratch_len(args, min_borrow)? });
    }
    let used = len.saturating_sub(out.rest.len());
    let scratch = scratch.get(..used).unwrap_or_default();
    Ok(Segments { args, scratch, min_borrow, index: 0, borrowed: None })
}

/// The pieces of a command, borrowed. Made by [`segments`].
#[derive(Debug)]
pub struct Segments<'a, A: ?Sized> {
    args: &'a A,
    /// What of the scratch memory was not handed out.
    scratch: &'a [u8],
    min_borrow: usize,
    /// The next argument to look at.
    index: usize,
    /// The large argument whose header went out last.
    borrowed: Option<&'a [u8]>,
}

impl<A: ?Sized> Clone for Segments<'_, A> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, A: Args + ?Sized> Iterator for Segments<'a, A> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if let Some(arg) = self.borrowed.take() {
            return Some(arg);
        }
        let args = self.args;
        let mut run = if self.index == 0 { header_len(args.count() as u64) } else { 2 };
        while let Some(arg) = args.arg(self.index) {
            self.index = self.index.saturating_add(1);
            run = run.saturating_add(header_len(arg.len() as u64));
            if arg.len() >= self.min_borrow {
                // An empty argument has nothing to borrow, whatever the threshold.
                self.borrowed = (!arg.is_empty()).then_some(arg);
                if self.borrowed.is_some() {
                    break;
                }
            }
            run = run.saturating_add(arg.len() as u64).saturating_add(2);
        }
        let run = usize::try_from(run).unwrap_or(usize::MAX).min(self.scratch.len());
        let (segment, rest) = self.scratch.split_at_checked(run)?;
        self.scratch = rest;
        (!segment.is_empty()).then_some(segment)
    }
}

impl<A: Args + ?Sized> FusedIterator for Segments<'_, A> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_arguments_as_a_server_takes() {
        struct Many(usize);
        impl Args for Many {
            fn count(&self) -> usize {
                self.0
            }
            fn arg(&self, _: usize) -> Option<&[u8]> {
                None
            }
        }
        assert_eq!(checked_count(&Many((1 << 31) - 1)), Ok((1 << 31) - 1));
        assert_eq!(checked_count(&Many(1 << 31)), Err(EncodeError::TooManyArguments));
    }
}

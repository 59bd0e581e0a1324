//! Exit codes and the failures that lead to them.

use std::io;
use std::process::ExitCode;

use slotwise_std::Error;

/// What the process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Done,
    /// It ran, and the answer is a no: refused, rejected, broken, failed.
    Negative,
    /// The command line makes no sense.
    Usage,
    /// A file, a pipe or a connection could not be opened, read or written.
    Io,
    /// The input ended in the middle of something.
    Incomplete,
}

/// The table for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0  done
  1  it ran and the answer is negative: a command that cannot be routed, a rejected topology
     reply, a broken RESP stream
  2  the command line makes no sense
  3  a file, a pipe or a connection could not be opened, read or written
  4  the input ended in the middle of a value";

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Negative => 1,
            Exit::Usage => 2,
            Exit::Io => 3,
            Exit::Incomplete => 4,
        })
    }
}

/// Why a verb stopped before its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Standard output was closed by its reader, who has seen enough.
    OutputClosed,
    /// An input or output failed; the text says which.
    Io(String, io::Error),
    /// The arguments do not fit together.
    Usage(String),
    /// The cluster cannot be reached, or said no.
    Cluster(slotwise_std::Error),
}

impl Failure {
    /// An error while writing to standard output.
    pub(crate) fn output(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::Io("cannot write the output".to_owned(), error),
        }
    }

    /// Tells the user, and says how the process ends.
    pub(crate) fn report(self) -> Exit {
        match self {
            Self::OutputClosed => Exit::Done,
            Self::Io(what, error) => {
                eprintln!("slotwise: {what}: {error}");
                Exit::Io
            }
            Self::Usage(what) => {
                eprintln!("slotwise: {what}");
                Exit::Usage
            }
            Self::Cluster(error) => {
                eprintln!("slotwise: {error}");
                match error {
                    Error::Io(_) | Error::NoCluster { .. } => Exit::Io,
                    Error::Url(_) | Error::Settings(_) => Exit::Usage,
                    _ => Exit::Negative,
                }
            }
        }
    }
}

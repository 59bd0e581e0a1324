//! A blocking RESP connection with a reader of its own, so that the harness does not trust the code under test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One reply, owned. The RESP2 and RESP3 forms of null stay apart, so that two servers' replies can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `+text`
    Simple(Vec<u8>),
    /// `-text`
    Error(Vec<u8>),
    /// `:number`
    Int(i64),
    /// `$n`
    Bulk(Vec<u8>),
    /// `$-1`
    NullBulk,
    /// `*-1`
    NullArray,
    /// `_`
    Null,
    /// `*n`
    Array(Vec<Value>),
    /// `%n`
    Map(Vec<(Value, Value)>),
    /// `~n`
    Set(Vec<Value>),
    /// `>n`
    Push(Vec<Value>),
    /// `#t`, `#f`
    Bool(bool),
    /// `,text`
    Double(Vec<u8>),
    /// `(text`
    BigNumber(Vec<u8>),
    /// `=n`, with the format in front
    Verbatim(Vec<u8>),
    /// `!n`
    BlobError(Vec<u8>),
}

impl Value {
    /// The text of any string-like value; a verbatim string without its format.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Simple(b) | Value::Error(b) | Value::Bulk(b) | Value::Double(b) | Value::BigNumber(b) => Some(b),
            Value::BlobError(b) => Some(b),
            Value::Verbatim(b) => b.get(4..),
            _ => None,
        }
    }

    /// [`bytes`](Value::bytes) as text, with replacement characters; empty when there is none.
    pub fn text(&self) -> String {
        self.bytes().map(|b| String::from_utf8_lossy(b).into_owned()).unwrap_or_default()
    }

    /// The number of an integer reply.
    pub fn int(&self) -> Option<i64> {
        if let Value::Int(n) = self { Some(*n) } else { None }
    }

    /// The elements of an array, set or push.
    pub fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Set(items) | Value::Push(items) => items,
            _ => &[],
        }
    }

    /// The error's text.
    pub fn error(&self) -> Option<&[u8]> {
        if let Value::Error(b) | Value::BlobError(b) = self { Some(b) } else { None }
    }

    /// Whether this is any form of null.
    pub fn is_null(&self) -> bool {
        matches!(self, Value::Null | Value::NullBulk | Value::NullArray)
    }

    /// Whether this is the status `text`.
    pub fn is_simple(&self, text: &[u8]) -> bool {
        matches!(self, Value::Simple(b) if b == text)
    }
}

/// Why no reply could be read.
#[derive(Debug)]
pub enum ReadError {
    /// The stream ended or failed.
    Io(io::Error),
    /// Bytes that are no reply.
    Malformed(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::Io(e) => write!(f, "{e}"),
            ReadError::Malformed(what) => write!(f, "not a reply: {what}"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<io::Error> for ReadError {
    fn from(e: io::Error) -> Self {
        ReadError::Io(e)
    }
}

impl ReadError {
    /// Whether the read ran into the connection's time limit.
    pub fn is_timeout(&self) -> bool {
        matches!(self, ReadError::Io(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
    }
}

/// A blocking connection to one node.
#[derive(Debug)]
pub struct Conn {
    reader: BufReader<TcpStream>,
}

impl Conn {
    /// Connects to 127.0.0.1:`port`; reads and writes give up after 10 s.
    ///
    /// # Errors
    ///
    /// When nobody listens there.
    pub fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        let conn = Conn { reader: BufReader::with_capacity(64 * 1024, stream) };
        conn.set_timeout(Duration::from_secs(10))?;
        Ok(conn)
    }

    /// Changes the time limit of reads and writes.
    ///
    /// # Errors
    ///
    /// Those of the socket option.
    pub fn set_timeout(&self, limit: Duration) -> io::Result<()> {
        let stream = self.reader.get_ref();
        stream.set_read_timeout(Some(limit))?;
        stream.set_write_timeout(Some(limit))
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Writes one command without waiting for its reply.
    ///
    /// # Errors
    ///
    /// Those of the socket.
    pub fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        let mut out = Vec::new();
        encode(args, &mut out);
        self.write_raw(&out)
    }

    /// Reads one reply (or push).
    ///
    /// # Errors
    ///
    /// When the stream ends, times out or is no RESP.
    pub fn read(&mut self) -> Result<Value, ReadError> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let Some((kind, rest)) = line.strip_suffix(b"\r\n").and_then(<[u8]>::split_first) else {
            return Err(ReadError::Malformed(String::from_utf8_lossy(&line).into_owned()));
        };
        let bad = || ReadError::Malformed(String::from_utf8_lossy(&line).into_owned());
        let number = || std::str::from_utf8(rest).ok().and_then(|t| t.parse::<i64>().ok()).ok_or_else(bad);
        let count = || number().and_then(|n| usize::try_from(n).map_err(|_| bad()));
        Ok(match *kind {
            b'+' => Value::Simple(rest.to_vec()),
            b'-' => Value::Error(rest.to_vec()),
            b':' => Value::Int(number()?),
            b',' => Value::Double(rest.to_vec()),
            b'(' => Value::BigNumber(rest.to_vec()),
            b'_' => Value::Null,
            b'#' => Value::Bool(rest == b"t"),
            b'$' if rest == b"-1" => Value::NullBulk,
            b'*' if rest == b"-1" => Value::NullArray,
            b'$' => Value::Bulk(self.payload(count()?)?),
            b'=' => Value::Verbatim(self.payload(count()?)?),
            b'!' => Value::BlobError(self.payload(count()?)?),
            b'*' => Value::Array(self.values(count()?)?),
            b'~' => Value::Set(self.values(count()?)?),
            b'>' => Value::Push(self.values(count()?)?),
            b'%' => {
                let mut pairs = Vec::new();
                for _ in 0..count()? {
                    pairs.push((self.read()?, self.read()?));
                }
                Value::Map(pairs)
            }
            _ => return Err(bad()),
        })
    }

    fn payload(&mut self, len: usize) -> Result<Vec<u8>, ReadError> {
        let mut bytes = vec![0; len + 2];
        self.reader.read_exact(&mut bytes)?;
        if !bytes.ends_with(b"\r\n") {
            return Err(ReadError::Malformed("no end of line behind a string".into()));
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    fn values(&mut self, count: usize) -> Result<Vec<Value>, ReadError> {
        (0..count).map(|_| self.read()).collect()
    }

    /// Sends a command and reads one reply.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Conn::send) and [`read`](Conn::read).
    pub fn try_call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Result<Value, ReadError> {
        self.send(args)?;
        self.read()
    }

    /// Sends a command and reads one reply.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        self.try_call(args).unwrap_or_else(|e| {
            let words: Vec<_> = args.iter().map(|a| String::from_utf8_lossy(a.as_ref()).into_owned()).collect();
            panic!("{words:?}: {e}")
        })
    }

    /// Sends many commands in one write and reads their replies. The batch should fit the socket buffers.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Conn::send) and [`read`](Conn::read).
    pub fn pipeline<A: AsRef<[u8]>, C: AsRef<[A]>>(&mut self, commands: &[C]) -> Result<Vec<Value>, ReadError> {
        let mut out = Vec::new();
        for command in commands {
            encode(command.as_ref(), &mut out);
        }
        self.write_raw(&out)?;
        self.values(commands.len())
    }

    /// Whether the server has closed the connection: reads until the end of stream, a reply or the time limit.
    pub fn is_closed_by_server(&mut self) -> bool {
        matches!(self.read(), Err(ReadError::Io(e)) if matches!(
            e.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ))
    }
}

/// Appends a command in its array form.
fn encode<A: AsRef<[u8]>>(args: &[A], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
        out.extend_from_slice(arg.as_ref());
        out.extend_from_slice(b"\r\n");
    }
}

//! TLS between the client and every node, with rustls: trust, names, and the handshake over a non-blocking socket.
//!
//! ```no_run
//! use slotwise_std::tls::Files;
//! use slotwise_std::Client;
//!
//! // rediss:// alone trusts what the operating system trusts.
//! let mut client = Client::connect("rediss://cluster.example:7000")?;
//!
//! // An authority of one's own, and one name on all nodes' certificates.
//! let files = Files { ca: Some("ca.crt".into()), ..Files::default() };
//! let mut client = Client::builder("rediss://10.0.0.1:7000")?
//!     .tls(files.config()?)
//!     .tls_names(|_host, _port| Some("redis.example".to_owned()))
//!     .connect()?;
//! # Ok::<(), slotwise_std::Error>(())
//! ```
//!
//! A node's certificate must carry the host that the node announces (a seed's: the host that the URL names), or what
//! [`Builder::tls_names`](crate::Builder::tls_names) says instead. A connection counts as made, and credentials are
//! written, only after the certificate was verified. Bytes that rustls has taken count as written: it encrypts at once,
//! and what became of them after that cannot be told.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mio::net::TcpStream;
pub use rustls;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

/// The name that a node's certificate must carry, given the host and port the node announces.
type Names = Arc<dyn Fn(&str, u16) -> Option<String> + Send + Sync>;

/// Why TLS cannot be set up; nothing was dialled.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// The operating system names no certificate that could be trusted.
    NoRoots,
    /// A file cannot be read, or holds nothing of the kind it should.
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// A certificate of one's own needs its key, and a key its certificate.
    HalfPair,
    /// rustls refuses the set-up.
    Refused(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoots => f.write_str("the system has no certificates to trust: name a file with some"),
            Self::File { path, why } => write!(f, "{}: {why}", path.display()),
            Self::HalfPair => f.write_str("a client's certificate and its key go together, and one is missing"),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// PEM files from which a TLS set-up is made. All of them can be left out.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// Certificates to trust; the operating system's when left out.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, with those between it and its authority.
    pub cert: Option<PathBuf>,
    /// The key of [`Files::cert`].
    pub key: Option<PathBuf>,
}

impl Files {
    /// Reads the files.
    ///
    /// # Errors
    /// Any [`TlsError`].
    pub fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let roots = match &self.ca {
            Some(path) => trusted(path)?,
            None => system_roots()?,
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Refused)?
            .with_root_certificates(roots);
        let config = match (&self.cert, &self.key) {
            (None, None) => config.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
                config.with_client_auth_cert(certificates(cert)?, secret).map_err(TlsError::Refused)?
            }
            _ => return Err(TlsError::HalfPair),
        };
        Ok(Arc::new(config))
    }
}

fn trusted(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unreadable(path, &error))?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // Stores are known to hold some that nobody can read.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() { Err(TlsError::NoRoots) } else { Ok(roots) }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let found = read.map_err(|error| unreadable(path, &error))?;
    if found.is_empty() { Err(unreadable(path, &"no certificate in it")) } else { Ok(found) }
}

fn unreadable(path: &Path, why: &dyn fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_string() }
}

/// What a client was told about TLS.
#[derive(Clone, Default)]
pub(crate) struct Setup {
    pub(crate) config: Option<Arc<ClientConfig>>,
    pub(crate) names: Option<Names>,
}

impl Setup {
    /// Completes it with what the system trusts, for a client that asked for TLS and said nothing else.
    pub(crate) fn or_system(mut self, wanted: bool) -> Result<Self, TlsError> {
        if wanted && self.config.is_none() {
            self.config = Some(Files::default().config()?);
        }
        Ok(self)
    }

    /// How to secure a connection to a node, `None` for plain TCP.
    pub(crate) fn to(&self, host: &str, port: u16, name: &str) -> Option<Wish> {
        let config = Arc::clone(self.config.as_ref()?);
        let other = self.names.as_ref().and_then(|names| names(host, port));
        Some(Wish { config, name: other.unwrap_or_else(|| name.to_owned()) })
    }
}

/// TLS wanted with one node.
pub(crate) struct Wish {
    config: Arc<ClientConfig>,
    name: String,
}

impl fmt::Debug for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wish").field("name", &self.name).finish_non_exhaustive()
    }
}

/// TLS over a socket that never blocks.
#[derive(Debug)]
pub(crate) struct TlsStream {
    pub(crate) tcp: TcpStream,
    session: ClientConnection,
}

impl TlsStream {
    /// Begins a handshake; what fails is said in words.
    pub(crate) fn new(wish: &Wish, tcp: TcpStream) -> Result<Self, String> {
        let name = ServerName::try_from(wish.name.clone())
            .map_err(|_| format!("{:?} is no name that a certificate can carry", wish.name))?;
        let session = ClientConnection::new(Arc::clone(&wish.config), name).map_err(|error| error.to_string())?;
        Ok(Self { tcp, session })
    }

    /// Goes on with the handshake; `Ok(true)` when it is done.
    pub(crate) fn secure(&mut self) -> Result<bool, String> {
        loop {
            if let Err(error) = self.push() {
                return Err(error.to_string());
            }
            if !self.session.is_handshaking() {
                return Ok(true);
            }
            match self.pull() {
                Ok(0) => return Err("closed during the TLS handshake".to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => {
                    // The peer may be told why.
                    let _ = self.push();
                    return Err(error.to_string());
                }
            }
        }
    }

    /// Writes what is encrypted already for as long as the socket takes it; `Ok(false)` when some is left.
    pub(crate) fn push(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.tcp) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Reads from the socket once and decrypts; `Ok(0)` at its end.
    fn pull(&mut self) -> io::Result<usize> {
        loop {
            match self.session.read_tls(&mut self.tcp) {
                Ok(0) => return Ok(0),
                Ok(n) => {
                    self.session
                        .process_new_packets()
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    return Ok(n);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(room) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
            // Decrypting may have made something to send, such as an answer to new keys.
            let pulled = self.pull();
            self.push()?;
            if pulled? == 0 {
                // Without the TLS end mark too: replies have lengths, a cut cannot be taken for an end.
                return self.session.reader().read(room).or(Ok(0));
            }
        }
    }

    /// Takes what there is room for, and writes as much of it as the socket takes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.session.writer().write(bytes)?;
        self.push()?;
        if taken == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(taken) }
    }
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;

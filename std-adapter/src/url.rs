//! `redis://` URLs: where a cluster is, and who asks.

use std::fmt;
use std::str::FromStr;

use slotwise::addr::{self, AddrError};
use zeroize::Zeroizing;

/// The port when a URL names none.
pub const DEFAULT_PORT: u16 = 6379;

/// Where to find a cluster and how to log in, read from
/// `redis://[user[:password]@]host[:port][,host[:port]...][/db]` (`valkey://` is the same; `rediss://` and `valkeys://`
/// are the same over TLS, in builds with the feature `tls`).
///
/// Every host is a seed: the cluster is found through any one of them. IPv6 addresses stand in brackets. `%HH` in
/// user, password and host is decoded, so a password may hold any character. The password is never printed: neither
/// `Debug` nor `Display` shows it, and no error repeats any part of the URL's credentials.
///
/// ```
/// use slotwise_std::url::Url;
///
/// let url: Url = "redis://app:s%40fe@10.0.0.1:7000,[::1]:7001/0".parse()?;
/// assert_eq!(url.username(), Some("app"));
/// assert_eq!(url.password(), Some("s@fe"));
/// assert_eq!(url.seeds()[1].host(), "::1");
/// assert_eq!(url.to_string(), "redis://app:***@10.0.0.1:7000,[::1]:7001");
/// # Ok::<(), slotwise_std::url::UrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Url {
    username: Option<String>,
    /// Wiped when it is dropped.
    password: Option<Zeroizing<String>>,
    seeds: Vec<Seed>,
    database: u32,
    secure: bool,
}

/// One host and port of a [`Url`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Seed {
    host: String,
    port: u16,
}

/// Why a URL was refused. Positions and values are left out where they could show a password.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// The text does not begin with `redis://` or `valkey://`.
    Scheme,
    /// `rediss://` or `valkeys://`, and this build has no TLS: it was made without the feature `tls`.
    TlsUnavailable,
    /// No host, or an empty one between two commas.
    NoHost,
    /// A `[` without its `]`, or text between `]` and the port.
    BadBrackets,
    /// An IPv6 address without brackets: where its port begins cannot be told.
    BareIpv6,
    /// The host or the port is not one.
    Address(AddrError),
    /// A `%` without two hexadecimal digits behind it, or decoded bytes that are not UTF-8.
    BadEncoding,
    /// What follows `/` is not a database number.
    BadDatabase,
    /// A `?` or `#`: no options are read from URLs.
    Options,
}

impl Url {
    /// A URL of one seed, without credentials, database 0.
    ///
    /// # Errors
    /// [`UrlError::Address`] when the host or the port is none.
    pub fn of_seed(host: &str, port: u16) -> Result<Self, UrlError> {
        Ok(Self { username: None, password: None, seeds: vec![Seed::new(host, port)?], database: 0, secure: false })
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// Any [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme)?;
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "redis" | "valkey" => false,
            "rediss" | "valkeys" if cfg!(feature = "tls") => true,
            "rediss" | "valkeys" => return Err(UrlError::TlsUnavailable),
            _ => return Err(UrlError::Scheme),
        };
        if rest.contains(['?', '#']) {
            return Err(UrlError::Options);
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // An unencoded `@` can only be part of the credentials: no host has one.
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (username, password) = credentials.map_or(Ok((None, None)), read_credentials)?;
        let seeds = hosts.split(',').map(read_seed).collect::<Result<_, _>>()?;
        Ok(Self { username, password: password.map(Zeroizing::new), seeds, database: read_database(path)?, secure })
    }

    /// The user name, decoded; `None` means the server's default user.
    #[must_use]
    pub fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    /// The password, decoded.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.as_deref().map(String::as_str)
    }

    /// The seeds in the order they were written; at least one.
    #[must_use]
    pub fn seeds(&self) -> &[Seed] {
        &self.seeds
    }

    /// The database number, 0 unless the URL names one. Only Valkey 9 and later have others in cluster mode.
    #[must_use]
    pub const fn database(&self) -> u32 {
        self.database
    }

    /// Whether the URL asks for TLS: `rediss://` or `valkeys://`.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same URL with credentials for what it leaves open: what the URL itself says goes first. So a password can
    /// come from the environment or a file while the user name stands in the URL.
    #[must_use]
    pub fn or_credentials(mut self, username: Option<String>, password: Option<String>) -> Self {
        // A user name from elsewhere must not be paired with the URL's own password.
        if self.password.is_none() {
            self.username = self.username.or(username);
            self.password = password.map(Zeroizing::new);
        }
        self
    }
}

impl Seed {
    /// A seed from a host (a name or an IP address, IPv6 without brackets) and a port.
    ///
    /// # Errors
    /// [`UrlError::Address`].
    pub fn new(host: &str, port: u16) -> Result<Self, UrlError> {
        let address = addr::NodeAddr::new(host, port).map_err(UrlError::Address)?;
        Ok(Self { host: address.host().to_owned(), port })
    }

    /// The host: a name or an IP address, IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn read_credentials(text: &str) -> Result<(Option<String>, Option<String>), UrlError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let some = |text: &str| Ok((!text.is_empty()).then_some(percent_decode(text)?));
    Ok((some(user)?, password.map_or(Ok(None), some)?))
}

fn read_seed(text: &str) -> Result<Seed, UrlError> {
    if text.is_empty() {
        return Err(UrlError::NoHost);
    }
    let (host, port) = if let Some(inner) = text.strip_prefix('[') {
        let (host, rest) = inner.split_once(']').ok_or(UrlError::BadBrackets)?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(UrlError::BadBrackets),
        }
    } else {
        match text.split_once(':') {
            Some((_, port)) if port.contains(':') => return Err(UrlError::BareIpv6),
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let port =
        port.map_or(Ok(DEFAULT_PORT), |digits| addr::parse_port(digits.as_bytes()).map_err(UrlError::Address))?;
    Seed::new(&percent_decode(host)?, port)
}

fn read_database(path: &str) -> Result<u32, UrlError> {
    if path.is_empty() {
        return Ok(0);
    }
    if !path.bytes().all(|b| b.is_ascii_digit()) {
        return Err(UrlError::BadDatabase);
    }
    path.parse().map_err(|_| UrlError::BadDatabase)
}

fn percent_decode(text: &str) -> Result<String, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes().iter();
    while let Some(byte) = rest.next() {
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|d| char::from(*d).to_digit(16)).ok_or(UrlError::BadEncoding);
        let value = (digit()? << 4) | digit()?;
        bytes.push(u8::try_from(value).map_err(|_| UrlError::BadEncoding)?);
    }
    String::from_utf8(bytes).map_err(|_| UrlError::BadEncoding)
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl TryFrom<&str> for Url {
    type Error = UrlError;

    fn try_from(text: &str) -> Result<Self, UrlError> {
        Self::parse(text)
    }
}

impl fmt::Display for Seed {
    /// `host:port`, with brackets around IPv6.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Url {
    /// The URL with `***` in the password's place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "rediss://" } else { "redis://" })?;
        match (&self.username, &self.password) {
            (None, None) => {}
            (user, password) => {
                encode(f, user.as_deref().unwrap_or_default())?;
                f.write_str(if password.is_some() { ":***@" } else { "@" })?;
            }
        }
        for (index, seed) in self.seeds.iter().enumerate() {
            write!(f, "{}{seed}", if index == 0 { "" } else { "," })?;
        }
        if self.database != 0 {
            write!(f, "/{}", self.database)?;
        }
        Ok(())
    }
}

fn encode(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.bytes().try_for_each(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(byte)),
        other => write!(f, "%{other:02X}"),
    })
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("a cluster's URL begins with redis:// (or valkey://)"),
            Self::TlsUnavailable => f.write_str("rediss:// asks for TLS, and this build has none (feature `tls`)"),
            Self::NoHost => f.write_str("the URL names no host"),
            Self::BadBrackets => f.write_str("an IPv6 address is written [address]:port"),
            Self::BareIpv6 => f.write_str("an IPv6 address needs brackets: [address]:port"),
            Self::Address(AddrError::BadHost | AddrError::EmptyHost) => {
                f.write_str("the URL's host is not a host name or an IP address")
            }
            Self::Address(_) => f.write_str("the URL's port is not a number from 1 to 65535"),
            Self::BadEncoding => f.write_str("a % in the URL must be followed by two hexadecimal digits of UTF-8 text"),
            Self::BadDatabase => {
                f.write_str("what follows / must be a database number (in a password, / is written %2F)")
            }
            Self::Options => f.write_str("the URL takes no ? or # part (in a password they are written %3F and %23)"),
        }
    }
}

impl std::error::Error for UrlError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (Option<String>, Option<String>, Vec<String>, u32) {
        let url = Url::parse(text).unwrap();
        let seeds = url.seeds.iter().map(ToString::to_string).collect();
        (url.username, url.password.map(|password| password.to_string()), seeds, url.database)
    }

    #[test]
    fn reads_every_form() {
        let own = |text: &str| Some(text.to_owned());
        for (text, user, password, seeds, database) in [
            ("redis://h", None, None, &["h:6379"][..], 0),
            ("REDIS://h/", None, None, &["h:6379"], 0),
            ("valkey://10.0.0.1:7000/3", None, None, &["10.0.0.1:7000"], 3),
            ("redis://a:1,b,[::1]:2,[fe80::1]", None, None, &["a:1", "b:6379", "[::1]:2", "[fe80::1]:6379"], 0),
            ("redis://u@h", own("u"), None, &["h:6379"], 0),
            ("redis://:p@h", None, own("p"), &["h:6379"], 0),
            ("redis://u:p@h", own("u"), own("p"), &["h:6379"], 0),
            ("redis://u:@h", own("u"), None, &["h:6379"], 0),
            ("redis://@h", None, None, &["h:6379"], 0),
            ("redis://u%3Ax:p%2f%3a%C3%A9@h", own("u:x"), own("p/:\u{e9}"), &["h:6379"], 0),
            ("redis://u:a:b@c@h:1", own("u"), own("a:b@c"), &["h:1"], 0),
        ] {
            let seeds = seeds.iter().map(ToString::to_string).collect();
            assert_eq!(parts(text), (user, password, seeds, database), "{text}");
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        for (text, why) in [
            ("", UrlError::Scheme),
            ("localhost:6379", UrlError::Scheme),
            ("http://h", UrlError::Scheme),
            #[cfg(not(feature = "tls"))]
            ("rediss://h", UrlError::TlsUnavailable),
            ("redis://", UrlError::NoHost),
            ("redis://u:p@", UrlError::NoHost),
            ("redis://:7000", UrlError::NoHost),
            ("redis://a,,b", UrlError::NoHost),
            ("redis://a,", UrlError::NoHost),
            ("redis://[]:1", UrlError::NoHost),
            ("redis://[::1", UrlError::BadBrackets),
            ("redis://[::1]7000", UrlError::BadBrackets),
            ("redis://::1:7000", UrlError::BareIpv6),
            ("redis://h:", UrlError::Address(AddrError::BadPort)),
            ("redis://h:0", UrlError::Address(AddrError::BadPort)),
            ("redis://h:65536", UrlError::Address(AddrError::BadPort)),
            ("redis://h h:1", UrlError::Address(AddrError::BadHost)),
            ("redis://h%00:1", UrlError::Address(AddrError::BadHost)),
            ("redis://u:%zz@h", UrlError::BadEncoding),
            ("redis://u:%+1@h", UrlError::BadEncoding),
            ("redis://u:%4@h", UrlError::BadEncoding),
            ("redis://u:%ff@h", UrlError::BadEncoding),
            ("redis://h/x", UrlError::BadDatabase),
            ("redis://h/0/1", UrlError::BadDatabase),
            ("redis://h/99999999999", UrlError::BadDatabase),
            ("redis://h?a=b", UrlError::Options),
            ("redis://h/0#x", UrlError::Options),
        ] {
            assert_eq!(Url::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn never_shows_the_password() {
        let url = Url::parse("redis://us%20er:hunter2@h:1,[::1]:2/4").unwrap();
        assert_eq!(url.to_string(), "redis://us%20er:***@h:1,[::1]:2/4");
        assert!(!format!("{url:?}").contains("hunter2"));
        for broken in ["redis://:hunter2/x@h", "redis://:hunter2?@h", "redis://:hunter2%z@h", "redis://:hunter2@"] {
            let error = Url::parse(broken).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{broken}");
        }
    }

    #[test]
    fn display_reads_back() {
        for text in ["redis://h:1", "redis://u@[::1]:2,b:3/9", "redis://%C3%A9@h:1"] {
            let url = Url::parse(text).unwrap();
            assert_eq!(url.to_string(), text);
            assert_eq!(Url::parse(&url.to_string()), Ok(url));
        }
    }

    #[test]
    fn fills_in_only_what_is_open() {
        let env = || (Some("env-user".to_owned()), Some("env-pass".to_owned()));
        let with = |text: &str| {
            let (user, password) = env();
            let url = Url::parse(text).unwrap().or_credentials(user, password);
            (url.username, url.password.map(|password| password.to_string()))
        };
        assert_eq!(with("redis://h"), env());
        assert_eq!(with("redis://u@h"), (Some("u".to_owned()), env().1));
        assert_eq!(with("redis://u:p@h"), (Some("u".to_owned()), Some("p".to_owned())));
        assert_eq!(with("redis://:p@h"), (None, Some("p".to_owned())));
    }
}

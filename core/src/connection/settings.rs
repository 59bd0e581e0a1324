//! What every new connection is told about its user.

use core::fmt;

/// A password, lent by the caller. Its content is never printed.
#[derive(Clone, Copy)]
pub struct Secret<'a>(&'a [u8]);

impl<'a> Secret<'a> {
    /// A secret over borrowed bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one place that writes them into AUTH or HELLO.
    #[must_use]
    pub const fn expose(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> From<&'a str> for Secret<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Secret<'_> {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Secret(..)");
    }
}

/// Which protocol to ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Protocol {
    /// HELLO 3; a server that does not know it (before Redis 6.0) or refuses it is spoken to in RESP2.
    #[default]
    Resp3OrFallback,
    /// RESP2 without asking: no HELLO is sent.
    Resp2,
}

/// What a [`Handshake`](super::Handshake) brings about on each new connection. Borrowed: the caller may change it
/// between connections (a rotated password) and the next handshake uses the new values.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// Which protocol to ask for.
    pub protocol: Protocol,
    /// The ACL user (Redis 6.0 and later); `None` is the user `default`. Only used together with a password.
    pub username: Option<&'a str>,
    /// The password; `None` sends no AUTH at all.
    pub password: Option<Secret<'a>>,
    /// CLIENT SETNAME. Optional for the server: a refusal is noted in the session and not an error.
    pub client_name: Option<&'a str>,
    /// CLIENT SETINFO LIB-NAME (Redis 7.2, Valkey 7.2 and later). Optional like the name.
    pub lib_name: Option<&'a str>,
    /// CLIENT SETINFO LIB-VER. Optional like the name.
    pub lib_version: Option<&'a str>,
    /// The database. 0 sends no SELECT; others exist in cluster mode only from Valkey 9.0 on.
    pub database: u32,
    /// READONLY on every connection, so that replicas serve reads. See also
    /// [`Handshake::with_read_only`](super::Handshake::with_read_only), which asks for it on one connection.
    pub read_only: bool,
    /// CLIENT CAPA redirect (Valkey 8.0 and later), which only standalone replicas heed. Optional.
    pub capa_redirect: bool,
    /// CLIENT NO-EVICT ON (Redis 7.0 and later). Optional.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH ON (Redis 7.2 and later). Optional.
    pub no_touch: bool,
}

impl Settings<'_> {
    /// No user, no name, database 0, RESP3 where it is spoken.
    pub const DEFAULT: Self = Self {
        protocol: Protocol::Resp3OrFallback,
        username: None,
        password: None,
        client_name: None,
        lib_name: None,
        lib_version: None,
        database: 0,
        read_only: false,
        capa_redirect: false,
        no_evict: false,
        no_touch: false,
    };

    /// Longest user name or password in bytes: servers close a connection that is not yet authenticated on longer
    /// arguments (16384 bytes, since Redis 6.2.6; seen on Redis 7.0 and Valkey 9.1).
    pub const MAX_CREDENTIAL: usize = 16384;

    /// Checks what a server would refuse on every connection, once, before the first dial.
    ///
    /// # Errors
    /// A [`SettingsError`] that names the field.
    pub fn check(&self) -> Result<(), SettingsError> {
        let too_long = |text: &[u8]| text.len() > Self::MAX_CREDENTIAL;
        if self.username.is_some() && self.password.is_none() {
            return Err(SettingsError::UsernameWithoutPassword);
        }
        if self.username.is_some_and(|name| too_long(name.as_bytes()))
            || self.password.is_some_and(|password| too_long(password.expose()))
        {
            return Err(SettingsError::CredentialTooLong);
        }
        if self.client_name.is_some_and(|name| !is_plain(name) || too_long(name.as_bytes())) {
            return Err(SettingsError::BadClientName);
        }
        if [self.lib_name, self.lib_version].into_iter().flatten().any(|text| !is_plain(text)) {
            return Err(SettingsError::BadLibraryInfo);
        }
        Ok(())
    }
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Servers take only `!` to `~` in names and SETINFO values, and an empty name means no name.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| (b'!'..=b'~').contains(&b))
}

/// Why settings would be refused by every server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum SettingsError {
    /// A user name without a password: no AUTH could be sent for it.
    UsernameWithoutPassword,
    /// A user name or password longer than [`Settings::MAX_CREDENTIAL`].
    CredentialTooLong,
    /// A client name with a space, a control byte or a byte beyond ASCII, or an empty or overlong one.
    BadClientName,
    /// A library name or version with such a byte, or an empty one.
    BadLibraryInfo,
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UsernameWithoutPassword => "a user name needs a password",
            Self::CredentialTooLong => "the user name or password is longer than 16384 bytes",
            Self::BadClientName => "the client name must be printable ASCII without spaces",
            Self::BadLibraryInfo => "the library name and version must be printable ASCII without spaces",
        })
    }
}

impl core::error::Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;

    #[test]
    fn debug_hides_the_password() {
        let settings = Settings { password: Some("c4nary".into()), ..Settings::DEFAULT };
        let text = format!("{settings:?} {settings:#?}");
        assert!(!text.contains("c4nary"), "{text}");
        assert!(!text.contains("99, 52"), "{text}");
        assert!(text.contains("Secret(..)"));
    }

    #[test]
    fn check_names_the_field() {
        let long = String::from_utf8(std::vec![b'x'; 16385]).unwrap();
        let base = Settings::DEFAULT;
        let cases = [
            (Settings { username: Some("u"), ..base }, SettingsError::UsernameWithoutPassword),
            (Settings { password: Some(long.as_str().into()), ..base }, SettingsError::CredentialTooLong),
            (Settings { username: Some(&long), password: Some("p".into()), ..base }, SettingsError::CredentialTooLong),
            (Settings { client_name: Some("a b"), ..base }, SettingsError::BadClientName),
            (Settings { client_name: Some(""), ..base }, SettingsError::BadClientName),
            (Settings { client_name: Some("a\r\nFLUSHALL"), ..base }, SettingsError::BadClientName),
            (Settings { lib_name: Some("é"), ..base }, SettingsError::BadLibraryInfo),
            (Settings { lib_version: Some("1 2"), ..base }, SettingsError::BadLibraryInfo),
        ];
        for (settings, why) in cases {
            assert_eq!(settings.check(), Err(why), "{settings:?}");
        }
        let good = Settings { username: Some("u"), password: Some("p w\n".into()), client_name: Some("n"), ..base };
        assert_eq!(good.check(), Ok(()));
        assert_eq!(base.check(), Ok(()));
    }
}

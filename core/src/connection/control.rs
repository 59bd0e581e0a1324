//! The frames the core writes on its own behalf.

use super::settings::Settings;
use crate::resp::Args;
use crate::resp::encode::{self, EncodeError};

/// A request of the core's own. `Copy` and free of borrowed data: what it says beyond its kind (password, names,
/// database) is read from the [`Settings`] when it is encoded.
///
/// Every control frame has exactly one reply on a connection that is not in RESP2 subscriber mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ControlFrame {
    /// `HELLO proto [AUTH user password] [SETNAME name]`; AUTH only if `auth` and a password is set. Carries a
    /// secret.
    Hello {
        /// 2 or 3.
        proto: u8,
        /// Whether to authenticate in the same frame.
        auth: bool,
    },
    /// `AUTH [user] password`. Carries a secret. The user `default` is left out, which servers before 6.0 need.
    Auth,
    /// `CLIENT SETNAME name`.
    SetName,
    /// `CLIENT SETINFO LIB-NAME name`.
    SetInfoLibName,
    /// `CLIENT SETINFO LIB-VER version`.
    SetInfoLibVersion,
    /// `CLIENT CAPA redirect`.
    Capa,
    /// `CLIENT NO-EVICT ON`.
    NoEvict,
    /// `CLIENT NO-TOUCH ON`.
    NoTouch,
    /// `SELECT database`.
    Select,
    /// `READONLY`.
    ReadOnly,
    /// `READWRITE`.
    ReadWrite,
    /// `ASKING`. It holds for the very next command, so the two must leave in one piece.
    Asking,
    /// `PING nonce`, the nonce as 8 hexadecimal digits: a fence or a probe whose reply cannot be mistaken.
    Ping {
        /// What the server has to send back.
        nonce: u32,
    },
    /// `CLUSTER SLOTS`.
    ClusterSlots,
    /// `CLUSTER NODES`.
    ClusterNodes,
    /// `CLUSTER SHARDS`.
    ClusterShards,
    /// `CLUSTER MYID` (4.0 and later).
    ClusterMyId,
    /// `DISCARD`, to leave a transaction whose end will not be sent.
    Discard,
    /// `UNWATCH`.
    Unwatch,
    /// `QUIT`.
    Quit,
}

impl ControlFrame {
    /// The frame's arguments: what [`encode`](Self::encode) writes, for writers that gather segments.
    #[must_use]
    pub fn args<'a>(&self, settings: &Settings<'a>) -> ControlArgs<'a> {
        let mut args = ControlArgs::new();
        match *self {
            Self::Hello { proto, auth } => hello(&mut args, settings, proto, auth),
            Self::Auth => {
                args.push(b"AUTH");
                if let Some(user) = settings.username.filter(|name| *name != DEFAULT_USER) {
                    args.push(user.as_bytes());
                }
                args.push(settings.password.map_or(b"", |secret| secret.expose()));
            }
            Self::SetName => args.client(b"SETNAME", settings.client_name),
            Self::SetInfoLibName => {
                args.client(b"SETINFO", Some("LIB-NAME"));
                args.push(settings.lib_name.unwrap_or_default().as_bytes());
            }
            Self::SetInfoLibVersion => {
                args.client(b"SETINFO", Some("LIB-VER"));
                args.push(settings.lib_version.unwrap_or_default().as_bytes());
            }
            Self::Capa => args.client(b"CAPA", Some("redirect")),
            Self::NoEvict => args.client(b"NO-EVICT", Some("ON")),
            Self::NoTouch => args.client(b"NO-TOUCH", Some("ON")),
            Self::Select => {
                args.push(b"SELECT");
                args.push_decimal(settings.database);
            }
            Self::ReadOnly => args.push(b"READONLY"),
            Self::ReadWrite => args.push(b"READWRITE"),
            Self::Asking => args.push(b"ASKING"),
            Self::Ping { nonce } => {
                args.push(b"PING");
                args.push_number(&hexadecimal(nonce));
            }
            Self::ClusterSlots => args.pair(b"CLUSTER", b"SLOTS"),
            Self::ClusterNodes => args.pair(b"CLUSTER", b"NODES"),
            Self::ClusterShards => args.pair(b"CLUSTER", b"SHARDS"),
            Self::ClusterMyId => args.pair(b"CLUSTER", b"MYID"),
            Self::Discard => args.push(b"DISCARD"),
            Self::Unwatch => args.push(b"UNWATCH"),
            Self::Quit => args.push(b"QUIT"),
        }
        args
    }

    /// Bytes that [`encode`](Self::encode) writes with these settings.
    #[must_use]
    pub fn encoded_len(&self, settings: &Settings<'_>) -> usize {
        let len = encode::encoded_len(&self.args(settings)).unwrap_or(0);
        usize::try_from(len).unwrap_or(usize::MAX)
    }

    /// Writes the frame to the start of `out` and returns its length.
    ///
    /// # Errors
    /// [`EncodeError::BufferTooSmall`], with nothing of use in `out`.
    pub fn encode(&self, settings: &Settings<'_>, out: &mut [u8]) -> Result<usize, EncodeError> {
        encode::encode(&self.args(settings), out)
    }

    /// Whether the encoded frame holds the password: it goes to trusted endpoints only and never to a log.
    #[must_use]
    pub fn carries_secret(&self, settings: &Settings<'_>) -> bool {
        settings.password.is_some() && matches!(self, Self::Auth | Self::Hello { auth: true, .. })
    }
}

/// The ACL user that AUTH with one argument means.
const DEFAULT_USER: &str = "default";

fn hello<'a>(args: &mut ControlArgs<'a>, settings: &Settings<'a>, proto: u8, auth: bool) {
    args.push(b"HELLO");
    args.push(if proto == 2 { b"2" } else { b"3" });
    if let Some(password) = settings.password.filter(|_| auth) {
        args.push(b"AUTH");
        args.push(settings.username.unwrap_or(DEFAULT_USER).as_bytes());
        args.push(password.expose());
    }
    if let Some(name) = settings.client_name {
        args.push(b"SETNAME");
        args.push(name.as_bytes());
    }
}

/// `HELLO 3 AUTH user password SETNAME name`.
const MOST: usize = 7;

/// The arguments of a [`ControlFrame`]: at most seven (`HELLO 3 AUTH user password SETNAME name`).
///
/// They may hold the password, so there is no `Debug`.
#[derive(Clone, Copy)]
pub struct ControlArgs<'a> {
    items: [&'a [u8]; MOST],
    count: u8,
    /// A number made up for this frame; it stands after all `items`.
    number: [u8; 10],
    digits: u8,
}

impl<'a> ControlArgs<'a> {
    const fn new() -> Self {
        Self { items: [&[]; MOST], count: 0, number: [0; 10], digits: 0 }
    }

    fn push(&mut self, item: &'a [u8]) {
        if let Some(place) = self.items.get_mut(usize::from(self.count)) {
            *place = item;
            self.count += 1;
        }
    }

    fn pair(&mut self, first: &'a [u8], second: &'a [u8]) {
        self.push(first);
        self.push(second);
    }

    fn client(&mut self, what: &'a [u8], value: Option<&'a str>) {
        self.pair(b"CLIENT", what);
        self.push(value.unwrap_or_default().as_bytes());
    }

    fn push_number(&mut self, digits: &[u8]) {
        for (place, digit) in self.number.iter_mut().zip(digits) {
            *place = *digit;
            self.digits += 1;
        }
    }

    fn push_decimal(&mut self, n: u32) {
        let mut digits = [b'0'; 10];
        let mut rest = n;
        let mut used = 0;
        for place in digits.iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
            used += 1;
            if rest == 0 {
                break;
            }
        }
        self.push_number(digits.get(digits.len().saturating_sub(used)..).unwrap_or_default());
    }
}

impl Args for ControlArgs<'_> {
    fn count(&self) -> usize {
        usize::from(self.count) + usize::from(self.digits > 0)
    }

    fn arg(&self, index: usize) -> Option<&[u8]> {
        let count = usize::from(self.count);
        if index < count {
            self.items.get(index).copied()
        } else if index == count && self.digits > 0 {
            self.number.get(..usize::from(self.digits))
        } else {
            None
        }
    }
}

/// The 8 digits PING carries.
pub(super) fn hexadecimal(n: u32) -> [u8; 8] {
    let mut out = [0; 8];
    for (i, place) in out.iter_mut().enumerate() {
        let nibble = (n >> (28 - 4 * i)) as u8 & 0xf;
        *place = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const FULL: Settings<'_> = Settings {
        username: Some("app"),
        password: Some(super::super::Secret::new(b"p\r\nw")),
        client_name: Some("gw"),
        lib_name: Some("slotwise"),
        lib_version: Some("0.1.0"),
        database: 4_294_967_295,
        ..Settings::DEFAULT
    };

    fn words(frame: ControlFrame, settings: &Settings<'_>) -> Vec<String> {
        let args = frame.args(settings);
        assert_eq!(args.arg(args.count()), None);
        (0..args.count()).map(|i| String::from_utf8(args.arg(i).unwrap().to_vec()).unwrap()).collect()
    }

    #[test]
    fn hello_carries_auth_and_name() {
        let hello = ControlFrame::Hello { proto: 3, auth: true };
        assert_eq!(words(hello, &FULL), ["HELLO", "3", "AUTH", "app", "p\r\nw", "SETNAME", "gw"]);
        assert!(hello.carries_secret(&FULL));
        let bare = ControlFrame::Hello { proto: 2, auth: false };
        assert_eq!(words(bare, &FULL), ["HELLO", "2", "SETNAME", "gw"]);
        assert!(!bare.carries_secret(&FULL));
        assert_eq!(words(hello, &Settings::DEFAULT), ["HELLO", "3"]);
        assert!(!hello.carries_secret(&Settings::DEFAULT));
        let unnamed = Settings { username: None, client_name: None, ..FULL };
        assert_eq!(words(hello, &unnamed), ["HELLO", "3", "AUTH", "default", "p\r\nw"]);
    }

    #[test]
    fn auth_leaves_the_default_user_out() {
        assert_eq!(words(ControlFrame::Auth, &FULL), ["AUTH", "app", "p\r\nw"]);
        for username in [None, Some("default")] {
            assert_eq!(words(ControlFrame::Auth, &Settings { username, ..FULL }), ["AUTH", "p\r\nw"]);
        }
    }

    #[test]
    fn every_frame_in_words() {
        let cases = [
            (ControlFrame::SetName, "CLIENT SETNAME gw"),
            (ControlFrame::SetInfoLibName, "CLIENT SETINFO LIB-NAME slotwise"),
            (ControlFrame::SetInfoLibVersion, "CLIENT SETINFO LIB-VER 0.1.0"),
            (ControlFrame::Capa, "CLIENT CAPA redirect"),
            (ControlFrame::NoEvict, "CLIENT NO-EVICT ON"),
            (ControlFrame::NoTouch, "CLIENT NO-TOUCH ON"),
            (ControlFrame::Select, "SELECT 4294967295"),
            (ControlFrame::ReadOnly, "READONLY"),
            (ControlFrame::ReadWrite, "READWRITE"),
            (ControlFrame::Asking, "ASKING"),
            (ControlFrame::Ping { nonce: 0x00c0_ffee }, "PING 00c0ffee"),
            (ControlFrame::ClusterSlots, "CLUSTER SLOTS"),
            (ControlFrame::ClusterNodes, "CLUSTER NODES"),
            (ControlFrame::ClusterShards, "CLUSTER SHARDS"),
            (ControlFrame::ClusterMyId, "CLUSTER MYID"),
            (ControlFrame::Discard, "DISCARD"),
            (ControlFrame::Unwatch, "UNWATCH"),
            (ControlFrame::Quit, "QUIT"),
        ];
        for (frame, text) in cases {
            assert_eq!(words(frame, &FULL).join(" "), text);
        }
        for (database, text) in [(0, "SELECT 0"), (9, "SELECT 9"), (10, "SELECT 10"), (1_000, "SELECT 1000")] {
            assert_eq!(words(ControlFrame::Select, &Settings { database, ..FULL }).join(" "), text);
        }
    }

    #[test]
    fn knows_its_length() {
        for frame in [
            ControlFrame::Hello { proto: 3, auth: true },
            ControlFrame::Auth,
            ControlFrame::Select,
            ControlFrame::Ping { nonce: u32::MAX },
            ControlFrame::Asking,
        ] {
            let len = frame.encoded_len(&FULL);
            let mut out = vec![0; len];
            assert_eq!(frame.encode(&FULL, &mut out), Ok(len));
            assert!(out.ends_with(b"\r\n"));
            assert!(frame.encode(&FULL, &mut vec![0; len - 1]).is_err());
        }
        let mut out = [0; 32];
        let n = ControlFrame::Asking.encode(&Settings::DEFAULT, &mut out).unwrap();
        assert_eq!(&out[..n], b"*1\r\n$6\r\nASKING\r\n");
    }
}

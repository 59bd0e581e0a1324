//! Connections: what is said on a fresh one before commands may use it, and when a silent one is given up.
//!
//! Nothing here touches a socket. [`Handshake`] says which [`ControlFrame`] to write next and reads the replies
//! token by token, so that a buffer of a few dozen bytes is enough; [`Settings`] (and the secret in them) stay the
//! caller's and are lent to each call; [`Liveness`] decides over instants the caller hands in; [`Backoff`] spaces
//! the dials.
//!
//! A connection's state on the server (name, database, READONLY) dies with the connection: every new connection
//! starts a new [`Handshake`], which replays it all from the settings.
//!
//! ```
//! use slotwise::connection::{ControlFrame, Handshake, Settings};
//!
//! let settings = Settings { client_name: Some("gateway-7"), ..Settings::DEFAULT };
//! let mut handshake = Handshake::new();
//! let first = handshake.poll(&settings);
//! assert_eq!(first, Some(ControlFrame::Hello { proto: 3, auth: false }));
//! // Nothing goes out behind HELLO until its reply is in.
//! assert_eq!(handshake.poll(&settings), None);
//!
//! let mut out = [0; 64];
//! let n = first.unwrap().encode(&settings, &mut out).unwrap();
//! assert_eq!(&out[..n], b"*4\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$7\r\nSETNAME\r\n$9\r\ngateway-7\r\n");
//! ```

mod backoff;
mod control;
mod handshake;
mod hello;
mod liveness;
mod refusal;
mod settings;

pub use backoff::{Backoff, BackoffPolicy};
pub use control::{ControlArgs, ControlFrame};
pub(crate) use handshake::Greeting;
pub use handshake::{Handshake, Progress, Step, Steps};
pub use hello::{Mode, Role, Server, Session, Version, Zone};
pub(crate) use liveness::Watch;
pub use liveness::{Liveness, Timeouts, Verdict, Work};
pub use refusal::HandshakeError;
pub use settings::{Protocol, Secret, Settings, SettingsError};

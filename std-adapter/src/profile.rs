//! What a client was told about its cluster: seeds, credentials and handshake wishes, owned.

use slotwise::addr::NodeAddr;
use slotwise::cluster::Env;
use slotwise::connection::{Protocol, Secret, Settings};

use crate::url::{Seed, Url};

/// Owned seeds, credentials and wishes. Never shown by `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Profile {
    pub(crate) seeds: Vec<Seed>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) client_name: Option<String>,
    pub(crate) database: u32,
    pub(crate) resp2: bool,
    pub(crate) read_only: bool,
}

impl Profile {
    pub(crate) fn of(url: &Url) -> Self {
        Self {
            seeds: url.seeds().to_vec(),
            username: url.username().map(str::to_owned),
            password: url.password().map(str::to_owned),
            database: url.database(),
            ..Self::default()
        }
    }

    /// Calls `f` with the borrowed form the engine takes.
    pub(crate) fn with_env<T>(&self, f: impl FnOnce(&Env<'_>) -> T) -> T {
        let seeds: Vec<NodeAddr<'_>> =
            self.seeds.iter().filter_map(|seed| NodeAddr::new(seed.host(), seed.port()).ok()).collect();
        f(&Env { settings: &self.settings(), seeds: &seeds })
    }

    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings {
            protocol: if self.resp2 { Protocol::Resp2 } else { Protocol::Resp3OrFallback },
            username: self.username.as_deref(),
            password: self.password.as_deref().map(|password| Secret::new(password.as_bytes())),
            client_name: self.client_name.as_deref(),
            lib_name: Some("slotwise"),
            lib_version: Some(env!("CARGO_PKG_VERSION")),
            database: self.database,
            read_only: self.read_only,
            ..Settings::DEFAULT
        }
    }
}

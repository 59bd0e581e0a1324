//! What a client was told about its cluster: seeds, credentials and handshake wishes, owned.

use std::sync::Arc;

use slotwise::addr::NodeAddr;
use slotwise::cluster::{Endpoint, Endpoints, Env, Notice};
use slotwise::connection::{Protocol, Secret, Settings};
use zeroize::Zeroizing;

use crate::resolve::LookUp;
use crate::tls;
use crate::url::{Seed, Url};

/// Where an announced host and port are dialled.
pub(crate) type AddressMap = Arc<dyn Fn(&str, u16) -> Option<(String, u16)> + Send + Sync>;
/// Told of everything of note.
pub(crate) type Observer = Arc<dyn Fn(&Notice<'_>) + Send + Sync>;
/// Whether an announced host and port may be dialled.
pub(crate) type EndpointFilter = Arc<dyn Fn(&str, u16) -> bool + Send + Sync>;

/// Owned seeds, credentials and wishes. Never shown by `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Profile {
    pub(crate) seeds: Vec<Seed>,
    pub(crate) username: Option<String>,
    /// Wiped when it is dropped.
    pub(crate) password: Option<Zeroizing<String>>,
    pub(crate) client_name: Option<String>,
    pub(crate) database: u32,
    pub(crate) resp2: bool,
    pub(crate) read_only: bool,
    /// Most bytes of a reply that is kept.
    pub(crate) max_reply: Option<usize>,
    pub(crate) address_map: Option<AddressMap>,
    pub(crate) endpoint_filter: Option<EndpointFilter>,
    pub(crate) observer: Option<Observer>,
    pub(crate) resolver: Option<LookUp>,
    pub(crate) tls: tls::Setup,
    /// The URL asks for TLS.
    #[cfg(feature = "tls")]
    pub(crate) secure: bool,
}

impl Profile {
    pub(crate) fn of(url: &Url) -> Self {
        Self {
            seeds: url.seeds().to_vec(),
            username: url.username().map(str::to_owned),
            password: url.password().map(|password| Zeroizing::new(password.to_owned())),
            database: url.database(),
            #[cfg(feature = "tls")]
            secure: url.is_secure(),
            ..Self::default()
        }
    }

    /// Calls `f` with the borrowed form the engine takes.
    pub(crate) fn with_env<T>(&self, f: impl FnOnce(&Env<'_>) -> T) -> T {
        let seeds: Vec<NodeAddr<'_>> =
            self.seeds.iter().filter_map(|seed| NodeAddr::new(seed.host(), seed.port()).ok()).collect();
        let settings = self.settings();
        let env = Env::new(&settings, &seeds);
        f(&if self.endpoint_filter.is_some() { env.with_endpoints(self) } else { env })
    }

    pub(crate) fn settings(&self) -> Settings<'_> {
        Settings {
            protocol: if self.resp2 { Protocol::Resp2 } else { Protocol::Resp3OrFallback },
            username: self.username.as_deref(),
            password: self.password.as_ref().map(|password| Secret::new(password.as_bytes())),
            client_name: self.client_name.as_deref(),
            lib_name: Some("slotwise"),
            lib_version: Some(env!("CARGO_PKG_VERSION")),
            database: self.database,
            read_only: self.read_only,
            ..Settings::DEFAULT
        }
    }
}

/// The engine asks the filter; the address map makes texts of its own, so the driver asks it at each dial.
impl Endpoints for Profile {
    fn endpoint<'a>(&'a self, announced: NodeAddr<'a>) -> Option<Endpoint<'a>> {
        let allowed = |filter: &EndpointFilter| filter(announced.host(), announced.port());
        self.endpoint_filter.as_ref().is_none_or(allowed).then_some(Endpoint::announced(announced))
    }
}

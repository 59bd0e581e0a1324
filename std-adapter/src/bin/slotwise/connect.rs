//! The URL argument of every verb that talks to a cluster, and the credentials beside it.

use std::env::{self, VarError};

use slotwise_std::url::Url;
use slotwise_std::{Builder, Client};

use crate::exit::Failure;

/// Names of the environment variables.
const USERNAME: &str = "SLOTWISE_USERNAME";
const PASSWORD: &str = "SLOTWISE_PASSWORD";

/// Which cluster.
#[derive(clap::Args)]
pub(crate) struct Cluster {
    /// redis://[user[:password]@]host[:port][,host[:port]..][/db], or rediss:// for TLS where that is built in; any node of
    /// the cluster will do. What the URL
    /// leaves out is taken from SLOTWISE_USERNAME and SLOTWISE_PASSWORD: other users can see command lines
    #[arg(value_name = "URL")]
    url: String,
    #[command(flatten)]
    speech: Speech,
}

/// How to talk to it.
#[derive(clap::Args)]
pub(crate) struct Speech {
    /// Speak RESP2 even where RESP3 is known
    #[arg(long)]
    resp2: bool,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    tls: Tls,
}

/// What TLS (rediss://) needs beyond what the system trusts.
#[cfg(feature = "tls")]
#[derive(clap::Args)]
struct Tls {
    /// PEM file of the certificates to trust instead of the system's
    #[arg(long, value_name = "FILE")]
    cacert: Option<std::path::PathBuf>,
    /// PEM file of the client's own certificate
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<std::path::PathBuf>,
    /// PEM file of the key to --cert
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<std::path::PathBuf>,
    /// The name on all nodes' certificates, where it is not the host they announce
    #[arg(long, value_name = "NAME")]
    tls_name: Option<String>,
}

impl Cluster {
    /// A client's set-up, to change before connecting.
    pub(crate) fn builder(&self) -> Result<Builder, Failure> {
        builder(&self.url, &self.speech)
    }

    /// A connected client.
    pub(crate) fn open(&self) -> Result<Client, Failure> {
        self.builder()?.connect().map_err(Failure::Cluster)
    }
}

/// The set-up for a URL and the credentials around it. The text is read here and not by clap, whose messages would
/// repeat a password.
pub(crate) fn builder(url: &str, speech: &Speech) -> Result<Builder, Failure> {
    let url = Url::parse(url).map_err(|error| Failure::Usage(error.to_string()))?;
    #[cfg(feature = "tls")]
    let secure = url.is_secure();
    let builder = Builder::new(&url.or_credentials(variable(USERNAME)?, variable(PASSWORD)?)).client_name("slotwise");
    #[cfg(feature = "tls")]
    let builder = if secure { speech.tls.apply(builder)? } else { speech.tls.unused(builder)? };
    Ok(if speech.resp2 { builder.resp2() } else { builder })
}

#[cfg(feature = "tls")]
impl Tls {
    fn apply(&self, builder: Builder) -> Result<Builder, Failure> {
        let files =
            slotwise_std::tls::Files { ca: self.cacert.clone(), cert: self.cert.clone(), key: self.key.clone() };
        let builder = builder.tls(files.config().map_err(|error| Failure::Usage(error.to_string()))?);
        let name = self.tls_name.clone();
        Ok(builder.tls_names(move |_, _| name.clone()))
    }

    /// Somebody who names certificates must not be given a connection without them.
    fn unused(&self, builder: Builder) -> Result<Builder, Failure> {
        if self.cacert.is_some() || self.cert.is_some() || self.tls_name.is_some() {
            return Err(Failure::Usage("--cacert, --cert and --tls-name are for rediss:// URLs".to_owned()));
        }
        Ok(builder)
    }
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::Usage(format!("{name} is not UTF-8 text"))),
    }
}

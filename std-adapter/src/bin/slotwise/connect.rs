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
    /// redis://[user[:password]@]host[:port][,host[:port]..][/db]; any node of the cluster will do. What the URL
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
    let builder = Builder::new(&url.or_credentials(variable(USERNAME)?, variable(PASSWORD)?)).client_name("slotwise");
    Ok(if speech.resp2 { builder.resp2() } else { builder })
}

fn variable(name: &str) -> Result<Option<String>, Failure> {
    match env::var(name) {
        Ok(value) => Ok(Some(value).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(Failure::Usage(format!("{name} is not UTF-8 text"))),
    }
}

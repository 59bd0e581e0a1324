//! What an error reply means for the command it answers.

use serde_json::{Value, json};
use slotwise::addr;
use slotwise::server_error::{Executed, RedirectTarget, RetryWhere, ServerError};

use crate::escape;

/// Where a well-formed redirect points: an empty host is the node that answered, `?` is no known host.
fn target(error: &ServerError<'_>) -> Option<(String, Option<u16>)> {
    Some(match error.target()? {
        RedirectTarget::SameHost { port } => (String::new(), Some(port)),
        RedirectTarget::Addr(node) => (node.host().to_owned(), Some(node.port())),
        RedirectTarget::Unknown => ("?".to_owned(), addr::split(error.text()).ok().map(|(_, port)| port)),
    })
}

/// The class as JSON.
pub(super) fn json(line: &[u8]) -> Value {
    let error = ServerError::parse(line);
    let class = error.class();
    let (host, port) = target(&error).map_or((None, None), |(host, port)| (Some(host), port));
    json!({
        "kind": error.kind().name(),
        "executed": class.executed.name(),
        "refresh": class.refresh,
        "retry": class.retry.name(),
        "slot": error.redirect().map(|redirect| redirect.slot().get()),
        "host": host,
        "port": port,
    })
}

/// The class as a sentence.
pub(super) fn text(line: &[u8]) -> String {
    let error = ServerError::parse(line);
    let class = error.class();
    let executed = match class.executed {
        Executed::No => "the command did not run",
        Executed::Unknown => "the command may have run",
        Executed::Partly => "the command ran in part",
    };
    let refresh = if class.refresh { ", the slot map is out of date" } else { "" };
    let retry = match class.retry {
        RetryWhere::Never => "trying again does not help".to_owned(),
        RetryWhere::Delay => "try again after a pause".to_owned(),
        RetryWhere::OtherNode => "try another node of the shard".to_owned(),
        RetryWhere::Redirect => match target(&error) {
            Some((host, Some(port))) if host.is_empty() => format!("go to port {port} of the node that answered"),
            Some((host, Some(port))) => format!("go to {}:{port}", escape::escaped(host.as_bytes())),
            _ => "follow the redirect".to_owned(),
        },
    };
    let why = error.redirect_error().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}: {executed}{refresh}; {retry}{why}", error.kind().name())
}

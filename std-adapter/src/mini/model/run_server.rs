//! What a server tells about itself: COMMAND, INFO, ROLE.

use super::client::Words;
use super::commands::{self, COMMANDS, Command};
use super::reply::Out;
use super::{ClientId, Model};

/// `COMMAND`, `COMMAND COUNT`, `COMMAND INFO name...`, `COMMAND DOCS` (which knows nothing)
pub(super) fn command(_model: &mut Model, _id: ClientId, words: &Words, out: &mut Out) {
    match words.get(1).map(|word| word.to_ascii_lowercase()).as_deref() {
        None => {
            out.array(COMMANDS.len());
            COMMANDS.iter().for_each(|command| entry(command, out));
        }
        Some(b"count") => out.count(COMMANDS.len()),
        Some(b"docs") => out.map(0),
        Some(b"info") => {
            out.array(words.len() - 2);
            for name in &words[2..] {
                match commands::find(name) {
                    Some(command) => entry(command, out),
                    None => out.null_array(),
                }
            }
        }
        Some(sub) => out.error(format!("ERR unknown subcommand '{}'. Try COMMAND HELP.", String::from_utf8_lossy(sub))),
    }
}

fn entry(command: &Command, out: &mut Out) {
    let (first, last, step) = command.keys;
    out.array(6);
    out.bulk(command.name);
    out.int(command.arity.into());
    let flag =
        if command.has(commands::WRITE) { Some("write") } else { command.has(commands::READ).then_some("readonly") };
    out.set(usize::from(flag.is_some()));
    flag.into_iter().for_each(|flag| out.simple(flag));
    out.count(first);
    out.int(last.into());
    out.count(step);
}

pub(super) fn info(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    let node = &model.nodes[model.node_of(id)];
    let keys = model.nodes[model.node_of(id)].store.len();
    let (server, version) = model.profile(id).product();
    let mut text = String::from("# Server\r\n");
    if server == "valkey" {
        text.push_str("redis_version:7.2.4\r\nserver_name:valkey\r\n");
    }
    let role = if node.primary.is_some() { "slave" } else { "master" };
    text.push_str(&format!(
        "{server}_version:{version}\r\n{server}_mode:cluster\r\ntcp_port:{}\r\n\r\n# Clients\r\nconnected_clients:{}\r\n\r\n\
         # Replication\r\nrole:{role}\r\n\r\n# Cluster\r\ncluster_enabled:1\r\n\r\n# Keyspace\r\n",
        node.port,
        model.clients.len()
    ));
    if keys > 0 {
        text.push_str(&format!("db0:keys={keys},expires=0,avg_ttl=0\r\n"));
    }
    out.verbatim(&text);
}

pub(super) fn role(model: &mut Model, id: ClientId, _words: &Words, out: &mut Out) {
    let me = model.node_of(id);
    match model.nodes[me].primary {
        None => {
            let replicas: Vec<_> = model.nodes.iter().filter(|node| node.primary == Some(me)).collect();
            out.array(3);
            out.bulk("master");
            out.int(1);
            out.array(replicas.len());
            for replica in replicas {
                out.array(3);
                out.bulk(&replica.host);
                out.bulk(replica.port.to_string());
                out.bulk("1");
            }
        }
        Some(primary) => {
            let primary = &model.nodes[primary];
            out.array(5);
            out.bulk("slave");
            out.bulk(&primary.host);
            out.int(primary.port.into());
            out.bulk("connected");
            out.int(1);
        }
    }
}

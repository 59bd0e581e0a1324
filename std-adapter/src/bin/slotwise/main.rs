//! `slotwise`: look at and work with Redis/Valkey clusters from the command line.
#![allow(rustdoc::broken_intra_doc_links, reason = "comments on arguments are the text of --help, brackets included")]

mod commands;
mod connect;
mod decode;
mod demo;
mod escape;
mod exit;
mod input;
mod output;
mod pipe;
mod progress;
mod pubsub;
mod route;
mod scan;
mod slot;
mod topology;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{Exit, Failure};

/// Look at and work with Redis and Valkey clusters.
///
/// Every verb has --help with examples, and --json where its output is meant for a machine.
#[derive(Parser)]
#[command(name = "slotwise", version, max_term_width = 100, arg_required_else_help = true, after_help = exit::HELP)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Demo(demo::Args),
    Slot(slot::Args),
    Route(route::Args),
    Decode(decode::Args),
    Topology(topology::Args),
    Scan(scan::ScanArgs),
    Unlink(scan::UnlinkArgs),
    Pipe(pipe::Args),
    Subscribe(pubsub::SubscribeArgs),
    Publish(pubsub::PublishArgs),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // --help and --version come this way too: they go to standard output and are no error.
        Err(error) => {
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            return match error.print() {
                Ok(()) => code.into(),
                Err(_) => Exit::Io.into(),
            };
        }
    };
    let result = match cli.verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Slot(args) => slot::run(&args),
        Verb::Route(args) => route::run(&args),
        Verb::Decode(args) => decode::run(&args),
        Verb::Topology(args) => topology::run(&args),
        Verb::Scan(args) => scan::scan(&args),
        Verb::Unlink(args) => scan::unlink(&args),
        Verb::Pipe(args) => pipe::run(&args),
        Verb::Subscribe(args) => pubsub::subscribe(&args),
        Verb::Publish(args) => pubsub::publish(&args),
    };
    result.unwrap_or_else(Failure::report).into()
}

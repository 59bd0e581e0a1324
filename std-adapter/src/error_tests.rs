//! Every error's text: the command's name, the node, what was sent, and nothing that must not be seen.

use slotwise::cluster::{CloseReason, SubmitError};
use slotwise::command::{CommandError, Unshared};
use slotwise::connection::SettingsError;
use slotwise::ids::NodeId;
use slotwise::pipeline::{Failure, Outcome, Reason};
use slotwise::scan::RestoreError;

use super::*;

const NODE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn node() -> Option<NodeId> {
    NodeId::parse(NODE.as_bytes())
}

fn server(line: &[u8]) -> Error {
    Error::Server { command: "HSET".to_owned(), reply: ServerReply::new(line).at(node()) }
}

fn failed(outcome: Outcome, reason: Reason) -> Error {
    Error::Failed { command: "HSET".to_owned(), failure: Failure { outcome, reason, node: node() } }
}

/// Errors of commands: what their texts say was sent, and whether they know the node.
fn of_commands() -> Vec<(Error, &'static str, bool)> {
    let name = || "HSET".to_owned();
    let unknown = b"ERR unknown command 'HSET', with args beginning with: 'k' 'c4nary' ";
    let mut all = vec![
        (
            server(b"WRONGTYPE Operation against a key holding the wrong kind of value"),
            "rejected before execution",
            true,
        ),
        (server(b"ODD what only a module says"), "sent, and this is the answer", true),
        (server(unknown), "rejected before execution", true),
        (server(b"TRYAGAIN Multiple keys request during rehashing of slot"), "rejected before execution", true),
        (server(b"ERR failed script: abc, on @user_script:1."), "sent, and executed in part", true),
        (Error::UnexpectedReply { command: name() }, "sent and answered", false),
    ];
    for (outcome, words) in [
        (Outcome::NotSent, "not sent"),
        (Outcome::Rejected, "rejected before execution"),
        (Outcome::MaybeExecuted, "may have been executed"),
        (Outcome::ReplyLost, "executed, reply lost"),
    ] {
        for reason in [Reason::TimedOut, Reason::ConnectionLost, Reason::QueueFull, Reason::ReplyCut] {
            all.push((failed(outcome, reason), words, true));
        }
        let first = Box::new(failed(outcome, Reason::TimedOut));
        all.push((Error::Partial { command: name(), parts: 3, succeeded: 2, first }, words, true));
    }
    for error in [
        CommandError::Empty,
        CommandError::Unknown,
        CommandError::Arity,
        CommandError::CrossSlot,
        CommandError::NotShared(Unshared::Session),
        CommandError::NotShared(Unshared::Transaction),
        CommandError::Unguarded,
        CommandError::NotSingle,
    ] {
        all.push((Error::Command { command: name(), error }, "nothing was sent", false));
    }
    for error in [SubmitError::Full, SubmitError::FullBytes, SubmitError::ShuttingDown, SubmitError::BadSpec] {
        all.push((Error::Submit { command: name(), error }, "nothing was sent", false));
    }
    all
}

/// Errors that are not of one command.
fn of_others() -> Vec<Error> {
    vec![
        Error::Url(crate::url::Url::parse("http://c4nary:c4nary@host").unwrap_err()),
        Error::Settings(SettingsError::UsernameWithoutPassword),
        Error::NoCluster {
            last: Some((CloseReason::Handshake, "handshake refused: \x1b[31mWRONGPASS\r\n".to_owned())),
            rejected: Some("an error\u{7}".to_owned()),
        },
        Error::NoCluster { last: None, rejected: None },
        Error::Scan("slots 1-5 \x1b are not proven".to_owned()),
        Error::ScanToken(RestoreError::Version),
        Error::Io(io::Error::other("broken\x1b")),
    ]
}

#[test]
fn errors_of_commands_say_name_node_and_what_was_sent() {
    for (error, sent, has_node) in of_commands() {
        let text = error.to_string();
        assert!(text.starts_with("HSET: "), "{text}");
        assert!(text.contains(sent), "no {sent:?} in {text}");
        assert_eq!(text.contains(NODE), has_node, "{text}");
        assert_eq!(error.node().is_some(), has_node, "{text}");
        assert!(!text.contains("c4nary") && !format!("{error:?}").contains("c4nary"), "{text}");
        // The words agree with what programs are told.
        let words = match error.outcome() {
            Some(Outcome::NotSent) => &["not sent", "nothing was sent"][..],
            Some(Outcome::Rejected) => &["rejected before execution"],
            Some(Outcome::MaybeExecuted) => &["may have been executed"],
            Some(Outcome::ReplyLost) => &["executed, reply lost"],
            None => &["sent, and", "sent and answered", "parts were executed"],
        };
        assert!(words.iter().any(|words| text.contains(words)), "{:?}: {text}", error.outcome());
    }
}

#[test]
fn other_errors_say_what_failed() {
    for error in of_others() {
        let text = error.to_string();
        assert!(text.len() > 10 && !text.contains("c4nary") && !format!("{error:?}").contains("c4nary"), "{text}");
        assert_eq!((error.outcome(), error.node()), (None, None), "{text}");
    }
}

#[test]
fn control_characters_are_escaped() {
    let line = b"ERR \x1b[2J\r\n\x07 \xff caf\xc3\xa9 \"quoted\" it's \xe2\x80\xae";
    let named = |command: &str| {
        let first = Box::new(failed(Outcome::NotSent, Reason::TimedOut));
        let error = CommandError::Unknown;
        [
            Error::Server { command: command.to_owned(), reply: ServerReply::new(line) },
            Error::Failed {
                command: command.to_owned(),
                failure: Failure { outcome: Outcome::NotSent, reason: Reason::TimedOut, node: None },
            },
            Error::Partial { command: command.to_owned(), parts: 2, succeeded: 1, first },
            Error::Command { command: command.to_owned(), error },
            Error::Submit { command: command.to_owned(), error: SubmitError::Full },
            Error::UnexpectedReply { command: command.to_owned() },
        ]
    };
    for error in named("GE\x1bT\r\n").into_iter().chain(of_others()) {
        let text = error.to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(!text.contains('\u{202e}'), "{text:?}");
    }
    let text = named("GET")[0].to_string();
    assert!(text.contains(r#"ERR \u{1b}[2J\r\n\u{7} "#) && text.contains(r#"café "quoted" it's"#), "{text}");
    // Names that are too long are cut.
    for error in named(&"N".repeat(10_000)) {
        let text = error.to_string();
        assert!(text.len() < 300 && text.starts_with(&format!("{}...: ", "N".repeat(NAMED))), "{text}");
    }
}

#[test]
fn long_texts_are_cut() {
    let long = "x".repeat(1 << 20);
    let reply = ServerReply::new(format!("ERR {long}").as_bytes());
    for error in [
        Error::Server { command: "GET".to_owned(), reply },
        Error::Scan(long.clone()),
        Error::Io(io::Error::other(long.clone())),
        Error::NoCluster { last: Some((CloseReason::Protocol, long.clone())), rejected: Some(long) },
    ] {
        let text = error.to_string();
        assert!((KEPT..3 * KEPT).contains(&text.len()), "{}", text.len());
    }
}

use super::*;
use crate::connection::{Mode, Role, Secret, Server};
use crate::limits::Limits;
use crate::resp::{Args, Tokens};
use std::string::String;
use std::vec::Vec;

const AUTH: Settings<'_> = Settings { password: Some(Secret::new(b"pw")), ..Settings::DEFAULT };
const HELLO: ControlFrame = ControlFrame::Hello { proto: 3, auth: true };

/// Everything that may be sent now.
fn sent(handshake: &mut Handshake, settings: &Settings<'_>) -> Vec<ControlFrame> {
    core::iter::from_fn(|| handshake.poll(settings)).collect()
}

fn error(handshake: &mut Handshake, settings: &Settings<'_>, line: &str) -> Result<Progress, HandshakeError> {
    handshake.on_token(settings, &Token::Error(line.as_bytes()), true)
}

fn ok(handshake: &mut Handshake, settings: &Settings<'_>) -> Result<Progress, HandshakeError> {
    handshake.on_token(settings, &Token::Simple(b"OK"), true)
}

fn hello_reply(handshake: &mut Handshake, settings: &Settings<'_>) -> Result<Progress, HandshakeError> {
    let tokens = [
        Token::Map(4),
        Token::Bulk(b"server"),
        Token::Bulk(b"redis"),
        Token::Bulk(b"proto"),
        Token::Integer(3),
        Token::Bulk(b"mode"),
        Token::Bulk(b"cluster"),
        Token::Bulk(b"modules"),
        Token::Array(0),
    ];
    let (last, rest) = tokens.split_last().unwrap();
    for token in rest {
        assert_eq!(handshake.on_token(settings, token, false), Ok(Progress::Continue));
    }
    handshake.on_token(settings, last, true)
}

fn session(progress: Result<Progress, HandshakeError>) -> Session {
    match progress {
        Ok(Progress::Ready(session)) => session,
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_round_trip_when_nothing_else_is_wanted() {
    let mut h = Handshake::new();
    assert_eq!(sent(&mut h, &AUTH), [HELLO]);
    assert!(!h.is_ready());
    let session = session(hello_reply(&mut h, &AUTH));
    assert!(session.resp3 && h.is_ready());
    assert_eq!((session.server, session.mode, session.role), (Server::Redis, Mode::Cluster, Role::Unknown));
    assert_eq!(sent(&mut h, &AUTH), []);
}

#[test]
fn ready_only_when_every_reply_is_in() {
    let settings = Settings {
        client_name: Some("n"),
        lib_name: Some("slotwise"),
        lib_version: Some("1"),
        database: 2,
        no_evict: true,
        no_touch: true,
        capa_redirect: true,
        ..AUTH
    };
    let mut h = Handshake::new().with_read_only(true);
    assert_eq!(sent(&mut h, &settings), [HELLO]);
    assert_eq!(hello_reply(&mut h, &settings), Ok(Progress::Continue));
    let rest = [
        ControlFrame::Select,
        ControlFrame::ReadOnly,
        ControlFrame::Capa,
        ControlFrame::SetInfoLibName,
        ControlFrame::SetInfoLibVersion,
        ControlFrame::NoEvict,
        ControlFrame::NoTouch,
    ];
    assert_eq!(sent(&mut h, &settings), rest);
    for awaited in (1..rest.len() as u32).rev() {
        assert_eq!(ok(&mut h, &settings), Ok(Progress::Continue));
        assert_eq!(h.replies_awaited(), awaited);
        assert!(!h.is_ready());
    }
    assert!(session(ok(&mut h, &settings)).refused.is_empty());
    // One reply too many.
    assert_eq!(ok(&mut h, &settings), Err(HandshakeError::Unsolicited));
}

#[test]
fn optional_refusals_are_noted_and_forgiven() {
    let settings = Settings { lib_name: Some("s"), no_touch: true, database: 1, ..Settings::DEFAULT };
    let mut h = Handshake::new();
    sent(&mut h, &settings);
    let _ = hello_reply(&mut h, &settings);
    sent(&mut h, &settings);
    assert_eq!(ok(&mut h, &settings), Ok(Progress::Continue));
    let line = "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.";
    assert_eq!(error(&mut h, &settings, line), Ok(Progress::Continue));
    let refused = session(error(&mut h, &settings, "NOPERM User app has no permissions")).refused;
    assert!(refused.contains(Step::LibName) && refused.contains(Step::NoTouch));
    assert!(!refused.contains(Step::Select) && !refused.contains(Step::Hello));
}

#[test]
fn falls_back_only_on_hellos_own_reply() {
    let settings = Settings { client_name: Some("n"), database: 3, ..AUTH };
    for line in [
        "ERR unknown command 'HELLO'",
        "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, ",
        "NOPROTO unsupported protocol version",
        "ERR Protocol version is not an integer or out of range",
    ] {
        let mut h = Handshake::new();
        assert_eq!(sent(&mut h, &settings), [HELLO]);
        assert_eq!(error(&mut h, &settings, line), Ok(Progress::Continue));
        // AUTH has the line to itself.
        assert_eq!(sent(&mut h, &settings), [ControlFrame::Auth]);
        assert_eq!(ok(&mut h, &settings), Ok(Progress::Continue));
        assert_eq!(sent(&mut h, &settings), [ControlFrame::SetName, ControlFrame::Select]);
        // The same text on another step is no reason to fall back.
        assert_eq!(error(&mut h, &settings, line), Ok(Progress::Continue));
        let session = session(ok(&mut h, &settings));
        assert!(!session.resp3);
        assert!(session.refused.contains(Step::Hello) && session.refused.contains(Step::SetName));
    }
    let mut h = Handshake::new();
    sent(&mut h, &settings);
    assert_eq!(
        error(&mut h, &settings, "ERR Syntax error in HELLO option 'SETNAME'"),
        Err(HandshakeError::HelloRefused)
    );
}

#[test]
fn noauth_on_hello_with_a_password_means_auth_first() {
    let settings = Settings { client_name: Some("n"), ..AUTH };
    let start = || {
        let mut h = Handshake::new();
        assert_eq!(sent(&mut h, &settings), [HELLO]);
        assert_eq!(error(&mut h, &settings, "NOAUTH Authentication required."), Ok(Progress::Continue));
        assert_eq!(sent(&mut h, &settings), [ControlFrame::Auth]);
        assert_eq!(ok(&mut h, &settings), Ok(Progress::Continue));
        assert_eq!(sent(&mut h, &settings), [ControlFrame::Hello { proto: 3, auth: false }]);
        h
    };
    assert!(session(hello_reply(&mut start(), &settings)).resp3);

    let mut h = start();
    assert_eq!(error(&mut h, &settings, "ERR unknown command 'HELLO'"), Ok(Progress::Continue));
    assert_eq!(sent(&mut h, &settings), [ControlFrame::SetName]);
    assert!(!session(ok(&mut h, &settings)).resp3);

    // It does not go round in circles.
    let mut h = start();
    assert_eq!(error(&mut h, &settings, "NOAUTH Authentication required."), Err(HandshakeError::AuthRequired));

    let mut h = Handshake::new();
    sent(&mut h, &Settings::DEFAULT);
    let line = "NOAUTH HELLO must be called with the client already authenticated";
    assert_eq!(error(&mut h, &Settings::DEFAULT, line), Err(HandshakeError::AuthRequired));
}

#[test]
fn refused_credentials_are_typed_and_final() {
    for (line, why) in [
        ("WRONGPASS invalid username-password pair or user is disabled.", HandshakeError::AuthFailed),
        ("ERR invalid password", HandshakeError::AuthFailed),
        ("ERR Client sent AUTH, but no password is set", HandshakeError::NoPasswordSet),
        ("LOADING Redis is loading the dataset in memory", HandshakeError::NotReady),
    ] {
        let resp2 = Settings { protocol: Protocol::Resp2, ..AUTH };
        for settings in [AUTH, resp2] {
            let mut h = Handshake::new();
            assert_eq!(sent(&mut h, &settings).len(), 1);
            assert_eq!(error(&mut h, &settings, line), Err(why), "{line}");
            // Nothing more is sent, nothing more is believed.
            assert_eq!(sent(&mut h, &settings), []);
            assert_eq!(ok(&mut h, &settings), Err(why));
        }
    }
}

#[test]
fn required_steps_fail_the_handshake() {
    let settings = Settings { database: 1, read_only: true, ..Settings::DEFAULT };
    for (answers, why) in [
        (&["ERR SELECT is not allowed in cluster mode"][..], HandshakeError::DatabaseRefused),
        (&["ERR DB index is out of range"], HandshakeError::DatabaseRefused),
        (&["", "ERR This instance has cluster support disabled"], HandshakeError::ReadOnlyRefused),
        (&["NOPERM User x has no permissions to run the 'select' command"], HandshakeError::NoPermission),
        (&["", "NOAUTH Authentication required."], HandshakeError::AuthRequired),
    ] {
        let mut h = Handshake::new();
        sent(&mut h, &settings);
        let _ = hello_reply(&mut h, &settings);
        assert_eq!(sent(&mut h, &settings), [ControlFrame::Select, ControlFrame::ReadOnly]);
        let mut last = Ok(Progress::Continue);
        for line in answers {
            last = if line.is_empty() { ok(&mut h, &settings) } else { error(&mut h, &settings, line) };
        }
        assert_eq!(last, Err(why), "{answers:?}");
    }
}

#[test]
fn unasked_errors_before_and_after_the_first_frame() {
    for (line, why) in [
        ("ERR max number of clients reached", HandshakeError::MaxClients),
        ("DENIED Redis is running in protected mode because protected mode is enabled", HandshakeError::Denied),
        ("ERR Protocol error: unauthenticated bulk length", HandshakeError::Protocol),
    ] {
        let mut early = Handshake::new();
        assert_eq!(error(&mut early, &AUTH, line), Err(why));
        assert_eq!(sent(&mut early, &AUTH), []);
        let mut late = Handshake::new();
        sent(&mut late, &AUTH);
        assert_eq!(error(&mut late, &AUTH, line), Err(why));
    }
    assert_eq!(error(&mut Handshake::new(), &AUTH, "MOVED 1 h:1"), Err(HandshakeError::Unsolicited));
    assert_eq!(ok(&mut Handshake::new(), &AUTH), Err(HandshakeError::Unsolicited));
}

#[test]
fn resp2_without_anything_to_say_proves_the_server_with_a_ping() {
    let settings = Settings { protocol: Protocol::Resp2, ..Settings::DEFAULT };
    let start = || {
        let mut h = Handshake::new();
        assert!(matches!(sent(&mut h, &settings)[..], [ControlFrame::Ping { .. }]));
        h
    };
    let echo = hexadecimal(PING_NONCE);
    assert!(!session(start().on_token(&settings, &Token::Bulk(&echo), true)).resp3);
    assert!(session(error(&mut start(), &settings, "LOADING Redis is loading")).refused.is_empty());
    assert_eq!(error(&mut start(), &settings, "NOAUTH Authentication required."), Err(HandshakeError::AuthRequired));
    assert_eq!(ok(&mut start(), &settings), Err(HandshakeError::UnexpectedReply));
    assert_eq!(start().on_token(&settings, &Token::Bulk(b"01234567"), true), Err(HandshakeError::UnexpectedReply));
    // A server before 6.0 that wants a password hides it behind the unknown HELLO.
    let mut h = Handshake::new();
    sent(&mut h, &Settings::DEFAULT);
    assert_eq!(error(&mut h, &Settings::DEFAULT, "ERR unknown command 'HELLO'"), Ok(Progress::Continue));
    assert!(matches!(sent(&mut h, &Settings::DEFAULT)[..], [ControlFrame::Ping { .. }]));
}

#[test]
fn tiny_buffers_pushes_and_flat_hello_replies() {
    // A status and an error line in pieces.
    let settings = Settings { database: 1, ..Settings::DEFAULT };
    let mut h = Handshake::new();
    sent(&mut h, &settings);
    // A push of its own before the reply.
    for (token, end) in [(Token::Push(2), false), (Token::Bulk(b"invalidate"), false), (Token::Array(0), true)] {
        assert_eq!(h.on_token(&settings, &token, end), Ok(Progress::Continue));
    }
    // HELLO answered the RESP2 way.
    for (token, end) in [(Token::Array(2), false), (Token::Bulk(b"proto"), false), (Token::Integer(2), true)] {
        assert_eq!(h.on_token(&settings, &token, end), Ok(Progress::Continue));
    }
    let mut refused = h;
    sent(&mut h, &settings);
    let begin = Token::Begin { kind: Text::Simple, len: None };
    assert_eq!(h.on_token(&settings, &begin, false), Ok(Progress::Continue));
    assert_eq!(h.on_token(&settings, &Token::Chunk { bytes: b"O", last: false }, false), Ok(Progress::Continue));
    assert!(!session(h.on_token(&settings, &Token::Chunk { bytes: b"K", last: true }, true)).resp3);

    sent(&mut refused, &settings);
    let begin = Token::Begin { kind: Text::Error, len: None };
    assert_eq!(refused.on_token(&settings, &begin, false), Ok(Progress::Continue));
    let piece = |bytes, last| Token::Chunk { bytes, last };
    assert_eq!(refused.on_token(&settings, &piece(b"NOAUTH Auth", false), false), Ok(Progress::Continue));
    assert_eq!(refused.on_token(&settings, &piece(b"OK", false), false), Ok(Progress::Continue));
    assert_eq!(refused.on_token(&settings, &piece(b".", true), true), Err(HandshakeError::AuthRequired));
}

#[test]
fn replies_of_the_wrong_type_end_it() {
    for token in [Token::Integer(1), Token::Bulk(b"OK"), Token::Simple(b"OK"), Token::TooDeep] {
        let mut h = Handshake::new();
        sent(&mut h, &AUTH);
        assert_eq!(h.on_token(&AUTH, &token, true), Err(HandshakeError::UnexpectedReply), "{token:?}");
    }
    let resp2 = Settings { protocol: Protocol::Resp2, ..AUTH };
    for token in [Token::Map(0), Token::Simple(b"QUEUED"), Token::Bulk(b"OK")] {
        let mut h = Handshake::new();
        sent(&mut h, &resp2);
        assert_eq!(h.on_token(&resp2, &token, true), Err(HandshakeError::UnexpectedReply), "{token:?}");
    }
}

#[test]
fn stays_small() {
    assert!(size_of::<Handshake>() <= 96, "{}", size_of::<Handshake>());
}

/// Feeds bytes the way an engine does, `piece` at a time into a buffer that keeps what is not consumed, strings of up
/// to 32 bytes whole. Answers the frames that come due with `answers`, one after the other.
fn over_bytes(
    settings: &Settings<'_>,
    answers: &[&str],
    piece: usize,
) -> (Vec<String>, Result<Session, HandshakeError>) {
    let mut tokens = Tokens::<8>::new(Limits::HANDSHAKE).with_whole(32);
    let (mut handshake, mut said, mut buffer, mut most) = (Handshake::new(), Vec::new(), Vec::new(), 0);
    let mut answers = answers.iter();
    loop {
        let mut due = 0;
        while let Some(frame) = handshake.poll(settings) {
            let args = frame.args(settings);
            let words = (0..args.count()).map(|i| String::from_utf8_lossy(args.arg(i).unwrap()).into_owned());
            said.push(words.collect::<Vec<_>>().join(" "));
            due += 1;
        }
        let bytes: Vec<u8> = answers.by_ref().take(due).flat_map(|answer| answer.bytes()).collect();
        assert!(!bytes.is_empty(), "out of answers after {said:?}");
        for chunk in bytes.chunks(piece) {
            buffer.extend_from_slice(chunk);
            most = most.max(buffer.len());
            let mut reader = tokens.reader(&buffer);
            while let Some(token) = reader.next().unwrap() {
                if reader.out_of_band() || reader.in_attribute() {
                    continue;
                }
                match handshake.on_token(settings, &token, reader.at_boundary()) {
                    Ok(Progress::Continue) => {}
                    Ok(Progress::Ready(session)) => return (said, Ok(session)),
                    Err(error) => return (said, Err(error)),
                }
            }
            let consumed = reader.consumed();
            buffer.drain(..consumed);
        }
        assert!(most <= piece + 64, "{most} bytes held for pieces of {piece}");
    }
}

/// Valkey 9.1.2 in cluster mode, with an availability zone.
const VALKEY: &str = "%8\r\n$6\r\nserver\r\n$6\r\nvalkey\r\n$7\r\nversion\r\n$5\r\n9.1.2\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:3\r\n\
    $4\r\nmode\r\n$7\r\ncluster\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*1\r\n%4\r\n$4\r\nname\r\n$3\r\nlua\r\n$3\r\nver\r\n\
    :1\r\n$4\r\npath\r\n$3\r\nlua\r\n$4\r\nargs\r\n*0\r\n$17\r\navailability_zone\r\n$5\r\neu-1a\r\n";

/// Redis 8.0.6, not in cluster mode.
const REDIS: &str = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n8.0.6\r\n$5\r\nproto\r\n:3\r\n$2\r\nid\r\n:4\r\n\
    $4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*1\r\n%4\r\n$4\r\nname\r\n$9\r\nvectorset\r\n\
    $3\r\nver\r\n:1\r\n$4\r\npath\r\n$0\r\n\r\n$4\r\nargs\r\n*0\r\n";

#[test]
fn replies_of_real_servers_in_pieces_of_any_size() {
    let settings = Settings { client_name: Some("n"), lib_name: Some("slotwise"), ..AUTH };
    for piece in [1, 2, 3, 7, 16, 1_000] {
        let (said, session) = over_bytes(&settings, &[VALKEY, "+OK\r\n"], piece);
        assert_eq!(said, ["HELLO 3 AUTH default pw SETNAME n", "CLIENT SETINFO LIB-NAME slotwise"]);
        let session = session.unwrap();
        assert_eq!((session.server, session.mode, session.role), (Server::Valkey, Mode::Cluster, Role::Primary));
        assert_eq!(session.version, crate::connection::Version { major: 9, minor: 1, patch: 2 });
        assert_eq!((session.client_id, session.zone), (Some(3), Some(crate::connection::Zone::of(b"eu-1a"))));
        assert!(session.resp3);

        let (_, session) = over_bytes(&AUTH, &[REDIS], piece);
        assert_eq!((session.unwrap().mode, session.unwrap().server), (Mode::Standalone, Server::Redis));

        let old = ["-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, \r\n", "+OK\r\n", "+OK\r\n"];
        let rest = "-ERR Unknown subcommand or wrong number of arguments for 'SETINFO'\r\n";
        let (said, session) = over_bytes(&settings, &[old[0], old[1], old[2], rest], piece);
        assert_eq!(said[1..], ["AUTH pw", "CLIENT SETNAME n", "CLIENT SETINFO LIB-NAME slotwise"]);
        assert!(session.unwrap().refused.contains(Step::LibName) && !session.unwrap().resp3);
    }
}

#[test]
fn long_error_lines_in_tiny_pieces_are_still_told_apart() {
    for (line, why) in [
        ("-DENIED Redis is running in protected mode because protected mode is enabled and ", HandshakeError::Denied),
        ("-NOAUTH HELLO must be called with the client already authenticated, ", HandshakeError::AuthRequired),
        ("-WRONGPASS invalid username-password pair or user is disabled.", HandshakeError::AuthFailed),
    ] {
        let line = std::format!("{line}{}\r\n", "x".repeat(900));
        for piece in [1, 3, 40, 2_000] {
            let (_, result) = over_bytes(&Settings::DEFAULT, &[&line], piece);
            assert_eq!(result, Err(why), "{piece} {line}");
        }
    }
}

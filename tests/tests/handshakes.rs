//! What each server is told on a new connection, in which order, and what it answers: the model's servers and real ones.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use slotwise::command::Target;
use slotwise::connection::{Handshake, HandshakeError, Mode, Progress, Protocol, Secret, Session, Settings, Step};
use slotwise::limits::Limits;
use slotwise::resp::{Args, Tokens, encode};
use slotwise_std::Client;
use slotwise_std::mini::model::{Model, ModelOptions, Profile};
use slotwise_tests::real::{Cluster, ClusterOptions, ServerKind};

const PASSWORD: &str = "pw";
/// Everything a connection can be told.
const ALL: Settings<'_> = Settings {
    username: Some("default"),
    password: Some(Secret::new(PASSWORD.as_bytes())),
    client_name: Some("gateway"),
    lib_name: Some("slotwise"),
    lib_version: Some("0.1"),
    read_only: true,
    capa_redirect: true,
    no_evict: true,
    no_touch: true,
    ..Settings::DEFAULT
};

/// A server at the other end: takes a command, gives the bytes that have come.
type Exchange<'a> = dyn FnMut(Option<&[Vec<u8>]>) -> Vec<u8> + 'a;

/// A handshake to its end: each command with the beginning of its answer, and what came of all.
fn shake(settings: &Settings<'_>, server: &mut Exchange<'_>) -> (Vec<String>, Result<Session, HandshakeError>) {
    let mut tokens = Tokens::<8>::new(Limits::HANDSHAKE).with_whole(256);
    let (mut handshake, mut buffer) = (Handshake::new(), Vec::new());
    let (mut waiting, mut rows) = (VecDeque::new(), Vec::new());
    loop {
        while let Some(frame) = handshake.poll(settings) {
            let args = frame.args(settings);
            let words: Vec<Vec<u8>> = (0..args.count()).map(|at| args.arg(at).unwrap().to_vec()).collect();
            waiting.push_back(String::from_utf8(words.join(&b" "[..])).unwrap());
            buffer.extend(server(Some(&words)));
        }
        assert!(!handshake.is_ready() && !waiting.is_empty(), "{rows:?}");
        buffer.extend(server(None));
        loop {
            let first = buffer.clone();
            let mut reader = tokens.reader(&buffer);
            let Some(token) = reader.next().unwrap() else {
                let used = reader.consumed();
                buffer.drain(..used);
                break;
            };
            let end = reader.at_boundary();
            let used = reader.consumed();
            let progress = handshake.on_token(settings, &token, end);
            buffer.drain(..used);
            if rows.len() + waiting.len() == 0 || first.is_empty() {
                continue;
            }
            if end {
                let line = String::from_utf8_lossy(&first);
                let word = line.split(['\r', ' ']).next().unwrap_or_default();
                let answer = if word.starts_with(['-', '+']) { word.to_owned() } else { "a map".to_owned() };
                rows.push(format!("{}: {answer}", waiting.pop_front().expect("an answer to nothing")));
            }
            match progress {
                Ok(Progress::Continue) => assert!(!handshake.is_ready()),
                Ok(Progress::Ready(session)) => {
                    assert!(waiting.is_empty(), "ready with {waiting:?} unanswered");
                    return (rows, Ok(session));
                }
                Err(error) => return (rows, Err(error)),
            }
        }
    }
}

fn with_model(profile: Profile, settings: &Settings<'_>) -> (Vec<String>, Result<Session, HandshakeError>) {
    let options = ModelOptions { profile, password: Some(PASSWORD.into()), ..ModelOptions::default() };
    let mut model = Model::new(options);
    let client = model.connect(0);
    shake(settings, &mut |words| match words {
        Some(words) => {
            model.request(client, words);
            Vec::new()
        }
        None => model.take_output(client),
    })
}

/// What a server knows of the optional settings.
#[derive(Clone, Copy)]
struct Knows {
    capa: bool,
    set_info: bool,
    no_evict: bool,
    no_touch: bool,
}

const REDIS_6_2: Knows = Knows { capa: false, set_info: false, no_evict: false, no_touch: false };
const REDIS_7_0: Knows = Knows { no_evict: true, ..REDIS_6_2 };
const REDIS_7_4: Knows = Knows { set_info: true, no_touch: true, ..REDIS_7_0 };
const VALKEY_8: Knows = Knows { capa: true, ..REDIS_7_4 };

impl Knows {
    /// The rows behind AUTH: what is sent for [`ALL`], in this order, and what is answered.
    fn rows(self, first: &[&str]) -> Vec<String> {
        let optional = [
            ("CAPA redirect", self.capa),
            ("SETINFO LIB-NAME slotwise", self.set_info),
            ("SETINFO LIB-VER 0.1", self.set_info),
            ("NO-EVICT ON", self.no_evict),
            ("NO-TOUCH ON", self.no_touch),
        ];
        let answer = |known: bool| if known { "+OK" } else { "-ERR" };
        let optional = optional.map(|(what, known)| format!("CLIENT {what}: {}", answer(known)));
        first.iter().map(ToString::to_string).chain(optional).collect()
    }

    fn check(self, session: &Session) {
        for (step, known) in [
            (Step::Capa, self.capa),
            (Step::LibName, self.set_info),
            (Step::LibVersion, self.set_info),
            (Step::NoEvict, self.no_evict),
            (Step::NoTouch, self.no_touch),
        ] {
            assert_eq!(session.refused.contains(step), !known, "{step:?} in {session:?}");
        }
        assert_eq!(session.mode, Mode::Cluster);
    }
}

/// Every row for one server. `database` is whether it has more than one.
fn table(
    name: &str,
    knows: Knows,
    user: &str,
    databases: bool,
    shake: impl Fn(&Settings<'_>) -> (Vec<String>, Result<Session, HandshakeError>),
) {
    let all = Settings { username: Some(user), ..ALL };
    let hello = format!("HELLO 3 AUTH {user} pw SETNAME gateway");
    // One frame says who it is; nothing is sent behind it before its reply is in. The rest goes in one go.
    let (rows, end) = shake(&all);
    assert_eq!(rows, knows.rows(&[&format!("{hello}: a map"), "READONLY: +OK"]), "{name}");
    let session = end.unwrap();
    knows.check(&session);
    assert!(session.resp3, "{name}");

    // A database that is not there ends it: commands would run in another.
    let (rows, end) = shake(&Settings { database: 1, ..all });
    if databases {
        assert_eq!(rows, knows.rows(&[&format!("{hello}: a map"), "SELECT 1: +OK", "READONLY: +OK"]), "{name}");
        knows.check(&end.unwrap());
    } else {
        assert_eq!(rows, [format!("{hello}: a map"), "SELECT 1: -ERR".to_owned()], "{name}");
        assert_eq!(end, Err(HandshakeError::DatabaseRefused), "{name}");
    }

    // RESP2: the same in frames of their own.
    let (rows, end) = shake(&Settings { protocol: Protocol::Resp2, ..all });
    let auth = if user == "default" { "AUTH pw: +OK".to_owned() } else { format!("AUTH {user} pw: +OK") };
    assert_eq!(rows, knows.rows(&[&auth, "CLIENT SETNAME gateway: +OK", "READONLY: +OK"]), "{name}");
    let session = end.unwrap();
    knows.check(&session_in_cluster(session));
    assert!(!session.resp3, "{name}");

    // A wrong password and none at all are no reason to fall back to RESP2.
    let (rows, end) = shake(&Settings { password: Some(Secret::new(b"wrong")), ..all });
    assert_eq!(rows, [format!("HELLO 3 AUTH {user} wrong SETNAME gateway: -WRONGPASS")], "{name}");
    assert_eq!(end, Err(HandshakeError::AuthFailed), "{name}");
    // (The real servers have a user that needs none.)
    if user == "default" {
        let (rows, end) = shake(&Settings { password: None, ..all });
        assert_eq!(rows, ["HELLO 3 SETNAME gateway: -NOAUTH"], "{name}");
        assert_eq!(end, Err(HandshakeError::AuthRequired), "{name}");
    }
}

/// RESP2 does not tell the mode.
fn session_in_cluster(session: Session) -> Session {
    Session { mode: Mode::Cluster, ..session }
}

#[test]
fn the_models_servers_answer_as_their_versions_do() {
    for (profile, knows) in [
        (Profile::Redis62, REDIS_6_2),
        (Profile::Redis7, REDIS_7_0),
        (Profile::Redis8, REDIS_7_4),
        (Profile::Redis84, REDIS_7_4),
        (Profile::Valkey8, VALKEY_8),
        (Profile::Valkey9, VALKEY_8),
    ] {
        table(&format!("{profile:?}"), knows, "default", false, |settings| with_model(profile, settings));
    }
}

fn with_server(port: u16, settings: &Settings<'_>) -> (Vec<String>, Result<Session, HandshakeError>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    shake(settings, &mut |words| {
        let mut bytes = vec![0; 4_096];
        match words {
            Some(words) => {
                let len = encode::encode(words, &mut bytes).unwrap();
                stream.write_all(&bytes[..len]).unwrap();
                Vec::new()
            }
            None => {
                let len = stream.read(&mut bytes).unwrap();
                bytes.truncate(len);
                bytes
            }
        }
    })
}

#[test]
fn real_servers_answer_as_the_table_says() {
    for (kind, knows, databases) in [
        (ServerKind::Redis7, REDIS_7_0, false),
        (ServerKind::Redis8, REDIS_7_4, false),
        (ServerKind::Valkey9, VALKEY_8, true),
    ] {
        let mut options = ClusterOptions::new(kind, 1, 0).line("user app on >pw ~* &* +@all");
        if databases {
            options = options.line("cluster-databases 4");
        }
        let Some(cluster) = options.start() else { continue };
        let seeds = cluster.admin().seeds();
        let port = seeds[0].rsplit(':').next().unwrap().parse().unwrap();
        table(&format!("{kind:?}"), knows, "app", databases, |settings| with_server(port, settings));
        replayed(&cluster, knows);
    }
}

/// The same is said on the connection after the one that was lost.
fn replayed(cluster: &Cluster, knows: Knows) {
    let url = format!("redis://app:pw@{}", cluster.admin().seeds().join(","));
    let mut client = Client::builder(&url).unwrap().client_name("gateway").connect().unwrap();
    let mut ids = Vec::new();
    for _ in 0..2 {
        // One that was under way when its connection ended may have run.
        let ask = |_| client.command_to(Target::AnyNode, &["CLIENT", "INFO"]).ok();
        let info = (0..50).find_map(ask).unwrap();
        let info = info.as_str().unwrap().to_owned();
        assert!(info.contains(" name=gateway ") && info.contains(" user=app "), "{info}");
        assert_eq!(info.contains(" lib-name=slotwise "), knows.set_info, "{info}");
        ids.push(info.split(' ').next().unwrap().to_owned());
        cluster.admin().kill_clients(0).unwrap();
    }
    assert_ne!(ids[0], ids[1], "a new connection");
}

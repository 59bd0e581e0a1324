use super::*;
use crate::addr::AddrError;
use crate::slot::Slot;
use std::format;
use std::string::ToString;
use std::vec::Vec;

fn class(line: &str) -> (&'static str, &'static str, bool, &'static str) {
    let error = ServerError::parse(line.as_bytes());
    let class = error.class();
    (error.kind().name(), class.executed.name(), class.refresh, class.retry.name())
}

#[test]
fn classes_of_lines_seen_on_servers() {
    for (line, want) in [
        ("MOVED 3999 127.0.0.1:6381", ("moved", "no", true, "redirect")),
        ("MOVED 3999 :6381", ("moved", "no", true, "redirect")),
        ("MOVED 3999 ?:6381", ("moved", "no", true, "delay")),
        ("ASK 3999 host-0.example.com:7400", ("ask", "no", false, "redirect")),
        ("ASK 3999 ?:7400", ("ask", "no", true, "delay")),
        ("TRYAGAIN Multiple keys request during rehashing of slot", ("try_again", "no", false, "delay")),
        ("TRYAGAIN Slot is being trimmed", ("try_again", "no", false, "delay")),
        ("CLUSTERDOWN The cluster is down", ("cluster_down", "no", true, "delay")),
        ("CLUSTERDOWN Hash slot not served", ("cluster_down", "no", true, "delay")),
        ("CROSSSLOT Keys in request don't hash to the same slot", ("cross_slot", "no", false, "never")),
        ("READONLY You can't write against a read only replica.", ("read_only", "no", true, "other_node")),
        (
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            ("master_down", "no", true, "other_node"),
        ),
        ("LOADING Redis is loading the dataset in memory", ("loading", "no", false, "delay")),
        ("OOM command not allowed when used memory > 'maxmemory'.", ("out_of_memory", "no", false, "never")),
        ("UNBLOCKED client unblocked via CLIENT UNBLOCK", ("unblocked", "no", false, "never")),
        (
            "UNBLOCKED force unblock from blocking operation, instance state changed (master -> slave?)",
            ("unblocked", "no", true, "delay"),
        ),
        ("EXECABORT Transaction discarded because of previous errors.", ("exec_abort", "no", false, "never")),
        (
            "EXECABORT Transaction discarded because of: CLUSTERDOWN The cluster is down",
            ("exec_abort", "no", true, "delay"),
        ),
        ("EXECABORT Transaction discarded because of: MOVED 1 h:1", ("exec_abort", "no", false, "never")),
        ("WRONGTYPE Operation against a key holding the wrong kind of value", ("wrong_type", "no", false, "never")),
        ("ERR unknown command 'HELLO'", ("unknown_command", "no", false, "never")),
        (
            "ERR Unknown subcommand or wrong number of arguments for 'SETINFO'.",
            ("unknown_command", "no", false, "never"),
        ),
        ("ERR This instance has cluster support disabled", ("cluster_disabled", "no", false, "never")),
        ("ERR max number of clients reached", ("max_clients", "no", false, "delay")),
        ("ERR Protocol error: invalid bulk length", ("protocol", "unknown", false, "never")),
        ("ERR value is not an integer or out of range", ("generic", "unknown", false, "never")),
        ("REDIRECT 127.0.0.1:6380", ("redirect", "no", true, "redirect")),
        ("IOERR error or timeout reading to target instance", ("io_error", "unknown", false, "never")),
        ("ERR", ("generic", "unknown", false, "never")),
        ("MYOWN code", ("other", "unknown", false, "never")),
        ("noprefix", ("other", "unknown", false, "never")),
        ("", ("other", "unknown", false, "never")),
        ("moved 1 h:1", ("other", "unknown", false, "never")),
    ] {
        assert_eq!(class(line), want, "{line}");
    }
}

#[test]
fn a_script_is_never_a_proof() {
    for line in [
        "READONLY You can't write against a read only replica. script: 1a9bd7ce, on @user_script:1.",
        "OOM command not allowed when used memory > 'maxmemory'. script: myfunc, on @user_function:3.",
        "ERR Script attempted to access a non local key in a cluster node script: 0c5f, on @user_script:1.",
        "ERR Error running script (call to f_82c3): @user_script:1: WRONGTYPE Operation",
    ] {
        let error = ServerError::parse(line.as_bytes());
        assert!(error.from_script(), "{line}");
        assert_eq!((error.class().executed, error.class().retry), (Executed::Partly, RetryWhere::Never), "{line}");
    }
    // The refresh a demoted primary calls for stays.
    assert!(ServerError::parse(b"READONLY no writes here script: a, on @user_script:1.").class().refresh);

    for kind_line in
        ["MOVED 1 h:1", "ASK 1 h:1", "CLUSTERDOWN x", "TRYAGAIN x", "LOADING x", "NOSCRIPT x", "WRONGTYPE x"]
    {
        let error = ServerError::parse(kind_line.as_bytes());
        assert!(!error.from_script());
        assert_eq!(error.class_for(false), error.class());
        let weak = error.class_for(true);
        assert_eq!(weak.executed, Executed::Unknown, "{kind_line}");
        let redirect = error.redirect().is_some();
        assert_eq!(weak.retry, if redirect { RetryWhere::Redirect } else { RetryWhere::Never }, "{kind_line}");
    }
}

#[test]
fn redirects_well_formed() {
    let addr = |line| match ServerError::parse(line).redirect() {
        Some(redirect) => match redirect.target() {
            RedirectTarget::Addr(addr) => (redirect.slot().get(), addr.host(), addr.port(), redirect.is_ask()),
            other => panic!("{other:?}"),
        },
        None => panic!("{line:?}"),
    };
    assert_eq!(addr(b"MOVED 3999 127.0.0.1:6381"), (3999, "127.0.0.1", 6381, false));
    assert_eq!(addr(b"ASK 0 host-0.example.com:1"), (0, "host-0.example.com", 1, true));
    assert_eq!(addr(b"MOVED 449 ::1:7400"), (449, "::1", 7400, false));
    assert_eq!(addr(b"MOVED 449 fe80::1%eth0:7400"), (449, "fe80::1%eth0", 7400, false));
    assert_eq!(addr(b"MOVED 449 ::ffff:10.0.0.1:65535"), (449, "::ffff:10.0.0.1", 65535, false));
    assert_eq!(
        ServerError::parse(b"MOVED 16383 :7400").redirect(),
        Some(Redirect::Moved { slot: Slot::new(16383).unwrap(), target: RedirectTarget::SameHost { port: 7400 } })
    );
    assert_eq!(
        ServerError::parse(b"ASK 7 ?:7402").redirect(),
        Some(Redirect::Ask { slot: Slot::new(7).unwrap(), target: RedirectTarget::Unknown })
    );
}

#[test]
fn redirects_malformed() {
    use RedirectError::{BadEndpoint, BadSlot, NoEndpoint, Trailing};
    for (rest, why) in [
        ("", BadSlot),
        (" ", BadSlot),
        (" 16384 h:1", BadSlot),
        (" 65536 h:1", BadSlot),
        (" 99999999999999999999 h:1", BadSlot),
        (" 01 h:1", BadSlot),
        (" +1 h:1", BadSlot),
        (" -1 h:1", BadSlot),
        (" 1x h:1", BadSlot),
        ("  1 h:1", BadSlot),
        (" h:1", BadSlot),
        (" 1", NoEndpoint),
        (" 1 ", NoEndpoint),
        (" 1  h:1", Trailing),
        (" 1 h:1 ", Trailing),
        (" 1 h:1 x", Trailing),
        (" 1 h:1 script: a, on b.", Trailing),
        (" 1 h", BadEndpoint(AddrError::NoPort)),
        (" 1 h:", BadEndpoint(AddrError::BadPort)),
        (" 1 h:0", BadEndpoint(AddrError::BadPort)),
        (" 1 h:65536", BadEndpoint(AddrError::BadPort)),
        (" 1 h:01", BadEndpoint(AddrError::BadPort)),
        (" 1 ?:0", BadEndpoint(AddrError::BadPort)),
        (" 1 :", BadEndpoint(AddrError::BadPort)),
        (" 1 u@h:1", BadEndpoint(AddrError::BadHost)),
        (" 1 u:p@h:1", BadEndpoint(AddrError::BadHost)),
        (" 1 redis://h:1", BadEndpoint(AddrError::BadHost)),
        (" 1 h/x:1", BadEndpoint(AddrError::BadHost)),
        (" 1 h:1/x", BadEndpoint(AddrError::BadPort)),
        (" 1 [::1]:1", BadEndpoint(AddrError::BadHost)),
        (" 1 ::1", BadEndpoint(AddrError::BadHost)),
        (" 1 a:b:1", BadEndpoint(AddrError::BadHost)),
        (" 1 h\u{e4}:1", BadEndpoint(AddrError::BadHost)),
    ] {
        for code in ["MOVED", "ASK"] {
            let line = format!("{code}{rest}");
            let error = ServerError::parse(line.as_bytes());
            assert_eq!(error.redirect(), None, "{line}");
            assert_eq!(error.redirect_error(), Some(why), "{line}");
            assert_eq!(error.kind() == ErrorKind::Ask, code == "ASK");
            assert_eq!(error.class().retry, RetryWhere::Never, "{line}");
            assert!(error.class().refresh, "{line}");
        }
    }
    assert_eq!(ServerError::parse(b"MOVED 1 h:1").redirect_error(), None);
    assert_eq!(ServerError::parse(b"ERR x").redirect_error(), None);
}

#[test]
fn inner_error_of_an_aborted_transaction() {
    let error = ServerError::parse(b"EXECABORT Transaction discarded because of: OOM command not allowed when used");
    assert_eq!(error.inner().map(|inner| inner.kind()), Some(ErrorKind::OutOfMemory));
    assert_eq!(ServerError::parse(b"EXECABORT Transaction discarded because of previous errors.").inner(), None);
    assert_eq!(ServerError::parse(b"ERR because of: OOM x").inner(), None);
    let nested = "EXECABORT because of: ".repeat(10_000);
    assert_eq!(ServerError::parse(nested.as_bytes()).inner(), None);
}

#[test]
fn names_are_distinct_and_snake_case() {
    let mut names: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.name()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), ErrorKind::ALL.len());
}

#[test]
fn parts_of_the_line() {
    let error = ServerError::parse(b"ERR bad\xff");
    assert_eq!((error.code(), error.text()), (&b"ERR"[..], &b"ERR bad\xff"[..]));
    assert_eq!(error.to_string(), "ERR bad\\xff");
    assert_eq!(ServerError::parse(b"REDIRECT h:1").redirect(), None);
    assert!(matches!(ServerError::parse(b"REDIRECT h:1").target(), Some(RedirectTarget::Addr(_))));
}

#[test]
fn every_code_has_its_kind() {
    for (code, kind) in [
        ("BUSY", "busy"),
        ("NOREPLICAS", "no_replicas"),
        ("MISCONF", "misconf"),
        ("NOSCRIPT", "no_script"),
        ("NOAUTH", "no_auth"),
        ("WRONGPASS", "wrong_pass"),
        ("NOPERM", "no_perm"),
        ("NOPROTO", "no_proto"),
        ("DENIED", "denied"),
        ("-DENIED", "denied"),
        ("NOGROUP", "no_group"),
        ("BUSYGROUP", "busy_group"),
        ("BUSYKEY", "busy_key"),
        ("NOSUB", "no_sub"),
        ("IOERR", "io_error"),
    ] {
        for line in [format!("{code} and words behind it"), code.to_string()] {
            assert_eq!(ServerError::parse(line.as_bytes()).kind().name(), kind, "{line}");
        }
    }
}

#[test]
fn malformed_redirects_say_why() {
    for (line, name, words) in [
        ("MOVED", "bad_slot", "slot is not a number"),
        ("MOVED 16384 h:1", "bad_slot", "slot is not a number"),
        ("ASK 1", "no_endpoint", "names no endpoint"),
        ("ASK 1 h:1 more", "trailing_words", "words follow"),
        ("MOVED 1 h", "bad_port", "is not host:port"),
        ("MOVED 1 h:0", "bad_port", "is not host:port"),
        ("MOVED 1 a:b:80", "bad_host", "is not host:port"),
        ("MOVED 1 x:y:z:80", "bad_host", "is not host:port"),
        ("MOVED 1 fe80::g%eth0:80", "bad_host", "is not host:port"),
        ("REDIRECT user@h:1", "bad_host", "is not host:port"),
        ("REDIRECT", "no_endpoint", "names no endpoint"),
    ] {
        let error = ServerError::parse(line.as_bytes());
        let why = error.redirect_error().expect(line);
        assert_eq!(why.name(), name, "{line}");
        assert!(why.to_string().contains(words), "{line}: {why}");
        assert_eq!(error.redirect(), None, "{line}");
        assert_eq!(error.class().retry, RetryWhere::Never, "{line}");
    }
    for good in ["MOVED 1 h:1", "ASK 1 :1", "REDIRECT h:1", "READONLY x"] {
        assert_eq!(ServerError::parse(good.as_bytes()).redirect_error(), None, "{good}");
    }
}

#[test]
fn zones_of_addresses_are_no_part_of_the_address() {
    let error = ServerError::parse(b"MOVED 1 fe80::1%eth0:6379");
    assert!(matches!(error.target(), Some(RedirectTarget::Addr(addr)) if addr.host() == "fe80::1%eth0"));
    assert_eq!(ServerError::parse(b"MOVED 1 fe80:1%eth0:6379").target(), None);
}

use super::slotwise as run_slotwise;

/// Command line, expected JSON, exit code.
const ROUTES: &[(&[&str], &str, i32)] = &[
    (
        &["GET", "foo"],
        r#"{"command":"GET","keys":["foo"],"slot":12182,"route":"slot","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["set", "foo", "--json-like", "EX", "-1"],
        r#"{"command":"SET","keys":["foo"],"slot":12182,"route":"slot","readonly":false,"error":null}"#,
        0,
    ),
    (
        &["MGET", "a", "foo", "a"],
        r#"{"command":"MGET","keys":["a","foo","a"],"slot":null,"route":"split","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["MGET", "{foo}1", "{foo}2"],
        r#"{"command":"MGET","keys":["{foo}1","{foo}2"],"slot":12182,"route":"slot","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["ZRANGEBYSCORE", "foo", "-inf", "+inf"],
        r#"{"command":"ZRANGEBYSCORE","keys":["foo"],"slot":12182,"route":"slot","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["EVAL", "return 1", "2", "{foo}a", "{foo}b", "c"],
        r#"{"command":"EVAL","keys":["{foo}a","{foo}b"],"slot":12182,"route":"slot","readonly":false,"error":null}"#,
        0,
    ),
    (
        &["XREAD", "COUNT", "5", "STREAMS", "{foo}a", "{foo}b", "0", "0"],
        r#"{"command":"XREAD","keys":["{foo}a","{foo}b"],"slot":12182,"route":"slot","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["DBSIZE"],
        r#"{"command":"DBSIZE","keys":[],"slot":null,"route":"all_primaries","readonly":true,"error":null}"#,
        0,
    ),
    (
        &["WAIT", "1", "0"],
        r#"{"command":"WAIT","keys":[],"slot":null,"route":"connection","readonly":false,"error":null}"#,
        0,
    ),
    (
        &["SUNSUBSCRIBE"],
        r#"{"command":"SUNSUBSCRIBE","keys":[],"slot":null,"route":"connection","readonly":false,"error":null}"#,
        0,
    ),
    (
        &["SPUBLISH", "foo", "message"],
        r#"{"command":"SPUBLISH","keys":["foo"],"slot":12182,"route":"slot","readonly":false,"error":null}"#,
        0,
    ),
    (
        &["SINTER", "a", "foo"],
        r#"{"command":"SINTER","keys":["a","foo"],"slot":null,"route":null,"readonly":true,"error":"cross_slot"}"#,
        1,
    ),
    (
        &["no-such", "a"],
        r#"{"command":"NO-SUCH","keys":[],"slot":null,"route":null,"readonly":false,"error":"unknown_command"}"#,
        1,
    ),
    (&["GET"], r#"{"command":"GET","keys":[],"slot":null,"route":null,"readonly":true,"error":"arity"}"#, 1),
];

#[test]
fn json() {
    for (words, expected, code) in ROUTES {
        let run = run_slotwise(&[&["route", "--json"], *words].concat(), b"");
        assert_eq!((run.text(), run.code), (format!("{expected}\n").as_str(), *code), "{words:?}");
        assert_eq!(run.err.is_empty(), *code == 0, "{words:?}: {}", run.err);
        // The flag may stand last, too.
        let last = run_slotwise(&[&["route"], *words, &["--json"]].concat(), b"");
        assert_eq!(last.text(), run.text(), "{words:?}");
    }
    // A fence before the command makes the last word the command's; one inside the command is the command's own.
    assert!(run_slotwise(&["route", "GET", "--", "--json"], b"").text().contains(r#""keys":["--"]"#));
    let run = run_slotwise(&["route", "--", "SET", "foo", "--json"], b"");
    assert!(run.text().starts_with("command  SET\n"), "{}", run.text());
    assert_eq!(run.code, 0);
}

#[cfg(unix)]
#[test]
fn keys_are_bytes() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let args = [&b"route"[..], b"--json", b"GET", b"\xff\"\\\r"].map(OsStr::from_bytes);
    let run = run_slotwise(&args, b"");
    assert!(run.text().contains(r#""keys":["\\xff\"\\\\\\r"]"#), "{}", run.text());
}

#[test]
fn text() {
    let run = run_slotwise(&["route", "MGET", "a", "foo"], b"");
    let expected = "command  MGET
keys     a (slot 15495)
         foo (slot 12182)
route    split: one command for each slot
access   read-only: a replica may serve it
answers  default: the elements in the order of the keys
";
    assert_eq!((run.text(), run.code), (expected, 0));
    let run = run_slotwise(&["route", "SINTER", "a", "foo"], b"");
    assert_eq!(run.code, 1);
    assert!(run.err.contains("SINTER") && run.err.contains("slot"), "{}", run.err);
    assert_eq!(run_slotwise(&["route"], b"").code, 2);
}

use std::ffi::OsStr;

use super::slotwise as run_slotwise;

/// Slots that servers gave (`CLUSTER KEYSLOT`, Valkey 9.1 and Redis 8.6).
const SEEN: &[(&[u8], u16)] = &[
    (b"", 0),
    (b"a", 15495),
    (b"foo", 12182),
    (b"123456789", 12739),
    (b"{}", 15257),
    (b"{}foo", 9500),
    (b"foo{}{bar}", 8363),
    (b"{foo}bar", 12182),
    (b"foo{{bar}}zap", 4015),
    (b"foo{bar}{zap}", 5061),
    (b"{ }", 9314),
    (b"\xff\xff", 7439),
    (b"user:{\xc3\xa9}:1", 10180),
    (b"{user1000}.following", 3443),
];

fn expected(end: &[u8]) -> Vec<u8> {
    SEEN.iter().flat_map(|(key, slot)| [slot.to_string().as_bytes(), b"\t", key, b"\n", end].concat()).collect()
}

#[test]
fn keys_from_arguments_and_from_standard_input() {
    let lines: Vec<u8> = SEEN.iter().flat_map(|(key, _)| [key, &b"\n"[..]].concat()).collect();
    let run = run_slotwise(&["slot"], &lines);
    assert_eq!((run.code, run.out), (0, expected(b"")));

    let zeros: Vec<u8> = SEEN.iter().flat_map(|(key, _)| [key, &b"\0"[..]].concat()).collect();
    let run = run_slotwise(&["slot", "--null"], &zeros);
    assert_eq!((run.code, run.out), (0, expected(b"")));

    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let args: Vec<&OsStr> =
            [&b"slot"[..]].into_iter().chain(SEEN.iter().map(|(key, _)| *key)).map(OsStr::from_bytes).collect();
        let run = run_slotwise(&args, b"");
        assert_eq!((run.code, run.out), (0, expected(b"")));
    }
    assert_eq!(run_slotwise(&["slot", "--", "-x"], b"").text(), "3877\t-x\n");
    assert_eq!(run_slotwise(&["slot", "-"], b"unread").lines().len(), 1, "a dash is a key here");
}

#[test]
fn lines_are_bytes() {
    // CR belongs to the key, a last line needs no line feed, and the end of the input is not a key.
    assert_eq!(run_slotwise(&["slot"], b"foo\r\n\nfoo").text(), "936\tfoo\r\n0\t\n12182\tfoo\n");
    assert_eq!(run_slotwise(&["slot"], b"").text(), "");
    assert_eq!(run_slotwise(&["slot", "-0"], b"\r\n").text(), "5910\t\r\n\n");
    let long = [vec![b'a'; 200_000], b"\nfoo\n".to_vec()].concat();
    let run = run_slotwise(&["slot"], &long);
    assert_eq!(run.out, [b"8679\t", &long[..200_001], b"12182\tfoo\n"].concat());
}

#[test]
fn json_lines() {
    let run = run_slotwise(&["slot", "--json"], b"foo\n\xff\"\\\r\n\n");
    assert_eq!(
        run.lines(),
        [
            r#"{"slot":12182,"key":"foo"}"#,
            &format!(r#"{{"slot":{},"key":"\\xff\"\\\\\\r"}}"#, slotwise::slot::Slot::of_key(b"\xff\"\\\r").get()),
            r#"{"slot":0,"key":""}"#
        ]
    );
}

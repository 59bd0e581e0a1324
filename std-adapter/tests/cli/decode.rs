use serde_json::Value;

use super::slotwise as run_slotwise;

mod random;

/// Runs `slotwise decode --json FLAGS...` on the bytes.
fn decode(flags: &[&str], input: &[u8]) -> super::Run {
    let run = run_slotwise(&[&["decode", "--json"], flags].concat(), input);
    assert_eq!(run.err, "");
    run
}

fn end(end: &str, consumed: usize, kind: Option<&str>) -> String {
    let kind = kind.map_or("null".to_owned(), |kind| format!("\"{kind}\""));
    format!(r#"{{"end":"{end}","consumed":{consumed},"kind":{kind}}}"#)
}

/// Input, and the lines before the last one.
const COMPLETE: &[(&[u8], &[&str])] = &[
    (b"", &[]),
    (b"+OK\r\n", &[r#"{"simple":"OK"}"#]),
    (b"+\r\n", &[r#"{"simple":""}"#]),
    (b"-ERR no\r\n", &[r#"{"err":"ERR no"}"#]),
    (b"-\r\n", &[r#"{"err":""}"#]),
    (
        b":0\r\n:-1\r\n:9223372036854775807\r\n:-9223372036854775808\r\n",
        &[
            r#"{"int":0}"#,
            r#"{"int":-1}"#,
            r#"{"int":9223372036854775807}"#,
            r#"{"int":-9223372036854775808}"#,
        ],
    ),
    (b"$3\r\nfoo\r\n$0\r\n\r\n", &[r#"{"bulk":"foo"}"#, r#"{"bulk":""}"#]),
    (b"$10\r\na\r\n\\\"\x00\x7f\xff\t~\r\n", &[r#"{"bulk":"a\\r\\n\\\\\"\\x00\\x7f\\xff\\x09~"}"#]),
    (b"$-1\r\n*-1\r\n_\r\n", &[r#"{"null":"bulk"}"#, r#"{"null":"array"}"#, r#"{"null":"resp3"}"#]),
    (b"*0\r\n%0\r\n~0\r\n", &[r#"{"array":[]}"#, r#"{"map":[]}"#, r#"{"set":[]}"#]),
    (
        b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n_\r\n",
        &[r#"{"array":[{"int":1},{"array":[{"bulk":"a"},{"array":[]}]},{"null":"resp3"}]}"#],
    ),
    (b"%2\r\n+a\r\n:1\r\n+a\r\n*0\r\n", &[r#"{"map":[[{"simple":"a"},{"int":1}],[{"simple":"a"},{"array":[]}]]}"#]),
    (b"~2\r\n#t\r\n#f\r\n", &[r#"{"set":[{"bool":true},{"bool":false}]}"#]),
    (b">2\r\n$1\r\na\r\n:1\r\n", &[r#"{"push":[{"bulk":"a"},{"int":1}]}"#]),
    (
        b",1.5\r\n,inf\r\n,-inf\r\n,nan\r\n,-0\r\n,1e+300\r\n",
        &[
            r#"{"double":"1.5"}"#,
            r#"{"double":"inf"}"#,
            r#"{"double":"-inf"}"#,
            r#"{"double":"nan"}"#,
            r#"{"double":"-0"}"#,
            r#"{"double":"1e+300"}"#,
        ],
    ),
    (
        b"(-3492890328409238509324850943850943825024385\r\n(12  abc\r\n",
        &[r#"{"bignum":"-3492890328409238509324850943850943825024385"}"#, r#"{"bignum":"12  abc"}"#],
    ),
    (b"=9\r\nt  :hello\r\n", &[r#"{"verbatim":["t  ","hello"]}"#]),
    (b"!7\r\nSYNTAX!\r\n", &[r#"{"blob_err":"SYNTAX!"}"#]),
    // An attribute belongs to the value after it, wherever that is; several nest.
    (b"|1\r\n+k\r\n:1\r\n+OK\r\n", &[r#"{"attr":[[{"simple":"k"},{"int":1}]],"value":{"simple":"OK"}}"#]),
    (b"|0\r\n|0\r\n:1\r\n", &[r#"{"attr":[],"value":{"attr":[],"value":{"int":1}}}"#]),
    (
        b"*2\r\n|1\r\n+k\r\n*1\r\n_\r\n:1\r\n:2\r\n",
        &[
            r#"{"array":[{"attr":[[{"simple":"k"},{"array":[{"null":"resp3"}]}]],"value":{"int":1}},{"int":2}]}"#,
        ],
    ),
    (
        b"%1\r\n|1\r\n+a\r\n+b\r\n+k\r\n|1\r\n+c\r\n+d\r\n*1\r\n:1\r\n",
        &[concat!(
            r#"{"map":[[{"attr":[[{"simple":"a"},{"simple":"b"}]],"value":{"simple":"k"}},"#,
            r#"{"attr":[[{"simple":"c"},{"simple":"d"}]],"value":{"array":[{"int":1}]}}]]}"#
        )],
    ),
    // Redis 6.0: pushes in the middle of an EXEC reply, not counted by it.
    (
        b"*3\r\n$1\r\n1\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n_\r\n:7\r\n",
        &[
            r#"{"push":[{"bulk":"invalidate"},{"array":[{"bulk":"a"}]}]}"#,
            r#"{"push":[{"bulk":"invalidate"},{"null":"resp3"}]}"#,
            r#"{"array":[{"bulk":"1"},{"simple":"OK"},{"null":"resp3"}]}"#,
            r#"{"int":7}"#,
        ],
    ),
    (
        b"*2\r\n%1\r\n+k\r\n>1\r\n:9\r\n+v\r\n:2\r\n",
        &[r#"{"push":[{"int":9}]}"#, r#"{"array":[{"map":[[{"simple":"k"},{"simple":"v"}]]},{"int":2}]}"#],
    ),
    // Streamed types stand for plain ones.
    (b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n", &[r#"{"bulk":"Hello"}"#]),
    (b"$?\r\n;0\r\n", &[r#"{"bulk":""}"#]),
    (b"*?\r\n:1\r\n*1\r\n:2\r\n.\r\n", &[r#"{"array":[{"int":1},{"array":[{"int":2}]}]}"#]),
    (b"%?\r\n+a\r\n:1\r\n.\r\n~?\r\n.\r\n", &[r#"{"map":[[{"simple":"a"},{"int":1}]]}"#, r#"{"set":[]}"#]),
    (b"*1\r\n$?\r\n;2\r\n\r\n\r\n;0\r\n", &[r#"{"array":[{"bulk":"\\r\\n"}]}"#]),
];

#[test]
fn complete_streams() {
    for (input, lines) in COMPLETE {
        let run = decode(&[], input);
        let end = end("complete", input.len(), None);
        let expected: Vec<&str> = lines.iter().copied().chain([end.as_str()]).collect();
        assert_eq!((run.lines(), run.code), (expected, 0), "{}", input.escape_ascii());
    }
}

#[test]
fn all_in_one_stream_cut_anywhere() {
    let input: Vec<u8> = COMPLETE.iter().flat_map(|(input, _)| input.to_vec()).collect();
    let whole = decode(&[], &input).out;
    let lines = COMPLETE.iter().map(|(_, lines)| lines.len()).sum::<usize>() + 1;
    assert_eq!(whole.iter().filter(|b| **b == b'\n').count(), lines);
    let text = run_slotwise(&["decode"], &input).out;
    for chunk in (1..64).chain([100, 1000, input.len() - 1, input.len(), input.len() + 1]) {
        let chunk = chunk.to_string();
        assert_eq!(decode(&["--chunk", &chunk], &input).out, whole, "--chunk {chunk}");
        assert_eq!(run_slotwise(&["decode", "--chunk", &chunk], &input).out, text, "text, --chunk {chunk}");
    }
}

#[test]
fn every_chunk_size_of_every_stream() {
    for (input, _) in COMPLETE {
        let whole = decode(&[], input).out;
        for chunk in 1..input.len() {
            assert_eq!(decode(&["--chunk", &chunk.to_string()], input).out, whole, "{}", input.escape_ascii());
        }
    }
}

#[test]
fn every_prefix_is_incomplete_or_complete() {
    let input = b"+OK\r\n*2\r\n>1\r\n:1\r\n:1\r\n$3\r\nfoo\r\n|1\r\n+a\r\n+b\r\n#t\r\n:12\r\n";
    let boundaries = [0, 5, 30, 46, 51];
    for cut in 0..input.len() {
        let run = decode(&["--chunk", "3"], &input[..cut]);
        let last = run.lines().last().copied().map(str::to_owned);
        let consumed = boundaries.iter().copied().filter(|b| *b <= cut).max().unwrap_or(0);
        let (word, code) = if consumed == cut { ("complete", 0) } else { ("incomplete", 4) };
        assert_eq!((last, run.code), (Some(end(word, consumed, None)), code), "{cut}");
    }
}

#[test]
fn errors_end_the_stream_behind_good_replies() {
    for (input, flags, lines, consumed) in [
        (&b"+OK\r\n?\r\n"[..], &[][..], &[r#"{"simple":"OK"}"#][..], 5),
        (b"HTTP/1.1 200 OK\r\n", &[], &[], 0),
        (b":1\r\n:01\r\n:2\r\n", &[], &[r#"{"int":1}"#], 4),
        (b":+1\r\n", &[], &[], 0),
        (b":9223372036854775808\r\n", &[], &[], 0),
        (b"$3\r\nfooXX", &[], &[], 0),
        (b"+a\nb\r\n", &[], &[], 0),
        (b"+a\rb\r\n", &[], &[], 0),
        (b"$-2\r\n", &[], &[], 0),
        (b"$03\r\nfoo\r\n", &[], &[], 0),
        (b"#x\r\n", &[], &[], 0),
        (b"_x\r\n", &[], &[], 0),
        (b",1.5x\r\n", &[], &[], 0),
        (b"*2\r\n:1\r\n>1\r\n>1\r\n:1\r\n:2\r\n", &[], &[], 0),
        (b">-1\r\n", &[], &[], 0),
        (b"*2\r\n:1\r\n%-1\r\n", &[], &[], 0),
        (b"=2\r\nab\r\n", &[], &[], 0),
        (b"*99999999999999999999\r\n", &[], &[], 0),
        (b"$4\r\nfour\r\n$5\r\nfives\r\n", &["--max-bulk", "4"], &[r#"{"bulk":"four"}"#], 10),
        (b"+four\r\n-fives\r\n", &["--max-line", "4"], &[r#"{"simple":"four"}"#], 7),
        (b"*2\r\n:1\r\n:2\r\n*3\r\n", &["--max-elements", "2"], &[r#"{"array":[{"int":1},{"int":2}]}"#], 12),
    ] {
        let run = decode(flags, input);
        let mut seen = run.lines();
        let last: Value = serde_json::from_str(seen.pop().expect("a last line")).expect("JSON");
        let case = input.escape_ascii().to_string();
        assert_eq!((seen, run.code), (lines.to_vec(), 1), "{case}");
        assert_eq!((&last["end"], &last["consumed"]), (&"error".into(), &consumed.into()), "{case}");
        assert!(last["kind"].as_str().is_some_and(|kind| !kind.is_empty()), "{case}: {last}");
        for chunk in 1..input.len() {
            let cut = decode(&[flags, &["--chunk", &chunk.to_string()]].concat(), input);
            assert_eq!(cut.text(), run.text(), "{case} --chunk {chunk}");
        }
    }
}

#[test]
fn only_too_deep() {
    let input = b"*1\r\n*1\r\n*2\r\n:1\r\n:2\r\n*1\r\n*1\r\n:3\r\n+OK\r\n";
    let ok = [r#"{"array":[{"array":[{"int":3}]}]}"#, r#"{"simple":"OK"}"#];
    let last = end("complete", input.len(), None);
    for chunk in ["1", "5", "100"] {
        let run = decode(&["--max-depth", "2", "--chunk", chunk], input);
        assert_eq!((run.lines(), run.code), (vec![r#"{"too_deep":true}"#, ok[0], ok[1], &last], 0));
    }
    let run = decode(&["--max-depth", "1"], input);
    assert_eq!(run.lines(), [r#"{"too_deep":true}"#, r#"{"too_deep":true}"#, ok[1], &last]);

    // A script may return thousands of levels; the default shows 128.
    for (levels, line) in [(128, true), (129, false), (7_000, false)] {
        let input = [b"*1\r\n".repeat(levels), b":1\r\n".to_vec()].concat();
        let run = decode(&[], &input);
        let expected = format!("{}{{\"int\":1}}{}", "{\"array\":[".repeat(levels), "]}".repeat(levels));
        assert_eq!(run.lines()[0], if line { &expected } else { r#"{"too_deep":true}"# }, "{levels}");
        assert_eq!(decode(&["--max-depth", "65535"], &input).lines()[0], expected, "{levels}");
    }
}

#[test]
fn explained_errors() {
    let class = |line: &str| {
        let run = decode(&["--explain"], format!("-{line}\r\n").as_bytes());
        let value: Value = serde_json::from_str(run.lines()[0]).expect("JSON");
        assert_eq!(value["err"], *line);
        value["class"].to_string()
    };
    assert_eq!(
        class("MOVED 3999 127.0.0.1:6381"),
        r#"{"kind":"moved","executed":"no","refresh":true,"retry":"redirect","slot":3999,"host":"127.0.0.1","port":6381}"#
    );
    assert_eq!(
        class("ASK 1 ::1:7400"),
        r#"{"kind":"ask","executed":"no","refresh":false,"retry":"redirect","slot":1,"host":"::1","port":7400}"#
    );
    assert_eq!(
        class("MOVED 0 :7400"),
        r#"{"kind":"moved","executed":"no","refresh":true,"retry":"redirect","slot":0,"host":"","port":7400}"#
    );
    assert_eq!(
        class("MOVED 0 ?:7402"),
        r#"{"kind":"moved","executed":"no","refresh":true,"retry":"delay","slot":0,"host":"?","port":7402}"#
    );
    assert_eq!(
        class("TRYAGAIN Multiple keys request during rehashing of slot"),
        r#"{"kind":"try_again","executed":"no","refresh":false,"retry":"delay","slot":null,"host":null,"port":null}"#
    );
    for malformed in ["MOVED 16384 h:1", "MOVED 1 h:0", "MOVED 1 h", "MOVED", "ASK 1 u@h:1", "MOVED 01 h:1"] {
        let class: Value = serde_json::from_str(&class(malformed)).expect("JSON");
        assert_eq!((&class["retry"], &class["slot"], &class["host"]), (&"never".into(), &Value::Null, &Value::Null));
    }
    // Only a reply that is an error has a class: not an element, and not a reply of another type.
    let run =
        decode(&["--explain"], b"*1\r\n-MOVED 1 h:1\r\n+MOVED 1 h:1\r\n|0\r\n-MOVED 1 h:1\r\n!11\r\nMOVED 1 h:1\r\n");
    let classes: Vec<bool> = run.lines().iter().map(|line| line.contains("class")).collect();
    assert_eq!(classes, [false, false, true, true, false]);
    assert!(!decode(&[], b"-MOVED 1 h:1\r\n").text().contains("class"));
}

#[test]
fn text_form() {
    let input = b"*3\r\n$3\r\nfoo\r\n>1\r\n+m\r\n:42\r\n%1\r\n+k\r\n,1.5\r\n-MOVED 1 h:2\r\n$-1\r\n:";
    let run = run_slotwise(&["decode", "--explain"], input);
    assert_eq!(run.code, 4);
    let expected = "        13  push of 1 element
        17  1) simple \"m\" (1 byte)
            (this push stood inside the next reply)
         0  array of 3 elements
         4  1) bulk \"foo\" (3 bytes)
        21  2) integer 42
        26  3) map of 1 pair
        30     1# simple \"k\" (1 byte)
        34     1= double 1.5
        40  error \"MOVED 1 h:2\" (11 bytes)
            moved: the command did not run, the slot map is out of date; go to h:2
        54  null (bulk)
3 values (and 1 pushed inside them) in 59 bytes; the input ends inside the reply that begins at 59
";
    assert_eq!(run.text(), expected);
}

#[test]
fn text_form_of_an_error() {
    let run = run_slotwise(&["decode"], b":1\r\n*1\r\n:x\r\n");
    let last = "1 value in 4 bytes; the reply that begins at 4 is broken: malformed integer at byte 9 (bad_integer)";
    assert_eq!((run.lines(), run.code), (vec!["         0  integer 1", last], 1));
}

#[test]
fn input_from_a_file() {
    let path = std::env::temp_dir().join(format!("slotwise-decode-{}.resp", std::process::id()));
    std::fs::write(&path, b"+from a file\r\n").expect("a temporary file");
    let name = path.to_str().expect("a plain path");
    assert_eq!(run_slotwise(&["decode", "--json", name], b":1\r\n").lines()[0], r#"{"simple":"from a file"}"#);
    assert_eq!(run_slotwise(&["decode", "--json", "-"], b":1\r\n").lines()[0], r#"{"int":1}"#);
    std::fs::remove_file(&path).expect("it is there");
    let run = run_slotwise(&["decode", name], b"");
    assert_eq!((run.code, run.text()), (3, ""));
    assert!(run.err.contains("cannot open"), "{}", run.err);
    for bad in [&["--chunk", "0"][..], &["--max-depth", "-1"], &["--max-bulk", "x"]] {
        assert_eq!(run_slotwise(&[&["decode"], bad].concat(), b"").code, 2, "{bad:?}");
    }
}

//! The verbs that talk to a cluster, against one in this process.

use slotwise_std::mini::MiniCluster;

use super::slotwise;

fn cluster() -> (MiniCluster, String) {
    let cluster = MiniCluster::start(3).expect("a mini cluster");
    let url = format!("redis://{}", cluster.seeds()[0]);
    (cluster, url)
}

#[test]
fn topology_of_a_running_cluster() {
    let (cluster, url) = cluster();
    let seeds = cluster.seeds();
    for flag in ["--json", "--resp2"] {
        let run = slotwise(&["topology", &url, "--json", flag][..if flag == "--json" { 3 } else { 4 }], b"");
        assert_eq!((run.code, run.err.as_str()), (0, ""));
        let told: serde_json::Value = serde_json::from_str(run.text()).expect("JSON");
        let primaries: Vec<&str> =
            told["ranges"].as_array().unwrap().iter().map(|range| range["primary"].as_str().unwrap()).collect();
        assert_eq!(primaries, seeds);
        assert_eq!(told["uncovered"], serde_json::json!([]));
        assert_eq!(told["nodes"].as_array().unwrap().len(), 3);
    }
    cluster.begin_move(42, 1).expect("slot 42 can move");
    let run = slotwise(&["topology", &url], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let lines = run.lines();
    assert_eq!(lines[0], "SHARD  SLOTS               PRIMARY          REPLICAS  HEALTH");
    assert!(seeds.iter().zip(&lines[1..]).all(|(seed, line)| line.contains(seed)), "{lines:?}");
    assert_eq!(lines[4], format!("slot 42 is moving from {} to {}", seeds[0], seeds[1]));
}

#[cfg(feature = "tls")]
#[test]
fn certificates_are_not_for_plain_connections() {
    let (_cluster, url) = cluster();
    let run = slotwise(&["topology", &url, "--cacert", "ca.pem"], b"");
    assert_eq!((run.code, run.text()), (2, ""));
    assert!(run.err.contains("rediss://"), "{}", run.err);
    let secure = url.replace("redis://", "rediss://");
    let run = slotwise(&["topology", &secure, "--cacert", "/no/such.pem"], b"");
    assert_eq!((run.code, run.text()), (2, ""));
    assert!(run.err.contains("/no/such.pem"), "{}", run.err);
    assert_eq!(slotwise(&["topology", &secure, "--cert", "c.pem"], b"").code, 2);
}

#[test]
fn no_cluster_is_no_connection() {
    // Bound and not listened on by anybody else: nothing answers there.
    let held = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = held.local_addr().expect("bound").port();
    drop(held);
    let url = format!("redis://:secret@127.0.0.1:{port}");
    for args in [&["topology", &url][..], &["publish", &url, "c", "m"]] {
        let run = slotwise(args, b"");
        assert_eq!((run.code, run.text()), (3, ""), "{args:?}: {}", run.err);
        assert!(run.err.starts_with("slotwise: no seed led to a cluster"), "{}", run.err);
        assert!(!run.err.contains("secret"));
    }
    for url in ["redis://host:port", "http://127.0.0.1"] {
        assert_eq!(slotwise(&["topology", url], b"").code, 2, "{url}");
    }
}

/// Ten thousand commands over all slots, and what they must answer.
fn many() -> (String, Vec<u8>, Vec<String>) {
    let (mut lines, mut resp, mut want) = (String::new(), Vec::new(), Vec::new());
    for n in 0..10_000 {
        let words = match n % 4 {
            0 => vec!["SET".to_owned(), format!("key {n}"), format!("value \"{n}\"")],
            1 => vec!["GET".to_owned(), format!("key {}", n - 1)],
            2 => vec!["MGET".to_owned(), format!("key {}", n - 2), format!("nothing {n}")],
            _ => vec!["EXISTS".to_owned(), format!("key {}", n - 3), format!("nothing {n}")],
        };
        want.push(match n % 4 {
            0 => r#"{"simple":"OK"}"#.to_owned(),
            1 => serde_json::json!({ "bulk": format!("value \"{}\"", n - 1) }).to_string(),
            2 => format!(
                r#"{{"array":[{},{{"null":"resp3"}}]}}"#,
                serde_json::json!({ "bulk": format!("value \"{}\"", n - 2) })
            ),
            _ => r#"{"int":1}"#.to_owned(),
        });
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\\x22"))).collect();
        lines.push_str(&quoted.join(" "));
        lines.push('\n');
        resp.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
        for word in &words {
            resp.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }
    (lines, resp, want)
}

#[test]
fn pipe_answers_in_order() {
    let (cluster, url) = cluster();
    let (lines, resp, want) = many();
    let run = slotwise(&["pipe", &url, "--json"], lines.as_bytes());
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.lines(), want);
    assert!(run.err.starts_with("slotwise: 10000 commands, 0 errors, 0 redirected"), "{}", run.err);
    assert!(cluster.seeds().iter().all(|seed| run.err.contains(seed)), "every node had its share: {}", run.err);
    assert_eq!(cluster.key_count(), 2_500);
    let raw = slotwise(&["pipe", &url, "--json", "--resp"], &resp);
    assert_eq!((raw.code, raw.lines()), (0, run.lines()));
    let quiet = slotwise(&["pipe", &url, "--quiet", "-"], lines.as_bytes());
    assert_eq!((quiet.code, quiet.text()), (0, ""));
}

#[test]
fn pipe_follows_slots_on_the_move() {
    let (cluster, url) = cluster();
    let (lines, _, want) = many();
    let runner = {
        let url = url.clone();
        std::thread::spawn(move || slotwise(&["pipe", &url, "--json"], lines.as_bytes()))
    };
    let mut moved = 0_u16;
    while !runner.is_finished() && moved < 16_000 {
        let slot = moved.wrapping_mul(7) % 16_384;
        let to = (cluster.owner(slot).expect("owned") + 1) % 3;
        cluster.move_slot(slot, to).expect("it can move");
        moved += 1;
    }
    let run = runner.join().expect("the run ends");
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.lines(), want);
    assert!(moved > 10, "only {moved} slots moved meanwhile");
}

#[test]
fn pipe_fails_lines_alone_and_blocks_whole() {
    let (_cluster, url) = cluster();
    let input = concat!(
        "# a comment, and an empty line\n",
        "\n",
        "SET {t}a 1\r\n",
        "GET \"open\n",
        "RENAME a b\n",
        "NOSUCH x\n",
        "LPUSH {t}a 1\n",
        "multi\n",
        "INCR {t}a\n",
        "LPUSH {t}l 'x\\'y' \"\\x41\\n\"\n",
        "exec\n",
        "MULTI\n",
        "INCR a\n",
        "INCR b\n",
        "EXEC\n",
        "MULTI\n",
        "INCR {t}a\n",
        "GET 'open\n",
        "EXEC\n",
        "MULTI\n",
        "INCR {t}a\n",
        "DISCARD\n",
        "GET {t}a\n",
        "LRANGE {t}l 0 -1",
    );
    let run = slotwise(&["pipe", &url], input.as_bytes());
    let want = [
        "OK",
        "(error) line 4: unbalanced quotes; nothing was sent (not_sent)",
        "(error) line 5: RENAME: keys are in several slots and the command cannot be split; nothing was sent (not_sent)",
        "(error) line 6: NOSUCH: unknown command or subcommand; nothing was sent (not_sent)",
        "(error) WRONGTYPE Operation against a key holding the wrong kind of value",
        "1) (integer) 2",
        "2) (integer) 2",
        "(error) line 12: MULTI: keys are in several slots and the command cannot be split; nothing was sent (not_sent)",
        "(error) line 16: the MULTI block cannot be sent: line 18: unbalanced quotes; nothing was sent (not_sent)",
        "\"2\"",
        "1) \"A\\n\"",
        "2) \"x'y\"",
    ];
    assert_eq!((run.code, run.lines()), (1, want.to_vec()), "{}", run.err);
    assert!(run.err.starts_with("slotwise: 10 commands, 6 errors"), "{}", run.err);

    let json = slotwise(&["pipe", &url, "--json"], b"RENAME a b\nLPUSH {t}a 1\n");
    let told: Vec<serde_json::Value> = json.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&told[0]["outcome"], &told[0]["line"]), (&"not_sent".into(), &1.into()));
    assert!(told[1]["err"].as_str().unwrap().starts_with("WRONGTYPE"), "{told:?}");

    for (input, flag) in [("MULTI\nINCR a\n", "-"), ("*2\r\n$4\r\nINCR\r\n$1\r\n", "--resp")] {
        let cut = slotwise(&["pipe", &url, flag], input.as_bytes());
        assert_eq!((cut.code, cut.text()), (4, ""), "{}", cut.err);
    }
}

#[test]
fn messages_come_through_a_slot_move() {
    for flags in [&[][..], &["--resp2"]] {
        let (cluster, url) = cluster();
        let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_slotwise"))
            .args(["subscribe", &url, "--sharded", "room", "--count", "2", "--timeout", "30"])
            .args(flags)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut told = std::io::BufReader::new(child.stderr.take().expect("piped"));
        let mut wait_for = |what: &str| {
            let mut line = String::new();
            while !line.contains(what) {
                line.clear();
                let read = std::io::BufRead::read_line(&mut told, &mut line).expect("text");
                assert_ne!(read, 0, "it ended before it said {what:?}");
            }
        };
        wait_for("subscribed to room");
        assert_eq!(slotwise(&["publish", &url, "--sharded", "room", "one"], b"").text(), "1\n");
        let slot = slotwise::slot::Slot::of_key(b"room").get();
        let to = (cluster.owner(slot).expect("owned") + 1) % 3;
        cluster.move_slot(slot, to).expect("it can move");
        wait_for("interrupted");
        wait_for("messages of the last");
        assert_eq!(slotwise(&["publish", &url, "--sharded", "room", "two\n"], b"").text(), "1\n");
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(output.status.code(), Some(0));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "room\tone\nroom\ttwo\\n\n");
    }
}

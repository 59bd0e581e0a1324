use std::sync::atomic::{AtomicU32, Ordering};

use super::slotwise as run_slotwise;

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn int(n: u32) -> String {
    format!(":{n}\r\n")
}

fn array(parts: &[String]) -> String {
    format!("*{}\r\n{}", parts.len(), parts.concat())
}

fn map(pairs: &[(&str, String)]) -> String {
    let parts: String = pairs.iter().map(|(key, value)| bulk(key) + value).collect();
    format!("%{}\r\n{parts}", pairs.len())
}

fn id(n: u32) -> String {
    format!("{n:040x}")
}

/// An entry of CLUSTER SLOTS as Redis 7 and later sends it.
fn node(host: &str, port: u32, n: u32) -> String {
    array(&[host.to_owned(), int(port), bulk(&id(n)), array(&[])])
}

fn slots_reply(first_end: u32) -> String {
    array(&[
        array(&[int(0), int(first_end), node(&bulk("10.0.0.1"), 7000, 1), node(&bulk("10.0.0.4"), 7000, 4)]),
        array(&[int(8192), int(16383), node("$-1\r\n", 7001, 2)]),
    ])
}

/// Runs the verb on a captured reply, through a file.
fn topology(kind: &str, flags: &[&str], reply: &str) -> super::Run {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("slotwise-topology-{}-{run}.resp", std::process::id()));
    std::fs::write(&path, reply).expect("a temporary file");
    let name = path.to_str().expect("a plain path");
    let args = ["topology", "--from", name, "--kind", kind, "--answered-by", "10.0.0.9:6379"];
    let run = run_slotwise(&[&args, flags].concat(), b"");
    std::fs::remove_file(&path).expect("it is there");
    run
}

#[test]
fn slots() {
    let run = topology("slots", &["--json"], &slots_reply(8191));
    assert_eq!(
        run.text(),
        concat!(
            r#"{"ranges":[{"start":0,"end":8191,"primary":"10.0.0.1:7000","replicas":["10.0.0.4:7000"]},"#,
            r#"{"start":8192,"end":16383,"primary":"10.0.0.9:7001","replicas":[]}],"uncovered":[]}"#,
            "\n"
        )
    );
    assert_eq!((run.code, run.err.as_str()), (0, ""));

    let run = topology("slots", &["--json"], &slots_reply(8000));
    assert!(run.text().ends_with("\"uncovered\":[[8001,8191]]}\n"), "{}", run.text());

    let run = topology("slots", &[], &slots_reply(8000));
    let expected = "SHARD  SLOTS              PRIMARY        REPLICAS       HEALTH
1      0-8000 (8001)      10.0.0.1:7000  10.0.0.4:7000  ok
2      8192-16383 (8192)  10.0.0.9:7001  -              ok
not served: 8001-8191 (191)
";
    assert_eq!((run.text(), run.code), (expected, 0));
}

#[test]
fn endpoint_forms() {
    for (host, primary) in [
        (bulk(""), r#""10.0.0.9:7000""#),
        ("_\r\n".to_owned(), r#""10.0.0.9:7000""#),
        (bulk("::1"), r#""::1:7000""#),
        (bulk("node-1.example.com"), r#""node-1.example.com:7000""#),
        (bulk("?"), "null"),
    ] {
        let reply = array(&[array(&[int(0), int(16383), node(&host, 7000, 1)])]);
        let run = topology("slots", &["--json"], &reply);
        assert!(run.text().contains(&format!("\"primary\":{primary},")), "{host:?}: {}", run.text());
    }
}

#[test]
fn shards() {
    let shard = |slots: &[u32], nodes: &[String]| {
        let slots: Vec<String> = slots.iter().map(|n| int(*n)).collect();
        map(&[("slots", array(&slots)), ("nodes", array(nodes))])
    };
    let node = |n: u32, role: &str, health: &str| {
        map(&[
            ("id", bulk(&id(n))),
            ("port", int(7000 + n)),
            ("ip", bulk("10.0.0.1")),
            ("endpoint", bulk("10.0.0.1")),
            ("role", bulk(role)),
            ("replication-offset", int(1)),
            ("health", bulk(health)),
        ])
    };
    // After a failover the dead primary is still listed, and first.
    let reply = array(&[
        shard(
            &[0, 99, 200, 16383],
            &[node(1, "master", "fail"), node(2, "master", "online"), node(3, "replica", "online")],
        ),
        shard(&[100, 199], &[node(4, "replica", "online"), node(5, "master", "online"), node(6, "replica", "loading")]),
    ]);
    let run = topology("shards", &["--json"], &reply);
    assert_eq!(
        run.text(),
        concat!(
            r#"{"ranges":[{"start":0,"end":99,"primary":"10.0.0.1:7002","replicas":["10.0.0.1:7003"]},"#,
            r#"{"start":100,"end":199,"primary":"10.0.0.1:7005","replicas":["10.0.0.1:7004"]},"#,
            r#"{"start":200,"end":16383,"primary":"10.0.0.1:7002","replicas":["10.0.0.1:7003"]}],"uncovered":[]}"#,
            "\n"
        )
    );
    let table = topology("shards", &[], &reply);
    assert!(table.text().contains("10.0.0.1:7006 loading"), "{}", table.text());
}

#[test]
fn nodes() {
    let (a, b, c) = (id(0xa), id(0xb), id(0xc));
    let lines = format!(
        "{a} 10.0.0.1:7000@17000,host-a myself,master - 0 1 3 connected 0-99 200 [100->-{b}] [300-<-{b}]\n\
         {b} 10.0.0.2:7000@17000 master - 0 1 4 connected 100-199 201-16383\n\
         {c} 10.0.0.3:7000@17000 slave {a} 0 1 3 connected\n"
    );
    let expected = format!(
        concat!(
            r#"{{"uncovered":[],"nodes":["#,
            r#"{{"id":"{a}","addr":"10.0.0.1:7000","role":"primary","slots":[[0,99],[200,200]],"#,
            r#""migrating":[[100,"{b}"]],"importing":[[300,"{b}"]],"epoch":3}},"#,
            r#"{{"id":"{b}","addr":"10.0.0.2:7000","role":"primary","slots":[[100,199],[201,16383]],"#,
            r#""migrating":[],"importing":[],"epoch":4}},"#,
            r#"{{"id":"{c}","addr":"10.0.0.3:7000","role":"replica","slots":[],"#,
            r#""migrating":[],"importing":[],"epoch":3}}]}}"#,
            "\n"
        ),
        a = a,
        b = b,
        c = c
    );
    let verbatim = format!("={}\r\ntxt:{lines}\r\n", lines.len() + 4);
    for reply in [bulk(&lines), verbatim] {
        let run = topology("nodes", &["--json"], &reply);
        assert_eq!((run.text(), run.code), (expected.as_str(), 0));
    }
    let table = topology("nodes", &[], &bulk(&lines));
    assert!(table.text().contains("slot 100 is moving from 10.0.0.1:7000 to 10.0.0.2:7000\n"), "{}", table.text());
    assert!(table.text().contains("slot 300 is moving from 10.0.0.2:7000 to 10.0.0.1:7000\n"), "{}", table.text());
}

#[test]
fn refusals() {
    let overlap = array(&[
        array(&[int(0), int(9000), node(&bulk("10.0.0.1"), 7000, 1)]),
        array(&[int(8192), int(16383), node(&bulk("10.0.0.2"), 7000, 2)]),
    ]);
    let backwards = array(&[array(&[int(9), int(3), node(&bulk("10.0.0.1"), 7000, 1)])]);
    let outside = array(&[array(&[int(0), int(16384), node(&bulk("10.0.0.1"), 7000, 1)])]);
    let half = slots_reply(8191);
    let half = &half[..half.len() / 2];
    for (kind, reply, why) in [
        ("slots", "*0\r\n", "empty"),
        ("slots", overlap.as_str(), "overlap"),
        ("slots", backwards.as_str(), "malformed"),
        ("slots", outside.as_str(), "malformed"),
        ("slots", "+OK\r\n", "malformed"),
        ("slots", "-ERR This instance has cluster support disabled\r\n", "no_cluster"),
        ("slots", "-NOAUTH Authentication required.\r\n", "server_error"),
        ("slots", half, "incomplete"),
        ("slots", "", "incomplete"),
        ("slots", "HTTP/1.1 400 Bad Request\r\n", "protocol"),
        ("shards", "*0\r\n", "empty"),
        ("nodes", "$0\r\n\r\n", "empty"),
    ] {
        let run = topology(kind, &["--json"], reply);
        assert_eq!((run.text(), run.code), (format!("{{\"rejected\":\"{why}\"}}\n").as_str(), 1), "{kind} {reply:?}");
        let text = topology(kind, &[], reply);
        assert_eq!((text.text(), text.code), ("", 1));
        assert!(text.err.starts_with("slotwise: rejected: "), "{}", text.err);
    }
    // Bytes behind the reply: it is not the capture of one reply.
    let run = topology("slots", &["--json"], &(slots_reply(8191) + "+OK\r\n"));
    assert_eq!((run.text(), run.code), ("{\"rejected\":\"trailing_bytes\"}\n", 1));
}

#[test]
fn usage() {
    for args in [
        &["--kind", "slots", "--answered-by", "h:1"][..],
        &["--from", "-", "--answered-by", "h:1"],
        &["--from", "-", "--kind", "slots"],
        &["--from", "-", "--kind", "other", "--answered-by", "h:1"],
        &["--from", "-", "--kind", "slots", "--answered-by", "h"],
        &["--from", "-", "--kind", "slots", "--answered-by", "h:0"],
    ] {
        let run = run_slotwise(&[&["topology"], args].concat(), b"*0\r\n");
        assert_eq!((run.code, run.text()), (2, ""), "{args:?}: {}", run.err);
    }
    let args = ["topology", "--from", "/nonexistent/x", "--kind", "slots", "--answered-by", "h:1"];
    assert_eq!(run_slotwise(&args, b"").code, 3);
    let args = ["topology", "--from", "-", "--kind", "slots", "--answered-by", "[::1]:1", "--json"];
    assert_eq!(run_slotwise(&args, b"*0\r\n").text(), "{\"rejected\":\"empty\"}\n");
}

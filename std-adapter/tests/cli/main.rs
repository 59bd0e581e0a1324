//! The built `slotwise` binary, run over tables of inputs: exact output and exit codes.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

mod decode;
mod demo;
mod online;
mod route;
mod scan;
mod slot;
mod topology;

/// What one run of the binary gave.
struct Run {
    code: i32,
    out: Vec<u8>,
    err: String,
}

impl Run {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.out).expect("the output is text")
    }

    fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }
}

/// Runs `slotwise ARGS...` with `stdin` on standard input.
fn slotwise<S: AsRef<OsStr>>(args: &[S], stdin: &[u8]) -> Run {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotwise"))
        .args(args)
        .env_remove("SLOTWISE_USERNAME")
        .env_remove("SLOTWISE_PASSWORD")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut pipe = child.stdin.take().expect("standard input is piped");
    let stdin = stdin.to_vec();
    // The binary may end without reading all of it, so a broken pipe is no failure here.
    let feeder = thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("the binary ends");
    feeder.join().expect("the feeder ends");
    Run {
        code: output.status.code().expect("no signal"),
        out: output.stdout,
        err: String::from_utf8(output.stderr).expect("messages are text"),
    }
}

#[test]
fn usage_errors_end_with_2() {
    for args in [&[][..], &["no-such-verb"], &["slot", "--no-such-flag"], &["slot", "-0", "key"]] {
        let run = slotwise(args, b"");
        assert_eq!((run.code, run.text()), (2, ""), "{args:?}");
        assert!(run.err.contains("Usage"), "{args:?}: {}", run.err);
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_slotwise"))
        .arg("slot")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    drop(child.stdout.take());
    let mut pipe = child.stdin.take().expect("standard input is piped");
    // More than any buffer on the way holds.
    drop(pipe.write_all(&b"key\n".repeat(1 << 20)));
    drop(pipe);
    let output = child.wait_with_output().expect("the binary ends");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn help_teaches() {
    let top = slotwise(&["--help"], b"");
    assert_eq!((top.code, top.err.as_str()), (0, ""));
    assert!(top.text().contains("Exit codes:"));
    let verbs: Vec<&str> = top
        .text()
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.contains(&"slot"));
    for verb in verbs {
        let help = slotwise(&[verb, "--help"], b"");
        assert_eq!(help.code, 0, "{verb}");
        assert!(help.text().contains("Examples:"), "{verb} --help has no examples");
        assert!(help.text().contains(&format!("slotwise {verb} ")), "{verb}");
    }
    assert_eq!(slotwise(&["--version"], b"").text(), concat!("slotwise ", env!("CARGO_PKG_VERSION"), "\n"));
}

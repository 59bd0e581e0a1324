//! Every online verb of the built tool on real clusters, at rest and while slots move and primaries change.

mod moving;
mod verbs;

use std::io::Write;
use std::process::{Child, Command, Output, Stdio};

use slotwise_tests::binary::slotwise;
use slotwise_tests::real::{Cluster, ServerKind};

/// Every server family that is here.
pub(crate) fn each(primaries: usize, replicas: usize, test: impl Fn(&Cluster, &str)) {
    for kind in [ServerKind::Redis7, ServerKind::Valkey9] {
        let Some(cluster) = Cluster::start(kind, primaries, replicas) else { continue };
        let url = format!("redis://{}", cluster.admin().seeds().join(","));
        test(&cluster, &url);
    }
}

pub(crate) fn start(args: &[&str]) -> Child {
    let mut command = Command::new(slotwise());
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the tool starts")
}

/// Runs the tool with this input and waits for its end.
pub(crate) fn run(args: &[&str], input: &str) -> Output {
    let mut child = start(args);
    let mut stdin = child.stdin.take().expect("stdin was asked for");
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        // The tool may end before it has read everything; its exit code tells.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("the tool ends");
    writer.join().expect("the writer ends");
    output
}

#[track_caller]
pub(crate) fn ok(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "exit {:?}: {errors}", output.status.code());
    String::from_utf8(output.stdout.clone()).expect("the tool prints UTF-8")
}

//! The firmware image on an emulated board, against a real cluster on loopback.
//!
//! The image takes its steps by itself and says so in its log, which is decoded here. Where a step needs something to
//! happen to the cluster, the log holds an order, which is carried out here and acknowledged in a key.
//!
//! Environment: `SLOTWISE_QEMU` (the emulator, default `target/qemu/bin/qemu-system-arm`), `SLOTWISE_FIRMWARE_SHUT`
//! (seconds for which a window stays shut, default 3), `SLOTWISE_FIRMWARE_LOG` (a file that gets the decoded log).

mod image;
mod orders;
mod qemu;

use image::Image;
use orders::{KEYS, Prepared};
use qemu::Run;
use slotwise_tests::real::{Cluster, ServerKind};

/// The steps, in order, as the image names them.
const STEPS: [&str; 13] = [
    "join",
    "pipeline",
    "scan",
    "subscribe",
    "tokens",
    "ask",
    "moved",
    "cancel",
    "dead-node",
    "zero-window",
    "overflow",
    "subscribed-still",
    "shutdown",
];

fn shut_seconds() -> u64 {
    std::env::var("SLOTWISE_FIRMWARE_SHUT").map_or(3, |text| text.parse().expect("a number of seconds"))
}

/// A cluster in many pieces, and the image's run on it with this number of keys to expect.
fn run(keys: u16) -> Option<(Run, Image)> {
    let image = Image::build();
    let cluster = Cluster::start(ServerKind::Redis7, 3, 0)?;
    let mut prepared = Prepared::new(cluster);
    let run = Run::start(&image, prepared.seed_port(), keys, shut_seconds(), &mut prepared);
    Some((run, image))
}

#[test]
fn the_image_passes_every_step() {
    let Some((run, image)) = run(KEYS) else { return };
    for line in &run.lines {
        println!("{line}");
    }
    println!("{}", image.sizes());
    assert_eq!(run.status, Some(0), "the image failed");
    let passed: Vec<&str> = run.lines.iter().filter_map(|line| line.passed()).collect();
    assert_eq!(passed, STEPS);
    assert!(run.has("INFO", &format!("ALL {} STEPS PASSED", STEPS.len())));
    // The engine's own words, at their levels.
    assert!(run.count("DEBUG", "MOVED") >= 2, "no MOVED in the log");
    assert!(run.count("DEBUG", "ASK") >= 4, "no ASK in the log");
    assert!(run.has("DEBUG", "new slot map: 3 nodes"), "no word of the map");
    assert!(!run.lines.iter().any(|line| line.level == "ERROR"), "errors in the log");
    // The stack that was painted has room left.
    let (used, size) = run.stack().expect("no word of the stack");
    assert!(used * 10 <= size * 9, "{used} of {size} bytes of stack were used");
}

/// An image that is promised more keys than there are must say that the scan did not find them, and nothing after that.
#[test]
fn a_false_promise_fails() {
    let Some((run, _)) = run(KEYS + 1) else { return };
    assert_eq!(run.status, Some(1), "the image passed");
    let passed: Vec<&str> = run.lines.iter().filter_map(|line| line.passed()).collect();
    assert_eq!(passed, &STEPS[..2]);
    assert!(run.has("ERROR", "FAIL keys are missing"));
}

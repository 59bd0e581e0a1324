//! The `slotwise` tool, built when a test first needs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the built tool: in the folder two above this test's own executable, as cargo lays it out.
///
/// # Panics
/// When it cannot be built.
pub fn slotwise() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let exe = std::env::current_exe().expect("a test knows its own path");
        let dir = exe.parent().and_then(Path::parent).expect("target/PROFILE/deps/TEST");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "-p", "slotwise-std", "--bin", "slotwise"]);
        build.arg("--manifest-path").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
        if dir.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo runs").success(), "the slotwise tool could not be built");
        dir.join(format!("slotwise{}", std::env::consts::EXE_SUFFIX))
    })
}

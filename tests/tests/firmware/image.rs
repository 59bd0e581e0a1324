//! Building the image, and what is in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use defmt_decoder::Table;

const TARGET: &str = "thumbv7m-none-eabi";
/// What is logged is decided at compile time.
const LEVELS: &str = "info,slotwise=debug";

/// The built image.
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    bytes: Vec<u8>,
}

impl Image {
    /// Builds it, unless it is there.
    pub(crate) fn build() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the repository");
        let folder = top.join("tests/firmware");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--locked", "--target", TARGET, "-p", "slotwise-net"])
            .current_dir(&folder)
            .env("DEFMT_LOG", LEVELS)
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("cargo runs");
        assert!(output.status.success(), "the image cannot be built:\n{}", String::from_utf8_lossy(&output.stderr));
        let path = folder.join("target").join(TARGET).join("release/net");
        let bytes = std::fs::read(&path).expect("the image is where cargo puts it");
        Self { path, bytes }
    }

    /// The texts of its log.
    pub(crate) fn table(&self) -> Table {
        Table::parse(&self.bytes).expect("the image's log can be read").expect("the image has a log")
    }

    /// What its sections take, in words. The headers of a 32-bit ELF file are read (System V ABI, chapter 4).
    pub(crate) fn sizes(&self) -> String {
        let word = |at: usize| self.bytes[at..at + 4].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let half = |at: usize| word(at) & 0xffff;
        let (table, entry, count, names) = (word(32), half(46), half(48), half(50));
        let header = |index: usize| table + index * entry;
        let text = word(header(names) + 16);
        let mut sizes = Vec::new();
        for index in 0..count {
            let name: String = {
                let start = text + word(header(index));
                self.bytes[start..].iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
            };
            if [".vector_table", ".text", ".rodata", ".data", ".bss", ".uninit"].contains(&name.as_str()) {
                sizes.push(format!("{name} {}", word(header(index) + 20)));
            }
        }
        format!("image: {}", sizes.join(", "))
    }
}

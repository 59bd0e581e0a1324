//! Building the images, and the tools that look into them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the images run, by short name.
pub(crate) const TARGETS: [(&str, &str); 4] = [
    ("thumbv6m", "thumbv6m-none-eabi"),
    ("thumbv7m", "thumbv7m-none-eabi"),
    ("thumbv7em", "thumbv7em-none-eabi"),
    ("riscv32imc", "riscv32imc-unknown-none-elf"),
];

/// The repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_path_buf()
}

/// Runs a command and gives what it prints.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let out = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !out.status.success() {
        return Err(format!("{command:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr)));
    }
    String::from_utf8(out.stdout).map_err(|error| format!("{command:?}: {error}"))
}

/// Adds what is missing of the compiler.
pub(crate) fn install() -> Result<(), String> {
    let installed = output(Command::new("rustup").args(["target", "list", "--installed"]))?;
    for (_, target) in TARGETS {
        if !installed.lines().any(|line| line == target) {
            output(Command::new("rustup").args(["target", "add", target]))?;
        }
    }
    if !tool_path("llvm-nm")?.exists() {
        output(Command::new("rustup").args(["component", "add", "llvm-tools"]))?;
    }
    Ok(())
}

fn tool_path(name: &str) -> Result<PathBuf, String> {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]))?;
    let version = output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc -vV names no host")?;
    Ok(Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin").join(name))
}

/// Runs one of the llvm tools on an image.
pub(crate) fn tool(name: &str, args: &[&str], image: &Path) -> Result<String, String> {
    output(Command::new(tool_path(name)?).args(args).arg(image))
}

/// One way to build an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Build<'a> {
    /// The binary.
    pub(crate) image: &'a str,
    /// Short name of the target.
    pub(crate) target: &'a str,
    /// `s` or `z`.
    pub(crate) level: &'a str,
    /// Counts and paints.
    pub(crate) measure: bool,
}

impl Build<'_> {
    /// Builds it and gives its path. At `s` it links only if nothing in it can panic.
    pub(crate) fn path(&self) -> Result<PathBuf, String> {
        let target = TARGETS.iter().find(|(short, _)| *short == self.target).ok_or("no such target")?.1;
        let mut features = String::from(match self.image {
            "minimal" => "scan",
            "every" => "full,observe",
            _ => "full",
        });
        if self.measure {
            features.push_str(",measure");
        }
        if self.level != "s" {
            features.push_str(",may-panic");
        }
        let folder = top().join("tests/firmware/target/budgets").join(&features).join(self.level);
        let mut cargo = Command::new("cargo");
        cargo.current_dir(top().join("tests/firmware"));
        cargo.args(["build", "--quiet", "--locked", "--release", "-p", "slotwise-images", "--bin", self.image]);
        cargo.args(["--features", &features, "--target", target]).arg("--target-dir").arg(&folder);
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", self.level);
        // Stack sizes are an option of the nightly compiler; they change no code.
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zemit-stack-sizes");
        output(&mut cargo)?;
        Ok(folder.join(target).join("release").join(self.image))
    }
}

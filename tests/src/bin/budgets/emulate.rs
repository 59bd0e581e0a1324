//! Running images in QEMU.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::Figure;
use crate::build::{Build, TARGETS, top};

/// What the measuring image printed: lines of a name and a number.
pub(crate) struct Run(Vec<(String, u64)>);

/// Runs the engine image that counts instructions and paints its stack.
pub(crate) fn measured() -> Result<Run, String> {
    let path = Build { image: "engine", target: "thumbv7m", level: "s", measure: true }.path()?;
    let options = ["-icount", "shift=0", "-machine", "mps2-an385"];
    let (first, again) = (run("qemu-system-arm", &options, &path)?, run("qemu-system-arm", &options, &path)?);
    if first != again {
        return Err("two runs of the measuring image differ".into());
    }
    let mut lines = Vec::new();
    for line in first.lines() {
        let (name, number) = line.rsplit_once(' ').ok_or(format!("not understood: {line}"))?;
        lines.push((name.trim().to_owned(), number.parse().map_err(|_| format!("not understood: {line}"))?));
    }
    Ok(Run(lines))
}

impl Run {
    fn with(&self, prefix: &str, kind: &'static str) -> Vec<Figure> {
        let lines = self.0.iter().filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.trim(), *value)));
        lines.map(|(name, value)| Figure::new(kind, name, value)).collect()
    }

    /// RAM.
    pub(crate) fn sizes(&self) -> Vec<Figure> {
        self.with("size ", "ram")
    }

    /// Instructions of each kind of call.
    pub(crate) fn steps(&self) -> Vec<Figure> {
        self.with("instructions ", "instructions")
    }

    /// Stack of each kind of call, painted.
    pub(crate) fn painted(&self) -> Vec<Figure> {
        self.with("stack ", "stack")
    }
}

/// Runs every image on a board of its target.
pub(crate) fn all_pass() -> Result<(), String> {
    for (target, _) in TARGETS {
        let (program, options): (_, &[&str]) = match target {
            "thumbv6m" => ("qemu-system-arm", &["-machine", "microbit"]),
            "thumbv7m" => ("qemu-system-arm", &["-machine", "lm3s6965evb"]),
            "thumbv7em" => ("qemu-system-arm", &["-machine", "mps2-an386"]),
            _ => ("qemu-system-riscv32", &["-machine", "virt", "-bios", "none"]),
        };
        for image in ["minimal", "engine"] {
            // The microbit has a quarter of the RAM; a Cortex-M3 runs Cortex-M0 code as it is.
            let engine_m0 = image == "engine" && target == "thumbv6m";
            let options = if engine_m0 { &["-machine", "mps2-an385"] } else { options };
            let path = Build { image, target, level: "s", measure: false }.path()?;
            let text = run(program, options, &path)?;
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            println!("{image} on {target} ({}): {text}", options[1]);
        }
    }
    Ok(())
}

/// Runs an image; its exit status says whether its checks held.
fn run(program: &str, options: &[&str], image: &Path) -> Result<String, String> {
    let unpacked = top().join("target/qemu/bin").join(program);
    let mut command = Command::new("timeout");
    command.arg("120").arg(if unpacked.exists() { unpacked.as_path() } else { Path::new(program) });
    command.args(options).args(["-nographic", "-monitor", "none", "-serial", "none"]);
    command.args(["-semihosting-config", "enable=on,target=native", "-kernel"]).arg(image).stdin(Stdio::null());
    let out = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    // Semihosting prints on the emulator's standard error, where the emulator itself may have a remark.
    let text = String::from_utf8_lossy(&out.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("Timer with period zero")).collect();
    let checks = lines.iter().any(|line| line.starts_with("checks "));
    if !out.status.success() || !checks {
        return Err(format!("{command:?}: {}\n{}", out.status, lines.join("\n")));
    }
    Ok(lines.join("\n"))
}

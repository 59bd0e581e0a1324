//! Flash, RAM, stack and instructions of the images under `tests/firmware`, held against `tests/firmware/budgets` and
//! against the table in the README.
//!
//! ```text
//! cargo run -p slotwise-tests --bin budgets [-- --update | --probes | --control | --symbols IMAGE TARGET]
//! ```
//!
//! `--update` writes the README's table; the budgets are changed by hand, on purpose. `--probes` measures what the gate
//! leaves out as well: every image and probe on every target at both levels. `--control` proves that the gate can fail: a
//! budget of one byte must be exceeded, and a table with one other number must be told apart. `--symbols` prints the
//! largest symbols of an image, to see where its flash goes.
//!
//! It needs the bare-metal targets and `llvm-tools` (both added with rustup where they are missing) and
//! `qemu-system-arm` (`tests/qemu.sh`).

mod budget;
mod build;
mod emulate;
mod flash;
mod stack;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args[..] {
        [] => run(false, false),
        ["--update"] => run(true, false),
        ["--probes"] => run(false, true),
        ["--control"] => control(),
        ["--symbols", image, target] => flash::symbols(image, target),
        _ => Err("usage: budgets [--update | --probes | --control | --symbols IMAGE TARGET]".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("budgets: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Measures, prints, and holds the results against the budgets and the README.
fn run(update: bool, probes: bool) -> Result<(), String> {
    let figures = measure(probes)?;
    let text = table::markdown(&figures);
    println!("{text}");
    let over = budget::read()?.exceeded(&figures);
    for line in &over {
        eprintln!("budgets: {line}");
    }
    if update {
        table::update(&text)?;
    } else if !probes {
        table::check(&text)?;
    }
    if over.is_empty() { Ok(()) } else { Err(format!("{} budgets exceeded", over.len())) }
}

/// All figures.
fn measure(probes: bool) -> Result<Vec<Figure>, String> {
    build::install()?;
    let mut figures = flash::measure(probes)?;
    let run = emulate::measured()?;
    figures.extend(run.sizes());
    figures.extend(run.steps());
    figures.extend(stack::measure(&run)?);
    emulate::all_pass()?;
    Ok(figures)
}

/// The gate fails where it has to.
fn control() -> Result<(), String> {
    let figures = [Figure::new("flash", "minimal thumbv7m s", 20_000)];
    let budgets = |line| budget::Budgets::parse(line);
    if budgets("flash minimal thumbv7m s = 1")?.exceeded(&figures).len() != 1 {
        return Err("a budget of one byte was not exceeded".into());
    }
    if !budgets("flash minimal thumbv7m s = 20000")?.exceeded(&figures).is_empty() {
        return Err("a budget that is just met was exceeded".into());
    }
    if budgets("flash engine thumbv7m s = 20000")?.exceeded(&figures).is_empty() {
        return Err("a budget of something that was not measured was met".into());
    }
    let is = table::markdown(&figures);
    if table::same(&is, &is.replace("20000", "20900")) || !table::same(&is, &is.replace("20000", "20100")) {
        return Err("tables are not told apart".into());
    }
    println!("budgets: the controls fail as they have to");
    Ok(())
}

/// One measured number.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    /// `flash`, `ram`, `stack` or `instructions`.
    pub(crate) kind: &'static str,
    /// Of what.
    pub(crate) name: String,
    /// Bytes or instructions.
    pub(crate) value: u64,
}

impl Figure {
    /// A number with its name.
    pub(crate) fn new(kind: &'static str, name: impl Into<String>, value: u64) -> Self {
        Self { kind, name: name.into(), value }
    }
}

//! The emulator, and what the image says in it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use defmt_decoder::DecodeError;

use crate::image::Image;
use crate::orders::Prepared;

/// Longest time for a run, the shut window not counted.
const LIMIT: Duration = Duration::from_secs(240);

/// A line of the image's log.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) time: String,
    pub(crate) level: String,
    pub(crate) text: String,
}

impl Line {
    /// The step that it says was passed.
    pub(crate) fn passed(&self) -> Option<&str> {
        self.text.strip_prefix("PASS ")?.split(' ').nth(1)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12} {:5} {}", self.time, self.level, self.text)
    }
}

/// A run that is over.
pub(crate) struct Run {
    pub(crate) lines: Vec<Line>,
    /// The exit status; `None` if it was ended from here.
    pub(crate) status: Option<i32>,
}

/// Ended when dropped, so that no emulator outlives its test.
struct Emulator(Child);

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> PathBuf {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lies in the repository");
    std::env::var_os("SLOTWISE_QEMU").map_or_else(|| top.join("target/qemu/bin/qemu-system-arm"), PathBuf::from)
}

impl Run {
    /// Runs the image to its end and carries out what it orders.
    pub(crate) fn start(image: &Image, port: u16, keys: u16, shut: u64, host: &mut Prepared) -> Self {
        let seed = std::process::id() ^ u32::from(port) << 16;
        let arguments = format!(
            "enable=on,target=native,arg=net,arg=127.0.0.1,arg={port},arg={keys},arg={},arg={seed}",
            shut * 1_000
        );
        let program = program();
        let child = Command::new(&program)
            .args(["-cpu", "cortex-m3", "-machine", "lm3s6965evb", "-nographic", "-monitor", "none", "-serial", "none"])
            .args(["-nic", "user,model=stellaris", "-semihosting-config", &arguments, "-kernel"])
            .arg(&image.path)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not run (see tests/qemu.sh): {error}", program.display()));
        let mut emulator = Emulator(child);
        let mut output = emulator.0.stdout.take().expect("it was piped");
        let (sender, receiver) = channel();
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                if sender.send(bytes[..count].to_vec()).is_err() {
                    break;
                }
            }
        });

        let table = image.table();
        let mut decoder = table.new_stream_decoder();
        let mut lines = Vec::new();
        let end = Instant::now() + LIMIT + Duration::from_secs(shut);
        let mut log = std::env::var_os("SLOTWISE_FIRMWARE_LOG").map(|path| {
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the log can be written")
        });
        let status = loop {
            match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(bytes) => decoder.received(&bytes),
                Err(RecvTimeoutError::Disconnected) => break emulator.0.wait().ok().and_then(|status| status.code()),
                Err(RecvTimeoutError::Timeout) => break None,
            }
            loop {
                match decoder.decode() {
                    Ok(frame) => {
                        let line = Line {
                            time: frame.display_timestamp().map(|time| time.to_string()).unwrap_or_default(),
                            level: frame.level().map(|level| level.as_str().to_uppercase()).unwrap_or_default(),
                            text: frame.display_message().to_string(),
                        };
                        if let Some(log) = &mut log {
                            use std::io::Write as _;
                            writeln!(log, "{line}").expect("the log can be written");
                        }
                        if let Some(order) = line.text.strip_prefix("order ") {
                            host.carry_out(order);
                        }
                        lines.push(line);
                    }
                    Err(DecodeError::UnexpectedEof) => break,
                    Err(DecodeError::Malformed) => panic!("the log is not defmt, after {:?}", lines.last()),
                }
            }
        };
        drop(emulator);
        reader.join().expect("reading does not panic");
        Self { lines, status }
    }

    pub(crate) fn count(&self, level: &str, part: &str) -> usize {
        self.lines.iter().filter(|line| line.level == level && line.text.contains(part)).count()
    }

    pub(crate) fn has(&self, level: &str, part: &str) -> bool {
        self.count(level, part) > 0
    }

    /// Bytes of stack that were used, and that there are.
    pub(crate) fn stack(&self) -> Option<(usize, usize)> {
        let line = self.lines.iter().find_map(|line| line.text.strip_prefix("stack: "))?;
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    }
}

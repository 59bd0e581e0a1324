//! One server process.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running (or killed) server process with its directory. Dropping it kills the process.
#[derive(Debug)]
pub struct ServerProcess {
    program: PathBuf,
    args: Vec<String>,
    dir: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    server: Child,
    // Kills the server when this process ends without running destructors: its standard input is a pipe of ours.
    watchdog: Child,
}

impl ServerProcess {
    /// Starts `program args` with `dir` as its directory; output goes to `dir/log`.
    ///
    /// # Errors
    ///
    /// When a process cannot be created.
    pub fn start(program: &Path, args: Vec<String>, dir: &Path) -> std::io::Result<Self> {
        let mut process = ServerProcess { program: program.to_path_buf(), args, dir: dir.to_path_buf(), running: None };
        process.spawn()?;
        Ok(process)
    }

    /// Starts it again with the same arguments; does nothing while it runs.
    ///
    /// # Errors
    ///
    /// When a process cannot be created.
    pub fn spawn(&mut self) -> std::io::Result<()> {
        if self.is_running() {
            return Ok(());
        }
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.dir.join("log"))?;
        let mut server = Command::new(&self.program)
            .args(&self.args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let watchdog = Command::new("sh")
            .args(["-c", "read -r _; kill -9 \"$1\"", "sh", &server.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match watchdog {
            Ok(watchdog) => self.running = Some(Running { server, watchdog }),
            Err(e) => {
                server.kill()?;
                server.wait()?;
                return Err(e);
            }
        }
        Ok(())
    }

    /// Whether the process has been started and has not ended.
    pub fn is_running(&mut self) -> bool {
        let ended = match &mut self.running {
            None => return false,
            Some(running) => !matches!(running.server.try_wait(), Ok(None)),
        };
        if ended {
            self.kill();
        }
        !ended
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    /// The last lines the server wrote, for error messages.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(self.dir.join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Ends the process at once (SIGKILL) and waits for it. Also works on a stopped process.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The watchdog goes first, so that it cannot meet a pid that is no longer ours. Errors mean "has ended".
            let _ = running.watchdog.kill();
            let _ = running.watchdog.wait();
            let _ = running.server.kill();
            let _ = running.server.wait();
        }
    }

    /// Stops the process (SIGSTOP): its sockets stay open, nothing is answered.
    pub fn pause(&self) -> bool {
        self.signal("STOP")
    }

    /// Lets a stopped process go on (SIGCONT).
    pub fn resume(&self) -> bool {
        self.signal("CONT")
    }

    fn signal(&self, name: &str) -> bool {
        let Some(pid) = self.pid() else { return false };
        // `kill` is a builtin of every shell; a system call would need unsafe code.
        let status = Command::new("sh").args(["-c", "kill -\"$1\" \"$2\"", "sh", name, &pid.to_string()]).status();
        status.is_ok_and(|status| status.success())
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

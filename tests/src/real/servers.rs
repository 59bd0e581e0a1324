//! Where the server programs are.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A server family the tests know how to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerKind {
    /// `redis-server` of the search path, 7.0 on the systems the tests are written for: node-wide SCAN cursors, key by key
    /// migration only.
    Redis7,
    /// Valkey 9.x, wrapper `valkey9`: slot in the SCAN cursor, atomic slot migration.
    Valkey9,
    /// Redis 8.x, wrapper `redis8`: slot in the SCAN cursor.
    Redis8,
}

impl ServerKind {
    /// Every kind, oldest first.
    pub const ALL: [ServerKind; 3] = [ServerKind::Redis7, ServerKind::Redis8, ServerKind::Valkey9];

    /// The program's file name.
    pub fn program(self) -> &'static str {
        match self {
            ServerKind::Redis7 => "redis-server",
            ServerKind::Valkey9 => "valkey9",
            ServerKind::Redis8 => "redis8",
        }
    }

    /// Whether SCAN cursors of this server carry the slot in their low 14 bits (Redis from 7.4, Valkey from 8.0).
    pub fn slot_cursors(self) -> bool {
        !matches!(self, ServerKind::Redis7)
    }

    /// Whether `CLUSTER MIGRATESLOTS` exists (Valkey from 9.0).
    pub fn atomic_migration(self) -> bool {
        matches!(self, ServerKind::Valkey9)
    }
}

/// The place where newer servers were unpacked, and the search path.
#[derive(Clone, Debug)]
pub struct Servers {
    dir: PathBuf,
}

impl Default for Servers {
    fn default() -> Self {
        Self::from_env()
    }
}

impl Servers {
    /// Looks in the directory named by `SLOTWISE_SERVERS`, by default `target/servers` of the repository (which
    /// `tests/servers.sh` fills).
    pub fn from_env() -> Self {
        let dir = std::env::var_os("SLOTWISE_SERVERS").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).join("target/servers"),
            PathBuf::from,
        );
        Servers { dir }
    }

    /// Looks in `dir`.
    pub fn in_dir(dir: impl Into<PathBuf>) -> Self {
        Servers { dir: dir.into() }
    }

    /// The program for `kind`, if it is there and runs.
    pub fn find(&self, kind: ServerKind) -> Option<PathBuf> {
        let path = match kind {
            ServerKind::Redis7 => PathBuf::from(kind.program()),
            ServerKind::Valkey9 | ServerKind::Redis8 => self.dir.join(kind.program()),
        };
        version_of(&path).map(|_| path)
    }

    /// What `--version` of the program for `kind` prints, first line.
    pub fn version(&self, kind: ServerKind) -> Option<String> {
        version_of(&self.find(kind)?)
    }

    /// As [`find`](Servers::find); a missing program is said on the real standard error (which the test runner does not
    /// capture).
    ///
    /// # Panics
    ///
    /// When the program is missing and the environment says `CI=true`: a gate must not pass because nothing ran.
    pub fn require(&self, kind: ServerKind) -> Option<PathBuf> {
        let found = self.find(kind);
        if found.is_none() {
            let text = format!(
                "\n*** SKIPPED: no {kind:?} server ({}); run tests/servers.sh or set SLOTWISE_SERVERS ***\n\n",
                match kind {
                    ServerKind::Redis7 => "redis-server is not on the search path".to_owned(),
                    _ => format!("{} does not run", self.dir.join(kind.program()).display()),
                }
            );
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
            // A closed standard error is no reason to fail a skipped test.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        found
    }
}

fn version_of(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success() && !text.is_empty()).then(|| text.lines().next().unwrap_or_default().to_owned())
}

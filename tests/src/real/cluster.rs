//! The processes of a cluster.

use super::admin::{Admin, AdminError, NodeInfo, PATIENCE, TICK};
use super::conn::Conn;
use super::form::form;
use super::ports::PortLock;
use super::process::ServerProcess;
use super::servers::{ServerKind, Servers};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What to start.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Server family.
    pub kind: ServerKind,
    /// Number of primaries, which share the slots equally.
    pub primaries: usize,
    /// Number of replicas of each primary.
    pub replicas: usize,
    /// Further lines of the configuration file, such as `maxclients 10`; they come last and so win. In each node's file
    /// `{port}` stands for one more free port.
    pub config: Vec<String>,
    /// Where the programs are.
    pub servers: Servers,
}

impl ClusterOptions {
    /// A cluster with the harness's usual configuration.
    pub fn new(kind: ServerKind, primaries: usize, replicas: usize) -> Self {
        ClusterOptions { kind, primaries, replicas, config: Vec::new(), servers: Servers::from_env() }
    }

    /// Adds a line to every node's configuration file.
    #[must_use]
    pub fn line(mut self, line: &str) -> Self {
        self.config.push(line.to_owned());
        self
    }

    /// Starts the cluster; `None` (said on standard error) when the server program is missing.
    ///
    /// # Panics
    ///
    /// When the program is there but the cluster does not form, or when it is missing and `CI=true`.
    pub fn start(&self) -> Option<Cluster> {
        let program = self.servers.require(self.kind)?;
        Some(self.start_program(&program).unwrap_or_else(|e| panic!("cannot start {self:?}: {e}")))
    }

    fn start_program(&self, program: &Path) -> Result<Cluster, AdminError> {
        let dir = TempDir::new()?;
        let count = self.primaries * (1 + self.replicas);
        let mut started = Vec::new();
        for _ in 0..count {
            started.push(self.start_node(program, &dir.0)?);
        }
        let mut processes = Vec::new();
        let mut locks = Vec::new();
        let mut nodes = Vec::new();
        for (mut process, ports) in started {
            let [port, bus_port, _] = &ports;
            let mut conn = wait_for(&mut process, port.get())?;
            let id = conn.try_call(&["CLUSTER", "MYID"])?.text();
            nodes.push(NodeInfo { port: port.get(), bus_port: bus_port.get(), id });
            processes.push(process);
            locks.push(ports);
        }
        let admin = Admin::new(self.kind, nodes, self.primaries, self.replicas);
        // The value exists before the cluster is formed: whatever fails, its processes end.
        let cluster = Cluster { admin, processes, _locks: locks, _dir: dir };
        form(&cluster.admin)?;
        Ok(cluster)
    }

    fn start_node(&self, program: &Path, dir: &Path) -> Result<(ServerProcess, [PortLock; 3]), AdminError> {
        let mut tail = String::new();
        for _ in 0..5 {
            let ports = [PortLock::take(), PortLock::take(), PortLock::take()];
            let dir = dir.join(ports[0].get().to_string());
            std::fs::create_dir_all(&dir)?;
            std::fs::write(dir.join("conf"), self.config_file(ports.each_ref().map(PortLock::get)))?;
            let mut process = ServerProcess::start(program, vec!["conf".to_owned()], &dir)?;
            // A server whose port was taken meanwhile ends at once.
            std::thread::sleep(Duration::from_millis(5));
            if process.is_running() {
                return Ok((process, ports));
            }
            tail = process.log_tail();
        }
        Err(AdminError(format!("the server ends at once: {tail}")))
    }

    fn config_file(&self, [port, bus_port, further]: [u16; 3]) -> String {
        let mut text = format!(
            "port {port}\n\
             cluster-port {bus_port}\n\
             bind 127.0.0.1\n\
             cluster-announce-ip 127.0.0.1\n\
             cluster-enabled yes\n\
             cluster-node-timeout 2000\n\
             cluster-require-full-coverage no\n\
             cluster-allow-replica-migration no\n\
             cluster-replica-validity-factor 0\n\
             enable-debug-command yes\n\
             save \"\"\n\
             appendonly no\n\
             repl-diskless-sync yes\n\
             repl-diskless-sync-delay 0\n\
             repl-ping-replica-period 1\n\
             shutdown-timeout 0\n\
             maxclients 4000\n"
        );
        for line in &self.config {
            text.push_str(&line.replace("{port}", &further.to_string()));
            text.push('\n');
        }
        text
    }
}

/// A running cluster; see the [module page](super). Operations that do not touch processes are those of [`Admin`], to
/// which it dereferences.
#[derive(Debug)]
pub struct Cluster {
    admin: Admin,
    // Ended before their ports and their directory are given up: fields drop in order.
    processes: Vec<ServerProcess>,
    _locks: Vec<[PortLock; 3]>,
    _dir: TempDir,
}

impl Deref for Cluster {
    type Target = Admin;

    fn deref(&self) -> &Admin {
        &self.admin
    }
}

impl Cluster {
    /// Starts a cluster with the usual configuration; `None` (said on standard error) when the program is missing.
    ///
    /// # Panics
    ///
    /// When the program is there but the cluster does not form, or when it is missing and `CI=true`.
    pub fn start(kind: ServerKind, primaries: usize, replicas_per_primary: usize) -> Option<Self> {
        ClusterOptions::new(kind, primaries, replicas_per_primary).start()
    }

    /// A handle for other threads.
    pub fn admin(&self) -> Admin {
        self.admin.clone()
    }

    /// The processes, by node number.
    pub fn processes(&self) -> &[ServerProcess] {
        &self.processes
    }

    /// Ends a node at once (SIGKILL).
    pub fn kill(&mut self, node: usize) {
        self.processes[node].kill();
    }

    /// Starts a killed node again, on the same ports with the same id; returns when it answers (its data are gone until it
    /// has synchronised, its state may still be down: see [`Admin::wait_agreed`]).
    ///
    /// # Errors
    ///
    /// When the process cannot be started or does not answer in time.
    pub fn restart(&mut self, node: usize) -> Result<(), AdminError> {
        let port = self.admin.port(node);
        let process = &mut self.processes[node];
        process.kill();
        process.spawn()?;
        wait_for(process, port).map(drop)
    }

    /// Stops a node without closing its sockets (SIGSTOP).
    pub fn pause(&self, node: usize) {
        assert!(self.processes[node].pause(), "node {node} does not run");
    }

    /// Lets a stopped node go on (SIGCONT).
    pub fn resume(&self, node: usize) {
        assert!(self.processes[node].resume(), "node {node} does not run");
    }
}

/// Waits until the server answers PING with anything.
fn wait_for(process: &mut ServerProcess, port: u16) -> Result<Conn, AdminError> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Ok(mut conn) = Conn::open(port)
            && conn.try_call(&["PING"]).is_ok()
        {
            return Ok(conn);
        }
        if !process.is_running() || Instant::now() > end {
            return Err(AdminError(format!("no server on port {port}: {}", process.log_tail())));
        }
        std::thread::sleep(TICK);
    }
}

/// A directory that is removed when dropped.
#[derive(Debug)]
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> std::io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!("slotwise-{}-{number}", std::process::id()));
            match std::fs::create_dir(&dir) {
                // Left over from an earlier process with this pid.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
                Ok(()) => return Ok(TempDir(dir)),
            }
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // What cannot be removed is only litter.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

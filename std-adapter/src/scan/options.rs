//! What to scan for.

use slotwise::scan::{Adapt, Coverage, ScanOptions as CoreOptions};
use slotwise::time::Duration;

/// Bounds of COUNT when the caller sets none, and the page latency it aims at.
const ADAPT: Adapt = Adapt { min: 64, max: 4_096, target: Duration::from_millis(5) };

/// Pages between two looks at CLUSTER NODES: a slot that arrives at a node costs what was walked there since the last.
const CHECKPOINT: u16 = 8;

/// What to scan for, and how hard to try; see [`Client::scan`](crate::Client::scan).
///
/// ```
/// use slotwise_std::ScanOptions;
/// let options = ScanOptions::new().matching("user:*").type_name("hash").count(1_000);
/// ```
#[derive(Clone, Debug)]
pub struct ScanOptions {
    pattern: Option<Vec<u8>>,
    type_name: Option<String>,
    settings: CoreOptions<'static>,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ScanOptions {
    /// Every key, pages as large as the nodes answer quickly, every slot vouched for.
    #[must_use]
    pub fn new() -> Self {
        let mut settings = CoreOptions::new().adapt(ADAPT);
        settings.checkpoint = CHECKPOINT;
        Self { pattern: None, type_name: None, settings }
    }

    /// Only keys that match a glob (MATCH). Where its literal beginning holds a whole hash tag, one node is asked.
    #[must_use]
    pub fn matching(mut self, pattern: impl AsRef<[u8]>) -> Self {
        self.pattern = Some(pattern.as_ref().to_vec());
        self
    }

    /// Only keys of a type (TYPE): string, list, set, zset, hash, stream.
    #[must_use]
    pub fn type_name(mut self, name: &str) -> Self {
        self.type_name = Some(name.to_owned());
        self
    }

    /// Elements a server looks at for each page (COUNT); unless set, it follows the page latency.
    #[must_use]
    pub fn count(mut self, count: u32) -> Self {
        self.settings.count = count;
        self.settings.adapt = None;
        self
    }

    /// Up to this many pages at a time from one node, where the server's cursors allow it. One unless set.
    #[must_use]
    pub fn per_node(mut self, walks: u8) -> Self {
        self.settings.per_node = walks;
        self
    }

    /// The scan is also complete without slots that nobody owns or whose owner cannot be reached; the certificate
    /// still lists them.
    #[must_use]
    pub fn allow_uncovered(mut self) -> Self {
        self.settings.coverage = Coverage::AllowUncovered;
        self
    }

    /// Everything else: the core's own options. Pattern and type set here are not used.
    #[must_use]
    pub fn tune(mut self, change: impl FnOnce(&mut CoreOptions<'static>)) -> Self {
        change(&mut self.settings);
        self
    }

    /// The borrowed form the core takes.
    pub(crate) fn core(&self) -> CoreOptions<'_> {
        let mut options: CoreOptions<'_> = self.settings;
        options.pattern = self.pattern.as_deref();
        options.type_name = self.type_name.as_deref().map(str::as_bytes);
        options
    }
}

//! What an image found.

/// Counts checks and remembers the first that failed.
#[derive(Debug, Default)]
pub struct Report {
    /// Checks made.
    pub checks: u32,
    /// The place of the first that failed, 0 for none.
    pub failed: u32,
    /// All that was computed and has no check of its own.
    pub folded: u32,
}

impl Report {
    /// Holds one check; `line` is where it stands.
    #[inline(never)]
    pub fn check(&mut self, line: u32, right: bool) {
        self.checks = self.checks.wrapping_add(1);
        if !right && self.failed == 0 {
            self.failed = line;
        }
    }

    /// Folds a result into the sum, so that what made it is kept.
    pub fn fold(&mut self, result: u32) {
        self.folded = core::hint::black_box(self.folded.rotate_left(5) ^ result);
    }
}

/// Checks that something holds.
#[macro_export]
macro_rules! check {
    ($report:expr, $right:expr) => {
        $report.check(line!(), $right)
    };
}

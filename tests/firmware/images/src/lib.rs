//! What the images do. It is `no_std` and runs on the host as well, in this package's tests.
#![no_std]

#[cfg(target_os = "none")]
pub mod board;
pub mod minimal;
mod report;
pub mod world;

pub use report::Report;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minimal_runs() {
        let mut report = Report::default();
        minimal::run(&mut report);
        assert_eq!(report.failed, 0, "line of the check that failed, of {}", report.checks);
        assert!(report.checks > 20);
    }
}

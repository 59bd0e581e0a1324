//! What the images do. It is `no_std` and runs on the host as well, in this package's tests.
#![no_std]

#[cfg(feature = "full")]
pub mod adapter;
#[cfg(target_os = "none")]
pub mod board;
#[cfg(feature = "full")]
pub mod engine;
#[cfg(feature = "observe")]
pub mod every;
pub mod measure;
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

    #[test]
    #[cfg(feature = "full")]
    fn engine_runs() {
        let mut report = Report::default();
        engine::run(&mut adapter::Adapter::new(), &mut engine::Application::new(), &mut report);
        assert_eq!(report.failed, 0, "line of the check that failed, of {}", report.checks);
        assert!(report.checks > 100);
    }
}

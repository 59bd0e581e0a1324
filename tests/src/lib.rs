//! Scenarios, property tests and real-server tests of slotwise.

pub mod binary;
pub mod real;
pub mod sim;

/// The examples of the README, compiled and run as documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

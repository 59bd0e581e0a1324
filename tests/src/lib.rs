//! Scenarios, property tests and real-server tests of slotwise.

pub mod real;

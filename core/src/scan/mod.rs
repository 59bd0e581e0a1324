//! Room `scan`.

//! Room `slot`.

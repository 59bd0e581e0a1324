//! Placeholder page, replaced before the first release.
#![no_std]

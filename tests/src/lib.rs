//! Placeholder page, replaced before the first release.

//! The `slotwise` tool.
fn main() {}

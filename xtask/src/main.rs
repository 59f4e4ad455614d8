//! Checks of this repository: `cargo xtask tidy`.
fn main() {}

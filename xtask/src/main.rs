//! test, tidy, bench: the project's own tools.

fn main() {}

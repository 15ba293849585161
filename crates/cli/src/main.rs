//! gimmetime: the time, highly available.

fn main() {}

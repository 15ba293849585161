//! The HTTP time service as a program of its own: all that is in the image.

fn main() {}

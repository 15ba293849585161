//! A thread's workbench: the two buffers all its connections use in turn, so that an idle connection owns none.

use crate::conversation::MAX_UNSENT;

/// What one `read` takes at most.
const INPUT: usize = 16 * 1024;

#[derive(Debug)]
pub(crate) struct Bench {
    pub(crate) input: Box<[u8]>,
    /// Empty between two turns; never much above [`MAX_UNSENT`].
    pub(crate) output: Vec<u8>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self { input: vec![0; INPUT].into_boxed_slice(), output: Vec::with_capacity(MAX_UNSENT / 16) }
    }
}

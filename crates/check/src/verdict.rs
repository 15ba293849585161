//! Three-valued judgement against a limit. Pure, and never wrong: what is not proved is undecided.

use gimmetime_clock::Offset;
use serde::{Deserialize, Serialize};

use crate::estimate::Estimate;

/// How far a clock may be off, both ways, unless told otherwise.
pub const LIMIT: Offset = Offset::from_secs(1);

/// What is proved about a clock. Ordered: the worse, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It is at most the limit away from ours.
    Ok,
    /// It may be either.
    Undecided,
    /// It is, or was while we watched, more than the limit away from ours.
    Wrong,
}

/// What `estimate` proves. An instance that contradicted itself is judged by all it showed.
pub fn judge(estimate: &Estimate, limit: Offset) -> Verdict {
    if estimate.proves_beyond(limit) {
        Verdict::Wrong
    } else if estimate.interval().within(limit) {
        Verdict::Ok
    } else {
        Verdict::Undecided
    }
}

/// The verdict on all of them together: the worst; `None` of none.
pub(crate) fn worst(estimates: &[Estimate], limit: Offset) -> Option<Verdict> {
    estimates.iter().map(|estimate| judge(estimate, limit)).max()
}

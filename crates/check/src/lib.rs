//! Doubts the time: probe, sample, estimate, verdict.

//! What a time is, and how sure we are.

//! Says the time over HTTP.

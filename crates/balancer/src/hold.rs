//! A connection to a target while a request has it.

use std::sync::Arc;

use crate::body::Progress;
use crate::pool::Sender;
use crate::targets::Lease;

/// One request's connection and its place among those in flight; dropped before its end, the connection is closed.
pub(crate) struct Hold {
    pub(crate) sender: Sender,
    pub(crate) lease: Lease,
    /// The body that is sent on it, if there is one.
    pub(crate) upload: Option<Arc<Progress>>,
}

impl Hold {
    /// The reply is over: the connection may wait for the next request, unless the body of this one is still on its way. A
    /// target may answer before it has all of it, and who asked next would wait for that client.
    pub(crate) fn release(self) {
        if self.upload.is_none_or(|upload| upload.is_over()) {
            self.lease.target.pool.put(self.sender);
        }
    }
}

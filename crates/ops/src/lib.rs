//! What runs, on every target, over the AWS SDK.

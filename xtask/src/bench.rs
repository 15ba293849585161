//! Measures what the README claims, beside a peer in the same run.

use anyhow::Result;

/// Times of `up`, `deploy` and `scale`, requests lost in rollouts, and the balancer's CPU beside nginx.
pub(crate) fn engine() -> Result<()> {
    anyhow::bail!("not there yet")
}

//! Counters since the plane started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::control::Counters;

/// [`Counters`] while they are counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) requests: Count,
    pub(crate) elb_4xx: Count,
    pub(crate) elb_5xx: Count,
    pub(crate) target_5xx: Count,
    pub(crate) retried: Count,
    pub(crate) connection_errors: Count,
    pub(crate) active_connections: Count,
    pub(crate) in_flight: Count,
    pub(crate) rejected_connections: Count,
    response_time: [Count; 17],
}

/// One counter, or one gauge.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less; returns what is left.
    pub(crate) fn down(&self) -> u64 {
        self.0.fetch_sub(1, Ordering::AcqRel) - 1
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Counts {
    /// Notes how long a target took from getting a request to beginning its reply.
    pub(crate) fn note_response_time(&self, took: Duration) {
        self.response_time[bucket(took)].up();
    }

    /// All of them now.
    pub(crate) fn snapshot(&self) -> Counters {
        Counters {
            requests: self.requests.get(),
            elb_4xx: self.elb_4xx.get(),
            elb_5xx: self.elb_5xx.get(),
            target_5xx: self.target_5xx.get(),
            retried: self.retried.get(),
            connection_errors: self.connection_errors.get(),
            active_connections: self.active_connections.get(),
            in_flight: self.in_flight.get(),
            rejected_connections: self.rejected_connections.get(),
            response_time: std::array::from_fn(|index| self.response_time[index].get()),
        }
    }
}

/// Index 0 is up to 1 ms, each next one up to twice as long, 16 longer than 32768 ms.
fn bucket(took: Duration) -> usize {
    let millis = u64::try_from(took.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1);
    let power = u64::BITS - (millis - 1).leading_zeros();
    (power as usize).min(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_falls_into_the_first_bucket_that_holds_it() {
        for (micros, index) in
            [(0, 0), (1_000, 0), (1_001, 1), (2_000, 1), (2_001, 2), (4_000, 2), (32_768_000, 15), (32_768_001, 16)]
        {
            assert_eq!(bucket(Duration::from_micros(micros)), index, "{micros} µs");
        }
        assert_eq!(bucket(Duration::MAX), 16);
    }
}

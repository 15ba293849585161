//! The data plane's counters as traffic over the last minute and the last hour. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use gimmetime_api::Traffic;
use gimmetime_balancer::control::Counters;
use gimmetime_clock::Mono;

/// What one bucket covers. Twelve are a minute, 720 an hour.
const STEP: Duration = Duration::from_secs(5);
const MINUTE: usize = 12;
const HOUR: usize = 720;

/// Traffic of the last hour in steps of five seconds.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// What the plane said last; None of a plane taken over, until it says how far it has counted.
    last: Option<Counters>,
    /// Newest first; the first is under way.
    buckets: VecDeque<Bucket>,
    /// Which step the newest bucket is of.
    step: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    requests: u64,
    failed: u64,
    response_time: [u64; 17],
}

impl Default for Metrics {
    /// Of a plane that has just been started.
    fn default() -> Self {
        Self { last: Some(Counters::default()), buckets: VecDeque::new(), step: 0 }
    }
}

impl Metrics {
    /// Takes the plane's counters since it started.
    pub(crate) fn count(&mut self, counters: &Counters, now: Mono) {
        self.advance(now);
        let Some(last) = self.last.replace(counters.clone()) else { return };
        if let Some(bucket) = self.buckets.front_mut() {
            bucket.requests += counters.requests.saturating_sub(last.requests);
            bucket.failed += failures(counters).saturating_sub(failures(&last));
            for (index, count) in bucket.response_time.iter_mut().enumerate() {
                *count += counters.response_time[index].saturating_sub(last.response_time[index]);
            }
        }
    }

    /// A new plane counts from zero.
    pub(crate) fn plane_started(&mut self) {
        self.last = Some(Counters::default());
    }

    /// A plane that was taken over has counted before; that was not now.
    pub(crate) fn plane_taken_over(&mut self) {
        self.last = None;
    }

    /// Traffic of the last sixty seconds.
    pub(crate) fn last_minute(&self, now: Mono) -> Traffic {
        self.over(MINUTE, now)
    }

    /// Traffic of the last sixty minutes.
    pub(crate) fn last_hour(&self, now: Mono) -> Traffic {
        self.over(HOUR, now)
    }

    fn over(&self, steps: usize, now: Mono) -> Traffic {
        let mut sum = Bucket::default();
        let passed = usize::try_from(step_of(now).saturating_sub(self.step)).unwrap_or(usize::MAX);
        for bucket in self.buckets.iter().take(steps.saturating_sub(passed)) {
            sum.requests += bucket.requests;
            sum.failed += bucket.failed;
            (0..17).for_each(|index| sum.response_time[index] += bucket.response_time[index]);
        }
        let covered = STEP * self.buckets.len().saturating_add(passed).min(steps) as u32;
        let per_second = if covered.is_zero() { 0.0 } else { sum.requests as f64 / covered.as_secs_f64() };
        Traffic { requests: sum.requests, failed_5xx: sum.failed, p99_seconds: p99(&sum.response_time), per_second }
    }

    fn advance(&mut self, now: Mono) {
        let step = step_of(now);
        let missing = if self.buckets.is_empty() { 1 } else { step.saturating_sub(self.step).min(HOUR as u64) };
        (0..missing).for_each(|_| self.buckets.push_front(Bucket::default()));
        self.buckets.truncate(HOUR);
        self.step = self.step.max(step);
    }
}

fn step_of(now: Mono) -> u64 {
    now.as_nanos() / STEP.as_nanos() as u64
}

fn failures(counters: &Counters) -> u64 {
    counters.elb_5xx + counters.target_5xx
}

/// The 99th percentile in seconds, spread evenly within the bucket it falls in: right to a factor of two.
fn p99(response_time: &[u64; 17]) -> Option<f64> {
    let total: u64 = response_time.iter().sum();
    let wanted = (total * 99).div_ceil(100);
    let mut below = 0;
    for (index, &count) in response_time.iter().enumerate() {
        if 0 < count && wanted <= below + count {
            let upper = (1_u64 << index) as f64;
            let lower = if index == 0 { 0.0 } else { upper / 2.0 };
            let share = (wanted - below) as f64 / count as f64;
            return Some((lower + (upper - lower) * share) / 1_000.0);
        }
        below += count;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono::from_nanos(seconds * 1_000_000_000)
    }

    fn counters(requests: u64, elb_5xx: u64) -> Counters {
        let mut counters = Counters { requests, elb_5xx, ..Counters::default() };
        counters.response_time[2] = requests;
        counters
    }

    #[test]
    fn a_minute_forgets_what_an_hour_remembers() {
        let mut metrics = Metrics::default();
        metrics.count(&counters(100, 3), at(1_000));
        metrics.count(&counters(160, 3), at(1_100));
        assert_eq!(metrics.last_minute(at(1_100)).requests, 60);
        let hour = metrics.last_hour(at(1_100));
        assert_eq!((hour.requests, hour.failed_5xx), (160, 3));
        assert_eq!(metrics.last_hour(at(9_000)).requests, 0);
    }

    #[test]
    fn a_new_plane_does_not_count_backwards() {
        let mut metrics = Metrics::default();
        metrics.count(&counters(100, 0), at(10));
        metrics.plane_started();
        metrics.count(&counters(5, 0), at(11));
        assert_eq!(metrics.last_minute(at(11)).requests, 105);
    }

    #[test]
    fn what_a_plane_counted_before_it_was_taken_over_is_not_counted_now() {
        let mut metrics = Metrics::default();
        metrics.plane_taken_over();
        metrics.count(&counters(100, 0), at(10));
        metrics.count(&counters(107, 0), at(11));
        assert_eq!(metrics.last_minute(at(11)).requests, 7);
    }

    #[test]
    fn the_percentile_lies_in_the_bucket_of_its_request() {
        assert_eq!(p99(&[0; 17]), None);
        let mut times = [0; 17];
        times[2] = 1_000;
        let p99 = p99(&times).unwrap();
        assert!((0.002..=0.004).contains(&p99), "{p99}");
    }
}

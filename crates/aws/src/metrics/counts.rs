//! Points in time as traffic over a minute and an hour: pure.

use std::time::Duration;

use gimmetime_clock::Timestamp;

use super::series::{
    FAILED_BY_BALANCER, FAILED_BY_TARGET, HOUR, MINUTE, P99_OF_HOUR, P99_OF_MINUTES, REQUESTS, Series,
};

/// How long ago a minute must have ended to be told whole. Each node of a balancer reports for itself, a minute or two late.
const SETTLED: Duration = Duration::from_mins(2);
/// How long no minute may have been reported before that means: nobody asks any more.
const QUIET: Duration = Duration::from_mins(5);

/// What a balancer counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metrics {
    /// The newest whole minute that was reported; without requests, if none was for five minutes.
    pub last_minute: Traffic,
    /// The sixty minutes up to the newest that is whole.
    pub last_hour: Traffic,
}

/// What a balancer counted over a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Traffic {
    /// When that while began.
    pub since: Timestamp,
    /// Requests for which the balancer had a task.
    pub requests: u64,
    /// Answers with a 5xx, by tasks and by the balancer itself; it may have had no task to give the request to.
    pub failed_5xx: u64,
    /// Requests per second.
    pub per_second: f64,
    /// 99th percentile of the time until a task began to answer.
    pub p99: Option<Duration>,
}

/// The hour that is asked for: sixty whole minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hour {
    end: Timestamp,
}

impl Hour {
    /// The newest one that is whole at `now`.
    pub(super) fn before(now: Timestamp) -> Self {
        let seconds = now.minus(SETTLED).unix_seconds();
        Self { end: Timestamp::from_secs(seconds - seconds.rem_euclid(MINUTE.as_secs().cast_signed())) }
    }

    /// The beginning of its first minute. CloudWatch counts its periods from there.
    pub(super) fn start(self) -> Timestamp {
        self.end.minus(HOUR)
    }

    /// The end of its last minute.
    pub(super) fn end(self) -> Timestamp {
        self.end
    }
}

impl Metrics {
    /// Adds up what was told. What has no point had nothing to report.
    pub(super) fn of(series: &Series, hour: Hour) -> Self {
        let newest = [REQUESTS, FAILED_BY_TARGET, FAILED_BY_BALANCER].iter().flat_map(|id| series.points(id));
        let newest = newest.map(|(moment, _)| moment).filter(|moment| *moment < hour.end()).max();
        let newest = newest.filter(|moment| hour.end().minus(QUIET) <= *moment);
        let minute = newest.unwrap_or_else(|| hour.end().minus(MINUTE));
        Self {
            last_minute: Traffic::over(series, minute, MINUTE, P99_OF_MINUTES),
            last_hour: Traffic::over(series, hour.start(), HOUR, P99_OF_HOUR),
        }
    }
}

impl Traffic {
    fn over(series: &Series, since: Timestamp, length: Duration, p99: &'static str) -> Self {
        let until = since.plus(length);
        let within = |id| series.points(id).filter(|(at, _)| since <= *at && *at < until).map(|(_, value)| value);
        let sum = |id| within(id).sum::<f64>().round() as u64;
        let requests = sum(REQUESTS);
        // One point, unless somebody counts hours by the clock on the wall: then two, and the whole is not above both.
        let p99 = series.points(p99).filter(|(at, _)| since < at.plus(length) && *at < until).map(|(_, value)| value);
        Self {
            since,
            requests,
            failed_5xx: sum(FAILED_BY_TARGET) + sum(FAILED_BY_BALANCER),
            per_second: requests as f64 / length.as_secs_f64(),
            p99: p99.reduce(f64::max).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        }
    }
}

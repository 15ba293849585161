//! The sentences of the first `health-check`, kept word for word for the scripts that read them; measured correctly.

use gimmetime_clock::{Offset, Timestamp, source};

use crate::check::{CheckError, InstanceReport, Options, Report, check};
use crate::url::Url;
use crate::verdict::Verdict;

/// What the first `health-check` would have printed, and its verdict: exit 0 if ok, else 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compat {
    /// One or two lines, without line ends.
    pub lines: Vec<String>,
    /// Whether every clock is within one second of ours.
    pub ok: bool,
}

/// Checks `url` as hard as `options` say and answers in the old words. N of `Time difference is N` is ours − theirs in whole seconds, of the worst
/// instance, rounded to the nearest; but `ok` is never said with an N beyond ±1, nor `notok` with one within. Two words have no
/// third: what cannot be decided is judged by the best estimate.
pub async fn compat(url: &Url, options: &Options) -> Compat {
    sentences(check(url, options).await, source::wall())
}

fn sentences(outcome: Result<Report, CheckError>, now: Timestamp) -> Compat {
    match outcome {
        Ok(report) => verdict(&report),
        Err(CheckError::NotNumber { body, .. }) => not_ten_digits(&body, now),
        Err(CheckError::Status { body, .. }) => Compat { lines: vec![not_number(shell_output(&body))], ok: false },
        Err(CheckError::Resolve(_) | CheckError::Unreachable { .. } | CheckError::OwnClock) => {
            Compat { lines: vec!["Service not available or accessible".to_owned()], ok: false }
        }
        Err(CheckError::Unusable { reason, .. }) => Compat { lines: vec![not_number(&reason.to_string())], ok: false },
    }
}

fn verdict(report: &Report) -> Compat {
    let ok = report.instances.iter().all(|instance| is_ok(instance, report.limit));
    let worst = report
        .instances
        .iter()
        .max_by_key(|instance| (!is_ok(instance, report.limit), instance.interval.midpoint().magnitude()));
    let offset = worst.expect("a report has an instance").interval.midpoint();
    difference(whole_seconds(offset, ok), ok)
}

fn is_ok(instance: &InstanceReport, limit: Offset) -> bool {
    match instance.verdict {
        Verdict::Ok => true,
        Verdict::Wrong => false,
        Verdict::Undecided => instance.interval.midpoint().magnitude() <= limit.magnitude(),
    }
}

/// Ours − theirs.
fn whole_seconds(offset: Offset, ok: bool) -> i64 {
    let magnitude = offset.magnitude();
    let nearest = magnitude.as_secs() + u64::from(500_000_000 <= magnitude.subsec_nanos());
    let seconds = if ok { nearest.min(1) } else { nearest.max(2) };
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    if offset < Offset::ZERO { seconds } else { -seconds }
}

/// All digits was a number to the old script, however many; ours to subtract from.
fn not_ten_digits(body: &str, now: Timestamp) -> Compat {
    let text = shell_output(body);
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !all_digits {
        return Compat { lines: vec![not_number(text)], ok: false };
    }
    let theirs: i64 = text.parse().unwrap_or(i64::MAX);
    difference(now.unix_seconds() - theirs, false)
}

/// What `$(…)` leaves of an output.
fn shell_output(body: &str) -> &str {
    body.trim_end_matches('\n')
}

fn not_number(text: &str) -> String {
    format!("Not number - some error on server side. Server returned \"{text}\"")
}

fn difference(seconds: i64, ok: bool) -> Compat {
    let word = if ok { "ok" } else { "notok" };
    Compat { lines: vec![format!("Time difference is {seconds}"), word.to_owned()], ok }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::estimate::{Estimate, estimate};
    use crate::http::Fault;
    use crate::sample::{Instance, Resolution, Sample};
    use crate::verdict::{LIMIT, judge};
    use gimmetime_clock::{Interval, KernelClock, Mono, Synchronization};

    fn report(intervals_ms: &[(i64, i64)]) -> Report {
        let samples = intervals_ms.iter().enumerate().map(|(n, (lo, hi))| Sample {
            instance: Instance::Named(n.to_string()),
            interval: Interval::new(Offset::from_millis(*lo), Offset::from_millis(*hi)).unwrap(),
            at: Mono::ZERO,
            round_trip: Duration::ZERO,
            resolution: Resolution::Fine,
        });
        let estimates = estimate(&samples.collect::<Vec<_>>());
        let describe = |estimate: &Estimate| InstanceReport {
            instance: estimate.instance.clone(),
            interval: estimate.interval(),
            verdict: judge(estimate, LIMIT),
            samples: 1,
            round_trip: Duration::ZERO,
            contradictions: 0,
        };
        Report {
            verdict: estimates.iter().map(|estimate| judge(estimate, LIMIT)).max().unwrap(),
            limit: LIMIT,
            instances: estimates.iter().map(describe).collect(),
            expected_instances: None,
            requests: 1,
            failed: 0,
            failures: Vec::new(),
            unreached: Vec::new(),
            elapsed: Duration::ZERO,
            own_step: false,
            own: KernelClock { status: Synchronization::Unknown, error_bound: None },
        }
    }

    #[track_caller]
    fn says(outcome: Result<Report, CheckError>, lines: &[&str]) {
        let said = sentences(outcome, Timestamp::from_secs(1_790_000_000));
        assert_eq!(
            (said.lines, said.ok),
            (lines.iter().map(ToString::to_string).collect(), lines.last() == Some(&"ok"))
        );
    }

    #[test]
    fn a_good_clock_is_ok_with_its_difference() {
        says(Ok(report(&[(-3, 9)])), &["Time difference is 0", "ok"]);
        says(Ok(report(&[(-400, 600)])), &["Time difference is 0", "ok"]);
        says(Ok(report(&[(690, 710)])), &["Time difference is -1", "ok"]);
        says(Ok(report(&[(-1000, -998)])), &["Time difference is 1", "ok"]);
    }

    #[test]
    fn a_wrong_clock_is_never_said_to_differ_by_less_than_two() {
        says(Ok(report(&[(1290, 1310)])), &["Time difference is -2", "notok"]);
        says(Ok(report(&[(-5001, -4999)])), &["Time difference is 5", "notok"]);
    }

    #[test]
    fn the_worst_instance_speaks_for_all() {
        says(Ok(report(&[(-1, 1), (-3010, -2990), (890, 910)])), &["Time difference is 3", "notok"]);
    }

    #[test]
    fn what_is_undecided_is_judged_by_the_best_estimate() {
        says(Ok(report(&[(980, 1015)])), &["Time difference is -1", "ok"]);
        says(Ok(report(&[(990, 1015)])), &["Time difference is -2", "notok"]);
    }

    #[test]
    fn what_is_no_number_is_shown_as_the_shell_would() {
        let address = "127.0.0.1:80".parse().unwrap();
        let not_number = |body: &str| Err(CheckError::NotNumber { address, body: body.to_owned() });
        let sentence = "Not number - some error on server side. Server returned \"<html>\nno\"";
        says(not_number("<html>\nno\n\n"), &[sentence]);
        says(not_number(""), &["Not number - some error on server side. Server returned \"\""]);
        says(
            Err(CheckError::Status { address, status: 503, body: "Service Unavailable".to_owned() }),
            &["Not number - some error on server side. Server returned \"Service Unavailable\""],
        );
        says(
            Err(CheckError::Status { address, status: 500, body: "1790000000".to_owned() }),
            &["Not number - some error on server side. Server returned \"1790000000\""],
        );
        says(not_number("1790000005123"), &["Time difference is -1788210005123", "notok"]);
    }

    #[test]
    fn a_service_that_cannot_be_reached_is_not_available() {
        let address = "127.0.0.1:80".parse().unwrap();
        for fault in [Fault::Refused, Fault::Reset, Fault::Timeout(Duration::from_secs(1))] {
            says(Err(CheckError::Unreachable { address, fault }), &["Service not available or accessible"]);
        }
    }
}

//! How much traffic a place has: what its engine counts here, what CloudWatch tells of its balancer on AWS.

use std::time::Duration;

use gimmetime_aws::metrics::metrics;
use gimmetime_aws::{Outputs, Session};
use gimmetime_clock::{Mono, Timestamp, iso, source};
use serde_json::{Value, json};

use crate::render::units::{count, latency, minute_time};

/// How often CloudWatch is asked at most: it counts in minutes, and each question costs.
const ASK: Duration = Duration::from_mins(1);

/// How much traffic a place has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Traffic {
    /// So much.
    Told { minute: Counted, hour: Counted },
    /// Nobody said: why.
    NotTold(String),
}

/// What was counted over a while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counted {
    /// When that while began; None if it ends now.
    since: Option<Timestamp>,
    requests: u64,
    failed_5xx: u64,
    per_second: f64,
    p99: Option<Duration>,
}

/// Asks CloudWatch, again and again if need be, but not more often than there is something new.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    last: Option<(Mono, Traffic)>,
}

impl Meter {
    /// How much traffic a place on AWS has.
    pub(crate) async fn read(&mut self, session: &Session, outputs: &Outputs) -> Traffic {
        let now = source::mono();
        if let Some(traffic) = self.fresh(now) {
            return traffic.clone();
        }
        let traffic = Traffic::ask(session, outputs).await;
        self.last = Some((now, traffic.clone()));
        traffic
    }

    /// The last answer, whatever it was, while it is too early to ask again.
    fn fresh(&self, now: Mono) -> Option<&Traffic> {
        self.last.as_ref().filter(|(asked, _)| now.since(*asked) < ASK).map(|(_, traffic)| traffic)
    }
}

impl Traffic {
    /// How much a place on AWS has, by one question to CloudWatch. A place is no worse for one that is not answered.
    pub(crate) async fn ask(session: &Session, outputs: &Outputs) -> Self {
        match metrics(session, &outputs.balancer_arn, source::wall()).await {
            Ok(told) => Self::Told { minute: told.last_minute.into(), hour: told.last_hour.into() },
            Err(why) => Self::NotTold(why.to_string()),
        }
    }

    /// `last hour 182,400 requests, 0 5xx, p99 4.0 ms · now 51.2/s (at 14:03)`, or in one line why not.
    pub(crate) fn line(&self) -> String {
        let (minute, hour) = match self {
            // The engine counts what there is; a balancer's nothing may only not have been reported yet.
            Self::Told { hour, .. } if hour.since.is_some() && hour.requests + hour.failed_5xx == 0 => {
                return "last hour no requests reported".to_owned();
            }
            Self::Told { minute, hour } => (minute, hour),
            Self::NotTold(why) => return first_line(why),
        };
        let p99 = hour.p99.map_or_else(String::new, |p99| format!(", p99 {}", latency(p99)));
        let (requests, failed, now, at) = (count(hour.requests), hour.failed_5xx, minute.per_second, minute.at());
        format!("last hour {requests} requests, {failed} 5xx{p99} · now {now:.1}/s{at}")
    }

    /// What whoever is about to end it should know: `serving 51.2 requests/s NOW (at 14:03)`.
    pub(crate) fn warning(&self) -> String {
        match self {
            Self::Told { hour, .. } if hour.requests + hour.failed_5xx == 0 => {
                "no requests reported in the last hour".to_owned()
            }
            // What a balancer of no tasks answers by itself is counted only as failed.
            Self::Told { hour, .. } if hour.requests == 0 => {
                format!("no request served in the last hour, {} failed (5xx)", count(hour.failed_5xx))
            }
            Self::Told { minute, hour } if minute.requests == 0 => {
                format!("no requests now, {} in the last hour", count(hour.requests))
            }
            Self::Told { minute, .. } => {
                format!("serving {:.1} requests/s NOW{}", minute.per_second, minute.at())
            }
            Self::NotTold(why) => first_line(why),
        }
    }

    /// Both whiles as JSON has them.
    pub(crate) fn as_json(&self) -> Value {
        match self {
            Self::Told { minute, hour } => json!({ "last_minute": minute.as_json(), "last_hour": hour.as_json() }),
            Self::NotTold(_) => Value::Null,
        }
    }

    /// Why they are not known, in full.
    pub(crate) fn error(&self) -> Option<&str> {
        match self {
            Self::Told { .. } => None,
            Self::NotTold(why) => Some(why),
        }
    }
}

impl Counted {
    /// ` (at 14:03)`, where it is not this very moment.
    fn at(&self) -> String {
        self.since.map_or_else(String::new, |since| format!(" (at {})", minute_time(since)))
    }

    fn as_json(&self) -> Value {
        let mut value = json!({
            "requests": self.requests,
            "failed_5xx": self.failed_5xx,
            "per_second": self.per_second,
            "p99_seconds": self.p99.map(|p99| p99.as_secs_f64()),
        });
        if let Some(since) = self.since {
            value["since"] = json!(iso::format(since));
        }
        value
    }
}

impl From<&gimmetime_engine::Metrics> for Traffic {
    fn from(counted: &gimmetime_engine::Metrics) -> Self {
        let of = |traffic: &gimmetime_engine::Traffic| Counted {
            since: None,
            requests: traffic.requests,
            failed_5xx: traffic.failed5xx,
            per_second: traffic.per_second,
            p99: traffic.p99(),
        };
        Self::Told { minute: of(&counted.last_minute), hour: of(&counted.last_hour) }
    }
}

impl From<gimmetime_aws::metrics::Traffic> for Counted {
    fn from(told: gimmetime_aws::metrics::Traffic) -> Self {
        Self {
            since: Some(told.since),
            requests: told.requests,
            failed_5xx: told.failed_5xx,
            per_second: told.per_second,
            p99: told.p99,
        }
    }
}

/// What went wrong, without what to do about it.
fn first_line(why: &str) -> String {
    why.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(since: Option<i64>, requests: u64, seconds: u64) -> Counted {
        let (since, p99) = (since.map(Timestamp::from_secs), (0 < requests).then_some(Duration::from_micros(3_960)));
        Counted { since, requests, failed_5xx: 0, per_second: requests as f64 / seconds as f64, p99 }
    }

    fn told(minute: u64, hour: u64) -> Traffic {
        Traffic::Told { minute: counted(Some(3_540), minute, 60), hour: counted(Some(0), hour, 3_600) }
    }

    /// The minute's time of day in the zone of whoever runs this.
    fn at() -> String {
        format!(" (at {})", minute_time(Timestamp::from_secs(3_540)))
    }

    #[test]
    fn figures_of_aws_say_which_minute_they_are_of() {
        let line = format!("last hour 182,400 requests, 0 5xx, p99 4.0 ms · now 51.2/s{}", at());
        assert_eq!(told(3_072, 182_400).line(), line);
        assert_eq!(told(3_072, 182_400).warning(), format!("serving 51.2 requests/s NOW{}", at()));
    }

    #[test]
    fn an_engine_counts_up_to_now_and_its_nothing_is_nothing() {
        let here = |minute, hour| Traffic::Told { minute: counted(None, minute, 60), hour: counted(None, hour, 3_600) };
        assert_eq!(here(924, 924).line(), "last hour 924 requests, 0 5xx, p99 4.0 ms · now 15.4/s");
        assert_eq!(here(0, 0).line(), "last hour 0 requests, 0 5xx · now 0.0/s");
        let since = |traffic: &Traffic| traffic.as_json()["last_minute"].get("since").cloned();
        assert_eq!((since(&here(1, 1)), since(&told(1, 1))), (None, Some(json!("1970-01-01T00:59:00.000Z"))));
    }

    #[test]
    fn what_was_not_reported_is_not_told_as_served() {
        assert_eq!(told(0, 0).line(), "last hour no requests reported");
        assert_eq!(told(0, 0).warning(), "no requests reported in the last hour");
        assert_eq!(told(0, 1_200).warning(), "no requests now, 1,200 in the last hour");
        let Traffic::Told { minute, hour } = told(0, 0) else { unreachable!("it was told") };
        let refused = Traffic::Told { minute, hour: Counted { failed_5xx: 120, ..hour } };
        assert_eq!(refused.line(), format!("last hour 0 requests, 120 5xx · now 0.0/s{}", at()));
        assert_eq!(refused.warning(), "no request served in the last hour, 120 failed (5xx)");
    }

    #[test]
    fn what_is_not_told_is_one_line_and_in_json_all_of_it() {
        let why = "not allowed to read the rates: cloudwatch:GetMetricData is missing
hint: add this statement";
        let traffic = Traffic::NotTold(why.to_owned());
        let line = "not allowed to read the rates: cloudwatch:GetMetricData is missing";
        assert_eq!((traffic.line().as_str(), traffic.warning().as_str()), (line, line));
        assert_eq!((traffic.as_json(), traffic.error()), (Value::Null, Some(why)));
    }

    #[test]
    fn cloudwatch_is_asked_once_a_minute_whatever_it_said() {
        let at = |seconds: u64| Mono::from_nanos(seconds * 1_000_000_000);
        let meter = Meter { last: Some((at(100), Traffic::NotTold("no".to_owned()))) };
        assert!(meter.fresh(at(159)).is_some());
        assert!(meter.fresh(at(160)).is_none());
        assert!(Meter::default().fresh(at(0)).is_none());
    }
}

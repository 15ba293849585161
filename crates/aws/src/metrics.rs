//! What the balancer counted, as CloudWatch tells it: requests, failures, response times.
//!
//! Each question costs, and answers for whole minutes that are some minutes old. Nobody's verb may fail for it, or wait
//! long: whoever asks is told what is known, or why it is not.

mod counts;
mod series;

use std::time::Duration;

use gimmetime_clock::{Timestamp, iso};

pub use counts::{Metrics, Traffic};

use crate::error::AwsError;
use crate::query::Service;
use crate::session::Session;
use counts::Hour;
use series::{QUESTIONS, Series};

/// What is being done; completes "cannot …".
const DOING: &str = "read the rates";
/// How long an answer may take, with all its tries.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages that are read at most; an hour of these metrics is far less than one.
const MAX_PAGES: usize = 5;

/// What the balancer of this ARN counted in the last minute and the last hour that CloudWatch can tell whole.
///
/// Five metrics, which cost $0.00005 (Amazon CloudWatch pricing: `GetMetricData`, $0.01 per 1,000 metrics).
///
/// # Errors
/// Whatever AWS says, and [`AwsError::Unreachable`] when it says nothing soon.
pub async fn metrics(session: &Session, balancer_arn: &str, now: Timestamp) -> Result<Metrics, AwsError> {
    let hour = Hour::before(now);
    let endpoint = session.query().endpoint(Service::Metrics);
    let series = within(PATIENCE, &endpoint, ask(session, balancer_arn, hour)).await?;
    Ok(Metrics::of(&series, hour))
}

async fn within<T>(
    patience: Duration,
    endpoint: &str,
    asked: impl Future<Output = Result<T, AwsError>>,
) -> Result<T, AwsError> {
    tokio::time::timeout(patience, asked).await.unwrap_or_else(|_| {
        let (doing, endpoint) = (DOING.to_owned(), endpoint.to_owned());
        let reason = format!("none that helps within {} s", patience.as_secs_f64());
        Err(AwsError::Unreachable { doing, endpoint, reason })
    })
}

async fn ask(session: &Session, balancer_arn: &str, hour: Hour) -> Result<Series, AwsError> {
    let missing = |missing: &str| AwsError::Incomplete { doing: DOING.to_owned(), missing: missing.to_owned() };
    // The dimension is the ARN's tail: `app/NAME/ID`.
    let (_, balancer) = balancer_arn.split_once(":loadbalancer/").ok_or_else(|| missing("the balancer's ARN"))?;
    let (mut series, mut token) = (Series::default(), None);
    for _ in 0..MAX_PAGES {
        let parameters = parameters(balancer, hour, token);
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        let reply = session.query().form(DOING, Service::Metrics, "GetMetricData", &parameters).await?;
        series.read(&reply).map_err(missing)?;
        token = reply.text("NextToken").map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    series.whole(DOING)
}

/// One call for all five questions, as a form has it.
fn parameters(balancer: &str, hour: Hour, token: Option<String>) -> Vec<(String, String)> {
    let mut parameters =
        vec![("StartTime".to_owned(), iso::format(hour.start())), ("EndTime".to_owned(), iso::format(hour.end()))];
    parameters.extend(token.map(|token| ("NextToken".to_owned(), token)));
    for (index, question) in QUESTIONS.iter().enumerate() {
        let fields = [
            ("Id", question.id.to_owned()),
            ("MetricStat.Metric.Namespace", "AWS/ApplicationELB".to_owned()),
            ("MetricStat.Metric.MetricName", question.metric.to_owned()),
            ("MetricStat.Metric.Dimensions.member.1.Name", "LoadBalancer".to_owned()),
            ("MetricStat.Metric.Dimensions.member.1.Value", balancer.to_owned()),
            ("MetricStat.Period", question.period.as_secs().to_string()),
            ("MetricStat.Stat", question.stat.to_owned()),
        ];
        let name = |field: &str| format!("MetricDataQueries.member.{}.{field}", index + 1);
        parameters.extend(fields.map(|(field, value)| (name(field), value)));
    }
    parameters
}

#[cfg(test)]
mod tests;

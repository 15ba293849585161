//! The questions, and CloudWatch's answers as points in time: pure.

use std::collections::BTreeMap;
use std::time::Duration;

use gimmetime_clock::{Timestamp, iso};

use crate::error::AwsError;
use crate::query::Element;

/// The finest period that a balancer reports in.
pub(super) const MINUTE: Duration = Duration::from_mins(1);
/// All that is asked for. A percentile of an hour cannot be made of those of its minutes, so it is asked for by itself.
pub(super) const HOUR: Duration = Duration::from_hours(1);

/// One metric over one period.
#[derive(Debug)]
pub(super) struct Question {
    /// What its answer is called.
    pub(super) id: &'static str,
    /// As CloudWatch has it. Source: "CloudWatch metrics for your Application Load Balancer".
    pub(super) metric: &'static str,
    /// The statistic.
    pub(super) stat: &'static str,
    /// What one point covers.
    pub(super) period: Duration,
}

const fn question(id: &'static str, metric: &'static str, stat: &'static str, period: Duration) -> Question {
    Question { id, metric, stat, period }
}

pub(super) const REQUESTS: &str = "requests";
pub(super) const FAILED_BY_TARGET: &str = "failed_by_target";
pub(super) const FAILED_BY_BALANCER: &str = "failed_by_balancer";
pub(super) const P99_OF_MINUTES: &str = "p99_of_minutes";
pub(super) const P99_OF_HOUR: &str = "p99_of_hour";

/// All that is asked.
pub(super) const QUESTIONS: [Question; 5] = [
    question(REQUESTS, "RequestCount", "Sum", MINUTE),
    question(FAILED_BY_TARGET, "HTTPCode_Target_5XX_Count", "Sum", MINUTE),
    question(FAILED_BY_BALANCER, "HTTPCode_ELB_5XX_Count", "Sum", MINUTE),
    question(P99_OF_MINUTES, "TargetResponseTime", "p99", MINUTE),
    question(P99_OF_HOUR, "TargetResponseTime", "p99", HOUR),
];

/// The points of each question's answer, by the beginning of what they cover.
#[derive(Debug, Default)]
pub(super) struct Series {
    answers: BTreeMap<&'static str, Answer>,
}

#[derive(Debug, Default)]
struct Answer {
    points: BTreeMap<Timestamp, f64>,
    /// `Complete`, if all of it was told.
    status: String,
    /// What CloudWatch says of it beside.
    message: Option<String>,
}

impl Series {
    /// Takes a page of the answers in; the error is what it lacks.
    pub(super) fn read(&mut self, page: &Element) -> Result<(), &'static str> {
        for result in page.list("MetricDataResults") {
            let id = result.text("Id").unwrap_or_default();
            let Some(question) = QUESTIONS.iter().find(|question| question.id == id) else { continue };
            let answer = self.answers.entry(question.id).or_default();
            result.text("StatusCode").ok_or("a status")?.clone_into(&mut answer.status);
            let messages = result.list("Messages").first();
            answer.message = messages.and_then(|first| first.text("Value")).map(str::to_owned);
            let (moments, values) = (result.list("Timestamps"), result.list("Values"));
            if moments.len() != values.len() {
                return Err("a moment for each value");
            }
            for (moment, value) in moments.iter().zip(values) {
                let moment = iso::parse(moment.own_text()).ok_or("a moment in UTC")?;
                let value = value.own_text().parse().ok().filter(|value: &f64| value.is_finite() && 0.0 <= *value);
                answer.points.insert(moment, value.ok_or("a value that is a number")?);
            }
        }
        Ok(())
    }

    /// Itself, if every question was answered, and wholly: half a sum is a wrong one.
    pub(super) fn whole(self, doing: &str) -> Result<Self, AwsError> {
        for question in &QUESTIONS {
            let Some(answer) = self.answers.get(question.id) else {
                let missing = format!("the metric {}", question.metric);
                return Err(AwsError::Incomplete { doing: doing.to_owned(), missing });
            };
            if answer.status != "Complete" {
                let what = answer.message.as_deref().unwrap_or("that is all that CloudWatch told");
                let message = format!("{}: {what}", question.metric);
                return Err(AwsError::Refused { doing: doing.to_owned(), code: answer.status.clone(), message });
            }
        }
        Ok(self)
    }

    /// The points of an answer; none where there was nothing to report.
    pub(super) fn points(&self, id: &'static str) -> impl Iterator<Item = (Timestamp, f64)> {
        self.answers.get(id).into_iter().flat_map(|answer| &answer.points).map(|(moment, value)| (*moment, *value))
    }
}

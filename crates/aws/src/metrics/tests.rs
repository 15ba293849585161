//! What is asked, what is made of the answers, and what is said when there are none.

use proptest::prelude::*;

use super::series::{FAILED_BY_BALANCER, FAILED_BY_TARGET, HOUR, P99_OF_HOUR, P99_OF_MINUTES, Question, REQUESTS};
use super::*;
use crate::query::Element;
use crate::testing::{Asked, Aws, Reply, refuse, xml};

const BALANCER: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188";

/// 2026-11-26 14:06:40 in UTC; the newest whole minute ends at 14:04.
fn now() -> Timestamp {
    at("14:06:40")
}

fn at(time: &str) -> Timestamp {
    iso::parse(&format!("2026-11-26T{time}Z")).unwrap()
}

fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// XML of one answer: points by the time of day.
fn answer(id: &str, status: &str, points: &[(&str, &str)]) -> String {
    let whole = |(time, value): &(&str, &str)| (format!("2026-11-26T{time}Z"), (*value).to_owned());
    answer_of(id, status, &points.iter().map(whole).collect::<Vec<_>>())
}

/// XML of one answer: points by their moments.
fn answer_of(id: &str, status: &str, points: &[(String, String)]) -> String {
    let member = |text: &String| format!("<member>{text}</member>");
    let (moments, values): (Vec<_>, Vec<_>) = points.iter().map(|(at, value)| (member(at), member(value))).unzip();
    format!(
        "<member><Id>{id}</Id><Label>any</Label><StatusCode>{status}</StatusCode><Messages/>\
         <Timestamps>{}</Timestamps><Values>{}</Values></member>",
        moments.concat(),
        values.concat()
    )
}

/// All five answers; those that are not given are empty.
fn answers(given: &[(&str, &[(&str, &str)])]) -> String {
    let points = |id: &str| given.iter().find(|(of, _)| *of == id).map_or(&[][..], |(_, points)| *points);
    QUESTIONS.iter().map(|question| answer(question.id, "Complete", points(question.id))).collect()
}

fn results(members: &str) -> String {
    format!("<MetricDataResults>{members}</MetricDataResults>")
}

/// AWS whose CloudWatch says this.
async fn cloud(members: String) -> Aws {
    Aws::start(move |asked| match asked.action.as_str() {
        "GetMetricData" => xml("GetMetricData", &results(&members)),
        action => refuse(&asked.service, "NotInTheScript", action),
    })
    .await
}

/// What is made of it, however long it takes.
async fn asked(aws: &Aws) -> Result<Metrics, AwsError> {
    let hour = Hour::before(now());
    ask(&aws.session().await, BALANCER, hour).await.map(|series| Metrics::of(&series, hour))
}

fn a_good_hour() -> String {
    answers(&[
        // Newest first, as CloudWatch has it unless it is asked otherwise.
        (REQUESTS, &[("14:03:00", "3072.0"), ("14:02:00", "3000.0"), ("13:04:00", "10.0")]),
        (FAILED_BY_TARGET, &[("13:30:00", "2.0")]),
        (FAILED_BY_BALANCER, &[("14:03:00", "1.0")]),
        (P99_OF_MINUTES, &[("14:03:00", "0.0021"), ("14:02:00", "0.9")]),
        (P99_OF_HOUR, &[("13:04:00", "4.0E-3")]),
    ])
}

#[tokio::test]
async fn an_hour_and_its_newest_minute_are_told_from_one_call() {
    let aws = cloud(a_good_hour()).await;
    let Metrics { last_minute, last_hour } = asked(&aws).await.unwrap();
    let p99 = |micros| Some(Duration::from_micros(micros));
    let minute = Traffic { since: at("14:03:00"), requests: 3072, failed_5xx: 1, per_second: 51.2, p99: p99(2100) };
    assert_eq!(last_minute, minute);
    assert_eq!((last_hour.since, last_hour.requests, last_hour.failed_5xx), (at("13:04:00"), 6082, 3));
    assert_eq!(last_hour.p99, p99(4000));

    let [call] = <[Asked; 1]>::try_from(aws.calls("GetMetricData")).expect("one call");
    assert_eq!(call.service, "monitoring");
    let parameter = |name: &str| call.parameter(name).unwrap_or_default();
    assert_eq!(parameter("Version"), "2010-08-01");
    assert_eq!(
        (parameter("StartTime"), parameter("EndTime")),
        (iso::format(at("13:04:00")), iso::format(at("14:04:00")))
    );
    let fifth = |field: &str| parameter(&format!("MetricDataQueries.member.5.{field}"));
    assert_eq!((fifth("MetricStat.Stat"), fifth("MetricStat.Period")), ("p99".to_owned(), "3600".to_owned()));
    assert_eq!(fifth("MetricStat.Metric.Dimensions.member.1.Name"), "LoadBalancer");
    assert_eq!(fifth("MetricStat.Metric.Dimensions.member.1.Value"), "app/web/50dc6c495c0c9188");
    assert_eq!(parameter("MetricDataQueries.member.1.MetricStat.Metric.MetricName"), "RequestCount");
}

#[tokio::test]
async fn where_nothing_was_reported_nothing_was_asked_for_and_nothing_failed() {
    let Metrics { last_minute, last_hour } = asked(&cloud(answers(&[])).await).await.unwrap();
    for (traffic, since) in [(last_minute, at("14:03:00")), (last_hour, at("13:04:00"))] {
        assert_eq!(traffic, Traffic { since, requests: 0, failed_5xx: 0, per_second: 0.0, p99: None });
    }
}

#[tokio::test]
async fn requests_that_found_no_task_are_failures_of_the_balancer_alone() {
    let told = asked(&cloud(answers(&[(FAILED_BY_BALANCER, &[("14:01:00", "120.0")])])).await).await.unwrap();
    assert_eq!((told.last_hour.requests, told.last_hour.failed_5xx), (0, 120));
    assert_eq!((told.last_minute.since, told.last_minute.failed_5xx), (at("14:01:00"), 120));
}

#[tokio::test]
async fn a_minute_that_is_long_past_is_not_the_last_one() {
    let of = async |time: &str| {
        let told = asked(&cloud(answers(&[(REQUESTS, &[(time, "60.0")])])).await).await.unwrap();
        assert_eq!(told.last_hour.requests, 60, "{time}");
        (told.last_minute.since, told.last_minute.requests)
    };
    assert_eq!(of("13:59:00").await, (at("13:59:00"), 60), "it is only reported late");
    assert_eq!(of("13:58:00").await, (at("14:03:00"), 0));
}

#[tokio::test]
async fn whoever_counts_hours_by_the_clock_on_the_wall_is_understood() {
    let hours = [("13:00:00", "0.002"), ("14:00:00", "0.005")];
    let told = asked(&cloud(answers(&[(P99_OF_HOUR, &hours)])).await).await.unwrap();
    assert_eq!(told.last_hour.p99, Some(Duration::from_millis(5)));
}

#[tokio::test]
async fn pages_are_read_to_the_end_and_not_for_ever() {
    let first = |status: &str| {
        let rest: String = QUESTIONS[1..].iter().map(|question| answer(question.id, "Complete", &[])).collect();
        let members = answer(REQUESTS, status, &[("14:03:00", "5.0")]) + &rest;
        xml("GetMetricData", &format!("{}<NextToken>a/b=</NextToken>", results(&members)))
    };
    let second = answer(REQUESTS, "Complete", &[("14:02:00", "7.0")]);
    let aws = cloud(second).await;
    aws.fail("GetMetricData", [first("PartialData")]);
    assert_eq!(asked(&aws).await.unwrap().last_hour.requests, 12);
    assert_eq!(aws.calls("GetMetricData")[1].parameter("NextToken").as_deref(), Some("a/b="));

    aws.fail("GetMetricData", vec![first("PartialData"); MAX_PAGES]);
    let error = asked(&aws).await.unwrap_err();
    let words = "cannot read the rates: PartialData: RequestCount: that is all that CloudWatch told";
    assert_eq!((error.to_string().as_str(), aws.count("GetMetricData")), (words, 2 + MAX_PAGES));
}

#[tokio::test]
async fn what_is_told_in_part_or_not_at_all_is_no_figure() {
    let all: Vec<String> = QUESTIONS.iter().map(|question| answer(question.id, "Complete", &[])).collect();
    let message = "<Messages><member><Code>ServiceError</Code><Value>try later</Value></member></Messages>";
    let failed = answer(P99_OF_HOUR, "InternalError", &[]).replace("<Messages/>", message);
    let said = async |members: String| asked(&cloud(members).await).await.unwrap_err().to_string();
    assert_eq!(
        said(all[..4].concat() + &failed).await,
        "cannot read the rates: InternalError: TargetResponseTime: try later"
    );
    let missing = "cannot read the rates: the reply lacks the metric HTTPCode_Target_5XX_Count";
    assert_eq!(said([&all[..1], &all[2..]].concat().concat()).await, missing);
    let of = |points: &[(&str, &str)]| answer(REQUESTS, "Complete", points) + &all[1..].concat();
    for (points, lacks) in [
        (&[("14:03:00", "many")][..], "a value that is a number"),
        (&[("14:03:00", "-1.0")], "a value that is a number"),
        (&[("14:03:00", "NaN")], "a value that is a number"),
        (&[("noon", "1.0")], "a moment in UTC"),
    ] {
        assert_eq!(said(of(points)).await, format!("cannot read the rates: the reply lacks {lacks}"));
    }
    let uneven = of(&[("14:03:00", "1.0")]).replace("<member>1.0</member>", "");
    assert_eq!(said(uneven).await, "cannot read the rates: the reply lacks a moment for each value");
}

#[tokio::test]
async fn a_refusal_names_what_is_missing_and_being_busy_is_tried_again() {
    let aws = cloud(a_good_hour()).await;
    aws.fail("GetMetricData", [refuse("monitoring", "Throttling", "Rate exceeded")]);
    assert_eq!(asked(&aws).await.unwrap().last_minute.requests, 3072);
    aws.fail("GetMetricData", vec![refuse("monitoring", "Throttling", "Rate exceeded"); 3]);
    let error = asked(&aws).await.unwrap_err();
    assert!(matches!(error, AwsError::Throttled { .. }), "{error}");

    let words = "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: cloudwatch:GetMetricData \
                 because no identity-based policy allows the cloudwatch:GetMetricData action";
    aws.fail("GetMetricData", [refuse("monitoring", "AccessDenied", words)]);
    let error = asked(&aws).await.unwrap_err();
    let first = "not allowed to read the rates: cloudwatch:GetMetricData is missing";
    assert_eq!(error.to_string().lines().next(), Some(first));

    // What stands in for AWS, without metrics.
    aws.fail("GetMetricData", [Reply::Says(404, "<html>no such service</html>".to_owned())]);
    assert!(matches!(asked(&aws).await.unwrap_err(), AwsError::Refused { .. }));
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_not_waited_for() {
    let endless = std::future::pending::<Result<(), AwsError>>();
    let error = within(Duration::from_millis(1), "AWS in eu-west-1", endless).await.unwrap_err();
    let words = "cannot read the rates: no answer from AWS in eu-west-1: none that helps within 0.001 s";
    assert_eq!(error.to_string(), words);
}

#[tokio::test]
async fn what_is_no_balancer_is_not_asked_about() {
    let aws = cloud(a_good_hour()).await;
    let error = metrics(&aws.session().await, "", now()).await.unwrap_err();
    assert!(matches!(error, AwsError::Incomplete { .. }), "{error}");
    assert_eq!(aws.count("GetMetricData"), 0);
}

proptest! {
    #[test]
    fn an_hour_is_sixty_whole_minutes_that_ended_two_minutes_ago_or_three(seconds in 0_i64..4_000_000_000) {
        let now = Timestamp::from_secs(seconds);
        let hour = Hour::before(now);
        prop_assert_eq!(hour.end().unix_seconds() % 60, 0);
        prop_assert_eq!(hour.end().since(hour.start()).magnitude(), HOUR);
        let old = now.since(hour.end()).magnitude();
        prop_assert!(minutes(2) <= old && old < minutes(3), "{old:?}");
    }

    #[test]
    fn what_lies_outside_is_not_counted_and_a_minute_is_within_its_hour(
        points in proptest::collection::btree_map(-10_i64..75, 0_u32..10_000, 0..70),
    ) {
        let hour = Hour::before(now());
        let moment = |minute: i64| Timestamp::from_secs(hour.start().unix_seconds() + 60 * minute);
        let point = |(minute, count): (&i64, &u32)| (iso::format(moment(*minute)), f64::from(*count).to_string());
        let points_of_all: Vec<(String, String)> = points.iter().map(point).collect();
        let of = |question: &Question| answer_of(question.id, "Complete", &points_of_all);
        let members: String = QUESTIONS.iter().map(of).collect();
        let mut series = Series::default();
        series.read(&Element::parse(&results(&members)).unwrap()).unwrap();
        let Metrics { last_minute, last_hour } = Metrics::of(&series.whole("x").unwrap(), hour);

        let within: u64 = points.range(0..60).map(|(_, count)| u64::from(*count)).sum();
        prop_assert_eq!((last_hour.requests, last_hour.failed_5xx), (within, 2 * within));
        prop_assert!(last_minute.requests <= last_hour.requests);
        let newest = points.range(55..60).next_back();
        let minute = newest.map_or(0, |(_, count)| u64::from(*count));
        prop_assert_eq!(last_minute.requests, minute);
        prop_assert_eq!(last_minute.since, moment(newest.map_or(59, |(minute, _)| *minute)));
        prop_assert!((60.0 * last_minute.per_second - minute as f64).abs() < 1e-6, "{last_minute:?}");
    }

    #[test]
    fn any_answer_is_survived(id in "requests|x", status in ".{0,9}", moment in ".{0,30}", value in ".{0,9}") {
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let (status, moment, value) = (escape(&status), escape(&moment), escape(&value));
        let members = answer_of(&id, &status, &[(moment, value)]);
        if let Some(page) = Element::parse(&results(&members)) {
            let mut series = Series::default();
            let _ = series.read(&page);
            let _ = Metrics::of(&series, Hour::before(now()));
        }
    }
}

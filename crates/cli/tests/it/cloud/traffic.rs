//! How much a place on AWS serves: told by CloudWatch, or not, and then nothing is worse for it.

use std::time::Duration;

use gimmetime_clock::{iso, source};
use serde_json::{Value, json};

use super::place::Cloud;
use crate::place::{Ran, eventually};

impl Cloud {
    /// Has CloudWatch know what the balancer would have reported: metric, minutes ago, values.
    fn report(&self, points: &[(&str, u64, &[f64])]) {
        let stack = self.aws(&format!("cloudformation describe-stacks --stack-name {}", self.name));
        let outputs = stack["Stacks"][0]["Outputs"].as_array().unwrap();
        let arn = outputs.iter().find(|output| output["OutputKey"] == "BalancerArn").unwrap()["OutputValue"].clone();
        let (_, balancer) = arn.as_str().unwrap().split_once(":loadbalancer/").unwrap();
        let now = source::wall();
        let datum = |(name, ago, values): &(&str, u64, &[f64]), balancer: &str| {
            json!({
                "MetricName": name,
                "Dimensions": [{"Name": "LoadBalancer", "Value": balancer}],
                "Timestamp": iso::format(now.minus(Duration::from_mins(*ago))),
                "Values": values,
            })
        };
        let ours = points.iter().map(|point| datum(point, balancer));
        // Another balancer has its own.
        let all: Vec<Value> = ours.chain(points.iter().map(|point| datum(point, "app/other/1"))).collect();
        self.file("metrics.json", &json!(all).to_string());
        self.aws("cloudwatch put-metric-data --namespace AWS/ApplicationELB --metric-data file://metrics.json");
    }
}

#[test]
fn what_cloudwatch_counted_is_told_by_status_and_before_a_deletion() {
    let cloud = Cloud::new();
    cloud.must(&["up", "--yes"]);
    cloud.report(&[
        ("RequestCount", 4, &[924.0]),
        ("RequestCount", 30, &[80.0]),
        ("HTTPCode_Target_5XX_Count", 30, &[2.0]),
        ("TargetResponseTime", 4, &[0.004, 0.004]),
    ]);
    let traffic = eventually("CloudWatch tells", || {
        let status = cloud.json(&["status"]);
        (status["traffic_error"] == Value::Null).then(|| status["traffic"].clone())
    });
    let (minute, hour) = (&traffic["last_minute"], &traffic["last_hour"]);
    assert_eq!(
        (&minute["requests"], &minute["failed_5xx"], &minute["per_second"]),
        (&json!(924), &json!(0), &json!(15.4))
    );
    assert_eq!(
        (&hour["requests"], &hour["failed_5xx"], &hour["p99_seconds"]),
        (&json!(1004), &json!(2), &json!(0.004))
    );
    eventually("CloudWatch tells", || {
        let line = "last hour 1,004 requests, 2 5xx, p99 4.0 ms · now 15.4/s (at ";
        cloud.must(&["status"]).stdout.contains(line).then_some(())
    });
    eventually("CloudWatch tells", || {
        let down = cloud.run(&["down"]);
        down.ends(2).says("deletes ").says("pass --yes --name");
        down.stderr.contains("; serving 15.4 requests/s NOW (at ").then_some(())
    });

    // Nobody listens on the port for "discard" here.
    let elsewhere = |args: &[&str]| {
        let mut command = cloud.command(args);
        Ran::of(command.env("AWS_ENDPOINT_URL_CLOUDWATCH", "http://127.0.0.1:9").output().unwrap())
    };
    let why = "cannot read the rates: no answer from http://127.0.0.1:9/";
    elsewhere(&["status"]).ends(0).says("OK").says(why);
    let status: Value = serde_json::from_str(&elsewhere(&["status", "-o", "json"]).ends(0).stdout).unwrap();
    assert_eq!((&status["traffic"], &status["healthy"]), (&Value::Null, &json!(2)), "{status:#}");
    assert!(status["traffic_error"].as_str().unwrap().starts_with(why), "{status:#}");
    let down = elsewhere(&["down", "--yes", "--name", &cloud.name]);
    down.ends(0).says(why).says("✔ stack gone").says("left: 0 resources");
}

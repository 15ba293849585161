//! Our own operations of the API, asked of a running engine.

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_api::{DESCRIBE_ENGINE, Keys, MODIFY_PLACE, PlaceChange, client};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Endpoint;
use crate::error::EngineError;

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineDescription {
    /// The supervisor's process.
    pub pid: u32,
    /// The place's folder.
    pub state_directory: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// When it was started, in seconds since the Unix epoch.
    pub started_at: f64,
    /// The version of our own operations.
    pub api_version: String,
    /// The place as it is now.
    pub place: PlaceDescription,
    /// What it counted.
    pub metrics: Metrics,
}

/// The place as it is now.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceDescription {
    /// Its name.
    pub name: String,
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The path of the target group's health check.
    pub health_path: String,
    /// The real period between checks.
    #[serde(rename = "healthIntervalMilliseconds")]
    pub health_interval_ms: u64,
    /// How long a check may take.
    #[serde(rename = "healthTimeoutMilliseconds")]
    pub health_timeout_ms: u64,
    /// How long a draining target may finish what is in flight.
    #[serde(rename = "deregistrationDelayMilliseconds")]
    pub deregistration_delay_ms: u64,
    /// `round_robin` or `least_outstanding_requests`.
    pub algorithm: String,
}

/// Traffic over two windows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// The last sixty seconds.
    pub last_minute: Traffic,
    /// The last sixty minutes.
    pub last_hour: Traffic,
}

/// What the balancer counted over a window.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Requests answered.
    pub requests: u64,
    /// Of these, with a 5xx.
    pub failed5xx: u64,
    /// Requests per second.
    pub per_second: f64,
    /// 99th percentile of the time to the whole answer, in seconds.
    pub p99_seconds: Option<f64>,
}

impl Traffic {
    /// 99th percentile of the time to the whole answer.
    pub fn p99(&self) -> Option<Duration> {
        self.p99_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    }
}

impl Endpoint {
    /// What the engine says of itself.
    pub async fn describe(&self) -> Result<EngineDescription, EngineError> {
        let answer = self.call(DESCRIBE_ENGINE, &json!({})).await?;
        serde_json::from_value(answer).map_err(|error| refused(DESCRIBE_ENGINE, &error))
    }

    /// Changes the place; what is `None` stays. A new `listen` is bound before the old one is let go.
    pub async fn modify_place(&self, change: &PlaceChange) -> Result<(), EngineError> {
        self.call(MODIFY_PLACE, &parameters(change)).await.map(drop)
    }

    async fn call(&self, target: &str, parameters: &Value) -> Result<Value, EngineError> {
        let address = self.url.strip_prefix("http://").unwrap_or(&self.url);
        let address: SocketAddr = address.parse().map_err(|error| refused(target, &error))?;
        let keys = Keys { access_key: self.access_key.clone(), secret_key: self.secret_key.clone() };
        client::call(address, &keys, target, parameters).await.map_err(|error| refused(target, &error))
    }
}

fn refused(operation: &str, error: &dyn std::fmt::Display) -> EngineError {
    let operation = operation.rsplit('.').next().unwrap_or(operation).to_owned();
    EngineError::Refused { operation, message: error.to_string() }
}

fn parameters(change: &PlaceChange) -> Value {
    let fields = [
        ("listen", change.listen.map(|listen| json!(listen.to_string()))),
        ("healthPath", change.health_path.as_ref().map(|path| json!(path))),
        ("healthIntervalMilliseconds", change.health_interval_ms.map(Value::from)),
        ("healthTimeoutMilliseconds", change.health_timeout_ms.map(Value::from)),
        ("healthyThresholdCount", change.healthy_threshold.map(Value::from)),
        ("unhealthyThresholdCount", change.unhealthy_threshold.map(Value::from)),
        ("deregistrationDelayMilliseconds", change.deregistration_delay_ms.map(Value::from)),
        ("algorithm", change.algorithm.map(|algorithm| json!(algorithm))),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

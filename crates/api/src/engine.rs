//! Our own operations: what the AWS APIs have no word for. All other additions stay out of their shapes.

use serde_json::{Map, Value, json};

use gimmetime_scheduler::model::{Algorithm, Place};

use crate::parameters::Parameters;
use crate::world::{PlaceChange, Traffic};
use crate::{ApiError, Call, World, time};

/// The version of these operations.
pub const API_VERSION: &str = "2026-11-22";
/// `X-Amz-Target` of the operation that says how the engine does.
pub const DESCRIBE_ENGINE: &str = "GimmetimeEngine_20261122.DescribeEngine";
/// `X-Amz-Target` of the operation that changes the place.
pub const MODIFY_PLACE: &str = "GimmetimeEngine_20261122.ModifyPlace";

/// The longest any duration of a place may be: an hour, as the ALB's deregistration delay.
const LONGEST_MS: i64 = 3_600_000;

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    let parameters = Parameters::new(call.service, &call.parameters)?;
    match call.operation.as_str() {
        "DescribeEngine" => describe_engine(world, parameters),
        "ModifyPlace" => modify_place(world, parameters),
        other => Err(call.service.unknown_operation(other, &["DescribeEngine", "ModifyPlace"])),
    }
}

fn describe_engine(world: &mut dyn World, parameters: Parameters<'_>) -> Result<Value, ApiError> {
    parameters.finish()?;
    let facts = world.engine();
    Ok(json!({
        "pid": facts.pid,
        "stateDirectory": facts.state_directory.to_string_lossy(),
        "listen": facts.listen.to_string(),
        "startedAt": time::seconds(facts.started_at),
        "apiVersion": API_VERSION,
        "place": place(&world.model().place),
        "metrics": {"lastMinute": traffic(&facts.last_minute), "lastHour": traffic(&facts.last_hour)},
    }))
}

fn modify_place(world: &mut dyn World, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let change = read_change(&mut parameters)?;
    parameters.finish()?;
    world.modify_place(change).map_err(ApiError::invalid_parameter)?;
    Ok(json!({"place": place(&world.model().place)}))
}

fn read_change(parameters: &mut Parameters<'_>) -> Result<PlaceChange, ApiError> {
    let listen = parameters.text("listen")?.map(str::parse).transpose();
    let listen =
        listen.map_err(|_| parameters.invalid("listen", "expected an address and a port, as in 127.0.0.1:8080"))?;
    let health_path = parameters.text("healthPath")?;
    if health_path
        .is_some_and(|path| !path.starts_with('/') || 1024 < path.len() || !path.bytes().all(|b| b.is_ascii_graphic()))
    {
        return Err(
            parameters.invalid("healthPath", "expected a path of up to 1024 visible characters that begins with `/`")
        );
    }
    let algorithm = match parameters.text("algorithm")? {
        None => None,
        Some("round_robin") => Some(Algorithm::RoundRobin),
        Some("least_outstanding_requests") => Some(Algorithm::LeastOutstandingRequests),
        Some(_) => return Err(parameters.invalid("algorithm", "expected round_robin or least_outstanding_requests")),
    };
    let millis = |parameters: &mut Parameters<'_>, name, least| {
        parameters.integer(name, (least, LONGEST_MS)).map(|number| number.map(|number| number as u64))
    };
    Ok(PlaceChange {
        listen,
        health_path: health_path.map(str::to_owned),
        algorithm,
        health_interval_ms: millis(parameters, "healthIntervalMilliseconds", 10)?,
        health_timeout_ms: millis(parameters, "healthTimeoutMilliseconds", 10)?,
        deregistration_delay_ms: millis(parameters, "deregistrationDelayMilliseconds", 0)?,
        healthy_threshold: parameters.integer("healthyThresholdCount", (1, 10))?.map(|count| count as u32),
        unhealthy_threshold: parameters.integer("unhealthyThresholdCount", (1, 10))?.map(|count| count as u32),
    })
}

/// The place as it is: real periods, where ELBv2's shapes can only show the ALB's nearest.
fn place(place: &Place) -> Value {
    let check = &place.health_check;
    json!({
        "name": place.name,
        "listen": place.listen.to_string(),
        "createdAt": time::seconds(place.created_at),
        "healthPath": check.path,
        "healthIntervalMilliseconds": check.interval_ms,
        "healthTimeoutMilliseconds": check.timeout_ms,
        "healthyThresholdCount": check.healthy_threshold,
        "unhealthyThresholdCount": check.unhealthy_threshold,
        "deregistrationDelayMilliseconds": place.deregistration_delay_ms,
        "algorithm": place.algorithm,
    })
}

fn traffic(traffic: &Traffic) -> Value {
    let mut value = Map::new();
    value.insert("requests".into(), traffic.requests.into());
    value.insert("failed5xx".into(), traffic.failed_5xx.into());
    value.insert("perSecond".into(), traffic.per_second.into());
    if let Some(p99) = traffic.p99_seconds {
        value.insert("p99Seconds".into(), p99.into());
    }
    value.into()
}

//! `deploymentConfiguration`: read over what is configured already, and shown in today's spelling.

use gimmetime_scheduler::model::{Breaker, BreakerThreshold, BreakerType, RolloutConfiguration};
use serde_json::{Map, Value, json};

use crate::ApiError;
use crate::parameters::Parameters;

/// The configuration that a call asks for; what it leaves out stays as `current` has it. `None` if it asks for nothing.
pub(super) fn read(
    parameters: &mut Parameters<'_>,
    current: &RolloutConfiguration,
) -> Result<Option<RolloutConfiguration>, ApiError> {
    let Some(mut given) = parameters.object("deploymentConfiguration")? else { return Ok(None) };
    if given.text("strategy")?.is_some_and(|strategy| strategy != "ROLLING") {
        return Err(given.invalid("strategy", "only ROLLING is supported by this engine"));
    }
    if given.integer("bakeTimeInMinutes", (0, 1440))?.is_some_and(|minutes| minutes != 0) {
        return Err(given.invalid("bakeTimeInMinutes", "this engine rolls without a bake time: leave it out"));
    }
    refuse_if_enabled(&mut given, "alarms")?;
    refuse_if_enabled(&mut given, "earlySuccessCriteria")?;
    let percent = |given: &mut Parameters<'_>, name, current: u32| {
        given.integer(name, (0, 1000)).map(|number| number.map_or(current, |number| number as u32))
    };
    let rollout = RolloutConfiguration {
        minimum_healthy_percent: percent(&mut given, "minimumHealthyPercent", current.minimum_healthy_percent)?,
        maximum_percent: percent(&mut given, "maximumPercent", current.maximum_percent)?,
        breaker: read_breaker(&mut given)?.unwrap_or_else(|| current.breaker.clone()),
    };
    given.finish()?;
    Ok(Some(rollout))
}

/// A switch that is off asks for nothing.
fn refuse_if_enabled(given: &mut Parameters<'_>, name: &'static str) -> Result<(), ApiError> {
    let off = |value: &Value| value.get("enable") == Some(&Value::Bool(false));
    match given.value(name) {
        Some(value) if !off(value) => Err(given.invalid(name, "not supported by this engine: leave it out")),
        _ => Ok(()),
    }
}

fn read_breaker(given: &mut Parameters<'_>) -> Result<Option<Breaker>, ApiError> {
    let Some(mut breaker) = given.object("deploymentCircuitBreaker")? else { return Ok(None) };
    let required = |breaker: &mut Parameters<'_>, name| breaker.boolean(name)?.ok_or_else(|| breaker.missing(name));
    let threshold = match breaker.object("thresholdConfiguration")? {
        Some(mut threshold) => {
            let kind = match threshold.required_text("type")? {
                "BOUNDED_PERCENT" => BreakerType::BoundedPercent,
                "UNBOUNDED_PERCENT" => BreakerType::UnboundedPercent,
                "COUNT" => BreakerType::Count,
                _ => return Err(threshold.invalid("type", "expected BOUNDED_PERCENT, UNBOUNDED_PERCENT or COUNT")),
            };
            let value = threshold.integer("value", (1, i64::from(u32::MAX)))?;
            let value = value.ok_or_else(|| threshold.missing("value"))? as u32;
            threshold.finish()?;
            Some(BreakerThreshold { kind, value })
        }
        None => None,
    };
    let read = Breaker {
        enable: required(&mut breaker, "enable")?,
        rollback: required(&mut breaker, "rollback")?,
        threshold,
        reset_on_healthy_task: breaker.boolean("resetOnHealthyTask")?,
    };
    breaker.finish()?;
    Ok(Some(read))
}

pub(super) fn view(rollout: &RolloutConfiguration) -> Value {
    let Breaker { enable, rollback, threshold, reset_on_healthy_task } = &rollout.breaker;
    let mut breaker = Map::new();
    breaker.insert("enable".into(), (*enable).into());
    breaker.insert("rollback".into(), (*rollback).into());
    if let Some(threshold) = threshold {
        breaker.insert("thresholdConfiguration".into(), json!({"type": threshold.kind, "value": threshold.value}));
    }
    if let Some(reset) = reset_on_healthy_task {
        breaker.insert("resetOnHealthyTask".into(), (*reset).into());
    }
    json!({
        "deploymentCircuitBreaker": breaker,
        "maximumPercent": rollout.maximum_percent,
        "minimumHealthyPercent": rollout.minimum_healthy_percent,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
    })
}

//! ELBv2: the one load balancer, its target group, its listener, and how its targets are.
//!
//! Periods and thresholds are shown as the nearest the ALB knows (5 s, 2 checks): clients validate them. The real ones are in
//! `DescribeEngine`.

use gimmetime_scheduler::model::{HealthCheck, Model, Target, Task};
use serde_json::{Map, Value, json};

use crate::parameters::Parameters;
use crate::{ApiError, Call, World, time};

/// The port a target group registers targets with by default; every target here brings its own.
const DEFAULT_TARGET_PORT: u16 = 80;

const OPERATIONS: [&str; 4] =
    ["DescribeLoadBalancers", "DescribeTargetGroups", "DescribeListeners", "DescribeTargetHealth"];

pub(crate) fn answer(world: &mut dyn World, call: &Call) -> Result<Value, ApiError> {
    let parameters = Parameters::new(call.service, &call.parameters)?;
    let model = world.model();
    match call.operation.as_str() {
        "DescribeLoadBalancers" => describe_load_balancers(model, parameters),
        "DescribeTargetGroups" => describe_target_groups(model, parameters),
        "DescribeListeners" => describe_listeners(model, parameters),
        "DescribeTargetHealth" => describe_target_health(model, parameters),
        other => Err(call.service.unknown_operation(other, &OPERATIONS)),
    }
}

fn describe_load_balancers(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let arns = parameters.texts("LoadBalancerArns")?;
    let names = parameters.texts("Names")?;
    finish_page(parameters)?;
    let (arn, place) = (model.arns().load_balancer(), &model.place);
    let unknown = arns.iter().filter(|given| **given != arn).chain(names.iter().filter(|given| **given != place.name));
    if let Some(unknown) = unknown.map(String::as_str).next() {
        return Err(load_balancer_not_found(unknown));
    }
    Ok(json!({"LoadBalancers": [{
        "LoadBalancerArn": arn,
        "DNSName": place.listen.ip().to_string(),
        "CreatedTime": time::text(place.created_at),
        "LoadBalancerName": place.name,
        "Scheme": "internal",
        "State": {"Code": "active"},
        "Type": "application",
        "AvailabilityZones": [{"ZoneName": "local"}],
        "IpAddressType": "ipv4",
    }]}))
}

fn describe_target_groups(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let balancer = parameters.text("LoadBalancerArn")?;
    let arns = parameters.texts("TargetGroupArns")?;
    let names = parameters.texts("Names")?;
    finish_page(parameters)?;
    check_load_balancer(model, balancer)?;
    let arn = model.arns().target_group();
    if arns.iter().any(|given| *given != arn) || names.iter().any(|given| *given != model.place.name) {
        return Err(target_group_not_found());
    }
    Ok(json!({"TargetGroups": [target_group(model)]}))
}

fn target_group(model: &Model) -> Value {
    let HealthCheck { path, interval_ms, timeout_ms, healthy_threshold, unhealthy_threshold, matcher } =
        &model.place.health_check;
    let (lowest, highest) = matcher;
    json!({
        "TargetGroupArn": model.arns().target_group(),
        "TargetGroupName": model.place.name,
        "Protocol": "HTTP",
        "ProtocolVersion": "HTTP1",
        "Port": DEFAULT_TARGET_PORT,
        "TargetType": "ip",
        "IpAddressType": "ipv4",
        "HealthCheckEnabled": true,
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckPath": path,
        "HealthCheckIntervalSeconds": interval_ms.div_ceil(1000).clamp(5, 300),
        "HealthCheckTimeoutSeconds": timeout_ms.div_ceil(1000).clamp(2, 120),
        "HealthyThresholdCount": healthy_threshold.clamp(&2, &10),
        "UnhealthyThresholdCount": unhealthy_threshold.clamp(&2, &10),
        "Matcher": {"HttpCode": if lowest == highest { lowest.to_string() } else { format!("{lowest}-{highest}") }},
        "LoadBalancerArns": [model.arns().load_balancer()],
    })
}

fn describe_listeners(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let balancer = parameters.text("LoadBalancerArn")?;
    let arns = parameters.texts("ListenerArns")?;
    if balancer.is_none() && arns.is_empty() {
        return Err(parameters.refusal("one of `LoadBalancerArn` and `ListenerArns` is required".to_owned()));
    }
    finish_page(parameters)?;
    check_load_balancer(model, balancer)?;
    let (arn, group) = (model.arns().listener(), model.arns().target_group());
    if arns.iter().any(|given| *given != arn) {
        return Err(ApiError::new("ListenerNotFound", "One or more listeners not found"));
    }
    Ok(json!({"Listeners": [{
        "ListenerArn": arn,
        "LoadBalancerArn": model.arns().load_balancer(),
        "Port": model.place.listen.port(),
        "Protocol": "HTTP",
        "DefaultActions": [{
            "Type": "forward",
            "TargetGroupArn": group,
            "Order": 1,
            "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": group, "Weight": 1}],
                "TargetGroupStickinessConfig": {"Enabled": false},
            },
        }],
    }]}))
}

fn describe_target_health(model: &Model, mut parameters: Parameters<'_>) -> Result<Value, ApiError> {
    let group = parameters.required_text("TargetGroupArn")?;
    let mut wanted = Vec::new();
    for mut target in parameters.objects("Targets")? {
        let id = target.required_text("Id")?.to_owned();
        let port = target.integer("Port", (1, 65535))?.map(|port| port as u16);
        target.value("AvailabilityZone");
        target.finish()?;
        wanted.push((id, port));
    }
    parameters.finish()?;
    if group != model.arns().target_group() {
        return Err(target_group_not_found());
    }
    let registered: Vec<(String, u16, Value)> = registered(model).collect();
    if wanted.is_empty() {
        return Ok(
            json!({"TargetHealthDescriptions": registered.into_iter().map(|(_, _, value)| value).collect::<Value>()}),
        );
    }
    let mut found = Vec::new();
    for (id, port) in wanted {
        let same = |(ip, at, _): &&(String, u16, Value)| *ip == id && port.is_none_or(|port| port == *at);
        let matches: Vec<Value> = registered.iter().filter(same).map(|(_, _, value)| value.clone()).collect();
        found.extend(if matches.is_empty() { vec![not_registered(&id, port)] } else { matches });
    }
    Ok(json!({"TargetHealthDescriptions": found}))
}

/// Every registered target: its address and its description. A task that does not listen yet is not one.
fn registered(model: &Model) -> impl Iterator<Item = (String, u16, Value)> {
    model.targets.iter().filter_map(|(id, target)| {
        let address = model.tasks.get(id).and_then(|task: &Task| task.address)?;
        Some((
            address.ip().to_string(),
            address.port(),
            target_health(&address.ip().to_string(), address.port(), target),
        ))
    })
}

fn target_health(ip: &str, port: u16, target: &Target) -> Value {
    let mut health = Map::new();
    health.insert("State".into(), json!(target.state));
    if let Some(reason) = &target.reason {
        health.insert("Reason".into(), json!(reason));
    }
    if let Some(description) = &target.description {
        health.insert("Description".into(), json!(description));
    }
    json!({"Target": {"Id": ip, "Port": port}, "HealthCheckPort": port.to_string(), "TargetHealth": health})
}

fn not_registered(ip: &str, port: Option<u16>) -> Value {
    let mut target = Map::new();
    target.insert("Id".into(), ip.into());
    if let Some(port) = port {
        target.insert("Port".into(), port.into());
    }
    json!({"Target": target, "TargetHealth": {
        "State": "unused",
        "Reason": "Target.NotRegistered",
        "Description": "Target is not registered to the target group",
    }})
}

/// There is never a second page, so no marker was ever handed out.
fn finish_page(mut parameters: Parameters<'_>) -> Result<(), ApiError> {
    parameters.integer("PageSize", (1, 400))?;
    match parameters.text("Marker")? {
        Some(marker) if !marker.is_empty() => Err(parameters.invalid("Marker", "not one this API has handed out")),
        _ => parameters.finish(),
    }
}

fn check_load_balancer(model: &Model, given: Option<&str>) -> Result<(), ApiError> {
    match given {
        Some(arn) if arn != model.arns().load_balancer() => Err(load_balancer_not_found(arn)),
        _ => Ok(()),
    }
}

fn load_balancer_not_found(given: &str) -> ApiError {
    ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{given}]' not found"))
}

fn target_group_not_found() -> ApiError {
    ApiError::new("TargetGroupNotFound", "One or more target groups not found")
}

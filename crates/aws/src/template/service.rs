//! What runs in the place, as the resources that `ops` makes through the ECS API: the same facts.

use std::collections::BTreeMap;

use gimmetime_ops::fargate::{DROPPED_CAPABILITIES, GRACE_SECONDS, LOG_BUFFER, PLATFORM_VERSION};
use gimmetime_ops::{CONTAINER, FIRST_COUNT, ServiceSpec};

use crate::spec::PlaceSpec;

use super::assemble::{execution_role, list, task_role, values};
use super::fill::{fill, scalar};
use super::secret;
use super::wiring::Wiring;

/// Task definition and service.
pub(super) fn fragment(spec: &PlaceSpec, wiring: &Wiring, service: &ServiceSpec, architecture: &str) -> String {
    let command: Vec<String> = service.command.iter().map(|word| scalar(word)).collect();
    let command = if command.is_empty() { Vec::new() } else { vec![format!("Command: {}", list(&command))] };
    let after: Vec<String> = ["Listener".to_owned()].into_iter().chain(wiring.tasks_after.clone()).collect();
    let threshold = service.rollout.failures.iter();
    let threshold = threshold.map(|count| format!("ThresholdConfiguration: {{Type: COUNT, Value: {count}}}")).collect();
    let mut environment = service.env.clone();
    environment.insert("PORT".to_owned(), service.port.to_string());
    let environment = environment.iter().map(|(name, value)| (name, scalar(value))).collect();
    let value_from =
        |reference: &String| secret::read(reference).map_or_else(|_| scalar(reference), |read| read.value_from());
    let secrets = service.secrets.iter().map(|(name, reference)| (name, value_from(reference))).collect();
    let values = values(spec, wiring)
        .text("container", CONTAINER)
        .yaml("dropped-capabilities", DROPPED_CAPABILITIES)
        .yaml("log-buffer", LOG_BUFFER)
        .yaml("platform-version", PLATFORM_VERSION)
        .yaml("grace", GRACE_SECONDS.to_string())
        .yaml("execution-role", execution_role(spec))
        .yaml("task-role", task_role(spec))
        .text("cpu", &service.size.cpu.to_string())
        .text("memory", &service.size.memory.to_string())
        .text("architecture", architecture)
        .text("image", &service.image)
        .lines("command", command)
        .yaml("stop-timeout", service.rollout.stop_timeout.as_secs().to_string())
        .yaml("port", service.port.to_string())
        .text("health", &service.health)
        .lines("environment", pairs("Environment", "Value", &environment))
        .lines("container-secrets", pairs("Secrets", "ValueFrom", &secrets))
        .yaml("service-after", list(&after))
        .yaml("count", service.count.unwrap_or(FIRST_COUNT).to_string())
        .yaml("min-healthy", service.rollout.min_healthy_percent.to_string())
        .yaml("max-percent", service.rollout.max_percent.to_string())
        .lines("threshold", threshold)
        .yaml("assign-public-ip", if wiring.public_ip { "ENABLED" } else { "DISABLED" });
    fill(include_str!("fragments/service.yaml"), &values)
}

/// `Environment:` or `Secrets:` with one entry a line; nothing for none.
fn pairs(key: &str, value_key: &str, entries: &BTreeMap<&String, String>) -> Vec<String> {
    if entries.is_empty() {
        return Vec::new();
    }
    let line = |(name, value): (&&String, &String)| format!("  - {{Name: {}, {value_key}: {value}}}", scalar(name));
    [format!("{key}:")].into_iter().chain(entries.iter().map(line)).collect()
}

//! What a release consists of, in plain values: to register it, to compare it, and to say in words what changed.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{ContainerDefinition, PortMapping, TaskDefinition};
use serde::Serialize;

use crate::fargate::{self, FargateDefinition};
use crate::place::{CONTAINER, Launch, Place, ServiceSpec};

/// The docker label that bears a release's health path.
pub(crate) const HEALTH_LABEL: &str = "gimmetime.health";
/// Nobody: what tasks run as.
const USER: &str = "65532";

/// Everything of a task definition that makes two releases differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Definition {
    /// The image by digest.
    pub image: String,
    /// Replaces the image's arguments when not empty.
    pub command: Vec<String>,
    /// Plain environment variables.
    pub environment: BTreeMap<String, String>,
    /// Variables by reference.
    pub secrets: BTreeMap<String, String>,
    /// The port it listens on.
    pub port: Option<u16>,
    /// The path the balancer asks for health.
    pub health: Option<String>,
    /// CPU units.
    pub cpu: Option<String>,
    /// Memory in MiB.
    pub memory: Option<String>,
    /// Seconds that SIGTERM may take.
    pub stop_timeout: Option<u32>,
    /// Whom it runs as.
    pub user: Option<String>,
    /// Whether its root file system is read-only.
    pub read_only: bool,
    /// The options of the log driver.
    pub log: BTreeMap<String, String>,
    /// What only Fargate has. Elsewhere it is no part of the fingerprint: what an earlier version wrote down stays true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fargate: Option<FargateDefinition>,
}

impl Definition {
    /// What a specification asks for in this place.
    pub fn wanted(place: &Place, spec: &ServiceSpec) -> Self {
        let wanted = Self::wanted_anywhere(place, spec);
        let Launch::Fargate(fargate) = &place.launch else { return wanted };
        let mut environment = wanted.environment;
        // Each task has an address of its own there, so its port is the service's to give.
        environment.insert("PORT".to_owned(), spec.port.to_string());
        let arn = |(name, reference): (&String, &String)| (name.clone(), fargate::secret_arn(fargate, reference));
        Self {
            environment,
            secrets: spec.secrets.iter().map(arn).collect(),
            log: fargate::log_options(place, fargate),
            fargate: Some(FargateDefinition::wanted(fargate)),
            ..wanted
        }
    }

    fn wanted_anywhere(place: &Place, spec: &ServiceSpec) -> Self {
        let log = BTreeMap::from([
            ("awslogs-group".to_owned(), place.log_group.clone()),
            ("awslogs-stream-prefix".to_owned(), place.service.clone()),
        ]);
        Self {
            image: spec.image.clone(),
            command: spec.command.clone(),
            environment: spec.env.clone(),
            secrets: spec.secrets.clone(),
            port: Some(spec.port),
            health: Some(spec.health.clone()),
            cpu: Some(spec.size.cpu.to_string()),
            memory: Some(spec.size.memory.to_string()),
            stop_timeout: Some(spec.rollout.stop_timeout.as_secs().try_into().unwrap_or(u32::MAX)),
            user: Some(USER.to_owned()),
            read_only: true,
            log,
            fargate: None,
        }
    }

    /// What a registered task definition says of the container `app`, or of its only one.
    pub(crate) fn read(registered: &TaskDefinition) -> Self {
        let containers = registered.container_definitions();
        let app = containers.iter().find(|container| container.name() == Some(CONTAINER)).or(containers.first());
        let container = app.map(Self::read_container).unwrap_or_default();
        Self {
            cpu: registered.cpu().map(str::to_owned),
            memory: registered.memory().map(str::to_owned),
            fargate: FargateDefinition::read(registered),
            ..container
        }
    }

    fn read_container(app: &ContainerDefinition) -> Self {
        let pair = |name: Option<&str>, value: Option<&str>| Some((name?.to_owned(), value.unwrap_or("").to_owned()));
        let label = app.docker_labels().and_then(|labels| labels.get(HEALTH_LABEL));
        Self {
            image: app.image().unwrap_or_default().to_owned(),
            command: app.command().to_vec(),
            environment: app.environment().iter().filter_map(|entry| pair(entry.name(), entry.value())).collect(),
            secrets: app.secrets().iter().map(|s| (s.name().to_owned(), s.value_from().to_owned())).collect(),
            port: app
                .port_mappings()
                .first()
                .and_then(PortMapping::container_port)
                .and_then(|port| port.try_into().ok()),
            health: label.cloned(),
            stop_timeout: app.stop_timeout().and_then(|seconds| seconds.try_into().ok()),
            user: app.user().map(str::to_owned),
            read_only: app.readonly_root_filesystem() == Some(true),
            log: app
                .log_configuration()
                .and_then(|log| log.options())
                .map(|options| options.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
                .unwrap_or_default(),
            cpu: None,
            memory: None,
            fargate: None,
        }
    }

    /// The digest in the image reference, if it is named by digest.
    pub fn digest(&self) -> Option<&str> {
        self.image.split_once('@').map(|(_, digest)| digest)
    }

    /// What is different in `newer`, in a few words each. Values of variables and secrets are never told.
    pub fn changes_to(&self, newer: &Self) -> Vec<String> {
        let mut words = Vec::new();
        if self.image != newer.image {
            words.push(format!("image {}→{}", short_image(&self.image), short_image(&newer.image)));
        }
        words.extend(map_changes("env", &self.environment, &newer.environment));
        words.extend(map_changes("secret", &self.secrets, &newer.secrets));
        let plain = [
            ("command", self.command.join(" "), newer.command.join(" ")),
            ("port", shown(self.port.as_ref()), shown(newer.port.as_ref())),
            ("health path", shown(self.health.as_ref()), shown(newer.health.as_ref())),
            ("cpu", shown(self.cpu.as_ref()), shown(newer.cpu.as_ref())),
            ("memory", shown(self.memory.as_ref()), shown(newer.memory.as_ref())),
            ("stop timeout", shown(self.stop_timeout.as_ref()), shown(newer.stop_timeout.as_ref())),
            ("user", shown(self.user.as_ref()), shown(newer.user.as_ref())),
            ("read-only root", self.read_only.to_string(), newer.read_only.to_string()),
        ];
        let differing = plain.into_iter().filter(|(_, old, new)| old != new);
        words.extend(differing.map(|(name, old, new)| format!("{name} {}→{}", or_none(&old), or_none(&new))));
        let (old, new) = (self.fargate.clone().unwrap_or_default(), newer.fargate.clone().unwrap_or_default());
        let fargate = [
            ("architecture", old.architecture != new.architecture),
            ("execution role", old.execution_role != new.execution_role),
            ("task role", old.task_role != new.task_role),
        ];
        words.extend(fargate.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()));
        if self.log != newer.log {
            words.push("log settings".to_owned());
        }
        words
    }

    /// A fingerprint of everything but the image, the same on every machine and in every version of this program.
    pub(crate) fn fingerprint(&self) -> String {
        let rest = Self { image: String::new(), ..self.clone() };
        // Serialising plain strings, numbers and ordered maps cannot fail.
        fingerprint(&serde_json::to_string(&rest).expect("plain values serialise"))
    }
}

/// Sixteen hex digits of a text: FNV-1a, 64 bits. It tells settings apart; nothing is secured by it.
pub(crate) fn fingerprint(text: &str) -> String {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

/// First four digits of a digest, or the whole reference when it has none.
fn short_image(image: &str) -> &str {
    match image.split_once("@sha256:") {
        Some((_, hex)) => hex.get(..4).unwrap_or(hex),
        None => image,
    }
}

fn shown<T: ToString>(value: Option<&T>) -> String {
    value.map(ToString::to_string).unwrap_or_default()
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "none" } else { text }
}

fn map_changes(kind: &str, old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<String> {
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| format!("{kind} {key} removed"));
    let other = new.iter().filter_map(|(key, value)| match old.get(key) {
        None => Some(format!("{kind} {key} added")),
        Some(before) if before != value => Some(format!("{kind} {key} changed")),
        Some(_) => None,
    });
    removed.chain(other).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Definition {
        Definition {
            image: format!("localhost/web@sha256:77ab{}", "0".repeat(60)),
            secrets: BTreeMap::from([("SIGNING_KEY".to_owned(), "file:/key".to_owned())]),
            environment: BTreeMap::from([("LOG".to_owned(), "info".to_owned())]),
            port: Some(8080),
            ..Definition::default()
        }
    }

    #[test]
    fn says_in_words_what_changed_and_never_a_value() {
        let mut newer = definition();
        newer.image = format!("localhost/web@sha256:c0de{}", "0".repeat(60));
        newer.secrets.clear();
        newer.environment.insert("LOG".to_owned(), "hunter2".to_owned());
        newer.health = Some("/live".to_owned());
        let words = definition().changes_to(&newer);
        assert_eq!(
            words,
            ["image 77ab→c0de", "env LOG changed", "secret SIGNING_KEY removed", "health path none→/live"]
        );
    }

    #[test]
    fn an_equal_definition_has_no_changes() {
        assert!(definition().changes_to(&definition()).is_empty());
    }

    #[test]
    fn the_fingerprint_ignores_the_image_only() {
        let mut other = definition();
        other.image = "localhost/web@sha256:00".to_owned();
        assert_eq!(definition().fingerprint(), other.fingerprint());
        other.port = Some(1);
        assert_ne!(definition().fingerprint(), other.fingerprint());
    }

    #[test]
    fn fingerprints_do_not_change_between_versions_of_this_program() {
        assert_eq!(fingerprint("a"), "af63dc4c8601ec8c");
    }
}

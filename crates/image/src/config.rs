//! The image config (OCI image-spec, config.md): how the program is started.
//!
//! Written with every field that matters and in this order, which is part of the digest; read leniently, since
//! other tools write `null` for what they leave out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::digest::Digest;
use crate::manifest::Annotations;
use crate::spec::{EPOCH, Spec};

/// The user that images without root have by custom; it needs no entry in `/etc/passwd`.
pub(crate) const USER: &str = "65532:65532";
/// Where the layer holds the program.
pub(crate) const ENTRYPOINT: &str = "/app";
pub(crate) const ARCHITECTURE: &str = "amd64";
pub(crate) const OS: &str = "linux";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Config {
    #[serde(default)]
    pub(crate) created: Option<String>,
    pub(crate) architecture: String,
    pub(crate) os: String,
    #[serde(default, rename = "config")]
    pub(crate) execution: Option<Execution>,
    pub(crate) rootfs: RootFs,
    #[serde(default)]
    history: Option<Vec<History>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Execution {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<BTreeMap<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) env: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) working_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Annotations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RootFs {
    #[serde(rename = "type")]
    kind: String,
    pub(crate) diff_ids: Vec<Digest>,
}

#[derive(Debug, Serialize, Deserialize)]
struct History {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<String>,
}

impl Config {
    pub(crate) fn of(spec: &Spec, diff_id: Digest) -> Self {
        let env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let execution = Execution {
            user: Some(USER.to_owned()),
            exposed_ports: Some(BTreeMap::from([(format!("{}/tcp", spec.port), json!({}))])),
            env: Some(env).filter(|env| !env.is_empty()),
            entrypoint: Some(vec![ENTRYPOINT.to_owned()]),
            cmd: Some(spec.command.clone()).filter(|command| !command.is_empty()),
            working_dir: Some("/".to_owned()),
            labels: Some(spec.annotations()),
            stop_signal: Some("SIGTERM".to_owned()),
        };
        Self {
            created: Some(EPOCH.to_owned()),
            architecture: ARCHITECTURE.to_owned(),
            os: OS.to_owned(),
            execution: Some(execution),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![diff_id] },
            history: Some(vec![History {
                created: Some(EPOCH.to_owned()),
                created_by: Some("gimmetime image build".to_owned()),
            }]),
        }
    }
}

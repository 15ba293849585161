//! What runs, as tests have it: those within this room, and those that see it from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Rollout, ServiceSpec, Size};

/// Two tasks of this image, which is declared by its own name.
pub(crate) fn spec_of(image: &str) -> ServiceSpec {
    ServiceSpec {
        image: image.to_owned(),
        declared_image: image.to_owned(),
        version: "1".to_owned(),
        port: 8080,
        health: "/live".to_owned(),
        command: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        size: Size { cpu: 256, memory: 512 },
        rollout: Rollout {
            min_healthy_percent: 100,
            max_percent: 200,
            failures: Some(2),
            stop_timeout: Duration::from_secs(5),
        },
        count: Some(2),
        git: None,
    }
}

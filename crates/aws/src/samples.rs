//! Places for tests: the default one, and every combination of two choices.

use std::collections::{BTreeMap, BTreeSet};

use gimmetime_ops::{Rollout, ServiceSpec};

use crate::spec::{Access, Logs, Made, Network, PlaceSpec, Roles, Scheme, Size};

/// What `gimmetime up --target production` makes with no settings but the region.
pub(crate) fn default_place() -> PlaceSpec {
    PlaceSpec {
        name: "gimmetime".to_owned(),
        region: "eu-west-1".to_owned(),
        network: made(Made::Public, 2),
        access: Access { scheme: Scheme::InternetFacing, ingress: vec!["0.0.0.0/0".to_owned()] },
        roles: Roles::default(),
        logs: Logs { retention_days: 30, memory: true },
        protect: false,
        tags: BTreeMap::new(),
        port: 8080,
        health: "/live".to_owned(),
        size: Size { cpu: 256, memory: 512 },
        count: 2,
        secrets: BTreeSet::new(),
    }
}

/// A network of ours.
pub(crate) fn made(mode: Made, zones: u8) -> Network {
    Network::Made { mode, zones, cidr: "10.42.0.0/16".to_owned() }
}

/// A network that is there.
pub(crate) fn yours(public_ip: bool) -> Network {
    let subnets = |digits: [&str; 2]| digits.map(|digit| format!("subnet-{}", digit.repeat(17))).to_vec();
    Network::Yours {
        vpc: format!("vpc-{}", "a".repeat(17)),
        balancer_subnets: subnets(["1", "2"]),
        task_subnets: subnets(["3", "4"]),
        public_ip,
    }
}

/// What runs in it by default.
pub(crate) fn default_service() -> ServiceSpec {
    ServiceSpec {
        image: format!("123456789012.dkr.ecr.eu-west-1.amazonaws.com/gimmetime@sha256:{}", "7".repeat(64)),
        declared_image: "builtin".to_owned(),
        version: "0.1.0".to_owned(),
        port: 8080,
        health: "/live".to_owned(),
        command: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        size: gimmetime_ops::Size { cpu: 256, memory: 512 },
        rollout: Rollout {
            min_healthy_percent: 100,
            max_percent: 200,
            failures: Some(2),
            stop_timeout: std::time::Duration::from_secs(30),
        },
        count: Some(2),
        git: None,
    }
}

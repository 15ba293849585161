//! The services spoken here, and how each is told from the others on the wire.

use crate::ApiError;

/// Whose operation is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// ECS, AWS JSON 1.1.
    Ecs,
    /// Elastic Load Balancing v2, Query.
    Elbv2,
    /// CloudWatch Logs, AWS JSON 1.1.
    Logs,
    /// STS, Query.
    Sts,
    /// Our own operations, AWS JSON 1.1.
    Engine,
    /// Task metadata v4: unsigned `GET`s, never reached by a signed call.
    Metadata,
}

/// Prefixes of `X-Amz-Target`.
const TARGETS: [(&str, Service); 3] = [
    ("AmazonEC2ContainerServiceV20141113", Service::Ecs),
    ("Logs_20140328", Service::Logs),
    ("GimmetimeEngine_20261122", Service::Engine),
];

impl Service {
    /// The service and operation that a value of `X-Amz-Target` names.
    pub fn of_target(target: &str) -> Option<(Self, &str)> {
        let (prefix, operation) = target.split_once('.')?;
        let (_, service) = TARGETS.iter().find(|(known, _)| *known == prefix)?;
        Some((*service, operation))
    }

    /// The service that a `Version` of the Query protocol names.
    pub fn of_version(version: &str) -> Option<Self> {
        [Self::Elbv2, Self::Sts].into_iter().find(|service| service.version() == version)
    }

    /// Whether it speaks Query (form in, XML out) instead of JSON.
    pub fn is_query(self) -> bool {
        matches!(self, Self::Elbv2 | Self::Sts)
    }

    /// Its name in a credential's scope.
    pub fn signing_name(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::Elbv2 => "elasticloadbalancing",
            Self::Logs => "logs",
            Self::Sts => "sts",
            Self::Engine | Self::Metadata => "gimmetime",
        }
    }

    /// The version of its API.
    pub fn version(self) -> &'static str {
        match self {
            Self::Ecs => "2014-11-13",
            Self::Elbv2 => "2015-12-01",
            Self::Logs => "2014-03-28",
            Self::Sts => "2011-06-15",
            Self::Engine => crate::API_VERSION,
            Self::Metadata => "4",
        }
    }

    /// The namespace of its XML; empty where it speaks JSON.
    pub fn namespace(self) -> &'static str {
        match self {
            Self::Elbv2 => "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/",
            Self::Sts => "https://sts.amazonaws.com/doc/2011-06-15/",
            Self::Ecs | Self::Logs | Self::Engine | Self::Metadata => "",
        }
    }

    /// The refusal of an operation that is not here, with those that are.
    pub(crate) fn unknown_operation(self, operation: &str, known: &[&str]) -> ApiError {
        let known = known.join(", ");
        let version = self.version();
        if self.is_query() {
            let message =
                format!("Could not find operation {operation} for version {version}; this engine has: {known}");
            ApiError::new("InvalidAction", message)
        } else {
            let name = self.signing_name();
            let message =
                format!("`{operation}` of {name} {version} is not supported by this engine, which has: {known}");
            ApiError::new("UnknownOperationException", message)
        }
    }
}

//! What Fargate must be told of a task, and what it is told alike for every service: plain values.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{Compatibility, TaskDefinition};
use serde::Serialize;

use crate::place::{Fargate, Place};

/// How long ECS overlooks a target that is found unhealthy after its task started, in seconds. The balancer needs three
/// checks, 15 s, to call a target unhealthy: less than that costs nothing when a release fails, and it never delays one
/// that works. A server that is up within moments needs none.
pub const GRACE_SECONDS: i32 = 10;
/// The platform that tasks run on.
pub const PLATFORM_VERSION: &str = "LATEST";
/// What the log driver may hold back before it drops lines: a slow log service must never stop a task.
pub const LOG_BUFFER: &str = "25m";
/// The Linux capabilities that are taken from a task.
pub const DROPPED_CAPABILITIES: &str = "ALL";

/// Whether ECS may move tasks between zones. It starts one before it stops one, so a service without room for one task more
/// may not have it, and is refused with it.
pub fn rebalances(max_percent: u32) -> bool {
    100 < max_percent
}

/// The part of a release that only Fargate has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct FargateDefinition {
    /// `X86_64` or `ARM64`
    pub architecture: String,
    /// The role that pulls the image, fetches the secrets and writes the logs.
    pub execution_role: String,
    /// The role of the program itself.
    pub task_role: Option<String>,
}

impl FargateDefinition {
    pub(crate) fn wanted(fargate: &Fargate) -> Self {
        Self {
            architecture: fargate.architecture.clone(),
            execution_role: fargate.execution_role_arn.clone(),
            task_role: fargate.task_role_arn.clone(),
        }
    }

    /// None for a definition that is not Fargate's.
    pub(crate) fn read(registered: &TaskDefinition) -> Option<Self> {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let platform = registered.runtime_platform().and_then(|platform| platform.cpu_architecture());
        registered.requires_compatibilities().contains(&Compatibility::Fargate).then(|| Self {
            // What ECS takes when it is not said.
            architecture: platform.map_or("X86_64", |architecture| architecture.as_str()).to_owned(),
            execution_role: text(registered.execution_role_arn()).unwrap_or_default(),
            task_role: text(registered.task_role_arn()),
        })
    }
}

/// The options of the log driver.
pub(crate) fn log_options(place: &Place, fargate: &Fargate) -> BTreeMap<String, String> {
    let options = [
        ("awslogs-group", place.log_group.as_str()),
        ("awslogs-stream-prefix", &place.service),
        ("awslogs-region", &fargate.region),
        ("mode", "non-blocking"),
        ("max-buffer-size", LOG_BUFFER),
    ];
    options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

/// A secret as ECS takes it: `ssm:/time/key` and `secretsmanager:NAME` become ARNs in the account and region of the tasks,
/// all else stays as it is. What follows a name (`secretsmanager:NAME:key::`) follows it in the ARN too.
pub fn secret_arn(fargate: &Fargate, reference: &str) -> String {
    let Fargate { region, account, execution_role_arn, .. } = fargate;
    // In China and in GovCloud ARNs begin otherwise; the role was made there, and knows.
    let partition = execution_role_arn.split(':').nth(1).filter(|partition| !partition.is_empty()).unwrap_or("aws");
    let of = |service: &str, rest: String| format!("arn:{partition}:{service}:{region}:{account}:{rest}");
    match reference.split_once(':') {
        Some(("ssm", name)) => of("ssm", format!("parameter/{}", name.trim_start_matches('/'))),
        Some(("secretsmanager", name)) => of("secretsmanager", format!("secret:{name}")),
        _ => reference.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fargate;

    #[test]
    fn a_secret_by_name_becomes_an_arn_where_the_tasks_are() {
        let arn = |reference: &str| secret_arn(&fargate(), reference);
        assert_eq!(arn("ssm:/time/key"), "arn:aws:ssm:eu-west-1:123456789012:parameter/time/key");
        assert_eq!(arn("ssm:key"), "arn:aws:ssm:eu-west-1:123456789012:parameter/key");
        assert_eq!(arn("secretsmanager:time/key"), "arn:aws:secretsmanager:eu-west-1:123456789012:secret:time/key");
        assert_eq!(
            arn("secretsmanager:time/key:password::"),
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:time/key:password::"
        );
        for whole in ["arn:aws:ssm:eu-west-1:1:parameter/x", "file:/run/key"] {
            assert_eq!(arn(whole), whole);
        }
        let china = Fargate { execution_role_arn: "arn:aws-cn:iam::1:role/x".to_owned(), ..fargate() };
        assert!(secret_arn(&china, "ssm:/x").starts_with("arn:aws-cn:ssm:"));
    }
}

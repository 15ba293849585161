//! What calls are limited to: resources and conditions of a statement.

use std::collections::{BTreeMap, BTreeSet};

use super::Scope;
use super::document::{Condition, Statement};
use crate::preparation::SERVICE_ROLES;
use crate::template::ROLES;

/// What calls are limited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum On {
    /// Nothing: IAM knows no resource for them, or they look at what has no name yet.
    Anything,
    /// The stack.
    Stack,
    /// The cluster.
    Cluster,
    /// What is asked about with the cluster as a condition.
    InCluster,
    /// The service, its deployments and its revisions.
    Service,
    /// The tasks in the cluster.
    Tasks,
    /// The releases.
    TaskDefinitions,
    /// The service and the releases, whose labels say what was deployed.
    Labelled,
    /// The two log groups.
    Logs,
    /// The repository.
    Repository,
    /// The rules of the event memory.
    Rules,
    /// The roles that the stack makes.
    Roles,
    /// The same, but only with the permissions boundary, if there is one.
    BoundRoles,
    /// The roles that tasks get, made or yours.
    PassedRoles,
    /// The roles that are looked for by name: those of tasks, made or yours, and of AWS's own services.
    KnownRoles,
    /// Roles that AWS's own services take on.
    ServiceLinkedRoles,
    /// All of EC2 in this account and region: what is made has no name before it is there.
    Network,
    /// Of that, what bears the tag of this place.
    TaggedNetwork,
    /// Balancers, listeners and target groups in this account and region: CloudFormation chooses their names.
    Balancers,
    /// Of that, what bears the tag of this place.
    TaggedBalancers,
}

impl On {
    /// The statement that allows `actions`; None when there is nothing that they could be done to.
    pub(super) fn statement(self, actions: BTreeSet<&'static str>, scope: &Scope) -> Option<Statement> {
        let resources = self.resources(scope);
        (!resources.is_empty()).then(|| Statement {
            sid: format!("{self:?}"),
            effect: "Allow",
            action: actions.into_iter().collect(),
            resource: resources,
            condition: self.condition(scope),
        })
    }

    fn resources(self, scope: &Scope) -> Vec<String> {
        let Scope { name, .. } = scope;
        let here = |service: &str, resource: String| scope.arn(service, &resource);
        match self {
            Self::Anything | Self::InCluster => vec!["*".to_owned()],
            Self::Stack => vec![here("cloudformation", format!("stack/{name}/*"))],
            Self::Cluster => vec![here("ecs", format!("cluster/{name}"))],
            Self::Service => ["service/", "service-deployment/", "service-revision/"]
                .map(|kind| match kind {
                    "service/" => here("ecs", format!("service/{name}/{name}")),
                    _ => here("ecs", format!("{kind}{name}/{name}/*")),
                })
                .to_vec(),
            Self::Tasks => vec![here("ecs", format!("task/{name}/*"))],
            Self::TaskDefinitions => vec![here("ecs", format!("task-definition/{name}:*"))],
            Self::Labelled => ["service/NAME/NAME", "task-definition/NAME:*"]
                .map(|pattern| here("ecs", pattern.replace("NAME", name)))
                .to_vec(),
            Self::Logs => {
                ["/gimmetime/NAME", "/gimmetime/NAME:*", "/aws/events/gimmetime/NAME", "/aws/events/gimmetime/NAME:*"]
                    .map(|pattern| here("logs", format!("log-group:{}", pattern.replace("NAME", name))))
                    .to_vec()
            }
            Self::Repository => vec![here("ecr", format!("repository/{}", name.to_lowercase()))],
            Self::Rules => {
                ["TaskEvents", "ServiceEvents"].map(|id| here("events", format!("rule/{name}-{id}-*"))).to_vec()
            }
            Self::Roles | Self::BoundRoles => scope.made_roles(),
            Self::PassedRoles => scope.task_roles(),
            Self::KnownRoles => {
                let linked =
                    SERVICE_ROLES.map(|(service, role)| scope.iam(&format!("role/aws-service-role/{service}/{role}")));
                scope.task_roles().into_iter().chain(linked).collect()
            }
            Self::ServiceLinkedRoles => vec![scope.iam("role/aws-service-role/*")],
            Self::Network | Self::TaggedNetwork => vec![here("ec2", "*".to_owned())],
            Self::Balancers => ["loadbalancer/app/*", "listener/app/*", "targetgroup/*"]
                .map(|pattern| here("elasticloadbalancing", pattern.to_owned()))
                .to_vec(),
            Self::TaggedBalancers => ["loadbalancer/app/*", "targetgroup/*"]
                .map(|pattern| here("elasticloadbalancing", pattern.to_owned()))
                .to_vec(),
        }
    }

    fn condition(self, scope: &Scope) -> Option<Condition> {
        let equals = |operator, key: &str, values: Vec<String>| {
            Some(BTreeMap::from([(operator, BTreeMap::from([(key.to_owned(), values)]))]))
        };
        match self {
            Self::InCluster => {
                equals("ArnEquals", "ecs:cluster", vec![scope.arn("ecs", &format!("cluster/{}", scope.name))])
            }
            Self::BoundRoles => {
                let boundary = scope.roles.permissions_boundary.clone()?;
                equals("StringEquals", "iam:PermissionsBoundary", vec![boundary])
            }
            Self::PassedRoles => {
                equals("StringEquals", "iam:PassedToService", vec!["ecs-tasks.amazonaws.com".to_owned()])
            }
            Self::ServiceLinkedRoles => {
                let services = SERVICE_ROLES.map(|(service, _)| service.to_owned());
                equals("StringEquals", "iam:AWSServiceName", services.to_vec())
            }
            Self::TaggedNetwork | Self::TaggedBalancers => {
                equals("StringEquals", "aws:ResourceTag/gimmetime:name", vec![scope.name.clone()])
            }
            _ => None,
        }
    }
}

impl Scope {
    fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:{}:{service}:{}:{}:{resource}", self.partition(), self.region, self.account)
    }

    /// IAM has no regions.
    fn iam(&self, resource: &str) -> String {
        format!("arn:{}:iam::{}:{resource}", self.partition(), self.account)
    }

    /// What ARNs begin with there.
    fn partition(&self) -> &'static str {
        match self.region.split('-').next() {
            Some("cn") => "aws-cn",
            Some("eusc") => "aws-eusc",
            _ if self.region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// The roles that tasks get: those that the stack makes, and yours.
    fn task_roles(&self) -> Vec<String> {
        let yours = [&self.roles.execution, &self.roles.task].into_iter().flatten().cloned();
        self.made_roles().into_iter().chain(yours).collect()
    }

    /// The roles that the stack makes. CloudFormation names them by stack and logical id; names of at most 32 characters
    /// are not cut.
    fn made_roles(&self) -> Vec<String> {
        let path = self.roles.path.as_deref().unwrap_or("/");
        let yours = [&self.roles.execution, &self.roles.task];
        let made = yours.into_iter().zip(ROLES).filter(|(yours, _)| yours.is_none());
        made.map(|(_, id)| self.iam(&format!("role{path}{}-{id}-*", self.name))).collect()
    }
}

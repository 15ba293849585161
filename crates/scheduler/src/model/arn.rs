//! Amazon resource names of this place. Region `local`, account all zeros: never mistaken for real ones.

/// The account every resource here belongs to.
pub const ACCOUNT: &str = "000000000000";
/// The region every resource here is in.
pub const REGION: &str = "local";

/// Forms the names of one place's resources.
#[derive(Debug, Clone, Copy)]
pub struct Arns<'a> {
    /// The place's name.
    pub name: &'a str,
    /// The place's sixteen hex digits.
    pub suffix: &'a str,
}

impl Arns<'_> {
    /// `arn:aws:ecs:…:cluster/NAME`
    pub fn cluster(&self, cluster: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{cluster}")
    }

    /// `arn:aws:ecs:…:service/CLUSTER/NAME`
    pub fn service(&self, cluster: &str, service: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/{cluster}/{service}")
    }

    /// `arn:aws:ecs:…:task/CLUSTER/ID`
    pub fn task(&self, cluster: &str, id: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task/{cluster}/{id}")
    }

    /// `arn:aws:ecs:…:container/CLUSTER/TASK/ID`
    pub fn container(&self, cluster: &str, task: &str, id: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:container/{cluster}/{task}/{id}")
    }

    /// `arn:aws:ecs:…:task-definition/FAMILY:N`
    pub fn task_definition(&self, family: &str, revision: u32) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{family}:{revision}")
    }

    /// `arn:aws:ecs:…:service-deployment/CLUSTER/SERVICE/ID`
    pub fn service_deployment(&self, cluster: &str, service: &str, id: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service-deployment/{cluster}/{service}/{id}")
    }

    /// `arn:aws:ecs:…:service-revision/CLUSTER/SERVICE/ID`
    pub fn service_revision(&self, cluster: &str, service: &str, id: &str) -> String {
        format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service-revision/{cluster}/{service}/{id}")
    }

    /// `arn:aws:elasticloadbalancing:…:loadbalancer/app/NAME/SUFFIX`
    pub fn load_balancer(&self) -> String {
        format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:loadbalancer/app/{}/{}", self.name, self.suffix)
    }

    /// `arn:aws:elasticloadbalancing:…:targetgroup/NAME/SUFFIX`
    pub fn target_group(&self) -> String {
        format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:targetgroup/{}/{}", self.name, self.suffix)
    }

    /// `arn:aws:elasticloadbalancing:…:listener/app/NAME/SUFFIX/SUFFIX`
    pub fn listener(&self) -> String {
        let Self { name, suffix } = self;
        format!("arn:aws:elasticloadbalancing:{REGION}:{ACCOUNT}:listener/app/{name}/{suffix}/{suffix}")
    }

    /// `arn:aws:logs:…:log-group:NAME`
    pub fn log_group(&self, group: &str) -> String {
        format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}")
    }
}

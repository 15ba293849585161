//! The place as CloudFormation text: one fragment a capability, filled with the literal values of a spec.
//!
//! Equal specs give one text, byte for byte. There are no parameters and no conditions: what is off is not in the text.

use gimmetime_ops::ServiceSpec;

use crate::spec::PlaceSpec;

/// Largest text that CloudFormation takes in a request, in bytes (its quota for `TemplateBody`).
pub const SIZE_LIMIT: usize = 51_200;

/// A place as CloudFormation text, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The text, YAML with comments.
    pub text: String,
    /// Its resources, in the order of the text.
    pub resources: Vec<Resource>,
}

/// One resource of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its key in the template, such as `Vpc`.
    pub logical_id: String,
    /// Its type, such as `AWS::EC2::VPC`.
    pub kind: String,
    /// What it is a part of.
    pub capability: Capability,
}

/// What a resource is a part of; the parts in the order of the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// VPC, subnets, routes, endpoints.
    Network,
    /// The balancer, its listener, its target group, and the security groups.
    Balancer,
    /// The ECS cluster.
    Cluster,
    /// The log group of the tasks' output.
    Logs,
    /// The roles of the tasks.
    Roles,
    /// The image repository.
    Repository,
    /// The memory of events.
    Memory,
    /// Task definition and service: only in [`whole`].
    Service,
}

/// Why there is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The spec asks for what AWS would refuse.
    #[error("the place cannot be made as described: {} mistakes", .0.len())]
    Mistakes(Vec<SpecMistake>),
    /// The text is larger than CloudFormation takes.
    #[error("the template has {bytes} bytes, and CloudFormation takes {SIZE_LIMIT}")]
    TooLarge {
        /// Bytes of the text.
        bytes: usize,
    },
}

/// One thing in a spec that AWS would refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecMistake {
    /// The setting, as the settings name it: `network.cidr`.
    pub setting: &'static str,
    /// What is wrong, with the value.
    pub what: String,
    /// What to write instead, if that is known.
    pub hint: Option<String>,
}

/// The place as a stack: everything but what runs in it.
pub fn template(spec: &PlaceSpec) -> Result<Template, TemplateError> {
    let _ = spec;
    Ok(Template { text: String::new(), resources: Vec::new() })
}

/// The place and what runs in it, as one text to leave with. `architecture` is `X86_64` or `ARM64`.
pub fn whole(spec: &PlaceSpec, service: &ServiceSpec, architecture: &str) -> Result<String, TemplateError> {
    let _ = (service, architecture);
    Ok(template(spec)?.text)
}

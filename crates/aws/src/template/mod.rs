//! The place as CloudFormation text: one fragment a capability, filled with the literal values of a spec.
//!
//! Equal specs give one text, byte for byte. There are no parameters and no conditions: what is off is not in the text.

mod assemble;
mod check;
mod fill;
mod range;
mod secret;
mod service;
mod wiring;

use gimmetime_ops::ServiceSpec;

use crate::spec::PlaceSpec;

pub(crate) use assemble::{ROLES, endpoints, event_policy_name};
pub(crate) use fill::{Values, fill};
use wiring::Wiring;

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
    #[error("{}", told(.0))]
    Mistakes(Vec<SpecMistake>),
    /// The text is larger than CloudFormation takes.
    #[error(
        "the template has {bytes} bytes, but CloudFormation takes {SIZE_LIMIT}: {ranges} ingress ranges are \
         {range_bytes} of them, and {tags} tags on everything {tag_bytes}\nhint: {}",
        to_cut(*bytes, *range_bytes, *tag_bytes)
    )]
    TooLarge {
        /// Bytes of the text.
        bytes: usize,
        /// How many ranges may connect.
        ranges: usize,
        /// Bytes of their rules.
        range_bytes: usize,
        /// How many tags there are.
        tags: usize,
        /// Bytes of all their copies.
        tag_bytes: usize,
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

impl std::fmt::Display for SpecMistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.setting, self.what)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, " (hint: {hint})"))
    }
}

/// What is best cut: the larger of two, unless neither is the reason.
fn to_cut(bytes: usize, range_bytes: usize, tag_bytes: usize) -> &'static str {
    if SIZE_LIMIT < bytes - range_bytes - tag_bytes {
        "use fewer or shorter variables and secrets"
    } else if range_bytes < tag_bytes {
        "use fewer tags"
    } else {
        "join neighbouring ingress ranges, or use fewer"
    }
}

fn told(mistakes: &[SpecMistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    let things = if mistakes.len() == 1 { "this" } else { "these" };
    format!("AWS would refuse {things}:\n  {}", lines.join("\n  "))
}

/// The place as a stack: everything but what runs in it.
pub fn template(spec: &PlaceSpec) -> Result<Template, TemplateError> {
    let wiring = checked(spec)?;
    let parts = assemble::resources(spec, &wiring);
    let resources = parts.iter().flat_map(|(capability, text)| resources(*capability, text)).collect();
    let text = text(spec, &wiring, include_str!("fragments/heading.yaml"), &parts);
    limited(spec, &text)?;
    Ok(Template { text, resources })
}

/// The place and what runs in it, as one text to leave with. `architecture` is `X86_64` or `ARM64`.
///
/// It is made to be read and kept: of what the tool needs (labels of releases, say) nothing is in it.
pub fn whole(spec: &PlaceSpec, service: &ServiceSpec, architecture: &str) -> Result<String, TemplateError> {
    let wiring = checked(spec)?;
    let mut parts = assemble::resources(spec, &wiring);
    parts.push((Capability::Service, service::fragment(spec, &wiring, service, architecture)));
    let text = text(spec, &wiring, include_str!("fragments/heading_whole.yaml"), &parts);
    limited(spec, &text)?;
    Ok(text)
}

/// Logical ids of the subnets that are made for the tasks, and whether tasks get public addresses.
pub(crate) fn task_network(spec: &PlaceSpec) -> (Vec<String>, bool) {
    let wiring = Wiring::of(spec);
    let made = wiring.task_subnets.iter().filter_map(|subnet| subnet.strip_prefix("!Ref "));
    (made.map(str::to_owned).collect(), wiring.public_ip)
}

fn checked(spec: &PlaceSpec) -> Result<Wiring, TemplateError> {
    let mistakes = check::check(spec);
    if mistakes.is_empty() { Ok(Wiring::of(spec)) } else { Err(TemplateError::Mistakes(mistakes)) }
}

fn text(spec: &PlaceSpec, wiring: &Wiring, heading: &str, parts: &[assemble::Part]) -> String {
    let heading = fill(heading, &assemble::values(spec, wiring));
    let outputs = assemble::outputs(spec, wiring);
    let outputs = outputs.iter().map(|(key, value)| format!("  {key}: {{Value: {value}}}\n"));
    let parts = parts.iter().map(|(_, text)| text.clone());
    [heading].into_iter().chain(parts).chain(["\nOutputs:\n".to_owned()]).chain(outputs).collect()
}

fn limited(spec: &PlaceSpec, text: &str) -> Result<(), TemplateError> {
    if text.len() <= SIZE_LIMIT {
        return Ok(());
    }
    let bytes_of = |lines: &[String]| -> usize {
        lines
            .iter()
            .map(|line| text.lines().filter(|of| of.trim_start() == line).map(|of| of.len() + 1).sum::<usize>())
            .sum()
    };
    Err(TemplateError::TooLarge {
        bytes: text.len(),
        ranges: spec.access.ingress.len(),
        range_bytes: bytes_of(&assemble::ingress(spec)),
        tags: spec.tags.len(),
        tag_bytes: bytes_of(&assemble::tags(spec)),
    })
}

/// The resources of a filled fragment: a key two spaces deep, with its type in the next line.
fn resources(capability: Capability, text: &str) -> Vec<Resource> {
    let lines: Vec<&str> = text.lines().collect();
    let resource = |pair: &[&str]| {
        let logical_id = pair[0].strip_prefix("  ")?.strip_suffix(':')?;
        let kind = pair[1].strip_prefix("    Type: ")?;
        Some(Resource { logical_id: logical_id.to_owned(), kind: kind.to_owned(), capability })
    };
    lines.windows(2).filter_map(resource).collect()
}

#[cfg(test)]
mod tests;

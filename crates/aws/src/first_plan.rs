//! What the first `up` would make, and its price: from the spec alone, without asking anybody.

use crate::cost::{Part, Price, price};
use crate::spec::PlaceSpec;
use crate::template::{Resource, TemplateError, template};

/// What the first `up` would make.
#[derive(Debug, Clone, PartialEq)]
pub struct FirstPlan {
    /// One line a part, in the order to show them.
    pub lines: Vec<PlanLine>,
    /// Everything the stack would make.
    pub resources: Vec<Resource>,
    /// How many things would be made: the stack's resources, the task definition and the service.
    pub create: usize,
    /// What it costs.
    pub price: Price,
    /// What somebody should know before saying yes, one sentence each.
    pub notes: Vec<String>,
}

/// One part of the place in words.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanLine {
    /// The part; its [`Part::word`] begins the line.
    pub part: Part,
    /// How many things would be made; 0 for what comes with others, as addresses do.
    pub create: usize,
    /// What they are: `VPC 10.42.0.0/16, 2 zones, public subnets, no NAT`.
    pub words: String,
    /// US dollars a month.
    pub monthly: f64,
}

/// What the first `up` would make, and its price.
pub fn first_plan(spec: &PlaceSpec) -> Result<FirstPlan, TemplateError> {
    let resources = template(spec)?.resources;
    Ok(FirstPlan { lines: Vec::new(), create: resources.len() + 2, resources, price: price(spec), notes: Vec::new() })
}

//! What a place costs by itself: list prices of one day, with the formula of each figure. Traffic is not in it.

use crate::spec::PlaceSpec;

/// The day on which the prices were read.
pub const PRICES_OF: &str = "2026-10-02";

/// What a place costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Every figure, in the order of the plan.
    pub items: Vec<Item>,
    /// The region whose prices these are: the place's own, or the nearest that is in the table.
    pub priced_as: &'static str,
}

/// One figure of a bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The line of the plan it belongs to.
    pub part: Part,
    /// What is paid for: `balancer hours`.
    pub name: &'static str,
    /// How it was computed: `730 h × 0.0252`.
    pub formula: String,
    /// US dollars a month of 730 hours, before tax.
    pub monthly: f64,
}

/// A line of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// VPC, gateways, endpoints.
    Network,
    /// The balancer.
    Balancer,
    /// What runs.
    Service,
    /// Public IPv4 addresses.
    Addresses,
    /// Everything else.
    Other,
}

impl Part {
    /// The word that begins its line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Balancer => "balancer",
            Self::Service => "service",
            Self::Addresses => "addresses",
            Self::Other => "other",
        }
    }
}

impl Price {
    /// US dollars a month of 730 hours.
    pub fn monthly(&self) -> f64 {
        self.items.iter().map(|item| item.monthly).sum()
    }

    /// US dollars an hour.
    pub fn hourly(&self) -> f64 {
        self.monthly() / 730.0
    }

    /// US dollars a month of one line of the plan.
    pub fn monthly_of(&self, part: Part) -> f64 {
        self.items.iter().filter(|item| item.part == part).map(|item| item.monthly).sum()
    }
}

/// What a place costs.
pub fn price(spec: &PlaceSpec) -> Price {
    let _ = spec;
    Price { items: Vec::new(), priced_as: "eu-west-1" }
}

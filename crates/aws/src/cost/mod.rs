//! What a place costs by itself: list prices of one day, with the formula of each figure. Traffic is not in it.

mod table;

use crate::spec::{Made, Network, PlaceSpec, Scheme};
use crate::template::endpoints;

pub use table::PRICES_OF;

/// Hours of a month, as AWS's own calculator has them.
const MONTH_HOURS: f64 = 730.0;
/// Capacity units that a balancer with next to no traffic uses. One unit is 25 new connections a second, or 1 GB an hour.
const IDLE_UNITS: f64 = 0.05;
/// GB of logs a month that are assumed.
const LOGS_GB: f64 = 1.0;

/// What a place costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// Every figure, in the order of the plan.
    pub items: Vec<Item>,
    /// The region whose prices these are: the place's own, or `eu-west-1` for one that is not in the table.
    pub priced_as: &'static str,
}

/// One figure of a bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The line of the plan it belongs to.
    pub part: Part,
    /// What is paid for: `balancer`.
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
    /// All of them, in the order of the plan.
    pub const ALL: [Self; 5] = [Self::Network, Self::Balancer, Self::Service, Self::Addresses, Self::Other];

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
        self.monthly() / MONTH_HOURS
    }

    /// US dollars a month of one line of the plan.
    pub fn monthly_of(&self, part: Part) -> f64 {
        // An empty sum of floats is −0.
        self.items.iter().filter(|item| item.part == part).fold(0.0, |sum, item| sum + item.monthly)
    }
}

/// What a place costs with the count of tasks that is meant.
pub fn price(spec: &PlaceSpec) -> Price {
    let prices = table::of(&spec.region);
    let mut items = network(spec, &prices);
    let item = |part, name, formula, monthly| Item { part, name, formula, monthly };
    items.push(item(Part::Balancer, "balancer", format!("730 h × {}", prices.balancer), MONTH_HOURS * prices.balancer));
    items.push(item(
        Part::Balancer,
        "balancer capacity, idle",
        format!("730 h × {IDLE_UNITS} × {}", prices.capacity_unit),
        MONTH_HOURS * IDLE_UNITS * prices.capacity_unit,
    ));
    let (vcpu, memory) = (f64::from(spec.size.cpu) / 1024.0, f64::from(spec.size.memory) / 1024.0);
    items.push(item(
        Part::Service,
        "tasks",
        format!("{} × 730 h × ({vcpu} × {} + {memory} × {})", spec.count, prices.vcpu, prices.memory),
        f64::from(spec.count) * MONTH_HOURS * (vcpu * prices.vcpu + memory * prices.memory),
    ));
    let addresses = Addresses::of(spec);
    items.push(item(
        Part::Addresses,
        "public IPv4",
        format!("{} × 730 h × {}", addresses.all(), prices.address),
        f64::from(addresses.all()) * MONTH_HOURS * prices.address,
    ));
    items.push(item(
        Part::Other,
        "logs",
        format!("{LOGS_GB} GB × ({} in + {} kept)", prices.logs_in, prices.logs_kept),
        LOGS_GB * (prices.logs_in + prices.logs_kept),
    ));
    Price { items, priced_as: prices.region }
}

/// What the network costs: nothing, where tasks have public addresses.
fn network(spec: &PlaceSpec, prices: &table::Prices) -> Vec<Item> {
    let Network::Made { mode, zones, .. } = &spec.network else { return Vec::new() };
    let zones = f64::from(*zones);
    let item = |name, formula, monthly| vec![Item { part: Part::Network, name, formula, monthly }];
    match mode {
        Made::Public => Vec::new(),
        Made::Nat => {
            item("NAT gateway", format!("{zones} zones × 730 h × {}", prices.nat), zones * MONTH_HOURS * prices.nat)
        }
        Made::Endpoints => {
            let count = endpoints(spec).len();
            item(
                "interface endpoints",
                format!("{count} × {zones} zones × 730 h × {}", prices.endpoint),
                count as f64 * zones * MONTH_HOURS * prices.endpoint,
            )
        }
    }
}

/// What a GB costs that tasks send or get through the network's gateway, if it is paid by the GB.
pub(crate) fn nat_gb(spec: &PlaceSpec) -> Option<f64> {
    match &spec.network {
        Network::Made { mode: Made::Nat, .. } => Some(table::of(&spec.region).nat_gb),
        _ => None,
    }
}

/// Public IPv4 addresses, by who has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Addresses {
    /// One in each zone of the balancer.
    pub(crate) balancer: u32,
    /// One in each zone of the NAT gateway.
    pub(crate) nat: u32,
    /// One a task.
    pub(crate) tasks: u32,
}

impl Addresses {
    /// What a place has.
    pub(crate) fn of(spec: &PlaceSpec) -> Self {
        let (zones, nat, public_ip) = match &spec.network {
            Network::Made { mode, zones, .. } => {
                let zones = u32::from(*zones);
                (zones, if *mode == Made::Nat { zones } else { 0 }, *mode == Made::Public)
            }
            // One of EC2's lists is never that long.
            Network::Yours { balancer_subnets, public_ip, .. } => (balancer_subnets.len() as u32, 0, *public_ip),
        };
        Self {
            balancer: if spec.access.scheme == Scheme::InternetFacing { zones } else { 0 },
            nat,
            tasks: if public_ip { spec.count } else { 0 },
        }
    }

    /// How many there are.
    pub(crate) fn all(self) -> u32 {
        self.balancer + self.nat + self.tasks
    }
}

#[cfg(test)]
mod tests;

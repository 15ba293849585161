//! Prices of one day. US dollars, before tax.

/// The day on which the prices were read.
pub const PRICES_OF: &str = "2026-10-02";

/// What one region charges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prices {
    /// The region.
    pub(super) region: &'static str,
    /// A balancer, an hour.
    pub(super) balancer: f64,
    /// A capacity unit of a balancer, an hour.
    pub(super) capacity_unit: f64,
    /// A vCPU of Fargate (x86-64), an hour.
    pub(super) vcpu: f64,
    /// A GB of Fargate's memory, an hour.
    pub(super) memory: f64,
    /// A public IPv4 address, an hour.
    pub(super) address: f64,
    /// A NAT gateway in a zone, an hour.
    pub(super) nat: f64,
    /// A GB that passes a NAT gateway.
    pub(super) nat_gb: f64,
    /// An interface endpoint in a zone, an hour.
    pub(super) endpoint: f64,
    /// A GB of logs taken in.
    pub(super) logs_in: f64,
    /// A GB of logs kept, a month.
    pub(super) logs_kept: f64,
}

const IRELAND: Prices = Prices {
    region: "eu-west-1",
    balancer: 0.0252,
    capacity_unit: 0.008,
    vcpu: 0.04048,
    memory: 0.004_445,
    address: 0.005,
    nat: 0.048,
    nat_gb: 0.048,
    endpoint: 0.011,
    logs_in: 0.57,
    logs_kept: 0.03,
};

const VIRGINIA: Prices = Prices {
    region: "us-east-1",
    balancer: 0.0225,
    nat: 0.045,
    nat_gb: 0.045,
    endpoint: 0.01,
    logs_in: 0.50,
    ..IRELAND
};

/// Ohio and Oregon charge what Virginia does.
const TABLE: [Prices; 4] =
    [IRELAND, VIRGINIA, Prices { region: "us-east-2", ..VIRGINIA }, Prices { region: "us-west-2", ..VIRGINIA }];

/// What a region charges. Of a region that is not in the table, what Ireland does: most are within a fifth of it.
pub(super) fn of(region: &str) -> Prices {
    TABLE.into_iter().find(|prices| prices.region == region).unwrap_or(IRELAND)
}

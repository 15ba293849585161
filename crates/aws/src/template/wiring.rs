//! What a network consists of, and what of it balancer and tasks are connected to.

use std::net::Ipv4Addr;

use crate::spec::{Made, Network, PlaceSpec, Scheme};

use super::fill::scalar;

/// Letters of the zones, in the logical ids of what is in them.
pub(super) const ZONES: [&str; 3] = ["A", "B", "C"];

/// What a network consists of. References are YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wiring {
    /// Whether a VPC is made, and how its tasks reach the registry.
    pub(super) made: Option<Made>,
    /// Whether there is a way to the internet.
    pub(super) internet: bool,
    /// Whether there are subnets with a route to it.
    pub(super) public: bool,
    /// Whether there are subnets without one.
    pub(super) private: bool,
    /// Zones of the subnets that are made.
    pub(super) zones: usize,
    /// The VPC.
    pub(super) vpc: String,
    /// Where tasks may have their addresses.
    pub(super) task_range: String,
    /// Subnets of the balancer.
    pub(super) balancer_subnets: Vec<String>,
    /// Subnets of the tasks.
    pub(super) task_subnets: Vec<String>,
    /// Whether tasks get public addresses.
    pub(super) public_ip: bool,
    /// What must be there before the balancer: logical ids.
    pub(super) balancer_after: Vec<String>,
    /// What must be there before a task can start: logical ids.
    pub(super) tasks_after: Vec<String>,
}

impl Wiring {
    /// What a spec asks for.
    pub(super) fn of(spec: &PlaceSpec) -> Self {
        match &spec.network {
            Network::Made { mode, zones, cidr } => {
                Self::made(*mode, ZONES.len().min(usize::from(*zones)), cidr, spec.access.scheme)
            }
            Network::Yours { vpc, balancer_subnets, task_subnets, public_ip } => Self {
                made: None,
                internet: false,
                public: false,
                private: false,
                zones: 0,
                vpc: scalar(vpc),
                // The VPC's own ranges are not known here. A balancer connects only to what is registered with it.
                task_range: scalar("0.0.0.0/0"),
                balancer_subnets: balancer_subnets.iter().map(|id| scalar(id)).collect(),
                task_subnets: task_subnets.iter().map(|id| scalar(id)).collect(),
                public_ip: *public_ip,
                balancer_after: Vec::new(),
                tasks_after: Vec::new(),
            },
        }
    }

    fn made(mode: Made, zones: usize, cidr: &str, scheme: Scheme) -> Self {
        let private = mode != Made::Public;
        // A balancer that only the VPC reaches lives with the tasks.
        let public = mode == Made::Public || scheme == Scheme::InternetFacing;
        let subnets = |side: &str| ZONES[..zones].iter().map(|zone| format!("{side}Subnet{zone}")).collect::<Vec<_>>();
        let references = |side: &str| subnets(side).iter().map(|id| format!("!Ref {id}")).collect();
        let associations = |side: &str| subnets(side).into_iter().map(|id| format!("{id}Routes")).collect::<Vec<_>>();
        let mut tasks_after = associations(if private { "Private" } else { "Public" });
        match mode {
            Made::Public => tasks_after.push("PublicDefaultRoute".to_owned()),
            Made::Nat => tasks_after.push("NatDefaultRoute".to_owned()),
            Made::Endpoints => {}
        }
        Self {
            made: Some(mode),
            internet: public || mode == Made::Nat,
            public,
            private,
            zones,
            vpc: "!Ref Vpc".to_owned(),
            task_range: scalar(cidr),
            balancer_subnets: references(if public { "Public" } else { "Private" }),
            task_subnets: references(if private { "Private" } else { "Public" }),
            public_ip: mode == Made::Public,
            balancer_after: match scheme {
                // AWS refuses it in subnets without a route to the internet.
                Scheme::InternetFacing => [vec!["PublicDefaultRoute".to_owned()], associations("Public")].concat(),
                Scheme::Internal => Vec::new(),
            },
            tasks_after,
        }
    }
}

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Its first address.
    pub(super) first: Ipv4Addr,
    /// Bits that all its addresses share.
    pub(super) bits: u8,
}

impl Range {
    /// Reads `10.42.0.0/16`. Bits beyond the mask are cut off: compare with what was written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (Ipv4Addr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        let host_bits = 32_u32.checked_sub(u32::from(bits))?;
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self { first: Ipv4Addr::from(u32::from(address) & mask), bits })
    }

    /// One of eight equal parts: the first four are public subnets, the others private ones.
    pub(super) fn eighth(self, index: u8) -> Self {
        let bits = self.bits + 3;
        Self { first: Ipv4Addr::from(u32::from(self.first) + (u32::from(index) << (32 - bits))), bits }
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_eight_that_do_not_overlap() {
        let range = Range::read("10.42.0.0/16").unwrap();
        let parts: Vec<String> = (0..8).map(|index| range.eighth(index).to_string()).collect();
        assert_eq!(parts[..2], ["10.42.0.0/19", "10.42.32.0/19"]);
        assert_eq!(parts[7], "10.42.224.0/19");
        assert_eq!(Range::read("10.0.0.0/24").unwrap().eighth(7).to_string(), "10.0.0.224/27");
    }

    #[test]
    fn what_is_no_range_is_not_read() {
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "x/8", "10.0.0.0/-1"] {
            assert_eq!(Range::read(wrong), None, "{wrong}");
        }
        assert_eq!(Range::read("10.42.7.9/16").unwrap().to_string(), "10.42.0.0/16");
        assert_eq!(Range::read("1.2.3.4/0").unwrap().to_string(), "0.0.0.0/0");
    }
}

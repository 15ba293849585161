//! Where the tasks of a service are: as the place has it, as the service was told, and how the two differ. Pure.

use std::collections::BTreeSet;

use aws_sdk_ecs::types;

use crate::place::{CONTAINER, Launch, Place};

/// Where tasks with a network of their own are, and what leads to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// Their subnets.
    pub subnets: BTreeSet<String>,
    /// Their security groups.
    pub security_groups: BTreeSet<String>,
    /// Whether they get public addresses.
    pub public_ip: bool,
    /// The target group they are registered with; None while no balancer leads to them.
    pub target_group: Option<String>,
}

impl Location {
    /// Where a place has its tasks; None where they have no network of their own.
    pub(crate) fn of(place: &Place) -> Option<Self> {
        let Launch::Fargate(fargate) = &place.launch else { return None };
        Some(Self {
            subnets: fargate.subnets.iter().cloned().collect(),
            security_groups: fargate.security_groups.iter().cloned().collect(),
            public_ip: fargate.public_ip,
            target_group: Some(place.target_group_arn.clone()),
        })
    }

    /// Where a service was told to have its tasks; None where it was told nothing.
    ///
    /// Its newest deployment is believed first: after a way back that is the one that serves.
    pub(crate) fn read(service: &types::Service) -> Option<Self> {
        let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
        let network = primary.and_then(types::Deployment::network_configuration);
        let vpc = network.or(service.network_configuration())?.awsvpc_configuration()?;
        let balancer = service.load_balancers().iter().find(|entry| entry.container_name() == Some(CONTAINER));
        Some(Self {
            subnets: vpc.subnets().iter().cloned().collect(),
            security_groups: vpc.security_groups().iter().cloned().collect(),
            public_ip: vpc.assign_public_ip() == Some(&types::AssignPublicIp::Enabled),
            target_group: balancer.and_then(|entry| entry.target_group_arn()).map(str::to_owned),
        })
    }

    /// What is different in `newer`, in a few words each. A service without a balancer gets none by moving.
    pub fn changes_to(&self, newer: &Self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(exchange("subnets", &self.subnets, &newer.subnets));
        words.extend(exchange("security groups", &self.security_groups, &newer.security_groups));
        if self.public_ip != newer.public_ip {
            let yes_or_no = |is: bool| if is { "yes" } else { "no" };
            words.push(format!("public addresses {}→{}", yes_or_no(self.public_ip), yes_or_no(newer.public_ip)));
        }
        if self.target_group.is_some() && self.target_group != newer.target_group {
            words.push("another target group".to_owned());
        }
        words
    }
}

/// `subnets +1 -2`: how many come, and how many go. Their ids tell nobody anything.
fn exchange(what: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> Option<String> {
    let signed = |sign: &str, count: usize| if count == 0 { String::new() } else { format!(" {sign}{count}") };
    let (come, go) = (signed("+", new.difference(old).count()), signed("-", old.difference(new).count()));
    (old != new).then(|| format!("{what}{come}{go}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(subnets: &[&str], groups: &[&str], public_ip: bool) -> Location {
        let set = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
        let target_group = Some("arn:targetgroup/web/0".to_owned());
        Location { subnets: set(subnets), security_groups: set(groups), public_ip, target_group }
    }

    #[test]
    fn what_comes_and_what_goes_is_counted() {
        let old = at(&["a", "b"], &["x"], true);
        assert!(old.changes_to(&at(&["b", "a"], &["x"], true)).is_empty(), "the order says nothing");
        assert_eq!(old.changes_to(&at(&["a", "b", "c"], &["x"], true)), ["subnets +1"]);
        assert_eq!(
            old.changes_to(&at(&["b", "c", "d"], &["y"], false)),
            ["subnets +2 -1", "security groups +1 -1", "public addresses yes→no"]
        );
        let other = Location { target_group: Some("arn:targetgroup/web/1".to_owned()), ..old.clone() };
        assert_eq!(old.changes_to(&other), ["another target group"]);
        assert!(Location { target_group: None, ..old }.changes_to(&other).is_empty());
    }

    #[test]
    fn the_newest_deployment_is_believed_before_the_service() {
        let network = |subnet: &str| {
            let vpc = types::AwsVpcConfiguration::builder().subnets(subnet).build().unwrap();
            types::NetworkConfiguration::builder().awsvpc_configuration(vpc).build()
        };
        let subnets = |service: &types::Service| Location::read(service).map(|location| location.subnets);
        let told = types::Service::builder().network_configuration(network("new"));
        assert_eq!(subnets(&told.clone().build()), Some(BTreeSet::from(["new".to_owned()])));
        let back = types::Deployment::builder().status("PRIMARY").network_configuration(network("old")).build();
        assert_eq!(subnets(&told.deployments(back).build()), Some(BTreeSet::from(["old".to_owned()])));
        assert_eq!(subnets(&types::Service::builder().build()), None);
    }
}

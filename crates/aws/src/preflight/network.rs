//! A network that the user brings: whether it exists, spans zones, and leads where it must.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::AwsError;
use crate::preflight::{Finding, Severity, finding};
use crate::query::{Element, Service};
use crate::session::Session;
use crate::spec::{Network, PlaceSpec, Scheme};

/// What is known of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Yours {
    pub(super) vpc: String,
    pub(super) vpc_exists: bool,
    /// By id; a subnet that is asked for and is not here does not exist.
    pub(super) subnets: BTreeMap<String, Subnet>,
}

/// A subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subnet {
    pub(super) vpc: String,
    pub(super) zone: String,
    pub(super) way_out: WayOut,
}

/// Where the default route leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WayOut {
    /// To an internet gateway: a public subnet.
    Internet,
    /// Through something: a NAT, a transit gateway, an appliance.
    Through,
    /// Nowhere: only endpoints lead to the registry.
    None,
}

pub(super) async fn look(
    session: &Session,
    vpc: &str,
    balancer_subnets: &[String],
    task_subnets: &[String],
) -> Result<Yours, AwsError> {
    let query = session.query();
    let vpcs = query.form("look at your VPC", Service::Ec2, "DescribeVpcs", &[("VpcId.1", vpc)]).await;
    let vpc_exists = match vpcs {
        Ok(reply) => reply.list("vpcSet").iter().any(|one| one.text("vpcId") == Some(vpc)),
        Err(error) if error.has_code("InvalidVpcID.NotFound") || error.has_code("InvalidVpcID.Malformed") => false,
        Err(error) => return Err(error),
    };
    if !vpc_exists {
        return Ok(Yours { vpc: vpc.to_owned(), ..Yours::default() });
    }
    let in_vpc = [("Filter.1.Name", "vpc-id"), ("Filter.1.Value.1", vpc)];
    let tables = query.form("look at your routes", Service::Ec2, "DescribeRouteTables", &in_vpc).await?;
    // Whoever overlooks the filter: another VPC's main table must not be taken for this one's.
    let tables: Vec<&Element> =
        tables.list("routeTableSet").iter().filter(|table| table.text("vpcId") == Some(vpc)).collect();
    let mut subnets = BTreeMap::new();
    for id in balancer_subnets.iter().chain(task_subnets).collect::<BTreeSet<_>>() {
        let reply = query.form("look at your subnets", Service::Ec2, "DescribeSubnets", &[("SubnetId.1", id)]).await;
        let reply = match reply {
            Err(error) if error.has_code("InvalidSubnetID.NotFound") || error.has_code("InvalidSubnetID.Malformed") => {
                continue;
            }
            reply => reply?,
        };
        let asked_for = |one: &&Element| one.text("subnetId") == Some(id);
        let Some(subnet) = reply.list("subnetSet").iter().find(asked_for) else { continue };
        let text = |name: &str| subnet.text(name).unwrap_or_default().to_owned();
        let way_out = way_out(&tables, id);
        subnets.insert(id.clone(), Subnet { vpc: text("vpcId"), zone: text("availabilityZone"), way_out });
    }
    Ok(Yours { vpc: vpc.to_owned(), vpc_exists, subnets })
}

/// Where a subnet's default route leads: that of its own table, else of the VPC's main one. Pure.
fn way_out(tables: &[&Element], subnet: &str) -> WayOut {
    let associated = |table: &Element, test: &dyn Fn(&Element) -> bool| table.list("associationSet").iter().any(test);
    let own = tables.iter().find(|table| associated(table, &|one| one.text("subnetId") == Some(subnet)));
    let main = || tables.iter().find(|table| associated(table, &|one| one.text("main") == Some("true")));
    let Some(table) = own.or_else(main) else { return WayOut::None };
    let default = table.list("routeSet").iter().find(|route| {
        route.text("destinationCidrBlock") == Some("0.0.0.0/0") && route.text("state") != Some("blackhole")
    });
    match default {
        None => WayOut::None,
        Some(route) if route.text("gatewayId").is_some_and(|id| id.starts_with("igw-")) => WayOut::Internet,
        Some(_) => WayOut::Through,
    }
}

impl Yours {
    /// What the facts mean: pure.
    pub(super) fn judge(&self, spec: &PlaceSpec) -> Vec<Finding> {
        let Network::Yours { balancer_subnets, task_subnets, public_ip, .. } = &spec.network else { return Vec::new() };
        if !self.vpc_exists {
            let words = format!("the VPC {} does not exist in {}", self.vpc, spec.region);
            return vec![finding(Severity::Refusal, words).hint("correct `network.vpc`, or the region")];
        }
        let mut found = Vec::new();
        for id in balancer_subnets.iter().chain(task_subnets).collect::<BTreeSet<_>>() {
            match self.subnets.get(id) {
                None => found.push(finding(Severity::Refusal, format!("the subnet {id} does not exist"))),
                Some(subnet) if subnet.vpc != self.vpc => {
                    let words = format!("the subnet {id} is in {}, not in {}", subnet.vpc, self.vpc);
                    found.push(finding(Severity::Refusal, words));
                }
                Some(_) => {}
            }
        }
        let known = |ids: &[String]| {
            ids.iter().filter_map(|id| Some((id.clone(), self.subnets.get(id)?.clone()))).collect::<Vec<_>>()
        };
        let zones: BTreeSet<String> = known(balancer_subnets).into_iter().map(|(_, subnet)| subnet.zone).collect();
        if found.is_empty() && zones.len() < 2 {
            let words = format!("the balancer's subnets are in {} zone, and it needs 2", zones.len());
            found.push(finding(Severity::Refusal, words).hint("name subnets in at least two zones"));
        }
        for (id, subnet) in known(balancer_subnets) {
            if spec.access.scheme == Scheme::InternetFacing && subnet.way_out != WayOut::Internet {
                let words =
                    format!("the balancer's subnet {id} has no route to an internet gateway: nobody will reach it");
                found.push(
                    finding(Severity::Warning, words).hint("name public subnets, or set `scheme = \"internal\"`"),
                );
            }
        }
        for (id, subnet) in known(task_subnets) {
            found.extend(task_finding(&id, subnet.way_out, *public_ip));
        }
        found
    }
}

fn task_finding(id: &str, way_out: WayOut, public_ip: bool) -> Option<Finding> {
    let (words, hint) = match (way_out, public_ip) {
        (WayOut::Internet, false) => (
            format!("tasks in {id} get no public address, and its route to the internet needs one"),
            "set `public_ip = true`, or name subnets behind a NAT",
        ),
        (WayOut::None, _) => (
            format!("the subnet {id} has no route out: tasks reach the registry only through VPC endpoints"),
            "make sure that ecr.api, ecr.dkr, logs and s3 endpoints are there",
        ),
        _ => return None,
    };
    Some(finding(Severity::Warning, words).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Asked, Aws, Reply, ec2};

    fn tables() -> Element {
        Element::parse(
            "<R><routeTableSet>\
             <item><associationSet><item><main>true</main></item></associationSet><routeSet><item>\
             <destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId></item></routeSet></item>\
             <item><associationSet><item><main>false</main><subnetId>subnet-public</subnetId></item></associationSet>\
             <routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>igw-1</gatewayId></item></routeSet></item>\
             <item><associationSet><item><subnetId>subnet-nat</subnetId></item></associationSet>\
             <routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><natGatewayId>nat-1</natGatewayId></item></routeSet></item>\
             <item><associationSet><item><subnetId>subnet-dead</subnetId></item></associationSet><routeSet><item>\
             <destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><natGatewayId>nat-0</natGatewayId><state>blackhole</state>\
             </item></routeSet></item></routeTableSet></R>",
        )
        .unwrap()
    }

    #[test]
    fn the_way_out_is_that_of_the_subnets_own_table_or_of_the_main_one() {
        let root = tables();
        let tables: Vec<&Element> = root.list("routeTableSet").iter().collect();
        let tables = tables.as_slice();
        assert_eq!(way_out(tables, "subnet-public"), WayOut::Internet);
        assert_eq!(way_out(tables, "subnet-nat"), WayOut::Through);
        assert_eq!(way_out(tables, "subnet-dead"), WayOut::None);
        assert_eq!(way_out(tables, "subnet-unassociated"), WayOut::None);
        assert_eq!(way_out(&[], "subnet-public"), WayOut::None);
    }

    /// EC2 that overlooks every filter: two VPCs, and the other one's main table leads to the internet.
    fn careless(asked: &Asked) -> Reply {
        let out = "<routeSet><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><gatewayId>igw-1</gatewayId></item></routeSet>";
        let main = "<associationSet><item><main>true</main></item></associationSet>";
        let subnet = |id: &str, vpc: &str| {
            format!("<item><subnetId>{id}</subnetId><vpcId>{vpc}</vpcId><availabilityZone>1a</availabilityZone></item>")
        };
        let list = match asked.action.as_str() {
            "DescribeVpcs" => {
                "<vpcSet><item><vpcId>vpc-2</vpcId></item><item><vpcId>vpc-1</vpcId></item></vpcSet>".to_owned()
            }
            "DescribeRouteTables" => format!(
                "<routeTableSet><item><vpcId>vpc-2</vpcId>{main}{out}</item><item><vpcId>vpc-1</vpcId>{main}</item></routeTableSet>"
            ),
            _ => format!("<subnetSet>{}{}</subnetSet>", subnet("subnet-2", "vpc-2"), subnet("subnet-1", "vpc-1")),
        };
        ec2(&asked.action, &list)
    }

    #[tokio::test]
    async fn somebody_elses_network_is_not_taken_for_yours_whatever_a_filter_lets_through() {
        let session = Aws::start(careless).await.session().await;
        let subnets = ["subnet-1".to_owned(), "subnet-absent".to_owned()];
        let found = look(&session, "vpc-1", &subnets, &[]).await.unwrap();
        let subnet = Subnet { vpc: "vpc-1".to_owned(), zone: "1a".to_owned(), way_out: WayOut::None };
        assert_eq!(found.subnets, BTreeMap::from([("subnet-1".to_owned(), subnet)]));
        assert!(!look(&session, "vpc-3", &subnets, &[]).await.unwrap().vpc_exists);
    }
}

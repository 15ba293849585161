//! What in a spec AWS would refuse, all of it at once, before anybody is asked.

use std::collections::BTreeSet;

use crate::limits::{RETENTIONS, fargate_size};
use crate::spec::{Network, PlaceSpec, Roles, Size};

use super::range::Range;
use super::wiring::ZONES;
use super::{SpecMistake, secret};

/// Most tasks of a service (ECS's quota).
const MOST_TASKS: u32 = 5000;
/// Longest name: a load balancer's is the narrowest of those that it may become a part of.
const LONGEST_NAME: usize = 32;
/// Most tags of the user's: AWS takes 50, and ours, AWS's own and what deploys add need room.
const MOST_TAGS: usize = 40;

/// Collects mistakes.
#[derive(Debug, Default)]
struct Mistakes(Vec<SpecMistake>);

impl Mistakes {
    fn add(&mut self, setting: &'static str, what: impl Into<String>) {
        self.0.push(SpecMistake { setting, what: what.into(), hint: None });
    }

    fn hint(&mut self, setting: &'static str, what: impl Into<String>, hint: impl Into<String>) {
        self.0.push(SpecMistake { setting, what: what.into(), hint: Some(hint.into()) });
    }
}

/// All that AWS would refuse.
pub(super) fn check(spec: &PlaceSpec) -> Vec<SpecMistake> {
    let mut mistakes = Mistakes::default();
    name(&spec.name, &mut mistakes);
    region(&spec.region, &mut mistakes);
    network(spec, &mut mistakes);
    ingress(&spec.access.ingress, &mut mistakes);
    roles(&spec.roles, &mut mistakes);
    retention(spec.logs.retention_days, &mut mistakes);
    tags(spec, &mut mistakes);
    service(spec, &mut mistakes);
    for reference in &spec.secrets {
        if let Err(expected) = secret::read(reference) {
            mistakes.add("secrets", format!("`{reference}`: {expected}"));
        }
    }
    mistakes.0
}

fn name(name: &str, mistakes: &mut Mistakes) {
    let legal = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let hyphens = name.contains("--") || name.ends_with('-');
    if !legal
        || hyphens
        || !name.starts_with(|c: char| c.is_ascii_alphabetic())
        || !(2..=LONGEST_NAME).contains(&name.len())
    {
        mistakes.add(
            "name",
            format!(
                "expected 2 to {LONGEST_NAME} letters and digits, a letter first, with single hyphens between them, but \
                 found `{name}`"
            ),
        );
    }
}

fn region(region: &str, mistakes: &mut Mistakes) {
    let parts: Vec<&str> = region.split('-').collect();
    let words =
        |parts: &[&str]| parts.iter().all(|part| part.len() >= 2 && part.chars().all(|c| c.is_ascii_lowercase()));
    let is_region = match parts.split_last() {
        Some((number, rest)) => rest.len() >= 2 && words(rest) && number.parse::<u8>().is_ok(),
        None => false,
    };
    if !is_region {
        mistakes.add("aws.region", format!("expected a region as `eu-west-1`, but found `{region}`"));
    }
}

fn network(spec: &PlaceSpec, mistakes: &mut Mistakes) {
    match &spec.network {
        Network::Made { zones, cidr, .. } => {
            if !(2..=ZONES.len()).contains(&usize::from(*zones)) {
                mistakes.add("network.zones", format!("expected 2 or 3 zones, but found {zones}"));
            } else if *zones == 3 && spec.region == "us-west-1" {
                mistakes.add("network.zones", "us-west-1 has 2 zones, but 3 are asked for");
            }
            vpc_range(cidr, mistakes);
        }
        Network::Yours { vpc, balancer_subnets, task_subnets, .. } => {
            if !is_id(vpc, "vpc-") {
                mistakes.add("network.vpc", format!("expected `vpc-…`, but found `{vpc}`"));
            }
            subnets("network.balancer_subnets", balancer_subnets, mistakes);
            subnets("network.subnets", task_subnets, mistakes);
            if balancer_subnets.iter().collect::<BTreeSet<_>>().len() < 2 {
                mistakes
                    .add("network.balancer_subnets", "expected subnets in at least 2 zones: a balancer has no fewer");
            }
            if task_subnets.is_empty() {
                mistakes.add("network.subnets", "expected at least one subnet for the tasks");
            }
        }
    }
}

fn subnets(setting: &'static str, subnets: &[String], mistakes: &mut Mistakes) {
    for subnet in subnets.iter().filter(|subnet| !is_id(subnet, "subnet-")) {
        mistakes.add(setting, format!("expected `subnet-…`, but found `{subnet}`"));
    }
    for subnet in twice(subnets) {
        mistakes.add(setting, format!("`{subnet}` stands twice"));
    }
}

/// The id of something that is there: EC2's are 8 or 17 hexadecimal digits.
fn is_id(id: &str, prefix: &str) -> bool {
    let digits = id.strip_prefix(prefix).unwrap_or_default();
    matches!(digits.len(), 8 | 17) && digits.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
}

fn vpc_range(cidr: &str, mistakes: &mut Mistakes) {
    const SETTING: &str = "network.cidr";
    // EC2 takes others too, but addresses of somebody on the internet would then be ours.
    const PRIVATE: [(&str, u8); 4] = [("10.0.0.0", 8), ("172.16.0.0", 12), ("192.168.0.0", 16), ("100.64.0.0", 10)];
    let Some(range) = Range::read(cidr) else {
        return mistakes.add(SETTING, format!("expected an IPv4 range as `10.42.0.0/16`, but found `{cidr}`"));
    };
    let within = |(first, bits): &(&str, u8)| {
        range.bits >= *bits
            && Range::read(&format!("{}/{bits}", range.first)).is_some_and(|r| r.first.to_string() == *first)
    };
    if range.to_string() != *cidr {
        mistakes.hint(SETTING, format!("`{cidr}` is not the first address of its range"), format!("write `{range}`"));
    } else if !(16..=24).contains(&range.bits) {
        mistakes.add(
            SETTING,
            format!("expected a range from /16 to /24, but found `{cidr}`: it is cut into eight subnets"),
        );
    } else if !PRIVATE.iter().any(within) {
        mistakes.hint(SETTING, format!("`{cidr}` is not a private range"), "write one within 10.0.0.0/8");
    }
}

fn ingress(ranges: &[String], mistakes: &mut Mistakes) {
    const SETTING: &str = "network.ingress";
    if ranges.is_empty() {
        mistakes.hint(
            SETTING,
            "expected at least one range, or nobody could connect",
            "write [\"0.0.0.0/0\"] for everybody",
        );
    }
    for text in ranges {
        match canonical(text) {
            None => mistakes
                .add(SETTING, format!("expected a range as `203.0.113.0/24` or `2001:db8::/32`, but found `{text}`")),
            Some(range) if range != *text => {
                mistakes.hint(SETTING, format!("`{text}` is not how AWS writes its range"), format!("write `{range}`"));
            }
            Some(_) => {}
        }
    }
    for range in twice(ranges) {
        mistakes.add(SETTING, format!("`{range}` stands twice"));
    }
}

/// A range as AWS writes it: no bits beyond the mask, IPv6 in its short form.
fn canonical(text: &str) -> Option<String> {
    if let Some(range) = Range::read(text) {
        return Some(range.to_string());
    }
    let (address, bits) = text.split_once('/')?;
    let (address, bits): (std::net::Ipv6Addr, u8) = (address.parse().ok()?, bits.parse().ok()?);
    let host_bits = 128_u32.checked_sub(u32::from(bits))?;
    let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
    Some(format!("{}/{bits}", std::net::Ipv6Addr::from(u128::from(address) & mask)))
}

fn roles(roles: &Roles, mistakes: &mut Mistakes) {
    let arns = [
        ("roles.execution", &roles.execution, "role/"),
        ("roles.task", &roles.task, "role/"),
        ("roles.permissions_boundary", &roles.permissions_boundary, "policy/"),
    ];
    for (setting, arn, kind) in arns {
        if let Some(arn) = arn.as_ref().filter(|arn| !is_iam_arn(arn, kind)) {
            mistakes.add(setting, format!("expected `arn:aws:iam::123456789012:{kind}NAME`, but found `{arn}`"));
        }
    }
    if let Some(path) = &roles.path {
        let printable = path.chars().all(|c| c.is_ascii_graphic());
        if !path.starts_with('/') || !path.ends_with('/') || !printable || path.len() > 512 {
            mistakes.add("roles.path", format!("expected a path as `/time/`, but found `{path}`"));
        }
    }
}

/// Whether it is the ARN of something of `kind` in an account, or of AWS's own policies.
fn is_iam_arn(arn: &str, kind: &str) -> bool {
    let fields: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, resource] = fields[..] else { return false };
    let is_account = account == "aws" || account.len() == 12 && account.chars().all(|c| c.is_ascii_digit());
    let name = resource.strip_prefix(kind).unwrap_or_default();
    let legal = |c: char| c.is_ascii_alphanumeric() || "+=,.@_-/".contains(c);
    partition.starts_with("aws") && is_account && !name.is_empty() && name.chars().all(legal)
}

fn retention(days: u32, mistakes: &mut Mistakes) {
    if !RETENTIONS.contains(&days) {
        let nearest = RETENTIONS.iter().min_by_key(|known| known.abs_diff(days)).expect("the list is not empty");
        mistakes.hint(
            "logs.retention",
            format!("CloudWatch Logs cannot keep for {days} days"),
            format!("write `{nearest}d`"),
        );
    }
}

fn tags(spec: &PlaceSpec, mistakes: &mut Mistakes) {
    const SETTING: &str = "aws.tags";
    // What tags of all services in the place may be made of.
    let legal = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c));
    let mut seen = BTreeSet::from(["name".to_owned()]);
    for (key, value) in &spec.tags {
        let folded = key.to_lowercase();
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 || !legal(key) || !legal(value) {
            let limits = "a key of 1 to 128 and a value of up to 256 letters, digits, spaces and `_.:/=+-@`";
            mistakes.add(SETTING, format!("expected {limits}, but found `{key}`"));
        } else if folded.starts_with("aws:") || folded.starts_with("gimmetime:") {
            mistakes.add(SETTING, format!("`{key}` begins with what is not yours"));
        } else if !seen.insert(folded) {
            // IAM takes keys that differ in case for the same one.
            mistakes.add(SETTING, format!("`{key}` stands twice, or is `Name`, which everything here has"));
        }
    }
    if spec.tags.len() > MOST_TAGS {
        mistakes.add(SETTING, format!("expected at most {MOST_TAGS} tags, but found {}", spec.tags.len()));
    }
}

fn service(spec: &PlaceSpec, mistakes: &mut Mistakes) {
    let health = &spec.health;
    if !health.starts_with('/') || health.len() > 1024 || !health.chars().all(|c| c.is_ascii_graphic()) {
        mistakes.add("service.health", format!("expected a path as `/live`, but found `{health}`"));
    }
    if spec.count > MOST_TASKS {
        mistakes.add("count", format!("expected at most {MOST_TASKS} tasks, but found {}", spec.count));
    }
    size(spec.size, mistakes);
}

fn size(Size { cpu, memory }: Size, mistakes: &mut Mistakes) {
    if let Err(why) = fargate_size(cpu, memory) {
        mistakes.add("service.size", why);
    }
}

fn twice(texts: &[String]) -> BTreeSet<&String> {
    let mut seen = BTreeSet::new();
    texts.iter().filter(|text| !seen.insert(*text)).collect()
}

#[cfg(test)]
mod tests;

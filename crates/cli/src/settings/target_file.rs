//! The keys of a target, as they were written: nothing is defaulted here.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use gimmetime_aws::limits::RETENTIONS;
use gimmetime_aws::{Made, Scheme};

use super::parse_duration;

use super::reader::{Mistake, Mistakes, Reader};

/// Keys that only a target on AWS has.
const AWS_ONLY: [&str; 4] = ["network", "roles", "logs", "protect"];
/// Keys of targets on AWS that later versions will know.
const LATER: [&str; 5] = ["https", "scaling", "waf", "alarms", "guardduty"];

/// What tells where a target is.
const WHERE: &str = "on AWS: aws = { account = \"123456789012\", region = \"eu-west-1\" }; on this machine: listen = \"127.0.0.1:8080\"";

/// `[targets.NAME]`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TargetFile {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) count: Option<u32>,
    pub(crate) aws: Option<AwsFile>,
    pub(crate) protect: Option<bool>,
    pub(crate) network: Option<NetworkFile>,
    pub(crate) roles: Option<RolesFile>,
    pub(crate) logs: Option<LogsFile>,
}

/// `aws`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AwsFile {
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) profile: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

/// `network`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct NetworkFile {
    pub(crate) mode: Option<Made>,
    pub(crate) zones: Option<u8>,
    pub(crate) cidr: Option<String>,
    pub(crate) scheme: Option<Scheme>,
    pub(crate) ingress: Option<Vec<String>>,
    pub(crate) vpc: Option<String>,
    pub(crate) subnets: Option<Vec<String>>,
    pub(crate) balancer_subnets: Option<Vec<String>>,
    pub(crate) public_ip: Option<bool>,
}

/// `roles`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RolesFile {
    pub(crate) execution: Option<String>,
    pub(crate) task: Option<String>,
    pub(crate) permissions_boundary: Option<String>,
    pub(crate) path: Option<String>,
}

/// `logs`
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct LogsFile {
    pub(crate) retention_days: Option<u32>,
    pub(crate) events: Option<bool>,
}

impl TargetFile {
    /// Reads the keys of a target out of a table that may have others, too.
    pub(crate) fn read(reader: &mut Reader<'_>, mistakes: &mut Mistakes) -> Self {
        let target = Self {
            listen: reader.parsed("listen", mistakes, |text| {
                text.parse().map_err(|_| format!("expected an address as 127.0.0.1:8080, but found `{text}`"))
            }),
            count: reader.integer("count", 0..201, mistakes),
            aws: reader.table("aws", mistakes).map(|table| read_aws(table, mistakes)),
            protect: reader.boolean("protect", mistakes),
            network: reader.table("network", mistakes).map(|table| read_network(table, mistakes)),
            roles: reader.table("roles", mistakes).map(|table| read_roles(table, mistakes)),
            logs: reader.table("logs", mistakes).map(|table| read_logs(table, mistakes)),
        };
        for key in LATER {
            reader.later(key, mistakes);
        }
        target
    }

    /// Reads a target's own table. `top` are the keys of every target; they make this one a place on AWS if they say so.
    pub(crate) fn read_own(name: &str, mut reader: Reader<'_>, top: &Self, mistakes: &mut Mistakes) -> Self {
        let target = Self::read(&mut reader, mistakes);
        let is_aws = reader.has("aws") || (top.aws.is_some() && name != LOCAL);
        if is_aws && reader.has("listen") {
            reader.refuse("listen", "a target on AWS listens on port 80 of its balancer; remove it", mistakes);
        }
        let is_here = name == LOCAL || reader.has("listen") || top.listen.is_some();
        if !is_aws && !is_here {
            // A name says nothing: `production` would run on this machine, and nobody would notice.
            reader.refuse_all("neither `listen` nor `aws` says where it is", WHERE, mistakes);
        }
        for key in AWS_ONLY.into_iter().filter(|key| !is_aws && is_here && reader.has(key)) {
            reader.refuse(key, "is for targets on AWS, and this one has no `aws`", mistakes);
        }
        reader.finish(mistakes);
        target
    }

    /// These keys, and the top's where they are silent. Only keys of `aws` are mixed one by one.
    pub(crate) fn over(self, name: &str, top: Self) -> Self {
        let top_aws = top.aws.filter(|_| name != LOCAL);
        let aws = match (self.aws, top_aws) {
            (Some(own), Some(top)) => Some(AwsFile {
                account: own.account.or(top.account),
                region: own.region.or(top.region),
                profile: own.profile.or(top.profile),
                tags: top.tags.into_iter().chain(own.tags).collect(),
            }),
            (own, top) => own.or(top),
        };
        Self {
            listen: self.listen.or(top.listen),
            count: self.count.or(top.count),
            aws,
            protect: self.protect.or(top.protect),
            network: self.network.or(top.network),
            roles: self.roles.or(top.roles),
            logs: self.logs.or(top.logs),
        }
    }
}

/// The target that is there without a table of its own: always this machine, whatever stands at the top.
pub(crate) const LOCAL: &str = "local";

fn read_aws(mut reader: Reader<'_>, mistakes: &mut Mistakes) -> AwsFile {
    let aws = AwsFile {
        account: reader.parsed("account", mistakes, account),
        region: reader.parsed("region", mistakes, region),
        profile: reader.string("profile", mistakes),
        tags: read_tags(&mut reader, mistakes),
    };
    reader.finish(mistakes);
    aws
}

/// Tags as AWS takes them on every kind of resource.
fn read_tags(reader: &mut Reader<'_>, mistakes: &mut Mistakes) -> BTreeMap<String, String> {
    let legal = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    let pairs = reader.pairs("tags", mistakes);
    for pair in &pairs {
        let name = &pair.name;
        let why = if name.starts_with("aws:") || name.starts_with("gimmetime:") {
            "begins with a prefix that is not yours"
        } else if name.is_empty() || 128 < name.chars().count() || 256 < pair.value.chars().count() {
            "is too long, at most 128 characters name a tag and 256 are its value"
        } else if !legal(name) || !legal(&pair.value) {
            "may hold only letters, digits, spaces and _ . : / = + - @"
        } else {
            continue;
        };
        mistakes.add(Mistake::plain(format!("tag `{name}` {why}")).at(pair.line));
    }
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

fn read_network(mut reader: Reader<'_>, mistakes: &mut Mistakes) -> NetworkFile {
    let modes = [("public", Made::Public), ("nat", Made::Nat), ("endpoints", Made::Endpoints)];
    let schemes = [("internet-facing", Scheme::InternetFacing), ("internal", Scheme::Internal)];
    let network = NetworkFile {
        mode: reader.choice("mode", &modes, mistakes),
        zones: reader.integer("zones", 2..4, mistakes).map(|zones| zones as u8),
        cidr: reader.parsed("cidr", mistakes, vpc_range),
        scheme: reader.choice("scheme", &schemes, mistakes),
        ingress: reader.parsed_strings("ingress", mistakes, range),
        vpc: reader.parsed("vpc", mistakes, |text| id("vpc-", text)),
        subnets: reader.parsed_strings("subnets", mistakes, |text| id("subnet-", text)),
        balancer_subnets: reader.parsed_strings("balancer_subnets", mistakes, |text| id("subnet-", text)),
        public_ip: reader.boolean("public_ip", mistakes),
    };
    check_together(&network, &reader, mistakes);
    reader.finish(mistakes);
    network
}

/// A network is made by us, or yours: keys of both kinds contradict each other.
fn check_together(network: &NetworkFile, reader: &Reader<'_>, mistakes: &mut Mistakes) {
    const OURS: [&str; 3] = ["mode", "zones", "cidr"];
    const YOURS: [&str; 3] = ["subnets", "balancer_subnets", "public_ip"];
    if reader.has("vpc") {
        for key in OURS.into_iter().filter(|key| reader.has(key)) {
            reader.refuse(key, "belongs to a VPC of ours, but `vpc` names yours; remove one of them", mistakes);
        }
        if !reader.has("subnets") {
            reader.refuse("vpc", "needs `subnets`, the ones of the tasks", mistakes);
        }
    } else {
        for key in YOURS.into_iter().filter(|key| reader.has(key)) {
            reader.refuse(key, "belongs to a VPC of yours, and `vpc` does not name it", mistakes);
        }
    }
    let (key, subnets) = if reader.has("balancer_subnets") {
        ("balancer_subnets", &network.balancer_subnets)
    } else {
        ("subnets", &network.subnets)
    };
    if subnets.as_ref().is_some_and(|subnets| subnets.len() < 2) {
        reader.refuse(key, "a balancer needs subnets in at least 2 zones", mistakes);
    }
    if network.ingress.as_ref().is_some_and(Vec::is_empty) {
        reader.refuse("ingress", "expected at least one range, as 0.0.0.0/0: nobody could connect", mistakes);
    }
}

fn read_roles(mut reader: Reader<'_>, mistakes: &mut Mistakes) -> RolesFile {
    let roles = RolesFile {
        execution: reader.parsed("execution", mistakes, |text| arn("role", text)),
        task: reader.parsed("task", mistakes, |text| arn("role", text)),
        permissions_boundary: reader.parsed("permissions_boundary", mistakes, |text| arn("policy", text)),
        path: reader.parsed("path", mistakes, iam_path),
    };
    reader.finish(mistakes);
    roles
}

fn read_logs(mut reader: Reader<'_>, mistakes: &mut Mistakes) -> LogsFile {
    let logs = LogsFile {
        retention_days: reader.parsed("retention", mistakes, retention),
        events: reader.boolean("events", mistakes),
    };
    for key in ["trail", "guardduty"] {
        reader.later(key, mistakes);
    }
    reader.finish(mistakes);
    logs
}

/// Twelve digits; hyphens between them are only for the eye.
fn account(text: &str) -> Result<String, String> {
    let digits = text.replace('-', "");
    let fits = digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if fits { Ok(digits) } else { Err(format!("expected an account of 12 digits, but found `{text}`")) }
}

/// `eu-west-1`, `us-gov-east-1`: whether there is such a region is for AWS to say.
pub(crate) fn region(text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    let fits = match parts.split_last() {
        Some((last, words)) => 2 <= words.len() && words.iter().all(word) && last.parse::<u8>().is_ok(),
        None => false,
    };
    if fits { Ok(text.to_owned()) } else { Err(format!("expected a region as eu-west-1, but found `{text}`")) }
}

/// The range of a VPC: IPv4, and large enough for subnets with a balancer in each.
fn vpc_range(text: &str) -> Result<String, String> {
    let range = range(text)?;
    let bits = range.rsplit_once('/').and_then(|(_, bits)| bits.parse::<u8>().ok());
    let fits = !range.contains(':') && bits.is_some_and(|bits| (16..=24).contains(&bits));
    if fits { Ok(range) } else { Err(format!("expected an IPv4 range from /16 to /24, but found `{text}`")) }
}

/// `10.0.0.0/8`, `2001:db8::/32`: an address whose bits behind the prefix are zero, as AWS keeps it.
fn range(text: &str) -> Result<String, String> {
    let wrong = || format!("expected a range as 10.0.0.0/8, but found `{text}`");
    let (address, bits) = text.split_once('/').ok_or_else(|| match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("{}; one address is {text}/32", wrong()),
        Ok(IpAddr::V6(_)) => format!("{}; one address is {text}/128", wrong()),
        Err(_) => wrong(),
    })?;
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let bits: u32 = bits.parse().map_err(|_| wrong())?;
    let masked = match address {
        IpAddr::V4(v4) if bits <= 32 => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) if bits <= 128 => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
        _ => return Err(wrong()),
    };
    if masked == address { Ok(text.to_owned()) } else { Err(format!("{}; its range is {masked}/{bits}", wrong())) }
}

/// `vpc-0a1b2c3d`, `subnet-0a1b2c3d`
fn id(prefix: &str, text: &str) -> Result<String, String> {
    let hex = text.strip_prefix(prefix).unwrap_or_default();
    let fits = [8, 17].contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    if fits { Ok(text.to_owned()) } else { Err(format!("expected an id as {prefix}0a1b2c3d, but found `{text}`")) }
}

/// The ARN of what vouches for GitHub's tokens in an account.
pub(crate) fn github_provider(text: &str) -> Result<String, String> {
    const GITHUB: &str = ":oidc-provider/token.actions.githubusercontent.com";
    let arn = arn("oidc-provider", text).ok().filter(|arn| arn.ends_with(GITHUB));
    arn.ok_or_else(|| format!("expected a provider as arn:aws:iam::123456789012{GITHUB}, but found `{text}`"))
}

/// The ARN of an IAM role, policy or provider.
fn arn(kind: &str, text: &str) -> Result<String, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let fits = matches!(parts.as_slice(), ["arn", partition, "iam", "", _, resource]
        if partition.starts_with("aws") && resource.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/') && 1 < rest.len()));
    if fits {
        return Ok(text.to_owned());
    }
    Err(format!("expected the ARN of a {kind}, as arn:aws:iam::123456789012:{kind}/NAME, but found `{text}`"))
}

fn iam_path(text: &str) -> Result<String, String> {
    let fits = text.starts_with('/') && text.ends_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(text.to_owned()) } else { Err(format!("expected a path as /time/, but found `{text}`")) }
}

/// Whole days, one of CloudWatch's numbers.
fn retention(text: &str) -> Result<u32, String> {
    let time = parse_duration(text)?;
    let days = time.as_secs() / 86400;
    let is_whole = time == Duration::from_secs(days * 86400);
    if let Some(days) = RETENTIONS.into_iter().find(|known| is_whole && u64::from(*known) == days) {
        return Ok(days);
    }
    let below = RETENTIONS.into_iter().rev().find(|known| u64::from(*known) <= days);
    let above = RETENTIONS.into_iter().find(|known| days < u64::from(*known));
    let near: Vec<String> = [below, above].into_iter().flatten().map(|days| format!("{days}d")).collect();
    Err(format!("CloudWatch Logs cannot keep output for `{text}`; the nearest it can are {}", near.join(" and ")))
}

use super::*;
use crate::samples::{default_place, pairwise, yours};
use crate::template::{TemplateError, template};

/// The settings that are complained about, and everything that is said.
fn told(change: impl FnOnce(&mut PlaceSpec)) -> (Vec<&'static str>, String) {
    let mut spec = default_place();
    change(&mut spec);
    let mistakes = check(&spec);
    let text: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    (mistakes.into_iter().map(|mistake| mistake.setting).collect(), text.join("\n"))
}

#[track_caller]
fn refuses(setting: &str, words: &str, change: impl FnOnce(&mut PlaceSpec)) {
    let (settings, text) = told(change);
    assert_eq!(settings, [setting], "{text}");
    assert!(text.contains(words), "{text}");
}

#[test]
fn what_can_be_made_is_not_complained_about() {
    for place in pairwise() {
        assert_eq!(check(&place), []);
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let mut spec = default_place();
    spec.name = "9lives".to_owned();
    spec.logs.retention_days = 29;
    spec.size.memory = 600;
    let error = template(&spec).unwrap_err();
    let TemplateError::Mistakes(mistakes) = &error else { panic!("{error:?}") };
    let settings: Vec<&str> = mistakes.iter().map(|mistake| mistake.setting).collect();
    assert_eq!(settings, ["name", "logs.retention", "service.size"]);
    assert!(error.to_string().starts_with("AWS would refuse these:\n  name: expected 2 to 32 letters"), "{error}");
    assert!(
        error.to_string().contains("\n  logs.retention: CloudWatch Logs cannot keep for 29 days (hint: write `30d`)\n")
    );
}

#[test]
fn a_name_that_aws_would_refuse() {
    for wrong in ["", "x", "9x", "-x", "a_b", "a b", "a--b", "ab-", "ä1", "a/b", "x\n", &"x".repeat(33)] {
        refuses("name", "expected 2 to 32 letters", |spec| spec.name = wrong.to_owned());
    }
}

#[test]
fn a_region_that_there_cannot_be() {
    for wrong in ["", "ireland", "eu-west", "eu-1", "EU-WEST-1", "eu_west_1", "eu-west-1 "] {
        refuses("aws.region", "expected a region as `eu-west-1`", |spec| spec.region = wrong.to_owned());
    }
    for right in ["us-gov-west-1", "cn-north-1", "ap-southeast-2", "mx-central-1"] {
        assert_eq!(told(|spec| spec.region = right.to_owned()).1, "");
    }
}

fn network(zones: u8, cidr: &str) -> Network {
    Network::Made { mode: crate::spec::Made::Public, zones, cidr: cidr.to_owned() }
}

#[test]
fn zones_that_there_are_not() {
    for wrong in [0, 1, 4, 255] {
        refuses("network.zones", "expected 2 or 3 zones", |spec| spec.network = network(wrong, "10.0.0.0/16"));
    }
    refuses("network.zones", "us-west-1 has 2 zones", |spec| {
        spec.region = "us-west-1".to_owned();
        spec.network = network(3, "10.0.0.0/16");
    });
}

#[test]
fn a_network_that_is_no_range_not_private_or_of_no_use() {
    let cases = [
        ("10.42.0.0", "expected an IPv4 range"),
        ("fd00::/8", "expected an IPv4 range"),
        ("10.42.0.0/33", "expected an IPv4 range"),
        ("10.42.1.0/16", "write `10.42.0.0/16`"),
        ("10.0.0.0/8", "from /16 to /24"),
        ("10.42.0.0/25", "from /16 to /24"),
        ("8.8.0.0/16", "not a private range"),
        ("172.32.0.0/16", "not a private range"),
    ];
    for (cidr, words) in cases {
        refuses("network.cidr", words, |spec| spec.network = network(2, cidr));
    }
    for right in ["172.31.0.0/16", "192.168.7.0/24", "100.127.0.0/16"] {
        assert_eq!(told(|spec| spec.network = network(2, right)).1, "");
    }
}

#[test]
fn a_network_of_yours_that_cannot_be_one() {
    let with = |change: fn(&mut String, &mut Vec<String>, &mut Vec<String>)| {
        move |spec: &mut PlaceSpec| {
            spec.network = yours(true);
            let Network::Yours { vpc, balancer_subnets, task_subnets, .. } = &mut spec.network else { unreachable!() };
            change(vpc, balancer_subnets, task_subnets);
        }
    };
    refuses("network.vpc", "expected `vpc-…`", with(|vpc, _, _| *vpc = "default".to_owned()));
    refuses("network.balancer_subnets", "at least 2 zones", with(|_, balancer, _| balancer.truncate(1)));
    refuses("network.subnets", "at least one subnet", with(|_, _, tasks| tasks.clear()));
    refuses(
        "network.subnets",
        "expected `subnet-…`, but found `subnet-XYZ`",
        with(|_, _, tasks| tasks[0] = "subnet-XYZ".to_owned()),
    );
    refuses("network.subnets", "stands twice", with(|_, _, tasks| tasks[1] = tasks[0].clone()));
}

#[test]
fn ranges_that_nobody_can_connect_from() {
    let ingress = |ranges: &[&str]| {
        let ranges: Vec<String> = ranges.iter().map(|range| (*range).to_owned()).collect();
        move |spec: &mut PlaceSpec| spec.access.ingress = ranges
    };
    refuses("network.ingress", "nobody could connect", ingress(&[]));
    for wrong in ["everybody", "10.0.0.1", "1.2.3.4/33", "::/129", "2001:db8::"] {
        refuses("network.ingress", "expected a range", ingress(&[wrong]));
    }
    refuses("network.ingress", "write `203.0.113.0/24`", ingress(&["203.0.113.9/24"]));
    refuses("network.ingress", "write `2001:db8::/32`", ingress(&["2001:0db8::1/32"]));
    refuses("network.ingress", "stands twice", ingress(&["0.0.0.0/0", "0.0.0.0/0"]));
    assert_eq!(told(ingress(&["::/0", "203.0.113.7/32", "2001:db8::/32"])).1, "");
}

#[test]
fn roles_and_paths_that_are_none() {
    refuses("roles.execution", "expected `arn:aws:iam::123456789012:role/NAME`", |spec| {
        spec.roles.execution = Some("pull".to_owned());
    });
    refuses("roles.task", "found `arn:aws:iam::123456789012:user/x`", |spec| {
        spec.roles.task = Some("arn:aws:iam::123456789012:user/x".to_owned());
    });
    refuses("roles.permissions_boundary", "policy/NAME", |spec| {
        spec.roles.permissions_boundary = Some("arn:aws:iam::1:policy/x".to_owned());
    });
    for wrong in ["", "time", "/time", "time/", "/a b/"] {
        refuses("roles.path", "expected a path as `/time/`", |spec| spec.roles.path = Some(wrong.to_owned()));
    }
    let right = |spec: &mut PlaceSpec| {
        spec.roles.path = Some("/".to_owned());
        spec.roles.permissions_boundary = Some("arn:aws:iam::aws:policy/PowerUserAccess".to_owned());
    };
    assert_eq!(told(right).1, "");
}

#[test]
fn tags_that_aws_or_gimmetime_has_for_itself() {
    let tags = |pairs: &[(&str, &str)]| {
        let tags = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        move |spec: &mut PlaceSpec| spec.tags = tags
    };
    refuses("aws.tags", "begins with what is not yours", tags(&[("aws:x", "1")]));
    refuses("aws.tags", "begins with what is not yours", tags(&[("gimmetime:owner", "1")]));
    // IAM's keys do not differ by case.
    refuses("aws.tags", "which everything here has", tags(&[("name", "1")]));
    refuses("aws.tags", "stands twice", tags(&[("Team", "1"), ("team", "2")]));
    for (key, value) in [("", "1"), ("a{", "1"), ("a", "1;2"), (&"k".repeat(129), ""), ("k", &"v".repeat(257))] {
        refuses("aws.tags", "expected a key of 1 to 128", tags(&[(key, value)]));
    }
    refuses("aws.tags", "at most 40 tags, but found 41", |spec| {
        spec.tags = (0..41).map(|index| (format!("k{index}"), String::new())).collect();
    });
}

#[test]
fn sizes_are_those_that_fargate_has() {
    let size = |cpu, memory| move |spec: &mut PlaceSpec| spec.size = Size { cpu, memory };
    for (cpu, memory) in [
        (256, 512),
        (256, 1024),
        (256, 2048),
        (512, 4096),
        (1024, 8192),
        (4096, 30_720),
        (8192, 16_384),
        (16_384, 122_880),
    ] {
        assert_eq!(told(size(cpu, memory)).1, "");
    }
    for (cpu, memory) in [
        (256, 513),
        (256, 1536),
        (256, 4096),
        (512, 512),
        (1024, 1024),
        (4096, 31_744),
        (8192, 17_408),
        (16_384, 36_864),
    ] {
        refuses("service.size", &format!("with {memory} MiB"), size(cpu, memory));
    }
    refuses("service.size", "Fargate has no task of 300 CPU units, only of 256, 512", size(300, 512));
}

#[test]
fn retentions_are_those_that_cloudwatch_has() {
    for days in RETENTIONS {
        assert_eq!(told(|spec| spec.logs.retention_days = days).1, "");
    }
    refuses("logs.retention", "write `7d`", |spec| spec.logs.retention_days = 8);
    refuses("logs.retention", "write `1d`", |spec| spec.logs.retention_days = 0);
}

#[test]
fn a_service_that_cannot_be() {
    for wrong in ["", "live", "/a b", "/ä"] {
        refuses("service.health", "expected a path as `/live`", |spec| spec.health = wrong.to_owned());
    }
    refuses("count", "at most 5000", |spec| spec.count = 5001);
    refuses("secrets", "`file:/run/key`: expected `ssm:/NAME`", |spec| {
        spec.secrets = ["file:/run/key".to_owned()].into();
    });
}

//! Settings: everything that is wrong is said at once, with its line; the sample of the README resolves.

use gimmetime_aws::{Access, Made, Network, Scheme};

use super::*;

fn resolve(source: &str, common: &Common) -> Result<Settings, Mistakes> {
    let (file, mistakes) = File::parse(source, Mistakes::of(Some(Path::new("gimmetime.toml"))))?;
    Settings::merge(common, &Environment::default(), file, mistakes)
}

fn mistakes(source: &str) -> String {
    resolve(source, &common()).expect_err("it has mistakes").to_string()
}

/// What is wrong with a target on AWS that has these lines.
fn aws_mistakes(lines: &str) -> String {
    let common = Common { target: Some("production".to_owned()), ..common() };
    let source = format!("[targets.production]\naws = {{ region = \"eu-west-1\" }}\n{lines}\n");
    resolve(&source, &common).expect_err("it has mistakes").to_string()
}

fn common() -> Common {
    Common { state: Some("/state".into()), ..Common::default() }
}

fn on_aws(settings: &Settings) -> &AwsPlace {
    match &settings.place {
        Place::Aws(place) => place,
        Place::Local { .. } => panic!("it is on AWS"),
    }
}

#[test]
fn every_mistake_is_said_at_once_with_its_line_and_the_nearest_name() {
    let source = "nmae = \"x\"\n[service]\nport = \"80\"\nhealht = \"/\"\nrollout = { failures = 0, max_percnt = 2 }\n\
                  [targets.local]\nlisten = \"8080\"\ncount = 1000\n";
    assert_eq!(
        mistakes(source),
        "gimmetime.toml:1: unknown key `nmae` (did you mean `name`?)\n\
         gimmetime.toml:3: `service.port`: expected a whole number from 1 to 65535, but found the string \"80\"\n\
         gimmetime.toml:4: unknown key `service.healht` (did you mean `health`?)\n\
         gimmetime.toml:5: `service.rollout.failures`: expected a whole number from 1 to 200, but found the number 0\n\
         gimmetime.toml:5: unknown key `service.rollout.max_percnt` (did you mean `max_percent`?)\n\
         gimmetime.toml:7: `targets.local.listen`: expected an address as 127.0.0.1:8080, but found `8080`\n\
         gimmetime.toml:8: `targets.local.count`: expected a whole number from 0 to 200, but found the number 1000"
    );
}

#[test]
fn a_mistake_of_syntax_names_its_line() {
    assert!(mistakes("name = \"a\"\nport = = 2\n").starts_with("gimmetime.toml:2: "));
}

#[test]
fn without_a_file_every_setting_has_a_default() {
    let settings = Settings::merge(&common(), &Environment::default(), File::default(), Mistakes::of(None));
    let settings = settings.expect("defaults are right");
    assert_eq!((settings.name.as_str(), settings.target.as_str(), settings.count), ("gimmetime", "local", None));
    assert_eq!(settings.service.image, ImageSource::Builtin);
    assert_eq!((settings.service.health.as_str(), settings.service.probe.as_str()), ("/live", "/now"));
}

#[test]
fn a_flag_beats_the_file_and_a_target_beats_the_top() {
    let source =
        "name = \"filed\"\ncount = 3\n[targets.local]\ncount = 5\n[targets.other]\nlisten = \"127.0.0.1:8081\"\n";
    let flags = Common { name: Some("typed".to_owned()), ..common() };
    let settings = resolve(source, &flags).expect("it is right");
    assert_eq!((settings.name.as_str(), settings.count), ("typed", Some(5)));
    let flags = Common { target: Some("other".to_owned()), ..common() };
    assert_eq!(resolve(source, &flags).expect("it is right").count, Some(3));
}

#[test]
fn an_unknown_target_is_refused_with_the_nearest_one() {
    let flags = Common { target: Some("prodution".to_owned()), ..common() };
    let error = resolve("[targets.production]\naws = {}\n", &flags).expect_err("there is none");
    assert_eq!(error.to_string(), "unknown target `prodution` (did you mean `production`?)");
}

#[test]
fn a_target_on_aws_has_defaults_of_its_own() {
    let flags = Common { target: Some("production".to_owned()), ..common() };
    let settings = resolve("[targets.production]\naws = { region = \"eu-west-1\" }\n", &flags).expect("it is right");
    let place = on_aws(&settings);
    assert_eq!(place.region.as_deref(), Some("eu-west-1"));
    let made = Network::Made { mode: Made::Public, zones: 2, cidr: "10.42.0.0/16".to_owned() };
    assert_eq!((&place.network, place.protect), (&made, false));
    assert_eq!(place.access, Access { scheme: Scheme::InternetFacing, ingress: vec!["0.0.0.0/0".to_owned()] });
    assert_eq!((place.logs.retention_days, place.logs.memory), (30, true));
    let rollout = &settings.service.rollout;
    assert_eq!((rollout.stop_timeout, rollout.probe_rate), (Duration::from_secs(30), 5.0));
    let local = resolve("", &common()).expect("it is right").service.rollout;
    assert_eq!((local.stop_timeout, local.probe_rate), (Duration::from_secs(5), 50.0));
}

#[test]
fn every_key_of_a_target_on_aws_is_read() {
    let source = r#"
        aws = { profile = "top", tags = { team = "time", cost-center = "1" } }
        protect = true
        [targets.production]
        aws = { account = "1234-5678-9012", region = "eu-west-1", tags = { cost-center = "42" } }
        count = 3
        network = { vpc = "vpc-0a1b2c3d", subnets = ["subnet-0a1b2c3d"], public_ip = true, scheme = "internal",
                    balancer_subnets = ["subnet-0a1b2c3e", "subnet-0a1b2c3f"], ingress = ["10.0.0.0/8", "2001:db8::/32"] }
        roles = { permissions_boundary = "arn:aws:iam::123456789012:policy/limits", path = "/time/",
                  execution = "arn:aws:iam::123456789012:role/pull", task = "arn:aws:iam::123456789012:role/time/task" }
        logs = { retention = "90d", events = false }
        [service]
        secrets = { KEY = "ssm:/time/key" }
    "#;
    let flags = Common { target: Some("production".to_owned()), region: Some("us-east-1".to_owned()), ..common() };
    let settings = resolve(source, &flags).expect("it is right");
    let place = on_aws(&settings);
    assert_eq!((place.account.as_deref(), place.region.as_deref()), (Some("123456789012"), Some("us-east-1")));
    assert_eq!((place.profile.as_deref(), place.protect, settings.count), (Some("top"), true, Some(3)));
    let tags: Vec<_> = place.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(tags, [("cost-center", "42"), ("team", "time")]);
    let Network::Yours { task_subnets, balancer_subnets, public_ip, .. } = &place.network else { panic!("it is ours") };
    assert_eq!((task_subnets.len(), balancer_subnets.len(), *public_ip), (1, 2, true));
    assert_eq!((place.access.scheme, place.access.ingress.len()), (Scheme::Internal, 2));
    assert_eq!(place.roles.path.as_deref(), Some("/time/"));
    assert_eq!((place.logs.retention_days, place.logs.memory), (90, false));
    assert!(resolve(source, &common()).expect("it is right").place.is_local(), "`local` stays on this machine");
}

#[test]
fn all_that_is_wrong_with_a_target_on_aws_is_said_at_once() {
    let lines = r#"
proteckt = true
listen = "127.0.0.1:80"
network = { mode = "pubilc", cidr = "10.0.0.0/8", ingress = ["10.0.0.1/8", "everybody", "10.0.0.1"] }
roles = { path = "time", execution = "pull" }
logs = { retention = "45d", trail = "adopt" }
waf = { mode = "count" }
[service]
size = { cpu = 256, memory = 4096 }
secrets = { KEY = "file:/etc/key" }
"#;
    assert_eq!(
        aws_mistakes(lines),
        "gimmetime.toml:4: unknown key `targets.production.proteckt` (did you mean `protect`?)\n\
         gimmetime.toml:5: `targets.production.listen`: a target on AWS listens on port 80 of its balancer; remove it\n\
         gimmetime.toml:6: `targets.production.network.mode`: expected public, nat or endpoints, but found `pubilc` \
         (did you mean `public`?)\n\
         gimmetime.toml:6: `targets.production.network.cidr`: expected an IPv4 range from /16 to /24, but found \
         `10.0.0.0/8`\n\
         gimmetime.toml:6: `targets.production.network.ingress`: expected a range as 10.0.0.0/8, but found `10.0.0.1/8`; \
         its range is 10.0.0.0/8\n\
         gimmetime.toml:6: `targets.production.network.ingress`: expected a range as 10.0.0.0/8, but found `everybody`\n\
         gimmetime.toml:6: `targets.production.network.ingress`: expected a range as 10.0.0.0/8, but found `10.0.0.1`; \
         one address is 10.0.0.1/32\n\
         gimmetime.toml:7: `targets.production.roles.execution`: expected the ARN of a role, as \
         arn:aws:iam::123456789012:role/NAME, but found `pull`\n\
         gimmetime.toml:7: `targets.production.roles.path`: expected a path as /time/, but found `time`\n\
         gimmetime.toml:8: `targets.production.logs.retention`: CloudWatch Logs cannot keep output for `45d`; the nearest \
         it can are 30d and 60d\n\
         gimmetime.toml:8: `targets.production.logs.trail`: not in this version; remove it\n\
         gimmetime.toml:9: `targets.production.waf`: not in this version; remove it\n\
         gimmetime.toml:11: `service.size`: Fargate has no task of 256 CPU units with 4096 MiB, only with 512, 1024, \
         2048: take memory = 2048\n\
         gimmetime.toml:12: secret `KEY` is a file of this machine, which no task on AWS can read (ssm:NAME or \
         secretsmanager:NAME)"
    );
}

#[test]
fn keys_that_contradict_each_other_are_refused() {
    for (line, words) in [
        ("network = { vpc = \"vpc-0a1b2c3d\", mode = \"nat\" }", "network.mode`: belongs to a VPC of ours"),
        ("network = { vpc = \"vpc-0a1b2c3d\", mode = \"nat\" }", "network.vpc`: needs `subnets`"),
        ("network = { subnets = [\"subnet-0a1b2c3d\"] }", "network.subnets`: belongs to a VPC of yours"),
        ("network = { public_ip = true }", "network.public_ip`: belongs to a VPC of yours"),
        ("network = { vpc = \"vpc-0a1b2c3d\", subnets = [\"subnet-0a1b2c3d\"] }", "subnets in at least 2 zones"),
        ("network = { vpc = \"vpc-1\", subnets = [] }", "expected an id as vpc-0a1b2c3d, but found `vpc-1`"),
        ("network = { ingress = [] }", "nobody could connect"),
        ("network = { zones = 4 }", "expected a whole number from 2 to 3"),
        ("protect = \"yes\"", "expected true or false, but found the string \"yes\""),
        ("logs = { retention = \"4000d\" }", "the nearest it can are 3653d"),
        ("logs = { retention = \"12h\" }", "the nearest it can are 1d"),
    ] {
        let said = aws_mistakes(line);
        assert!(said.contains(words), "no `{words}` in {said}");
    }
    let said = mistakes("[targets.local]\nnetwork = { mode = \"nat\" }\nprotect = true\n");
    assert!(said.contains(":2: `targets.local.network`: is for targets on AWS, and this one has no `aws`"), "{said}");
    assert!(said.contains(":3: `targets.local.protect`: is for targets on AWS"), "{said}");
}

#[test]
fn a_target_that_is_not_called_local_must_say_where_it_is() {
    let where_it_is = "neither `listen` nor `aws` says where it is (on AWS: aws = { account = \"123456789012\", \
                       region = \"eu-west-1\" }; on this machine: listen = \"127.0.0.1:8080\")";
    for (source, line) in [
        ("[targets.production]\ncount = 2\n", 1),
        ("\n[targets]\nproduction = { count = 2 }\n", 3),
        ("\ntargets.production.count = 2\n", 2),
        ("[targets.production]\nprotect = true\n", 1),
    ] {
        assert_eq!(mistakes(source), format!("gimmetime.toml:{line}: `targets.production`: {where_it_is}"), "{source}");
    }
    let sources = [
        "[targets.local]\ncount = 2\n",
        "[targets.staging]\nlisten = \"127.0.0.1:8081\"\n",
        "[targets.staging]\naws = {}\n",
        "listen = \"127.0.0.1:8081\"\n[targets.staging]\ncount = 1\n",
        "aws = {}\n[targets.staging]\ncount = 1\n",
    ];
    for source in sources {
        assert!(resolve(source, &common()).is_ok(), "{source}");
    }
}

#[test]
fn a_provider_for_github_is_told_by_its_arn() {
    let arn = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com";
    assert_eq!(parse_github_provider(arn).as_deref(), Ok(arn));
    for wrong in ["token.actions.githubusercontent.com", "arn:aws:iam::123456789012:oidc-provider/gitlab.com"] {
        assert!(parse_github_provider(wrong).is_err_and(|why| why.contains("but found")), "{wrong}");
    }
}

#[test]
fn what_names_an_account_or_a_region_must_look_like_one() {
    let aws = |keys: &str| mistakes(&format!("[targets.production]\naws = {{ {keys} }}\n"));
    for (keys, words) in [
        ("account = 123456789012", "expected a string, but found the number 123456789012"),
        ("account = \"1234\"", "expected an account of 12 digits, but found `1234`"),
        ("region = \"Ireland\"", "expected a region as eu-west-1, but found `Ireland`"),
        ("tags = { \"aws:x\" = \"1\" }", "tag `aws:x` begins with a prefix that is not yours"),
        ("tags = { a = \"b*\" }", "tag `a` may hold only letters"),
    ] {
        assert!(aws(keys).contains(words), "no `{words}` in {}", aws(keys));
    }
}

#[test]
fn a_name_must_suit_a_repository_on_aws_too() {
    for (name, words) in [("a", "too short for a repository"), ("a--b", "two hyphens in a row")] {
        let flags = Common { target: Some("aws".to_owned()), name: Some(name.to_owned()), ..common() };
        let said = resolve("[targets.aws]\naws = {}\n", &flags).expect_err("AWS refuses it").to_string();
        assert!(said.contains(words), "{said}");
        assert!(resolve("", &Common { name: Some(name.to_owned()), ..common() }).is_ok(), "here it will do");
    }
}

#[test]
fn an_image_is_told_by_its_looks() {
    assert_eq!(ImageSource::parse("builtin"), ImageSource::Builtin);
    assert_eq!(ImageSource::parse("sha256:00"), ImageSource::Digest("sha256:00".to_owned()));
    for path in ["./server", "/bin/server", "server", "build/server", "./example.com/server"] {
        assert_eq!(ImageSource::parse(path), ImageSource::Path(path.into()), "{path}");
    }
    for reference in ["example.com/server:1", "127.0.0.1:5000/server", "ghcr.io/a/b"] {
        assert!(matches!(ImageSource::parse(reference), ImageSource::Reference(_)), "{reference}");
    }
}

#[test]
fn a_name_must_suit_a_load_balancer() {
    assert_eq!(check_name("engage-infra"), Ok(()));
    for wrong in ["", "-a", "1a", "a-", "internal-a", "a_b", "a/b", &"a".repeat(33)] {
        assert!(check_name(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_duration_needs_its_unit() {
    assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
    assert_eq!(parse_duration("2h"), Ok(Duration::from_hours(2)));
    for wrong in ["", "5", "s", "1.5s", "-1s", "99999999999999999999s", "99999999999999999d"] {
        assert!(parse_duration(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_secret_must_be_a_reference() {
    let words = mistakes("[service]\nsecrets = { KEY = \"hunter2\" }\n");
    assert!(words.contains("secret `KEY` must be a reference"), "{words}");
    assert!(!words.contains("hunter2"), "a secret must not reach a message: {words}");
    for lines in
        ["secrets = { PIN = 271828 }", "secrets = \"271828\"", "env = { PIN = 271828 }", "env = \"PIN=271828\""]
    {
        let words = mistakes(&format!("[service]\n{lines}\n"));
        assert!(words.contains("gimmetime.toml:2: `service."), "{words}");
        assert!(!words.contains("271828"), "a value may be a secret: {words}");
    }
}

//! What goes wrong on the way to AWS: said at once, in words that tell what to do, with nothing made.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Stdio};

use rustix::process::Signal;

use super::place::{ACCOUNT, Cloud, REGION, emulator};
use crate::place::{Place, Ran, eventually, signal};

impl Cloud {
    /// What a command of the program with other variables does.
    fn with(&self, args: &[&str], variables: &[(&str, Option<&str>)]) -> Ran {
        let mut command = self.command(args);
        for (name, value) in variables {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ran::of(command.output().unwrap())
    }
}

const NO_KEYS: [(&str, Option<&str>); 2] = [("AWS_ACCESS_KEY_ID", None), ("AWS_SECRET_ACCESS_KEY", None)];

#[test]
fn without_credentials_only_the_first_plan_can_be_made() {
    let cloud = Cloud::new();
    for args in [&["up", "--yes"][..], &["status"], &["deploy"], &["ls"], &["down", "--yes", "--name", "xx"]] {
        let ran = cloud.with(args, &NO_KEYS);
        ran.ends(2).says("error: no AWS credentials").says("hint: ").says("AWS_PROFILE");
    }
    let plan = cloud.with(&["plan"], &NO_KEYS);
    plan.ends(0).says("no AWS credentials").says("nothing exists yet").says("a month");
    for args in [&["template"][..], &["iam", "read"], &["iam", "github", "acme/time"]] {
        assert!(!cloud.with(args, &NO_KEYS).ends(0).stdout.is_empty(), "{args:?} asks nobody");
    }
}

#[test]
fn a_provider_that_the_account_has_is_trusted_and_not_made_again() {
    let cloud = Cloud::new();
    let provider = |account: &str| format!("arn:aws:iam::{account}:oidc-provider/token.actions.githubusercontent.com");
    let github = &["iam", "github", "acme/time"];
    assert!(cloud.must(github).stdout.contains("AWS::IAM::OIDCProvider"));
    let own = provider(ACCOUNT);
    let role = cloud.must(&[&github[..], &["--provider-arn", &own]].concat()).stdout;
    assert!(role.contains(&own) && !role.contains("AWS::IAM::OIDCProvider"), "{role}");
    let other = provider("123456789012");
    let refused = cloud.run(&[&github[..], &["--provider-arn", &other]].concat());
    refused.ends(2).says("is in account 123456789012, and the target's account is 000000000000");
    let wrong = cloud.run(&[&github[..], &["--provider-arn", "github"]].concat());
    wrong.ends(2).says("expected a provider as arn:aws:iam::");
}

#[test]
fn no_terminal_never_means_yes() {
    let cloud = Cloud::new();
    let ran = cloud.run(&["up"]);
    ran.ends(2).says("nobody can be asked here").says("hint: pass --yes").says("26 to create");
    assert!(!cloud.folder().join("state").exists(), "nothing is kept on this machine");
    assert_eq!(cloud.inventory(), Vec::<String>::new());
}

#[test]
fn another_account_than_the_targets_is_never_touched() {
    let cloud = Cloud::new();
    let settings = std::fs::read_to_string(cloud.folder().join("gimmetime.toml")).unwrap();
    cloud.file("gimmetime.toml", &settings.replace(ACCOUNT, "123456789012"));
    for args in [&["up", "--yes"][..], &["plan"], &["deploy"], &["down", "--yes", "--name", "xx"]] {
        let ran = cloud.run(args);
        ran.ends(2).says("error: wrong account").says("belong to 000000000000, the target says 123456789012");
    }
    cloud.file("gimmetime.toml", &settings);
    assert_eq!(cloud.inventory(), Vec::<String>::new());
}

#[test]
fn a_profile_that_was_named_is_the_only_source_of_credentials() {
    let cloud = Cloud::new();
    let settings = |aws: &str| {
        cloud.file("gimmetime.toml", &format!("name = \"{}\"\n[targets.production]\naws = {{{aws}}}\n", cloud.name));
    };
    cloud.file("config", "[profile other]\nregion = eu-west-1\n[profile acme]\nregion = eu-west-1\n");
    cloud.file("credentials", "[other]\naws_access_key_id = 111122223333\naws_secret_access_key = test\n");
    let files = ["config", "credentials"].map(|name| cloud.folder().join(name).display().to_string());
    let ls = |args: &[&str], profile: Option<&str>, key: Option<&str>| {
        let variables = [
            ("AWS_CONFIG_FILE", Some(files[0].as_str())),
            ("AWS_SHARED_CREDENTIALS_FILE", Some(files[1].as_str())),
            ("AWS_PROFILE", profile),
            ("AWS_ACCESS_KEY_ID", key),
        ];
        cloud.with(&[&["ls"], args].concat(), &variables)
    };
    let keys = Some("test");
    // The environment has keys of another account all the time.
    settings("");
    ls(&["--profile", "other"], None, keys).ends(0).says("production · 1111-2222-3333 (other) · eu-west-1 · as");
    ls(&["--profile", "other"], Some("acme"), keys).ends(0).says("1111-2222-3333 (other)");
    settings("profile = \"other\"");
    ls(&[], None, keys).ends(0).says("1111-2222-3333 (other)");
    let nope = ls(&["--profile", "nope"], None, keys);
    nope.ends(2).says("no profile `nope` in ~/.aws/config or ~/.aws/credentials; known: acme, other").says("hint: ");
    ls(&["--profile", "acme"], None, keys).ends(2).says("no AWS credentials").says("tried profile `acme` alone");
    // Named by the environment, it comes after the environment's keys, and is not told of where it was not used.
    settings("");
    ls(&[], Some("other"), keys).ends(0).says("production · 0000-0000-0000 · eu-west-1 · as");
    ls(&[], Some("other"), None).ends(0).says("production · 1111-2222-3333 (other) · eu-west-1 · as");
}

#[test]
fn an_engine_of_our_own_is_not_taken_for_aws() {
    let (place, cloud) = (Place::new(), Cloud::new());
    place.must(&["up"]);
    let exports = place.exports();
    let left_in_the_shell: Vec<_> = exports.iter().map(|(name, value)| (name.as_str(), Some(value.as_str()))).collect();
    // The target's own region is another than the engine's.
    cloud.with(&["scale", "4"], &left_in_the_shell).ends(2).says("does not accept the credentials");
    let settings = format!("name = \"{}\"\n[targets.production]\naws = {{}}\n", cloud.name);
    cloud.file("gimmetime.toml", &settings);
    let ran = cloud.with(&["scale", "4"], &left_in_the_shell);
    ran.ends(2).says("is a gimmetime engine").says("gimmetime env --unset");
    assert_eq!(place.tasks().len(), 2);
}

#[test]
fn a_name_or_a_template_that_aws_would_refuse_is_refused_before_anybody_is_asked() {
    let cloud = Cloud::new();
    for (name, words) in [("a", "too short for a repository on AWS"), ("a--b", "two hyphens in a row")] {
        cloud.run(&["up", "--yes", "--name", name]).ends(2).says(words);
    }
    let settings = format!(
        "name = \"{}\"\n[targets.production]\naws = {{ account = \"{ACCOUNT}\", region = \"{REGION}\" }}\n\
         [targets.production.network]\ningress = [{}]\n",
        cloud.name,
        (0..900).map(|n| format!("\"10.{}.{}.0/24\"", n / 256, n % 256)).collect::<Vec<_>>().join(", "),
    );
    cloud.file("gimmetime.toml", &settings);
    for verb in [&["up", "--yes"][..], &["plan"], &["template"]] {
        let ran = cloud.run(verb);
        ran.ends(2).says("CloudFormation takes 51200").says("hint: join neighbouring ingress ranges");
        assert_eq!(ran.stdout, "", "{ran:#?}");
    }
    cloud.settings("", "");
    assert_eq!(cloud.inventory(), Vec::<String>::new());
}

#[test]
fn a_target_that_is_not_written_down_shows_what_to_write() {
    let cloud = Cloud::new();
    let ran = Ran::of(cloud.bare(&["up", "--target", "prodution"]).output().unwrap());
    ran.ends(2).says("unknown target `prodution` (did you mean `production`?)");
    std::fs::remove_file(cloud.folder().join("gimmetime.toml")).unwrap();
    let args = ["up", "--target", "production", "--region", "us-east-1", "--profile", "acme"];
    let ran = Ran::of(cloud.bare(&args).output().unwrap());
    ran.ends(2).says("there is no gimmetime.toml here").says("[targets.production]").says("count = 2");
    ran.says("region = \"us-east-1\", profile = \"acme\"");
}

#[test]
fn a_stack_of_somebody_else_is_left_alone() {
    let cloud = Cloud::new();
    cloud.file("theirs.yaml", "Resources: {Group: {Type: AWS::Logs::LogGroup}}\n");
    let create = format!("cloudformation create-stack --stack-name {} --template-body file://theirs.yaml", cloud.name);
    cloud.aws(&create);
    for args in [&["up", "--yes"][..], &["status"], &["deploy"], &["down", "--yes", "--name", &cloud.name]] {
        cloud.run(args).ends(2).says("was not made by gimmetime").says("hint: choose another");
    }
    let plan = cloud.run(&["plan"]);
    plan.ends(2).says("refused").says("was not made by gimmetime");
    assert!(!plan.stdout.contains("to create"), "{plan:#?}");
    cloud.aws(&format!("cloudformation delete-stack --stack-name {}", cloud.name));
}

#[test]
fn a_balancer_that_cannot_be_reached_proves_nothing() {
    let cloud = Cloud::new();
    let registry = format!("{}/{}", emulator(), cloud.name);
    // Nobody listens on the port for "discard" here.
    let args = ["--target", "production", "--registry", &registry, "--connect-to", "127.0.0.1:9"];
    let from_elsewhere = |verb: &[&str]| Ran::of(cloud.bare(&[verb, &args].concat()).output().unwrap());
    let up = from_elsewhere(&["up", "--yes"]);
    up.ends(0).says("2 of 2 healthy").says("? unverified: not to be reached from this machine");
    cloud.settings("", "env = { LOG = \"debug\" }");
    let deploy = from_elsewhere(&["deploy"]);
    deploy.ends(0).says("? not verified: none of ").says("the balancer found all healthy");
    from_elsewhere(&["check"]).ends(1).says("no answer from 127.0.0.1:9");
}

#[test]
fn two_who_deploy_at_once_learn_of_each_other_and_an_interrupted_up_goes_on() {
    let cloud = Cloud::new();
    // Whatever it was doing when it was interrupted, the same command goes on with it.
    let mut up = started(&cloud, &["up", "--yes"]);
    said(&mut up, "making ");
    signal(up.id(), Signal::INT);
    Ran::of(up.wait_with_output().unwrap()).ends(2).says("detached").says("up");
    cloud.must(&["up", "--yes"]).says("2 of 2 healthy");

    // A release that fails a dozen times takes long enough for a second to come.
    cloud.settings("", "command = [\"--no-such-flag\"]\nrollout = { failures = 12 }");
    let mut first = started(&cloud, &["deploy", "--no-smoke"]);
    said(&mut first, "r1 → r2");
    cloud.settings("", "env = { LOG = \"info\" }");
    let second = cloud.run(&["deploy"]);
    second.ends(2).says(": deploy r2, since ").says("hint: pass --attach to follow it, or --wait to begin after it");
    cloud.run(&["deploy", "--attach"]).ends(1).says("following deploy r2 by ").says("Rolled back").says(" 0 failed");
    Ran::of(first.wait_with_output().unwrap()).ends(1).says("Rolled back").says(" 0 failed");
    cloud.must(&["deploy", "--wait"]).says("r1 → r3").says(" 0 failed");
}

#[test]
fn an_interrupt_ends_a_push_that_hangs_and_nothing_is_rolled_out() {
    let cloud = Cloud::new();
    cloud.must(&["up", "--yes"]);
    cloud.settings("", "env = { LOG = \"info\" }");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let there = silent.local_addr().unwrap();
    let where_to = ["--target", "production", "--connect-to", &emulator(), "--registry", &format!("{there}/time")];
    for (verb, words) in
        [(&["deploy"][..], "interrupted before anything was"), (&["up", "--yes"], "detached: the stack")]
    {
        let mut command = cloud.bare(&[verb, &where_to].concat());
        let pushing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let held = eventually("it asks the registry", || silent.accept().ok());
        signal(pushing.id(), Signal::INT);
        Ran::of(pushing.wait_with_output().unwrap()).ends(2).says(words);
        drop(held);
    }
    assert_eq!(cloud.json(&["releases"])["releases"].as_array().unwrap().len(), 1);
}

#[test]
fn an_interrupt_ends_the_wait_for_a_balancers_name() {
    let cloud = Cloud::new();
    let registry = format!("{}/{}", emulator(), cloud.name);
    let mut command = cloud.bare(&["up", "--yes", "--target", "production", "--registry", &registry]);
    let mut up = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    said(&mut up, "waiting for the balancer's name");
    signal(up.id(), Signal::INT);
    Ran::of(up.wait_with_output().unwrap()).ends(2).says("interrupted before it was checked").says("gimmetime check");
    cloud.must(&["check"]).says("OK");
}

/// A command that runs; what it says on standard error can be read while it does.
fn started(cloud: &Cloud, args: &[&str]) -> Child {
    cloud.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Returns once it says this.
#[track_caller]
fn said(child: &mut Child, words: &str) {
    let stderr = child.stderr.as_mut().unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(words) {
        let mut byte = [0];
        assert_eq!(stderr.read(&mut byte).unwrap(), 1, "no `{words}` in {}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
}

#[test]
fn a_first_release_that_cannot_work_ends_with_3_and_a_good_one_mends_it() {
    let cloud = Cloud::new();
    cloud.settings("", "command = [\"--no-such-flag\"]");
    cloud.run(&["up", "--yes"]).ends(1).says("before it listened on $PORT").says("hint: --no-smoke");
    assert_eq!(cloud.inventory(), Vec::<String>::new());
    let up = cloud.run(&["up", "--yes", "--no-smoke"]);
    up.ends(3).says("✘ r1 failed after").says("No task is healthy").says("--no-such-flag");
    cloud.run(&["why"]).ends(1).says("✘ r1 is not well").says("--no-such-flag");
    cloud.settings("", "");
    cloud.must(&["up", "--yes"]).says("2 of 2 healthy");
}

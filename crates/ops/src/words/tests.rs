use proptest::prelude::*;

use super::*;

/// What AWS is known to say of a task that did not start or did not stay, as it says it.
const SENTENCES: [(&str, Cause); 30] = [
    (
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:77ab: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:77ab: not found",
        Cause::ImageMissing,
    ),
    ("CannotPullContainerError: failed to resolve reference: unexpected status: manifest unknown", Cause::ImageMissing),
    (
        "CannotPullContainerError: name unknown: The repository with name 'web' does not exist in the registry",
        Cause::ImageMissing,
    ),
    (
        "CannotPullContainerError: image Manifest does not contain descriptor matching platform 'linux/amd64'",
        Cause::WrongArchitecture,
    ),
    (
        "CannotPullContainerError: ref pull has been retried 5 time(s): failed to do request: dial tcp 52.0.0.1:443: i/o timeout",
        Cause::RegistryUnreachable,
    ),
    ("CannotPullContainerError: context canceled", Cause::RegistryUnreachable),
    ("CannotPullContainerError: unexpected status code [manifests 1]: 403 Forbidden", Cause::ImageDenied),
    (
        "CannotPullContainerError: pull access denied for web, repository does not exist or may require 'docker login'",
        Cause::ImageDenied,
    ),
    (
        "CannotPullContainerError: User: arn:aws:sts::1:assumed-role/x is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:x",
        Cause::ImageDenied,
    ),
    ("CannotPullContainerError: toomanyrequests: You have reached your pull rate limit", Cause::PullLimited),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: The task cannot pull registry auth from Amazon ECR: There is a connection issue between the task and Amazon ECR. Check your task network configuration.",
        Cause::RegistryUnreachable,
    ),
    (
        "ResourceInitializationError: unable to pull secrets or registry auth: pull command failed: : signal: killed",
        Cause::RegistryUnreachable,
    ),
    (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch log stream: ResourceNotFoundException: The specified log group does not exist.",
        Cause::LogsUnavailable,
    ),
    (
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: AccessDeniedException: User: x is not authorized to perform: logs:CreateLogStream",
        Cause::LogsDenied,
    ),
    ("ResourceInitializationError: failed to validate logger args: : signal: killed", Cause::ApisUnreachable),
    ("ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this task.", Cause::RoleRefused),
    (
        "(service web) failed to launch a task with (error ECS was unable to assume role 'arn:aws:iam::1:role/x')",
        Cause::RoleRefused,
    ),
    ("exec /app: exec format error", Cause::WrongArchitecture),
    ("OutOfMemoryError: Container killed due to memory usage", Cause::OutOfMemory),
    ("CannotStartContainerError: OCI runtime create failed: exec: \"/app\": permission denied", Cause::NotExecutable),
    ("CannotStartContainerError: exec: \"/app\": executable file not found in $PATH", Cause::NotExecutable),
    ("CannotStartContainerError: mkdir /var/run: read-only file system", Cause::ReadOnly),
    ("CannotCreateContainerError: could not transition to created", Cause::PlatformFault),
    ("DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s", Cause::PlatformFault),
    ("You've reached the limit on the number of vCPUs you can run concurrently", Cause::QuotaExceeded),
    (
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        Cause::NoCapacity,
    ),
    ("Timeout waiting for network interface provisioning to complete.", Cause::NoNetwork),
    ("InsufficientFreeAddressesInSubnet: The specified subnet does not have enough free addresses", Cause::NoNetwork),
    ("The target group with targetGroupArn x does not have an associated load balancer.", Cause::NoListener),
    ("No Fargate configuration exists for given values: 256 CPU, 8192 memory", Cause::BadSize),
];

/// One sentence begins like this, whatever of four things is wrong.
const BEGINNING: &str =
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: ";

/// What follows it tells them apart.
const FOUR: [(&str, Cause); 8] = [
    (
        "unable to retrieve ecr registry auth: service call has been retried 3 time(s): RequestError: send request failed caused by: Post \"https://api.ecr.eu-west-1.amazonaws.com/\": dial tcp: i/o timeout",
        Cause::RegistryUnreachable,
    ),
    (
        "unable to retrieve ecr registry auth: service call has been retried 1 time(s): AccessDeniedException: User: x is not authorized to perform: ecr:GetAuthorizationToken on resource: *",
        Cause::ImageDenied,
    ),
    (
        "unable to retrieve secret from asm: service call has been retried 1 time(s): failed to fetch secret x from secrets manager: RequestCanceled: request context canceled caused by: context deadline exceeded",
        Cause::ApisUnreachable,
    ),
    (
        "unable to retrieve secret from asm: service call has been retried 1 time(s): AccessDeniedException: User: x is not authorized to perform: secretsmanager:GetSecretValue on resource: x",
        Cause::SecretDenied,
    ),
    ("unable to retrieve secret from asm: AccessDeniedException: Access to KMS is not allowed", Cause::SecretDenied),
    (
        "unable to retrieve secrets from ssm: service call has been retried 1 time(s): invalid ssm parameters: /time/key",
        Cause::SecretUnavailable,
    ),
    (
        "unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't find the specified secret.",
        Cause::SecretUnavailable,
    ),
    (
        "unable to retrieve secret from asm: retrieved secret did not contain json key password",
        Cause::SecretUnavailable,
    ),
];

#[test]
fn each_sentence_of_aws_has_its_meaning() {
    for (reason, meaning) in SENTENCES {
        assert_eq!(cause(reason), Some(meaning), "{reason}");
    }
    for (reason, meaning) in FOUR {
        assert_eq!(cause(&format!("{BEGINNING}{reason}")), Some(meaning), "{reason}");
    }
}

#[test]
fn each_event_of_a_service_has_its_meaning() {
    let table = [
        (
            "(service web) was unable to place a task. Reason: Capacity is unavailable at this time. Please try again later or in a different availability zone.",
            Some(Cause::NoCapacity),
        ),
        (
            "(service web) was unable to place a task. Reason: You've reached the limit on the number of vCPUs you can run concurrently.",
            Some(Cause::QuotaExceeded),
        ),
        ("(service web) was unable to place a task. Reason: something new.", Some(Cause::NoCapacity)),
        (
            "(service web) failed to launch a task with (error ECS was unable to assume the role 'x').",
            Some(Cause::RoleRefused),
        ),
        ("(service web) is unable to consistently start tasks successfully.", Some(Cause::Throttled)),
        (
            "(service web) was unable to stop or start tasks during a deployment because of the service deployment configuration.",
            Some(Cause::Stuck),
        ),
        (
            "(service web) (port 8080) is unhealthy in (target-group web) due to (reason Health checks failed with these codes: [500])",
            Some(Cause::Answers(500)),
        ),
        ("(service web) (task 4f2a) failed container health checks.", None),
        ("(service web) (deployment ecs-svc/1) deployment failed: alarm detected.", Some(Cause::AlarmRaised)),
        ("(service web) has reached a steady state.", None),
        ("(service web) has begun draining connections on 1 tasks.", None),
    ];
    for (message, meaning) in table {
        assert_eq!(event_cause(message), meaning, "{message}");
    }
}

#[test]
fn the_name_of_an_image_is_no_cause() {
    let reason =
        "CannotPullContainerError: image `localhost/dynamic-loader@sha256:00`: no image `sha256:00` in `images`";
    assert_eq!(cause(reason), Some(Cause::ImageMissing));
}

#[test]
fn no_row_is_hidden_by_one_before_it() {
    for (words, meaning) in ROWS {
        assert_eq!(cause(&words.join(" ")), Some(meaning), "{words:?}");
    }
}

proptest! {
    #[test]
    fn any_words_are_read_and_their_case_does_not_matter(words in ".{0,200}") {
        prop_assert_eq!(cause(&words.to_ascii_uppercase()), cause(&words.to_ascii_lowercase()));
        let _ = (health_cause(&words), event_cause(&words));
    }
}

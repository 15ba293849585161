//! How the APIs are reached: the SDK's clients over one endpoint, with timeouts and retries set on purpose.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::timeout::TimeoutConfig;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// One call to an engine on this machine: it answers in milliseconds or not at all.
const LOCAL_CONNECT: Duration = Duration::from_millis(500);
const LOCAL_ATTEMPT: Duration = Duration::from_secs(5);
const LOCAL_OPERATION: Duration = Duration::from_secs(15);
/// An engine that hands over to its successor is away for a moment; more tries than this only delay the bad news.
const LOCAL_ATTEMPTS: u32 = 3;
const LOCAL_BACKOFF: Duration = Duration::from_millis(50);

/// Clients of the four APIs at one endpoint. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    pub(crate) ecs: aws_sdk_ecs::Client,
    pub(crate) balancing: aws_sdk_elasticloadbalancingv2::Client,
    pub(crate) logs: aws_sdk_cloudwatchlogs::Client,
    pub(crate) sts: aws_sdk_sts::Client,
    endpoint: String,
}

impl Connection {
    /// An engine on this machine: plain HTTP, static keys, nothing read from the environment or from files.
    ///
    /// Built by hand because loading the SDK's default configuration costs tens of milliseconds, and seconds where it
    /// looks for an instance's metadata.
    pub fn local(endpoint_url: &str, access_key: &str, secret_key: &str, region: &str) -> Self {
        let credentials = Credentials::from_keys(access_key, secret_key, None);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(LOCAL_CONNECT)
            .operation_attempt_timeout(LOCAL_ATTEMPT)
            .operation_timeout(LOCAL_OPERATION)
            .build();
        let retries = RetryConfig::standard().with_max_attempts(LOCAL_ATTEMPTS).with_initial_backoff(LOCAL_BACKOFF);
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(endpoint_url)
            .region(Region::new(region.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .timeout_config(timeouts)
            .retry_config(retries)
            .build();
        Self::from_config(&config, endpoint_url)
    }

    /// Any endpoint that a configuration of the SDK describes, with its timeouts and retries; `endpoint` is only how messages
    /// name it.
    pub fn from_config(config: &SdkConfig, endpoint: &str) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(config),
            balancing: aws_sdk_elasticloadbalancingv2::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            endpoint: endpoint.to_owned(),
        }
    }

    /// What messages call this endpoint.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl fmt::Debug for Connection {
    /// Names the endpoint only: no key can leak through a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

//! How the SDK is set up: what it reads, how long it waits, how often it tries.

use std::time::Duration;

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::identity::IdentityCache;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, ConfigLoader};
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::config::timeout::TimeoutConfig;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::ServiceConfigKey;

use crate::session::{SessionSpec, credentials};

/// A TCP connection to a region on the other side of the world takes a third of a second.
const CONNECT: Duration = Duration::from_secs(5);
/// One try of one call; `CreateChangeSet` with a large template takes a few seconds.
const ATTEMPT: Duration = Duration::from_secs(20);
/// One call with all its tries.
const OPERATION: Duration = Duration::from_mins(1);
/// Throttling is ordinary on a busy account: more tries than the SDK's 3. They are of the standard mode: the adaptive one would
/// hold back the request that changes something because polls were throttled.
const ATTEMPTS: u32 = 6;
/// The longest pause between two tries.
const MAX_BACKOFF: Duration = Duration::from_secs(8);

/// What is read and how it is asked, before anything is read.
pub(super) fn loader(spec: &SessionSpec) -> ConfigLoader {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(ATTEMPT)
        .operation_timeout(OPERATION)
        .build();
    let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS).with_max_backoff(MAX_BACKOFF);
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http())
        .timeout_config(timeouts)
        .retry_config(retries)
        .identity_cache(IdentityCache::lazy().load_timeout(credentials::PATIENCE).build());
    match &spec.profile {
        Some(profile) => loader.profile_name(profile),
        None => loader,
    }
}

/// TLS by ring; a proxy as every AWS tool takes it from the environment.
fn http() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, _| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        builder.set_connector_settings(settings.cloned());
        builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    })
}

/// Credentials of one profile and of nothing else. The SDK's own chain would take the environment's keys before those of a
/// profile that was named, and they may be another account's.
pub(super) fn only(profile: &str, region: Option<Region>) -> ProfileFileCredentialsProvider {
    let config = ProviderConfig::without_region().with_region(region).with_http_client(http());
    ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile).build()
}

/// The region: what was said, else the environment's, else the profile's.
///
/// The SDK's own chain would go on to ask an instance's metadata, which costs seconds where there is none.
pub(super) async fn region(spec: &SessionSpec) -> Option<Region> {
    match &spec.region {
        Some(region) => Some(Region::new(region.clone())),
        None => regions(spec).region().await,
    }
}

fn regions(spec: &SessionSpec) -> RegionProviderChain {
    let profile = ProfileFileRegionProvider::builder();
    let profile = match &spec.profile {
        Some(name) => profile.profile_name(name).build(),
        None => profile.build(),
    };
    RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new()).or_else(profile)
}

/// What messages call the other side.
pub(super) fn endpoint_in_words(config: &SdkConfig) -> String {
    let region = config.region().map_or("no region", AsRef::as_ref);
    config.endpoint_url().map_or_else(|| format!("AWS in {region}"), str::to_owned)
}

/// A setting of the profile in use, such as `mfa_serial`.
pub(super) fn in_profile(config: &SdkConfig, key: &str) -> Option<String> {
    lookup(config, "GIMMETIME_NOT_IN_THE_ENVIRONMENT", key)
}

/// The name of the profile in use, as far as settings go.
pub(super) fn profile(config: &SdkConfig, spec: &SessionSpec) -> Option<String> {
    spec.profile.clone().or_else(|| lookup(config, "AWS_PROFILE", "gimmetime_not_in_a_profile"))
}

/// Reads a setting as the SDK does: the environment is its business, not ours.
fn lookup(config: &SdkConfig, variable: &str, key: &str) -> Option<String> {
    let key = ServiceConfigKey::builder().service_id("gimmetime").profile(key).env(variable).build().ok()?;
    config.service_config()?.load_config(key).filter(|value| !value.is_empty())
}

//! The way to AWS: configuration, credentials, who is asking, and the clients that ask.
//!
//! A session is opened once per verb, before anything else: it proves that the credentials work, whose they are, and that
//! they belong to the account that the target names.

mod config;
mod credentials;
mod identity;

use std::fmt;

use aws_config::ConfigLoader;
use aws_credential_types::Credentials;
use aws_types::SdkConfig;
use gimmetime_clock::Timestamp;

pub use identity::Identity;

use crate::error::{AwsError, refused};
use crate::query::Query;

/// What a target says about the way to AWS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionSpec {
    /// The region; None leaves it to `AWS_REGION` and the profile.
    pub region: Option<String>,
    /// The profile, and then the only one that credentials come from; None leaves it to the SDK, which looks into the
    /// environment first, and for `AWS_PROFILE` after that.
    pub profile: Option<String>,
    /// The only account that this target may be in.
    pub account: Option<String>,
}

/// The way to AWS, proved. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    identity: Identity,
    endpoint: String,
    config: SdkConfig,
    cloudformation: aws_sdk_cloudformation::Client,
    ecr: aws_sdk_ecr::Client,
    ecs: aws_sdk_ecs::Client,
    query: Query,
}

/// A user name and a password for a registry, short-lived.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// `AWS`.
    pub user: String,
    /// Good for some hours.
    pub password: String,
    /// Until when.
    pub expires: Option<Timestamp>,
}

impl fmt::Debug for RegistryLogin {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryLogin").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Session {
    /// Opens the way: configuration from environment and files as every AWS tool reads them, then one question to STS.
    ///
    /// # Errors
    /// In words by cause: no such profile, no credentials, expired ones, a wrong clock, a wrong account, no region, an engine
    /// of our own.
    pub async fn open(spec: &SessionSpec) -> Result<Self, AwsError> {
        let Some(profile) = &spec.profile else {
            return Self::open_with(Self::loader(spec).region(config::region(spec).await), spec).await;
        };
        credentials::check_profile(profile).await?;
        let region = config::region(spec).await;
        let provider = config::only(profile, region.clone());
        Self::open_with(Self::loader(spec).region(region).credentials_provider(provider), spec).await
    }

    /// What is read and how it is asked, but for the region.
    pub(crate) fn loader(spec: &SessionSpec) -> ConfigLoader {
        config::loader(spec)
    }

    pub(crate) async fn open_with(loader: ConfigLoader, spec: &SessionSpec) -> Result<Self, AwsError> {
        // AWS's own services refuse a request without a region in many words; so it is asked for first.
        let config = loader.load().await;
        if config.region().is_none() {
            return Err(AwsError::NoRegion);
        }
        let (config, credentials) = credentials::obtain(&config, spec).await?;
        Self::from_config(&config, &credentials, spec).await
    }

    async fn from_config(config: &SdkConfig, credentials: &Credentials, spec: &SessionSpec) -> Result<Self, AwsError> {
        let endpoint = config::endpoint_in_words(config);
        let identity = identity::ask(config, &endpoint, credentials, spec).await?;
        identity.check(&endpoint, spec.account.as_deref())?;
        Ok(Self {
            identity,
            cloudformation: aws_sdk_cloudformation::Client::new(config),
            ecr: aws_sdk_ecr::Client::new(config),
            ecs: aws_sdk_ecs::Client::new(config),
            query: Query::new(config),
            config: config.clone(),
            endpoint,
        })
    }

    /// Who is asking, and where.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.identity.region
    }

    /// The account.
    pub fn account(&self) -> &str {
        &self.identity.account
    }

    /// The clients of the room that runs things.
    pub fn ops_connection(&self) -> gimmetime_ops::Connection {
        gimmetime_ops::Connection::from_config(&self.config, &self.endpoint)
    }

    /// A credential for the account's registry. It is for that registry alone.
    pub async fn ecr_login(&self) -> Result<RegistryLogin, AwsError> {
        const DOING: &str = "get a password for the registry";
        let reply = self.ecr.get_authorization_token().send().await;
        let reply = reply.map_err(|error| refused(DOING, &self.endpoint, error))?;
        let missing = |missing: &str| AwsError::Incomplete { doing: DOING.to_owned(), missing: missing.to_owned() };
        let data = reply.authorization_data().first().ok_or_else(|| missing("a token"))?;
        let token = data.authorization_token().ok_or_else(|| missing("a token"))?;
        let (user, password) = credentials::basic(token).ok_or_else(|| missing("a user and a password"))?;
        Ok(RegistryLogin { user, password, expires: data.expires_at().map(|at| Timestamp::from_secs(at.secs())) })
    }

    /// Where images of this repository go, without a tag; None where there is no such repository.
    pub async fn repository_uri(&self, name: &str) -> Result<Option<String>, AwsError> {
        let reply = self.ecr.describe_repositories().repository_names(name).send().await;
        match reply.map_err(|error| refused("look at the repository", &self.endpoint, error)) {
            Ok(reply) => Ok(reply.repositories().first().and_then(|found| found.repository_uri()).map(str::to_owned)),
            Err(error) if error.has_code("RepositoryNotFoundException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub(crate) fn cloudformation(&self) -> &aws_sdk_cloudformation::Client {
        &self.cloudformation
    }

    pub(crate) fn ecr(&self) -> &aws_sdk_ecr::Client {
        &self.ecr
    }

    pub(crate) fn ecs(&self) -> &aws_sdk_ecs::Client {
        &self.ecs
    }

    pub(crate) fn query(&self) -> &Query {
        &self.query
    }
}

impl fmt::Debug for Session {
    /// Names who and where only: no key can leak through a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("identity", &self.identity).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

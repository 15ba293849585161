//! Credentials, and in words why there are none.

use std::error::Error;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::credential_feature::AwsCredentialFeature;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, SharedCredentialsProvider, future};
use aws_types::SdkConfig;
use aws_types::os_shim_internal::{Env, Fs};
use gimmetime_clock::source;
use tokio::sync::Mutex;

use crate::error::{AwsError, chain, innermost};
use crate::query::system_time;
use crate::session::{SessionSpec, config};

/// How long credentials may take: a credential process may ask a person for a touch.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How long before their end credentials are renewed.
const MARGIN: Duration = Duration::from_mins(1);
/// Where the SDK looks, in this order, where no profile was named.
const TRIED: &str = "environment, profile `{profile}`, web identity, container, instance metadata";

/// Obtains credentials once, so that what is wrong with them is told before anything is done with them. The configuration
/// that comes back holds them, for all clients together.
pub(super) async fn obtain(config: &SdkConfig, spec: &SessionSpec) -> Result<(SdkConfig, Credentials), AwsError> {
    let Some(provider) = config.credentials_provider() else {
        return Err(none("nothing".to_owned(), "the SDK has no provider".to_owned()));
    };
    let facts = Facts {
        profile: config::profile(config, spec),
        is_only: spec.profile.is_some(),
        has_sso: ["sso_session", "sso_start_url"].iter().any(|key| config::in_profile(config, key).is_some()),
        has_login: config::in_profile(config, "login_session").is_some(),
        mfa_serial: config::in_profile(config, "mfa_serial"),
    };
    match tokio::time::timeout(PATIENCE, provider.provide_credentials()).await {
        Ok(Ok(credentials)) => {
            let held = Held { provider, held: Mutex::new(credentials.clone()) };
            let config = config.to_builder().credentials_provider(SharedCredentialsProvider::new(held)).build();
            Ok((config, credentials))
        }
        Ok(Err(error)) => Err(facts.explain(&error, &profiles().await.unwrap_or_default())),
        Err(_) => Err(none(facts.tried(), format!("none within {} s", PATIENCE.as_secs()))),
    }
}

/// Credentials that are kept until shortly before they expire: a single sign-on or a credential process that is asked for
/// every request costs seconds, and may ask a person each time.
#[derive(Debug)]
struct Held {
    provider: SharedCredentialsProvider,
    held: Mutex<Credentials>,
}

impl Held {
    async fn current(&self) -> provider::Result {
        let mut held = self.held.lock().await;
        let soon = system_time(source::wall().plus(MARGIN));
        if held.expiry().is_some_and(|end| end <= soon) {
            let renewed = tokio::time::timeout(PATIENCE, self.provider.provide_credentials());
            *held = renewed.await.map_err(|_| CredentialsError::provider_timed_out(PATIENCE))??;
        }
        Ok(held.clone())
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// What the profile says about where credentials come from.
#[derive(Debug)]
struct Facts {
    profile: Option<String>,
    /// Whether nothing but the profile was asked.
    is_only: bool,
    has_sso: bool,
    has_login: bool,
    mfa_serial: Option<String>,
}

impl Facts {
    /// Why there are none: pure. `profiles` are those that are in the files.
    fn explain(&self, error: &CredentialsError, profiles: &[String]) -> AwsError {
        // When no place has any, the SDK's words are the list of the places, which is told anyway.
        let is_list = |cause: &&(dyn Error + 'static)| cause.to_string().lines().count() > 1;
        let reason = if chain(error).iter().any(is_list) { "none found".to_owned() } else { innermost(error) };
        let profile = self.profile.clone().unwrap_or_else(|| "default".to_owned());
        // A network that is down says nothing about the credentials.
        if chain(error).iter().any(|cause| cause.to_string() == "dispatch failure") {
            let (doing, endpoint) = ("get credentials".to_owned(), format!("whoever vouches for profile `{profile}`"));
            return AwsError::Unreachable { doing, endpoint, reason };
        }
        if let Some(serial) = &self.mfa_serial {
            return AwsError::NeedsMfa { profile, serial: serial.clone(), reason };
        }
        if self.has_sso {
            return AwsError::SsoExpired { profile, reason };
        }
        if self.has_login {
            return AwsError::LoginExpired { profile, reason };
        }
        let reason = match &self.profile {
            Some(profile) if profiles.is_empty() => format!("there is no profile `{profile}`, nor any other"),
            Some(profile) if !profiles.contains(profile) => {
                format!("there is no profile `{profile}`, only {}", profiles.join(", "))
            }
            _ => reason,
        };
        none(self.tried(), reason)
    }

    /// Where credentials were looked for.
    fn tried(&self) -> String {
        let profile = self.profile.as_deref().unwrap_or("default");
        if self.is_only {
            return format!("profile `{profile}` alone, as it was named");
        }
        TRIED.replace("{profile}", profile)
    }
}

/// The profile in use, for people: none where the environment's keys, or a machine's, were taken instead of it.
pub(super) fn profile_of(config: &SdkConfig, spec: &SessionSpec, credentials: &Credentials) -> Option<String> {
    config::profile(config, spec).filter(|_| spec.profile.is_some() || is_of_profile(credentials))
}

/// Whether the SDK found them by way of a profile: it marks whatever a profile led to.
fn is_of_profile(credentials: &Credentials) -> bool {
    let marks = credentials.get_property::<Vec<AwsCredentialFeature>>();
    marks.is_some_and(|marks| marks.contains(&AwsCredentialFeature::CredentialsProfile))
}

/// Refuses a profile that was named and is in no file. Files that cannot be read are for the SDK to tell of.
pub(super) async fn check_profile(named: &str) -> Result<(), AwsError> {
    profiles().await.map_or(Ok(()), |known| known_or(named, &known))
}

/// Pure: whether the profile is among those that are known.
fn known_or(named: &str, known: &[String]) -> Result<(), AwsError> {
    if known.iter().any(|one| one == named) {
        return Ok(());
    }
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(AwsError::NoProfile { profile: named.to_owned(), known })
}

/// The profiles in the files where every AWS tool looks for them; None where the files cannot be read.
#[expect(
    clippy::default_trait_access,
    reason = "the type's crate is no dependency of ours, and its alias is deprecated"
)]
async fn profiles() -> Option<Vec<String>> {
    let loaded = aws_config::profile::load(&Fs::real(), &Env::real(), &Default::default(), None).await.ok()?;
    let mut names: Vec<String> = loaded.profiles().map(str::to_owned).collect();
    names.sort();
    Some(names)
}

fn none(tried: String, reason: String) -> AwsError {
    AwsError::NoCredentials { tried, reason }
}

/// User and password of a Basic credential, as ECR hands it out.
pub(super) fn basic(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(aws_smithy_types::base64::decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Hands out credentials that last so long, and counts.
    #[derive(Debug, Clone)]
    struct Vending {
        lasting: Duration,
        asked: Arc<AtomicUsize>,
    }

    impl ProvideCredentials for Vending {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let n = self.asked.fetch_add(1, Ordering::Relaxed);
            let end = system_time(source::wall().plus(self.lasting));
            future::ProvideCredentials::ready(Ok(Credentials::new(
                format!("key-{n}"),
                "secret",
                None,
                Some(end),
                "test",
            )))
        }
    }

    async fn asked(lasting: Duration) -> usize {
        let vending = Vending { lasting, asked: Arc::default() };
        let provider = SharedCredentialsProvider::new(vending.clone());
        let first = provider.provide_credentials().await.unwrap();
        let held = Held { provider, held: Mutex::new(first) };
        for _ in 0..3 {
            held.provide_credentials().await.unwrap();
        }
        vending.asked.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn credentials_are_asked_for_once_until_they_are_about_to_expire() {
        assert_eq!(asked(Duration::from_hours(1)).await, 1);
        assert_eq!(asked(MARGIN / 2).await, 4);
    }

    #[test]
    fn a_profile_that_does_not_exist_is_told_with_those_that_do() {
        let facts = |profile: Option<&str>| Facts {
            profile: profile.map(str::to_owned),
            is_only: false,
            has_sso: false,
            has_login: false,
            mfa_serial: None,
        };
        let error = CredentialsError::not_loaded("instance metadata is off");
        let profiles = ["acme".to_owned(), "default".to_owned()];
        let words = |profile, profiles| facts(profile).explain(&error, profiles).to_string();
        assert!(words(Some("acne"), &profiles[..]).contains("there is no profile `acne`, only acme, default"));
        assert!(words(Some("acne"), &[]).contains("there is no profile `acne`, nor any other"));
        assert!(words(Some("acme"), &profiles[..]).contains("instance metadata is off"));
        assert!(words(None, &profiles[..]).contains("instance metadata is off"));
        let list = CredentialsError::not_loaded("no credentials found in chain. Attempted:\n    Environment: not set");
        let told = facts(None).explain(&list, &profiles).to_string();
        assert!(told.starts_with("no AWS credentials: none found; tried environment, profile `default`"), "{told}");
        let alone = Facts { is_only: true, ..facts(Some("acme")) }.explain(&list, &profiles).to_string();
        assert!(alone.starts_with("no AWS credentials: none found; tried profile `acme` alone"), "{alone}");
        let login = Facts { has_login: true, ..facts(Some("acme")) };
        assert!(login.explain(&error, &profiles).to_string().contains("hint: aws login --profile acme"));
    }

    #[test]
    fn a_named_profile_that_is_in_no_file_is_refused_with_those_that_are() {
        let known = ["acme".to_owned(), "default".to_owned()];
        assert!(known_or("acme", &known).is_ok());
        let words = known_or("nope", &known).unwrap_err().to_string();
        assert!(
            words.contains("no profile `nope` in ~/.aws/config or ~/.aws/credentials; known: acme, default"),
            "{words}"
        );
        assert!(known_or("default", &[]).unwrap_err().to_string().contains("known: none"));
    }

    #[test]
    fn a_profile_is_named_only_where_it_led_to_the_credentials() {
        let found = |mark: AwsCredentialFeature| {
            let mut credentials = Credentials::from_keys("AKIDEXAMPLE", "secret", None);
            credentials.get_property_mut_or_default::<Vec<AwsCredentialFeature>>().push(mark);
            is_of_profile(&credentials)
        };
        assert!(found(AwsCredentialFeature::CredentialsProfile));
        assert!(!found(AwsCredentialFeature::CredentialsEnvVars));
        assert!(!found(AwsCredentialFeature::CredentialsImds));
    }

    #[test]
    fn a_registry_token_is_a_user_and_a_password() {
        assert_eq!(
            basic("QVdTOnNlY3JldDp3aXRoOmNvbG9ucw=="),
            Some(("AWS".to_owned(), "secret:with:colons".to_owned()))
        );
        assert_eq!(basic("QVdT"), None);
        assert_eq!(basic("not base64!"), None);
    }
}

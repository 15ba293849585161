//! Credentials, and in words why there are none.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_types::SdkConfig;

use crate::error::{AwsError, innermost};
use crate::session::{SessionSpec, config};

/// How long credentials may take: a credential process may ask a person for a touch.
const PATIENCE: Duration = Duration::from_mins(1);
/// Where the SDK looks, in this order.
const TRIED: &str = "environment, profile `{profile}`, web identity, container, instance metadata";

/// Obtains credentials once, so that what is wrong with them is told before anything is done with them.
pub(super) async fn obtain(config: &SdkConfig, spec: &SessionSpec) -> Result<Credentials, AwsError> {
    let profile = config::profile(config, spec);
    let Some(provider) = config.credentials_provider() else {
        return Err(none(profile.as_deref(), "the SDK has no provider".to_owned()));
    };
    let facts = Facts {
        profile,
        has_sso: ["sso_session", "sso_start_url"].iter().any(|key| config::in_profile(config, key).is_some()),
        has_login: config::in_profile(config, "login_session").is_some(),
        mfa_serial: config::in_profile(config, "mfa_serial"),
    };
    match tokio::time::timeout(PATIENCE, provider.provide_credentials()).await {
        Ok(Ok(credentials)) => Ok(credentials),
        Ok(Err(error)) => Err(facts.explain(&error)),
        Err(_) => Err(none(facts.profile.as_deref(), format!("none within {} s", PATIENCE.as_secs()))),
    }
}

/// What the profile says about where credentials come from.
#[derive(Debug)]
struct Facts {
    profile: Option<String>,
    has_sso: bool,
    has_login: bool,
    mfa_serial: Option<String>,
}

impl Facts {
    fn explain(&self, error: &CredentialsError) -> AwsError {
        let reason = innermost(error);
        let profile = self.profile.clone().unwrap_or_else(|| "default".to_owned());
        if let Some(serial) = &self.mfa_serial {
            return AwsError::NeedsMfa { profile, serial: serial.clone(), reason };
        }
        if self.has_sso {
            return AwsError::SsoExpired { profile, reason };
        }
        if self.has_login {
            return AwsError::LoginExpired { profile, reason };
        }
        none(self.profile.as_deref(), reason)
    }
}

fn none(profile: Option<&str>, reason: String) -> AwsError {
    AwsError::NoCredentials { tried: TRIED.replace("{profile}", profile.unwrap_or("default")), reason }
}

/// User and password of a Basic credential, as ECR hands it out.
pub(super) fn basic(token: &str) -> Option<(String, String)> {
    let text = String::from_utf8(aws_smithy_types::base64::decode(token).ok()?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Amazon's private registries: told by their host, reached with a password that AWS hands out for some hours.

use gimmetime_aws::{AwsError, RegistryLogin, Session, SessionSpec};
use gimmetime_registry::{Credential, Provider};
use tokio::runtime::Handle;

use crate::settings::Place;
use crate::verbs::Context;

/// The domains of AWS's partitions, whole: whoever owns `amazonaws.example` must not be handed a password.
const DOMAINS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "c2s.ic.gov",
    "sc2s.sgov.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// A private registry of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
struct EcrHost {
    account: String,
    region: String,
}

impl EcrHost {
    /// Reads `ACCOUNT.dkr.ecr.REGION.amazonaws.com` and its variants: `-fips`, `dkr-ecr`, other partitions' domains.
    fn parse(host: &str) -> Option<Self> {
        const SERVICES: [&str; 4] = ["dkr.ecr.", "dkr-ecr.", "dkr.ecr-fips.", "dkr-ecr-fips."];
        let (account, rest) = host.split_once('.')?;
        let rest = SERVICES.into_iter().find_map(|service| rest.strip_prefix(service))?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        (is_account && DOMAINS.contains(&domain))
            .then(|| Self { account: account.to_owned(), region: region.to_owned() })
    }
}

/// Who gives credentials for `host`, if it is such a registry: the SDK, with the profile that was typed, else the
/// target's. Nothing is asked before the registry asks. Call it within the async runtime, and the provider outside of it.
pub(crate) fn provider(host: &str, context: &Context) -> Option<Provider> {
    let EcrHost { account, region } = EcrHost::parse(host)?;
    let of_target = match &context.settings.place {
        Place::Aws(place) => place.profile.clone(),
        Place::Local { .. } => None,
    };
    let profile = context.common.profile.clone().or(of_target);
    let spec = SessionSpec { region: Some(region), profile, account: Some(account) };
    Some(asking(async move || Session::open(&spec).await?.ecr_login().await))
}

/// The same for a registry of the session's own account and region, without another way to AWS.
pub(crate) fn provider_of(session: &Session, host: &str) -> Option<Provider> {
    let EcrHost { account, region } = EcrHost::parse(host)?;
    let session = session.clone();
    let is_own = account == session.account() && region == session.region();
    is_own.then(|| asking(async move || session.ecr_login().await))
}

fn asking(login: impl AsyncFn() -> Result<RegistryLogin, AwsError> + Send + Sync + 'static) -> Provider {
    let runtime = Handle::current();
    Provider::new("AWS", move || {
        let login = runtime.block_on(login()).map_err(|error| one_line(&error.to_string()))?;
        Ok(Credential::basic(login.user, login.password))
    })
}

/// An error as a part of a sentence, without its hint: the sentence has its own.
fn one_line(words: &str) -> String {
    let words = words.split("\nhint: ").next().unwrap_or_default();
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What helps if no credentials for `host` were found.
pub(super) fn hint(host: &str) -> String {
    let own = "set GIMMETIME_REGISTRY_USER and GIMMETIME_REGISTRY_PASSWORD";
    match EcrHost::parse(host) {
        Some(EcrHost { account, .. }) => format!("export AWS_PROFILE=NAME of account {account}, or {own}"),
        None => format!("docker login {host}, or {own}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_private_registry_of_aws_tells_its_account_and_region() {
        let region = |host: &str| {
            let found = EcrHost::parse(host)?;
            assert_eq!(found.account, "123456789012");
            Some(found.region)
        };
        assert_eq!(region("123456789012.dkr.ecr.eu-west-1.amazonaws.com").as_deref(), Some("eu-west-1"));
        assert_eq!(region("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn").as_deref(), Some("cn-north-1"));
        assert_eq!(region("123456789012.dkr.ecr-fips.us-east-1.amazonaws.com").as_deref(), Some("us-east-1"));
        assert_eq!(region("123456789012.dkr-ecr.eu-west-1.on.aws").as_deref(), Some("eu-west-1"));
        assert_eq!(region("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu").as_deref(), Some("eusc-de-east-1"));
    }

    #[test]
    fn an_error_of_aws_becomes_a_part_of_a_sentence() {
        assert_eq!(
            one_line("no credentials:\n  none\n  here\nhint: export AWS_PROFILE=NAME"),
            "no credentials: none here"
        );
    }

    #[test]
    fn credentials_of_aws_go_to_no_other_host() {
        for host in [
            "public.ecr.aws",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.example.com",
            "123456789012.dkr.ecr.amazonaws.com",
            "123456789012.example.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.example.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.example.com",
            "123456789012.dkr.ecr.eu-west-1.on.aws.example.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443",
            "localhost:5000",
        ] {
            assert_eq!(EcrHost::parse(host), None, "{host}");
        }
    }
}

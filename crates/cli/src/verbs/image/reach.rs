//! From flags and environment to how a registry is reached.

use std::io::Read as _;

use gimmetime_image::Reference;
use gimmetime_registry::{Access, Credential, Credentials, Places, Plain, Provider, Secret};

use super::args::Reach;
use super::ecr;
use crate::exit::Failure;
use crate::settings::{Environment, RegistryEnvironment};
use crate::verbs::Context;

/// Longest password that is read.
const MAX_PASSWORD: u64 = 64 << 10;

/// How the registry of `reference` is reached as it was typed; AWS gives the password of its own ones.
pub(super) fn typed(reach: &Reach, reference: &Reference, context: &Context) -> Result<Access, Failure> {
    access(reach, reference, &context.environment, ecr::provider(&reference.host, context))
}

/// How the registry of `reference` is reached; `provider` knows that registry, if anybody does.
pub(super) fn access(
    reach: &Reach,
    reference: &Reference,
    environment: &Environment,
    provider: Option<Provider>,
) -> Result<Access, Failure> {
    let RegistryEnvironment { auth_file, runtime_dir, docker_config, path, proxy, .. } = environment.registry.clone();
    let places =
        Places { registry_auth_file: auth_file, runtime_dir, home: environment.home.clone(), docker_config, path };
    let given = given(reach, &environment.registry)?;
    let is_spared = is_spared(&reference.host, environment.no_proxy.as_deref().unwrap_or_default());
    Ok(Access {
        credentials: Credentials { given, provider, places },
        ca: reach.ca.clone(),
        plain: if reach.insecure { Plain::Anywhere } else { Plain::Loopback },
        proxy: proxy.filter(|_| !is_spared).map(Secret::new),
        token_hosts: reach.token_hosts.clone(),
        ..Access::default()
    })
}

/// What the user gives for this very command: flags over environment.
fn given(reach: &Reach, environment: &RegistryEnvironment) -> Result<Option<Credential>, Failure> {
    if let Some(name) = &reach.username {
        return Ok(Some(Credential::basic(name, password_from_stdin()?)));
    }
    match (&environment.user, &environment.password) {
        (Some(name), Some(password)) => Ok(Some(Credential::basic(name, password))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(half("GIMMETIME_REGISTRY_USER", "GIMMETIME_REGISTRY_PASSWORD")),
        (None, Some(_)) => Err(half("GIMMETIME_REGISTRY_PASSWORD", "GIMMETIME_REGISTRY_USER")),
    }
}

fn half(set: &str, missing: &str) -> Failure {
    Failure::unsure(format!("{set} is set, but {missing} is not")).hint("set both or neither")
}

fn password_from_stdin() -> Result<String, Failure> {
    let mut password = String::new();
    let read = std::io::stdin().lock().take(MAX_PASSWORD).read_to_string(&mut password);
    read.map_err(|error| Failure::unsure(format!("could not read the password from standard input: {error}")))?;
    let password = password.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        let hint = "printf %s \"$PASSWORD\" | gimmetime image push --username NAME --password-stdin REF";
        return Err(Failure::unsure("standard input holds no password").hint(hint));
    }
    Ok(password.to_owned())
}

/// Whether `$NO_PROXY` spares a host: `*`, the host itself, or a domain above it.
fn is_spared(host: &str, no_proxy: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    no_proxy.split(',').map(str::trim).filter(|spared| !spared.is_empty()).any(|spared| {
        let domain = spared.trim_start_matches("*.").trim_start_matches('.');
        let is_below = name.strip_suffix(domain).is_some_and(|above| above.ends_with('.'));
        spared == "*" || name == domain || host == spared || is_below
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_not_used_where_the_environment_spares_a_host() {
        for no_proxy in ["*", "example.com", ".example.com", "*.example.com", "a, r.example.com", "r.example.com:5000"]
        {
            assert!(is_spared("r.example.com:5000", no_proxy), "{no_proxy}");
        }
        for no_proxy in ["", ",", "ample.com", "other.example.com", "r.example.com.evil"] {
            assert!(!is_spared("r.example.com:5000", no_proxy), "{no_proxy}");
        }
    }

    #[test]
    fn a_token_server_is_trusted_if_its_host_was_typed() {
        let reach = Reach { token_hosts: vec!["sso.example.net".to_owned()], ..Reach::default() };
        let reference = "registry.example.org/web".parse().unwrap();
        let access = access(&reach, &reference, &Environment::default(), None).unwrap();
        assert_eq!(access.token_hosts, reach.token_hosts);
    }

    #[test]
    fn half_a_credential_in_the_environment_is_a_mistake() {
        let reach = Reach::default();
        let mut environment = RegistryEnvironment { user: Some("alice".to_owned()), ..RegistryEnvironment::default() };
        assert!(given(&reach, &environment).is_err());
        environment.password = Some("hunter2".to_owned());
        assert_eq!(given(&reach, &environment).unwrap(), Some(Credential::basic("alice", "hunter2")));
        assert!(!format!("{environment:?}").contains("hunter2"));
    }
}

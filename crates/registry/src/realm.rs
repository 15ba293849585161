//! Whether a token server that a registry names may be sent a credential. Pure.
//!
//! A registry that was broken into, or an image name that was chosen by somebody else, must not be able to collect passwords,
//! or to make this machine talk to its own metadata service (CVE-2020-15157 and its kin).

use crate::url::{Url, is_off_limits};

/// Why a credential is not sent to the token server that a registry names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{registry}` names {realm} as its token server, and no credential goes there: {reason}")]
pub struct RealmError {
    /// The registry's host.
    pub registry: String,
    /// The token server's scheme and host, if they can be read.
    pub realm: String,
    /// Why not.
    pub reason: &'static str,
}

/// Pairs of domains that belong to one owner.
const SAME_OWNER: [(&str, &str); 3] = [
    ("lscr.io", "ghcr.io"),
    ("registry.access.redhat.com", "registry.redhat.io"),
    ("docker.pkg.github.com", "github.com"),
];
/// Domains in which everybody can have a name: sharing one proves nothing.
const SHARED: [&str; 20] = [
    "azurecr.io",
    "azurecr.cn",
    "azurewebsites.net",
    "cloudapp.azure.com",
    "windows.net",
    "amazonaws.com",
    "on.aws",
    "cloudfront.net",
    "pkg.dev",
    "run.app",
    "web.app",
    "github.io",
    "gitlab.io",
    "jfrog.io",
    "fly.dev",
    "workers.dev",
    "herokuapp.com",
    "onrender.com",
    "ngrok.io",
    "ngrok-free.app",
];

/// The token server's address, if `registry` may name it; `trusted` are hosts that the user allowed besides.
///
/// # Errors
/// It is no http address, leaves TLS, or belongs to somebody else as far as can be told.
pub(crate) fn check(realm: &str, registry: &Url, trusted: &[String]) -> Result<Url, RealmError> {
    let error = |realm: String, reason| RealmError { registry: registry.host.clone(), realm, reason };
    let Ok(url) = Url::parse(realm) else {
        return Err(error("something unreadable".to_owned(), "it is no plain http or https address"));
    };
    let refused = |reason| Err(error(format!("`{}`", url.origin()), reason));
    if registry.is_tls && !url.is_tls {
        return refused("the password would leave TLS");
    }
    if url.host == registry.host {
        return Ok(url);
    }
    if url.ip().is_some_and(is_off_limits) {
        return refused("it is an address of a machine's own metadata or of no machine");
    }
    if registry.is_loopback() && url.is_loopback() || trusted.contains(&url.host) {
        return Ok(url);
    }
    if url.is_loopback() || url.ip().is_some() {
        return refused("it is another machine than the registry");
    }
    let known = SAME_OWNER.contains(&(registry.host.as_str(), url.host.as_str()));
    if known || share_domain(&registry.host, &url.host) {
        return Ok(url);
    }
    refused("it is of another domain than the registry")
}

/// Whether two hosts lie in one domain that somebody registered.
///
/// Told without a list of all public suffixes: two labels are a domain, but three below a country's `co.`, `com.` and the like
/// and where everybody can have a name.
fn share_domain(one: &str, other: &str) -> bool {
    let domain = |host: &str| -> Option<String> {
        let labels: Vec<&str> = host.split('.').collect();
        let last = |count: usize| labels.len().checked_sub(count).map(|from| labels[from..].join("."));
        let two = last(2)?;
        let (second, top) = two.split_once('.')?;
        let below_suffix = SHARED.iter().any(|shared| host.ends_with(shared));
        if below_suffix {
            // Only the very host is known to be one owner's.
            return Some(host.to_owned());
        }
        if top.len() == 2 && second.len() <= 3 { last(3) } else { Some(two) }
    };
    domain(one).is_some_and(|shared| domain(other) == Some(shared))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(host: &str) -> Url {
        Url::parse(&format!("https://{host}/v2/a/")).unwrap()
    }

    #[test]
    fn token_servers_of_known_registries_are_trusted() {
        for (host, realm) in [
            ("registry-1.docker.io", "https://auth.docker.io/token"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("europe-west1-docker.pkg.dev", "https://europe-west1-docker.pkg.dev/v2/token"),
            ("public.ecr.aws", "https://public.ecr.aws/token/"),
            ("mine.azurecr.io", "https://mine.azurecr.io/oauth2/token"),
            ("mine.jfrog.io", "https://mine.jfrog.io/artifactory/api/docker/web/v2/token"),
            ("docker.elastic.co", "https://docker-auth.elastic.co/auth"),
            ("registry.team.co.uk", "https://auth.team.co.uk/token"),
            ("lscr.io", "https://ghcr.io/token"),
            ("registry.example:5000", "https://registry.example:5001/token"),
        ] {
            assert!(check(realm, &registry(host), &[]).is_ok(), "{host} {realm}");
        }
    }

    #[test]
    fn a_token_server_of_somebody_else_gets_nothing() {
        for (host, realm) in [
            ("registry.example.org", "https://evil.example.net/token"),
            ("registry.example.org", "http://registry.example.org/token"),
            ("registry.example.org", "https://169.254.169.254/latest/meta-data/iam"),
            ("registry.example.org", "https://0.0.0.0/token"),
            ("registry.example.org", "https://127.0.0.1/token"),
            ("registry.example.org", "https://localhost/token"),
            ("registry.example.org", "https://10.0.0.7/token"),
            ("registry.example.org", "https://registry.example.org@evil.example.net/token"),
            ("registry.example.org", "https://2852039166/token"),
            ("registry.example.org", "file:///etc/passwd"),
            ("registry.example.org", ""),
            ("registry.team.co.uk", "https://evil.co.uk/token"),
            ("mine.azurecr.io", "https://other.azurecr.io/oauth2/token"),
            ("mine.jfrog.io", "https://other.jfrog.io/token"),
            ("registry.fly.dev", "https://evil.fly.dev/token"),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", "https://evil.eu-west-1.amazonaws.com/token"),
            ("docker.io.evil.example", "https://auth.docker.io/token"),
        ] {
            assert!(check(realm, &registry(host), &[]).is_err(), "{host} {realm}");
        }
    }

    #[test]
    fn a_user_may_trust_another_host() {
        let trusted = ["sso.example.net".to_owned()];
        let realm = "https://sso.example.net/token";
        assert!(check(realm, &registry("registry.example.org"), &trusted).is_ok());
        assert!(check("http://sso.example.net/token", &registry("registry.example.org"), &trusted).is_err());
    }

    #[test]
    fn a_registry_on_loopback_may_name_a_neighbour_but_nobody_else() {
        let loopback = Url::parse("http://127.0.0.1:5000/v2/a/").unwrap();
        assert!(check("http://127.0.0.1:5001/token", &loopback, &[]).is_ok());
        assert!(check("http://169.254.169.254/token", &loopback, &[]).is_err());
        assert!(check("http://evil.example/token", &loopback, &[]).is_err());
    }
}

//! Where a repository is reached: a reference's host, scheme and path, as the registry's API has them.

use gimmetime_image::Reference;

use crate::access::{Access, Plain};
use crate::error::RegistryError;
use crate::url::Url;

/// The one registry whose API is not at the host that its images are named by, and its older name.
const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_ONCE: &str = "index.docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";
/// What Docker Hub's credentials are kept under, for historical reasons.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where Docker Hub has what its users name without a user.
const DOCKER_HUB_LIBRARY: &str = "library";

/// One repository of one registry.
#[derive(Debug, Clone)]
pub(crate) struct Endpoint {
    /// As the reference has it, Docker Hub by its usual name.
    pub(crate) registry: String,
    pub(crate) repository: String,
    /// `…/v2/REPOSITORY/`.
    base: Url,
}

impl Endpoint {
    /// Where `reference` leads. Without TLS only as [`Plain`] has it.
    ///
    /// # Errors
    /// [`RegistryError::Address`] for a host that is none, such as a number or port 0.
    pub(crate) fn of(reference: &Reference, access: &Access) -> Result<Self, RegistryError> {
        let (mut registry, mut repository) = (reference.host.clone(), reference.repository.clone());
        if registry == DOCKER_HUB_ONCE {
            DOCKER_HUB.clone_into(&mut registry);
        }
        if registry == DOCKER_HUB && !repository.contains('/') {
            repository = format!("{DOCKER_HUB_LIBRARY}/{repository}");
        }
        let authority = if registry == DOCKER_HUB { DOCKER_HUB_API } else { &registry };
        let url = |scheme: &str| {
            Url::parse(&format!("{scheme}://{authority}/v2/{repository}/"))
                .map_err(|error| RegistryError::Address { registry: registry.clone(), reason: error.to_string() })
        };
        let plain = url("http")?;
        let is_plain = match access.plain {
            Plain::Anywhere => true,
            Plain::Loopback => plain.is_loopback() && access.ca.is_none(),
        };
        let base = if is_plain { plain } else { url("https")? };
        Ok(Self { registry, repository, base })
    }

    /// The address of `path` in the repository, such as `manifests/latest`.
    pub(crate) fn url(&self, path: &str) -> Url {
        Url { path: format!("{}{path}", self.base.path), ..self.base.clone() }
    }

    /// Whether `url` leads to the registry itself, so that its credentials may go there.
    pub(crate) fn is_origin_of(&self, url: &Url) -> bool {
        self.base.has_origin_of(url)
    }

    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// What an authentication file may call it, the most exact name first: podman names repositories too.
    pub(crate) fn keys(&self) -> Vec<String> {
        let mut keys = Vec::new();
        let mut name = format!("{}/{}", self.registry, self.repository);
        loop {
            keys.push(name.clone());
            match name.rsplit_once('/') {
                Some((shorter, _)) => name = shorter.to_owned(),
                None => break,
            }
        }
        if self.registry == DOCKER_HUB {
            keys.push(DOCKER_HUB_ONCE.to_owned());
        }
        keys
    }

    /// What a credential helper is asked for.
    pub(crate) fn server_url(&self) -> &str {
        if self.registry == DOCKER_HUB { DOCKER_HUB_KEY } else { &self.registry }
    }
}

/// Whether a host is a private registry of Amazon ECR: `ACCOUNT.dkr.ecr.REGION.…` and its variants.
pub(crate) fn is_ecr(host: &str) -> bool {
    let account = host.get(..12).is_some_and(|account| account.bytes().all(|byte| byte.is_ascii_digit()));
    let rest = host.get(12..).unwrap_or_default();
    account && [".dkr.ecr.", ".dkr-ecr.", ".dkr.ecr-fips.", ".dkr-ecr-fips."].iter().any(|part| rest.starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(reference: &str, access: &Access) -> Endpoint {
        Endpoint::of(&reference.parse().unwrap(), access).unwrap()
    }

    #[test]
    fn only_loopback_is_spoken_to_without_tls() {
        let access = Access::default();
        for loopback in ["localhost/a", "localhost:5000/a", "127.3.2.1:80/a"] {
            assert!(!endpoint(loopback, &access).base().is_tls, "{loopback}");
        }
        for other in ["10.0.0.1:5000/a", "localhost.example/a", "registry.example/a", "128.0.0.1/a"] {
            assert!(endpoint(other, &access).base().is_tls, "{other}");
        }
        let anywhere = Access { plain: Plain::Anywhere, ..Access::default() };
        assert!(!endpoint("10.0.0.1:5000/a", &anywhere).base().is_tls);
        let trusting = Access { ca: Some("ca.pem".into()), ..Access::default() };
        assert!(endpoint("localhost:5000/a", &trusting).base().is_tls);
    }

    #[test]
    fn a_host_that_is_a_number_is_refused() {
        let reference = "127.1:5000/a".parse().unwrap();
        assert!(matches!(Endpoint::of(&reference, &Access::default()), Err(RegistryError::Address { .. })));
    }

    #[test]
    fn docker_hub_is_asked_where_its_api_is() {
        let hub = endpoint("docker.io/library/nginx", &Access::default());
        assert_eq!(hub.url("tags/list").to_string(), "https://registry-1.docker.io/v2/library/nginx/tags/list");
        assert_eq!(hub.keys(), ["docker.io/library/nginx", "docker.io/library", "docker.io", "index.docker.io"]);
        assert_eq!(hub.server_url(), "https://index.docker.io/v1/");
        for name in ["docker.io/nginx", "index.docker.io/nginx", "index.docker.io/library/nginx"] {
            let same = endpoint(name, &Access::default());
            assert_eq!((same.base(), &same.registry, &same.repository), (hub.base(), &hub.registry, &hub.repository));
        }
        let own = endpoint("docker.io/me/nginx", &Access::default());
        assert_eq!(own.url("").to_string(), "https://registry-1.docker.io/v2/me/nginx/");
    }

    #[test]
    fn a_private_registry_of_ecr_is_known_by_its_name() {
        assert!(is_ecr("123456789012.dkr.ecr.eu-west-1.amazonaws.com"));
        assert!(is_ecr("123456789012.dkr-ecr.eu-west-1.on.aws"));
        assert!(!is_ecr("public.ecr.aws") && !is_ecr("12345678901x.dkr.ecr.eu-west-1.amazonaws.com") && !is_ecr(""));
    }
}

//! What the environment says about registries: credentials, and where other tools keep theirs.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// What the environment says about registries. Its `Debug` shows no password.
#[derive(Clone, Default)]
pub(crate) struct RegistryEnvironment {
    /// `$GIMMETIME_REGISTRY_USER`
    pub(crate) user: Option<String>,
    /// `$GIMMETIME_REGISTRY_PASSWORD`
    pub(crate) password: Option<String>,
    /// `$REGISTRY_AUTH_FILE`
    pub(crate) auth_file: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`
    pub(crate) runtime_dir: Option<PathBuf>,
    /// `$DOCKER_CONFIG`
    pub(crate) docker_config: Option<PathBuf>,
    /// `$PATH`, where credential helpers are.
    pub(crate) path: Option<OsString>,
    /// `$HTTPS_PROXY`, else `$https_proxy`.
    pub(crate) proxy: Option<String>,
}

impl RegistryEnvironment {
    #[expect(clippy::disallowed_methods, reason = "settings are resolved here")]
    pub(super) fn read() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            user: text("GIMMETIME_REGISTRY_USER"),
            password: text("GIMMETIME_REGISTRY_PASSWORD"),
            auth_file: path("REGISTRY_AUTH_FILE"),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            docker_config: path("DOCKER_CONFIG"),
            path: std::env::var_os("PATH"),
            proxy: ["HTTPS_PROXY", "https_proxy"].into_iter().find_map(text),
        }
    }
}

impl fmt::Debug for RegistryEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryEnvironment").field("user", &self.user).finish_non_exhaustive()
    }
}

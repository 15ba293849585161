//! What the environment says beyond the flags' own variables.

use std::path::PathBuf;

use super::registry::RegistryEnvironment;

/// What the environment says beyond the flags' own variables.
#[derive(Debug, Clone, Default)]
pub(crate) struct Environment {
    /// `$XDG_STATE_HOME`
    pub(crate) xdg_state_home: Option<PathBuf>,
    /// `$HOME`
    pub(crate) home: Option<PathBuf>,
    /// `$NO_COLOR` is set and not empty (no-color.org).
    pub(crate) no_color: bool,
    /// `$TERM` is `dumb`, or there is none.
    pub(crate) dumb_terminal: bool,
    /// `$NO_PROXY`, else `$no_proxy`.
    pub(crate) no_proxy: Option<String>,
    /// What it says about registries.
    pub(crate) registry: RegistryEnvironment,
    /// `$AWS_REGION`, else `$AWS_DEFAULT_REGION`.
    pub(super) aws_region: Option<String>,
    /// `$SUDO_USER`, else `$USER`, else `$LOGNAME`.
    user: Option<String>,
}

impl Environment {
    /// Reads it: the one place that does.
    #[expect(clippy::disallowed_methods, reason = "settings are resolved here")]
    pub(crate) fn read() -> Self {
        let path = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            xdg_state_home: path("XDG_STATE_HOME"),
            home: path("HOME"),
            no_color: text("NO_COLOR").is_some(),
            dumb_terminal: text("TERM").is_none_or(|term| term == "dumb"),
            no_proxy: ["NO_PROXY", "no_proxy"].into_iter().find_map(text),
            registry: RegistryEnvironment::read(),
            aws_region: ["AWS_REGION", "AWS_DEFAULT_REGION"].into_iter().find_map(text),
            user: ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(text),
        }
    }

    /// Who asks: the login name, else the user's number.
    pub(crate) fn who(&self) -> String {
        let number = || {
            if rustix::process::getuid().is_root() {
                "root".to_owned()
            } else {
                format!("uid {}", rustix::process::getuid().as_raw())
            }
        };
        self.user.clone().unwrap_or_else(number)
    }

    /// `$XDG_STATE_HOME/gimmetime`, else `~/.local/state/gimmetime` (XDG Base Directory Specification).
    pub(super) fn state_root(&self) -> Option<PathBuf> {
        let base = self.xdg_state_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/state")))?;
        Some(base.join("gimmetime"))
    }
}

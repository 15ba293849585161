//! What the environment says beyond the flags' own variables.

use std::path::PathBuf;

use super::reader::nearest;
use super::registry::RegistryEnvironment;

/// How the names of our variables begin.
const PREFIX: &str = "GIMMETIME_";
/// Those that no flag names, without what all begin with: credentials, what the engine tells its tasks, and what the test
/// runner tells the tests.
const OTHERS: [&str; 7] = ["REGISTRY_USER", "REGISTRY_PASSWORD", "HOME", "TASK", "VENV", "LINT", "MINISTACK"];

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
    /// The names of all variables that begin as ours do.
    ours: Vec<String>,
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
            ours: std::env::vars_os()
                .filter_map(|(name, _)| name.into_string().ok())
                .filter(|n| n.starts_with(PREFIX))
                .collect(),
            user: ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(text),
        }
    }

    /// A sentence on each variable that looks like one of ours and is none; `flags` are the names that flags have.
    pub(crate) fn unknown(&self, flags: &[String]) -> Vec<String> {
        let known: Vec<&str> = flags.iter().filter_map(|name| name.strip_prefix(PREFIX)).chain(OTHERS).collect();
        let unknown = self.ours.iter().filter_map(|name| Some((name, name.strip_prefix(PREFIX)?)));
        let sentence = |(name, rest): (&String, &str)| {
            // The nearest name is looked for without what all of them begin with.
            let near =
                nearest(rest, &known).map_or_else(String::new, |near| format!(" (did you mean {PREFIX}{near}?)"));
            format!("the variable {name} is unknown and changes nothing{near}")
        };
        unknown.filter(|(_, rest)| !known.contains(rest)).map(sentence).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_named_with_the_nearest_and_a_known_one_is_not() {
        let ours = ["GIMMETIME_TAGET", "GIMMETIME_TARGET", "GIMMETIME_REGISTRY_USER", "GIMMETIME_X", "GIMMETIME_"];
        let environment = Environment { ours: ours.map(str::to_owned).into(), ..Environment::default() };
        assert_eq!(
            environment.unknown(&["GIMMETIME_TARGET".to_owned(), "GIMMETIME_TIMEOUT".to_owned()]),
            [
                "the variable GIMMETIME_TAGET is unknown and changes nothing (did you mean GIMMETIME_TARGET?)",
                "the variable GIMMETIME_X is unknown and changes nothing",
                "the variable GIMMETIME_ is unknown and changes nothing",
            ]
        );
    }
}

//! Where a user name and a password come from, and which of them a registry has not refused yet.
//!
//! Sources are asked in order, only when a registry asks, and never twice for what it has refused. Nothing here reads the
//! environment: the caller names the files and folders.

mod file;
mod helper;

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use crate::endpoint::Endpoint;
use crate::secret::Secret;
use file::Found;

/// A provider is asked once, and once more when what it gave is refused: it may have expired.
const PROVIDER_CALLS: u32 = 2;

/// More credentials than these are not tried at one registry: a helper may make up another one each time it is asked.
const MAX_REFUSED: usize = 8;

/// What a registry or its token server is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A user name and a password.
    Basic {
        /// The user name; `AWS` for ECR.
        username: String,
        /// The password.
        password: Secret,
    },
    /// What a token server changes into tokens (OAuth 2.0, RFC 6749, section 6: a refresh token).
    IdentityToken(Secret),
    /// A token for the registry itself.
    RegistryToken(Secret),
}

/// Where credentials are looked for. If one is given, nowhere else.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    /// By the user, for this very command.
    pub given: Option<Credential>,
    /// Somebody who knows this registry, such as the client of a cloud.
    pub provider: Option<Provider>,
    /// Files of other tools.
    pub places: Places,
}

/// Values of the environment by which the files of other tools are found.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// `$REGISTRY_AUTH_FILE`.
    pub registry_auth_file: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$DOCKER_CONFIG`, a folder.
    pub docker_config: Option<PathBuf>,
    /// `$PATH`, where `docker-credential-NAME` is looked for.
    pub path: Option<OsString>,
}

/// Makes credentials on demand; may be asked again when they have expired.
#[derive(Clone)]
pub struct Provider {
    name: String,
    provide: Arc<dyn Fn() -> Result<Credential, String> + Send + Sync>,
}

/// Where a credential comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The user, for this very command.
    Given,
    /// [`Credentials::provider`], by its name.
    Provider(String),
    /// An entry of a file.
    File(PathBuf),
    /// A credential helper that a file names.
    Helper {
        /// The file.
        file: PathBuf,
        /// The helper, `docker-credential-NAME`.
        program: String,
    },
}

/// A source that was looked at, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source.
    pub source: Source,
    /// What it had, in words; never a secret.
    pub result: String,
}

/// All sources of one registry, and what it has refused.
pub(crate) struct Chain {
    credentials: Credentials,
    refused: Vec<Credential>,
    provided: Option<Credential>,
    provider_calls: u32,
    tried: Vec<Tried>,
}

impl Credential {
    /// A user name and a password.
    pub fn basic(username: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic { username: username.into(), password: Secret::new(password) }
    }

    /// The user name and password in base64, as `Authorization: Basic` and ECR's authorization token have them; `None` if
    /// it is something else.
    pub fn from_basic_token(token: &str) -> Option<Self> {
        let token = token.trim_end_matches('=');
        let text = String::from_utf8(STANDARD_NO_PAD.decode(token).ok()?).ok()?;
        // Docker pads with NULs.
        let (username, password) = text.trim_end_matches('\0').split_once(':')?;
        Some(Self::basic(username, password))
    }
}

/// The value of `Authorization: Basic` (RFC 7617).
pub(crate) fn basic_header(username: &str, password: &Secret) -> Secret {
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{username}:{}", password.reveal()))))
}

impl Provider {
    /// A provider, called `name` in messages.
    pub fn new(
        name: impl Into<String>,
        provide: impl Fn() -> Result<Credential, String> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), provide: Arc::new(provide) }
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.name).finish()
    }
}

impl Places {
    /// The files that may hold credentials, in the order in which they are asked.
    pub fn files(&self) -> Vec<PathBuf> {
        let home = self.home.as_ref();
        let docker = self.docker_config.clone().or_else(|| home.map(|home| home.join(".docker")));
        [
            self.registry_auth_file.clone(),
            self.runtime_dir.as_ref().map(|dir| dir.join("containers/auth.json")),
            home.map(|home| home.join(".config/containers/auth.json")),
            docker.map(|docker| docker.join("config.json")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given => f.write_str("what was given"),
            Self::Provider(name) => f.write_str(name),
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Helper { file, program } => write!(f, "{program} (by {})", file.display()),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.result)
    }
}

// === impl Chain ===

impl Chain {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { credentials, refused: Vec::new(), provided: None, provider_calls: 0, tried: Vec::new() }
    }

    /// The next credential that the registry has not refused; `None` if there is none.
    pub(crate) fn next(&mut self, endpoint: &Endpoint) -> Option<Credential> {
        self.tried.clear();
        if let Some(given) = self.credentials.given.clone() {
            return self.unless_refused(Source::Given, given);
        }
        if let Some(credential) = self.ask_provider() {
            return Some(credential);
        }
        let places = self.credentials.places.clone();
        for path in places.files() {
            for found in file::look_up(&path, endpoint) {
                let credential = match found {
                    Found::Nothing(result) => self.note(Source::File(path.clone()), result),
                    Found::Entry(credential) => self.unless_refused(Source::File(path.clone()), credential),
                    Found::Helper(name) => {
                        let source = Source::Helper { file: path.clone(), program: helper::program(&name) };
                        match helper::get(&name, endpoint.server_url(), places.path.as_deref()) {
                            Ok(credential) => self.unless_refused(source, credential),
                            Err(reason) => self.note(source, reason),
                        }
                    }
                };
                if credential.is_some() {
                    return credential;
                }
            }
        }
        None
    }

    /// Marks a credential that the registry or its token server does not accept.
    pub(crate) fn refuse(&mut self, credential: Credential) {
        if !self.refused.contains(&credential) {
            self.refused.push(credential);
        }
    }

    /// Whether the registry was given anything at all.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.is_empty()
    }

    /// What the last search has come by.
    pub(crate) fn tried(&self) -> Vec<Tried> {
        self.tried.clone()
    }

    fn ask_provider(&mut self) -> Option<Credential> {
        let provider = self.credentials.provider.clone()?;
        let source = Source::Provider(provider.name.clone());
        let known = self.provided.take().filter(|known| !self.refused.contains(known));
        let provided = match known {
            Some(known) => Ok(known),
            None if self.provider_calls < PROVIDER_CALLS => {
                self.provider_calls += 1;
                (provider.provide)()
            }
            None => Err("refused by the registry, twice".to_owned()),
        };
        match provided {
            Ok(credential) => {
                self.provided = Some(credential.clone());
                self.unless_refused(source, credential)
            }
            Err(reason) => self.note(source, reason),
        }
    }

    fn unless_refused(&mut self, source: Source, credential: Credential) -> Option<Credential> {
        if self.refused.contains(&credential) || MAX_REFUSED <= self.refused.len() {
            return self.note(source, "refused by the registry".to_owned());
        }
        Some(credential)
    }

    fn note(&mut self, source: Source, result: String) -> Option<Credential> {
        self.tried.push(Tried { source, result });
        None
    }
}

#[cfg(test)]
mod tests;

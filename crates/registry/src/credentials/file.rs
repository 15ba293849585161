//! The files in which container tools keep credentials (Docker's config.json; containers-auth.json(5) of podman and its kin).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;

use super::Credential;
use crate::endpoint::Endpoint;
use crate::secret::Secret;

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// What a file has for a registry.
#[derive(Debug)]
pub(super) enum Found {
    Entry(Credential),
    /// The name of a helper that may have it.
    Helper(String),
    /// Nothing; why, in words.
    Nothing(String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct AuthFile {
    auths: Option<BTreeMap<String, Entry>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Entry(secret)")
    }
}

/// What `path` has for the registry, in the order in which it counts: its own helper, an entry, the helper for all.
pub(super) fn look_up(path: &Path, endpoint: &Endpoint) -> Vec<Found> {
    let file = match read(path) {
        Ok(Some(file)) => file,
        Ok(None) => return vec![Found::Nothing("no such file".to_owned())],
        Err(reason) => return vec![Found::Nothing(reason)],
    };
    let keys = endpoint.keys();
    let helpers = file.cred_helpers.unwrap_or_default();
    let own_helper = keys.iter().find_map(|key| helpers.iter().find(|(name, _)| normal(name) == *key));
    let own_helper = own_helper.filter(|(_, name)| !name.is_empty()).map(|(_, name)| Found::Helper(name.clone()));
    let auths = file.auths.unwrap_or_default();
    let entry = keys.iter().find_map(|key| auths.iter().find(|(name, _)| normal(name) == *key)?.1.credential());
    let store = file.creds_store.filter(|name| !name.is_empty()).map(Found::Helper);
    let mut found: Vec<Found> = own_helper.into_iter().chain(entry.map(Found::Entry)).chain(store).collect();
    if found.is_empty() {
        found.push(Found::Nothing(format!("nothing for `{}`", endpoint.registry)));
    }
    found
}

fn read(path: &Path) -> Result<Option<AuthFile>, String> {
    let file = match File::open(path) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        opened => opened.map_err(|error| format!("cannot be read: {error}"))?,
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE).read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    // The parser's words would quote what it found, which may be half a password.
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| format!("no JSON of the expected shape, at line {}", error.line()))
}

/// A key as a reference has its registry: older tools wrote addresses.
fn normal(key: &str) -> &str {
    let Some(address) = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")) else { return key };
    let address = address.trim_end_matches('/');
    address.strip_suffix("/v1").or_else(|| address.strip_suffix("/v2")).unwrap_or(address)
}

impl Entry {
    fn credential(&self) -> Option<Credential> {
        let text = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = text(&self.identitytoken) {
            return Some(Credential::IdentityToken(Secret::new(token)));
        }
        if let Some(token) = text(&self.registrytoken) {
            return Some(Credential::RegistryToken(Secret::new(token)));
        }
        if let Some(auth) = text(&self.auth) {
            return Credential::from_basic_token(&auth);
        }
        text(&self.username).zip(text(&self.password)).map(|(username, password)| Credential::basic(username, password))
    }
}

//! What the registry keeps, and how it answers when nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use gimmetime_image::sha256;
use serde_json::{Value, json};

use super::http::{Asked, Response, parameter};

/// Whose quirks it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// As the distribution-spec 1.1 has it, referrers included.
    Spec,
    /// Amazon ECR: an absolute place for uploads with a state, no `Location` for manifests, an old session is 416.
    Ecr,
    /// GitHub: a relative place for uploads, no referrers.
    Ghcr,
    /// Google: uploads on another server, no HEAD for blobs, no referrers. A token without the right to push is denied.
    Gar,
}

/// Whom it lets in.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    Open,
    /// One user and password.
    Basic(&'static str, &'static str),
    /// A token from `/token`, which gives it to that user.
    Bearer(&'static str, &'static str),
}

/// What it says of a tag that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Immutable {
    No,
    /// This status, with that code, even for the same manifest.
    Refuses(u16, &'static str),
}

/// Repositories, sessions and tokens.
pub(crate) struct Store {
    pub(crate) profile: Profile,
    pub(crate) auth: Mutex<Auth>,
    pub(crate) immutable: Immutable,
    /// The only repository; none is made by pushing into it.
    pub(crate) repository: &'static str,
    /// `http://HOST:PORT` of where uploads and downloads go, with [`Profile::Gar`].
    pub(crate) elsewhere: Option<String>,
    pub(crate) state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) blobs: BTreeMap<String, Vec<u8>>,
    pub(crate) manifests: BTreeMap<String, (String, Vec<u8>)>,
    pub(crate) tags: BTreeMap<String, String>,
    sessions: BTreeMap<String, bool>,
    /// Tokens, and the scope of each.
    pub(crate) tokens: BTreeMap<String, String>,
    counter: usize,
}

impl Store {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            auth: Mutex::new(Auth::Open),
            immutable: Immutable::No,
            repository: "team/time",
            elsewhere: None,
            state: Arc::default(),
        }
    }

    pub(crate) fn with_auth(self, auth: Auth) -> Self {
        Self { auth: Mutex::new(auth), ..self }
    }

    /// Where a registry of [`Profile::Gar`] sends uploads and downloads: it asks nobody who they are.
    pub(crate) fn beside(other: &Self) -> Self {
        Self { state: Arc::clone(&other.state), ..Self::new(other.profile) }
    }

    /// What a tag names.
    pub(crate) fn tag(&self, tag: &str) -> Option<String> {
        self.state.lock().unwrap().tags.get(tag).cloned()
    }

    /// Makes a tag name another manifest, as another pusher would.
    pub(crate) fn set_tag(&self, tag: &str, digest: &str) {
        self.state.lock().unwrap().tags.insert(tag.to_owned(), digest.to_owned());
    }

    pub(super) fn answer(&self, asked: &Asked, own: &str) -> Response {
        if asked.path == "/token" {
            return self.token(asked);
        }
        if let Some(refusal) = self.refusal(asked, own) {
            return refusal;
        }
        let prefix = format!("/v2/{}/", self.repository);
        let Some(path) = asked.path.strip_prefix(&prefix) else {
            return Response::error(404, "NAME_UNKNOWN", "no such repository");
        };
        match (asked.method.as_str(), path.split_once('/')) {
            ("HEAD" | "GET", Some(("manifests", target))) => self.get_manifest(target),
            ("PUT", Some(("manifests", target))) => self.put_manifest(asked, target),
            ("POST", Some(("blobs", "uploads/"))) => self.open(own),
            ("PUT", Some(("blobs", place))) => self.put_blob(asked, place.strip_prefix("uploads/").unwrap()),
            ("HEAD", Some(("blobs", _))) if self.profile == Profile::Gar => Response::new(405),
            ("HEAD" | "GET", Some(("blobs", digest))) => self.get_blob(asked, digest),
            ("GET", Some(("referrers", subject))) => self.referrers(subject),
            _ => panic!("a request that no push or look-up needs: {asked:?}"),
        }
    }

    fn token(&self, asked: &Asked) -> Response {
        let Auth::Bearer(user, password) = self.auth.lock().unwrap().clone() else { return Response::new(404) };
        let form = String::from_utf8(asked.body.clone()).unwrap();
        let is_identity = asked.method == "POST" && form.contains(&format!("refresh_token={password}"));
        if !is_identity && asked.authorization != Some(basic(user, password)) {
            return Response::error(401, "UNAUTHORIZED", "wrong password");
        }
        let mut state = self.state.lock().unwrap();
        state.counter += 1;
        let token = format!("token-{}", state.counter);
        let scope = asked.parameter("scope").or_else(|| parameter(&form, "scope")).unwrap_or_default();
        state.tokens.insert(token.clone(), scope);
        Response::new(200).body(json!({ "token": token }).to_string())
    }

    fn refusal(&self, asked: &Asked, own: &str) -> Option<Response> {
        let (is_known, challenge) = match &*self.auth.lock().unwrap() {
            Auth::Open => return None,
            Auth::Basic(user, password) => {
                (asked.authorization == Some(basic(user, password)), "Basic realm=\"here\"".to_owned())
            }
            Auth::Bearer(..) => {
                let token = asked.authorization.as_deref().and_then(|header| header.strip_prefix("Bearer "));
                let scope_had = token.and_then(|token| self.state.lock().unwrap().tokens.get(token).cloned());
                let is_looking = matches!(asked.method.as_str(), "HEAD" | "GET");
                let is_known = scope_had.as_ref().is_some_and(|scope| is_looking || scope.contains("push"));
                if scope_had.is_some() && !is_known && self.profile == Profile::Gar {
                    return Some(Response::error(403, "DENIED", "that token is for looking"));
                }
                let scope = format!("repository:{0}:pull repository:{0}:push", self.repository);
                (is_known, format!("Bearer realm=\"http://{own}/token\",service=\"s\",scope=\"{scope}\""))
            }
        };
        let refusal = || Response::error(401, "UNAUTHORIZED", "who are you?").with("WWW-Authenticate", &challenge);
        (!is_known).then(refusal)
    }

    fn get_manifest(&self, target: &str) -> Response {
        let state = self.state.lock().unwrap();
        let digest = state.tags.get(target).map_or(target, String::as_str);
        match state.manifests.get(digest) {
            None => Response::error(404, "MANIFEST_UNKNOWN", "no such manifest"),
            Some((media_type, bytes)) => Response::new(200)
                .with("Content-Type", media_type)
                .with("Docker-Content-Digest", digest)
                .body(bytes.clone()),
        }
    }

    fn put_manifest(&self, asked: &Asked, target: &str) -> Response {
        let mut state = self.state.lock().unwrap();
        let digest = sha256(&asked.body).to_string();
        let manifest: Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(asked.content_type, manifest["mediaType"], "a manifest is sent as what it is");
        if target.starts_with("sha256:") && target != digest {
            return Response::error(400, "DIGEST_INVALID", "other bytes");
        }
        let layers = manifest["layers"].as_array().into_iter().flatten();
        for blob in layers.chain(manifest.get("config")) {
            if state.blobs.get(blob["digest"].as_str().unwrap()).map(Vec::len)
                != blob["size"].as_u64().map(|n| n as usize)
            {
                return Response::error(400, "MANIFEST_BLOB_UNKNOWN", "a blob is missing");
            }
        }
        if let (Immutable::Refuses(status, code), true) = (self.immutable, state.tags.contains_key(target)) {
            return Response::error(status, code, "that tag is there already, and stays");
        }
        if !target.starts_with("sha256:") {
            state.tags.insert(target.to_owned(), digest.clone());
        }
        state.manifests.insert(digest.clone(), (asked.content_type.clone(), asked.body.clone()));
        let mut response = Response::new(201);
        if self.profile != Profile::Ecr {
            response = response
                .with("Location", &format!("/v2/{}/manifests/{digest}", self.repository))
                .with("Docker-Content-Digest", &digest);
        }
        match manifest["subject"]["digest"].as_str() {
            Some(subject) if self.lists_referrers() => response.with("OCI-Subject", subject),
            _ => response,
        }
    }

    fn lists_referrers(&self) -> bool {
        matches!(self.profile, Profile::Spec | Profile::Ecr)
    }

    fn referrers(&self, subject: &str) -> Response {
        if !self.lists_referrers() {
            return Response::new(404);
        }
        let state = self.state.lock().unwrap();
        let refers = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap()["subject"]["digest"] == subject;
        let found = state.manifests.iter().filter(|(_, (_, bytes))| refers(bytes));
        let entries: Vec<Value> = found.map(|(digest, _)| json!({ "digest": digest })).collect();
        Response::new(200).body(json!({ "schemaVersion": 2, "manifests": entries }).to_string())
    }

    fn open(&self, own: &str) -> Response {
        let mut state = self.state.lock().unwrap();
        state.counter += 1;
        let id = format!("session-{}", state.counter);
        state.sessions.insert(id.clone(), true);
        let path = format!("/v2/{}/blobs/uploads/{id}", self.repository);
        let place = match (self.profile, &self.elsewhere) {
            (Profile::Spec, _) => path,
            (Profile::Ecr, _) => format!("http://{own}{path}?_state=a%2Fb%3D"),
            (Profile::Ghcr, _) => id,
            (Profile::Gar, elsewhere) => {
                format!("{}{path}?upload=1", elsewhere.clone().unwrap_or_else(|| format!("http://{own}")))
            }
        };
        Response::new(202).with("Location", &place).with("Docker-Upload-UUID", "for-show")
    }

    fn put_blob(&self, asked: &Asked, session: &str) -> Response {
        let mut state = self.state.lock().unwrap();
        let is_fresh = state.sessions.insert(session.to_owned(), false);
        match (is_fresh, self.profile) {
            (Some(true), _) => {}
            (Some(false), Profile::Ecr) => return Response::error(416, "BLOB_UPLOAD_INVALID", "first byte is 0"),
            _ => return Response::error(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
        }
        let digest = sha256(&asked.body).to_string();
        if asked.parameter("digest").as_ref() != Some(&digest) {
            return Response::error(400, "DIGEST_INVALID", "other bytes");
        }
        state.blobs.insert(digest.clone(), asked.body.clone());
        Response::new(201).with("Docker-Content-Digest", &digest)
    }

    fn get_blob(&self, asked: &Asked, digest: &str) -> Response {
        match (self.state.lock().unwrap().blobs.get(digest), &self.elsewhere) {
            (None, _) => Response::error(404, "BLOB_UNKNOWN", "no such blob"),
            (Some(_), Some(elsewhere)) => Response::new(307).with("Location", &format!("{elsewhere}{}", asked.path)),
            (Some(bytes), None) => Response::new(200).with("Docker-Content-Digest", digest).body(bytes.clone()),
        }
    }
}

fn basic(user: &str, password: &str) -> String {
    let token = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    format!("Basic {token}")
}

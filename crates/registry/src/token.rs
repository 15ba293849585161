//! Tokens of a token server: the reply to a Bearer challenge (distribution's "Token Authentication" and its OAuth 2 form).

use serde::Deserialize;

use crate::credentials::{Credential, basic_header};
use crate::secret::Secret;
use crate::transport::Message;
use crate::url::{Url, escaped};

/// What this client calls itself there.
const CLIENT: &str = "gimmetime";
/// Largest reply; tokens have a few kilobytes.
const MAX_REPLY: u64 = 64 << 10;

/// A request for a token.
pub(crate) struct TokenRequest {
    url: Url,
    authorization: Option<Secret>,
    form: Option<Secret>,
}

impl TokenRequest {
    /// For `scopes` at `realm`, which has been checked; anonymous without a credential.
    pub(crate) fn new(realm: &Url, service: Option<&str>, scopes: &[String], credential: Option<&Credential>) -> Self {
        match credential {
            Some(Credential::IdentityToken(token)) => {
                let form = format!(
                    "grant_type=refresh_token&client_id={CLIENT}&service={}&scope={}&refresh_token={}",
                    escaped(service.unwrap_or_default()),
                    escaped(&scopes.join(" ")),
                    escaped(token.reveal())
                );
                Self { url: realm.clone(), authorization: None, form: Some(Secret::new(form)) }
            }
            other => {
                let url = service.map_or_else(|| realm.clone(), |service| realm.with_parameter("service", service));
                let url = scopes.iter().fold(url, |url, scope| url.with_parameter("scope", scope));
                let authorization = match other {
                    Some(Credential::Basic { username, password }) => Some(basic_header(username, password)),
                    _ => None,
                };
                Self { url, authorization, form: None }
            }
        }
    }

    /// As it is sent. A token server that redirects is not followed.
    pub(crate) fn message(&self) -> Message<'_> {
        let method = if self.form.is_some() { "POST" } else { "GET" };
        let mut message = Message::new(method, &self.url, MAX_REPLY);
        if let Some(form) = &self.form {
            message = message.body("application/x-www-form-urlencoded", form.reveal().as_bytes());
        }
        message
    }

    /// What goes into its `Authorization`.
    pub(crate) fn authorization(&self) -> Option<&Secret> {
        self.authorization.as_ref()
    }
}

/// The token in the reply of a token server; `None` if there is none.
pub(crate) fn read(body: &[u8]) -> Option<Secret> {
    #[derive(Deserialize)]
    struct Reply {
        token: Option<String>,
        access_token: Option<String>,
    }
    let reply: Reply = serde_json::from_slice(body).ok()?;
    let token = [reply.token, reply.access_token].into_iter().flatten().find(|token| !token.is_empty())?;
    // It becomes a header: what cannot stand in one is no token.
    token.bytes().all(|byte| byte.is_ascii_graphic()).then(|| Secret::new(token))
}

/// The scopes to ask for: what the registry names, and `actions` in `repository` in any case.
///
/// Asking for pull and push at once saves a challenge when the first upload begins.
pub(crate) fn scopes(named: &[String], repository: &str, actions: &[&str]) -> Vec<String> {
    let ours = format!("repository:{repository}:");
    let mut wanted: Vec<&str> = Vec::new();
    let mut others: Vec<String> = Vec::new();
    for scope in named {
        match scope.strip_prefix(&ours) {
            Some(named) => wanted.extend(named.split(',')),
            None => others.push(scope.clone()),
        }
    }
    wanted.extend(actions);
    let mut all: Vec<&str> = Vec::new();
    for action in wanted {
        if !action.is_empty() && !all.contains(&action) {
            all.push(action);
        }
    }
    others.insert(0, format!("{ours}{}", all.join(",")));
    others.truncate(MAX_SCOPES);
    others
}

/// More scopes than these are not asked for.
const MAX_SCOPES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_named_and_those_needed() {
        let named =
            ["repository:a/b:pull".to_owned(), "repository:a/b:push".to_owned(), "repository:c:pull".to_owned()];
        assert_eq!(scopes(&named, "a/b", &["pull", "push"]), ["repository:a/b:pull,push", "repository:c:pull"]);
        assert_eq!(scopes(&[], "a/b", &["pull"]), ["repository:a/b:pull"]);
        assert_eq!(scopes(&["registry:catalog:*".to_owned()], "a", &["pull"]).len(), 2);
    }

    #[test]
    fn a_token_is_read_under_either_name() {
        assert_eq!(read(br#"{"token":"a"}"#), Some(Secret::new("a")));
        assert_eq!(read(br#"{"access_token":"b","expires_in":60}"#), Some(Secret::new("b")));
        for body in [&br#"{"token":""}"#[..], br#"{"token":"a\r\nX: y"}"#, b"{}", b"", b"<html>"] {
            assert_eq!(read(body), None);
        }
    }

    #[test]
    fn an_identity_token_is_sent_in_the_body_and_nowhere_else() {
        let realm = Url::parse("https://r.example/token?x=1").unwrap();
        let identity = Credential::IdentityToken(Secret::new("s3cret&="));
        let request = TokenRequest::new(&realm, Some("svc"), &["repository:a:pull".to_owned()], Some(&identity));
        assert_eq!(request.url, realm);
        assert!(request.authorization.is_none());
        assert!(request.form.unwrap().reveal().ends_with("&refresh_token=s3cret%26%3D"));
        let basic = TokenRequest::new(&realm, Some("svc"), &["repository:a:pull".to_owned()], None);
        assert_eq!(basic.url.query.unwrap(), "x=1&service=svc&scope=repository:a:pull");
    }
}

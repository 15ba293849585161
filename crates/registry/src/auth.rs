//! What requests are authorised with, and how a challenge is answered.
//!
//! Threads share one state. Each change raises its generation, so that a request which was refused with what is no longer
//! used is only sent again.

use crate::challenge::Challenge;
use crate::credentials::{Chain, Credential, Credentials, basic_header};
use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::realm;
use crate::receipt::Stage;
use crate::run::Failed;
use crate::secret::Secret;
use crate::token::{self, TokenRequest};
use crate::transport::Reply;

pub(crate) struct Auth {
    chain: Chain,
    credential: Option<Credential>,
    header: Option<Secret>,
    generation: u64,
    actions: &'static [&'static str],
}

/// A request that the registry answered with 401.
pub(crate) struct Refusal {
    pub(crate) stage: Stage,
    pub(crate) challenge: Challenge,
    /// Whether it was sent with what the challenge before it, of the same request, had led to.
    pub(crate) is_repeated: bool,
}

impl Auth {
    pub(crate) fn new(credentials: Credentials) -> Self {
        Self { chain: Chain::new(credentials), credential: None, header: None, generation: 0, actions: &["pull"] }
    }

    /// What is sent now, and its generation.
    pub(crate) fn current(&self) -> (Option<Secret>, u64) {
        (self.header.clone(), self.generation)
    }

    /// Asks for tokens with these rights from now on. A token for other rights is not sent any more: some registries call
    /// that denied, and do not ask for a better one.
    pub(crate) fn want(&mut self, actions: &'static [&'static str]) {
        if self.actions != actions {
            self.actions = actions;
            self.header = None;
            self.generation += 1;
        }
    }

    /// Finds what to send instead; `fetch` exchanges with a token server.
    pub(crate) fn answer(
        &mut self,
        refusal: &Refusal,
        endpoint: &Endpoint,
        token_hosts: &[String],
        fetch: impl Fn(&TokenRequest) -> Result<Reply, Failed>,
    ) -> Result<(), Failed> {
        let used = self.header.take();
        match &refusal.challenge {
            Challenge::Basic => {
                if used.is_some() {
                    self.refuse();
                }
                self.basic(endpoint, refusal.stage)?;
            }
            Challenge::Bearer { realm, service, scopes } => {
                let realm = realm::check(realm, endpoint.base(), token_hosts).map_err(RegistryError::from)?;
                let scopes = token::scopes(scopes, &endpoint.repository, self.actions);
                let is_own_token = matches!(self.credential, Some(Credential::RegistryToken(_)));
                if refusal.is_repeated || used.is_some() && is_own_token {
                    // A new token of the same credential was refused too.
                    self.refuse();
                }
                let request = |credential: Option<&Credential>| {
                    fetch(&TokenRequest::new(&realm, service.as_deref(), &scopes, credential))
                };
                self.bearer(endpoint, refusal, request)?;
            }
        }
        self.generation += 1;
        Ok(())
    }

    fn basic(&mut self, endpoint: &Endpoint, stage: Stage) -> Result<(), Failed> {
        loop {
            match self.take_next(endpoint) {
                Some(Credential::Basic { username, password }) => {
                    self.header = Some(basic_header(&username, &password));
                    return Ok(());
                }
                Some(Credential::RegistryToken(token)) => {
                    self.header = Some(bearer_header(&token));
                    return Ok(());
                }
                // An identity token is for a token server, and this registry has none.
                Some(Credential::IdentityToken(_)) => self.refuse(),
                None => return Err(self.unauthorized(endpoint, stage).into()),
            }
        }
    }

    fn bearer(
        &mut self,
        endpoint: &Endpoint,
        refusal: &Refusal,
        request: impl Fn(Option<&Credential>) -> Result<Reply, Failed>,
    ) -> Result<(), Failed> {
        loop {
            let credential = self.take_next(endpoint);
            if let Some(Credential::RegistryToken(token)) = &credential {
                self.header = Some(bearer_header(token));
                return Ok(());
            }
            if credential.is_none() && (refusal.is_repeated || self.chain.has_refused()) {
                return Err(self.unauthorized(endpoint, refusal.stage).into());
            }
            // Without a credential the token is an anonymous one, which may be enough to pull.
            let reply = request(credential.as_ref())?;
            match reply.status {
                200..=299 => {
                    let token = token::read(&reply.body).ok_or_else(|| not_a_token(endpoint))?;
                    self.header = Some(bearer_header(&token));
                    return Ok(());
                }
                400 | 401 | 403 if credential.is_some() => self.refuse(),
                400 | 401 | 403 => return Err(self.unauthorized(endpoint, Stage::Token).into()),
                _ => return Err(crate::run::refused(endpoint, Stage::Token, &reply).into()),
            }
        }
    }

    /// The credential in use, or the next that was not refused.
    fn take_next(&mut self, endpoint: &Endpoint) -> Option<Credential> {
        if self.credential.is_none() {
            self.credential = self.chain.next(endpoint);
        }
        self.credential.clone()
    }

    fn refuse(&mut self) {
        if let Some(credential) = self.credential.take() {
            self.chain.refuse(credential);
        }
    }

    fn unauthorized(&self, endpoint: &Endpoint, stage: Stage) -> RegistryError {
        let (registry, tried) = (endpoint.registry.clone(), self.chain.tried());
        if self.chain.has_refused() {
            RegistryError::Unauthorized { registry, stage, tried }
        } else {
            RegistryError::NoCredentials { registry, tried }
        }
    }
}

fn bearer_header(token: &Secret) -> Secret {
    Secret::new(format!("Bearer {}", token.reveal()))
}

fn not_a_token(endpoint: &Endpoint) -> RegistryError {
    RegistryError::Malformed {
        registry: endpoint.registry.clone(),
        stage: Stage::Token,
        expected: "JSON with a `token`",
        found: "something else".to_owned(),
    }
}

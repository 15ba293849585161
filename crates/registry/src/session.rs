//! The conversation with one registry about one repository: connections, and what requests are authorised with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::access::{Access, Interrupt};
use crate::auth::{Auth, Refusal};
use crate::challenge;
use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::receipt::Stage;
use crate::retry::Policy;
use crate::run::Failed;
use crate::token::TokenRequest;
use crate::transport::{Message, Reply, Transport};

/// Challenges that one request answers: more than there are sources of credentials.
const MAX_CHALLENGES: u32 = 10;

pub(crate) struct Session {
    pub(crate) endpoint: Endpoint,
    pub(crate) policy: Policy,
    pub(crate) interrupt: Interrupt,
    token_hosts: Vec<String>,
    transport: Transport,
    auth: Mutex<Auth>,
}

impl Session {
    pub(crate) fn new(endpoint: Endpoint, access: Access) -> Result<Self, RegistryError> {
        let transport = Transport::new(endpoint.base(), &access)?;
        Ok(Self {
            endpoint,
            transport,
            policy: access.retry,
            interrupt: access.interrupt,
            token_hosts: access.token_hosts,
            auth: Mutex::new(Auth::new(access.credentials)),
        })
    }

    /// Asks for tokens with these rights from now on.
    pub(crate) fn want(&self, actions: &'static [&'static str]) {
        self.auth().want(actions);
    }

    /// Sends a message, authorised if it goes to the registry itself; a challenge is answered, and the message sent again.
    /// `fetched` is called with the stage's time for each reply of a token server.
    pub(crate) fn send(
        &self,
        stage: Stage,
        message: &Message<'_>,
        token: impl Fn(&TokenRequest) -> Result<Reply, Failed>,
    ) -> Result<Reply, Failed> {
        let is_own = self.endpoint.is_origin_of(message.url);
        for challenges in 0..MAX_CHALLENGES {
            let (header, generation) = if is_own { self.auth().current() } else { (None, 0) };
            let reply = self.exchange(stage, message, header.as_ref())?;
            if reply.status != 401 || !is_own {
                return Ok(reply);
            }
            let offered = reply.headers.get_all("WWW-Authenticate").iter().filter_map(|value| value.to_str().ok());
            let Some(challenge) = challenge::choose(offered) else {
                return Err(self.no_challenge(stage, &reply).into());
            };
            let mut auth = self.auth();
            if auth.current().1 == generation {
                let is_repeated = 0 < challenges && header.is_some();
                auth.answer(&Refusal { stage, challenge, is_repeated }, &self.endpoint, &self.token_hosts, &token)?;
            }
        }
        Err(RegistryError::Unauthorized { registry: self.endpoint.registry.clone(), stage, tried: Vec::new() }.into())
    }

    /// Sends a request for a token.
    pub(crate) fn fetch_token(&self, request: &TokenRequest) -> Result<Reply, Failed> {
        self.exchange(Stage::Token, &request.message(), request.authorization())
    }

    fn exchange(
        &self,
        stage: Stage,
        message: &Message<'_>,
        authorization: Option<&crate::secret::Secret>,
    ) -> Result<Reply, Failed> {
        if self.interrupt.is_raised() {
            return Err(RegistryError::Interrupted { stage }.into());
        }
        self.transport.send(message, authorization).map_err(|fault| Failed::NoReply { stage, fault })
    }

    fn no_challenge(&self, stage: Stage, reply: &Reply) -> RegistryError {
        let found = reply.header("WWW-Authenticate").map_or("none", |header| header.split(' ').next().unwrap_or(""));
        RegistryError::Malformed {
            registry: self.endpoint.registry.clone(),
            stage,
            expected: "a challenge for Basic or Bearer with its 401",
            found: format!("`{found}`"),
        }
    }

    fn auth(&self) -> MutexGuard<'_, Auth> {
        // A provider that panicked has changed nothing.
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! One operation on a registry: its requests are tried again where that helps, recorded, and their failures named.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gimmetime_clock::source;
use serde::Deserialize;

use crate::endpoint::Endpoint;
use crate::error::RegistryError;
use crate::event::{Event, Events};
use crate::receipt::{Outcome, Request, Stage};
use crate::retry::{self, Decision, is_passing};
use crate::session::Session;
use crate::transport::{Fault, Message, Reply};

/// Longest text of a registry that is shown.
const MAX_WORDS: usize = 300;

/// A push or a look-up.
pub(crate) struct Run<'a> {
    pub(crate) session: &'a Session,
    events: Events<'a>,
    requests: Mutex<Vec<Request>>,
}

/// Why a try did not succeed.
pub(crate) enum Failed {
    /// Nothing came back.
    NoReply { stage: Stage, fault: Fault },
    /// A status that says "not now".
    NotNow { stage: Stage, reply: Box<Reply> },
    /// The upload session is of no more use.
    SessionLost { reply: Box<Reply> },
    /// Another try would fail too.
    Final(RegistryError),
}

/// A reply, and how long it took.
pub(crate) struct Answered {
    pub(crate) reply: Reply,
    pub(crate) ms: f64,
    pub(crate) tries: u32,
}

impl From<RegistryError> for Failed {
    fn from(error: RegistryError) -> Self {
        Self::Final(error)
    }
}

impl<'a> Run<'a> {
    pub(crate) fn new(session: &'a Session, events: Events<'a>) -> Self {
        Self { session, events, requests: Mutex::new(Vec::new()) }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.session.endpoint
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.events)(event);
    }

    /// Sends `message` until there is an answer that is not "not now".
    pub(crate) fn ask(&self, stage: Stage, message: &Message<'_>) -> Result<Answered, RegistryError> {
        self.retrying(|tried| self.try_once(stage, message, tried))
    }

    /// Sends `message` once; `tried` is the number of this try, from 1.
    pub(crate) fn try_once(&self, stage: Stage, message: &Message<'_>, tried: u32) -> Result<Answered, Failed> {
        let started = source::mono();
        let reply = self.session.send(stage, message, |request| self.fetch_token(request, tried))?;
        if is_passing(reply.status) {
            return Err(Failed::NotNow { stage, reply: Box::new(reply) });
        }
        Ok(Answered { reply, ms: millis(source::mono().since(started)), tries: tried })
    }

    /// Makes attempts, each numbered from 1, until one succeeds, is refused for good, or the policy gives up.
    pub(crate) fn retrying<T>(&self, attempt: impl Fn(u32) -> Result<T, Failed>) -> Result<T, RegistryError> {
        let mut tried = 1;
        loop {
            let failed = match attempt(tried) {
                Ok(done) => return Ok(done),
                Err(Failed::Final(error)) => return Err(error),
                Err(failed) => failed,
            };
            let random = RandomState::new().build_hasher().finish();
            let decision = failed.outcome().map(|outcome| self.session.policy.decide(outcome, tried, random));
            let Some(Decision::Wait(wait)) = decision else {
                return Err(failed.into_error(self.endpoint(), tried));
            };
            tried += 1;
            let (stage, cause) = (failed.stage(), failed.cause());
            self.tell(Event::Waiting { stage, cause, wait, next_try: tried });
            self.session.interrupt.wait(wait);
        }
    }

    /// Keeps a request for the receipt.
    pub(crate) fn record(&self, stage: Stage, subject: &str, outcome: Outcome, bytes: u64, answered: &Answered) {
        let (ms, tries) = (answered.ms, answered.tries);
        let request = Request { stage, subject: subject.to_owned(), outcome, bytes, ms, tries };
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    /// All that was recorded.
    pub(crate) fn into_requests(self) -> Vec<Request> {
        self.requests.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn fetch_token(&self, request: &crate::token::TokenRequest, tried: u32) -> Result<Reply, Failed> {
        let started = source::mono();
        let reply = self.session.fetch_token(request)?;
        if is_passing(reply.status) {
            return Err(Failed::NotNow { stage: Stage::Token, reply: Box::new(reply) });
        }
        let outcome = if reply.is_success() { Outcome::Found } else { Outcome::Absent };
        let answered = Answered { ms: millis(source::mono().since(started)), tries: tried, reply };
        self.record(Stage::Token, &self.endpoint().repository, outcome, answered.reply.body.len() as u64, &answered);
        Ok(answered.reply)
    }
}

// === impl Failed ===

impl Failed {
    /// For the policy; `None` if another try is no use.
    fn outcome(&self) -> Option<retry::Outcome> {
        match self {
            Self::NoReply { fault, .. } => fault.is_passing().then_some(retry::Outcome::NoReply),
            Self::NotNow { reply, .. } => {
                let retry_after = reply.header("Retry-After").and_then(|text| retry::seconds(text, source::wall()));
                Some(retry::Outcome::Status { status: reply.status, retry_after })
            }
            Self::SessionLost { .. } => Some(retry::Outcome::SessionLost),
            Self::Final(_) => None,
        }
    }

    fn stage(&self) -> Stage {
        match self {
            Self::NoReply { stage, .. } | Self::NotNow { stage, .. } => *stage,
            Self::SessionLost { .. } | Self::Final(_) => Stage::PutBlob,
        }
    }

    fn cause(&self) -> String {
        match self {
            Self::NoReply { fault, .. } => fault.to_string(),
            Self::NotNow { reply, .. } => format!("the registry answered {}", reply.status),
            Self::SessionLost { .. } => "the upload was lost".to_owned(),
            Self::Final(error) => error.to_string(),
        }
    }

    /// What a caller is told when it is not tried again.
    fn into_error(self, endpoint: &Endpoint, tries: u32) -> RegistryError {
        let registry = endpoint.registry.clone();
        match self {
            Self::NoReply { stage, fault } => RegistryError::Network { registry, stage, tries, fault },
            Self::NotNow { stage, reply } => refused(endpoint, stage, &reply),
            Self::SessionLost { reply } => refused(endpoint, Stage::PutBlob, &reply),
            Self::Final(error) => error,
        }
    }
}

/// The error that a reply is, by its status and code.
pub(crate) fn refused(endpoint: &Endpoint, stage: Stage, reply: &Reply) -> RegistryError {
    let (registry, repository) = (endpoint.registry.clone(), endpoint.repository.clone());
    let (code, message) = complaint(&reply.body);
    let is_unknown_name = code.as_deref() == Some("NAME_UNKNOWN");
    match reply.status {
        403 => {
            let action = stage.right(&registry).to_owned();
            RegistryError::Denied { registry, repository, stage, action, message }
        }
        404 if is_unknown_name || stage == Stage::StartUpload => {
            RegistryError::RepositoryMissing { registry, repository }
        }
        429 => {
            let after = reply.header("Retry-After").and_then(|text| retry::seconds(text, source::wall()));
            RegistryError::RateLimited { registry, stage, after: after.map(Duration::from_secs) }
        }
        status => RegistryError::Refused { registry, stage, status, code, message },
    }
}

/// The first error of a reply: its code, and its words made fit to be shown.
pub(crate) fn complaint(body: &[u8]) -> (Option<String>, String) {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Error>,
    }
    #[derive(Deserialize)]
    struct Error {
        code: Option<String>,
        message: Option<String>,
    }
    let parsed: Option<Errors> = serde_json::from_slice(body).ok();
    match parsed.and_then(|errors| errors.errors.into_iter().next()) {
        Some(error) => {
            let is_code =
                |code: &String| !code.is_empty() && code.len() <= 64 && code.bytes().all(|b| b.is_ascii_graphic());
            (error.code.filter(is_code), showable(&error.message.unwrap_or_default()))
        }
        None => (None, showable(&String::from_utf8_lossy(body))),
    }
}

/// One line without control characters: a terminal must not obey a registry.
fn showable(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(MAX_WORDS).collect()
}

pub(crate) fn millis(time: Duration) -> f64 {
    // Microseconds are as exact as such a figure is.
    (time.as_secs_f64() * 1e6).round() / 1e3
}

//! Waiting for one operation of a stack: its events, each once, and how it ended. What failed is kept, earliest first.

use std::collections::BTreeSet;

use aws_sdk_cloudformation::types::StackEvent;
use gimmetime_clock::source;

use crate::denied::readable;
use crate::error::{AwsError, StackError, refused};
use crate::event::{Doing, PlaceEvent, Progress, ResourceEvent};
use crate::session::Session;
use crate::stack::view::is_absence;
use crate::stack::{FailedResource, Failure, PlaceRun, StackState, StackView, find};

/// Pages of events that are read at most in one look: 100 events each, far more than a stack of ours has.
const MAX_PAGES: usize = 20;
/// Looks after which a stack that shows neither progress nor an event of the new operation is believed to be done:
/// CloudFormation answers from several places that are not of one mind for a moment.
const LOOKS_UNTIL_BELIEVED: usize = 15;
/// What CloudFormation says of resources that failed only because another one did.
const CONSEQUENCES: [&str; 3] =
    ["Resource creation cancelled", "Resource update cancelled", "The following resource(s) failed"];

/// How watching ended.
#[derive(Debug)]
pub(super) enum Seen {
    /// Nothing is in progress any more. None: the stack is gone altogether.
    Settled(Option<StackView>),
    /// Nobody waited for the end.
    Detached(StackState),
}

/// One operation of a stack, being watched.
pub(super) struct Watch<'a> {
    session: &'a Session,
    run: &'a PlaceRun,
    name: String,
    stack_id: String,
    /// Events before this one belong to an earlier operation.
    marker: Option<String>,
    seen: BTreeSet<String>,
    started: BTreeSet<(String, &'static str)>,
    failed: Vec<FailedResource>,
    removed: usize,
    has_begun: bool,
    is_rolling_back: bool,
    /// The states that are waited for.
    is_enough: fn(&StackState) -> bool,
    state: StackState,
}

impl<'a> Watch<'a> {
    /// Watches what is in progress already.
    pub(super) fn attach(session: &'a Session, run: &'a PlaceRun, stack: &StackView) -> Self {
        Self {
            session,
            run,
            name: stack.name.clone(),
            stack_id: stack.id.clone(),
            marker: None,
            seen: BTreeSet::new(),
            started: BTreeSet::new(),
            failed: Vec::new(),
            removed: 0,
            has_begun: true,
            is_rolling_back: false,
            is_enough: |state| !state.is_in_progress(),
            state: stack.state.clone(),
        }
    }

    /// Prepares to watch an operation that is about to begin: remembers what happened before it.
    pub(super) async fn prepare(session: &'a Session, run: &'a PlaceRun, stack: &StackView) -> Result<Self, AwsError> {
        let mut watch = Self::attach(session, run, stack);
        let newest = watch.page(None).await?.0.into_iter().next();
        watch.marker = newest.and_then(|event| event.event_id);
        watch.has_begun = false;
        Ok(watch)
    }

    /// Watches a stack that did not exist before.
    pub(super) fn new_stack(session: &'a Session, run: &'a PlaceRun, name: &str, stack_id: &str) -> Self {
        Self {
            session,
            run,
            name: name.to_owned(),
            stack_id: stack_id.to_owned(),
            marker: None,
            seen: BTreeSet::new(),
            started: BTreeSet::new(),
            failed: Vec::new(),
            removed: 0,
            has_begun: false,
            is_rolling_back: false,
            is_enough: |state| !state.is_in_progress(),
            state: StackState::CreateInProgress,
        }
    }

    /// Does not wait until what was replaced is gone: what runs in the place may hold it, and moves only after us.
    pub(super) fn until_whole(self) -> Self {
        Self { is_enough: |state| state.is_whole() || !state.is_in_progress(), ..self }
    }

    /// Waits until nothing is in progress any more.
    ///
    /// # Errors
    /// `StillBusy` when patience ends, `LostSight` when AWS cannot be asked any more. The operation goes on in both cases.
    pub(super) async fn settled(&mut self) -> Result<Seen, AwsError> {
        let began = source::mono();
        let patience = self.run.pace.patience;
        let mut looks = 0;
        let mut unanswered = None;
        loop {
            match self.look().await {
                Ok(stack) => {
                    unanswered = None;
                    looks += 1;
                    let is_believed = self.has_begun || LOOKS_UNTIL_BELIEVED <= looks;
                    if is_believed && stack.as_ref().is_none_or(|stack| (self.is_enough)(&stack.state)) {
                        return Ok(Seen::Settled(stack));
                    }
                }
                Err(error) if error.is_passing() => {
                    if unanswered.is_none() {
                        self.run.emit(PlaceEvent::Unanswered { reason: error.to_string() });
                    }
                    unanswered = Some(error);
                }
                Err(error) => return Err(self.lost(error)),
            }
            if self.run.cancel.is_cancelled() {
                return Ok(Seen::Detached(self.state.clone()));
            }
            let waited = source::mono().since(began);
            if patience <= waited {
                return Err(unanswered.map_or_else(|| self.still_busy(waited.as_secs()), |error| self.lost(error)));
            }
            self.run.pause(self.run.pace.poll).await;
        }
    }

    fn lost(&self, reason: AwsError) -> AwsError {
        let (name, state) = (self.name.clone(), self.state.to_string());
        StackError::LostSight { name, state, reason: Box::new(reason) }.into()
    }

    fn still_busy(&self, waited_s: u64) -> AwsError {
        StackError::StillBusy { name: self.name.clone(), state: self.state.to_string(), waited_s }.into()
    }

    /// What failed so far, the earliest first.
    pub(super) fn failed(&self) -> &[FailedResource] {
        &self.failed
    }

    /// How many resources were removed.
    pub(super) fn removed(&self) -> usize {
        self.removed
    }

    /// The failure that the operation ended in.
    pub(super) async fn failure(&self, stack: Option<&StackView>) -> Failure {
        let mut failed = self.failed.clone();
        if failed.is_empty() {
            // What fails before anything is made shows in another list only; without it the reason must do.
            failed = self.failed_validations().await.unwrap_or_default();
        }
        let mut failed = failed.into_iter();
        Failure {
            name: self.name.clone(),
            stack_id: self.stack_id.clone(),
            state: stack.map_or_else(|| self.state.clone(), |stack| stack.state.clone()),
            cause: failed.next(),
            others: failed.collect(),
            reason: stack.and_then(|stack| stack.reason.clone()),
        }
    }

    /// One look: the stack's state, then the events that led to it; in this order none is missed.
    async fn look(&mut self) -> Result<Option<StackView>, AwsError> {
        let stack = find(self.session, &self.stack_id).await?.filter(|stack| stack.state != StackState::DeleteComplete);
        for event in self.new_events().await? {
            self.take(&event);
        }
        if let Some(stack) = &stack {
            self.state = stack.state.clone();
        }
        // A stack that is gone has no newer event to wait for; one that is being made may not be known everywhere yet.
        self.has_begun |= stack.is_none() && self.state != StackState::CreateInProgress;
        Ok(stack)
    }

    /// Events of this operation that were not seen yet, oldest first.
    async fn new_events(&self) -> Result<Vec<StackEvent>, AwsError> {
        let mut new = Vec::new();
        let mut token = None;
        'pages: for _ in 0..MAX_PAGES {
            let (events, next) = match self.page(token).await {
                Err(error) if is_absence(&error) => break,
                page => page?,
            };
            for event in events {
                let id = event.event_id().unwrap_or_default();
                if self.marker.as_deref() == Some(id) || self.seen.contains(id) {
                    break 'pages;
                }
                let is_start = self.is_about_stack(&event) && is_start(&event);
                new.push(event);
                if is_start {
                    break 'pages;
                }
            }
            token = next;
            if token.is_none() {
                break;
            }
        }
        new.reverse();
        Ok(new)
    }

    async fn page(&self, token: Option<String>) -> Result<(Vec<StackEvent>, Option<String>), AwsError> {
        let call = self.session.cloudformation().describe_stack_events().stack_name(&self.stack_id);
        let reply = call.set_next_token(token).send().await;
        let reply = reply.map_err(|error| refused("read the stack's events", self.session.endpoint(), error))?;
        Ok((reply.stack_events.unwrap_or_default(), reply.next_token))
    }

    fn is_about_stack(&self, event: &StackEvent) -> bool {
        event.physical_resource_id() == Some(self.stack_id.as_str())
            || (event.resource_type() == Some("AWS::CloudFormation::Stack")
                && event.logical_resource_id() == Some(self.name.as_str()))
    }

    fn take(&mut self, event: &StackEvent) {
        self.has_begun = true;
        self.seen.insert(event.event_id().unwrap_or_default().to_owned());
        let status = event.resource_status().map_or("", |status| status.as_str());
        let reason = readable(event.resource_status_reason().unwrap_or_default());
        if self.is_about_stack(event) {
            if status.ends_with("ROLLBACK_IN_PROGRESS") && !self.is_rolling_back {
                self.is_rolling_back = true;
                let reason = self
                    .failed
                    .first()
                    .map_or_else(|| reason.to_owned(), |first| format!("{}: {}", first.logical_id, first.reason));
                self.run.emit(PlaceEvent::RollingBack { reason });
            }
            return;
        }
        let Some((doing, progress)) = progress(status, reason) else { return };
        let logical_id = event.logical_resource_id().unwrap_or_default().to_owned();
        let kind = event.resource_type().unwrap_or_default().to_owned();
        let physical_id = event.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned);
        match &progress {
            // CloudFormation says twice that it began: before, and after, it has an id for it.
            Progress::Started if !self.started.insert((logical_id.clone(), word(doing))) => return,
            Progress::Done if doing == Doing::Delete => self.removed += 1,
            Progress::Failed(reason) if !is_consequence(reason) => self.failed.push(FailedResource {
                logical_id: logical_id.clone(),
                kind: kind.clone(),
                physical_id: physical_id.clone(),
                reason: reason.clone(),
            }),
            _ => {}
        }
        self.run.emit(PlaceEvent::Resource(ResourceEvent { logical_id, kind, physical_id, doing, progress }));
    }

    /// What CloudFormation found wrong before it made anything; None where it cannot be asked.
    async fn failed_validations(&self) -> Option<Vec<FailedResource>> {
        let filter = aws_sdk_cloudformation::types::EventFilter::builder().failed_events(true).build();
        let call = self.session.cloudformation().describe_events().stack_name(&self.stack_id).filters(filter);
        let reply = call.send().await.ok()?;
        // The newest first; what an earlier operation found wrong is another story.
        let operation = reply.operation_events().first()?.operation_id();
        let of_this = reply.operation_events().iter().filter(|event| event.operation_id() == operation);
        let failed = of_this.filter_map(|event| {
            let reason = event.validation_status_reason().or(event.resource_status_reason())?;
            Some(FailedResource {
                logical_id: event.logical_resource_id()?.to_owned(),
                kind: event.resource_type().unwrap_or_default().to_owned(),
                physical_id: event.physical_resource_id().map(str::to_owned),
                reason: readable(reason).to_owned(),
            })
        });
        let mut failed: Vec<FailedResource> = failed.collect();
        failed.reverse();
        Some(failed)
    }
}

/// Whether an event about the stack itself begins an operation: what is older belongs to the one before.
fn is_start(event: &StackEvent) -> bool {
    let status = event.resource_status().map_or("", |status| status.as_str());
    matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "DELETE_IN_PROGRESS" | "IMPORT_IN_PROGRESS")
}

/// Whether a resource failed only because another one did.
fn is_consequence(reason: &str) -> bool {
    CONSEQUENCES.iter().any(|words| reason.starts_with(words))
}

/// Reads a resource's status; None for one that tells nothing.
fn progress(status: &str, reason: &str) -> Option<(Doing, Progress)> {
    let doing = match status.split('_').next()? {
        _ if status.contains("ROLLBACK") => Doing::RollBack,
        "CREATE" => Doing::Create,
        "UPDATE" | "IMPORT" => Doing::Update,
        "DELETE" => Doing::Delete,
        _ => return None,
    };
    let progress = if status.ends_with("_IN_PROGRESS") {
        Progress::Started
    } else if status.ends_with("_COMPLETE") {
        Progress::Done
    } else if status.ends_with("_SKIPPED") {
        Progress::Skipped
    } else if status.ends_with("_FAILED") {
        Progress::Failed(reason.to_owned())
    } else {
        return None;
    };
    Some((doing, progress))
}

fn word(doing: Doing) -> &'static str {
    match doing {
        Doing::Create => "create",
        Doing::Update => "update",
        Doing::Delete => "delete",
        Doing::RollBack => "roll back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_of_a_resource_is_read() {
        for status in aws_sdk_cloudformation::types::ResourceStatus::values() {
            assert!(progress(status, "").is_some() || status.starts_with("EXPORT_"), "{status}");
        }
        assert_eq!(progress("CREATE_FAILED", "no"), Some((Doing::Create, Progress::Failed("no".to_owned()))));
        assert_eq!(progress("UPDATE_ROLLBACK_COMPLETE", ""), Some((Doing::RollBack, Progress::Done)));
        assert_eq!(progress("DELETE_SKIPPED", ""), Some((Doing::Delete, Progress::Skipped)));
        assert_eq!(progress("", ""), None);
    }

    #[test]
    fn a_cancelled_resource_is_no_cause() {
        assert!(is_consequence("Resource creation cancelled"));
        assert!(is_consequence("The following resource(s) failed to create: [Cluster]. Rollback requested by user."));
        assert!(!is_consequence("Resource handler returned message: \"Invalid request\""));
    }
}

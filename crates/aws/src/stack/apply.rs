//! Making and changing the stack.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_cloudformation::types::Capability;
use gimmetime_clock::{Mono, source};

use crate::error::{AwsError, StackError, refused};
use crate::event::{Doing, PlaceEvent};
use crate::preparation;
use crate::session::Session;
use crate::stack::change_set::{self, ChangeSet};
use crate::stack::destroy::remove;
use crate::stack::protection;
use crate::stack::watch::{Seen, Watch};
use crate::stack::{Action, Ended, Failure, Goal, PlaceRun, StackState, StackView, Wanted, decide, find};

/// Steps that one call takes at most; the longest honest way is attach, continue, delete, create, retry.
const MAX_STEPS: usize = 10;
/// What fails only because a role is seconds old, or was made by ECS itself a moment ago, or because the account is busy:
/// once more may do.
const PASSING_FAILURES: [&str; 6] = [
    "Unable to assume the service linked role",
    "unable to assume the role",
    "not authorized to perform: sts:AssumeRole",
    "Invalid principal in policy",
    "service linked role exists",
    "Rate exceeded",
];

/// Codes of a change that came too late.
const OTHERS_WERE_EARLIER: [&str; 3] = ["OperationInProgressException", "ChangeSetNotFound", "InvalidChangeSetStatus"];

/// A stack that is as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The stack's ARN.
    pub stack_id: String,
    /// Its state, which is a whole one.
    pub state: StackState,
    /// What was done.
    pub change: Change,
    /// What the stack tells; [`crate::Outputs::read`] reads it.
    pub outputs: BTreeMap<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// What was done to a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// Nothing differed.
    Unchanged,
}

/// Makes the stack as it shall be, attaches to what is in progress, and does nothing where nothing differs.
///
/// # Errors
/// [`StackError`] for all that concerns the stack; the earliest cause is in [`Failure`].
pub async fn apply(session: &Session, wanted: &Wanted, run: &PlaceRun) -> Result<Ended<Applied>, AwsError> {
    let mut work = Work { session, wanted, run, began: source::mono(), change: Change::Unchanged, has_retried: false };
    for _ in 0..MAX_STEPS {
        let stack = find(session, &wanted.name).await?;
        if let Some(stack) = &stack {
            stack.check_ours()?;
        }
        let action = decide(stack.as_ref().map(|stack| &stack.state), Goal::There);
        let step = match (action, &stack) {
            (Action::Create, _) => work.create().await?,
            (Action::Update, Some(stack)) => work.update(stack).await?,
            (Action::Attach, Some(stack)) => work.attach(stack).await?,
            (Action::DeleteAndCreate, Some(stack)) => work.clear(stack).await?,
            (Action::ContinueRollback, Some(stack)) => work.continue_rollback(stack).await?,
            (_, stack) => return Err(work.leave_alone(stack.as_ref())),
        };
        match step {
            Step::Again => {}
            Step::Done(applied) => return Ok(Ended::Done(applied)),
            Step::Detached(state) => return Ok(Ended::Detached { state }),
        }
        if run.cancel.is_cancelled() {
            let state = find(session, &wanted.name).await?.map_or(StackState::DeleteComplete, |stack| stack.state);
            return Ok(Ended::Detached { state });
        }
    }
    Err(work.leave_alone(find(session, &wanted.name).await?.as_ref()))
}

/// What a step led to.
enum Step {
    /// The stack's state is another one: look again.
    Again,
    Done(Applied),
    Detached(StackState),
}

/// How making or changing ended, unless it failed.
enum Watched {
    Whole(StackView),
    /// It failed in a way that may not happen a second time.
    OnceMore,
    Detached(StackState),
}

struct Work<'a> {
    session: &'a Session,
    wanted: &'a Wanted,
    run: &'a PlaceRun,
    began: Mono,
    change: Change,
    has_retried: bool,
}

impl Work<'_> {
    async fn create(&mut self) -> Result<Step, AwsError> {
        preparation::make_service_roles(self.session, self.run).await?;
        let call = self
            .session
            .cloudformation()
            .create_stack()
            .stack_name(&self.wanted.name)
            .template_body(&self.wanted.template)
            .set_tags(Some(change_set::tags(self.wanted, None)))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam)
            .enable_termination_protection(self.wanted.protect)
            .client_request_token(change_set::token());
        let reply = match call.send().await.map_err(|error| refused("make the stack", self.session.endpoint(), error)) {
            // Somebody else was a moment earlier: watch theirs.
            Err(error) if error.has_code("AlreadyExistsException") => return Ok(self.look_again().await),
            reply => reply?,
        };
        let stack_id = reply.stack_id().unwrap_or(&self.wanted.name).to_owned();
        self.run.emit(PlaceEvent::Began { doing: Doing::Create, stack_id: stack_id.clone() });
        let watch = Watch::new_stack(self.session, self.run, &self.wanted.name, &stack_id);
        let watched = self.watched(watch).await?;
        self.finish(watched, Change::Created).await
    }

    async fn update(&mut self, stack: &StackView) -> Result<Step, AwsError> {
        let change_set = match ChangeSet::make(self.session, stack, self.wanted, self.run).await {
            Err(error) if is_busy(&error) => return Ok(self.look_again().await),
            change_set => change_set?,
        };
        if let Some(kept) = protection::kept(stack, self.wanted, &change_set.changes) {
            change_set.delete(self.session).await?;
            return Err(kept.into());
        }
        if change_set.is_empty {
            change_set.delete(self.session).await?;
            protection::set(self.session, stack, self.wanted.protect).await?;
            return Ok(Step::Done(self.applied(stack)));
        }
        let watch = Watch::prepare(self.session, self.run, stack).await?.until_whole();
        match change_set.execute(self.session).await {
            Err(error) if is_busy(&error) => return Ok(self.look_again().await),
            executed => executed?,
        }
        self.run.emit(PlaceEvent::Began { doing: Doing::Update, stack_id: stack.id.clone() });
        let watched = self.watched(watch).await?;
        self.finish(watched, Change::Updated).await
    }

    /// Not at once: what somebody else began a moment ago does not show everywhere yet.
    async fn look_again(&self) -> Step {
        self.run.pause(self.run.pace.poll).await;
        Step::Again
    }

    /// What was asked for by ourselves is known to be what is wanted.
    async fn finish(&mut self, watched: Watched, change: Change) -> Result<Step, AwsError> {
        self.change = change;
        match watched {
            Watched::Whole(stack) => {
                protection::set(self.session, &stack, self.wanted.protect).await?;
                Ok(Step::Done(self.applied(&stack)))
            }
            Watched::OnceMore => Ok(Step::Again),
            Watched::Detached(state) => Ok(Step::Detached(state)),
        }
    }

    async fn attach(&mut self, stack: &StackView) -> Result<Step, AwsError> {
        self.run.emit(PlaceEvent::Attached { state: stack.state.clone() });
        if stack.state == StackState::UpdateCleanupInProgress
            && change_set::is_as_wanted(self.session, stack, self.wanted).await
        {
            return Ok(Step::Done(self.applied(stack)));
        }
        let watch = Watch::attach(self.session, self.run, stack);
        if stack.state == StackState::DeleteInProgress {
            return self.gone(watch).await;
        }
        match self.watched(watch).await? {
            // What somebody else asked for is compared with what is wanted next.
            Watched::Whole(_) if stack.state == StackState::CreateInProgress => self.change = Change::Created,
            Watched::Whole(_) => self.change = Change::Updated,
            Watched::OnceMore => {}
            Watched::Detached(state) => return Ok(Step::Detached(state)),
        }
        Ok(Step::Again)
    }

    /// Waits for the end of making or changing.
    async fn watched(&mut self, mut watch: Watch<'_>) -> Result<Watched, AwsError> {
        let stack = match watch.settled().await? {
            Seen::Detached(state) => return Ok(Watched::Detached(state)),
            Seen::Settled(stack) => stack,
        };
        let stack = match stack {
            Some(stack) if is_done(&stack.state) => return Ok(Watched::Whole(stack)),
            stack => stack,
        };
        let failure = watch.failure(stack.as_ref()).await;
        if self.has_retried || !is_passing(&failure) {
            return Err(StackError::Failed(Box::new(failure)).into());
        }
        self.has_retried = true;
        let reason = failure.cause.map_or_else(|| failure.state.to_string(), |cause| cause.reason);
        self.run.emit(PlaceEvent::Retrying { reason });
        self.run.pause(self.run.pace.settle).await;
        Ok(Watched::OnceMore)
    }

    async fn gone(&self, mut watch: Watch<'_>) -> Result<Step, AwsError> {
        match watch.settled().await? {
            Seen::Detached(state) => Ok(Step::Detached(state)),
            Seen::Settled(_) => Ok(Step::Again),
        }
    }

    /// Removes what an earlier try left.
    async fn clear(&self, stack: &StackView) -> Result<Step, AwsError> {
        if stack.state.is_failed_try() {
            protection::lift(self.session, stack).await?;
        }
        match remove(self.session, stack, self.run).await? {
            Ended::Done(_) => Ok(Step::Again),
            Ended::Detached { state } => Ok(Step::Detached(state)),
        }
    }

    async fn continue_rollback(&self, stack: &StackView) -> Result<Step, AwsError> {
        let mut watch = Watch::prepare(self.session, self.run, stack).await?;
        let call = self.session.cloudformation().continue_update_rollback().stack_name(&stack.id);
        let reply = call.client_request_token(change_set::token()).send().await;
        reply.map_err(|error| refused("finish the rollback", self.session.endpoint(), error))?;
        self.run.emit(PlaceEvent::Began { doing: Doing::RollBack, stack_id: stack.id.clone() });
        match watch.settled().await? {
            Seen::Detached(state) => Ok(Step::Detached(state)),
            Seen::Settled(Some(stack)) if stack.state == StackState::UpdateRollbackFailed => {
                Err(StackError::Failed(Box::new(watch.failure(Some(&stack)).await)).into())
            }
            Seen::Settled(_) => Ok(Step::Again),
        }
    }

    fn applied(&self, stack: &StackView) -> Applied {
        Applied {
            stack_id: stack.id.clone(),
            state: stack.state.clone(),
            change: self.change,
            outputs: stack.outputs.clone(),
            took: source::mono().since(self.began),
        }
    }

    /// A stack that nobody knows how to go on with.
    fn leave_alone(&self, stack: Option<&StackView>) -> AwsError {
        let failure = Failure {
            name: self.wanted.name.clone(),
            stack_id: stack.map_or_else(|| self.wanted.name.clone(), |stack| stack.id.clone()),
            state: stack.map_or(StackState::DeleteComplete, |stack| stack.state.clone()),
            cause: None,
            others: Vec::new(),
            reason: stack.and_then(|stack| stack.reason.clone()),
        };
        StackError::Failed(Box::new(failure)).into()
    }
}

/// Whether CloudFormation refuses because something is in progress: two people at once, or a state read too late. Who
/// changes a stack makes all other change sets of it obsolete, and then they are gone.
fn is_busy(error: &AwsError) -> bool {
    error.refusal().is_some_and(|words| words.contains("_IN_PROGRESS"))
        || OTHERS_WERE_EARLIER.iter().any(|code| error.has_code(code))
}

/// Whether an operation ended as it was meant to.
fn is_done(state: &StackState) -> bool {
    use StackState as S;
    matches!(state, S::CreateComplete | S::UpdateComplete | S::UpdateCleanupInProgress | S::ImportComplete)
}

/// Whether a second try may do.
fn is_passing(failure: &Failure) -> bool {
    let reason = failure.cause.as_ref().map_or("", |cause| cause.reason.as_str());
    PASSING_FAILURES.iter().any(|words| reason.contains(words))
}

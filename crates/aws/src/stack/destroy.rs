//! Removing the stack, whatever state it is in and however much of it is gone already.

use std::time::Duration;

use gimmetime_clock::source;

use crate::error::{AwsError, StackError, refused};
use crate::event::{Doing, PlaceEvent};
use crate::inventory::Item;
use crate::session::Session;
use crate::stack::change_set::token;
use crate::stack::protection;
use crate::stack::sweep::sweep;
use crate::stack::watch::{Seen, Watch};
use crate::stack::{
    Action, Ended, FailedResource, Failure, Goal, PlaceRun, StackState, StackView, Stuck, decide, find, obstacle,
    resources,
};

/// How often a removal is tried: interfaces of tasks and balancers may take some minutes to go.
const MAX_TRIES: usize = 12;
/// Steps that one call takes at most: each try, and what was in progress before it.
const MAX_STEPS: usize = 2 * MAX_TRIES;

/// A stack that is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Whether there was one.
    pub was_there: bool,
    /// How many of its resources were removed.
    pub resources: usize,
    /// How many images had to be removed first.
    pub images: usize,
    /// What had outlived its stack.
    pub swept: Vec<Item>,
    /// How long it took.
    pub took: Duration,
}

/// Removes the stack, whatever state it is in, and waits until it is gone; then what of the place outlived it, now or at an
/// earlier time. Does nothing twice. The service must be gone.
///
/// # Errors
/// `Protected` before anything is touched; `Stuck` with what holds what when it cannot be removed.
pub async fn destroy(session: &Session, name: &str, run: &PlaceRun) -> Result<Ended<Destroyed>, AwsError> {
    let began = source::mono();
    let mut done = match find(session, name).await? {
        None => Destroyed::default(),
        Some(stack) => {
            stack.check_ours()?;
            if stack.state.is_failed_try() {
                protection::lift(session, &stack).await?;
            } else {
                protection::refuse(session, &stack).await?;
            }
            match remove(session, &stack, run).await? {
                Ended::Done(done) => done,
                detached @ Ended::Detached { .. } => return Ok(detached),
            }
        }
    };
    done.swept = sweep(session, name, run).await?;
    Ok(Ended::Done(Destroyed { took: source::mono().since(began), ..done }))
}

/// Removes a stack that may be removed.
pub(super) async fn remove(session: &Session, stack: &StackView, run: &PlaceRun) -> Result<Ended<Destroyed>, AwsError> {
    let mut done = Destroyed { was_there: true, ..Destroyed::default() };
    let mut tries = 0;
    for _ in 0..MAX_STEPS {
        let current = find(session, &stack.id).await?;
        let action = decide(current.as_ref().map(|stack| &stack.state), Goal::Gone);
        let Some(current) = current.filter(|_| action != Action::Nothing) else {
            return Ok(Ended::Done(done));
        };
        let mut watch = match action {
            Action::Attach => {
                run.emit(PlaceEvent::Attached { state: current.state.clone() });
                Watch::attach(session, run, &current)
            }
            Action::Delete => {
                tries += 1;
                delete(session, run, &current).await?
            }
            _ => return Err(unknown(&current)),
        };
        let settled = watch.settled().await?;
        done.resources += watch.removed();
        match settled {
            Seen::Detached(state) => return Ok(Ended::Detached { state }),
            Seen::Settled(Some(left)) if left.state == StackState::DeleteFailed => {
                let failed = failed(session, &watch, &left).await?;
                match clear_the_way(session, run, &failed, tries).await? {
                    Way::Free { images } => done.images += images,
                    Way::Blocked(stuck) => {
                        let stuck = Stuck { name: stack.name.clone(), resources: stuck };
                        return Err(StackError::Stuck(Box::new(stuck)).into());
                    }
                }
                if run.cancel.is_cancelled() {
                    return Ok(Ended::Detached { state: left.state });
                }
            }
            Seen::Settled(_) => {}
        }
    }
    Err(unknown(stack))
}

async fn delete<'a>(session: &'a Session, run: &'a PlaceRun, stack: &StackView) -> Result<Watch<'a>, AwsError> {
    let watch = Watch::prepare(session, run, stack).await?;
    let call = session.cloudformation().delete_stack().stack_name(&stack.id).client_request_token(token());
    let reply = call.send().await.map_err(|error| refused("remove the stack", session.endpoint(), error));
    match reply {
        Err(error) if error.refusal().is_some_and(|words| words.contains("TerminationProtection")) => {
            let what = "termination protection is on".to_owned();
            return Err(StackError::Protected { name: stack.name.clone(), what }.into());
        }
        reply => reply?,
    };
    run.emit(PlaceEvent::Began { doing: Doing::Delete, stack_id: stack.id.clone() });
    Ok(watch)
}

/// What could not be removed: from the events, or, where those are not of this removal, from the resources themselves.
async fn failed(session: &Session, watch: &Watch<'_>, stack: &StackView) -> Result<Vec<FailedResource>, AwsError> {
    if !watch.failed().is_empty() {
        return Ok(watch.failed().to_vec());
    }
    let all = resources::list(session, &stack.id).await?;
    let failed = all.into_iter().filter(|resource| resource.status == "DELETE_FAILED");
    Ok(failed
        .map(|resource| FailedResource {
            logical_id: resource.logical_id,
            kind: resource.kind,
            physical_id: resource.physical_id,
            reason: resource.reason.or_else(|| stack.reason.clone()).unwrap_or_default(),
        })
        .collect())
}

enum Way {
    Free { images: usize },
    Blocked(Vec<crate::stack::StuckResource>),
}

/// Empties what blocks, and waits where something goes by itself.
async fn clear_the_way(
    session: &Session,
    run: &PlaceRun,
    failed: &[FailedResource],
    tries: usize,
) -> Result<Way, AwsError> {
    let (mut stuck, mut images, mut is_worth_a_try) = (Vec::new(), 0, true);
    for one in failed {
        let looked = obstacle::look(session, run, one).await?;
        images += looked.images;
        is_worth_a_try &= looked.is_worth_a_try;
        stuck.push(looked.stuck);
    }
    if !is_worth_a_try || MAX_TRIES <= tries {
        return Ok(Way::Blocked(stuck));
    }
    let reason = failed.first().map_or("it could not be removed", |first| first.reason.as_str());
    run.emit(PlaceEvent::Retrying { reason: reason.to_owned() });
    run.pause(run.pace.settle).await;
    Ok(Way::Free { images })
}

/// A stack that nobody knows how to remove.
fn unknown(stack: &StackView) -> AwsError {
    let failure = Failure {
        name: stack.name.clone(),
        stack_id: stack.id.clone(),
        state: stack.state.clone(),
        cause: None,
        others: Vec::new(),
        reason: stack.reason.clone(),
    };
    StackError::Failed(Box::new(failure)).into()
}

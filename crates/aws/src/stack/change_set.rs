//! A change set: what CloudFormation would change, asked before it is allowed to.

use aws_sdk_cloudformation::types::{
    self, Capability, Change, ChangeAction, ChangeSetStatus, ChangeSetType, ResourceAttribute, ResourceChange, Tag,
    TemplateStage,
};
use gimmetime_clock::source;

use crate::error::{AwsError, refused};
use crate::session::Session;
use crate::stack::{PlaceRun, PlannedAction, PlannedChange, Replacement, StackState, StackView, Wanted};

/// What CloudFormation says of a change set that would change nothing.
const NOTHING: [&str; 3] = ["didn't contain changes", "did not contain changes", "No updates are to be performed"];
/// Pages of changes that are read at most; a stack has at most 500 resources.
const MAX_PAGES: usize = 50;

/// What was made, and what it would change.
#[derive(Debug)]
pub(super) struct ChangeSet {
    /// None where nothing had to be asked.
    id: Option<Id>,
    pub(super) changes: Vec<PlannedChange>,
    /// Whether there is anything to execute.
    pub(super) is_empty: bool,
}

/// Which one: IAM compares the stack, which the ARN of a change set does not tell.
#[derive(Debug, Clone)]
struct Id {
    arn: String,
    stack_id: String,
}

impl ChangeSet {
    /// Makes one for a stack that is there, and waits until CloudFormation knows what it means.
    ///
    /// A stack that was last given this very text and these tags is asked no further: there are no parameters by which
    /// it could differ, and a change set takes many seconds to say the same.
    pub(super) async fn make(
        session: &Session,
        stack: &StackView,
        wanted: &Wanted,
        run: &PlaceRun,
    ) -> Result<Self, AwsError> {
        const DOING: &str = "ask what would change";
        if is_as_wanted(session, stack, wanted).await {
            return Ok(Self { id: None, changes: Vec::new(), is_empty: true });
        }
        let call = session
            .cloudformation()
            .create_change_set()
            .stack_name(&stack.id)
            .change_set_name(token())
            .change_set_type(ChangeSetType::Update)
            .template_body(&wanted.template)
            .set_tags(Some(tags(wanted, Some(stack))))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam);
        let reply = call.send().await.map_err(|error| refused(DOING, session.endpoint(), error))?;
        let missing = || AwsError::Incomplete { doing: DOING.to_owned(), missing: "the change set's id".to_owned() };
        let id = Id { arn: reply.id().ok_or_else(missing)?.to_owned(), stack_id: stack.id.clone() };
        let made = Self::wait(session, &id, run).await;
        if made.is_err() {
            // What cannot be used should not stay; why it cannot is the news.
            let _ = delete(session, &id).await;
        }
        made
    }

    async fn wait(session: &Session, id: &Id, run: &PlaceRun) -> Result<Self, AwsError> {
        const DOING: &str = "read what would change";
        let began = source::mono();
        let mut unanswered = false;
        // Who detached beforehand still wants the change to begin.
        let is_detached = run.cancel.is_cancelled();
        loop {
            match read(session, id, None).await {
                Err(error) if error.is_passing() && source::mono().since(began) < run.pace.patience => {
                    if !unanswered {
                        run.emit(crate::event::PlaceEvent::Unanswered { reason: error.to_string() });
                    }
                    unanswered = true;
                }
                Err(error) => return Err(error),
                Ok(page) => match page.status {
                    ChangeSetStatus::CreateComplete => return Self::whole(session, id, page).await,
                    ChangeSetStatus::Failed if NOTHING.iter().any(|words| page.reason.contains(words)) => {
                        return Ok(Self { id: Some(id.clone()), changes: Vec::new(), is_empty: true });
                    }
                    ChangeSetStatus::CreatePending | ChangeSetStatus::CreateInProgress => {}
                    other => {
                        let (doing, code) = (DOING.to_owned(), format!("change set {}", other.as_str()));
                        return Err(AwsError::Refused { doing, code, message: page.reason });
                    }
                },
            }
            if (run.cancel.is_cancelled() && !is_detached) || run.pace.patience <= source::mono().since(began) {
                return Err(AwsError::Interrupted { doing: DOING.to_owned() });
            }
            if is_detached {
                tokio::time::sleep(run.pace.poll).await;
            } else {
                run.pause(run.pace.poll).await;
            }
        }
    }

    async fn whole(session: &Session, id: &Id, mut page: Page) -> Result<Self, AwsError> {
        let mut changes = Vec::new();
        for _ in 0..MAX_PAGES {
            changes.extend(page.changes.iter().filter_map(Change::resource_change).map(planned));
            let Some(token) = page.next else { break };
            page = read(session, id, Some(token)).await?;
        }
        Ok(Self { id: Some(id.clone()), is_empty: false, changes })
    }

    /// Lets it happen.
    pub(super) async fn execute(&self, session: &Session) -> Result<(), AwsError> {
        let Some(id) = &self.id else { return Ok(()) };
        let call = session.cloudformation().execute_change_set().change_set_name(&id.arn).stack_name(&id.stack_id);
        let reply = call.client_request_token(token()).send().await;
        reply.map_err(|error| refused("change the stack", session.endpoint(), error))?;
        Ok(())
    }

    /// Forgets it.
    pub(super) async fn delete(&self, session: &Session) -> Result<(), AwsError> {
        let Some(id) = &self.id else { return Ok(()) };
        delete(session, id).await
    }
}

/// Whether the stack's last change succeeded (what it replaced may still be on its way out) and had this text and these tags. What cannot be told is taken for no: the
/// change set tells.
pub(super) async fn is_as_wanted(session: &Session, stack: &StackView, wanted: &Wanted) -> bool {
    use StackState as S;
    let has_succeeded = matches!(stack.state, S::CreateComplete | S::UpdateComplete | S::UpdateCleanupInProgress);
    if !has_succeeded || stack.tags != wanted.all_tags(Some(stack)) {
        return false;
    }
    let call = session.cloudformation().get_template().stack_name(&stack.id);
    let reply = call.template_stage(TemplateStage::Original).send().await;
    reply.is_ok_and(|reply| reply.template_body() == Some(wanted.template.as_str()))
}

async fn delete(session: &Session, id: &Id) -> Result<(), AwsError> {
    let call = session.cloudformation().delete_change_set().change_set_name(&id.arn).stack_name(&id.stack_id);
    call.send().await.map_err(|error| refused("delete the change set", session.endpoint(), error))?;
    Ok(())
}

struct Page {
    status: ChangeSetStatus,
    reason: String,
    changes: Vec<Change>,
    next: Option<String>,
}

async fn read(session: &Session, id: &Id, token: Option<String>) -> Result<Page, AwsError> {
    let call = session.cloudformation().describe_change_set().change_set_name(&id.arn).stack_name(&id.stack_id);
    let reply = call
        .set_next_token(token)
        .send()
        .await
        .map_err(|error| refused("read what would change", session.endpoint(), error))?;
    Ok(Page {
        status: reply.status.unwrap_or(ChangeSetStatus::CreatePending),
        reason: reply.status_reason.unwrap_or_default(),
        changes: reply.changes.unwrap_or_default(),
        next: reply.next_token,
    })
}

/// A name for one request, so that CloudFormation takes a repeated one for the same.
pub(super) fn token() -> String {
    format!("gimmetime-{:x}", source::wall().as_nanos())
}

/// All tags of the stack as the SDK takes them.
pub(super) fn tags(wanted: &Wanted, current: Option<&StackView>) -> Vec<Tag> {
    let tag = |(key, value): (String, String)| Tag::builder().key(key).value(value).build();
    wanted.all_tags(current).into_iter().map(tag).collect()
}

fn planned(change: &ResourceChange) -> PlannedChange {
    let mut properties: Vec<String> = Vec::new();
    for target in change.details().iter().filter_map(|detail| detail.target()) {
        let name = target.name().or(target.attribute().map(ResourceAttribute::as_str));
        properties.extend(name.filter(|name| !name.is_empty()).map(str::to_owned));
    }
    properties.sort();
    properties.dedup();
    PlannedChange {
        action: match change.action().map(ChangeAction::as_str) {
            Some("Add") => PlannedAction::Add,
            Some("Modify") => PlannedAction::Modify,
            Some("Remove") => PlannedAction::Remove,
            _ => PlannedAction::Other,
        },
        logical_id: change.logical_resource_id().unwrap_or_default().to_owned(),
        kind: change.resource_type().unwrap_or_default().to_owned(),
        physical_id: change.physical_resource_id().filter(|id| !id.is_empty()).map(str::to_owned),
        replacement: match change.replacement().map(types::Replacement::as_str) {
            Some("True") => Replacement::Yes,
            Some("Conditional") => Replacement::Maybe,
            _ => Replacement::No,
        },
        properties,
    }
}

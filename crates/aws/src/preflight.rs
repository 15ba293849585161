//! What stands in the way, told before anything is touched: facts are gathered, then judged without asking anybody.

mod facts;
mod network;

use crate::error::AwsError;
use crate::session::{Identity, Session};
use crate::spec::{Network, PlaceSpec};
use crate::stack::{Action, Goal, StackState, StackView, decide};
use facts::{Facts, Quota};

/// The stack of the scripts that this program came from. It is told of, and never touched.
const OLD_STACK: &str = "engage-infra";
/// Resource policies that CloudWatch Logs has at most in an account and region; AWS raises it for nobody.
const MOST_LOG_POLICIES: usize = 10;

/// What was found before anything is touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preflight {
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// The stack as it is.
    pub stack: Option<StackView>,
    /// What `up` would do with it.
    pub action: Action,
}

impl Preflight {
    /// What keeps `up` from going on; `is_forced` is the user's `--yes`.
    pub fn in_the_way(&self, is_forced: bool) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| match finding.severity {
            Severity::Refusal => true,
            Severity::Consent => !is_forced,
            Severity::Warning | Severity::Unknown => false,
        })
    }
}

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is.
    pub words: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `up` must not go on.
    Refusal,
    /// `up` goes on only if the user insists.
    Consent,
    /// It is likely to fail, or will surprise.
    Warning,
    /// It could not be told.
    Unknown,
}

/// Looks at everything that could stand in the way. Changes nothing.
pub async fn preflight(session: &Session, spec: &PlaceSpec) -> Result<Preflight, AwsError> {
    let facts = facts::gather(session, spec).await?;
    let mut findings = judge(&facts, spec, session.identity());
    findings.sort();
    let action = decide(facts.stack.as_ref().map(|stack| &stack.state), Goal::There);
    Ok(Preflight { findings, stack: facts.stack, action })
}

fn finding(severity: Severity, words: impl Into<String>) -> Finding {
    Finding { severity, words: words.into(), hint: None }
}

impl Finding {
    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the facts mean: pure.
fn judge(facts: &Facts, spec: &PlaceSpec, who: &Identity) -> Vec<Finding> {
    let mut found = Vec::new();
    match &facts.stack {
        Some(stack) => found.extend(stack_findings(stack, who)),
        None => found.extend(leftovers(facts)),
    }
    if facts.has_old_stack && spec.name != OLD_STACK {
        let words = format!("the stack `{OLD_STACK}` of the old scripts is here; it is left alone");
        found.push(finding(Severity::Warning, words).hint("remove it by hand once nothing needs it"));
    }
    found.extend(facts.quotas.iter().filter_map(|quota| short_of(quota, spec)));
    if MOST_LOG_POLICIES <= facts.log_policies {
        let words = format!("CloudWatch Logs has {} resource policies here, and takes no more", facts.log_policies);
        let hint = "set `events = false` under `logs`, or remove one: aws logs describe-resource-policies";
        found.push(finding(Severity::Warning, words).hint(hint));
    }
    match &spec.network {
        Network::Made { zones, .. } => found.extend(zones_finding(facts, *zones)),
        Network::Yours { .. } => found.extend(facts.yours.as_ref().map_or_else(Vec::new, |yours| yours.judge(spec))),
    }
    for (arn, exists) in &facts.roles {
        if *exists == Some(false) {
            found.push(finding(Severity::Refusal, format!("the role {arn} does not exist")).hint("correct `roles`"));
        }
    }
    for what in &facts.unknown {
        found.push(finding(Severity::Unknown, format!("could not tell {what}")));
    }
    found
}

fn stack_findings(stack: &StackView, who: &Identity) -> Vec<Finding> {
    if let Err(error) = stack.check_ours() {
        let words = error.to_string();
        let (words, hint) = words.split_once("\nhint: ").unwrap_or((&words, "choose another --name"));
        return vec![finding(Severity::Refusal, words).hint(hint)];
    }
    let mut found = Vec::new();
    if let Some(owner) = stack.owner().filter(|owner| *owner != who.owner) {
        let words = format!("`{}` was made by {owner}, not by {}", stack.name, who.owner);
        found.push(
            finding(Severity::Consent, words).hint("pass --yes to change it nevertheless, or choose another --name"),
        );
    }
    let state = &stack.state;
    match decide(Some(state), Goal::There) {
        Action::Attach => {
            found.push(finding(Severity::Warning, format!("somebody changes it right now ({state}): this attaches")));
        }
        Action::DeleteAndCreate if *state == StackState::ReviewInProgress => {
            found.push(finding(
                Severity::Warning,
                format!("a plan that was never applied left an empty stack ({state}): it is removed first"),
            ));
        }
        Action::DeleteAndCreate => {
            found.push(finding(
                Severity::Warning,
                format!("an earlier try left it in {state}: what is left is removed first"),
            ));
        }
        Action::ContinueRollback => {
            found.push(finding(
                Severity::Warning,
                format!("an earlier change is stuck ({state}): its rollback is finished first"),
            ));
        }
        Action::Refuse => {
            let words = format!("nothing is known about a stack in {state}");
            found.push(finding(Severity::Refusal, words).hint("update gimmetime, or mend the stack by hand"));
        }
        Action::Create | Action::Update | Action::Delete | Action::Nothing => {}
    }
    found
}

/// What an earlier try, or a removal by hand, left behind.
fn leftovers(facts: &Facts) -> Vec<Finding> {
    let finding = |item: &crate::inventory::Item| match item.kind {
        // Not of the template: ECS makes it when it must, and takes one that is there.
        "log group" if item.id.starts_with("/aws/ecs/") => {
            finding(Severity::Warning, format!("an earlier cluster left the log group {}", item.id))
        }
        // Their names are fixed: CloudFormation would stop at them.
        "cluster" | "repository" | "log group" | "policy of logs" => {
            let command = match item.kind {
                "cluster" => format!("aws ecs delete-cluster --cluster {}", item.id),
                "repository" => format!("aws ecr delete-repository --force --repository-name {}", item.id),
                "log group" => format!("aws logs delete-log-group --log-group-name {}", item.id),
                _ => format!("aws logs delete-resource-policy --policy-name {}", item.id),
            };
            finding(
                Severity::Refusal,
                format!("the {} {} exists already, outside any stack of ours", item.kind, item.id),
            )
            .hint(format!("gimmetime down, if a place of ours left it; else {command}, or choose another --name"))
        }
        kind => finding(Severity::Warning, format!("an earlier try left the {kind} {}", item.id)),
    };
    facts.leftovers.iter().map(finding).collect()
}

/// Whether a quota is too small.
fn short_of(quota: &Quota, spec: &PlaceSpec) -> Option<Finding> {
    let limit = quota.limit;
    let needed = quota.used.unwrap_or_default() + quota.needed;
    if needed <= limit {
        return None;
    }
    let used = quota.used.map_or_else(String::new, |used| format!(", {used} are used"));
    let words =
        format!("quota {} ({}): the limit is {limit}{used}, {} more are needed", quota.code, quota.words, quota.needed);
    let hint = format!(
        "aws service-quotas request-service-quota-increase --service-code {} --quota-code {} --desired-value {needed} --region {}",
        quota.service, quota.code, spec.region
    );
    Some(finding(Severity::Warning, words).hint(hint))
}

fn zones_finding(facts: &Facts, wanted: u8) -> Option<Finding> {
    let zones = facts.zones.as_ref()?;
    (zones.len() < usize::from(wanted)).then(|| {
        finding(
            Severity::Refusal,
            format!("the region has {} zones ({}), {wanted} are wanted", zones.len(), zones.join(", ")),
        )
        .hint(format!("set `zones = {}` under `network`", zones.len()))
    })
}

#[cfg(test)]
mod tests;

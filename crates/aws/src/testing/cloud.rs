//! CloudFormation for tests: one stack whose operations take the courses that a test gives them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use crate::testing::{Asked, Reply, refuse, xml};

/// The ARN of the one stack.
pub(crate) const STACK_ID: &str = "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/0a1b";

/// An event: logical id, type, status, reason.
pub(crate) type Happens = (&'static str, &'static str, &'static str, &'static str);

/// One look at a stack: the state it is in by then, and what happened since the look before.
#[derive(Debug, Clone)]
pub(crate) struct Look {
    pub(crate) state: &'static str,
    pub(crate) events: Vec<Happens>,
}

/// A look.
pub(crate) fn look(state: &'static str, events: &[Happens]) -> Look {
    Look { state, events: events.to_vec() }
}

/// An event of the stack itself.
pub(crate) fn stack_event(status: &'static str) -> Happens {
    ("web", "AWS::CloudFormation::Stack", status, "")
}

/// The stack.
#[derive(Debug, Default)]
pub(crate) struct Cloud {
    /// Empty: there is no stack.
    pub(crate) state: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) is_protected: bool,
    /// What the next operation of this action leads to.
    pub(crate) courses: Vec<(&'static str, Vec<Look>)>,
    /// XML of the next change sets' changes, a page each; an empty list has no changes.
    pub(crate) change_sets: VecDeque<Vec<String>>,
    /// XML of the members of `StackResourceSummaries`.
    pub(crate) resources: String,
    /// Events on one page.
    pub(crate) page: usize,
    ahead: VecDeque<Look>,
    past: Vec<Happens>,
}

/// A stack in this state, made by alice.
pub(crate) fn stack(state: &str) -> Cloud {
    let tags = [("gimmetime:name", "web"), ("gimmetime:owner", "alice"), ("gimmetime:place", "1")];
    Cloud {
        state: state.to_owned(),
        tags: tags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        page: 100,
        past: vec![stack_event("CREATE_IN_PROGRESS"), stack_event("CREATE_COMPLETE")],
        ..Cloud::default()
    }
}

/// No stack.
pub(crate) fn nothing() -> Cloud {
    Cloud { past: Vec::new(), ..stack("") }
}

impl Cloud {
    /// The next operation of this action leads to this.
    pub(crate) fn then(mut self, action: &'static str, course: Vec<Look>) -> Self {
        self.courses.push((action, course));
        self
    }

    /// What is in progress already.
    pub(crate) fn underway(mut self, course: Vec<Look>) -> Self {
        self.ahead = course.into();
        self
    }

    /// What happened in an earlier operation.
    pub(crate) fn before(mut self, events: &[Happens]) -> Self {
        self.past.extend(events);
        self
    }

    /// The next change set has these pages of changes.
    pub(crate) fn changes(mut self, pages: &[&str]) -> Self {
        self.change_sets.push_back(pages.iter().map(|page| (*page).to_owned()).collect());
        self
    }

    /// An answer for [`crate::testing::Aws::start`]; what is not CloudFormation's goes to `other`.
    pub(crate) fn serve(
        self,
        mut other: impl FnMut(&Asked) -> Option<Reply> + Send + 'static,
    ) -> impl FnMut(&Asked) -> Reply + Send + 'static {
        let cloud = Arc::new(Mutex::new(self));
        move |asked| {
            if let Some(reply) = other(asked) {
                return reply;
            }
            match asked.service.as_str() {
                "cloudformation" => cloud.lock().unwrap().answer(asked),
                // The service-linked roles are there.
                "iam" if asked.action == "GetRole" => xml("GetRole", "<Role><RoleName>x</RoleName></Role>"),
                service => refuse(service, "NotInTheScript", &asked.action),
            }
        }
    }

    fn answer(&mut self, asked: &Asked) -> Reply {
        let action = asked.action.as_str();
        if let Some(at) = self.courses.iter().position(|(of, _)| *of == action) {
            self.ahead = self.courses.remove(at).1.into();
            if action == "CreateStack" || self.state.is_empty() {
                self.past.clear();
            }
        }
        match action {
            "DescribeStacks" => self.describe(asked),
            "DescribeStackEvents" => self.events(asked),
            "CreateStack" => xml(action, &format!("<StackId>{STACK_ID}</StackId>")),
            "CreateChangeSet" => xml(action, "<Id>arn:change-set</Id>"),
            "DescribeChangeSet" => self.change_set(asked),
            "ListStackResources" => {
                xml(action, &format!("<StackResourceSummaries>{}</StackResourceSummaries>", self.resources))
            }
            "UpdateTerminationProtection" => {
                self.is_protected = asked.parameter("EnableTerminationProtection").as_deref() == Some("true");
                xml(action, "")
            }
            "DeleteStack" if self.is_protected => {
                refuse("cloudformation", "ValidationError", "cannot be deleted while TerminationProtection is enabled")
            }
            "DescribeEvents" => xml(action, "<OperationEvents/>"),
            "DeleteStack" | "ExecuteChangeSet" | "ContinueUpdateRollback" | "DeleteChangeSet" => xml(action, ""),
            _ => refuse("cloudformation", "NotInTheScript", action),
        }
    }

    fn describe(&mut self, asked: &Asked) -> Reply {
        let name = asked.parameter("StackName").unwrap_or_default();
        if name == "engage-infra" {
            return refuse("cloudformation", "ValidationError", "Stack with id engage-infra does not exist");
        }
        if let Some(next) = self.ahead.pop_front() {
            next.state.clone_into(&mut self.state);
            self.past.extend(next.events);
        }
        if self.state.is_empty() || (self.state == "DELETE_COMPLETE" && !name.starts_with("arn:")) {
            return refuse("cloudformation", "ValidationError", &format!("Stack with id {name} does not exist"));
        }
        let tags: Vec<String> = self
            .tags
            .iter()
            .map(|(key, value)| format!("<member><Key>{key}</Key><Value>{value}</Value></member>"))
            .collect();
        let stack = format!(
            "<Stacks><member><StackId>{STACK_ID}</StackId><StackName>web</StackName><StackStatus>{}</StackStatus>\
             <CreationTime>2026-11-26T10:00:00Z</CreationTime><Tags>{}</Tags>\
             <EnableTerminationProtection>{}</EnableTerminationProtection><Outputs><member><OutputKey>Cluster</OutputKey>\
             <OutputValue>web</OutputValue></member></Outputs></member></Stacks>",
            self.state,
            tags.concat(),
            self.is_protected
        );
        xml("DescribeStacks", &stack)
    }

    fn events(&self, asked: &Asked) -> Reply {
        let begin: usize = asked.parameter("NextToken").map_or(0, |token| token.parse().unwrap());
        let newest_first = self.past.iter().enumerate().rev();
        let members: Vec<String> = newest_first
            .skip(begin)
            .take(self.page)
            .map(|(n, (logical, kind, status, reason))| {
                let physical = if *logical == "web" { STACK_ID } else { "physical-id" };
                format!(
                    "<member><EventId>event-{n}</EventId><StackId>{STACK_ID}</StackId><StackName>web</StackName>\
                     <LogicalResourceId>{logical}</LogicalResourceId><PhysicalResourceId>{physical}</PhysicalResourceId>\
                     <ResourceType>{kind}</ResourceType><ResourceStatus>{status}</ResourceStatus>\
                     <ResourceStatusReason>{reason}</ResourceStatusReason><Timestamp>2026-11-26T10:00:00Z</Timestamp></member>"
                )
            })
            .collect();
        let next = begin + self.page;
        let token = if next < self.past.len() { format!("<NextToken>{next}</NextToken>") } else { String::new() };
        xml("DescribeStackEvents", &format!("<StackEvents>{}</StackEvents>{token}", members.concat()))
    }

    fn change_set(&mut self, asked: &Asked) -> Reply {
        let page: usize = asked.parameter("NextToken").map_or(0, |token| token.parse().unwrap());
        let pages = self.change_sets.front().cloned().unwrap_or_default();
        let Some(changes) = pages.get(page) else {
            let reason = "The submitted information didn't contain changes. Submit different information.";
            return xml(
                "DescribeChangeSet",
                &format!("<Status>FAILED</Status><StatusReason>{reason}</StatusReason><Changes/>"),
            );
        };
        let token = match pages.len() {
            n if page + 1 < n => format!("<NextToken>{}</NextToken>", page + 1),
            _ => {
                self.change_sets.pop_front();
                String::new()
            }
        };
        xml("DescribeChangeSet", &format!("<Status>CREATE_COMPLETE</Status><Changes>{changes}</Changes>{token}"))
    }
}

/// XML of one change.
pub(crate) fn change(action: &str, logical_id: &str, kind: &str, replacement: &str) -> String {
    format!(
        "<member><Type>Resource</Type><ResourceChange><Action>{action}</Action><LogicalResourceId>{logical_id}</LogicalResourceId>\
         <PhysicalResourceId>physical-id</PhysicalResourceId><ResourceType>{kind}</ResourceType>\
         <Replacement>{replacement}</Replacement><Details><member><Target><Attribute>Properties</Attribute>\
         <Name>Description</Name></Target></member></Details></ResourceChange></member>"
    )
}

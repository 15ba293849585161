//! A denied action: which one, on what, and the statement that would allow it.

use std::fmt;

/// An action that the caller may not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    /// What was attempted; completes "not allowed to …".
    pub doing: String,
    /// Such as `cloudformation:CreateStack`; None when AWS did not name it.
    pub action: Option<String>,
    /// The ARN it was attempted on; None when AWS did not name it.
    pub resource: Option<String>,
    /// Whether something forbids it expressly: then no added statement helps.
    pub is_explicit: bool,
    /// AWS's words.
    pub message: String,
}

/// What EC2 puts behind its words: the whole request, encoded for administrators.
const ENCODED: &str = "Encoded authorization failure message";
/// Before the action in AWS's words, and before the resource.
const BEFORE_ACTION: &str = "not authorized to perform: ";
const BEFORE_RESOURCE: &str = "on resource: ";

impl Denied {
    /// Reads AWS's words: `User: … is not authorized to perform: X on resource: Y because …`.
    pub fn read(doing: &str, message: &str) -> Self {
        let message = readable(message);
        Self {
            doing: doing.to_owned(),
            action: word_after(message, BEFORE_ACTION).filter(|word| word.contains(':')),
            resource: word_after(message, BEFORE_RESOURCE).filter(|word| word.starts_with("arn:")),
            is_explicit: message.contains("explicit deny"),
            message: message.to_owned(),
        }
    }

    /// Whether these words tell of a denied action: other errors quote them, such as a stack's events.
    pub fn is_told_by(message: &str) -> bool {
        message.contains(BEFORE_ACTION)
    }

    /// The statement that would allow it, as it stands in a policy; None when AWS did not name the action.
    pub fn statement(&self) -> Option<String> {
        let action = self.action.as_deref()?;
        let resource = self.resource.as_deref().unwrap_or("*");
        Some(serde_json::json!({"Effect": "Allow", "Action": action, "Resource": resource}).to_string())
    }
}

/// What of AWS's words is for people.
pub(crate) fn readable(words: &str) -> &str {
    words.split(ENCODED).next().unwrap_or_default().trim_end()
}

/// The word behind a marker, without the punctuation that ends a sentence.
fn word_after(message: &str, marker: &str) -> Option<String> {
    let rest = &message[message.find(marker)? + marker.len()..];
    let word = rest.split(char::is_whitespace).next()?.trim_matches(['"', '\'', ',', ';', ')']).trim_end_matches('.');
    (!word.is_empty()).then(|| word.to_owned())
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not allowed to {}", self.doing)?;
        let Some(action) = &self.action else {
            return write!(f, ": {}\nhint: gimmetime iam up prints the policy that is needed", self.message);
        };
        write!(f, ": {action}")?;
        if let Some(resource) = &self.resource {
            write!(f, " on {resource}")?;
        }
        match self.statement().filter(|_| !self.is_explicit) {
            Some(statement) => write!(f, " is missing\nhint: add this statement to your policy: {statement}"),
            None => write!(f, " is forbidden: {}\nhint: whoever wrote that deny must lift it", self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_action_and_the_resource_are_named_and_the_statement_can_be_pasted() {
        let denied = Denied::read(
            "create the stack",
            "User: arn:aws:iam::123456789012:user/alice is not authorized to perform: cloudformation:CreateStack on \
             resource: arn:aws:cloudformation:eu-west-1:123456789012:stack/web/* because no identity-based policy \
             allows the cloudformation:CreateStack action",
        );
        assert_eq!(denied.action.as_deref(), Some("cloudformation:CreateStack"));
        let text = denied.to_string();
        let statement = text.rsplit_once("policy: ").unwrap().1;
        let statement: serde_json::Value = serde_json::from_str(statement).unwrap();
        assert_eq!(statement["Resource"], "arn:aws:cloudformation:eu-west-1:123456789012:stack/web/*");
        assert!(text.starts_with("not allowed to create the stack: cloudformation:CreateStack on arn:"), "{text}");
    }

    #[test]
    fn ec2_names_no_resource_and_ends_with_a_full_stop() {
        let denied = Denied::read(
            "look at VPCs",
            "You are not authorized to perform this operation. User: arn:aws:sts::1:assumed-role/ci/x is not \
             authorized to perform: ec2:DescribeVpcs. Encoded authorization failure message: 4rSXuL0qDm",
        );
        assert!(denied.message.ends_with("ec2:DescribeVpcs."), "{}", denied.message);
        assert_eq!((denied.action.as_deref(), denied.resource.as_deref()), (Some("ec2:DescribeVpcs"), None));
        assert!(denied.statement().unwrap().contains(r#""Resource":"*""#));
    }

    #[test]
    fn an_explicit_deny_is_not_answered_with_a_statement() {
        let denied = Denied::read(
            "create the stack",
            "User: x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::1:role/y with an explicit \
             deny in a service control policy",
        );
        assert!(!denied.to_string().contains("add this statement"));
    }

    #[test]
    fn words_without_an_action_are_passed_on() {
        let denied = Denied::read("list stacks", "Access Denied");
        assert_eq!(denied.statement(), None);
        assert!(denied.to_string().contains("Access Denied\nhint: gimmetime iam up"));
    }

    #[test]
    fn markers_without_words_name_nothing() {
        for words in ["", "not authorized to perform: ", "not authorized to perform:  on resource: ", "é perform: ü"]
        {
            assert_eq!(Denied::read("x", words).action, None);
        }
    }

    proptest! {
        #[test]
        fn any_words_are_survived_and_a_statement_is_always_json(before in ".*", action in ".*", resource in ".*") {
            let words = format!("{before}{BEFORE_ACTION}{action} {BEFORE_RESOURCE}{resource}");
            let statement = Denied::read("x", &words).statement();
            prop_assert!(statement.is_none_or(|it| serde_json::from_str::<serde_json::Value>(&it).is_ok()));
        }
    }
}

//! Policy documents: statements as JSON, within IAM's limit.

use std::collections::BTreeMap;

use serde::Serialize;

/// Characters of a managed policy, white space not counted (IAM's quota).
pub(super) const LIMIT: usize = 6144;

/// Operator, key, values.
pub(super) type Condition = BTreeMap<&'static str, BTreeMap<String, Vec<String>>>;

/// One statement, in the order in which people write it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    pub(super) sid: String,
    pub(super) effect: &'static str,
    pub(super) action: Vec<&'static str>,
    pub(super) resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) condition: Option<Condition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: &'a [Statement],
}

impl<'a> From<&'a [Statement]> for Document<'a> {
    fn from(statement: &'a [Statement]) -> Self {
        Self { version: "2012-10-17", statement }
    }
}

/// A policy document as people read it.
pub(super) fn render(statements: &[Statement]) -> String {
    serde_json::to_string_pretty(&Document::from(statements)).expect("plain values serialise")
}

/// The statements alone, as lines of JSON, which YAML takes as they are: a list of them.
pub(super) fn render_statements(statements: &[Statement]) -> Vec<String> {
    let text = serde_json::to_string_pretty(statements).expect("plain values serialise");
    text.lines().map(str::to_owned).collect()
}

/// As few documents as take all statements in their order, each within the limit.
pub(super) fn pack(statements: Vec<Statement>) -> Vec<Vec<Statement>> {
    let mut documents: Vec<Vec<Statement>> = vec![Vec::new()];
    for statement in statements {
        let last = documents.last_mut().expect("there is always one");
        last.push(statement);
        if size(last) > LIMIT && last.len() > 1 {
            let statement = last.pop().expect("one was just put there");
            documents.push(vec![statement]);
        }
    }
    documents
}

/// Characters that IAM counts.
pub(super) fn size(statements: &[Statement]) -> usize {
    render(statements).chars().filter(|c| !c.is_whitespace()).count()
}

//! The Query protocol's input: a form, unfolded into the JSON shape.
//!
//! `Targets.member.1.Id=a` becomes `{"Targets": [{"Id": "a"}]}`; every leaf stays a string. Bounded in pairs and depth.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::ApiError;

/// Most pairs in a form.
const PAIRS_LIMIT: usize = 1000;
/// Most dots in a name, and a little.
const DEPTH_LIMIT: usize = 10;

/// A form's pairs, decoded (`application/x-www-form-urlencoded`).
pub(crate) fn decode_form(body: &[u8]) -> Result<Vec<(String, String)>, ApiError> {
    let pieces = body.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
    let pairs: Vec<_> = pieces.take(PAIRS_LIMIT + 1).map(decode_pair).collect::<Result<_, _>>()?;
    if PAIRS_LIMIT < pairs.len() {
        return Err(malformed(&format!("more than {PAIRS_LIMIT} parameters")));
    }
    Ok(pairs)
}

fn decode_pair(piece: &[u8]) -> Result<(String, String), ApiError> {
    let at = piece.iter().position(|byte| *byte == b'=').unwrap_or(piece.len());
    let value = piece.get(at + 1..).unwrap_or_default();
    Ok((decode_text(&piece[..at])?, decode_text(value)?))
}

fn decode_text(encoded: &[u8]) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = tail.get(..2).and_then(|pair| std::str::from_utf8(pair).ok());
                let byte = digits.filter(|pair| pair.bytes().all(|digit| digit.is_ascii_hexdigit()));
                let byte = byte.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                bytes.push(byte.ok_or_else(|| malformed("`%` without two hex digits"))?);
                rest = &tail[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).map_err(|_| malformed("text that is not UTF-8"))
}

/// What a form's names spell out: structures at dots, lists at `member`.
pub(crate) fn unfold(pairs: Vec<(String, String)>) -> Result<Value, ApiError> {
    let mut root = BTreeMap::new();
    for (name, value) in pairs {
        insert(&mut root, &name, value)?;
    }
    root.into_iter()
        .map(|(name, node)| Ok((name, node.into_value()?)))
        .collect::<Result<Map<_, _>, _>>()
        .map(Value::from)
}

enum Node {
    Leaf(String),
    Branch(BTreeMap<String, Node>),
}

fn insert(root: &mut BTreeMap<String, Node>, name: &str, value: String) -> Result<(), ApiError> {
    let steps: Vec<&str> = name.split('.').collect();
    if DEPTH_LIMIT < steps.len() || steps.iter().any(|step| step.is_empty()) {
        return Err(malformed(&format!("the parameter name `{name}`")));
    }
    let (last, path) = steps.split_last().expect("split yields at least one piece");
    let mut branch = root;
    for step in path {
        match branch.entry((*step).to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new())) {
            Node::Branch(next) => branch = next,
            Node::Leaf(_) => return Err(malformed(&format!("`{name}` next to a value of its parent"))),
        }
    }
    match branch.insert((*last).to_owned(), Node::Leaf(value)) {
        None => Ok(()),
        Some(_) => Err(malformed(&format!("`{name}` given twice"))),
    }
}

impl Node {
    fn into_value(self) -> Result<Value, ApiError> {
        let mut members = match self {
            Self::Leaf(text) => return Ok(Value::String(text)),
            Self::Branch(members) => members,
        };
        match (members.len(), members.remove("member")) {
            (1, Some(Self::Branch(items))) => into_list(items),
            (_, Some(_)) => Err(malformed("`member` that is not followed by a number")),
            (_, None) => members
                .into_iter()
                .map(|(name, node)| Ok((name, node.into_value()?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::from),
        }
    }
}

/// Items in the order of their numbers; gaps close.
fn into_list(items: BTreeMap<String, Node>) -> Result<Value, ApiError> {
    let mut numbered = BTreeMap::new();
    for (index, node) in items {
        let number: u32 = index.parse().map_err(|_| malformed(&format!("`member.{index}`")))?;
        if numbered.insert(number, node.into_value()?).is_some() {
            return Err(malformed(&format!("`member.{number}` given twice")));
        }
    }
    Ok(numbered.into_values().collect())
}

fn malformed(what: &str) -> ApiError {
    ApiError::new("MalformedQueryString", format!("the body is not a form this API can read: it has {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &[u8]) -> Result<Value, ApiError> {
        unfold(decode_form(body)?)
    }

    #[test]
    fn lists_and_structures_unfold_in_the_order_of_their_numbers() {
        let body = b"TargetGroupArn=arn%3Aaws&Targets.member.10.Id=j&Targets.member.2.Id=b&Targets.member.2.Port=80&Names.member.1=a+b";
        let expected = json!({
            "TargetGroupArn": "arn:aws", "Names": ["a b"], "Targets": [{"Id": "b", "Port": "80"}, {"Id": "j"}],
        });
        assert_eq!(read(body), Ok(expected));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for body in [
            "A=1&A=2",
            "A=1&A.B=2",
            "A.B=2&A=1",
            "A..B=1",
            ".=1",
            "A.member.x=1",
            "A.member=1&A.B=2",
            "A.member.1=a&A.member.01=b",
            "A=%4",
            "A=%+1",
            "A=%ff",
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().code, "MalformedQueryString", "{body}");
        }
    }

    /// As a client folds it.
    fn fold(prefix: &str, value: &Value, form: &mut Vec<String>) {
        let step = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        match value {
            Value::Object(members) => members.iter().for_each(|(name, member)| fold(&step(name), member, form)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| fold(&step(&format!("member.{}", at + 1)), item, form));
            }
            leaf => {
                let text = leaf.as_str().unwrap();
                let encoded: Vec<String> = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
                form.push(format!("{prefix}={}", encoded.concat()));
            }
        }
    }

    fn shape() -> impl Strategy<Value = Value> {
        let leaf = "\\PC{0,8}".prop_map(Value::from);
        leaf.prop_recursive(2, 24, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 1..4).prop_map(Value::from),
                proptest::collection::btree_map("[A-Z][a-z]{0,6}", inner, 1..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_was_folded_unfolds(members in proptest::collection::btree_map("[A-Z][a-z]{0,6}", shape(), 1..4)) {
            let value = Value::Object(members.into_iter().collect());
            let mut form = Vec::new();
            fold("", &value, &mut form);
            prop_assert_eq!(read(form.join("&").as_bytes()), Ok(value));
        }

        #[test]
        fn no_body_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), near in "[A-Ca-c.=&%0-9+mebr]{0,80}") {
            let _ = (read(&bytes), read(near.as_bytes()));
        }
    }
}

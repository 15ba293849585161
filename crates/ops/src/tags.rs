//! Labels on ECS resources: their keys, and values that survive ECS's alphabet.
//!
//! A tag value is at most 256 letters, digits, spaces and `_ . : / = + - @`: no JSON. Several facts in one value are
//! written as words `key=value` between single spaces.

use std::collections::BTreeMap;

/// Which version a release is.
pub(crate) const VERSION: &str = "gimmetime:version";
/// The digest of a release's image.
pub(crate) const DIGEST: &str = "gimmetime:digest";
/// The git commit of a release.
pub(crate) const GIT: &str = "gimmetime:git";
/// Who registered a release.
pub(crate) const WHO: &str = "gimmetime:who";
/// When a release was registered, RFC 3339.
pub(crate) const AT: &str = "gimmetime:at";
/// How a release's last rollout ended: the API's own ledger is kept for 90 days only.
pub(crate) const OUTCOME: &str = "gimmetime:outcome";
/// Why it failed: the tasks that could tell are kept for an hour only.
pub(crate) const CAUSE: &str = "gimmetime:cause";
/// How long each part of a release's last successful rollout took.
pub(crate) const TOOK: &str = "gimmetime:took";
/// On the service: the settings last applied.
pub(crate) const APPLIED: &str = "gimmetime:applied";
/// On the service: what is being done to it, by whom, since when.
pub(crate) const OPERATION: &str = "gimmetime:operation";

/// Longest value of a tag, in characters.
const VALUE_LIMIT: usize = 256;

/// The text with every character that a tag cannot hold replaced by `_`, cut at the limit.
pub(crate) fn legal(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c) { c } else { '_' };
    text.chars().take(VALUE_LIMIT).map(keep).collect()
}

/// Facts as `key=value` words. Spaces within a value become `_`.
pub(crate) fn encode(facts: &[(&str, &str)]) -> String {
    let words: Vec<String> =
        facts.iter().map(|(key, value)| format!("{key}={}", legal(value).replace([' ', '='], "_"))).collect();
    legal(&words.join(" "))
}

/// Reads what [`encode`] wrote; words of another shape are skipped.
pub(crate) fn decode(value: &str) -> BTreeMap<String, String> {
    let pair = |word: &str| word.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    value.split(' ').filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_fact_becomes_a_legal_value_and_short_plain_ones_come_back(who in ".{0,40}", what in "[a-z0-9.:@-]{1,40}") {
            let value = encode(&[("who", &who), ("what", &what)]);
            prop_assert!(value.chars().count() <= VALUE_LIMIT);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
            prop_assert_eq!(decode(&value).remove("what"), Some(what));
        }
    }

    #[test]
    fn quotes_and_braces_do_not_reach_the_api() {
        assert_eq!(legal("{\"a\": 1}"), "__a_: 1_");
    }
}

//! Pages of lists: tokens that name where the next page begins, and that nobody can mistake for something else.
//!
//! A token is hex over a checksum and the key of the next item. It needs no memory on this side, survives a restart, and one
//! of another operation, or of another maker, is refused.

use std::fmt::Write;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ApiError;
use crate::parameters::Parameters;

/// Bytes of checksum in a token.
const CHECKSUM: usize = 8;

/// Which page is wanted.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    operation: &'static str,
    token: Option<&'a str>,
    limit: usize,
}

/// The order a list's keys are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Ascending,
    Descending,
}

impl<'a> Page<'a> {
    /// Reads `nextToken` and `maxResults` of an ECS call.
    pub(crate) fn of(
        operation: &'static str,
        parameters: &mut Parameters<'a>,
        default: usize,
    ) -> Result<Self, ApiError> {
        let limit = parameters.integer("maxResults", (1, 100))?.map_or(default, |limit| limit as usize);
        Ok(Self { operation, token: parameters.text("nextToken")?, limit })
    }

    /// Reads `nextToken` and `limit` of a Logs call.
    pub(crate) fn of_logs(operation: &'static str, parameters: &mut Parameters<'a>) -> Result<Self, ApiError> {
        let limit = parameters.integer("limit", (1, 50))?.map_or(50, |limit| limit as usize);
        Ok(Self { operation, token: parameters.text("nextToken")?, limit })
    }

    /// The wanted items under `member`, and `nextToken` if there are more. Keys must be unique.
    pub(crate) fn reply(
        &self,
        member: &'static str,
        mut items: Vec<(String, Value)>,
        order: Order,
    ) -> Result<Value, ApiError> {
        items.sort_by(|(a, _), (b, _)| if order == Order::Ascending { a.cmp(b) } else { b.cmp(a) });
        if let Some(token) = self.token {
            let from = decode(self.operation, token).ok_or_else(invalid_token)?;
            items.retain(|(key, _)| if order == Order::Ascending { from <= *key } else { *key <= from });
        }
        let mut reply = Map::new();
        if let Some((key, _)) = items.get(self.limit) {
            reply.insert("nextToken".into(), encode(self.operation, key).into());
        }
        reply.insert(member.into(), items.into_iter().take(self.limit).map(|(_, item)| item).collect());
        Ok(reply.into())
    }
}

/// The refusal of a token that is not ours.
pub(crate) fn invalid_token() -> ApiError {
    ApiError::invalid_parameter("Invalid token.")
}

/// A token for `key` in `operation`.
pub(crate) fn encode(operation: &str, key: &str) -> String {
    let mut token = String::with_capacity(2 * (CHECKSUM + key.len()));
    for byte in checksum(operation, key.as_bytes()).iter().chain(key.as_bytes()) {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

/// The key in a token of `operation`; `None` for whatever [`encode`] did not make.
pub(crate) fn decode(operation: &str, token: &str) -> Option<String> {
    let digits: Vec<u8> =
        token.chars().map(|digit| digit.to_digit(16).map(|value| value as u8)).collect::<Option<_>>()?;
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| 16 * pair[0] + pair[1]).collect();
    let (sum, key) = bytes.split_at_checked(CHECKSUM)?;
    (sum == checksum(operation, key)).then(|| String::from_utf8(key.to_vec()).ok())?
}

fn checksum(operation: &str, key: &[u8]) -> [u8; CHECKSUM] {
    let digest = Sha256::new().chain_update(operation).chain_update([0]).chain_update(key).finalize();
    let mut sum = [0; CHECKSUM];
    sum.copy_from_slice(&digest[..CHECKSUM]);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pages(keys: &[String], limit: usize, order: Order) -> Vec<Value> {
        let mut seen = Vec::new();
        let mut token = None;
        loop {
            let page = Page { operation: "ListTasks", token: token.as_deref(), limit };
            let items = keys.iter().map(|key| (key.clone(), Value::from(key.as_str()))).collect();
            let mut reply = page.reply("items", items, order).unwrap();
            seen.append(reply["items"].as_array_mut().unwrap());
            match reply["nextToken"].as_str() {
                Some(next) => token = Some(next.to_owned()),
                None => return seen,
            }
        }
    }

    proptest! {
        #[test]
        fn a_token_round_trips_and_fits_no_other_operation(key in "\\PC{0,40}") {
            let token = encode("ListTasks", &key);
            prop_assert_eq!(decode("ListTasks", &token), Some(key));
            prop_assert_eq!(decode("ListServices", &token), None);
        }

        #[test]
        fn what_is_no_token_is_refused_without_a_panic(token in "\\PC{0,60}", hex in "[0-9a-fA-F]{0,60}") {
            prop_assert_eq!(decode("ListTasks", &token), None);
            prop_assert_eq!(decode("ListTasks", &hex), None);
        }

        #[test]
        fn pages_together_are_the_whole_list_in_order(
            keys in proptest::collection::btree_set("[a-z]{1,8}", 0..40), limit in 1_usize..7, down in any::<bool>(),
        ) {
            let mut keys: Vec<String> = keys.into_iter().collect();
            let order = if down { Order::Descending } else { Order::Ascending };
            let seen = pages(&keys, limit, order);
            if down { keys.reverse(); }
            prop_assert_eq!(seen, keys.into_iter().map(Value::from).collect::<Vec<_>>());
        }
    }
}

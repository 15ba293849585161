//! The `X-Amzn-Trace-Id` header: who makes it, and what is added to one that comes in. Pure but for the seed.

use std::sync::atomic::{AtomicU64, Ordering};

use gimmetime_clock::Timestamp;

/// A longer header is replaced, not extended.
const TRACE_LIMIT: usize = 7 * 1024;
/// The increment of `SplitMix64`: odd, so that the counter meets every value before it repeats.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes ids that differ from each other and from those of another process; they are names, not secrets.
#[derive(Debug)]
pub(crate) struct Ids {
    state: AtomicU64,
    salt: u64,
}

impl Ids {
    /// Seeded by the system's random numbers.
    pub(crate) fn new() -> Self {
        let random = || getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
        Self { state: AtomicU64::new(random()), salt: random() }
    }

    /// The next id.
    pub(crate) fn next(&self) -> u64 {
        mix(self.state.fetch_add(STEP, Ordering::Relaxed))
    }

    /// A new id of the header's form, `1-<8 hex: seconds since the epoch>-<24 hex>`.
    pub(crate) fn trace(&self, now: Timestamp) -> String {
        let id = self.next();
        format!("1-{:08x}-{:016x}{:08x}", now.unix_seconds() as u32, id, mix(id ^ self.salt) as u32)
    }
}

/// The header to send on: `id` becomes the root if there is none, else our own part of it.
pub(crate) fn extend(received: Option<&str>, id: &str) -> String {
    let received = received.filter(|text| text.len() <= TRACE_LIMIT).unwrap_or_default();
    let fields = || received.split(';').map(str::trim).filter(|field| !field.is_empty());
    let is = |field: &str, name: &str| field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    let (has_root, has_self) = (fields().any(|field| is(field, "Root=")), fields().any(|field| is(field, "Self=")));
    let mut header = String::with_capacity(received.len() + id.len() + 8);
    match (has_root, has_self) {
        (false, _) => header.extend(["Root=", id]),
        (true, false) => header.extend(["Self=", id]),
        (true, true) => {}
    }
    for field in fields() {
        let (name, value) = if is(field, "Self=") { ("Self=", id) } else { ("", field) };
        // Our part belongs to a root; a part without one is of no trace.
        if name.is_empty() || has_root {
            let separator = if header.is_empty() { "" } else { ";" };
            header.extend([separator, name, value]);
        }
    }
    header
}

fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(received: Option<&str>, sent: &str) {
        assert_eq!(extend(received, "NEW"), sent);
    }

    #[test]
    fn a_request_without_a_trace_gets_a_root() {
        check(None, "Root=NEW");
        check(Some(" "), "Root=NEW");
        check(Some("CalledFrom=app"), "Root=NEW;CalledFrom=app");
        check(Some("Self=1-1-1;A=b"), "Root=NEW;A=b");
    }

    #[test]
    fn a_trace_with_a_root_gets_our_part_and_an_old_part_is_replaced() {
        check(Some("Root=1-2-3"), "Self=NEW;Root=1-2-3");
        check(Some("Root=1-2-3; CalledFrom=app"), "Self=NEW;Root=1-2-3;CalledFrom=app");
        check(Some("Self=1-1-1;Root=1-2-3;A=b"), "Self=NEW;Root=1-2-3;A=b");
        check(Some("Root=1-2-3;Self=1-1-1"), "Root=1-2-3;Self=NEW");
    }

    #[test]
    fn an_overlong_trace_is_replaced() {
        check(Some(&format!("Root=1-2-3;A={}", "b".repeat(8000))), "Root=NEW");
    }

    #[test]
    fn ids_have_their_form_and_differ() {
        let ids = Ids::new();
        let now = Timestamp::from_secs(0x6789_1233);
        let (one, two) = (ids.trace(now), ids.trace(now));
        assert_ne!(one, two);
        assert_eq!((one.len(), &one[..11]), (35, "1-67891233-"));
        assert!(one[11..].bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
}

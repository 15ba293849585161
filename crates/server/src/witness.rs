//! The load balancer as a witness of our clock, at no cost: it stamps each request with its own second.
//!
//! `X-Amzn-Trace-Id: Self=1-<8 hex digits>-…;Root=1-<8 hex digits>-…` bears the balancer's Unix seconds, cut: in `Self` if the
//! client sent a `Root` of its own, else in `Root`. The stamp S was made before our reading R, so R < S on true clocks is
//! impossible: our clock is behind the balancer's by at least S − R. More than [`TOLERANCE`] is a proof, and it stands for
//! [`HOLD`] after the last one. That our clock is *ahead* cannot be proved so: R − S also holds the delay between the two,
//! which nothing bounds. Who can reach the server past a balancer can forge a stamp; hence only `/health` listens to it,
//! never `/live`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gimmetime_clock::{Mono, Timestamp};

/// The header that bears the stamp.
pub(crate) const HEADER: &str = "X-Amzn-Trace-Id";
/// Up to here two clocks count as in agreement.
pub(crate) const TOLERANCE: Duration = Duration::from_secs(1);
/// How long a proof stands.
pub(crate) const HOLD: Duration = Duration::from_mins(1);

/// The last proof that our clock is wrong, shared by all threads.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    /// When the last proof lapses, in nanoseconds since boot; 0 = there was none.
    lapses: AtomicU64,
    /// How far behind it proved us, in nanoseconds.
    behind: AtomicU64,
}

impl Witness {
    /// Takes note of a stamp on a request that was read at `received` by our clock.
    pub(crate) fn observe(&self, stamped_seconds: u32, received: Timestamp, now: impl FnOnce() -> Mono) {
        if let Some(behind) = proved_behind(stamped_seconds, received) {
            self.behind.store(u64::try_from(behind.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.lapses.store(now().plus(HOLD).as_nanos(), Ordering::Relaxed);
        }
    }

    /// How far behind our clock was proved to be, while that proof stands.
    pub(crate) fn behind(&self, now: Mono) -> Option<Duration> {
        let stands = now < Mono::from_nanos(self.lapses.load(Ordering::Relaxed));
        stands.then(|| Duration::from_nanos(self.behind.load(Ordering::Relaxed)))
    }
}

/// How far behind the balancer's our clock is at least, if that is more than [`TOLERANCE`].
fn proved_behind(stamped_seconds: u32, received: Timestamp) -> Option<Duration> {
    let behind = Timestamp::from_secs(i64::from(stamped_seconds)).since(received);
    (0 < behind.as_nanos() && TOLERANCE < behind.magnitude()).then_some(behind.magnitude())
}

/// The balancer's second in the header: that of `Self`, else that of `Root`; `None` if neither is well formed.
pub(crate) fn stamped_seconds(header: &[u8]) -> Option<u32> {
    let field = |name: &[u8]| {
        let mut fields = header.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        fields.find_map(|field| field.strip_prefix(name))
    };
    seconds(field(b"Self=").or_else(|| field(b"Root="))?)
}

/// `1-<8 hex digits>-…`
fn seconds(id: &[u8]) -> Option<u32> {
    let digits = id.strip_prefix(b"1-")?.get(..8)?;
    if id.get(10) != Some(&b'-') || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_stamp_of_the_last_hop_counts() {
        assert_eq!(stamped_seconds(b"Root=1-67891233-abcdef012345678912345678"), Some(0x6789_1233));
        assert_eq!(stamped_seconds(b"Self=1-67891234-12456789abcdef; Root=1-00000001-abcdef"), Some(0x6789_1234));
        assert_eq!(stamped_seconds(b"Root=1-00000001-abcdef;Self=1-67891234-12456789abcdef"), Some(0x6789_1234));
    }

    #[test]
    fn what_is_no_stamp_says_nothing() {
        for header in
            ["", "Root=", "Root=1-6789123-abc", "Root=1-6789123g-abc", "Root=1-+7891233-a", "Root=2-67891233-a"]
        {
            assert_eq!(stamped_seconds(header.as_bytes()), None, "{header}");
        }
        assert_eq!(stamped_seconds(b"Self=broken;Root=1-67891233-a"), None, "a client made that Root");
    }

    #[test]
    fn a_proof_stands_for_its_time_and_is_renewed() {
        let witness = Witness::default();
        let (ours, start) = (Timestamp::from_secs(1000), Mono::from_nanos(7));
        assert_eq!(witness.behind(start), None);
        witness.observe(1001, ours, || start);
        assert_eq!(witness.behind(start), None, "one second is no proof");
        witness.observe(1003, ours, || start);
        assert_eq!(witness.behind(start), Some(Duration::from_secs(3)));
        witness.observe(1002, ours, || start.plus(Duration::from_secs(30)));
        witness.observe(990, ours, || start.plus(Duration::from_secs(40)));
        assert_eq!(witness.behind(start.plus(Duration::from_secs(89))), Some(Duration::from_secs(2)));
        assert_eq!(witness.behind(start.plus(Duration::from_secs(90))), None);
    }

    proptest! {
        /// Whatever the delay: a clock that is right, or ahead, or less than a second behind is never accused.
        #[test]
        fn a_proof_is_never_wrong(truth_ns in 0_i64..4_000_000_000_000_000_000, delay_ns in 0_i64..1 << 40, error_ns in -1_i64 << 40..1 << 40) {
            let stamped = u32::try_from(truth_ns / 1_000_000_000).unwrap();
            let received = Timestamp::from_nanos(truth_ns + delay_ns + error_ns);
            if let Some(behind) = proved_behind(stamped, received) {
                prop_assert!(error_ns < -1_000_000_000);
                prop_assert!(behind.as_nanos() <= u128::from(error_ns.unsigned_abs()));
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = stamped_seconds(&bytes);
        }
    }
}

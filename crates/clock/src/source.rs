//! The only place that reads clocks. Everything else takes what these return as an argument.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::kernel;
use crate::{Mono, Now, Timestamp};

/// A stated bound below this is not believed: systemd-timesyncd writes 0, whatever it knows, and the kernel does not say who
/// wrote it. One that truly is better loses only precision by it.
pub const ERROR_BOUND_FLOOR: Duration = Duration::from_millis(50);

/// Where the kernel's own bound stops growing (`NTP_PHASE_LIMIT`): at this value it says nothing.
const ERROR_BOUND_LIMIT: Duration = Duration::from_secs(16);

/// Whether somebody disciplines the kernel's wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Synchronization {
    /// The kernel was told so, and its error bound has not run out since.
    Synchronized,
    /// Nobody told the kernel for hours, if ever. The clock may be right all the same: a hypervisor may keep it.
    NotSynchronized,
    /// The kernel cannot be asked, or somebody states an error but not that the clock is synchronised.
    Unknown,
}

/// What the kernel knows of its own wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KernelClock {
    /// Whether it is disciplined.
    pub status: Synchronization,
    /// How far from UTC it is at most, at least [`ERROR_BOUND_FLOOR`]; `None` if nothing is known.
    pub error_bound: Option<Duration>,
}

/// This moment on both clocks. The two are read one after the other, the wall clock first.
pub fn now() -> Now {
    Now { wall: wall(), mono: mono() }
}

/// The wall clock (`CLOCK_REALTIME`), read at full resolution: the coarse one lags by up to a tick of 10 ms.
pub fn wall() -> Timestamp {
    Timestamp::from_nanos(kernel::nanos(libc::CLOCK_REALTIME))
}

/// The clock that never steps (`CLOCK_BOOTTIME`).
pub fn mono() -> Mono {
    Mono::from_nanos(kernel::nanos(libc::CLOCK_BOOTTIME).unsigned_abs())
}

/// What the kernel knows of its own wall clock now (`adjtimex`, which sets nothing and needs no privilege).
pub fn kernel_clock() -> KernelClock {
    match kernel::discipline() {
        None => KernelClock { status: Synchronization::Unknown, error_bound: None },
        Some(said) => judge(said.status & libc::STA_UNSYNC != 0, said.max_error_us),
    }
}

/// The id of this boot, 36 characters: a [`Mono`] kept under another id means nothing. Empty where `/proc` is not mounted.
pub fn boot_id() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    text.trim_end().to_owned()
}

fn judge(unsynchronized: bool, max_error_us: i64) -> KernelClock {
    let stated = Duration::from_micros(max_error_us.unsigned_abs());
    let ran_out = ERROR_BOUND_LIMIT <= stated;
    let status = match (unsynchronized, ran_out) {
        (false, _) => Synchronization::Synchronized,
        (true, true) => Synchronization::NotSynchronized,
        (true, false) => Synchronization::Unknown,
    };
    KernelClock { status, error_bound: (!ran_out).then_some(stated.max(ERROR_BOUND_FLOOR)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_of_nothing_is_a_fiction() {
        let said = judge(false, 0);
        assert_eq!(said.status, Synchronization::Synchronized);
        assert_eq!(said.error_bound, Some(ERROR_BOUND_FLOOR));
    }

    #[test]
    fn a_bound_that_ran_out_says_nothing() {
        let said = judge(true, 16_000_000);
        assert_eq!(said, KernelClock { status: Synchronization::NotSynchronized, error_bound: None });
    }

    #[test]
    fn an_error_stated_without_a_word_on_synchronisation_leaves_it_unknown() {
        let said = judge(true, 120_000);
        let bound = Some(Duration::from_millis(120));
        assert_eq!(said, KernelClock { status: Synchronization::Unknown, error_bound: bound });
    }

    #[test]
    fn the_clocks_of_this_machine_can_be_read() {
        let (before, after) = (mono(), mono());
        assert!(Mono::ZERO < before && before <= after);
        assert!(Timestamp::from_secs(1_750_000_000) < wall(), "this machine believes it is before 2025-06-15");
        assert_eq!(boot_id().len(), 36);
        assert!(kernel_clock().error_bound.is_none_or(|bound| ERROR_BOUND_FLOOR <= bound));
    }
}

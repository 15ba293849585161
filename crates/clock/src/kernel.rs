//! The two system calls that read the kernel's clocks: all the `unsafe` there is in this project.

#![expect(unsafe_code, reason = "std reads neither CLOCK_BOOTTIME nor the error bound the kernel keeps (adjtimex)")]

use std::mem::MaybeUninit;

/// What `adjtimex` says.
pub(crate) struct Discipline {
    /// `STA_*` bits.
    pub(crate) status: libc::c_int,
    /// The kernel's bound on the error of its wall clock, in microseconds; it adds 500 µs a second and stops at 16 s.
    pub(crate) max_error_us: i64,
}

/// Nanoseconds on `clock`, which every Linux has.
pub(crate) fn nanos(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid, exclusively borrowed timespec for the whole call; the kernel keeps no reference to it.
    let status = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert!(status == 0, "CLOCK_REALTIME and CLOCK_BOOTTIME are on every Linux since 2.6.39");
    time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec)
}

/// Asks the kernel how its wall clock is disciplined, and changes nothing; `None` where that is forbidden.
pub(crate) fn discipline() -> Option<Discipline> {
    let mut request = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: all-zero is a valid `timex` (integers only), and `modes` = 0 asks without setting anything; the pointer is valid
    // for the whole call, and what the kernel leaves is again a `timex`.
    let (state, answer) = unsafe { (libc::adjtimex(request.as_mut_ptr()), request.assume_init()) };
    (0 <= state).then_some(Discipline { status: answer.status, max_error_us: answer.maxerror })
}

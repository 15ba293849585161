//! Figures as people read them: few digits, the unit beside them.

use std::time::Duration;

use gimmetime_clock::{Interval, Timestamp};
use jiff::tz::TimeZone;

/// A duration: `0.8 s`, `12 min`, `3 d`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 0.0995 => format!("{:.0} ms", s * 1e3),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86400.0),
    }
}

/// A latency, which is mostly below a second: `0.4 ms`, `38 ms`, `1.2 s`.
pub(crate) fn latency(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    match millis {
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 999.5 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1e3),
    }
}

/// A signed offset in nanoseconds: `+0.12 ms`, `-1.500 s`.
pub(crate) fn offset(nanos: i64) -> String {
    let millis = nanos as f64 / 1e6;
    if millis.abs() < 99.995 { format!("{millis:+.2} ms") } else { format!("{:+.3} s", millis / 1e3) }
}

/// How far from zero an interval reaches: `±0.4 ms`.
pub(crate) fn half_width(interval: Interval) -> String {
    let furthest = interval.lo.as_nanos().unsigned_abs().max(interval.hi.as_nanos().unsigned_abs());
    let millis = furthest as f64 / 1e6;
    match millis {
        ms if ms < 0.995 => format!("±{ms:.2} ms"),
        ms if ms < 999.5 => format!("±{ms:.1} ms"),
        ms => format!("±{:.2} s", ms / 1e3),
    }
}

/// The time of day in the zone of whoever looks: `04:12:31`.
pub(crate) fn clock_time(at: Timestamp) -> String {
    zoned(at).map_or_else(|| "--:--:--".to_owned(), |zoned| zoned.strftime("%H:%M:%S").to_string())
}

/// The same without seconds: `04:12`.
pub(crate) fn minute_time(at: Timestamp) -> String {
    zoned(at).map_or_else(|| "--:--".to_owned(), |zoned| zoned.strftime("%H:%M").to_string())
}

/// Day and time in the zone of whoever looks: `2026-11-22 14:02`.
pub(crate) fn day_time(at: Timestamp) -> String {
    zoned(at).map_or_else(|| "-".to_owned(), |zoned| zoned.strftime("%Y-%m-%d %H:%M").to_string())
}

fn zoned(at: Timestamp) -> Option<jiff::Zoned> {
    let instant = jiff::Timestamp::from_nanosecond(i128::from(at.as_nanos())).ok()?;
    Some(instant.to_zoned(TimeZone::system()))
}

/// A size: `534 B`, `1.1 MB`.
pub(crate) fn bytes(size: u64) -> String {
    let size = size as f64;
    match size {
        b if b < 1e3 => format!("{b:.0} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.1} GB", b / 1e9),
    }
}

/// A number of things: `1 blob`, `2 blobs`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A count with its thousands apart: `182,400`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_few_digits_and_a_unit() {
        assert_eq!(span(Duration::from_millis(834)), "0.8 s");
        assert_eq!(span(Duration::from_millis(42)), "42 ms");
        assert_eq!(span(Duration::from_secs(65)), "65 s");
        assert_eq!(span(Duration::from_secs(740)), "12 min");
        assert_eq!(span(Duration::from_hours(72)), "3 d");
        assert_eq!(latency(Duration::from_micros(420)), "0.4 ms");
        assert_eq!(offset(12_345_678), "+12.35 ms");
        assert_eq!(offset(-1_500_000_000), "-1.500 s");
        assert_eq!(bytes(1_101_016), "1.1 MB");
        assert_eq!((count(182_400), count(7), count(1000)), ("182,400".into(), "7".into(), "1,000".into()));
    }
}

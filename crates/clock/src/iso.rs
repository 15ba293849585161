//! Timestamps for people and logs: RFC 3339 in UTC, without a zone database.

use serde::{Serialize as _, Serializer};

use crate::Timestamp;
use crate::civil::{Civil, read_digits, write_digits};

/// The moment as `2026-11-22T10:07:00.123Z` (RFC 3339 §5.6), rounded down to a millisecond.
pub fn format(moment: Timestamp) -> String {
    with_decimals(moment, 3)
}

/// The moment as `2026-11-22T10:07:00.123456Z`, rounded down to a microsecond.
pub fn format_micros(moment: Timestamp) -> String {
    with_decimals(moment, 6)
}

/// The moment as [`format`] writes it, for `#[serde(serialize_with)]`: what programs read has one form everywhere.
pub fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*moment))
}

/// The same where a moment may not be known.
pub fn serialize_known<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    moment.map(format).serialize(serializer)
}

/// The moment a text says: RFC 3339 in UTC (`Z`, `z`, `+00:00` or `-00:00`), with up to nine decimals of a second or none.
///
/// `None` for everything else: another zone, a date no calendar has, a year outside 1677..=2262.
pub fn parse(text: &str) -> Option<Timestamp> {
    let text = text.as_bytes();
    let number = |from: usize, to: usize| read_digits(text.get(from..to)?);
    for (at, allowed) in [(4, b"--"), (7, b"--"), (10, b"Tt"), (13, b"::"), (16, b"::")] {
        if !allowed.contains(text.get(at)?) {
            return None;
        }
    }
    let civil = Civil {
        year: number(0, 4)?,
        month: number(5, 7)? as u8,
        day: number(8, 10)? as u8,
        hour: number(11, 13)? as u8,
        minute: number(14, 16)? as u8,
        second: number(17, 19)? as u8,
    };
    let (nanos, zone) = fraction(text.get(19..)?)?;
    if !matches!(zone, b"Z" | b"z" | b"+00:00" | b"-00:00") {
        return None;
    }
    civil.to_unix()?.checked_mul(1_000_000_000)?.checked_add(nanos).map(Timestamp::from_nanos)
}

/// The moment with so many of the nine decimals of its second.
fn with_decimals(moment: Timestamp, decimals: usize) -> String {
    let civil = Civil::from_unix(moment.unix_seconds());
    let mut text = *b"----------T--:--:--.---------";
    write_digits(&mut text[..4], civil.year.unsigned_abs());
    for (at, part) in [(5, civil.month), (8, civil.day), (11, civil.hour), (14, civil.minute), (17, civil.second)] {
        write_digits(&mut text[at..at + 2], u64::from(part));
    }
    write_digits(&mut text[20..], u64::from(moment.subsec_nanos()));
    text[..20 + decimals].iter().chain(b"Z").copied().map(char::from).collect()
}

/// Nanoseconds of an optional `.digits`, and what follows.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(rest) = text.strip_prefix(b".") else { return Some((0, text)) };
    let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let scale = 10_i64.pow(9_u32.checked_sub(length as u32)?);
    Some((read_digits(&rest[..length])? * scale, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_moment_reads_as_people_write_it() {
        let moment = Timestamp::from_nanos(1_795_342_020_123_999_999);
        assert_eq!(format(moment), "2026-11-22T10:07:00.123Z");
        assert_eq!(format_micros(moment), "2026-11-22T10:07:00.123999Z");
        assert_eq!(format_micros(Timestamp::MIN), "1677-09-21T00:12:43.145224Z");
        assert_eq!(format(Timestamp::EPOCH), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn what_is_no_moment_in_utc_is_refused() {
        for text in ["", "2026-11-22", "2026-11-22T10:07:00", "2026-11-22T10:07:00.Z", "2026-11-22T10:07:00+01:00"] {
            assert_eq!(parse(text), None, "{text}");
        }
        for text in
            ["2026-02-30T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T10:07:00.1234567890Z", "9999-01-01T00:00:00Z"]
        {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_round_trips_to_the_millisecond(nanos in i64::MIN + 1_000_000..i64::MAX) {
            let read = parse(&format(Timestamp::from_nanos(nanos))).unwrap().as_nanos();
            prop_assert_eq!(read, nanos.div_euclid(1_000_000) * 1_000_000);
        }

        #[test]
        fn any_text_is_parsed_or_refused_without_a_panic(text in "\\PC{0,40}", near in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Zz-]{0,24}") {
            let _ = (parse(&text), parse(&near));
        }
    }
}

//! The `/now` reply: its header names and how its times are written and read. One file for both ends, so that they agree.
//!
//! A server renders into fixed buffers and allocates nothing; a client trusts nothing: whatever does not parse is absent.

use crate::Timestamp;
use crate::civil::{Civil, read_digits, weekday, write_digits};

/// Header: which instance answered, an opaque id.
pub const INSTANCE: &str = "Gimmetime-Instance";
/// Header: the server's clock when it had read the request, as `sec.nnnnnnnnn`.
pub const RECEIVED: &str = "Gimmetime-Received";
/// Header: the server's clock right before it sent the reply, as `sec.nnnnnnnnn`. `Date` and the body are this reading, cut.
pub const SENT: &str = "Gimmetime-Sent";

/// Digits in the body: Unix seconds from 2001-09-09 to 2286-11-20.
pub const BODY_LENGTH: usize = 10;
/// Bytes of a stamp: ten digits, a point, nine digits.
pub const STAMP_LENGTH: usize = 20;
/// Bytes of a date in the preferred form of RFC 9110 §5.6.7.
pub const IMF_FIXDATE_LENGTH: usize = 29;
/// An instance id longer than this is not one.
const MAX_INSTANCE_LENGTH: usize = 64;

const WEEKDAYS: [&[u8; 3]; 7] = [b"Sun", b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// What a client can read off a reply. Each field is `None` if it was absent, malformed or out of range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// Unix seconds, from the body.
    pub body: Option<u64>,
    /// When the server had read the request, by its clock.
    pub received: Option<Timestamp>,
    /// When the server was about to send the reply, by its clock.
    pub sent: Option<Timestamp>,
    /// The `Date` header, to the second; some servers and caches let it lag.
    pub date: Option<Timestamp>,
    /// Who answered.
    pub instance: Option<String>,
}

impl Readings {
    /// Reads the header fields (names in any case, the first of a kind counts) and the body of one reply.
    pub fn read<'a>(headers: impl IntoIterator<Item = (&'a str, &'a [u8])>, body: &[u8]) -> Self {
        let mut readings = Self { body: parse_body(body), ..Self::default() };
        for (name, value) in headers {
            let value = value.trim_ascii();
            if name.eq_ignore_ascii_case(INSTANCE) {
                readings.instance = readings.instance.or_else(|| parse_instance(value));
            } else if name.eq_ignore_ascii_case(RECEIVED) {
                readings.received = readings.received.or_else(|| parse_stamp(value));
            } else if name.eq_ignore_ascii_case(SENT) {
                readings.sent = readings.sent.or_else(|| parse_stamp(value));
            } else if name.eq_ignore_ascii_case("Date") {
                readings.date = readings.date.or_else(|| parse_imf_fixdate(value));
            }
        }
        readings
    }
}

/// The body: Unix seconds in ten digits, rounded down. Before 1970 there is nothing but `0000000000`.
pub fn format_body(moment: Timestamp) -> [u8; BODY_LENGTH] {
    let mut body = [0; BODY_LENGTH];
    write_digits(&mut body, moment.max(Timestamp::EPOCH).unix_seconds().unsigned_abs());
    body
}

/// The seconds a body says: exactly ten digits; white space around them is forgiven, as a shell does.
pub fn parse_body(body: &[u8]) -> Option<u64> {
    let digits = body.trim_ascii();
    (digits.len() == BODY_LENGTH).then(|| read_digits(digits).map(i64::unsigned_abs))?
}

/// The stamp of a moment, `sec.nnnnnnnnn`. Before 1970 there is nothing but zero.
pub fn format_stamp(moment: Timestamp) -> [u8; STAMP_LENGTH] {
    let moment = moment.max(Timestamp::EPOCH);
    let mut stamp = [b'.'; STAMP_LENGTH];
    write_digits(&mut stamp[..10], moment.unix_seconds().unsigned_abs());
    write_digits(&mut stamp[11..], u64::from(moment.subsec_nanos()));
    stamp
}

/// The moment a stamp says; `None` unless it is ten digits, a point and nine digits, not after 2262.
pub fn parse_stamp(stamp: &[u8]) -> Option<Timestamp> {
    if stamp.len() != STAMP_LENGTH || stamp[10] != b'.' {
        return None;
    }
    let (seconds, nanos) = (read_digits(&stamp[..10])?, read_digits(&stamp[11..])?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos).map(Timestamp::from_nanos)
}

/// Writes the moment as `Sun, 06 Nov 1994 08:49:37 GMT` (IMF-fixdate, RFC 9110 §5.6.7), rounded down to a second.
pub fn write_imf_fixdate(moment: Timestamp, out: &mut [u8; IMF_FIXDATE_LENGTH]) {
    let seconds = moment.unix_seconds();
    let civil = Civil::from_unix(seconds);
    out.copy_from_slice(b"---, -- --- ---- --:--:-- GMT");
    out[..3].copy_from_slice(WEEKDAYS[weekday(seconds)]);
    write_digits(&mut out[5..7], u64::from(civil.day));
    out[8..11].copy_from_slice(MONTHS[usize::from(civil.month) - 1]);
    write_digits(&mut out[12..16], civil.year.unsigned_abs());
    write_digits(&mut out[17..19], u64::from(civil.hour));
    write_digits(&mut out[20..22], u64::from(civil.minute));
    write_digits(&mut out[23..25], u64::from(civil.second));
}

/// The moment a date says; `None` unless it is an IMF-fixdate in all its bytes and its weekday is the right one.
///
/// The two obsolete forms of RFC 9110 are refused: no server of this century sends them.
pub fn parse_imf_fixdate(date: &[u8]) -> Option<Timestamp> {
    let date: &[u8; IMF_FIXDATE_LENGTH] = date.try_into().ok()?;
    for (at, fixed) in [(3, &b", "[..]), (7, b" "), (11, b" "), (16, b" "), (19, b":"), (22, b":"), (25, b" GMT")] {
        if !date[at..].starts_with(fixed) {
            return None;
        }
    }
    let number = |from: usize, to: usize| read_digits(&date[from..to]);
    let civil = Civil {
        year: number(12, 16)?,
        month: MONTHS.iter().position(|month| date[8..].starts_with(*month))? as u8 + 1,
        day: number(5, 7)? as u8,
        hour: number(17, 19)? as u8,
        minute: number(20, 22)? as u8,
        second: number(23, 25)? as u8,
    };
    let day = Civil { hour: 0, minute: 0, second: 0, ..civil }.to_unix()?;
    let seconds = civil.to_unix()?.checked_mul(1_000_000_000)?;
    date.starts_with(WEEKDAYS[weekday(day)]).then_some(Timestamp::from_nanos(seconds))
}

/// An id is short, visible ASCII.
fn parse_instance(value: &[u8]) -> Option<String> {
    let well_formed = (1..=MAX_INSTANCE_LENGTH).contains(&value.len()) && value.iter().all(u8::is_ascii_graphic);
    well_formed.then(|| String::from_utf8_lossy(value).into_owned())
}

#[cfg(test)]
mod tests;

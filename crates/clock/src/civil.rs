//! Days since the epoch ↔ dates of the proleptic Gregorian calendar. Pure integer arithmetic, in 400-year eras that begin on
//! 1 March, so that the leap day is the last day of a year.

const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01, where era 0 begins, to 1970-01-01.
const EPOCH_IN_ERA_ZERO: i64 = 719_468;
pub(crate) const SECONDS_PER_DAY: i64 = 86_400;

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1..=12
    pub(crate) month: u8,
    /// 1..=31
    pub(crate) day: u8,
    pub(crate) hour: u8,
    pub(crate) minute: u8,
    /// 0..=59; a 60 that was read is the first second of the next minute (POSIX).
    pub(crate) second: u8,
}

impl Civil {
    /// The date and time of day `unix_seconds` after the epoch.
    pub(crate) fn from_unix(unix_seconds: i64) -> Self {
        let (days, of_day) = (unix_seconds.div_euclid(SECONDS_PER_DAY), unix_seconds.rem_euclid(SECONDS_PER_DAY));
        let shifted = days + EPOCH_IN_ERA_ZERO;
        let (era, day_of_era) = (shifted.div_euclid(DAYS_PER_ERA), shifted.rem_euclid(DAYS_PER_ERA));
        // Take out the leap days (one in 4 years, none in 100, one in 400): what is left are years of 365 days.
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153; // from March on, five months have 153 days
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month: month as u8,
            day: (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u8,
            hour: (of_day / 3_600) as u8,
            minute: (of_day / 60 % 60) as u8,
            second: (of_day % 60) as u8,
        }
    }

    /// Seconds from the epoch to this moment; `None` if no calendar has it (31 April, 25 o'clock).
    pub(crate) fn to_unix(self) -> Option<i64> {
        if self.hour > 23 || self.minute > 59 || self.second > 60 {
            return None;
        }
        let year = self.year - i64::from(self.month <= 2);
        let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
        let month_from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * DAYS_PER_ERA + day_of_era - EPOCH_IN_ERA_ZERO;
        let of_day = i64::from(self.hour) * 3_600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds = days.checked_mul(SECONDS_PER_DAY)?.checked_add(of_day)?;
        // A day the month does not have comes back as a day of the next one.
        let back = Self::from_unix(days * SECONDS_PER_DAY);
        ((back.month, back.day) == (self.month, self.day)).then_some(seconds)
    }
}

/// Days since Sunday, in 0..=6.
pub(crate) fn weekday(unix_seconds: i64) -> usize {
    (unix_seconds.div_euclid(SECONDS_PER_DAY) + 4).rem_euclid(7) as usize // the epoch was a Thursday
}

/// Writes `value` right-aligned with leading zeros; digits that do not fit are lost.
pub(crate) fn write_digits(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

/// The number that is written in `text`; `None` unless it is all ASCII digits, at least one and at most 18 of them.
pub(crate) fn read_digits(text: &[u8]) -> Option<i64> {
    if text.is_empty() || 18 < text.len() {
        return None;
    }
    text.iter().try_fold(0, |value, &byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_dates_are_where_they_belong() {
        for (seconds, (year, month, day)) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (951_782_400, (2000, 2, 29)),
            (4_107_456_000, (2100, 2, 28)),
            (4_107_542_400, (2100, 3, 1)),
            (-11_676_096_000, (1600, 1, 1)),
        ] {
            let civil = Civil::from_unix(seconds);
            assert_eq!((civil.year, civil.month, civil.day), (year, month, day), "{seconds}");
        }
    }

    #[test]
    fn days_that_no_month_has_are_refused() {
        for (year, month, day) in
            [(2026, 4, 31), (2026, 2, 29), (1900, 2, 29), (2026, 0, 1), (2026, 13, 1), (2026, 1, 0)]
        {
            let civil = Civil { year, month, day, hour: 0, minute: 0, second: 0 };
            assert_eq!(civil.to_unix(), None, "{civil:?}");
        }
    }

    proptest! {
        #[test]
        fn every_second_of_four_millennia_round_trips(seconds in -62_000_000_000_i64..100_000_000_000) {
            prop_assert_eq!(Civil::from_unix(seconds).to_unix(), Some(seconds));
        }

        #[test]
        fn the_next_day_is_one_day_later(days in -700_000_i64..1_000_000) {
            let (today, tomorrow) = (Civil::from_unix(days * 86_400), Civil::from_unix((days + 1) * 86_400));
            let moved = (today.year, today.month, today.day) < (tomorrow.year, tomorrow.month, tomorrow.day);
            prop_assert!(moved && (tomorrow.day == today.day + 1 || tomorrow.day == 1));
            prop_assert_eq!(weekday((days + 1) * 86_400), (weekday(days * 86_400) + 1) % 7);
        }
    }
}

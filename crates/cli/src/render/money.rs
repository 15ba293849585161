//! Dollars as people read them, and whose account pays them.

use gimmetime_clock::Timestamp;
use gimmetime_clock::source;

use super::units::span;

/// `51.91`, `1,204.00`: dollars a month, without their sign.
pub(crate) fn monthly(dollars: f64) -> String {
    let cents = (dollars * 100.0).round().max(0.0) as u64;
    format!("{}.{:02}", super::units::count(cents / 100), cents % 100)
}

/// `$0.07/h`
pub(crate) fn hourly(dollars: f64) -> String {
    format!("${dollars:.2}/h")
}

/// `1234-5678-9012`: twelve digits that can be compared at a glance.
pub(crate) fn account(digits: &str) -> String {
    let groups: Vec<&str> =
        (0..digits.len()).step_by(4).filter_map(|at| digits.get(at..(at + 4).min(digits.len()))).collect();
    groups.join("-")
}

/// `, 7 h left` for credentials that expire.
pub(crate) fn left(expires: Option<Timestamp>) -> String {
    let now = source::wall();
    match expires {
        Some(at) if now < at => format!(", {} left", span(at.since(now).magnitude())),
        Some(_) => ", expired".to_owned(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_have_two_digits_and_an_account_has_three_groups() {
        assert_eq!(
            (monthly(51.906).as_str(), monthly(0.0).as_str(), monthly(1204.0).as_str()),
            ("51.91", "0.00", "1,204.00")
        );
        assert_eq!(hourly(0.0711), "$0.07/h");
        assert_eq!(account("123456789012"), "1234-5678-9012");
    }
}

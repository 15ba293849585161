use super::*;
use proptest::prelude::*;

const MOMENT: Timestamp = Timestamp::from_nanos(784_111_777_000_000_042);

fn imf(moment: Timestamp) -> String {
    let mut date = [0; IMF_FIXDATE_LENGTH];
    write_imf_fixdate(moment, &mut date);
    String::from_utf8(date.to_vec()).unwrap()
}

#[test]
fn the_example_of_rfc_9110_is_written_and_read() {
    assert_eq!(imf(MOMENT), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(parse_imf_fixdate(b"Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_secs(784_111_777)));
}

#[test]
fn a_body_is_ten_digits_without_a_newline() {
    assert_eq!(&format_body(MOMENT), b"0784111777");
    assert_eq!(&format_body(Timestamp::from_nanos(1_795_342_020_999_999_999)), b"1795342020");
    assert_eq!(&format_body(Timestamp::from_secs(-5)), b"0000000000");
    assert_eq!(parse_body(b"1795342020\n"), Some(1_795_342_020));
    for body in [&b""[..], b"179534202", b"17953420201", b"-795342020", b"<html></html>", b"1795342 20"] {
        assert_eq!(parse_body(body), None, "{}", body.escape_ascii());
    }
}

#[test]
fn a_stamp_is_seconds_a_point_and_nanoseconds() {
    assert_eq!(&format_stamp(MOMENT), b"0784111777.000000042");
    for stamp in [&b"0784111777"[..], b"0784111777,000000042", b"0784111777.00000004", b"9999999999.000000000"] {
        assert_eq!(parse_stamp(stamp), None, "{}", stamp.escape_ascii());
    }
}

#[test]
fn a_date_with_a_wrong_weekday_or_of_an_obsolete_form_is_refused() {
    for date in [
        "Mon, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ] {
        assert_eq!(parse_imf_fixdate(date.as_bytes()), None, "{date}");
    }
}

#[test]
fn readings_take_what_is_well_formed_and_the_first_of_a_kind() {
    let headers: [(&str, &[u8]); 6] = [
        ("gimmetime-instance", b"7f3a12345678"),
        ("Gimmetime-Received", b"not a stamp"),
        ("GIMMETIME-SENT", b"0784111777.000000042"),
        ("Gimmetime-Sent", b"0784111999.000000000"),
        ("Date", b" Sun, 06 Nov 1994 08:49:37 GMT "),
        ("Server", b"whatever"),
    ];
    let readings = Readings::read(headers, b"0784111777");
    let wanted = Readings {
        body: Some(784_111_777),
        received: None,
        sent: Some(MOMENT),
        date: Some(Timestamp::from_secs(784_111_777)),
        instance: Some("7f3a12345678".to_owned()),
    };
    assert_eq!(readings, wanted);
}

#[test]
fn an_instance_that_could_spoil_a_terminal_is_refused() {
    let long = [b'a'; 65];
    for value in [&b""[..], b"\x1b[31m", b"two words", &long] {
        assert_eq!(Readings::read([(INSTANCE, value)], b"").instance, None);
    }
}

proptest! {
    #[test]
    fn stamps_round_trip(nanos in 0..i64::MAX) {
        let moment = Timestamp::from_nanos(nanos);
        prop_assert_eq!(parse_stamp(&format_stamp(moment)), Some(moment));
    }

    #[test]
    fn dates_and_bodies_round_trip_to_the_second(nanos in 0..i64::MAX) {
        let moment = Timestamp::from_nanos(nanos);
        let second = Timestamp::from_secs(moment.unix_seconds());
        prop_assert_eq!(parse_imf_fixdate(imf(moment).as_bytes()), Some(second));
        prop_assert_eq!(parse_body(&format_body(moment)), Some(moment.unix_seconds().unsigned_abs()));
    }

    #[test]
    fn the_three_ways_to_write_a_moment_agree(nanos in 0..i64::MAX) {
        let moment = Timestamp::from_nanos(nanos);
        let stamp = format_stamp(moment);
        prop_assert_eq!(&stamp[..10], &format_body(moment)[..]);
        prop_assert!(imf(moment).is_ascii());
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = (parse_body(&bytes), parse_stamp(&bytes), parse_imf_fixdate(&bytes));
        let _ = Readings::read([("Date", &bytes[..]), (SENT, &bytes[..]), (INSTANCE, &bytes[..])], &bytes);
    }
}

//! Vectors made by botocore 1.44.5 (its `SigV4Auth`), agreement with the `aws-sigv4` crate, and what must not pass.

use std::time::{Duration, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign as sign_with_crate};
use aws_sigv4::sign::v4;
use http::HeaderName;
use proptest::prelude::*;

use super::*;

const BODY: &[u8] = br#"{"cluster": "gimmetime", "desiredCount": 4}"#;

fn keys() -> Keys {
    Keys { access_key: "AKIDGIMMETIME".into(), secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into() }
}

fn host() -> SocketAddr {
    "127.0.0.1:20001".parse().unwrap()
}

fn moment() -> Timestamp {
    Timestamp::from_secs(1_795_342_020) // 2026-11-22T10:07:00Z
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn ecs_headers() -> HeaderMap {
    headers(&[
        ("host", "127.0.0.1:20001"),
        ("content-type", "application/x-amz-json-1.1"),
        ("x-amz-target", "AmazonEC2ContainerServiceV20141113.UpdateService"),
    ])
}

fn signed() -> HeaderMap {
    let mut headers = ecs_headers();
    sign(&Method::POST, &mut headers, BODY, &keys(), Service::Ecs, moment()).unwrap();
    headers
}

fn judge(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    let parts = RequestParts { method: &Method::POST, path: "/", headers, service: Service::Ecs };
    verify(&parts, body, &keys(), now, host())
}

#[track_caller]
fn refused(change: impl Fn(&mut HeaderMap)) -> SignatureError {
    let mut headers = signed();
    change(&mut headers);
    judge(&headers, BODY, moment()).unwrap_err()
}

fn set(name: &'static str, value: &'static str) -> impl Fn(&mut HeaderMap) {
    move |headers| drop(headers.insert(name, HeaderValue::from_static(value)))
}

#[test]
fn a_signature_made_by_botocore_passes_and_ours_is_the_same() {
    const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIDGIMMETIME/20261122/local/ecs/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, Signature=6b1aea1198b28150fcd1a43fc6d6d5a011705d043e48ae87023d2af7c8506743";
    let headers = signed();
    assert_eq!(headers[header::AUTHORIZATION], BOTOCORE);
    assert_eq!(judge(&headers, BODY, moment()), Ok(()));
}

#[test]
fn a_query_signature_made_by_botocore_passes() {
    const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIDGIMMETIME/20261122/local/elasticloadbalancing/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=adeea54a30249806396c5597e4f9365fb7662792dd5f362496c3d1a86a5b9b61";
    let headers = headers(&[
        ("host", "127.0.0.1:20001"),
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("x-amz-date", "20261122T100700Z"),
        ("authorization", BOTOCORE),
    ]);
    let parts = RequestParts { method: &Method::POST, path: "/", headers: &headers, service: Service::Elbv2 };
    let body = b"Action=DescribeTargetGroups&Version=2015-12-01";
    assert_eq!(verify(&parts, body, &keys(), moment(), host()), Ok(()));
}

#[test]
fn a_date_header_serves_where_there_is_no_x_amz_date() {
    const BOTOCORE: &str = "AWS4-HMAC-SHA256 Credential=AKIDGIMMETIME/20261122/local/ecs/aws4_request, SignedHeaders=content-type;date;host;x-amz-target, Signature=63b19958207f476e7d8af93cfbe6e70865f5a5b9d290d891d8bc866c00f95471";
    let mut headers = ecs_headers();
    headers.insert("date", HeaderValue::from_static("Sun, 22 Nov 2026 10:07:00 -0000"));
    headers.insert("authorization", HeaderValue::from_static(BOTOCORE));
    assert_eq!(judge(&headers, BODY, moment()), Ok(()));
}

#[test]
fn what_makes_a_request_incomplete_is_named() {
    assert_eq!(refused(|headers| drop(headers.remove("authorization"))), SignatureError::Missing);
    let malformed =
        ["Bearer x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=00"];
    for value in malformed {
        let error = refused(|headers| drop(headers.insert("authorization", HeaderValue::from_static(value))));
        assert!(matches!(error, SignatureError::Incomplete(_)), "{value}: {error}");
    }
    let date = refused(set("x-amz-date", "2026-11-22T10:07:00Z"));
    assert_eq!(date, SignatureError::Incomplete("Date must be in ISO-8601 'basic format'.".into()));
    assert!(matches!(refused(|headers| drop(headers.remove("x-amz-date"))), SignatureError::Incomplete(_)));
    assert!(matches!(refused(|headers| drop(headers.remove("host"))), SignatureError::Incomplete(_)));
    assert!(matches!(refused(|headers| drop(headers.remove("x-amz-target"))), SignatureError::Incomplete(_)));
}

#[test]
fn host_date_and_target_must_be_under_the_signature() {
    for name in ["host", "x-amz-date", "x-amz-target"] {
        let error = refused(|headers| {
            let value = headers["authorization"].to_str().unwrap();
            let less = value.replace(&format!("{name};"), "").replace(&format!(";{name},"), ",");
            headers.insert("authorization", HeaderValue::from_str(&less).unwrap());
        });
        assert_eq!(
            error,
            SignatureError::Incomplete(format!("'{name}' must be a 'SignedHeader' in the Authorization."))
        );
    }
}

#[test]
fn another_key_or_a_session_token_is_unknown() {
    assert_eq!(refused(set("x-amz-security-token", "FwoGZXIvYXdzE")), SignatureError::UnknownKey);
    let other = Keys { access_key: "AKIDOTHER".into(), ..keys() };
    let mut headers = ecs_headers();
    sign(&Method::POST, &mut headers, BODY, &other, Service::Ecs, moment()).unwrap();
    assert_eq!(judge(&headers, BODY, moment()), Err(SignatureError::UnknownKey));
    let mut headers = ecs_headers();
    let other = Keys { secret_key: "another".into(), ..keys() };
    sign(&Method::POST, &mut headers, BODY, &other, Service::Ecs, moment()).unwrap();
    assert_eq!(judge(&headers, BODY, moment()), Err(SignatureError::Mismatch));
}

#[test]
fn another_region_service_or_day_is_out_of_scope() {
    for (from, to) in
        [("/local/", "/us-east-1/"), ("/ecs/", "/logs/"), ("/20261122/", "/20261121/"), ("aws4_request", "aws4")]
    {
        let error = refused(|headers| {
            let value = headers["authorization"].to_str().unwrap().replace(from, to);
            headers.insert("authorization", HeaderValue::from_str(&value).unwrap());
        });
        assert!(matches!(error, SignatureError::Scope(_)), "{from} → {to}: {error}");
    }
}

#[test]
fn a_request_is_fresh_for_five_minutes_either_way() {
    for (late, passes) in [(300, true), (301, false)] {
        assert_eq!(judge(&signed(), BODY, moment().plus(Duration::from_secs(late))).is_ok(), passes);
        assert_eq!(judge(&signed(), BODY, moment().minus(Duration::from_secs(late))).is_ok(), passes);
    }
    let error = judge(&signed(), BODY, moment().plus(Duration::from_mins(6))).unwrap_err();
    let sentence =
        "Signature expired: 20261122T100700Z is now earlier than 20261122T100800Z (20261122T101300Z - 5 min.)";
    assert_eq!(error, SignatureError::Expired(sentence.into()));
}

#[test]
fn a_request_for_another_host_is_refused_and_localhost_is_ours() {
    assert!(matches!(refused(set("host", "evil.example:20001")), SignatureError::WrongHost { .. }));
    assert!(matches!(refused(set("host", "127.0.0.1:20002")), SignatureError::WrongHost { .. }));
    let mut headers = ecs_headers();
    headers.insert("host", HeaderValue::from_static("localhost:20001"));
    sign(&Method::POST, &mut headers, BODY, &keys(), Service::Ecs, moment()).unwrap();
    assert_eq!(judge(&headers, BODY, moment()), Ok(()));
}

#[test]
fn a_payload_that_is_not_signed_is_refused() {
    assert_eq!(refused(set("x-amz-content-sha256", "UNSIGNED-PAYLOAD")), SignatureError::UnsignedPayload);
    assert_eq!(judge(&signed(), b"{}", moment()), Err(SignatureError::Mismatch));
}

#[test]
fn the_secret_is_in_no_debug_output() {
    assert!(!format!("{:?}", keys()).contains("wJalr"));
}

/// What `aws-sigv4` signs: `(name, value)` pairs to be added.
fn signed_by_the_crate(headers: &HeaderMap, body: &[u8], seconds: u64) -> Vec<(String, String)> {
    let Keys { access_key, secret_key } = keys();
    let identity = Credentials::from_keys(access_key, secret_key, None).into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("local")
        .name("ecs")
        .time(UNIX_EPOCH + Duration::from_secs(seconds))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap()));
    let request = SignableRequest::new("POST", "http://127.0.0.1:20001/", pairs, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign_with_crate(request, &parameters).unwrap().into_parts();
    instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn we_and_the_aws_crate_agree_on_every_request(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        agent in "[ -~]{0,40}",
        seconds in 1_000_000_000_u64..4_000_000_000,
    ) {
        let mut headers = ecs_headers();
        headers.insert("x-amz-user-agent", HeaderValue::from_str(&agent).unwrap());
        let mut theirs = headers.clone();
        for (name, value) in signed_by_the_crate(&headers, &body, seconds) {
            theirs.insert(HeaderName::try_from(name).unwrap(), HeaderValue::from_str(&value).unwrap());
        }
        let now = Timestamp::from_secs(seconds.cast_signed());
        prop_assert_eq!(judge(&theirs, &body, now), Ok(()));
        sign(&Method::POST, &mut headers, &body, &keys(), Service::Ecs, now).unwrap();
        prop_assert_eq!(&headers["authorization"], &theirs["authorization"]);
    }

    #[test]
    fn one_changed_byte_breaks_the_signature(at in 0..BODY.len(), flip in 1_u8..=255) {
        let mut body = BODY.to_vec();
        body[at] ^= flip;
        prop_assert_eq!(judge(&signed(), &body, moment()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn no_authorization_header_makes_it_panic(value in "[ -~]{0,200}", tail in "[ -~]{0,80}") {
        let _ = Authorization::parse(&value);
        let _ = Authorization::parse(&format!("AWS4-HMAC-SHA256 {tail}"));
        let _ = parse_date(&value);
    }
}

#[test]
fn a_signature_is_hex_digits_and_nothing_a_number_parser_takes_besides() {
    let value = signed()[header::AUTHORIZATION].to_str().unwrap().to_owned();
    let (head, digits) = value.split_once("Signature=").unwrap();
    let signature =
        |at: usize| Authorization::parse(&format!("{head}Signature={}+{}", &digits[..at], &digits[at + 1..]));
    for at in [0, 1, 62] {
        assert!(matches!(signature(at), Err(SignatureError::Incomplete(_))), "{at}");
    }
}

//! What an operator reads when the way to AWS is not open.

use aws_config::profile::ProfileFileCredentialsProvider;
#[expect(deprecated, reason = "the crate that the type moved to is no dependency of ours")]
use aws_config::profile::profile_file::{ProfileFileKind, ProfileFiles};

use super::*;
use crate::testing::{Aws, Reply, json, refuse};

async fn aws() -> Aws {
    Aws::start(|asked| refuse(&asked.service, "NotInTheScript", &asked.action)).await
}

fn pinned(account: &str) -> SessionSpec {
    SessionSpec { account: Some(account.to_owned()), ..SessionSpec::default() }
}

#[tokio::test]
async fn the_first_line_has_account_region_and_a_short_name() {
    let session = aws().await.session().await;
    let identity = session.identity();
    assert_eq!((identity.account.as_str(), identity.region.as_str()), ("123456789012", "eu-west-1"));
    assert_eq!(identity.who, "alice");
    assert_eq!(identity.expires, None);
}

#[tokio::test]
async fn a_wrong_account_is_refused_before_anything_else_is_asked() {
    let aws = aws().await;
    let error = aws.open(&pinned("210987654321")).await.unwrap_err();
    assert!(matches!(&error, AwsError::WrongAccount { got, .. } if got == "123456789012"), "{error}");
    assert!(error.to_string().contains("the target says 210987654321"), "{error}");
    assert_eq!(aws.actions(), Vec::<String>::new());
    aws.open(&pinned("1234-5678-9012")).await.unwrap();
}

#[tokio::test]
async fn an_engine_of_our_own_is_no_place_on_aws_and_an_emulator_is() {
    let aws = aws().await;
    aws.is_asked_by("000000000000", "root", "arn:aws:iam::000000000000:user/root");
    let error = aws.open(&SessionSpec::default()).await.unwrap_err();
    assert!(matches!(error, AwsError::OwnEngine { .. }), "{error}");
    assert!(error.to_string().contains("env --unset"), "{error}");
    aws.is_asked_by("000000000000", "000000000000", "arn:aws:iam::000000000000:root");
    aws.session().await;
}

#[tokio::test]
async fn every_way_that_credentials_are_wrong_has_its_own_words() {
    let aws = aws().await;
    let opened = async |code: &str, message: &str| {
        aws.fail("GetCallerIdentity", vec![refuse("sts", code, message); 3]);
        let error = aws.open(&SessionSpec::default()).await.unwrap_err();
        // What the SDK did not try again must not answer the next one.
        aws.forget_faults();
        error
    };
    let error = opened("ExpiredToken", "The security token included in the request is expired").await;
    assert!(matches!(error, AwsError::Expired { .. }), "{error}");
    let error = opened("InvalidClientTokenId", "The security token included in the request is invalid.").await;
    assert!(matches!(error, AwsError::UnknownKeys { .. }), "{error}");
    let error = opened("SignatureDoesNotMatch", "The request signature we calculated does not match").await;
    assert!(matches!(error, AwsError::UnknownKeys { .. }), "{error}");
    // What was signed follows, and with it the token of a session.
    let words = "The request signature we calculated does not match\n\nThe Canonical String for this request should have \
                 been\n'POST\nx-amz-security-token:FwoGZXIvYXdzEHMaD";
    let error = opened("SignatureDoesNotMatch", words).await;
    assert!(matches!(error, AwsError::UnknownKeys { .. }) && !error.to_string().contains("FwoG"), "{error}");
    let words = "Signature expired: 20261126T100000Z is now earlier than 20261126T101500Z (20261126T102000Z - 5 min.)";
    let error = opened("SignatureDoesNotMatch", words).await;
    assert!(matches!(error, AwsError::Clock { .. }), "{error}");
    assert!(error.to_string().contains("clock is wrong"), "{error}");
    let words = "User: arn:aws:iam::1:user/x is not authorized to perform: sts:GetCallerIdentity with an explicit deny";
    let error = opened("AccessDenied", words).await;
    assert!(matches!(error, AwsError::Denied(_)), "{error}");
}

#[tokio::test]
async fn nobody_who_answers_is_named() {
    let aws = aws().await;
    aws.fail("GetCallerIdentity", vec![Reply::Cut; 3]);
    let error = aws.open(&SessionSpec::default()).await.unwrap_err();
    assert!(matches!(&error, AwsError::Unreachable { endpoint, .. } if endpoint.starts_with("http://127.")), "{error}");
}

#[tokio::test]
async fn without_a_region_nothing_is_asked() {
    let loader = Session::loader(&SessionSpec::default()).region(None::<aws_types::region::Region>);
    let loader = loader.credentials_provider(Credentials::from_keys("AKIDEXAMPLE", "secret", None));
    let error = Session::open_with(loader, &SessionSpec::default()).await.unwrap_err();
    assert!(matches!(error, AwsError::NoRegion), "{error}");
}

/// Opens with nothing but a profile of this file.
#[expect(deprecated, reason = "as above")]
async fn with_profile(config: &str, profile: &str) -> AwsError {
    let files = ProfileFiles::builder().with_contents(ProfileFileKind::Config, config).build();
    let spec = SessionSpec { profile: Some(profile.to_owned()), ..SessionSpec::default() };
    let provider = ProfileFileCredentialsProvider::builder().profile_files(files.clone()).profile_name(profile);
    let http = aws_smithy_http_client::Builder::new().build_http();
    let provider =
        provider.configure(&aws_config::provider_config::ProviderConfig::without_region().with_http_client(http));
    let loader = Session::loader(&spec)
        .region(aws_types::region::Region::new("eu-west-1"))
        .profile_files(files)
        .credentials_provider(provider.build());
    Session::open_with(loader, &spec).await.unwrap_err()
}

#[tokio::test]
async fn a_profile_that_wants_a_code_is_told_the_way_round() {
    let config = "[profile ops]\nrole_arn = arn:aws:iam::1:role/ops\nsource_profile = nobody\n\
                  mfa_serial = arn:aws:iam::1:mfa/alice\n";
    let error = with_profile(config, "ops").await;
    assert!(matches!(&error, AwsError::NeedsMfa { serial, .. } if serial == "arn:aws:iam::1:mfa/alice"), "{error}");
    assert!(error.to_string().contains("--token-code"), "{error}");
}

#[tokio::test]
async fn a_single_sign_on_that_is_over_is_told_how_to_begin_anew() {
    let config = "[profile acme]\nsso_session = a-session-that-nobody-has\nsso_account_id = 123456789012\n\
                  sso_role_name = Admin\n[sso-session a-session-that-nobody-has]\nsso_region = eu-west-1\n\
                  sso_start_url = https://acme.example.com/start\n";
    let error = with_profile(config, "acme").await;
    assert!(matches!(error, AwsError::SsoExpired { .. }), "{error}");
    assert!(error.to_string().contains("hint: aws sso login --profile acme"), "{error}");
}

#[tokio::test]
async fn no_credentials_tells_where_they_were_looked_for() {
    let error = with_profile("[profile empty]\nregion = eu-west-1\n", "empty").await;
    assert!(matches!(error, AwsError::NoCredentials { .. }), "{error}");
    assert!(error.to_string().contains("profile `empty`"), "{error}");
}

#[tokio::test]
async fn a_registry_password_is_handed_out_and_never_printed() {
    let aws = Aws::start(|_| {
        json(&serde_json::json!({"authorizationData": [{
            "authorizationToken": "QVdTOnMzY3JldA==", "expiresAt": 1_800_000_000,
            "proxyEndpoint": "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com",
        }]}))
    })
    .await;
    let login = aws.session().await.ecr_login().await.unwrap();
    assert_eq!((login.user.as_str(), login.password.as_str()), ("AWS", "s3cret"));
    assert!(!format!("{login:?}").contains("s3cret"));
}

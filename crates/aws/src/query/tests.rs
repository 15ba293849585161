//! The signed client against a socket: what goes over the wire, what is tried again, how refusals read.

use serde_json::json;

use super::*;
use crate::testing::{Asked, Aws, Reply, ec2, refuse};

async fn vpcs() -> Aws {
    Aws::start(|asked| match asked.service.as_str() {
        "ec2" => ec2("DescribeVpcs", "<vpcSet><item><vpcId>vpc-1</vpcId></item></vpcSet>"),
        _ => crate::testing::json(&json!({"logGroups": []})),
    })
    .await
}

async fn ask(aws: &Aws) -> Result<Element, AwsError> {
    let session = aws.session().await;
    session.query().form("look at VPCs", Service::Ec2, "DescribeVpcs", &[("Filter.1.Name", "tag:a&b")]).await
}

/// The signature of a request as it came, made anew from what came.
fn signature(asked: &Asked, url: &str) -> String {
    let header = |wanted: &str| asked.headers.iter().find(|(name, _)| name == wanted).unwrap().1.clone();
    let authorization = header("authorization");
    let signed = authorization.split("SignedHeaders=").nth(1).unwrap().split(',').next().unwrap();
    let given = |name: &&str| !["host", "x-amz-date"].contains(name);
    let headers: Vec<(String, String)> =
        signed.split(';').filter(given).map(|name| (name.to_owned(), header(name))).collect();
    let date = header("x-amz-date");
    let part = |range: std::ops::Range<usize>| date[range].to_owned();
    let iso =
        format!("{}-{}-{}T{}:{}:{}Z", part(0..4), part(4..6), part(6..8), part(9..11), part(11..13), part(13..15));
    let identity = aws_credential_types::Credentials::from_keys("AKIDEXAMPLE", "secret", None).into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(&asked.service)
        .time(system_time(gimmetime_clock::iso::parse(&iso).unwrap()))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(asked.body.as_bytes())).unwrap();
    let (instructions, _) = sign(request, &parameters).unwrap().into_parts();
    let mut headers = instructions.headers();
    headers.find(|(name, _)| *name == "authorization").unwrap().1.to_owned()
}

#[tokio::test]
async fn what_goes_over_the_wire_is_what_was_signed() {
    let aws = vpcs().await;
    ask(&aws).await.unwrap();
    let session = aws.session().await;
    session.query().json("look", Service::Logs, "DescribeLogGroups", &json!({"a": "ü"})).await.unwrap();
    for action in ["DescribeVpcs", "DescribeLogGroups"] {
        let asked = &aws.calls(action)[0];
        let header =
            |wanted: &str| asked.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
        assert_eq!(header("host"), aws.url().strip_prefix("http://").map(str::to_owned));
        assert_eq!(header("authorization"), Some(signature(asked, &format!("{}/", aws.url()))), "{action}");
    }
    assert_eq!(aws.calls("DescribeVpcs")[0].parameter("Filter.1.Name").as_deref(), Some("tag:a&b"));
}

#[tokio::test]
async fn being_busy_and_a_cut_connection_are_tried_again_and_end() {
    let aws = vpcs().await;
    aws.fail("DescribeVpcs", [refuse("ec2", "RequestLimitExceeded", "too fast"), Reply::Cut]);
    assert_eq!(ask(&aws).await.unwrap().list("vpcSet").len(), 1);
    assert_eq!(aws.count("DescribeVpcs"), 3);

    aws.fail("DescribeVpcs", vec![refuse("ec2", "RequestLimitExceeded", "too fast"); 3]);
    let error = ask(&aws).await.unwrap_err();
    assert!(matches!(error, AwsError::Throttled { .. }), "{error}");
    assert_eq!(aws.count("DescribeVpcs"), 6);
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_and_not_tried_again() {
    let aws = vpcs().await;
    aws.fail("DescribeVpcs", [refuse("ec2", "InvalidVpcID.NotFound", "no such VPC")]);
    assert!(ask(&aws).await.unwrap_err().has_code("InvalidVpcID.NotFound"));
    let words = "You are not authorized to perform this operation. User: arn:aws:iam::1:user/a is not authorized to \
                 perform: ec2:DescribeVpcs because no identity-based policy allows it";
    aws.fail("DescribeVpcs", [refuse("ec2", "UnauthorizedOperation", words)]);
    let error = ask(&aws).await.unwrap_err();
    assert!(error.to_string().contains(r#""Action":"ec2:DescribeVpcs""#), "{error}");
    aws.fail("DescribeVpcs", [Reply::Says(200, "not XML".to_owned())]);
    assert!(matches!(ask(&aws).await.unwrap_err(), AwsError::Incomplete { .. }));
    assert_eq!(aws.count("DescribeVpcs"), 3);

    aws.fail("DescribeVpcs", [Reply::Says(404, format!("<html>{}</html>", "not here ".repeat(1000)))]);
    let error = ask(&aws).await.unwrap_err();
    assert!(error.has_code("404") && error.to_string().len() < 1100, "{error}");

    let session = aws.session().await;
    aws.fail("DescribeLogGroups", [Reply::Says(400, "{\"error\": \"no such service\"}".to_owned())]);
    let error = session.query().json("look", Service::Logs, "DescribeLogGroups", &json!({})).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot look: 400: {\"error\": \"no such service\"}");
    let typed = json!({"__type": "com.amazonaws.logs#ResourceNotFoundException", "message": "none"}).to_string();
    aws.fail("DescribeLogGroups", [Reply::Says(400, typed)]);
    let error = session.query().json("look", Service::Logs, "DescribeLogGroups", &json!({})).await.unwrap_err();
    assert!(error.has_code("ResourceNotFoundException"), "{error}");
}

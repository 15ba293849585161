//! The wire by hand: signatures, limits, malformed requests, metadata, and our own small client.

use std::net::SocketAddr;
use std::time::Duration;

use gimmetime_api::client::{self, ClientError};
use gimmetime_api::{DESCRIBE_ENGINE, Keys, MODIFY_PLACE, Service, metadata_path, sigv4};
use gimmetime_clock::{Synchronization, Timestamp, source};
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Served, TestWorld};

const ECS: &str = "AmazonEC2ContainerServiceV20141113";

/// Status, head, body of the answer to these bytes, the connection closed after.
async fn exchange(address: SocketAddr, request: &[u8]) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that refuses early may close before all is written: its answer is what counts.
    let _ = stream.write_all(request).await;
    let mut reply = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await;
    let _ = read.expect("an answer in time");
    let reply = String::from_utf8_lossy(&reply).into_owned();
    let status = reply.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (head, body) = reply.split_once("\r\n\r\n").unwrap_or((&reply, ""));
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn raw(method: &str, path: &str, headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\n").into_bytes();
    for (name, value) in headers {
        request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    request.extend(format!("content-length: {}\r\nconnection: close\r\n\r\n", body.len()).into_bytes());
    request.extend(body);
    request
}

fn json_headers(address: SocketAddr, target: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_str(&address.to_string()).unwrap());
    headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
    headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
    headers
}

fn signed(served: &Served, target: &str, body: &[u8], at: Timestamp) -> HeaderMap {
    let service = Service::of_target(target).map_or(Service::Ecs, |(service, _)| service);
    let mut headers = json_headers(served.address, target);
    sigv4::sign(&Method::POST, &mut headers, body, &served.keys, service, at).unwrap();
    headers
}

fn form_headers(served: &Served, body: &[u8]) -> HeaderMap {
    let mut headers = json_headers(served.address, "unused");
    headers.remove("x-amz-target");
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8"));
    sigv4::sign(&Method::POST, &mut headers, body, &served.keys, Service::Sts, source::wall()).unwrap();
    headers
}

/// Status and `__type` of a JSON error.
fn refusal((status, _, body): &(u16, String, String)) -> (u16, String) {
    let error: Value = serde_json::from_str(body).unwrap();
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    (*status, error["__type"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_signed_call_is_answered_with_an_id_and_the_protocols_content_type() {
    let served = Served::start(TestWorld::new()).await;
    let headers = signed(&served, &format!("{ECS}.ListClusters"), b"{}", source::wall());
    let (status, head, body) = exchange(served.address, &raw("POST", "/", &headers, b"{}")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"clusterArns":[]}"#));
    assert!(head.contains("content-type: application/x-amz-json-1.1") && head.contains("x-amzn-requestid: "), "{head}");
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let (status, head, body) = exchange(served.address, &raw("POST", "/", &form_headers(&served, body), body)).await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/xml"), "{head}");
    assert!(body.contains("<Account>000000000000</Account>"), "{body}");
    served.stop().await;
}

#[tokio::test]
async fn unsigned_stale_and_misaddressed_calls_are_refused_in_their_protocol() {
    let served = Served::start(TestWorld::new()).await;
    let target = format!("{ECS}.ListClusters");
    let send = async |headers: &HeaderMap| exchange(served.address, &raw("POST", "/", headers, b"{}")).await;
    let unsigned = send(&json_headers(served.address, &target)).await;
    assert_eq!(refusal(&unsigned), (400, "MissingAuthenticationTokenException".into()));
    let stale = signed(&served, &target, b"{}", source::wall().minus(Duration::from_mins(6)));
    assert_eq!(refusal(&send(&stale).await), (400, "RequestExpired".into()));
    let early = signed(&served, &target, b"{}", source::wall().plus(Duration::from_mins(6)));
    assert_eq!(refusal(&send(&early).await), (400, "RequestExpired".into()));
    let good = signed(&served, &target, b"{}", source::wall());
    let mut changed = good.clone();
    changed.insert("host", HeaderValue::from_static("evil.example"));
    assert_eq!(refusal(&send(&changed).await), (400, "InvalidSignatureException".into()));
    changed.remove("host");
    assert_eq!(refusal(&send(&changed).await), (400, "IncompleteSignatureException".into()));
    let another = raw("POST", "/", &good, b"{ }");
    assert_eq!(refusal(&exchange(served.address, &another).await), (400, "InvalidSignatureException".into()));
    let mut form = form_headers(&served, b"Action=GetCallerIdentity&Version=2011-06-15");
    form.remove("authorization");
    let (status, head, body) =
        exchange(served.address, &raw("POST", "/", &form, b"Action=GetCallerIdentity&Version=2011-06-15")).await;
    assert_eq!(status, 403);
    assert!(head.contains("text/xml") && body.contains("<Code>MissingAuthenticationToken</Code>"), "{body}");
    assert!(body.starts_with("<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"), "{body}");
    served.stop().await;
}

#[tokio::test]
async fn malformed_calls_and_unknown_operations_are_told_apart() {
    let served = Served::start(TestWorld::new()).await;
    for (target, body, expected) in [
        (format!("{ECS}.ListClusters"), &b"{"[..], "SerializationException"),
        (format!("{ECS}.ListClusters"), b"[]", "SerializationException"),
        (format!("{ECS}.ListClusters"), b"", "SerializationException"),
        (format!("{ECS}.ListClusters"), br#"{"maxResults": "many"}"#, "SerializationException"),
        (format!("{ECS}.RunTask"), b"{}", "UnknownOperationException"),
        ("DynamoDB_20120810.ListTables".to_owned(), b"{}", "UnknownOperationException"),
    ] {
        let headers = signed(&served, &target, body, source::wall());
        let reply = exchange(served.address, &raw("POST", "/", &headers, body)).await;
        assert_eq!(refusal(&reply), (400, expected.into()), "{target}");
    }
    for (body, code) in [
        ("Version=2011-06-15", "MissingAction"),
        ("Action=GetCallerIdentity&Version=1999-01-01", "InvalidAction"),
        ("Action=%zz", "MalformedQueryString"),
    ] {
        let headers = form_headers(&served, body.as_bytes());
        let (status, _, reply) = exchange(served.address, &raw("POST", "/", &headers, body.as_bytes())).await;
        assert_eq!(status, 400);
        assert!(reply.contains(&format!("<Code>{code}</Code>")), "{reply}");
    }
    served.stop().await;
}

#[tokio::test]
async fn garbage_on_the_wire_harms_nobody() {
    let served = Served::start(TestWorld::new()).await;
    for garbage in [
        &b"\x16\x03\x01\x00\xff\x00"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: \xff\r\nX-Amz-Target: \xfe.\xff\r\nContent-Length: 2\r\n\r\n{}",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{",
        b"POST / HTTP/1.0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nzz",
        b"GET /v4/%00 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(garbage).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut reply = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut reply)).await.expect("an end");
        let reply = String::from_utf8_lossy(&reply);
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 4") || reply.starts_with("HTTP/1.0 4"), "{reply}");
    }
    client::call(served.address, &served.keys, DESCRIBE_ENGINE, &json!({})).await.unwrap();
    served.stop().await;
}

#[tokio::test]
async fn limits_hold() {
    let served = Served::start(TestWorld::new()).await;
    let body = vec![b' '; (1 << 20) + 1];
    let headers = signed(&served, &format!("{ECS}.ListClusters"), &body, source::wall());
    let reply = exchange(served.address, &raw("POST", "/", &headers, &body)).await;
    assert_eq!(refusal(&reply), (413, "RequestEntityTooLargeException".into()));
    let mut many = HeaderMap::new();
    for n in 0..80 {
        many.insert(http::HeaderName::try_from(format!("x-{n}")).unwrap(), HeaderValue::from_static("v"));
    }
    assert_eq!(exchange(served.address, &raw("POST", "/", &many, b"")).await.0, 431);
    for (method, path) in [("GET", "/"), ("POST", "/other"), ("POST", "/?X-Amz-Signature=x"), ("DELETE", "/v4/x")] {
        let reply = exchange(served.address, &raw(method, path, &json_headers(served.address, "x"), b"")).await;
        assert_eq!(reply.0, 404, "{method} {path}");
    }
    served.stop().await;
}

#[tokio::test]
async fn metadata_is_unsigned_and_tells_the_true_clock_drift() {
    let world = TestWorld::with_service();
    let task = world.model.tasks.keys().next().unwrap().clone();
    let served = Served::start(world).await;
    let host = json_headers(served.address, "unused");
    let get = async |path: &str| {
        let (status, _, body) = exchange(served.address, &raw("GET", path, &host, b"")).await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, container) = get(&metadata_path(&task)).await;
    assert_eq!((status, &container["Name"], &container["KnownStatus"]), (200, &json!("app"), &json!("RUNNING")));
    let (_, seen) = get(&format!("{}/task", metadata_path(&task))).await;
    assert_eq!(seen["ClockDrift"]["ClockErrorBound"], 1.5);
    assert_eq!(seen["ClockDrift"]["ClockSynchronizationStatus"], "SYNCHRONIZED");
    assert!(seen["TaskARN"].as_str().unwrap().ends_with(&task.0));
    for path in ["/v4/", "/v4/0123-1", "/v4/x", &format!("{}/stats", metadata_path(&task)), &format!("/v4/{task}-x")] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    let mut elsewhere = host.clone();
    elsewhere.insert("host", HeaderValue::from_static("evil.example"));
    assert_eq!(exchange(served.address, &raw("GET", &metadata_path(&task), &elsewhere, b"")).await.0, 400);
    served.stop().await;
}

#[test]
fn what_the_kernel_does_not_know_is_left_out_of_the_clock_drift() {
    let mut world = TestWorld::with_service();
    world.clock.status = Synchronization::Unknown;
    world.clock.error_bound = None;
    let path = format!("{}/task", metadata_path(world.model.tasks.keys().next().unwrap()));
    let seen = world.call(Service::Metadata, "GetMetadata", json!({"path": path})).unwrap();
    let drift: Vec<&String> = seen["ClockDrift"].as_object().unwrap().keys().collect();
    assert_eq!(drift, ["ReferenceTimestamp"]);
}

#[tokio::test]
async fn our_own_client_calls_our_own_operations() {
    let served = Served::start(TestWorld::new()).await;
    let engine = client::call(served.address, &served.keys, DESCRIBE_ENGINE, &json!({})).await.unwrap();
    assert_eq!((&engine["pid"], &engine["apiVersion"]), (&json!(4000), &json!("2026-11-22")));
    let refused = client::call(served.address, &served.keys, MODIFY_PLACE, &json!({"listen": "x"})).await;
    assert!(
        matches!(refused, Err(ClientError::Refused { code, status: 400, .. }) if code == "InvalidParameterException")
    );
    let other = Keys { secret_key: "other".into(), ..served.keys.clone() };
    let refused = client::call(served.address, &other, DESCRIBE_ENGINE, &json!({})).await;
    assert!(matches!(refused, Err(ClientError::Refused { code, .. }) if code == "InvalidSignatureException"));
    let (address, keys) = (served.address, served.keys.clone());
    served.stop().await;
    let gone = client::call(address, &keys, DESCRIBE_ENGINE, &json!({})).await;
    assert!(matches!(gone, Err(ClientError::Unreachable { .. })), "{gone:?}");
}

#[tokio::test]
async fn an_idle_connection_does_not_keep_the_server_from_ending() {
    let served = Served::start(TestWorld::new()).await;
    let idle = TcpStream::connect(served.address).await.unwrap();
    served.stop().await;
    drop(idle);
}

fn parameters() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("gimmetime")),
    ];
    let names = prop_oneof![
        "[a-z]{1,8}",
        Just("cluster".to_owned()),
        Just("service".to_owned()),
        Just("services".to_owned()),
        Just("tasks".to_owned()),
        Just("taskDefinition".to_owned()),
        Just("family".to_owned()),
        Just("containerDefinitions".to_owned()),
        Just("nextToken".to_owned()),
        Just("deploymentConfiguration".to_owned()),
        Just("loadBalancers".to_owned()),
        Just("tags".to_owned()),
        Just("logGroupName".to_owned()),
        Just("filterPattern".to_owned()),
        Just("TargetGroupArn".to_owned()),
        Just("resourceArn".to_owned())
    ];
    leaf.prop_recursive(3, 32, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(names.clone(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn no_parameters_make_any_operation_panic(given in parameters()) {
        let mut world = TestWorld::with_service();
        for (service, operations) in [
            (Service::Ecs, &["CreateCluster", "DescribeClusters", "ListClusters", "RegisterTaskDefinition", "DeregisterTaskDefinition",
                "DescribeTaskDefinition", "ListTaskDefinitions", "CreateService", "UpdateService", "DescribeServices", "ListServices",
                "ListServiceDeployments", "DescribeServiceDeployments", "DescribeServiceRevisions", "ListTasks", "DescribeTasks",
                "StopTask", "TagResource", "UntagResource", "ListTagsForResource", "DeleteService"][..]),
            (Service::Elbv2, &["DescribeLoadBalancers", "DescribeTargetGroups", "DescribeListeners", "DescribeTargetHealth"]),
            (Service::Logs, &["DescribeLogGroups", "DescribeLogStreams", "GetLogEvents", "FilterLogEvents"]),
            (Service::Sts, &["GetCallerIdentity"]),
            (Service::Engine, &["DescribeEngine", "ModifyPlace"]),
            (Service::Metadata, &["GetMetadata"]),
        ] {
            for operation in operations {
                let _ = world.call(service, operation, given.clone());
            }
        }
    }
}

//! What one leaves with is what ran: the printed service is held against the requests that `ops` sends.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use gimmetime_ops::{Cancel, Connection, Fargate, Launch, Place, Probe, Run, ServiceSpec, up_service};
use serde_json::{Map, Value, json};

use crate::parts::read_yaml;
use crate::samples::{default_place, default_service, made};
use crate::spec::{Made, PlaceSpec};
use crate::template::whole;

/// What ECS answers until the service is asked for, which it refuses: by then everything was said.
fn answer(operation: &str) -> (u16, Value) {
    match operation {
        "DescribeClusters" => {
            (200, json!({"clusters": [{"clusterName": "gimmetime", "status": "ACTIVE"}], "failures": []}))
        }
        "RegisterTaskDefinition" => {
            let arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/gimmetime:1";
            (200, json!({"taskDefinition": {"taskDefinitionArn": arn, "revision": 1}}))
        }
        "CreateService" => (400, json!({"__type": "InvalidParameterException", "message": "enough"})),
        _ => (200, json!({})),
    }
}

/// Serves one connection; what was asked goes to `asked`.
fn serve(stream: TcpStream, asked: &Sender<(String, Value)>) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            match line.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => {
                    operation = value.rsplit('.').next()?.to_owned();
                }
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (status, reply) = answer(&operation);
        asked.send((operation, serde_json::from_slice(&body).unwrap_or_default())).ok()?;
        let reply = reply.to_string();
        let head = "content-type: application/x-amz-json-1.1\r\nconnection: keep-alive";
        write!(writer, "HTTP/1.1 {status} X\r\n{head}\r\ncontent-length: {}\r\n\r\n{reply}", reply.len()).ok()?;
    }
}

/// What `ops` asks ECS for when there is no service yet: operation and request.
async fn requests(spec: &ServiceSpec, launch: Fargate) -> BTreeMap<String, Value> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || serve(stream, &sender));
        }
    });
    let place = Place {
        cluster: "Ref Cluster".to_owned(),
        service: "gimmetime".to_owned(),
        target_group_arn: "Ref TargetGroup".to_owned(),
        log_group: "Ref TaskLogs".to_owned(),
        event_log_group: None,
        url: "http://127.0.0.1:9/now".parse().unwrap(),
        connect_to: None,
        endpoint: Connection::local(&url, "AKIDEXAMPLE", "secret", "eu-west-1"),
        poll: Duration::from_millis(10),
        patience: Duration::from_secs(10),
        probe: Probe { rate: 0.0, timeout: Duration::from_secs(1), judge_clock: false, tail: Duration::ZERO },
        launch: Launch::Fargate(launch),
        tags: BTreeMap::new(),
    };
    let (events, _events) = tokio::sync::mpsc::unbounded_channel();
    let run = Run { who: "test".to_owned(), events, cancel: Cancel::never(), pushed: None };
    up_service(&place, spec, &run).await.expect_err("the service is refused");
    asked.try_iter().collect()
}

/// A request with keys as CloudFormation writes them. Maps whose keys are the user's stay.
fn capitalised(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let entry = |(key, value): (&String, &Value)| {
                let of_user = ["options", "dockerLabels"].contains(&key.as_str());
                (key[..1].to_uppercase() + &key[1..], if of_user { value.clone() } else { capitalised(value) })
            };
            Value::Object(map.iter().map(entry).collect::<Map<_, _>>())
        }
        Value::Array(list) => list.iter().map(capitalised).collect(),
        plain => plain.clone(),
    }
}

/// CloudFormation's functions as the texts that stand for them in [`requests`].
fn resolved(value: &Value) -> Value {
    let known = [("AWS::Partition", "aws"), ("AWS::Region", "eu-west-1"), ("AWS::AccountId", "123456789012")];
    match value {
        Value::Object(map) if map.len() == 1 => match (map.get("Ref"), map.get("Fn::GetAtt"), map.get("Fn::Sub")) {
            (Some(id), _, _) => {
                let id = id.as_str().unwrap();
                known
                    .iter()
                    .find(|(name, _)| *name == id)
                    .map_or_else(|| json!(format!("Ref {id}")), |(_, it)| json!(it))
            }
            (_, Some(path), _) => json!(format!("GetAtt {}", path[0].as_str().unwrap())),
            (_, _, Some(text)) => {
                let text = text.as_str().unwrap().to_owned();
                json!(known.iter().fold(text, |text, (name, it)| text.replace(&format!("${{{name}}}"), it)))
            }
            _ => Value::Object(map.iter().map(|(key, value)| (key.clone(), resolved(value))).collect()),
        },
        Value::Object(map) => Value::Object(map.iter().map(|(key, value)| (key.clone(), resolved(value))).collect()),
        Value::Array(list) => list.iter().map(resolved).collect(),
        plain => plain.clone(),
    }
}

#[track_caller]
fn same(mut printed: Value, mut sent: Value) {
    // Labels of a release are made when it is; those of the place are looked at elsewhere.
    for side in [&mut printed, &mut sent] {
        side.as_object_mut().unwrap().remove("Tags");
        // Which revision it is, and who asked, is only known then.
        side.as_object_mut().unwrap().remove("TaskDefinition");
        side.as_object_mut().unwrap().remove("ClientToken");
    }
    assert_eq!(printed, sent);
}

async fn check(place: PlaceSpec, service: ServiceSpec) {
    let side = if matches!(place.network, crate::spec::Network::Made { mode: Made::Public, .. }) {
        "Public"
    } else {
        "Private"
    };
    let fargate = Fargate {
        region: "eu-west-1".to_owned(),
        account: "123456789012".to_owned(),
        subnets: ["A", "B"].map(|zone| format!("Ref {side}Subnet{zone}")).to_vec(),
        security_groups: vec!["Ref TaskSecurityGroup".to_owned()],
        public_ip: side == "Public",
        // The partition of secrets is read out of it.
        execution_role_arn: "GetAtt ExecutionRole".to_owned(),
        task_role_arn: Some("GetAtt TaskRole".to_owned()),
        architecture: "X86_64".to_owned(),
    };
    let mut sent = requests(&service, fargate).await;
    // The SDK says 0 where nothing was said; ECS takes it for nothing.
    let container = &mut sent.get_mut("RegisterTaskDefinition").unwrap()["containerDefinitions"][0];
    assert_eq!(container.as_object_mut().unwrap().remove("cpu"), Some(json!(0)));
    let printed = read_yaml(&[whole(&place, &service, "X86_64").unwrap()]);
    let printed = |id: &str| resolved(&printed[0]["Resources"][id]["Properties"]);
    same(printed("TaskDefinition"), capitalised(&sent["RegisterTaskDefinition"]));
    same(printed("Service"), capitalised(&sent["CreateService"]));
}

#[tokio::test]
async fn the_printed_service_is_the_one_that_is_created() {
    check(default_place(), default_service()).await;
}

#[tokio::test]
async fn the_printed_service_has_every_setting_of_the_one_that_is_created() {
    let secrets = ["ssm:/time/key", "arn:aws:ssm:eu-west-1:123456789012:parameter/x", "secretsmanager:db:user::"];
    let secrets: Vec<String> = secrets.map(str::to_owned).to_vec();
    let named = secrets.iter().enumerate().map(|(index, secret)| (format!("SECRET_{index}"), secret.clone()));
    let mut service = ServiceSpec {
        port: 9090,
        health: "/health".to_owned(),
        command: vec!["--flag".to_owned(), "a \"b\" ${c}".to_owned()],
        env: [("LOG", "info: #1"), ("PORT", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())).into(),
        secrets: named.collect(),
        size: gimmetime_ops::Size { cpu: 1024, memory: 2048 },
        count: Some(3),
        ..default_service()
    };
    service.rollout.failures = None;
    service.rollout.min_healthy_percent = 50;
    service.rollout.stop_timeout = Duration::from_secs(5);
    let secrets = secrets.into_iter().collect();
    check(PlaceSpec { network: made(Made::Nat, 2), secrets, ..default_place() }, service).await;
}

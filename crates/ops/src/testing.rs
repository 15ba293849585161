//! An endpoint for tests: a real socket that answers the real SDK with canned replies, and writes down what it was asked.

mod spec;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use gimmetime_check::Url;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cancel::Cancel;
use crate::connection::Connection;
use crate::event::Event;
use crate::place::{Fargate, Launch, Place, Probe, Rollout, Run, ServiceSpec, Size};

/// A reply: status and body.
pub(crate) type Reply = (u16, String);
type Answer = Box<dyn FnMut(&str, &str) -> Reply + Send>;

/// What was asked so far: operation and body.
pub(crate) type Asked = Arc<Mutex<Vec<(String, String)>>>;

/// Starts the endpoint; `answer` gets the operation's name and the request's body.
pub(crate) async fn endpoint(answer: impl FnMut(&str, &str) -> Reply + Send + 'static) -> (Connection, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
    tokio::spawn({
        let asked = Arc::clone(&asked);
        async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answer), Arc::clone(&asked)));
            }
        }
    });
    (Connection::local(&url, "AKIDEXAMPLE", "secret", "local"), asked)
}

async fn serve(mut stream: TcpStream, answer: Arc<Mutex<Answer>>, asked: Asked) {
    let mut buffer = Vec::new();
    while let Some((operation, body)) = request(&mut stream, &mut buffer).await {
        asked.lock().unwrap().push((operation.clone(), body.clone()));
        let (status, reply) = (*answer.lock().unwrap())(&operation, &body);
        let kind = if reply.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", reply.len());
        if stream.write_all((head + &reply).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, String)> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            let length: usize = header("content-length:").and_then(|value| value.parse().ok()).unwrap_or(0);
            let total = end + 4 + length;
            if total <= buffer.len() {
                let body = String::from_utf8_lossy(&buffer[end + 4..total]).into_owned();
                let target = header("x-amz-target:").and_then(|target| target.rsplit('.').next().map(str::to_owned));
                let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_lowercase);
                buffer.drain(..total);
                return Some((target.or(action)?, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// An error in the shape of AWS JSON 1.1.
pub(crate) fn error(code: &str, message: &str) -> Reply {
    (400, json!({ "__type": code, "message": message }).to_string())
}

/// A reply that is fine.
pub(crate) fn ok(value: &Value) -> Reply {
    (200, value.to_string())
}

/// The reply of `DescribeTargetHealth`.
pub(crate) fn target_health(targets: &[(u16, &str)]) -> Reply {
    let member = |(port, state): &(u16, &str)| {
        format!(
            "<member><Target><Id>127.0.0.1</Id><Port>{port}</Port></Target>\
             <TargetHealth><State>{state}</State></TargetHealth></member>"
        )
    };
    let members: String = targets.iter().map(member).collect();
    let body = format!(
        "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <DescribeTargetHealthResult><TargetHealthDescriptions>{members}</TargetHealthDescriptions>\
         </DescribeTargetHealthResult></DescribeTargetHealthResponse>"
    );
    (200, body)
}

/// The reply of `DescribeTargetGroups`, of one that asks this path.
pub(crate) fn target_group(path: &str) -> Reply {
    let body = format!(
        "<DescribeTargetGroupsResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <DescribeTargetGroupsResult><TargetGroups><member><HealthCheckPath>{path}</HealthCheckPath></member>\
         </TargetGroups></DescribeTargetGroupsResult></DescribeTargetGroupsResponse>"
    );
    (200, body)
}

/// A place at this endpoint, without a probe.
pub(crate) fn place(endpoint: Connection) -> Place {
    Place {
        cluster: "web".to_owned(),
        service: "web".to_owned(),
        target_group_arn: "arn:aws:elasticloadbalancing:local:0:targetgroup/web/0".to_owned(),
        log_group: "/gimmetime/web".to_owned(),
        event_log_group: None,
        url: "http://127.0.0.1:9/".parse::<Url>().unwrap(),
        connect_to: None,
        endpoint,
        poll: Duration::from_millis(5),
        patience: Duration::from_secs(10),
        probe: Probe { rate: 0.0, timeout: Duration::from_secs(1), judge_clock: false, tail: Duration::ZERO },
        launch: Launch::Local,
        tags: BTreeMap::new(),
    }
}

/// What Fargate must be told, of a place that nobody has.
pub(crate) fn fargate() -> Fargate {
    Fargate {
        region: "eu-west-1".to_owned(),
        account: "123456789012".to_owned(),
        subnets: vec!["subnet-a".to_owned(), "subnet-b".to_owned()],
        security_groups: vec!["sg-a".to_owned()],
        public_ip: true,
        execution_role_arn: "arn:aws:iam::123456789012:role/execution".to_owned(),
        task_role_arn: Some("arn:aws:iam::123456789012:role/task".to_owned()),
        architecture: "X86_64".to_owned(),
    }
}

/// A specification with this digest.
pub(crate) fn spec(digest: &str) -> ServiceSpec {
    let image = format!("localhost/web@sha256:{digest}");
    ServiceSpec { declared_image: "builtin".to_owned(), ..spec::spec_of(&image) }
}

/// A run by alice, and its events.
pub(crate) fn run() -> (Run, UnboundedReceiver<Event>) {
    let (events, receiver) = unbounded_channel();
    (Run { who: "alice".to_owned(), pushed: None, events, cancel: Cancel::never() }, receiver)
}

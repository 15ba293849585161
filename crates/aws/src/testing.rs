//! AWS for tests, as far as no emulator goes: a real socket that answers the real SDK and our own client by a script, and
//! writes down what it was asked.

pub(crate) mod cloud;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_cloudformation::config::Region;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use gimmetime_ops::{Cancel, cancellation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::error::AwsError;
use crate::event::PlaceEvent;
use crate::session::{Session, SessionSpec};
use crate::stack::{Pace, PlaceRun, Wanted};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// From the signature: `cloudformation`.
    pub(crate) service: String,
    pub(crate) action: String,
    pub(crate) body: String,
    /// All headers as they came, names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    /// A parameter of a form call, unescaped.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.body.split('&').filter_map(|pair| pair.split_once('='));
        let mut found = pairs.filter(|(key, _)| unescape(key) == name);
        found.next().map(|(_, value)| unescape(value))
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let hex: String = [rest.next().unwrap(), rest.next().unwrap()].map(char::from).iter().collect();
                bytes.push(u8::from_str_radix(&hex, 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reply {
    /// Status and body.
    Says(u16, String),
    /// The connection ends without one.
    Cut,
}

/// The result of a form call, in its envelope.
pub(crate) fn xml(action: &str, result: &str) -> Reply {
    Reply::Says(200, format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>"))
}

/// The result of an EC2 call, which has no inner envelope.
pub(crate) fn ec2(action: &str, result: &str) -> Reply {
    Reply::Says(200, format!("<{action}Response>{result}</{action}Response>"))
}

/// A result in JSON.
pub(crate) fn json(value: &serde_json::Value) -> Reply {
    Reply::Says(200, value.to_string())
}

/// A refusal, in the shape of the service.
pub(crate) fn refuse(service: &str, code: &str, message: &str) -> Reply {
    let body = match service {
        "ec2" => format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        ),
        "cloudformation" | "iam" | "sts" | "elasticloadbalancing" | "monitoring" => {
            format!(
                "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        }
        _ => serde_json::json!({"__type": code, "message": message}).to_string(),
    };
    Reply::Says(if code.contains("Denied") { 403 } else { 400 }, body)
}

type Answer = Box<dyn FnMut(&Asked) -> Reply + Send>;

/// A scripted AWS, listening.
#[derive(Clone)]
pub(crate) struct Aws {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    faults: Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>,
    identity: Arc<Mutex<(String, String, String)>>,
}

impl Aws {
    /// Starts it. Who is asking is answered by itself: alice of account 123456789012.
    pub(crate) async fn start(answer: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let alice = ("123456789012", "AIDAEXAMPLE", "arn:aws:iam::123456789012:user/alice");
        let aws = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            faults: Arc::default(),
            identity: Arc::new(Mutex::new((alice.0.to_owned(), alice.1.to_owned(), alice.2.to_owned()))),
        };
        let answer: Arc<Mutex<Answer>> = Arc::new(Mutex::new(Box::new(answer)));
        tokio::spawn({
            let aws = aws.clone();
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(aws.clone().serve(stream, Arc::clone(&answer)));
                }
            }
        });
        aws
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The next calls of this action are answered so, each once, before anything else answers.
    pub(crate) fn fail(&self, action: &str, replies: impl IntoIterator<Item = Reply>) {
        self.faults.lock().unwrap().entry(action.to_owned()).or_default().extend(replies);
    }

    /// No call fails any more.
    pub(crate) fn forget_faults(&self) {
        self.faults.lock().unwrap().clear();
    }

    /// Another caller.
    pub(crate) fn is_asked_by(&self, account: &str, user_id: &str, arn: &str) {
        *self.identity.lock().unwrap() = (account.to_owned(), user_id.to_owned(), arn.to_owned());
    }

    /// The actions that were asked for, in order, without STS.
    pub(crate) fn actions(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .filter(|asked| asked.service != "sts")
            .map(|asked| asked.action.clone())
            .collect()
    }

    /// How often an action was asked for.
    pub(crate) fn count(&self, action: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|asked| asked.action == action).count()
    }

    /// All calls, in order.
    pub(crate) fn all(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The calls of an action.
    pub(crate) fn calls(&self, action: &str) -> Vec<Asked> {
        self.asked.lock().unwrap().iter().filter(|asked| asked.action == action).cloned().collect()
    }

    /// A session, as alice.
    pub(crate) async fn session(&self) -> Session {
        self.open(&SessionSpec::default()).await.unwrap()
    }

    /// A session, or why there is none.
    pub(crate) async fn open(&self, spec: &SessionSpec) -> Result<Session, AwsError> {
        let credentials = Credentials::from_keys("AKIDEXAMPLE", "secret", None);
        let retries = RetryConfig::standard().with_max_attempts(3).with_initial_backoff(Duration::from_millis(1));
        let loader = Session::loader(spec)
            .region(Region::new("eu-west-1"))
            .endpoint_url(&self.url)
            .credentials_provider(credentials)
            .retry_config(retries);
        Session::open_with(loader, spec).await
    }

    async fn serve(self, mut stream: TcpStream, answer: Arc<Mutex<Answer>>) {
        let mut buffer = Vec::new();
        while let Some(asked) = read(&mut stream, &mut buffer).await {
            self.asked.lock().unwrap().push(asked.clone());
            let fault = self.faults.lock().unwrap().get_mut(&asked.action).and_then(VecDeque::pop_front);
            let reply = match fault {
                Some(reply) => reply,
                None if asked.action == "GetCallerIdentity" => {
                    let (account, user, arn) = self.identity.lock().unwrap().clone();
                    let result = format!("<Arn>{arn}</Arn><UserId>{user}</UserId><Account>{account}</Account>");
                    xml("GetCallerIdentity", &result)
                }
                None => (*answer.lock().unwrap())(&asked),
            };
            let Reply::Says(status, body) = reply else { return };
            let kind = if body.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
            let head = format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n", body.len());
            if stream.write_all((head + &body).as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Asked> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
            let headers: Vec<(String, String)> = head
                .lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
                .collect();
            let header = |wanted: &str| headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone());
            let length: usize = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
            if end + 4 + length <= buffer.len() {
                let body = String::from_utf8_lossy(&buffer[end + 4..end + 4 + length]).into_owned();
                buffer.drain(..end + 4 + length);
                // Credential=AKID/20261126/eu-west-1/cloudformation/aws4_request
                let service = header("authorization")?.split('/').nth(3)?.to_owned();
                let target = header("x-amz-target").and_then(|target| target.rsplit('.').next().map(str::to_owned));
                let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).map(str::to_owned);
                return Some(Asked { service, action: target.or(action)?, body, headers });
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

/// A run that looks all the time, and its events.
pub(crate) fn run() -> (PlaceRun, UnboundedReceiver<PlaceEvent>) {
    let (events, receiver) = unbounded_channel();
    (PlaceRun { events, cancel: Cancel::never(), pace: pace() }, receiver)
}

/// A run that was interrupted before it began.
pub(crate) fn interrupted_run() -> PlaceRun {
    let (canceller, cancel) = cancellation();
    canceller.cancel();
    PlaceRun { cancel, ..run().0 }
}

fn pace() -> Pace {
    Pace { poll: Duration::from_millis(1), settle: Duration::from_millis(1), patience: Duration::from_mins(1) }
}

/// What happened so far.
pub(crate) fn events(receiver: &mut UnboundedReceiver<PlaceEvent>) -> Vec<PlaceEvent> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}

/// The stack `web` of alice.
pub(crate) fn wanted() -> Wanted {
    Wanted {
        name: "web".to_owned(),
        template: "Resources: {}".to_owned(),
        owner: "alice".to_owned(),
        tags: [("gimmetime:name", "web"), ("gimmetime:place", "1"), ("team", "time")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        protect: false,
    }
}

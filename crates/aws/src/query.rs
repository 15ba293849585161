//! The few calls whose SDK crates are not worth their weight: EC2, IAM and CloudWatch (form and XML), Logs, Events,
//! Quotas and Tagging (JSON). One signed client for all of them, over the SDK's HTTP stack, credentials and endpoint.

mod endpoint;
mod retry;
mod xml;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use gimmetime_clock::{Timestamp, source};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;

pub(crate) use endpoint::Service;
pub use endpoint::registry_host;
pub(crate) use xml::Element;

use crate::error::{AwsError, by_code, innermost};

/// One try of one call.
const ATTEMPT: Duration = Duration::from_secs(20);
/// One call with all its tries, as the SDK has it: none begins after it.
const OPERATION: Duration = Duration::from_mins(1);
/// The largest reply that is read; a page of any of these calls is far smaller.
const MAX_REPLY: usize = 8 << 20;

/// A signed client for what has no SDK crate here. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Query {
    inner: Arc<Inner>,
}

struct Inner {
    config: SdkConfig,
    connector: std::sync::OnceLock<SharedHttpConnector>,
    credentials: Option<SharedCredentialsProvider>,
}

/// A moment as the SDK takes it.
pub(crate) fn system_time(moment: Timestamp) -> SystemTime {
    UNIX_EPOCH + moment.since(Timestamp::EPOCH).magnitude()
}

/// One request, before it is signed.
struct Ask<'a> {
    doing: &'a str,
    service: Service,
    content_type: &'static str,
    target: Option<String>,
    body: String,
}

impl Query {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let credentials = config.credentials_provider();
        let connector = std::sync::OnceLock::new();
        Self { inner: Arc::new(Inner { config: config.clone(), connector, credentials }) }
    }

    /// A call in form and XML; the reply's root element. `doing` completes "cannot …".
    pub(crate) async fn form(
        &self,
        doing: &str,
        service: Service,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Element, AwsError> {
        let mut body = format!("Action={action}&Version={}", service.version());
        for (name, value) in parameters {
            body.extend(["&", &endpoint::escape(name), "=", &endpoint::escape(value)]);
        }
        let content_type = "application/x-www-form-urlencoded; charset=utf-8";
        let ask = Ask { doing, service, content_type, target: None, body };
        let (status, reply) = self.call(&ask).await?;
        let root = Element::parse(&reply)
            .ok_or_else(|| AwsError::Incomplete { doing: doing.to_owned(), missing: "XML".to_owned() });
        if (200..300).contains(&status) {
            return root;
        }
        let error = root.ok().and_then(|root| root.error());
        let (code, message) = error.unwrap_or_else(|| (status.to_string(), reply));
        Err(by_code(doing, &code, &message))
    }

    /// A call in AWS JSON 1.1. `doing` completes "cannot …".
    pub(crate) async fn json(
        &self,
        doing: &str,
        service: Service,
        operation: &str,
        body: &Value,
    ) -> Result<Value, AwsError> {
        let target = Some(format!("{}.{operation}", service.version()));
        let content_type = "application/x-amz-json-1.1";
        let ask = Ask { doing, service, content_type, target, body: body.to_string() };
        let (status, reply) = self.call(&ask).await?;
        let value = serde_json::from_str::<Value>(&reply)
            .map_err(|_| AwsError::Incomplete { doing: doing.to_owned(), missing: "JSON".to_owned() });
        if (200..300).contains(&status) {
            return value;
        }
        let value = value.unwrap_or_default();
        let code = value["__type"].as_str().or(value["code"].as_str());
        let code = code.map_or_else(|| status.to_string(), |code| code.rsplit('#').next().unwrap_or(code).to_owned());
        let message = value["message"].as_str().or(value["Message"].as_str()).unwrap_or(&reply);
        Err(by_code(doing, &code, message))
    }

    /// Where a service is asked.
    pub(crate) fn endpoint(&self, service: Service) -> String {
        endpoint::resolve(&self.inner.config, service)
    }

    /// Asks until there is an answer that is not "busy": status and body.
    async fn call(&self, ask: &Ask<'_>) -> Result<(u16, String), AwsError> {
        let mut tries = retry::Tries::new(self.inner.config.retry_config());
        let began = source::mono();
        loop {
            let answer = self.attempt(ask).await;
            let again = match &answer {
                Ok((status, body)) => retry::is_busy(*status, body),
                Err(error) => error.is_passing(),
            };
            let again = again && source::mono().since(began) < OPERATION;
            match tries.next_pause().filter(|_| again) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return answer,
            }
        }
    }

    async fn attempt(&self, ask: &Ask<'_>) -> Result<(u16, String), AwsError> {
        let url = self.endpoint(ask.service);
        let unreachable =
            |reason: String| AwsError::Unreachable { doing: ask.doing.to_owned(), endpoint: url.clone(), reason };
        let request = self.signed(ask, &url).await?;
        let answer = async {
            let reply = self.connector().call(request).await.map_err(|error| unreachable(innermost(&error)))?;
            let status = reply.status().as_u16();
            let body = Limited::new(reply.into_body(), MAX_REPLY).collect().await;
            let body = body.map_err(|error| unreachable(innermost(error.as_ref())))?.to_bytes();
            Ok((status, String::from_utf8_lossy(&body).into_owned()))
        };
        let late = |_| unreachable(format!("nothing within {} s", ATTEMPT.as_secs()));
        tokio::time::timeout(ATTEMPT, answer).await.map_err(late)?
    }

    async fn signed(&self, ask: &Ask<'_>, url: &str) -> Result<HttpRequest, AwsError> {
        let expired = |message: String| AwsError::Expired { doing: ask.doing.to_owned(), message };
        let provider = self.inner.credentials.as_ref().ok_or_else(|| expired("there are none".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| expired(innermost(&error)))?;
        let identity = credentials.into();
        let region = endpoint::signing_region(&self.inner.config, ask.service);
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&region)
            .name(ask.service.signing_name())
            .time(system_time(source::wall()))
            .settings(SigningSettings::default())
            .build()
            .expect("all parameters are given")
            .into();
        let mut request = http::Request::post(url).header("content-type", ask.content_type);
        if let Some(target) = &ask.target {
            request = request.header("x-amz-target", target);
        }
        let mut request = request.body(SdkBody::from(ask.body.as_str())).map_err(|error| AwsError::Unreachable {
            doing: ask.doing.to_owned(),
            endpoint: url.to_owned(),
            reason: error.to_string(),
        })?;
        let headers = request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default()));
        let headers: Vec<(&str, &str)> = headers.collect();
        let signable = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(ask.body.as_bytes()))
            .expect("the URL was parsed a moment ago");
        let (instructions, _) = sign(signable, &parameters).expect("nothing in it is streamed").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Ok(request.try_into().expect("an HTTP/1 request with ASCII headers"))
    }

    /// Made when it is first needed: reading the machine's certificates takes a while.
    fn connector(&self) -> &SharedHttpConnector {
        self.inner.connector.get_or_init(|| {
            let builder = Connector::builder().proxy_config(ProxyConfig::from_env());
            SharedHttpConnector::new(builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).build())
        })
    }
}

#[cfg(test)]
mod tests;

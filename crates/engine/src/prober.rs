//! Health checks as the ALB makes them: a GET on a connection of its own, and what the reply's stamps say of the clock.

use gimmetime_check::http::{self, Fault};
use gimmetime_check::{bound, readings};
use gimmetime_scheduler::{Input, ProbeOrder, ProbeOutcome};

/// How targets recognise a health check.
const USER_AGENT: &str = "ELB-HealthChecker/2.0";

/// Makes one check.
pub(crate) async fn probe(order: ProbeOrder) -> Input {
    let host = order.address.to_string();
    let headers = [("User-Agent", USER_AGENT)];
    let outcome = match http::get(order.address, &host, &order.path, &headers, order.timeout).await {
        Ok(reply) => {
            let clock = bound(reply.sent.wall, reply.done.wall, &readings(&reply));
            ProbeOutcome::Answered { status: reply.status, clock }
        }
        Err(Fault::Timeout(_) | Fault::ConnectTimeout(_)) => ProbeOutcome::TimedOut,
        Err(fault) => ProbeOutcome::Failed { error: fault.to_string() },
    };
    Input::Probed { task: order.task, outcome }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::Duration;

    use gimmetime_scheduler::model::TaskId;

    use super::*;

    async fn probe_of(answer: Option<&'static str>, timeout: Duration) -> (ProbeOutcome, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4_096];
            let length = stream.read(&mut request).unwrap();
            let Some(answer) = answer else {
                // Says nothing until the other side has given up.
                let _ = stream.read(&mut request);
                return String::new();
            };
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let order = ProbeOrder { task: TaskId("1".into()), address, path: "/live".into(), timeout };
        let Input::Probed { outcome, .. } = probe(order).await else { panic!("a probe ends as Probed") };
        (outcome, server.join().unwrap())
    }

    #[tokio::test]
    async fn a_check_looks_like_the_albs_and_tells_the_status() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
        let (outcome, request) = probe_of(Some(answer), Duration::from_secs(5)).await;
        assert!(matches!(outcome, ProbeOutcome::Answered { status: 503, clock: None }), "{outcome:?}");
        assert!(request.starts_with("GET /live HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
        assert!(request.contains("User-Agent: ELB-HealthChecker/2.0\r\n"), "{request}");
        assert!(request.contains("Connection: close\r\n"), "{request}");
    }

    #[tokio::test]
    async fn silence_is_a_timeout_and_a_closed_port_a_failure() {
        let (outcome, _) = probe_of(None, Duration::from_millis(50)).await;
        assert!(matches!(outcome, ProbeOutcome::TimedOut), "{outcome:?}");
        // Not a port that was just let go: another test may get it.
        let address = ([127, 9, 9, 9], 9).into();
        let timeout = Duration::from_secs(1);
        let input = probe(ProbeOrder { task: TaskId("1".into()), address, path: "/".into(), timeout }).await;
        let Input::Probed { outcome: ProbeOutcome::Failed { error }, .. } = input else { panic!("{input:?}") };
        assert_eq!(error, "connection refused");
    }
}

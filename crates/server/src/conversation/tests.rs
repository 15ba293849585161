use std::cell::Cell;
use std::time::Duration;

use gimmetime_clock::{KernelClock, Mono, Synchronization, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::site::Site;

/// A clock that moves on by a nanosecond each time it is read.
struct Still(Cell<i64>);

impl Clock for Still {
    fn wall(&self) -> Timestamp {
        self.0.set(self.0.get() + 1);
        Timestamp::from_nanos(self.0.get())
    }

    fn mono(&self) -> Mono {
        Mono::from_nanos(1)
    }

    fn kernel(&self) -> KernelClock {
        KernelClock { status: Synchronization::Synchronized, error_bound: Some(Duration::from_millis(50)) }
    }
}

const START: Timestamp = Timestamp::from_secs(1_795_342_020);

fn site() -> Site {
    Site::new("0123456789ab".to_owned())
}

/// Replies to what was read at [`START`].
fn replies_to<'a>(site: &'a Site, clock: &'a Still, out: &'a mut Vec<u8>) -> Replies<'a, Still> {
    Replies { site, clock, received: START, out }
}

/// What comes back for the parts, sent one after the other.
fn talk_on<'a>(site: &Site, parts: impl IntoIterator<Item = &'a [u8]>) -> (String, Situation) {
    let (clock, mut talk, mut replies) = (Still(Cell::new(START.as_nanos())), Conversation::default(), Vec::new());
    for part in parts {
        let mut out = Vec::new();
        talk.advance(part, &mut replies_to(site, &clock, &mut out));
        while talk.is_paused() {
            replies.append(&mut out);
            talk.advance(b"", &mut replies_to(site, &clock, &mut out));
        }
        replies.append(&mut out);
    }
    (String::from_utf8(replies).unwrap(), talk.situation())
}

fn talk(request: impl AsRef<[u8]>) -> (String, Situation) {
    talk_on(&site(), [request.as_ref()])
}

/// Asserts the one reply's status, and that it ends the talk.
#[track_caller]
fn refused(request: impl AsRef<[u8]>, status: &str) {
    let (reply, situation) = talk(request);
    assert!(reply.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{reply}");
    assert!(reply.contains("\r\nConnection: close\r\n"), "{reply}");
    assert_eq!(reply.matches("HTTP/1.1 ").count(), 1, "{reply}");
    assert_eq!(situation, Situation::Over(Ending::Ours));
}

/// Asserts the statuses of the replies, and how the talk stands.
#[track_caller]
fn answered(request: impl AsRef<[u8]>, statuses: &[&str], stands: Situation) {
    let (replies, situation) = talk(request);
    let got: Vec<&str> = replies.split("HTTP/1.1 ").skip(1).map(|reply| reply.split("\r\n").next().unwrap()).collect();
    assert_eq!((got.as_slice(), situation), (statuses, stands));
}

const OK: &str = "200 OK";

#[test]
fn a_get_is_answered_with_the_time_and_the_connection_stays() {
    let (reply, situation) = talk("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(reply.ends_with("\r\nGimmetime-Sent: 1795342020.000000001\r\n\r\n1795342020"), "{reply}");
    assert_eq!(situation, Situation::Idle);
}

#[test]
fn a_head_is_answered_like_a_get_without_the_body() {
    for path in ["/now", "/live", "/health"] {
        let get = talk(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")).0;
        let head = talk(format!("HEAD {path} HTTP/1.1\r\nHost: a\r\n\r\n")).0;
        assert_eq!(head, get[..get.find("\r\n\r\n").unwrap() + 4]);
    }
}

#[test]
fn a_query_an_absolute_target_and_empty_lines_before_are_fine() {
    for request in ["GET /now?x=1 HTTP/1.1", "GET http://a:80/now HTTP/1.1", "\r\n\r\nGET /now HTTP/1.1"] {
        answered(format!("{request}\r\nHost: a\r\n\r\n"), &[OK], Situation::Idle);
    }
}

#[test]
fn other_paths_and_methods_are_refused_and_the_connection_stays() {
    for target in ["/", "/now/", "/nowhere", "*", "http://now", "http://a?/now", "/%6eow"] {
        answered(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"), &["404 Not Found"], Situation::Idle);
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"] {
        let request = format!("{method} /now HTTP/1.1\r\nHost: a\r\n\r\n");
        answered(&request, &["405 Method Not Allowed"], Situation::Idle);
        assert!(talk(&request).0.contains("\r\nAllow: GET, HEAD\r\n"));
    }
}

#[test]
fn a_connection_closes_when_the_client_says_so_and_for_http_1_0_unless_it_says_otherwise() {
    let over = Situation::Over(Ending::Agreed);
    answered("GET /now HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\nGET", &[OK], over);
    answered("GET /now HTTP/1.0\r\n\r\n", &[OK], over);
    answered("GET /now HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &[OK], Situation::Idle);
    assert!(talk("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").0.contains("\r\nConnection: keep-alive\r\n"));
    assert!(talk("GET /now HTTP/1.0\r\n\r\n").0.contains("\r\nConnection: close\r\n"));
}

#[test]
fn what_is_no_unambiguous_request_is_refused() {
    for request in [
        "GET /now HTTP/1.1\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\nx",
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /now HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense",
        "GET /now\r\n\r\n",
        "GET  /now HTTP/1.1\r\nHost: a\r\n\r\n",
        "hello\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "\0",
    ] {
        refused(request, "400 Bad Request");
    }
}

#[test]
fn other_versions_codings_and_expectations_are_refused_by_name() {
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505 HTTP Version Not Supported");
    refused("GET /now HTTP/1.2\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported");
    for coding in ["gzip", "gzip, chunked", "chunked, chunked", "chunked\r\nTransfer-Encoding: chunked", "", "x"] {
        let request = format!("GET /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n");
        refused(request, "501 Not Implemented");
    }
    refused("GET /now HTTP/1.1\r\nHost: a\r\nExpect: miracles\r\n\r\n", "417 Expectation Failed");
}

#[test]
fn a_head_that_is_too_long_is_refused_as_soon_as_that_is_known() {
    let long = "x".repeat(request::MAX_LINE);
    refused(format!("GET /{long}"), "414 URI Too Long");
    refused(format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), "414 URI Too Long");
    let large = format!("GET /now HTTP/1.1\r\nHost: a\r\nLarge: {}", "x".repeat(request::MAX_HEAD));
    refused(&large, "431 Request Header Fields Too Large");
    refused(format!("{large}\r\n\r\n"), "431 Request Header Fields Too Large");
    let fields = |count| format!("GET /now HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(count));
    answered(fields(request::MAX_HEADERS - 1), &[OK], Situation::Idle);
    refused(fields(request::MAX_HEADERS), "431 Request Header Fields Too Large");
}

#[test]
fn the_longest_head_that_is_allowed_is_answered() {
    let line = format!("GET /now?{} HTTP/1.1\r\n", "x".repeat(request::MAX_LINE - 19));
    assert_eq!(line.len(), request::MAX_LINE + 1);
    refused(format!("{line}Host: a\r\n\r\n"), "414 URI Too Long");
    let line = line.replacen('x', "", 1);
    let rest = request::MAX_HEAD - line.len() - "Host: a\r\nLarge: \r\n\r\n".len();
    let head = format!("{line}Host: a\r\nLarge: {}\r\n\r\n", "x".repeat(rest));
    answered(&head, &[OK], Situation::Idle);
    refused(head.replacen("Large: ", "Large: x", 1), "431 Request Header Fields Too Large");
}

#[test]
fn a_body_is_read_before_the_answer_and_thrown_away() {
    let next = "GET /live HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = format!("GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello{next}");
    answered(length, &[OK, OK], Situation::Idle);
    let chunked =
        format!("POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{next}");
    answered(chunked, &["405 Method Not Allowed", OK], Situation::Idle);
    answered("GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell", &[], Situation::Receiving);
    answered(
        "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nExpect: 100-continue\r\n\r\n",
        &[OK],
        Situation::Idle,
    );
}

#[test]
fn a_body_that_is_too_large_is_not_waited_for() {
    for length in ["65537", "99999999999999999999999999"] {
        refused(format!("GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n"), "413 Content Too Large");
    }
    refused("POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", "405 Method Not Allowed");
    refused("GET /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n", "413 Content Too Large");
}

#[test]
fn a_client_that_holds_its_body_back_is_answered_at_once() {
    let request = "GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    answered(request, &[OK], Situation::Over(Ending::Ours));
}

#[test]
fn a_clock_that_the_balancer_proves_wrong_is_unhealthy_but_alive() {
    let behind = START.unix_seconds() + 3;
    let request = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: a\r\nX-Amzn-Trace-Id: Root=1-{behind:08x}-012345678901234567890123\r\n\r\n"
        )
    };
    let (reply, _) = talk(request("/health"));
    assert!(reply.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{reply}");
    assert!(reply.ends_with("clock wrong: at least 3.000 s behind the load balancer's\n"), "{reply}");
    answered(request("/live"), &[OK], Situation::Idle);
    let (healthy, _) = talk("GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(healthy.ends_with("ok: the kernel states a clock error of at most 0.050000 s\n"), "{healthy}");
}

#[test]
fn who_leaves_answers_what_is_there_and_says_goodbye_with_the_last() {
    let site = site();
    site.leave();
    let request = &b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n"[..];
    let (replies, situation) = talk_on(&site, [&request.repeat(3)[..]]);
    assert_eq!((replies.matches(OK).count(), replies.matches("Connection: close").count()), (3, 1), "{replies}");
    assert_eq!(situation, Situation::Over(Ending::Ours));
}

#[test]
fn a_pipelining_client_cannot_make_us_hold_more_than_the_limit() {
    let (site, clock, mut talk, mut out) = (site(), Still(Cell::new(0)), Conversation::default(), Vec::new());
    let requests = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    talk.advance(&requests, &mut replies_to(&site, &clock, &mut out));
    assert!(talk.is_paused() && out.len() < MAX_UNSENT + 512, "{}", out.len());
    while talk.is_paused() {
        out.clear();
        talk.advance(b"", &mut replies_to(&site, &clock, &mut out));
    }
    assert_eq!((talk.answered(), talk.situation()), (1000, Situation::Idle));
}

#[test]
fn a_request_that_takes_too_long_is_refused() {
    let (site, clock, mut talk, mut out) = (site(), Still(Cell::new(0)), Conversation::default(), Vec::new());
    talk.advance(b"GET /now", &mut replies_to(&site, &clock, &mut out));
    assert_eq!(talk.situation(), Situation::Receiving);
    talk.time_out(&mut replies_to(&site, &clock, &mut out));
    assert!(out.starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
    assert_eq!(talk.situation(), Situation::Over(Ending::Ours));
}

/// Pieces of requests, good and bad, from which talks are put together.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<&[u8]> = vec![
        b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n",
        b"HEAD /health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        b"GET /now HTTP/1.1\nHost: a\n\n",
        b"GET /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nA: b\r\n\r\n",
        b"GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        b"GET /now HTTP/1.0\r\n\r\n",
        b"GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n",
        b"GET /now HTTP/2.0\r\n\r\n",
        b"\r\n",
        b"\n",
        b"Host: a\r\n",
        b"GET /now HTTP/1.1\r\n",
        b"Transfer-Encoding: chunked\r\n",
    ];
    let piece = prop_oneof![
        8 => prop::sample::select(known).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 0..20),
        1 => prop::collection::vec(0x20_u8..0x7f, 0..20),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_of_the_same_bytes_gives_the_same_replies(bytes in pieces(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8)) {
        let whole = talk(&bytes);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
        cuts.sort_unstable();
        let parts: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
        prop_assert_eq!(&talk_on(&site(), parts), &whole);
        prop_assert_eq!(&talk_on(&site(), bytes.chunks(1)), &whole);
    }

    #[test]
    fn arbitrary_bytes_get_well_formed_replies_or_none(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let (replies, _) = talk(bytes);
        prop_assert!(replies.is_empty() || replies.starts_with("HTTP/1.1 "));
    }
}

use proptest::prelude::*;

use super::chunks::Scan;
use super::*;

fn judge(text: &[u8]) -> Result<Option<Head>, Refusal> {
    Finder::default().advance(text)
}

#[track_caller]
fn refused(text: &str, status: u16) {
    match judge(text.as_bytes()) {
        Err(refusal) => assert_eq!(refusal.status(), status, "{refusal:?} for {text:?}"),
        passed => panic!("{passed:?} for {text:?}"),
    }
}

#[track_caller]
fn passes(text: &str, framing: Framing) {
    assert_eq!(judge(text.as_bytes()), Ok(Some(Head { skip: 0, end: text.len(), framing })), "{text:?}");
}

fn get(fields: &str) -> String {
    format!("GET /now HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn a_head_without_a_length_has_no_body() {
    passes(&get(""), Framing::Length(0));
    passes("GET / HTTP/1.0\r\n\r\n", Framing::Length(0));
    passes("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Length(0));
    passes("GET http://a.example/now?x HTTP/1.1\r\nhost: a.example:80\r\n\r\n", Framing::Length(0));
    passes("GET /{\"json\"} HTTP/1.1\r\nhost: a\r\n\r\n", Framing::Length(0));
}

#[test]
fn a_body_is_as_long_as_its_length_or_its_chunks_say() {
    passes(&get("Content-Length: 42\r\n"), Framing::Length(42));
    passes(&get("Content-Length:42 \r\ncontent-length: 42\r\n"), Framing::Length(42));
    passes(&get("Transfer-Encoding: Chunked\r\n"), Framing::Chunked);
}

#[test]
fn what_two_parsers_may_read_differently_is_refused() {
    for fields in [
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 1\r\nContent-Length: 2\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: \r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: chunked, gzip\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        "Transfer-Encoding: \u{b}chunked\r\n",
        "Transfer-Encoding: chunked\u{c}\r\n",
        "Content-Length: 1\r\r\n",
        "Transfer-Encoding: \"chunked\"\r\n",
        "Transfer-Encoding:\r\n",
        "Transfer-Encoding : chunked\r\n",
        "A: b\r\n folded\r\n",
        "A b: c\r\n",
        ": c\r\n",
        "A\r\n",
        "A: b\nC: d\r\n",
        "A: b\rC: d\r\n",
        "A\0: b\r\n",
        "A: \u{7f}\r\n",
        "Host: b\r\n",
    ] {
        refused(&get(fields), 400);
    }
}

#[test]
fn a_request_line_is_three_parts_with_one_space_between_them() {
    for line in [
        "GET /now",
        "GET",
        "GET  /now HTTP/1.1",
        "GET /now HTTP/1.1 ",
        "GET /no w HTTP/1.1",
        "G\u{1}T / HTTP/1.1",
        " GET / HTTP/1.1",
        "GET now HTTP/1.1",
        "GET * HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /<a> HTTP/1.1",
        "GET https://a/ HTTP/1.1",
        "GET / HTTX/1.1",
        "GET / http/1.1",
        "GET / HTTP/1.x",
        "\u{16}\u{3}\u{1}",
    ] {
        refused(&format!("{line}\r\nHost: a\r\n\r\n"), 400);
    }
    refused("GET / HTTP/1.1\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    refused("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
    refused("\r\n\r\n\r\n\r\n\r\n", 400);
}

#[test]
fn statuses_are_those_of_the_load_balancer() {
    refused("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405);
    refused("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 405);
    refused("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505);
    refused(&get("Transfer-Encoding: gzip\r\n"), 501);
    refused(&get("Transfer-Encoding: gzip, chunked\r\n"), 501);
    refused(&get(&format!("X-Forwarded-For: {}\r\n", ["10.0.0.1"; 31].join(", "))), 463);
    passes(&get(&format!("X-Forwarded-For: {}\r\n", ["10.0.0.1"; 30].join(","))), Framing::Length(0));
}

#[test]
fn limits_hold_to_the_byte() {
    let line = |length: usize| format!("GET /{} HTTP/1.1", "a".repeat(length - "GET / HTTP/1.1".len()));
    passes(&format!("{}\r\nHost: a\r\n\r\n", line(REQUEST_LINE_LIMIT)), Framing::Length(0));
    refused(&format!("{}\r\nHost: a\r\n\r\n", line(REQUEST_LINE_LIMIT + 1)), 414);
    refused(&"a".repeat(REQUEST_LINE_LIMIT + 3), 414);
    let field = |length: usize| format!("A:{}\r\n", "b".repeat(length - 2));
    passes(&get(&field(HEADER_LIMIT)), Framing::Length(0));
    refused(&get(&field(HEADER_LIMIT + 1)), 400);
    refused(&get(&field(HEADER_LIMIT - 10).repeat(5)), 400);
    let host = "Host: a\r\n".len();
    let rest = HEADERS_LIMIT - host - 3 * (HEADER_LIMIT + 2);
    passes(&get(&(field(HEADER_LIMIT).repeat(3) + &field(rest - 2))), Framing::Length(0));
    refused(&get(&(field(HEADER_LIMIT).repeat(3) + &field(rest - 1))), 400);
    passes(&get(&"A:b\r\n".repeat(HEADER_COUNT_LIMIT - 1)), Framing::Length(0));
    refused(&get(&"A:b\r\n".repeat(HEADER_COUNT_LIMIT)), 400);
}

#[test]
fn empty_lines_in_front_are_skipped() {
    let text = b"\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    assert_eq!(judge(text), Ok(Some(Head { skip: 4, end: text.len(), framing: Framing::Length(0) })));
}

fn chunked_end(text: &[u8]) -> Option<Scan> {
    Chunks::default().scan(text)
}

#[test]
fn a_chunked_body_ends_with_the_empty_line_after_its_empty_chunk() {
    for body in ["0\r\n\r\n", "3\r\nabc\r\n0\r\n\r\n", "A;x=\"y\"\r\n0123456789\r\n00\r\nTrailer: v\r\nB:\r\n\r\n"] {
        let more = format!("{body}GET / HTTP/1.1");
        assert_eq!(chunked_end(more.as_bytes()), Some(Scan { taken: body.len(), done: true }), "{body:?}");
    }
}

#[test]
fn a_chunk_that_two_parsers_may_read_differently_is_refused() {
    for body in [
        "\r\n",
        ";\r\n",
        "-1\r\n",
        "0x3\r\n",
        " 3\r\n",
        "3 \r\n",
        "3\nabc",
        "3\r\nabcd\r\n",
        "3\r\nabc\n",
        "3;\n",
        "g\r\n",
        "0\r\n folded\r\n",
        "0\r\nName\r\n",
        "0\r\nName : v\r\n",
        "0\r\n\n",
        "0\r\nA: b\n",
        "ffffffffffffffff\r\n",
    ] {
        assert_eq!(chunked_end(body.as_bytes()), None, "{body:?}");
    }
    assert_eq!(chunked_end(format!("1;{}\r\n", "x".repeat(9000)).as_bytes()), None);
    assert_eq!(chunked_end(format!("0\r\nA: {}\r\n", "x".repeat(9000)).as_bytes()), None);
}

/// The messages that a stream holds: each head's end and body's end, and how it stops. `cuts` says how the bytes arrive.
fn messages(stream: &[u8], cuts: &[usize]) -> (Vec<(usize, usize)>, Option<Refusal>, bool) {
    let (mut found, mut start, mut arrived) = (Vec::new(), 0, 0);
    let more = |arrived: &mut usize| {
        let step = cuts.get(*arrived % cuts.len().max(1)).copied().unwrap_or(stream.len()).max(1);
        let before = *arrived;
        *arrived = (*arrived + step).min(stream.len());
        before < *arrived
    };
    loop {
        let mut finder = Finder::default();
        let head = loop {
            match finder.advance(&stream[start..arrived]) {
                Ok(Some(head)) => break head,
                Ok(None) if more(&mut arrived) => {}
                Ok(None) => return (found, None, start == stream.len()),
                Err(refusal) => return (found, Some(refusal), false),
            }
        };
        let body = start + head.end;
        let mut end = body;
        match head.framing {
            Framing::Length(length) => {
                end = body.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
                while arrived < end {
                    if !more(&mut arrived) {
                        return (found, None, false);
                    }
                }
            }
            Framing::Chunked => {
                let mut chunks = Chunks::default();
                loop {
                    match chunks.scan(&stream[end..arrived]) {
                        None => return (found, Some(Refusal::Malformed("chunk")), false),
                        Some(scan) => {
                            end += scan.taken;
                            if scan.done {
                                break;
                            }
                        }
                    }
                    if !more(&mut arrived) {
                        return (found, None, false);
                    }
                }
            }
        }
        found.push((body, end));
        start = end;
    }
}

fn message() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(get("")),
        (0_usize..40).prop_map(|n| get(&format!("Content-Length: {n}\r\n")) + &"x".repeat(n)),
        prop::collection::vec(1_usize..20, 0..4).prop_map(|sizes| {
            let chunks: Vec<_> = sizes.iter().map(|n| format!("{n:x}\r\n{}\r\n", "y".repeat(*n))).collect();
            get("Transfer-Encoding: chunked\r\n") + &chunks.concat() + "0\r\n\r\n"
        }),
        Just("\r\nGET / HTTP/1.0\r\n\r\n".to_owned()),
        "[ -~\r\n]{0,30}".prop_map(|junk| get(&junk)),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = judge(&bytes);
        let _ = chunked_end(&bytes);
    }

    #[test]
    fn any_split_of_any_stream_gives_the_same_messages(
        parts in prop::collection::vec(message(), 1..6),
        cuts in prop::collection::vec(1_usize..60, 1..30),
    ) {
        let stream = parts.concat();
        let whole = messages(stream.as_bytes(), &[]);
        prop_assert_eq!(messages(stream.as_bytes(), &cuts), whole.clone());
        prop_assert_eq!(messages(stream.as_bytes(), &[1]), whole);
    }

    #[test]
    fn what_passes_is_read_alike_by_the_parser_behind(line in "[A-Z]{1,4} [ -~é]{1,12} HTTP/1.[01]", fields in "([!-~]{1,8}: ?[ -~\t]{0,8}\r\n){0,3}") {
        let text = format!("{line}\r\nHost: a\r\n{fields}\r\n");
        if let Ok(Some(head)) = judge(text.as_bytes()) {
            let mut slots = [httparse::EMPTY_HEADER; HEADER_COUNT_LIMIT];
            let mut request = httparse::Request::new(&mut slots);
            prop_assert_eq!(request.parse(text.as_bytes()), Ok(httparse::Status::Complete(head.end)));
            let target = request.path.expect("it was parsed");
            prop_assert!(http::Uri::try_from(target).is_ok(), "{}", target);
            for header in request.headers.iter() {
                prop_assert!(http::HeaderValue::from_bytes(header.value).is_ok());
            }
        }
    }
}

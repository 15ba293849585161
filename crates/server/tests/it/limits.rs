//! What it does not let clients do.

use std::process::Command;
use std::time::Duration;

use gimmetime_server::{Limits, Running, settings_from};

use crate::program::{Client, Server, field, until};

/// A server in this process, with limits of its own.
fn limited(limits: Limits) -> Running {
    let args = ["--listen", "127.0.0.1:0"].map(str::to_owned);
    let mut settings = settings_from(args, |_| None).unwrap();
    settings.limits = limits;
    Running::start(settings, None).unwrap()
}

/// Under `ulimit -n`.
fn with_descriptors(count: u32) -> Server {
    let mut command = Command::new("sh");
    let script = format!("ulimit -n {count}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_gimmetime-server")]);
    Server::start_as(command)
}

/// Clock ticks of CPU that a process has used.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn a_head_that_dawdles_is_refused() {
    let running = limited(Limits { request: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::to(running.address());
    client.send("GET /now HTT");
    assert!(client.rest().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
}

#[test]
fn who_dawdles_when_it_leaves_is_not_waited_for_for_ever() {
    let running = limited(Limits { drain: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::to(running.address());
    client.send("GET /now HTT");
    Client::to(running.address()).get("/now"); // after this the beginning above was read
    running.leave();
    assert_eq!(running.join().unwrap().cut, 1);
}

#[test]
fn a_body_that_dawdles_is_refused() {
    let running = limited(Limits { request: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::to(running.address());
    client.send("GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
    assert!(client.rest().starts_with("HTTP/1.1 408 Request Timeout\r\n"));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let running = limited(Limits { idle: Duration::from_millis(200), ..Limits::default() });
    let mut client = Client::to(running.address());
    client.get("/now");
    assert_eq!(client.rest(), "");
}

#[test]
fn a_client_that_takes_nothing_of_its_replies_is_dropped() {
    use std::io::Write;
    let running = limited(Limits { write: Duration::from_millis(300), ..Limits::default() });
    let mut client = Client::to(running.address());
    let requests = b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1000);
    let stream = client.stream();
    until("the server gives up", || stream.write_all(&requests).err());
}

#[test]
fn a_large_request_is_refused_and_the_refusal_arrives() {
    let server = Server::start();
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\n", "x".repeat(20_000)), "414 URI Too Long"),
        (format!("GET /now HTTP/1.1\r\nA: {}\r\n", "x".repeat(40_000)), "431 Request Header Fields Too Large"),
        (
            format!("GET /now HTTP/1.1\r\nHost: a\r\n{}\r\n", "A: b\r\n".repeat(65)),
            "431 Request Header Fields Too Large",
        ),
        (
            format!("GET /now HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n{}", "x".repeat(200_000)),
            "413 Content Too Large",
        ),
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(), "400 Bad Request"),
    ] {
        let mut client = server.client();
        client.send(request);
        let reply = client.rest();
        assert!(reply.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{status}: {reply}");
    }
}

#[test]
fn hundreds_of_connections_are_served_with_few_descriptors() {
    let server = with_descriptors(64);
    let mut clients = Vec::new();
    for _ in 0..400 {
        let mut client = server.client();
        assert_eq!(client.get("/now").1.len(), 10);
        clients.push(client); // and stays open
    }
}

#[test]
fn a_crowd_of_dawdlers_is_told_once_and_costs_no_spinning() {
    let mut server = with_descriptors(40);
    let dawdlers: Vec<Client> = (0..60)
        .map(|_| {
            let mut client = server.client();
            client.send("GET /now HTT");
            client
        })
        .collect();
    let event = server.event();
    assert_eq!(field(&event, "event"), Some("crowded"), "{event}");
    assert_eq!(field(&event, "reason").map(|reason| reason.contains("open files")), Some(true), "{event}");
    let before = cpu_ticks(server.pid);
    assert!(
        server.client().rest().starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "turned away, not left waiting"
    );
    assert!(cpu_ticks(server.pid) - before < 50, "half a second of CPU went into waiting for a second");
    drop(dawdlers);
    until("there is room again", || {
        let mut client = server.client();
        client.send("GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        client.rest().starts_with("HTTP/1.1 200 OK").then_some(())
    });
}

#[test]
fn more_connections_than_allowed_take_the_place_of_idle_ones() {
    let running = limited(Limits { connections: 8, ..Limits::default() });
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = Client::to(running.address());
        assert_eq!(client.get("/now").1.len(), 10);
        clients.push(client);
    }
    running.leave();
    let tally = running.join().unwrap();
    assert_eq!((tally.connections, tally.requests, tally.evicted, tally.cut), (50, 50, 42, 0));
}

//! How it leaves.

use rustix::process::Signal;

use crate::program::{Client, Server, field, header, until, wrapped};

/// Whether nothing listens any more.
fn is_closed(server: &Server) -> Option<()> {
    std::net::TcpStream::connect(server.address).is_err().then_some(())
}

#[test]
fn with_nothing_in_flight_it_leaves_at_once() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::start();
        let mut idle: Vec<Client> = (0..5).map(|_| server.client()).collect();
        for client in &mut idle {
            client.get("/now");
        }
        server.signal(signal);
        assert_eq!(field(&server.event(), "event"), Some("stopping"));
        let stopped = server.event();
        let told = ["event", "connections", "requests", "cut"].map(|name| field(&stopped, name).unwrap());
        assert_eq!(told, ["stopped", "5", "5", "0"]);
        assert_eq!(server.ended().code(), Some(0));
        for client in &mut idle {
            assert_eq!(client.rest(), "", "closed, not reset");
        }
    }
}

#[test]
fn what_is_in_flight_is_answered_and_told_goodbye() {
    let mut server = Server::start();
    let mut client = server.client();
    client.get("/now");
    client.send("GET /now HTTP/1.1\r\n");
    let mut probe = server.client();
    probe.send("GET /live HTTP/1.1\r\nHost:");
    // Both beginnings are read before the signal is sent: a third request on the same loop is answered after them.
    server.client().get("/live");
    server.signal(Signal::TERM);
    assert_eq!(field(&server.event(), "event"), Some("stopping"));
    until("it stops listening", || is_closed(&server));
    probe.send(" a\r\n\r\n");
    let (head, body) = probe.reply();
    assert!(head.starts_with("HTTP/1.1 200 OK") && body == "ok\n", "it is live while it answers: {head}");
    client.send("Host: a\r\n\r\n");
    let (head, body) = client.reply();
    assert_eq!((header(&head, "Connection"), body.len()), (Some("close"), 10));
    assert_eq!(client.rest(), "");
    assert_eq!(probe.rest(), "");
    drop((client, probe));
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn who_is_in_the_queue_is_answered() {
    let mut server = Server::start();
    // Stopped, it accepts nobody: these wait in the kernel, with their requests.
    server.signal(Signal::STOP);
    let mut clients: Vec<Client> = (0..100).map(|_| server.client()).collect();
    for client in &mut clients {
        client.send("GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    for client in &mut clients {
        assert_eq!(client.reply().1.len(), 10);
    }
    drop(clients);
    assert_eq!(server.ended().code(), Some(0));
}

#[test]
fn process_1_of_a_container_hears_the_signal() {
    let unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--user", "--map-root-user"];
    let needed = if rustix::process::geteuid().is_root() { 4 } else { 6 };
    let mut server = Server::start_as(wrapped(&unshare[..needed]));
    server.pid = server.child_of_wrapper();
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid)).unwrap();
    let ids = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert_eq!(ids.split_ascii_whitespace().last(), Some("1"), "{ids}");
    server.client().get("/now");
    server.signal(Signal::TERM);
    assert_eq!(field(&server.event(), "event"), Some("stopping"));
    assert_eq!(server.ended().code(), Some(0));
}

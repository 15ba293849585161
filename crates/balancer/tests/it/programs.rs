//! The plane as a process, and clients nobody here wrote.

use std::process::{Command, Output};

use crate::rig::{Manner, Rig, Target, until};

async fn program(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_gets_the_time_and_sends_a_file() {
    let target = Target::start(Manner::ok("1795342020")).await;
    let rig = Rig::process(&[&target]).await;
    let url = format!("http://{}/now", rig.address);
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--dump-header", "-", &url, &url]);
    let output = program(command).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.matches("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1795342020").count(), 2, "{text}");
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--header", "Transfer-Encoding: chunked", "--upload-file"]);
    command.args([env!("CARGO_BIN_EXE_gimmetime-balancer"), &url]);
    let output = program(command).await;
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrk_sees_no_error_while_a_target_dies() {
    let mut dying = Target::start(Manner::ok("1795342020")).await;
    let staying = Target::start(Manner::ok("1795342020")).await;
    let rig = Rig::process(&[&dying, &staying]).await;
    let mut command = Command::new("wrk");
    command.args(["--threads", "1", "--connections", "32", "--duration", "1s", &format!("http://{}/now", rig.address)]);
    let running = tokio::spawn(program(command));
    until("it is under load", || 500 < dying.seen().len()).await;
    dying.kill().await;
    let output = String::from_utf8(running.await.unwrap().stdout).unwrap();
    assert!(
        output.contains("requests in") && !output.contains("Non-2xx") && !output.contains("Socket errors"),
        "{output}"
    );
}

#[tokio::test]
async fn a_plane_short_of_descriptors_turns_clients_away_and_goes_on() {
    let target = Target::start(Manner::ok("x")).await;
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$0\" \"$1\"", env!("CARGO_BIN_EXE_gimmetime-balancer")]);
    let mut rig = Rig::command(command, &[&target]).await;
    let mut clients = Vec::new();
    for _ in 0..60 {
        clients.push(rig.connect().await);
    }
    // Half of the descriptors that are left over are for connections to targets.
    let counters = rig.counters(|counters| counters.active_connections + counters.rejected_connections == 60).await;
    assert_eq!(counters.active_connections, 18);
    assert!(clients[0].get("/").await.ends_with('x'));
    drop(clients);
    rig.counters(|counters| counters.active_connections == 0).await;
    assert!(rig.get("/").await.ends_with('x'));
}

#[tokio::test]
async fn a_plane_told_to_terminate_leaves_with_success() {
    let target = Target::start(Manner::ok("x")).await;
    let mut rig = Rig::process(&[&target]).await;
    let mut client = rig.connect().await;
    client.get("/").await;
    let pid = rustix::process::Pid::from_child(rig.process.as_ref().unwrap());
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(client.reply().await, None);
    rig.ended().await;
}

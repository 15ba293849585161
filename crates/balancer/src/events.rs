//! What the plane tells of itself: a JSON object a line on standard error.

use std::io::Write;
use std::net::SocketAddr;

use gimmetime_clock::{iso, source};
use serde::Serialize;

/// Something that happened; requests are told of in the access log.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Started { pid: u32, connections_limit: u64 },
    DirectorConnected,
    DirectorLost { reason: String },
    TableApplied { version: u64, serving: usize, draining: usize },
    ListenerOpened { address: SocketAddr },
    ListenerRefused { address: SocketAddr, error: String },
    ListenerClosed { address: SocketAddr },
    ListenersHandedOver { addresses: Vec<SocketAddr> },
    AcceptFailed { error: String },
    ControlFailed { error: String },
    AccessLogFailed { error: String },
    AccessLogDropped { entries: u64 },
    Retiring { grace_ms: u64 },
    Retired { connections_cut: u64, requests_cut: u64 },
}

impl Event {
    /// Writes it down.
    pub(crate) fn emit(&self) {
        #[derive(Serialize)]
        struct Line<'a> {
            time: String,
            #[serde(flatten)]
            event: &'a Event,
        }
        let line = Line { time: iso::format(source::wall()), event: self };
        if let Ok(mut text) = serde_json::to_vec(&line) {
            text.push(b'\n');
            // Whoever closed our standard error does not want to know.
            let _ = std::io::stderr().write_all(&text);
        }
    }
}

//! Lines of JSON, and file descriptors beside them, over a Unix stream socket. Both sides of the control connection use it.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::ControlError;

/// Longest line in bytes: a table of some thousand targets.
const LINE_LIMIT: usize = 1 << 20;
/// Most descriptors that travel beside one line, and that may wait to be taken.
pub(crate) const DESCRIPTORS_LIMIT: usize = 64;
const READ_SIZE: usize = 16 * 1024;

/// One control connection.
#[derive(Debug)]
pub(crate) struct Transport {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Transport {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self { stream, received: Vec::new(), descriptors: VecDeque::new() }
    }

    /// Sends one line, and `descriptors` beside its first byte.
    pub(crate) async fn send<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), ControlError> {
        let mut line = serde_json::to_vec(message).expect("the wire types serialise: they have string keys only");
        line.push(b'\n');
        let mut sent = 0;
        while sent < line.len() {
            let beside = if sent == 0 { descriptors } else { &[] };
            let attempt = || send_some(self.stream.as_fd(), &line[sent..], beside);
            sent += self.stream.async_io(Interest::WRITABLE, attempt).await.map_err(ControlError::Broken)?;
        }
        Ok(())
    }

    /// The next line; `None` at the end of the connection. Cancel-safe.
    pub(crate) async fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<T>, ControlError> {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let message = serde_json::from_slice(&self.received[..end]).map_err(ControlError::Unintelligible)?;
                self.received.drain(..=end);
                return Ok(Some(message));
            }
            if LINE_LIMIT < self.received.len() {
                return Err(ControlError::TooLong { limit: LINE_LIMIT });
            }
            let Self { stream, received, descriptors } = self;
            let read = stream.async_io(Interest::READABLE, || receive_some(stream.as_fd(), received, descriptors));
            if read.await.map_err(ControlError::Broken)? == 0 {
                return Ok(None);
            }
            if DESCRIPTORS_LIMIT < self.descriptors.len() {
                return Err(ControlError::TooManyDescriptors { limit: DESCRIPTORS_LIMIT });
            }
        }
    }

    /// The first `count` of the descriptors that came and were not taken yet; `None` if fewer came.
    pub(crate) fn take_descriptors(&mut self, count: usize) -> Option<Vec<OwnedFd>> {
        (count <= self.descriptors.len()).then(|| self.descriptors.drain(..count).collect())
    }
}

fn send_some(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors for one line"));
    }
    Ok(sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
}

fn receive_some(socket: BorrowedFd<'_>, bytes: &mut Vec<u8>, descriptors: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS_LIMIT))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut chunk = [0; READ_SIZE];
    let got = recvmsg(socket, &mut [IoSliceMut::new(&mut chunk)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    bytes.extend_from_slice(&chunk[..got.bytes]);
    Ok(got.bytes)
}

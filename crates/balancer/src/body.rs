//! Bodies on their way: a client's to a target, and a target's to a client.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::account::Account;
use crate::hold::Hold;
use crate::patience::Patience;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body, counted.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Option<(Incoming, Arc<Progress>)>,
}

/// How far a request's body has got.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: AtomicU64,
    fault: AtomicU16,
    over: AtomicBool,
}

impl Progress {
    /// Bytes that went through.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// All of it went through.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// The status that the client is to blame with, if its body broke off.
    pub(crate) fn fault(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.fault.load(Ordering::Relaxed)).ok()
    }
}

impl Upload {
    /// No body.
    pub(crate) fn none() -> Self {
        Self { body: None }
    }

    /// What the client sends.
    pub(crate) fn new(incoming: Incoming, progress: Arc<Progress>) -> Self {
        Self { body: Some((incoming, progress)) }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some((incoming, progress)) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *incoming).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                progress.bytes.fetch_add(length as u64, Ordering::Relaxed);
            }
            Some(Err(error)) => {
                let status = if is_timeout(error) { StatusCode::REQUEST_TIMEOUT } else { StatusCode::BAD_REQUEST };
                progress.fault.store(status.as_u16(), Ordering::Relaxed);
            }
            None => {}
        }
        if incoming.is_end_stream() || frame.is_none() {
            progress.over.store(true, Ordering::Relaxed);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|(incoming, _)| incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), |(incoming, _)| incoming.size_hint())
    }
}

fn is_timeout(error: &hyper::Error) -> bool {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|io| io.kind() == io::ErrorKind::TimedOut)
}

/// A reply's body.
pub(crate) struct Reply {
    kind: Kind,
}

enum Kind {
    Whole(Option<Bytes>),
    Stream(Box<Stream>),
}

/// A reply's body that is passed on while it comes.
struct Stream {
    incoming: Incoming,
    /// Until the body has ended.
    hold: Option<Hold>,
    account: Account,
    patience: Patience,
}

impl Reply {
    /// A body that is there already.
    pub(crate) fn whole(bytes: Bytes) -> Self {
        Self { kind: Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())) }
    }

    /// A body that comes from a target, which may rest for `idle`. The account is closed when it ends.
    pub(crate) fn stream(incoming: Incoming, hold: Hold, account: Account, idle: Duration) -> Self {
        let patience = Patience::new(idle);
        Self { kind: Kind::Stream(Box::new(Stream { incoming, hold: Some(hold), account, patience })) }
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
            ready!(self.patience.poll_lost(cx));
            self.account.broke_off();
            return Poll::Ready(Some(Err(Box::new(io::Error::from(io::ErrorKind::TimedOut)))));
        };
        match &frame {
            Some(Ok(frame)) => {
                self.patience.renew();
                self.account.add_sent(frame.data_ref().map_or(0, Bytes::len) as u64);
                if self.incoming.is_end_stream() {
                    self.release();
                }
            }
            Some(Err(_)) => self.account.broke_off(),
            None => self.release(),
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn release(&mut self) {
        if let Some(hold) = self.hold.take() {
            hold.release();
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.kind {
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Kind::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

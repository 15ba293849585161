//! One connection's talk, as a function from the bytes that came to the bytes to send. No I/O, no deadlines.
//!
//! However the same bytes are split over calls, the same replies come out: the property every test of it leans on.

use crate::body::{Drain, Progress};
use crate::reply::Status;
use crate::request::{self, Extent, Persistence, Request};
use crate::site::{Clock, Replies};

/// Replies are not made while this much waits to be sent: the bound on what a pipelining client makes us hold.
pub(crate) const MAX_UNSENT: usize = 64 * 1024;

/// The talk on one connection.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    stage: Stage,
    /// What came and is not understood yet.
    unread: Vec<u8>,
    /// How much of `unread` is known to hold no end of a head.
    seen: usize,
    /// It stopped at [`MAX_UNSENT`] with bytes left that may hold whole requests.
    paused: bool,
    answered: u64,
    refused: u64,
}

#[derive(Debug, Default)]
enum Stage {
    /// A head comes next, or is coming.
    #[default]
    Head,
    /// The head is read, its body is coming.
    Body(Request, Drain),
    Over(Ending),
}

/// How a talk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// As the client wished: nothing more will come from it.
    Agreed,
    /// As we wished: more may be coming, which must be read and thrown away or the reply is lost with it.
    Ours,
}

/// What is going on, for whoever keeps the deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Situation {
    /// Between two requests.
    Idle,
    /// A request has begun and is not whole.
    Receiving,
    /// The last reply is made.
    Over(Ending),
}

/// Whether the front of what is left could be used up.
enum Step {
    Used(usize),
    NeedsMore,
}

impl Conversation {
    /// Takes what came, and makes the replies to it.
    pub(crate) fn advance(&mut self, input: &[u8], replies: &mut Replies<'_, impl Clock>) {
        let mut held = std::mem::take(&mut self.unread);
        let direct = held.is_empty();
        let mut rest = if direct {
            input
        } else {
            held.extend_from_slice(input);
            &held
        };
        self.paused = false;
        while !rest.is_empty() {
            if MAX_UNSENT <= replies.out.len() {
                self.paused = true;
                break;
            }
            match self.step(rest, replies) {
                Step::Used(length) => rest = &rest[length..],
                Step::NeedsMore => break,
            }
        }
        let left = rest.len();
        if direct {
            held.extend_from_slice(&input[input.len() - left..]);
        } else {
            held.drain(..held.len() - left);
        }
        // An idle connection holds no memory.
        self.unread = if left == 0 { Vec::new() } else { held };
    }

    /// Gives up on a request that does not become whole.
    pub(crate) fn time_out(&mut self, replies: &mut Replies<'_, impl Clock>) {
        self.refuse(Status::RequestTimeout, replies);
        self.unread = Vec::new();
    }

    pub(crate) fn situation(&self) -> Situation {
        match self.stage {
            Stage::Over(ending) => Situation::Over(ending),
            Stage::Head if self.unread.is_empty() => Situation::Idle,
            Stage::Head | Stage::Body(..) => Situation::Receiving,
        }
    }

    /// Whether [`advance`](Self::advance) would do more without new bytes, once the replies so far are sent.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused
    }

    /// Requests answered so far, refusals included.
    pub(crate) fn answered(&self) -> u64 {
        self.answered
    }

    /// Replies so far that were not 200, but for a `/health` of 503.
    pub(crate) fn refused(&self) -> u64 {
        self.refused
    }

    fn step(&mut self, rest: &[u8], replies: &mut Replies<'_, impl Clock>) -> Step {
        match &mut self.stage {
            Stage::Over(_) => Step::Used(rest.len()),
            Stage::Head => self.head(rest, replies),
            Stage::Body(request, drain) => {
                let request = *request;
                match drain.take(rest) {
                    Progress::More => return Step::Used(rest.len()),
                    Progress::Done(length) => {
                        self.answer(&request, rest.len() == length, replies);
                        return Step::Used(length);
                    }
                    Progress::Malformed => self.refuse(Status::BadRequest, replies),
                    Progress::TooLarge => self.refuse(Status::ContentTooLarge, replies),
                }
                Step::Used(rest.len())
            }
        }
    }

    fn head(&mut self, rest: &[u8], replies: &mut Replies<'_, impl Clock>) -> Step {
        // Empty lines before a request are to be ignored (RFC 9112 §2.2).
        let empty = rest.iter().take_while(|&&byte| byte == b'\r' || byte == b'\n').count();
        if 0 < empty {
            return Step::Used(empty);
        }
        let refusal = match request::extent(rest, self.seen) {
            Extent::Open => {
                self.seen = rest.len();
                return Step::NeedsMore;
            }
            Extent::Refused(status) => status,
            Extent::Ends(length) => match request::parse(&rest[..length]) {
                Ok(request) => {
                    self.seen = 0;
                    self.begin(&request, rest.len() == length, replies);
                    return Step::Used(length);
                }
                Err(status) => status,
            },
        };
        self.refuse(refusal, replies);
        Step::Used(rest.len())
    }

    /// A head is read: answers at once, or waits for its body.
    fn begin(&mut self, request: &Request, last: bool, replies: &mut Replies<'_, impl Clock>) {
        replies.observe(request);
        match Drain::of(request.framing) {
            None => self.answer(request, last, replies),
            // The body is not wanted: a final answer now, instead of `100 Continue`, spares both sides sending it. Whether
            // it comes all the same cannot be known, so nothing after it could be understood.
            Some(_) if request.waits_for_continue || request.is_too_large() => {
                self.reply(request, Some(Ending::Ours), replies);
            }
            Some(drain) => self.stage = Stage::Body(*request, drain),
        }
    }

    /// Answers a whole request; `last` = nothing of another one is there yet.
    fn answer(&mut self, request: &Request, last: bool, replies: &mut Replies<'_, impl Clock>) {
        let ending = match request.persistence {
            Persistence::Closes => Some(Ending::Agreed),
            _ if last && replies.site.is_leaving() => Some(Ending::Ours),
            _ => None,
        };
        self.reply(request, ending, replies);
    }

    fn reply(&mut self, request: &Request, ending: Option<Ending>, replies: &mut Replies<'_, impl Clock>) {
        let status = replies.answer(request, ending.is_some());
        self.answered += 1;
        self.refused += u64::from(!matches!(status, Status::Ok | Status::Unavailable));
        self.stage = ending.map_or(Stage::Head, Stage::Over);
    }

    fn refuse(&mut self, status: Status, replies: &mut Replies<'_, impl Clock>) {
        replies.refuse(status);
        self.answered += 1;
        self.refused += 1;
        self.stage = Stage::Over(Ending::Ours);
    }
}

#[cfg(test)]
mod tests;

//! What an answer of AWS means that is none: codes of errors, whichever service says them, and how much of its words is told.

/// The keys were good once.
pub const EXPIRED: [&str; 4] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"];
/// AWS does not know these keys.
pub const UNKNOWN_KEY: [&str; 7] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "AuthFailure",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
];
/// A signature does not fit: a wrong secret, or a wrong clock (then the words tell).
pub const SIGNATURE: [&str; 4] =
    ["SignatureDoesNotMatch", "InvalidSignatureException", "RequestTimeTooSkewed", "RequestInTheFuture"];
/// The caller may not do this.
pub const DENIED: [&str; 6] = [
    "AccessDenied",
    "AccessDeniedException",
    "UnauthorizedOperation",
    "UnauthorizedException",
    "NotAuthorized",
    "AuthorizationError",
];
/// Too many requests, or AWS is busy; a moment later may do.
pub const PASSING: [&str; 11] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "InternalFailure",
    "InternalError",
    "ServerException",
];

/// Characters of somebody else's words that are repeated: a page of HTML is no message.
const MAX_WORDS: usize = 1000;

/// The first line of words that somebody else chose, cut to a length. What follows a refused signature in further lines is
/// what was signed, a session's token in it: that must not be told.
pub fn in_short(words: &str) -> String {
    words.trim().lines().next().unwrap_or_default().chars().take(MAX_WORDS).collect()
}

//! Errors as RFC 9457 problem documents: the one place where an [`Error`] becomes a response.

use std::time::Duration;

use axum::body::Body;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use tenon_core::{Error, TraceContext, Violation, catalogue, error::Language};

use crate::Response;

/// The media type of problem documents.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document. The `code` is what programs look at; `detail` is for people.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Problem<'a> {
    /// `about:blank`: the problem has no page of its own, and the title is that of the status.
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: String,
    code: &'a str,
    trace_id: String,
    #[serde(skip_serializing_if = "<[Violation]>::is_empty")]
    errors: &'a [Violation],
}

/// When a caller may come again whom an absent neighbour refused.
const ABSENT_FOR: Duration = Duration::from_secs(1);

/// The error behind a response, in its extensions: for the log, and for layers that count.
#[derive(Debug, Clone)]
pub struct Failure(pub Error);

/// The problem document of `error` alone, for answers that already have a status.
pub fn document(error: &Error, language: Language, trace: &TraceContext) -> Vec<u8> {
    let status = status(error);
    let problem = Problem {
        kind: "about:blank",
        title: title(status),
        status: status.as_u16(),
        detail: error.message(language),
        code: error.code(),
        trace_id: trace.trace_id(),
        errors: error.all_violations(),
    };
    // Strings and numbers always serialise; if they did not, the status alone would say enough.
    serde_json::to_vec(&problem).unwrap_or_default()
}

/// The response that says `error`.
pub fn response(error: Error, language: Language, trace: &TraceContext) -> Response {
    let status = status(&error);
    let text = document(&error, language, trace);
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        const { HeaderValue::from_static(MEDIA_TYPE) },
    );
    headers.insert(header::CONTENT_LANGUAGE, tag(language));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, challenge(&error));
    }
    if let Some(delay) = come_again(&error) {
        // Whole seconds, rounded up: a client that comes too early comes twice.
        let seconds = delay.as_millis().div_ceil(1000).max(1);
        let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response.extensions_mut().insert(Failure(error));
    response
}

/// When it is worth to ask again, where that is known. Who cannot be reached now was not reached, or
/// broke off, and mostly is back in no time: a connection is tried again within a second or two. The
/// time is told here and does not go with the error: between services, who calls again has a
/// shorter wait of its own.
fn come_again(error: &Error) -> Option<Duration> {
    let absent = error.is(&catalogue::UNAVAILABLE).then_some(ABSENT_FOR);
    error.retry_delay().or(absent)
}

/// What a caller is asked for (RFC 6750, section 3): who showed a token that does not hold, or holds
/// no longer, should get another; who showed none is told no more.
fn challenge(error: &Error) -> HeaderValue {
    if error.is(&catalogue::TOKEN_INVALID) {
        return HeaderValue::from_static(r#"Bearer error="invalid_token""#);
    }
    HeaderValue::from_static("Bearer")
}

/// The language that the caller prefers.
pub fn language(headers: &HeaderMap) -> Language {
    headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok())
        .map_or(Language::default(), Language::accepted)
}

/// The headers that every response of an API has, unless its operation says otherwise.
pub fn harden(headers: &mut HeaderMap) {
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(const { HeaderValue::from_static("no-store") });
    headers
        .entry(header::X_CONTENT_TYPE_OPTIONS)
        .or_insert(const { HeaderValue::from_static("nosniff") });
}

fn status(error: &Error) -> StatusCode {
    StatusCode::from_u16(error.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn tag(language: Language) -> HeaderValue {
    match language {
        Language::English => const { HeaderValue::from_static("en") },
        Language::Chinese => const { HeaderValue::from_static("zh-CN") },
    }
}

fn title(status: StatusCode) -> &'static str {
    match status.as_u16() {
        // Not registered, but known to every operator of nginx.
        499 => "Client Closed Request",
        _ => status.canonical_reason().unwrap_or("Error"),
    }
}

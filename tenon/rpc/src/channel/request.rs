//! The head of a call: where it goes, what is left of its time, its trace and its caller.

use http::{HeaderMap, HeaderValue, Request, Uri, Version, header, uri};
use tenon_core::trace::STATE;
use tenon_core::{Context, Error, Result};

use super::{Outgoing, endpoint::Connection};
use crate::{Method, Passed, criticality, frame, retry, timeout};

/// A request of a call that failed so many times before.
pub(super) fn request(
    cx: &Context,
    method: &'static Method,
    connection: &Connection,
    body: Outgoing,
    failed: u32,
) -> Result<Request<Outgoing>> {
    let mut request = Request::new(body);
    address(&mut request, method, connection)?;
    let headers = request.headers_mut();
    of_context(cx, headers)?;
    if failed > 0 {
        headers.insert(retry::PREVIOUS_ATTEMPTS, failed.into());
    }
    Ok(request)
}

/// What the context of a call knows: its time, trace and caller, and what is passed on.
pub(crate) fn of_context(cx: &Context, headers: &mut HeaderMap) -> Result<()> {
    if let Some(remaining) = cx.remaining() {
        let sent = timeout::format(timeout::less_margin(remaining));
        insert(headers, "grpc-timeout", sent)?;
    }
    insert(headers, "traceparent", cx.trace().to_string())?;
    if let Some(state) = cx.trace_state() {
        insert(headers, STATE, state.to_owned())?;
    }
    if let Some(token) = cx.principal().and_then(|principal| principal.token()) {
        let mut value = text(format!("Bearer {token}"))?;
        // Kept out of the compression tables of the connection.
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    criticality::state(cx, headers);
    if let Some(passed) = cx.value::<Passed>() {
        passed.apply(headers);
    }
    Ok(())
}

/// What every call of the method over the connection says.
pub(super) fn address(
    request: &mut Request<Outgoing>,
    method: &'static Method,
    connection: &Connection,
) -> Result<()> {
    let mut parts = uri::Parts::default();
    parts.scheme = Some(connection.scheme());
    parts.authority = Some(connection.authority().clone());
    parts.path_and_query = Some(uri::PathAndQuery::from_static(method.path()));
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() =
        Uri::from_parts(parts).map_err(|cause| Error::internal("address the call", cause))?;
    of_every_call(request.headers_mut());
    Ok(())
}

/// What every call says of itself.
pub(crate) fn of_every_call(headers: &mut HeaderMap) {
    headers.reserve(8);
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("tenon/", env!("CARGO_PKG_VERSION"))),
    );
    headers.insert(
        frame::GRPC_ACCEPT_ENCODING,
        HeaderValue::from_static(frame::ACCEPTED),
    );
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: String) -> Result<()> {
    headers.insert(name, text(value)?);
    Ok(())
}

fn text(value: String) -> Result<HeaderValue> {
    HeaderValue::try_from(value).map_err(|_| {
        // The value itself may be a token.
        Error::internal("send the request", "a header value is not printable")
    })
}
